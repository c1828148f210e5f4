// The large view of one picture: a dialog over the strip. Without JavaScript the same link opens a page.

export function startViewer() {
  const dialog = document.getElementById("viewer");
  if (!dialog) return;
  const body = dialog.querySelector("[data-viewer-body]");
  let opener = null;

  const open = async (url) => {
    const answer = await fetch(url, { headers: { "HX-Request": "true" } });
    if (!answer.ok || answer.redirected) {
      location.href = url;
      return;
    }
    const rel = document.activeElement?.getAttribute("rel");
    body.innerHTML = await answer.text();
    htmx.process(body); // its deeds answer in place
    if (!dialog.open) dialog.showModal();
    // What had the focus is gone with the old picture: its successor takes it.
    (body.querySelector(`a[rel="${rel}"]`) ?? body.querySelector("[data-close]")).focus();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-view]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!dialog.open) opener = link;
    open(link.href);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
  document.addEventListener("keydown", (event) => {
    if (!dialog.open) return;
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    if (rel) body.querySelector(`a[rel="${rel}"]`)?.click();
  });
  dialog.addEventListener("close", () => {
    body.replaceChildren();
    opener?.focus();
  });
}
