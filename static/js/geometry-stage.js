// The camera's picture with its crop and its masks, to be moved by mouse, finger and keys. It keeps no state: it is
// given one, in shares of the picture, and gives a changed one back.

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 0.02; // of a side, as the server takes it
const MOST_POINTS = 50;
const STEP = 0.005;
const LEAP = 0.05;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CORNERS = { nw: "Upper left", ne: "Upper right", se: "Lower right", sw: "Lower left" };
const HANDLE_PX = 7;
const DOT_PX = 4.5;
const FINGER_PX = 18;

export class Stage {
  constructor(svg, { size, ratio, onChange }) {
    Object.assign(this, { svg, size, ratio, onChange, state: null, drag: null });
    this.shapes = svg.querySelector("#shapes");
    svg.addEventListener("pointerdown", (event) => this.#begin(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#end(event));
    svg.addEventListener("pointercancel", (event) => this.#end(event));
    svg.addEventListener("dblclick", (event) => this.#remove(event.target.closest?.("[data-grab]")?.dataset.grab));
    svg.addEventListener("keydown", (event) => this.#press(event));
  }

  /** The picture to draw upon, of the size that was given. */
  show(address) {
    this.svg.setAttribute("viewBox", `0 0 ${this.size.width} ${this.size.height}`);
    let image = this.svg.querySelector("image");
    if (!address) return;
    if (!image) {
      image = document.createElementNS(SVG, "image");
      this.shapes.before(image);
    }
    for (const [name, value] of Object.entries({ href: address, ...this.size })) image.setAttribute(name, value);
  }

  draw(state) {
    this.state = state;
    const focused = document.activeElement?.dataset?.grab;
    const { x, y, width, height } = this.#box(state.crop);
    const isWhole = state.crop.width > 0.999 && state.crop.height > 0.999;
    const frame = `M0 0H${this.size.width}V${this.size.height}H0Z M${x} ${y}v${height}h${width}v${-height}Z`;
    const thirds = [1, 2].map((n) => `M${x + (width * n) / 3} ${y}v${height}M${x} ${y + (height * n) / 3}h${width}`);
    this.shapes.replaceChildren(
      element("path", { class: "outside", d: frame, "fill-rule": "evenodd" }),
      element("path", { class: "thirds", d: thirds.join("") }),
      // Where it is all of the picture it cannot be moved, and a finger may scroll the page upon it.
      element("rect", { class: "crop", x, y, width, height, ...(isWhole ? {} : grab("crop", "The crop")) }),
      ...state.masks.flatMap((mask, number) => this.#mask(mask, number)),
      ...Object.keys(CORNERS).map((corner) => this.#corner(corner, { x, y, width, height })),
      ...state.masks.flatMap((mask, number) => this.#handles(mask, number)), // above all areas: they are small
    );
    if (focused) this.focus(focused);
  }

  focus(name) {
    this.shapes.querySelector(`[data-grab="${name}"]`)?.focus({ preventScroll: true });
  }

  #mask(mask, number) {
    if (mask.length < 3) return [];
    const placed = this.#placed(mask);
    const middle = [0, 1].map((axis) => placed.reduce((sum, point) => sum + point[axis], 0) / placed.length);
    const label = element("text", { class: "mask-name", x: middle[0], y: middle[1], "font-size": 15 / this.#scale() });
    label.textContent = number + 1;
    const area = element("polygon", { class: "mask", points: placed.join(" "), ...grab(`mask-${number}`, `Mask ${number + 1}`) });
    return [area, label];
  }

  #handles(mask, number) {
    const name = `Mask ${number + 1}`;
    const placed = mask.length < 3 ? [] : this.#placed(mask);
    const dots = placed.map((point, at) => {
      const next = placed[(at + 1) % placed.length];
      return this.#handle("dot", (point[0] + next[0]) / 2, (point[1] + next[1]) / 2, DOT_PX, `middle-${number}-${at}`, `${name}, another corner after ${at + 1}`);
    });
    return [
      ...(mask.length < MOST_POINTS ? dots : []),
      ...placed.map(([x, y], at) => {
        const where = mask[at].map((share) => `${Math.round(share * 100)} %`);
        return this.#handle("handle", x, y, HANDLE_PX, `point-${number}-${at}`, `${name}, corner ${at + 1}: ${where[0]} from the left, ${where[1]} from above`);
      }),
    ];
  }

  #placed(mask) {
    return mask.map(([x, y]) => [x * this.size.width, y * this.size.height]);
  }

  #corner(corner, { x, y, width, height }) {
    const at = [corner.includes("w") ? x : x + width, corner.includes("n") ? y : y + height];
    return this.#handle("handle of-crop", ...at, HANDLE_PX, `crop-${corner}`, `${CORNERS[corner]} corner of the crop`);
  }

  /** A round handle with room for a finger around it. */
  #handle(kind, cx, cy, radius, name, words) {
    const group = element("g", { class: kind, ...grab(name, words) });
    const scale = this.#scale();
    group.append(
      element("circle", { class: "finger", cx, cy, r: (kind === "dot" ? FINGER_PX * 0.6 : FINGER_PX) / scale }),
      element("circle", { class: "knob", cx, cy, r: radius / scale }),
    );
    return group;
  }

  /** Pixels of the screen for one of the picture. */
  #scale() {
    return (this.svg.clientWidth || this.size.width) / this.size.width;
  }

  #box(crop) {
    const { width, height } = this.size;
    return { x: crop.x * width, y: crop.y * height, width: crop.width * width, height: crop.height * height };
  }

  #begin(event) {
    const name = event.target.closest?.("[data-grab]")?.dataset.grab;
    if (!name || event.button) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    this.focus(name);
    this.drag = { name, from: this.#place(event), state: this.state, isMoved: false };
  }

  #move(event) {
    if (!this.drag) return;
    const [x, y] = this.#place(event);
    this.drag.isMoved = true;
    this.onChange(this.#moved(this.drag.state, this.drag.name, x - this.drag.from[0], y - this.drag.from[1]), false);
  }

  #end(event) {
    if (!this.drag) return;
    this.svg.releasePointerCapture(event.pointerId);
    const { isMoved } = this.drag;
    this.drag = null;
    if (isMoved) this.onChange(this.state, true);
  }

  /** Where the pointer is, in shares of the picture. */
  #place(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #press(event) {
    const name = event.target.closest?.("[data-grab]")?.dataset.grab;
    const way = KEYS[event.key];
    if (name && way) {
      event.preventDefault();
      const step = event.shiftKey ? LEAP : STEP;
      this.onChange(this.#moved(this.state, name, way[0] * step, way[1] * step), true);
      const [kind, number, at] = name.split("-");
      if (kind === "middle") this.focus(`point-${number}-${Number(at) + 1}`);
    } else if (name && (event.key === "Delete" || event.key === "Backspace")) {
      event.preventDefault();
      this.#remove(name);
    }
  }

  /** Takes a corner of a mask away, or the mask; nothing else can be removed. */
  #remove(name = "") {
    const [kind, number, at] = name.split("-");
    let { masks } = this.state;
    if (kind === "mask") masks = masks.filter((_, index) => index !== Number(number));
    else if (kind === "point" && masks[number].length > 3) masks = masks.with(number, masks[number].toSpliced(at, 1));
    if (masks !== this.state.masks) this.onChange({ ...this.state, masks }, true);
  }

