// How a picture will be stored: the same steps in the same order as cameras/geometry, drawn small.

const TOLERANCE = 0.01;
const LONGEST_PX = 720;

/** Draws what becomes of `picture`; returns the stored size in pixels, or null where nothing can be drawn yet. */
export function drawResult(canvas, picture, size, state) {
  if (!picture.complete || !picture.naturalWidth || !size.width) return null;
  const box = cut(state.crop, size);
  const isTurned = state.rotate % 180 !== 0;
  const turned = isTurned ? { width: box.height, height: box.width } : { width: box.width, height: box.height };
  const stored = fitted(turned, state);
  const scale = Math.min(1, LONGEST_PX / Math.max(stored.width, stored.height));
  canvas.width = Math.max(1, Math.round(stored.width * scale));
  canvas.height = Math.max(1, Math.round(stored.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.scale(scale * (state.flip[0] ? -1 : 1), scale * (state.flip[1] ? -1 : 1));
  pen.rotate((state.rotate * Math.PI) / 180);
  pen.translate(-box.x - box.width / 2, -box.y - box.height / 2);
  pen.beginPath();
  pen.rect(box.x, box.y, box.width, box.height);
  pen.clip();
  pen.drawImage(picture, 0, 0, size.width, size.height);
  for (const mask of state.masks) {
    pen.beginPath();
    for (const [x, y] of mask) pen.lineTo(x * size.width, y * size.height);
    pen.closePath();
    pen.fill();
  }
  return stored;
}

function cut(crop, { width, height }) {
  const [left, top] = [Math.round(crop.x * width), Math.round(crop.y * height)];
  const right = Math.round((crop.x + crop.width) * width);
  const bottom = Math.round((crop.y + crop.height) * height);
  return { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
}

function fitted(turned, state) {
  const [wide, high] = (state.ratio === "own" ? state.ownRatio : state.ratio).split(":").map(Number);
  const ratio = wide / high;
  const is = turned.width / turned.height;
  if (!(ratio >= 0.2 && ratio <= 5) || Math.abs(is - ratio) <= TOLERANCE) return turned;
  const keepsHeight = is > ratio === (state.mode === "crop");
  return keepsHeight
    ? { width: Math.round(turned.height * ratio), height: turned.height }
    : { width: turned.width, height: Math.round(turned.width / ratio) };
}
