// What every page runs: the clock, the live parts, and the small comforts.

import { startClock, syncClock } from "./clock.js";
import { startForms } from "./forms.js";
import { drawProgress } from "./jobs.js";
import { Live } from "./live.js";
import { concern, refreshAll, startTimers } from "./parts.js";
import { syncPictures } from "./pictures.js";
import { startPlayer } from "./player.js";
import { startRibbon } from "./ribbon.js";
import { startViewer } from "./viewer.js";

const STATUS = {
  live: ["Live", "News arrive as they happen"],
  polling: ["Polling", "The live connection is blocked; the page asks every two seconds"],
  offline: ["Offline", "The server cannot be reached; the page tries again by itself"],
  connecting: ["Connecting", "Connecting"],
};

function showStatus(status) {
  const badge = document.getElementById("live-badge");
  if (!badge || badge.dataset.status === status) return;
  badge.dataset.status = status;
  [badge.querySelector("[data-words]").textContent, badge.title] = STATUS[status];
}

function startLive() {
  const { topics, latestEvent } = document.body.dataset;
  if (!topics) return;
  document.getElementById("live-badge").hidden = false;
  new Live({
    topics: topics.split(" "),
    latest: Number(latestEvent || 0),
    onEvents: (events) => {
      drawProgress(events);
      concern(events);
      prependToStrip(events);
    },
    onLost: () => {
      refreshAll();
      prependToStrip();
    },
    onStatus: showStatus,
  }).start();
}

/** New thumbnails are put before the strip; what was paged in below stays. */
let stripTimer = null;
let isStripOld = false;
function prependToStrip(events) {
  const strip = document.getElementById("strip");
  isStripOld ||= !events || events.some((event) => event.type === "thumbnail_ready");
  if (!strip || stripTimer || !isStripOld || document.visibilityState !== "visible") return;
  stripTimer = setTimeout(async () => {
    isStripOld = false;
    const newest = strip.querySelector("li[data-slot]")?.dataset.slot;
    const url = strip.dataset.newUrl + (newest ? `${strip.dataset.newUrl.includes("?") ? "&" : "?"}after=${encodeURIComponent(newest)}` : "");
    try {
      await htmx.ajax("GET", url, { source: strip, target: strip, swap: "afterbegin" });
      document.getElementById("strip-empty")?.remove();
    } finally {
      stripTimer = null;
    }
  }, 700);
}
document.addEventListener("visibilitychange", () => prependToStrip([]));

function startToasts() {
  const shelf = document.getElementById("toasts");
  if (!shelf) return;
  const arm = (toast) => {
    if (toast.isArmed) return;
    toast.isArmed = true;
    if (!toast.classList.contains("error")) setTimeout(() => toast.remove(), 6000);
  };
  shelf.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast").remove());
  new MutationObserver(() => shelf.querySelectorAll(".toast").forEach(arm)).observe(shelf, { childList: true });
  shelf.querySelectorAll(".toast").forEach(arm);
}

function startHtmx() {
  document.addEventListener("htmx:afterSettle", () => {
    syncClock();
    syncPictures();
  });
  document.addEventListener("parts", () => {
    syncClock();
    syncPictures();
  });
  document.addEventListener("changed", refreshAll); // a deed was done: HX-Trigger of its answer
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    // The session has ended: the login page came instead of a part.
    if (new URL(event.detail.xhr.responseURL).pathname.startsWith("/login")) {
      event.preventDefault();
      location.reload();
    }
  });
}

document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
startToasts();
startHtmx();
startClock();
startTimers();
startForms();
startPlayer();
startRibbon();
startViewer();
syncPictures();
startLive();
