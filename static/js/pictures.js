// Swaps a picture for a newer one without a flash: loaded and decoded first, then laid over the old one.

/** A part carries data-picture-* of its newest picture; the frame it names holds the <img>. */
export function syncPictures(root = document) {
  for (const holder of root.querySelectorAll("[data-picture-frame]")) {
    const frame = document.getElementById(holder.dataset.pictureFrame);
    const { picture, pictureUrl } = holder.dataset;
    if (frame && pictureUrl && frame.dataset.shows !== picture) show(frame, holder.dataset);
  }
}

async function show(frame, { picture, pictureUrl, pictureAlt, pictureLink }) {
  if (frame.dataset.loading === picture) return;
  frame.dataset.loading = picture;
  const image = new Image();
  image.alt = pictureAlt || "";
  image.src = pictureUrl;
  try {
    await image.decode();
  } catch {
    if (frame.dataset.loading === picture) delete frame.dataset.loading; // the next hint tries again
    return;
  }
  if (frame.dataset.loading !== picture) return; // a newer one has overtaken this
  delete frame.dataset.loading;
  frame.dataset.shows = picture;
  const old = [...frame.querySelectorAll("img")];
  const mat = new Image();
  mat.className = "mat arriving";
  mat.alt = "";
  mat.src = pictureUrl;
  image.className = "arriving";
  frame.append(mat, image);
  frame.classList.remove("is-waiting");
  frame.querySelector(".skeleton")?.remove();
  if (pictureLink && frame.tagName === "A") frame.href = pictureLink;
  const settle = () => {
    mat.className = "mat";
    image.className = "";
    for (const gone of old) gone.remove();
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) settle();
  else image.addEventListener("animationend", settle, { once: true });
}
