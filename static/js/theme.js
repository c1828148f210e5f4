// Runs before the first paint, so that the page never flashes in the wrong theme. A classic script on purpose.
(() => {
  const root = document.documentElement;
  const remembered = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is blocked: follow the system
    }
  };
  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  root.classList.add("js");

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // kept for this page only
    }
  });
})();
