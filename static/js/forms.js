// Small comforts of forms; each form works without them.

const MOST_RULES = 20;

export function startForms() {
  for (const form of document.querySelectorAll("form[data-kind-form]")) startKinds(form);
  for (const form of document.querySelectorAll("form[data-rules-form]")) startRules(form);
  startTimeZones();
}

/** Shows only what matters for the chosen kind of camera. */
function startKinds(form) {
  const kind = form.querySelector("[name=kind]");
  const update = () => {
    for (const field of form.querySelectorAll("[data-kinds]")) {
      field.hidden = !field.dataset.kinds.split(" ").includes(kind.value);
    }
    for (const hint of form.querySelectorAll("[data-hint-for]")) {
      hint.hidden = hint.dataset.hintFor !== kind.value;
    }
  };
  kind.addEventListener("change", update);
  update();
  takeStreams(form, kind);
  splitLogin(form);
}

/** “Use it” fills in a stream that was found; without JavaScript the server does, and the password is to be written again. */
function takeStreams(form, kind) {
  form.addEventListener("click", (event) => {
    const chosen = event.target.closest("button[data-fill-address]")?.dataset;
    if (!chosen) return;
    event.preventDefault();
    kind.value = chosen.fillKind;
    form.querySelector("[name=address]").value = chosen.fillAddress;
    form.querySelector("[name=transport]").value = chosen.fillTransport;
    kind.dispatchEvent(new Event("change", { bubbles: true }));
    form.querySelector("[name=address]").focus();
  });
}

/** A pasted rtsp://user:password@host gives its login to the fields below; the server does the same. */
function splitLogin(form) {
  const address = form.querySelector("[name=address]");
  address.addEventListener("change", () => {
    const found = /^([a-z]+:\/\/)([^/?#]*)@(.*)$/i.exec(address.value.trim());
    if (!found) return;
    const [username, ...password] = found[2].split(":");
    try {
      form.querySelector("[name=username]").value = decodeURIComponent(username);
      form.querySelector("[name=password]").value = decodeURIComponent(password.join(":"));
      address.value = found[1] + found[3];
    } catch {
      // not percent-encoded as it should be: the server says so
    }
  });
}

/** “Another rule” brings a row of its own; without JavaScript the server draws it. */
function startRules(form) {
  const rules = form.querySelector("[data-rules]");
  const total = form.querySelector("[name=rules-count]");
  form.querySelector("#add-rule").addEventListener("click", (event) => {
    event.preventDefault();
    if (Number(total.value) >= MOST_RULES) return;
    const words = document.getElementById("rule-template").innerHTML.replaceAll("__number__", total.value);
    rules.insertAdjacentHTML("beforeend", words);
    total.value = Number(total.value) + 1;
    rules.lastElementChild.querySelector("input").focus();
    rules.dispatchEvent(new Event("input", { bubbles: true })); // the preview looks again
  });
}

function startTimeZones() {
  const list = document.getElementById("time-zones");
  if (!list || !Intl.supportedValuesOf) return;
  for (const zone of ["UTC", ...Intl.supportedValuesOf("timeZone")]) list.append(new Option(zone, zone));
}
