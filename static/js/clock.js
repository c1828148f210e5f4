// Everything that ticks: the countdown to the next slot, "12 s ago", and the clock difference to the server.

let offsetMs = -Infinity; // server minus browser; the largest sample had the least delay on its way

export const now = () => Date.now() + (Number.isFinite(offsetMs) ? offsetMs : 0);

export function syncClock(root = document) {
  for (const holder of root.querySelectorAll("[data-server-time]")) {
    if (holder.clockRead === holder.dataset.serverTime) continue;
    holder.clockRead = holder.dataset.serverTime;
    offsetMs = Math.max(offsetMs, Date.parse(holder.dataset.serverTime) - Date.now());
  }
  tick(); // what was just swapped in must not show its plain times even for a moment
}

export function spell(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  const days = Math.floor(whole / 86400);
  return `${days} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function ago(seconds) {
  if (seconds < 2) return "just now";
  if (seconds < 90) return `${Math.floor(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

/** The slot that comes next, in ms: a plain grid is known, so nothing has to be asked. null: there is none. */
export function nextSlot(nextAt, intervalMs, moment, fromAt, untilAt) {
  let slot = nextAt + Math.ceil((moment - nextAt) / intervalMs) * intervalMs;
  if (slot < fromAt) slot += Math.ceil((fromAt - slot) / intervalMs) * intervalMs;
  return slot < untilAt ? slot : null;
}

function tickCountdown(element, moment) {
  const { nextAt, interval, fromAt, untilAt } = element.dataset;
  if (!interval) {
    tickOnce(element, (Date.parse(nextAt) - moment) / 1000);
    return;
  }
  const intervalMs = Number(interval) * 1000;
  const from = fromAt ? Date.parse(fromAt) : -Infinity;
  const until = untilAt ? Date.parse(untilAt) : Infinity;
  const slot = nextSlot(Date.parse(nextAt), intervalMs, moment, from, until);
  const words = element.querySelector("[data-words]");
  const bar = element.querySelector("progress");
  if (slot === null) {
    setText(words, "ended");
    return;
  }
  const previous = slot - intervalMs;
  const isNow = previous >= from && moment - previous < Math.min(1200, intervalMs * 0.35);
  element.classList.toggle("is-now", isNow);
  setText(words, isNow ? "Now" : spell(Math.ceil((slot - moment) / 1000)));
  if (bar) bar.value = Math.min(1, Math.max(0, 1 - (slot - moment) / intervalMs));
}

/** Of a plan with windows, times or the sun the next slot alone is known; the one after it comes with the next part. */
function tickOnce(element, seconds) {
  element.classList.toggle("is-now", seconds <= 0);
  setText(element.querySelector("[data-words]"), seconds <= 0 ? "Now" : spell(Math.ceil(seconds)));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  if (document.visibilityState !== "visible") return;
  const moment = now();
  for (const element of document.querySelectorAll("[data-next-at]")) tickCountdown(element, moment);
  for (const element of document.querySelectorAll("time[data-ago]")) {
    setText(element, ago((moment - Date.parse(element.dateTime)) / 1000));
  }
  for (const element of document.querySelectorAll("time[data-in]")) {
    const seconds = (Date.parse(element.dateTime) - moment) / 1000;
    setText(element, seconds < 1 ? "now" : `in ${spell(seconds)}`);
  }
}

export function startClock() {
  syncClock();
  setInterval(tick, 200);
}
