// The page to try it: a conversation with a model, asked for as any client asks.
//
// The session's cookie is out of reach of scripts, so requests carry a token of their own (POST /api/call-token). What the
// books say of a request is found by the name in its answer's header. `history` is what is sent: no reasoning is in it.

const MOST_ROUNDS = 8; // a model that calls the tool over and over is stopped
const RENEW = 30_000; // ms before a token ends
const WORDS = "Can't reach the gateway. Check your connection and try again.";
const TOOL = {
  type: "function",
  function: {
    name: "current_time",
    description: "The date and time of day now, in one time zone.",
    parameters: {
      type: "object",
      properties: { time_zone: { type: "string", description: "An IANA name, like Asia/Tokyo. Default: UTC." } },
    },
  },
};

const find = (id) => document.querySelector(id);
const place = find("#try");
const [list, key, model, tools, text] = ["#talk", "#talk-key", "#talk-model", "#talk-tools", "#talk-text"].map(find);
const [send, stop] = [find("#talk-send"), find("#talk-stop")];

let history = [];
let token = null;
let running = null; // the AbortController of what runs

// -- the gateway -------------------------------------------------------------------------------------------------

async function ask(url, options = {}) {
  const answer = await fetch(url, options);
  if (answer.status === 401 && url.startsWith("/api/")) location.assign("/?next=/try");
  return answer;
}

