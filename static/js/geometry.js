// The editor of a camera's geometry. The fields of the form are the truth: what is drawn is read from them and written
// into them, so that the page works by its numbers alone, too.

import { drawResult } from "./geometry-result.js";
import { Stage } from "./geometry-stage.js";

const MOST_MASKS = 20;
const NEW_MASK = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]];
const CROP = { x: "crop_x", y: "crop_y", width: "crop_width", height: "crop_height" };

const form = document.getElementById("geometry");
const masks = document.getElementById("masks");
const undo = document.getElementById("undo");
const lock = document.getElementById("lock");
const picture = new Image();
const size = { width: 0, height: 0 };
const history = [];
let now = read({ masks: [], crop: { x: 0, y: 0, width: 1, height: 1 } });

const stage = new Stage(document.getElementById("stage"), {
  size,
  ratio: () => {
    if (!lock.value) return null;
    const [width, height] = lock.value === "source" ? [size.width, size.height] : lock.value.split(":").map(Number);
    return width / height;
  },
  onChange: (state, isDone) => {
    write(state);
    draw(state);
    if (isDone) note(state);
  },
});

/** What the fields say; a line that cannot be read stays what it was in `before`. */
function read(before) {
  const field = (name) => form.elements[name];
  const share = (name, otherwise) => {
    const value = field(name).value.trim() === "" ? NaN : Number(field(name).value) / 100;
    return value >= 0 && value <= 1 ? value : otherwise;
  };
  const crop = Object.fromEntries(Object.entries(CROP).map(([side, name]) => [side, share(name, before.crop[side])]));
  return {
    crop,
    masks: rows().map((row, number) => points(row.querySelector("input").value) ?? before.masks[number] ?? []),
    rotate: Number(field("rotate").value),
    flip: [field("flip_horizontal").checked, field("flip_vertical").checked],
    ratio: field("ratio").value,
    ownRatio: field("own_ratio").value,
    mode: field("mode").value,
  };
}

function write(state) {
  for (const [side, name] of Object.entries(CROP)) set(form.elements[name], percent(state.crop[side]));
  while (rows().length > state.masks.length) rows().at(-1).remove();
  while (rows().length < state.masks.length) masks.append(document.getElementById("mask-row").content.cloneNode(true));
  rows().forEach((row, number) => {
    set(row.querySelector("input"), state.masks[number].map((point) => point.map(percent).join(" ")).join(", "));
    row.querySelector("[data-number]").textContent = number + 1;
    row.querySelector("[data-remove]").setAttribute("aria-label", `Remove mask ${number + 1}`);
  });
  form.elements.rotate.value = state.rotate;
  [form.elements.flip_horizontal.checked, form.elements.flip_vertical.checked] = state.flip;
  form.elements.ratio.value = state.ratio;
  form.elements.own_ratio.value = state.ownRatio;
  form.elements.mode.value = state.mode;
}

function draw(state) {
  now = state;
  stage.draw(state);
  document.getElementById("own-ratio").hidden = state.ratio !== "own";
  document.getElementById("mode").hidden = state.ratio === "";
  document.getElementById("add-mask").disabled = state.masks.length >= MOST_MASKS;
  const stored = drawResult(document.getElementById("result"), picture, size, state);
  document.getElementById("result-size").textContent = stored ? `: ${stored.width} × ${stored.height}` : " (after a test shot)";
}

/** Remembers a state that a person has come to, to be able to go back from it. */
function note(state) {
  const written = JSON.stringify(state);
  if (history.at(-1) !== written) history.push(written);
  undo.disabled = history.length < 2;
}

function change(state) {
  write(state);
  draw(state);
  note(state);
}

/** Draws upon what the newest shot has found. */
function look() {
  const shot = document.querySelector("#shot-result [data-before]");
  const svg = document.getElementById("stage");
  if (shot) {
    size.width = Number(shot.dataset.width);
    size.height = Number(shot.dataset.height);
    document.getElementById("unseen")?.remove();
    if (picture.getAttribute("src") !== shot.dataset.before) picture.src = shot.dataset.before;
  } else if (!size.width) {
    [size.width, size.height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
    const shown = svg.querySelector("image");
    if (shown) picture.src = shown.getAttribute("href");
  }
  stage.show(picture.getAttribute("src"));
  draw(now);
}

function rows() {
  return [...masks.querySelectorAll("li")];
}

function points(line) {
  const numbers = line.trim().split(/[\s,;]+/).map((number) => (number === "" ? NaN : Number(number) / 100));
  if (numbers.length < 6 || numbers.length % 2 || !numbers.every((number) => number >= 0 && number <= 1)) return null;
  return Array.from({ length: numbers.length / 2 }, (_, at) => numbers.slice(2 * at, 2 * at + 2));
}

function percent(share) {
  return Number((share * 100).toFixed(2));
}

function set(field, value) {
  if (field !== document.activeElement || Number(field.value) !== value) field.value = value;
}

for (const row of rows()) if (!row.querySelector("input").value.trim()) row.remove(); // the empty line is for those without us
now = read(now);
note(now);
picture.addEventListener("load", () => draw(now));
form.addEventListener("input", (event) => {
  if (event.target !== lock) draw(read(now));
});
form.addEventListener("change", (event) => {
  if (event.target !== lock) note(read(now));
});
document.getElementById("add-mask").addEventListener("click", () => {
  const shift = (now.masks.length % 5) * 0.04; // one upon another could not be told apart
  change({ ...now, masks: [...now.masks, NEW_MASK.map(([x, y]) => [x + shift, y + shift])] });
  stage.focus(`mask-${now.masks.length - 1}`);
});
masks.addEventListener("click", (event) => {
  const row = event.target.closest("[data-remove]")?.closest("li");
  if (row) change({ ...now, masks: now.masks.filter((_, number) => number !== rows().indexOf(row)) });
});
undo.addEventListener("click", () => {
  history.pop();
  const before = JSON.parse(history.at(-1));
  write(before);
  draw(before);
  undo.disabled = history.length < 2;
});
document.getElementById("reset").addEventListener("click", (event) => {
  event.preventDefault();
  const whole = { x: 0, y: 0, width: 1, height: 1 };
  change({ crop: whole, masks: [], rotate: 0, flip: [false, false], ratio: "", ownRatio: "", mode: "crop" });
});
document.addEventListener("htmx:afterSettle", look);
window.addEventListener("resize", () => stage.draw(now));
look();
