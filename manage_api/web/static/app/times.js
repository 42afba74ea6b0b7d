// <time datetime="…" data-local> in the zone and words of the reader; data-local="date" leaves the time of day out.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function show(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const text = (time.dataset.local === "date" ? dates : exact).format(moment);
  if (time.textContent !== text) time.textContent = text;
  time.title = full.format(moment);
}

// <input type="datetime-local" data-ms="…"> has an hour of the reader's too.
function enter(input) {
  const moment = new Date(Number(input.dataset.ms));
  input.value = new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function showIn(element) {
  if (element.matches("input[data-ms]")) enter(element);
  element.querySelectorAll("input[data-ms]").forEach(enter);
  if (element.matches("time[data-local]")) show(element);
  element.querySelectorAll("time[data-local]").forEach(show);
}

showIn(document.documentElement);
new MutationObserver((changes) => {
  for (const change of changes) {
    const changed = change.target.parentElement?.closest("time[data-local]"); // a morph put the server's words back
    if (changed) show(changed);
    for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) showIn(node);
  }
}).observe(document.documentElement, { childList: true, characterData: true, subtree: true });
