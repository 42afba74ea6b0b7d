// Follows the server-sent events at the address in [data-live] and refreshes that htmx region when one tells something
// new, once a second at most; the button [data-live-pause] holds it, and #live-state says how it stands. While nothing is
// heard (a proxy or a tunnel buffers the events), it refreshes the region every few seconds.

const EACH = 1000;
const AGAIN = 10_000;
const POLL = 5000;
const SILENT = 20_000; // the gateway says something every 15 s

const pause = document.querySelector("[data-live-pause]");
const said = document.querySelector("#live-state");

let source = null;
let followed = "";
let paused = false;
let missed = 0;
let due = 0;
let last = 0;
let heard = 0;
const begun = Date.now();

function say(kind, text) {
  if (said.textContent === text) return;
  said.className = `state state-${kind}`;
  said.textContent = text;
}

function show() {
  if (paused) say("warn", missed ? `Paused, ${missed} new` : "Paused");
  else if (Date.now() - Math.max(heard, begun) > SILENT) say("idle", "Every 5 seconds");
  else if (source?.readyState === EventSource.OPEN) say("ok", "Live");
  else say("idle", "Connecting");
}

function refresh() {
  clearTimeout(due);
  due = setTimeout(() => {
    last = Date.now();
    document.querySelector("[data-live]").dispatchEvent(new Event("refresh"));
  }, Math.max(0, last + EACH - Date.now()));
}

function hear() {
  heard = Date.now();
  if (paused) missed += 1;
  else refresh();
  show();
}

function follow() {
  const address = document.querySelector("[data-live]").dataset.live;
  if (address === followed && source?.readyState !== EventSource.CLOSED) return;
  source?.close();
  followed = address;
  source = new EventSource(address);
  source.addEventListener("opened", hear);
  source.addEventListener("settled", hear);
  source.addEventListener("alive", () => {
    heard = Date.now();
    show();
  });
  source.onopen = () => {
    if (!paused) refresh(); // what happened before it was open is not told
    show();
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN); // refused, not only cut off
    say("bad", "Not connected; retrying");
  };
  show();
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.toggleAttribute("data-paused", paused);
  if (!paused && missed) refresh();
  missed = 0;
  show();
});
setInterval(() => {
  if (paused || document.hidden || Date.now() - heard < SILENT) return;
  refresh();
  show();
}, POLL);
document.addEventListener("htmx:after:swap", follow); // other filters bring another address
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && follow());
follow();
