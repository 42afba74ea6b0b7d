// Forms that speak to the JSON API: <form method="post" data-api="PATCH /api/keys/7" data-then="close refresh:#keys">.
// A submit button may have a data-api and data-then of its own; data-confirm asks first; data-busy is said meanwhile.
//
// data-type of a control says what its text becomes: int (empty: null), usd (dollars to millionths; empty: null), number (of a
// number field; empty: null),
// list (commas or lines), lines, pairs (lines of `name: text`), day (of a date field, YYYYMMDD), time (local to epoch ms;
// empty: null), json. A checkbox is true or false. A control with
// data-omit is not sent while it is empty, one with data-unsent never. A name like timeouts/connect or model_rewrites/0/from makes nested JSON.
//
// data-then, in order: close (its dialog) · open:#id · show:#id · hide:#id · fill:#id (answers into [data-answer="key"])
// · refresh:#id (an htmx region with hx-trigger="refresh") · say:Saved. · reset · reload · go:/path. The event `answered` carries the
// answer in `detail` for what else a page does with it.
//
// What is chosen in a select with data-adds-to="models" becomes one more line of the form's control of that name.

const WORDS = "Can't reach the gateway. Check your connection and try again.";

const convert = {
  int: (text) => (text ? amounts.whole(text) : null),
  usd: (text) => (text ? amounts.dollars(text) : null),
  number: (text) => (text ? Number(text) : null),
  list: (text) => text.split(/[\n,]/).map((each) => each.trim()).filter(Boolean),
  lines: (text) => text.split("\n").map((each) => each.trim()).filter(Boolean),
  pairs: (text) => Object.fromEntries(convert.lines(text).map((line) => line.split(/:(.*)/s, 2).map((part) => part.trim()))),
  day: (text) => numberOr(text, text.replaceAll("-", "")),
  time: (text) => (text ? new Date(text).getTime() : null),
  json: (text) => JSON.parse(text),
};

function numberOr(text, digits) {
  return digits !== "" && Number.isFinite(Number(digits)) ? Number(digits) : text; // the API says what is wrong with it
}

function valueOf(control) {
  if (control.type === "checkbox") return control.checked;
  const text = control.dataset.type ? control.value.trim() : control.value;
  if (!text && "omit" in control.dataset) return undefined;
  return control.dataset.type ? convert[control.dataset.type](text) : text;
}

// What is sent, as JSON, and what is wrong with controls that can't be read, by name.
function read(form) {
  const [body, fields] = [{}, {}];
  for (const control of form.elements) {
    if (!control.name || control.disabled || "unsent" in control.dataset || (control.type === "radio" && !control.checked)) continue;
    try {
      const value = valueOf(control);
      if (value !== undefined) put(body, control.name.split("/"), value);
    } catch (error) {
      if (!(error instanceof amounts.Misread)) throw error;
      fields[control.name] = error.message;
    }
  }
  return { body: Object.keys(body).length ? JSON.stringify(compact(body)) : undefined, fields };
}

function put(into, [key, ...rest], value) {
  if (!rest.length) into[key] = value;
  else put((into[key] ??= /^\d+$/.test(rest[0]) ? [] : {}), rest, value);
}

function compact(value) {
  if (Array.isArray(value)) return value.filter((each) => each !== undefined).map(compact);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, compact(each)]));
}

// -- what went wrong ---------------------------------------------------------------------------------------------

function clear(form) {
  form.querySelectorAll("[aria-invalid]").forEach((control) => {
    control.removeAttribute("aria-invalid");
    control.classList.remove("is-invalid");
  });
  form.querySelectorAll(".invalid-feedback").forEach((message) => message.remove());
  form.querySelectorAll("[data-alert]").forEach((alert) => alert.remove());
}

