// The film player takes a newer film by itself only while nobody watches; otherwise it offers it.

export function startPlayer() {
  const player = document.querySelector("[data-player]");
  if (!player) return;
  const video = player.querySelector("video");
  const offer = player.querySelector("[data-offer]");

  const take = () => {
    const news = document.querySelector("[data-film-url]");
    if (!news) return;
    video.poster = news.dataset.posterUrl || "";
    video.src = news.dataset.filmUrl;
    video.dataset.revision = news.dataset.filmRevision;
    offer.hidden = true;
    player.classList.remove("is-empty");
  };

  const look = () => {
    const news = document.querySelector("[data-film-url]");
    if (!news?.dataset.filmUrl || news.dataset.filmRevision === video.dataset.revision) return;
    const isWatched = !video.paused || (video.currentTime > 0 && !video.ended);
    if (isWatched) offer.hidden = false;
    else take();
  };

  offer.addEventListener("click", () => {
    take();
    video.play();
  });
  document.addEventListener("parts", look);
  // An old revision is tidied away soon after the next one: go on in the new one, at the same place.
  video.addEventListener("error", () => {
    const news = document.querySelector("[data-film-url]");
    if (!news || news.dataset.filmRevision === video.dataset.revision) return;
    const [place, wasPlaying] = [video.currentTime, !video.paused];
    take();
    video.addEventListener("loadedmetadata", () => (video.currentTime = place), { once: true });
    if (wasPlaying) video.play();
  });
}
