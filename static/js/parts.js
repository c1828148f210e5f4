// Parts of a page that are fetched anew when an event concerns them: many events, one request, at most one a second.

const GATHER_MS = 350;
const LEAST_GAP_MS = 1000;

const wanted = new Set();
const stale = new Set(); // concerned by an event, but costly: fetched again after data-least seconds
const lookedAt = new Map(); // part -> when it was fetched last
let timer = null;
let lastAt = 0;
let isFetching = false;

const all = () => [...document.querySelectorAll("[data-part]")];

/** Marks the parts that one of `events` concerns. */
export function concern(events) {
  for (const part of all()) {
    const types = (part.dataset.live || "").split(" ");
    const about = part.dataset.about; // "camera:3": only events whose payload names it
    const hit = events.some(
      (event) => types.some((type) => isOf(event, type)) && (!about || isAbout(event, about)),
    );
    if (hit) (part.dataset.least ? stale : wanted).add(part.dataset.part);
  }
  schedule();
}

export function refreshAll() {
  for (const part of all()) wanted.add(part.dataset.part);
  schedule();
}

/** Parts whose news come with no event (silence is none) say how often to look: data-every, in seconds. */
export function startTimers() {
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    const moment = performance.now();
    for (const part of all()) {
      const { part: name, every = 0, least = 0 } = part.dataset;
      const wait = (stale.has(name) ? Number(least) : Number(every)) * 1000;
      if (wait && moment - (lookedAt.get(name) ?? 0) >= wait - 100) wanted.add(name);
    }
    schedule();
  }, 1000);
}

document.addEventListener("visibilitychange", schedule);

/** "job_*" stands for all events that begin so; hints, which have no id, are no such event. */
function isOf(event, type) {
  if (!type.endsWith("*")) return event.type === type;
  return event.id !== undefined && event.type.startsWith(type.slice(0, -1));
}

function isAbout(event, about) {
  const [kind, id] = about.split(":");
  return String(event.payload?.[kind]) === id || event.topic === `${kind}.${id}`;
}

function schedule() {
  // Nobody looks: what is wanted waits until somebody does.
  if (!wanted.size || timer !== null || isFetching || document.visibilityState !== "visible") return;
  const wait = Math.max(GATHER_MS, lastAt + LEAST_GAP_MS - performance.now());
  timer = setTimeout(pull, wait);
}

async function pull() {
  timer = null;
  const url = document.body.dataset.partsUrl;
  const present = new Set(all().map((part) => part.dataset.part));
  const names = [...wanted].filter((name) => present.has(name));
  wanted.clear();
  if (!url || !names.length) return;
  isFetching = true;
  lastAt = performance.now();
  for (const name of names) {
    lookedAt.set(name, lastAt);
    stale.delete(name);
  }
  const query = new URLSearchParams(names.map((name) => ["part", name]));
  // What a part shows beyond its name (a month, a day) it says itself; parts of one page agree.
  for (const part of all()) {
    if (names.includes(part.dataset.part)) new URLSearchParams(part.dataset.query).forEach((value, key) => query.set(key, value));
  }
  const address = url + (url.includes("?") ? "&" : "?") + query;
  try {
    await htmx.ajax("GET", address, { source: document.body, target: document.body, swap: "none" });
  } finally {
    isFetching = false;
    document.dispatchEvent(new CustomEvent("parts"));
    schedule();
  }
}