function mark(control, message) {
  control.closest("div[hidden]")?.removeAttribute("hidden"); // a field that is asked for only now
  const said = document.createElement("div");
  said.className = "invalid-feedback d-block";
  said.id = `${control.id || control.name}-fault`;
  said.textContent = message;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${said.id} ${control.id}-hint`.trim());
  control.classList.add("is-invalid");
  (control.closest(".input-group") ?? control).after(said);
}

function alertIn(form, message) {
  const alert = document.createElement("div");
  alert.className = "alert alert-danger";
  alert.dataset.alert = "";
  alert.setAttribute("role", "alert");
  alert.tabIndex = -1;
  alert.dir = "auto";
  alert.textContent = message;
  const dialog = form.closest("dialog");
  const inline = form.matches(".inline, :not(:has(input, select, textarea))");
  const page = inline && !dialog ? document.querySelector("#alert") : null;
  if (page) {
    page.textContent = message;
    page.hidden = false;
    return page;
  }
  form.prepend(alert);
  return alert;
}

function tell(form, problem) {
  const named = new Map([...form.elements].filter((each) => each.name).map((each) => [each.name, each]));
  const missed = [];
  let first = null;
  for (const [key, message] of Object.entries(problem.fields ?? {})) {
    const name = key.replaceAll(/\[(\d+)\]/g, ".$1").replaceAll(".", "/");
    const control = named.get(key) ?? named.get(name) ?? named.get(name.split("/")[0]);
    if (control && control.type !== "hidden") {
      mark(control, sentence(message));
      first ??= control;
    } else {
      missed.push(`${key}: ${message}`);
    }
  }
  if (first && !missed.length) first.focus();
  else alertIn(form, missed.join(" ") || problem.detail || WORDS).focus();
}

function sentence(text) {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

// -- what comes next ---------------------------------------------------------------------------------------------

const steps = {
  close: (_, form) => form.closest("dialog")?.close(),
  open: (id) => document.querySelector(id).showModal(),
  show: (id) => {
    const element = document.querySelector(id);
    element.hidden = false;
    element.querySelector("h1, h2, [tabindex='-1']")?.focus();
  },
  hide: (id) => (document.querySelector(id).hidden = true),
  fill: (id, _, answer) =>
    document.querySelectorAll(`${id} [data-answer]`).forEach((each) => {
      each.textContent = answer?.[each.dataset.answer] ?? "";
    }),
  refresh: (id) => document.querySelector(id).dispatchEvent(new Event("refresh")),
  say: (word) => {
    const said = document.querySelector("#said");
    said.textContent = word;
    said.classList.replace("visually-hidden", "said-aloud");
    setTimeout(() => said.classList.replace("said-aloud", "visually-hidden"), 2500);
  },
  reset: (_, form) => form.reset(),
  reload: () => location.reload(),
  go: (path) => location.assign(path),
};

function goOn(form, then, answer) {
  form.dispatchEvent(new CustomEvent("answered", { bubbles: true, detail: answer }));
  for (const each of (then ?? "").split(" ").filter(Boolean)) {
    const [, step, about] = each.match(/^([a-z]+):?(.*)$/);
    steps[step](about, form, answer);
  }
}

async function ask(api, body) {
  const [method, url] = api.split(" ");
  const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) };
  try {
    const answer = await fetch(url, { method, headers, body });
    const text = await answer.text();
    return { status: answer.status, ok: answer.ok, content: text ? JSON.parse(text) : null };
  } catch {
    return { status: 0, ok: false, content: { detail: WORDS } };
  }
}

async function send(form, submitter) {
  const { body, fields } = read(form);
  if (Object.keys(fields).length) {
    clear(form);
    tell(form, { fields });
    return;
  }
  const told = submitter?.dataset.api ? submitter.dataset : form.dataset;
  const question = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !(await confirmed(question, submitter?.textContent.trim()))) return;
  if (form.ariaBusy === "true") return;
  const busy = busyWith(form, submitter);
  const { status, ok, content } = await ask(told.api, body);
  busy();
  clear(form);
  const page = document.querySelector("#alert");
  if (page) page.hidden = true;
  if (ok) goOn(form, told.then, content);
  else if (status === 401 && told.api !== "POST /api/login") {
    location.assign(`/?next=${encodeURIComponent(location.pathname + location.search)}`);
  } else {
    form.dispatchEvent(new CustomEvent("refused", { bubbles: true, detail: content }));
    tell(form, content ?? {});
  }
}

function busyWith(form, button) {
  form.ariaBusy = "true";
  button?.classList.add("btn-loading");
  return () => {
    form.ariaBusy = null;
    button?.classList.remove("btn-loading");
  };
}

function confirmed(question, word) {
  const dialog = document.querySelector("#confirm");
  dialog.querySelector("[data-question]").textContent = question;
  const yes = dialog.querySelector("[data-yes]");
  yes.textContent = word || "Yes";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    yes.onclick = () => dialog.close("yes");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-api]") && !event.submitter?.dataset.api) return;
  event.preventDefault();
  send(form, event.submitter);
});

document.addEventListener("change", ({ target }) => {
  if (!target.dataset?.addsTo || !target.value) return;
  const control = target.form.elements[target.dataset.addsTo];
  control.value = [...new Set([...convert.list(control.value), target.value])].join("\n");
  target.value = "";
});