  #moved(state, name, dx, dy) {
    const [kind, number, at] = name.split("-");
    if (name === "crop") {
      const { x, y, width, height } = state.crop;
      return { ...state, crop: { ...state.crop, x: within(x + dx, 0, 1 - width), y: within(y + dy, 0, 1 - height) } };
    }
    if (kind === "crop") return { ...state, crop: this.#resized(state.crop, number, dx, dy) };
    return { ...state, masks: state.masks.with(number, reshaped(state.masks[number], kind, Number(at), dx, dy)) };
  }

  /** The opposite corner stays, and so does the shape where it is locked. */
  #resized({ x, y, width, height }, corner, dx, dy) {
    const isWest = corner.includes("w");
    const isNorth = corner.includes("n");
    const [fixedX, fixedY] = [isWest ? x + width : x, isNorth ? y + height : y];
    const [roomX, roomY] = [isWest ? fixedX : 1 - fixedX, isNorth ? fixedY : 1 - fixedY];
    let wide = within(width + (isWest ? -dx : dx), LEAST, roomX);
    let high = within(height + (isNorth ? -dy : dy), LEAST, roomY);
    const ratio = this.ratio();
    if (ratio) {
      const shares = (ratio * this.size.height) / this.size.width; // width against height, each a share of its own side
      const wanted = Math.abs(dx) >= Math.abs(dy * shares) ? wide : high * shares;
      wide = Math.min(Math.max(wanted, LEAST, LEAST * shares), roomX, roomY * shares);
      high = wide / shares;
    }
    return { x: isWest ? fixedX - wide : fixedX, y: isNorth ? fixedY - high : fixedY, width: wide, height: high };
  }
}

function reshaped(mask, kind, at, dx, dy) {
  if (kind === "mask") {
    const [x, y] = [0, 1].map((axis) => mask.map((point) => point[axis]));
    const [shiftX, shiftY] = [
      within(dx, -Math.min(...x), 1 - Math.max(...x)),
      within(dy, -Math.min(...y), 1 - Math.max(...y)),
    ];
    return mask.map((point) => [point[0] + shiftX, point[1] + shiftY]);
  }
  let points = mask;
  let moved = at;
  if (kind === "middle") {
    const next = mask[(at + 1) % mask.length];
    moved = at + 1;
    points = mask.toSpliced(moved, 0, [(mask[at][0] + next[0]) / 2, (mask[at][1] + next[1]) / 2]);
  }
  return points.with(moved, [within(points[moved][0] + dx, 0, 1), within(points[moved][1] + dy, 0, 1)]);
}

function within(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

function grab(name, words) {
  return { "data-grab": name, tabindex: 0, role: "button", "aria-label": words };
}

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
