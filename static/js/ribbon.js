// The ribbon of a day: the pointer reads the time, a click asks what was at that instant.

export function startRibbon() {
  document.addEventListener("pointermove", (event) => {
    const box = event.target.closest?.("[data-ribbon]");
    if (box) showHint(box, event);
  });
  document.addEventListener("pointerout", (event) => {
    const box = event.target.closest?.("[data-ribbon]");
    if (box && !box.contains(event.relatedTarget)) box.querySelector("[data-ribbon-hint]").hidden = true;
  });
  document.addEventListener("click", (event) => {
    const svg = event.target.closest?.("[data-ribbon] svg");
    if (svg) ask(svg.closest("[data-ribbon]"), event);
  });
}

/** The instant below the pointer, in ms; whole seconds. */
function instant(box, event) {
  const { left, width } = box.querySelector("svg").getBoundingClientRect();
  const share = Math.min(0.999999, Math.max(0, (event.clientX - left) / width));
  return (Number(box.dataset.from) + Math.floor(share * Number(box.dataset.length))) * 1000;
}

function showHint(box, event) {
  const hint = box.querySelector("[data-ribbon-hint]");
  const time = new Date(instant(box, event)).toLocaleTimeString("en-GB", { timeZone: box.dataset.zone });
  const { words } = event.target.dataset;
  hint.textContent = words ? `${time} · ${words}` : time;
  hint.hidden = false;
}

function ask(box, event) {
  const at = new Date(instant(box, event)).toISOString();
  const address = `${box.dataset.url}&at=${encodeURIComponent(at)}`;
  htmx.ajax("GET", address, { source: document.body, target: document.body, swap: "none" });
}
