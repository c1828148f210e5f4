// Comforts of the settings' pages: find a setting, see what is not saved yet.

const form = document.querySelector("form[data-settings-form]");
if (form) start(form);

function start(form) {
  const search = form.querySelector("[data-search]");
  const onlyOwn = form.querySelector("[data-only-own]");
  const settings = [...form.querySelectorAll("[data-setting]")];
  const first = new Map(settings.map((setting) => [setting, valueOf(setting)]));
  let isSending = false;

  const find = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const group of form.querySelectorAll("[data-group]")) {
      const title = group.querySelector("h2").textContent;
      let shown = 0;
      for (const setting of group.querySelectorAll("[data-setting]")) {
        const text = `${title} ${setting.querySelector(".setting-words").textContent}`.toLowerCase();
        const isFound = words.every((word) => text.includes(word));
        setting.hidden = !isFound || (onlyOwn.checked && !setting.classList.contains("is-own"));
        shown += setting.hidden ? 0 : 1;
      }
      for (const more of group.querySelectorAll(".also")) more.hidden = words.length > 0 || onlyOwn.checked;
      group.hidden = shown === 0;
      found += shown;
    }
    form.querySelector("[data-nothing-found]").hidden = found > 0;
  };

  const changed = () => settings.filter((setting) => valueOf(setting) !== first.get(setting)).length;
  const tell = () => {
    for (const setting of settings) setting.classList.toggle("is-changed", valueOf(setting) !== first.get(setting));
    const count = changed();
    const words = form.querySelector("[data-unsaved]");
    if (words) words.textContent = count ? `${count === 1 ? "One change is" : `${count} changes are`} not saved.` : "";
  };

  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  onlyOwn.addEventListener("change", find);
  form.addEventListener("input", tell);
  form.addEventListener("change", tell);
  form.addEventListener("submit", () => (isSending = true));
  window.addEventListener("beforeunload", (event) => {
    if (changed() && !isSending) event.preventDefault();
  });
  tell();
}

/** All that a setting's controls hold, as one text. */
function valueOf(setting) {
  const controls = setting.querySelectorAll("input:not([type=hidden]), select");
  return JSON.stringify(
    [...controls].map((control) => (control.type === "checkbox" ? control.checked : control.value)),
  );
}
