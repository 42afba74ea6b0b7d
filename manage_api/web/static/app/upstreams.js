// Forms for upstreams: presets fill the fields, and [data-report], in the form or where its data-report-in="#id" says,
// tells what came of a test. Also [data-check], which asks
// the gateway under its public URL.

function choose(preset) {
  const form = preset.form;
  const { keys, note } = preset.dataset;
  form.elements.name.value = preset.getAttribute("data-set-name");
  form.elements.base_url.value = preset.getAttribute("data-set-base_url");
  form.elements.api.value = preset.getAttribute("data-set-api");
  const link = form.querySelector("[data-preset-keys]");
  link.hidden = !keys;
  link.href = keys || "#";
  const barred = "private" in preset.dataset;
  const told = "For a private network or plain http, add it in a browser on the gateway’s own machine, or set allow_private_upstreams = true under [server] in config.toml.";
  form.querySelector("[data-preset-note]").textContent = barred ? `${note} ${told}` : note;
}

// A preset's base URL follows what it is to speak, as long as nobody has changed it.
function readdress(select) {
  const preset = select.form.querySelector("[data-preset]:checked");
  const { messages } = preset?.dataset ?? {};
  if (!messages) return;
  const url = select.form.elements.base_url;
  const others = preset.getAttribute("data-set-base_url");
  if ([messages, others].includes(url.value)) url.value = select.value === "messages" ? messages : others;
}

function line(kind, text) {
  const note = document.createElement("div");
  note.className = `note note-${kind} mb-2`;
  const said = document.createElement("p");
  said.dir = "auto";
  said.textContent = text;
  note.append(said);
  return note;
}

const placeOf = (form) => form.querySelector("[data-report]") ?? (form.dataset.reportIn && document.querySelector(form.dataset.reportIn));

function report(place, { works, message, models, keys }) {
  place.hidden = false;
  place.replaceChildren(...(keys.length > 1 ? [line(works ? "ok" : "bad", message)] : []));
  for (const { key, works: fine, latency_ms: latency, message: said } of keys) {
    place.append(line(fine ? "ok" : "bad", `${key ? `Key ${key}: ` : ""}${said} ${latency} ms`));
  }
  if (!models.length) return;
  const list = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = `${models.length} models`;
  const names = document.createElement("p");
  names.dir = "auto";
  names.textContent = models.join(", ");
  list.append(summary, names);
  place.append(list);
}

async function check(place) {
  const wanted = new URL(place.dataset.check);
  if (wanted.origin !== location.origin) {
    const link = document.createElement("a");
    link.href = `${wanted.origin}/setup?step=address`;
    link.textContent = `Open this page at ${wanted.origin}`;
    const note = line("info", `You opened this page at ${location.origin}, so the public URL can't be checked from here. `);
    note.firstChild.append(link, " instead: when it shows, the name leads here.");
    place.replaceChildren(note);
    return;
  }
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    const good = answer.ok && (await answer.json()).status === "ok";
    place.replaceChildren(line(good ? "ok" : "bad", good ? `Your browser reaches the gateway at ${wanted.origin}.` : `Something else answers at ${wanted.origin} (status ${answer.status}).`));
  } catch {
    place.replaceChildren(line("bad", `Your browser can't reach the gateway at ${wanted.origin}.`));
  }
}

// A test says nothing of what has been changed since it began.
function forget({ target: { form } }) {
  const place = form && placeOf(form);
  if (!place) return;
  form.dataset.changed = "";
  place.hidden = true;
  place.replaceChildren();
}

document.addEventListener("input", forget);
document.addEventListener("submit", (event) => delete event.target.dataset.changed);
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-preset]")) choose(event.target);
  if (event.target.matches("select[name=api]")) readdress(event.target);
});
document.addEventListener("answered", (event) => {
  const place = placeOf(event.target);
  const asked = place && event.detail?.keys && "works" in event.detail;
  if (asked && !("changed" in event.target.dataset)) report(place, event.detail);
});
document.querySelectorAll("[data-check]").forEach(check);
