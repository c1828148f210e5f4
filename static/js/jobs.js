// Bars of running jobs move with each hint, without asking the server.

import { spell } from "./clock.js";

export function drawProgress(events) {
  for (const event of events) {
    if (!event.type.startsWith("job_")) continue;
    const job = event.payload;
    for (const row of document.querySelectorAll(`[data-job="${CSS.escape(job.id)}"]`)) draw(row, job);
  }
}

function draw(row, job) {
  const bar = row.querySelector("progress");
  // The page counts what the segments of a film have done; the job alone may know less, and bars do not go back.
  if (bar?.hasAttribute("value") && job.total === bar.max && job.done < bar.value) return;
  if (bar && job.total) {
    bar.max = job.total;
    bar.value = job.done;
  }
  const words = row.querySelector("[data-job-words]");
  if (!words || job.state !== "running" || !job.total) return;
  const eta = job.eta_s === null || job.eta_s === undefined ? "" : ` · ${spell(job.eta_s + 0.99)} left`;
  words.textContent = `${job.done} of ${job.total} ${job.unit}${eta}`;
}