async function credential() {
  if (token && token.key === key.value && token.expires_at - Date.now() > RENEW) return token.token;
  const body = JSON.stringify({ key_id: key.value ? Number(key.value) : null });
  const answer = await ask("/api/call-token", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const told = await answer.json();
  if (!answer.ok) throw new answers.Refused(told.detail ?? WORDS, answer.status);
  token = { ...told, key: key.value };
  return token.token;
}

async function call(path, body, signal) {
  const headers = { Authorization: `Bearer ${await credential()}`, ...(body && { "Content-Type": "application/json" }) };
  return ask(place.dataset.v1 + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
}

async function showModels() {
  try {
    const answer = await call("/models");
    if (!answer.ok) return;
    const names = (await answer.json()).data.map((each) => each.id);
    find("#talk-models").replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
    model.value ||= names[0] ?? "";
    model.placeholder = names.length ? "" : "As the provider spells it";
    showPrograms();
  } catch {
    // the first message says what is wrong
  }
}

// What the books have of a request: they are written about when its answer ends.
async function recorded(exchange) {
  for (const wait of [0, 300, 1000, 3000]) {
    await new Promise((go) => setTimeout(go, wait));
    const answer = await ask("/api/my-requests?limit=20");
    if (!answer.ok) return null;
    const found = (await answer.json()).items.find((each) => each.exchange === exchange);
    if (found) return found;
  }
  return null;
}

// -- what is shown -----------------------------------------------------------------------------------------------

function state(kind, words) {
  find("#talk-state").className = `state state-${kind}`;
  find("#talk-state").textContent = words;
}

function element(tag, className, words = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = words;
  return made;
}

function turn(who, kind) {
  find("#talk-empty").hidden = true;
  const made = find("#talk-turn").content.cloneNode(true).firstElementChild;
  made.classList.add(`turn-${kind}`);
  made.firstElementChild.textContent = who;
  list.append(made);
  return made;
}

function say(where, words) {
  const said = element("div", "turn-text", words);
  said.dir = "auto";
  where.append(said);
  return said;
}

// Whoever has scrolled up to read stays there.
function keepInView(work) {
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
  work();
  if (atEnd && document.activeElement === document.body) scrollTo(0, document.documentElement.scrollHeight);
}

// A function that shows what comes of an answer.
function listener(where) {
  const parts = {};
  return (kind, piece) =>
    keepInView(() => {
      if (kind === "reasoning" && !parts.reasoning) {
        const thought = find("#talk-thought").content.cloneNode(true).firstElementChild;
        where.append(thought);
        parts.reasoning = thought.lastElementChild;
        state("info", "Thinking");
      }
      if (kind === "text" && !parts.text) {
        parts.text = say(where, "");
        state("info", "Answering");
      }
      parts[kind].append(piece);
    });
}

function trouble(where, words, again) {
  const note = find("#talk-trouble").content.cloneNode(true).firstElementChild;
  note.querySelector("p").textContent = words;
  const button = note.querySelector("[data-again]");
  button.onclick = () => {
    note.closest(".turn").remove();
    again();
  };
  where.append(note);
}

function counted(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

// What became of the reasoning of earlier answers.
function restoring({ restored, missing, rules }) {
  const earlier = Object.values(rules).reduce((sum, each) => sum + each, 0);
  if (missing) return ["warn", `The reasoning of ${counted(missing, "earlier answer")} was not found`];
  if (restored) return ["ok", `The gateway put back the reasoning of ${counted(restored, "earlier answer")}`];
  if (earlier) return ["idle", "No earlier answer needed its reasoning"];
  return null;
}

async function account(where, exchange) {
  const found = exchange && (await recorded(exchange).catch(() => null));
  if (!found || !where.isConnected) return;
  const line = element("p", "turn-books");
  const told = restoring(found);
  if (told) line.append(element("span", `state state-${told[0]}`, told[1]));
  const [asked, answered] = [found.prompt_tokens, found.completion_tokens];
  if (asked + answered) line.append(element("span", "", `${counted(asked, "token")} in, ${answered} out`));
  const details = element("button", "row-link", "Details");
  details.type = "button";
  details.dataset.drawer = `/requests/${found.id}`;
  line.append(details);
  keepInView(() => where.append(line));
}

function body() {
  const messages = history.length ? history : [{ role: "user", content: text.placeholder }];
  return { model: model.value || "MODEL", messages, ...(tools.checked && { tools: [TOOL] }), stream: true };
}

function showPrograms() {
  for (const [name, write] of Object.entries(snippets)) find(`#same-${name}`).textContent = write(place.dataset.base, body());
}

// -- the conversation --------------------------------------------------------------------------------------------

function answerCall({ function: { name, arguments: told } }) {
  if (name !== TOOL.function.name) return `This page has no tool ${name}.`;
  try {
    const timeZone = JSON.parse(told || "{}").time_zone || "UTC";
    return new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long", timeZone }).format();
  } catch (error) {
    return `This does not work: ${error.message}`;
  }
}

function keep({ text: said, calls }) {
  const message = { role: "assistant", content: said || null, ...(calls.length && { tool_calls: calls }) };
  if (said || calls.length) history.push(message);
}

function failed(error, where) {
  if (error.status === 401) token = null;
  trouble(where, error instanceof answers.Refused ? error.message : WORDS, () => run(converse));
  state("bad", "Failed");
}

// Ask once; the answer, or null when there is none to go on from.
async function hear(where, signal) {
  const asked = history;
  let response = null;
  try {
    response = await call("/chat/completions", body(), signal);
    return await answers.read(response, listener(where));
  } catch (error) {
    if (asked !== history) return null; // another conversation has begun
    if (error.answer) keep({ ...error.answer, calls: [] }); // as Cursor does: of what was cut off, the text stays
    if (!signal.aborted) {
      failed(error, where);
      return null;
    }
    where.append(element("p", "turn-note", "Stopped."));
    state("idle", "Stopped");
    return null;
  } finally {
    account(where, response?.headers.get("x-thinkback-exchange"));
  }
}

async function converse(signal) {
  const asked = history;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    state("info", "Waiting");
    const where = turn(model.value, "assistant");
    const answer = await hear(where, signal);
    if (!answer || asked !== history) return;
    keep(answer);
    if (!answer.calls.length) {
      state("ok", "Answered");
      return;
    }
    for (const each of answer.calls) use(each, where);
  }
  trouble(turn("This page", "tool"), `It has called tools ${MOST_ROUNDS} times.`, () => run(converse));
  state("warn", "Paused");
}

function use(made, where) {
  const result = answerCall(made);
  where.append(element("code", "turn-call", `${made.function.name}(${made.function.arguments})`));
  history.push({ role: "tool", tool_call_id: made.id, content: result });
  say(turn(`Result of ${made.function.name}`, "tool"), result);
}

// Do the work with the buttons as they are meanwhile.
async function run(work) {
  if (running) return;
  running = new AbortController();
  send.hidden = true;
  stop.hidden = false;
  try {
    await work(running.signal);
  } finally {
    running = null;
    const held = document.activeElement === stop || document.activeElement === document.body;
    send.hidden = false;
    stop.hidden = true;
    if (held) text.focus();
    showPrograms();
  }
}

find("#talk-say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running || !text.value.trim() || !find("#talk-with").reportValidity()) return;
  const said = text.value;
  history.push({ role: "user", content: said });
  say(turn("You", "user"), said);
  text.value = "";
  run(converse);
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find("#talk-say").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.target.closest("dialog")) running?.abort();
});
stop.addEventListener("click", () => running?.abort());
find("#talk-anew").addEventListener("click", () => {
  history = [];
  running?.abort();
  list.replaceChildren();
  find("#talk-empty").hidden = false;
  find("#talk-state").textContent = "";
  find("#talk-state").className = "";
  showPrograms();
  text.focus();
});
find("#talk-with").addEventListener("submit", (event) => event.preventDefault());
key.addEventListener("change", showModels);
for (const each of [model, tools]) each.addEventListener("change", showPrograms);
showPrograms();
showModels();
