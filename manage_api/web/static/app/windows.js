// Dialogs and drawers (native <dialog>), the menu of small screens, copy buttons, and `/` for the search field.
//
// data-open="#dialog" opens, empty until what its hx-get asks for has come; data-close closes; data-drawer="/fragment"
// opens the drawer of base.html with what is there (whose heading has the id drawer-title); data-copy="#id" copies a text;
// data-toggle="#id" shows and hides. A dialog with data-kept shows what is shown once: only its own button closes it.

function say(text) {
  document.querySelector("#said").textContent = text;
}

// Without TLS there is no clipboard but on this machine; the older command copies what is selected.
function copySelected(source, text) {
  const give = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  };
  getSelection().selectAllChildren(source);
  document.addEventListener("copy", give);
  const copied = document.execCommand("copy");
  document.removeEventListener("copy", give);
  if (copied) getSelection().removeAllRanges();
  return copied;
}

async function isCopied(source, text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(source, text);
  }
}

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  if (!(await isCopied(source, source.value ?? source.textContent))) {
    say("Selected: press Ctrl+C to copy.");
    return;
  }
  const label = button.querySelector("[data-said]");
  const before = label.textContent;
  label.textContent = label.dataset.said;
  button.classList.add("copied");
  say("Copied.");
  setTimeout(() => {
    label.textContent = before;
    button.classList.remove("copied");
  }, 1500);
}

// The first field of a form in what has opened has the focus, not the button to close it.
function focusFirst(dialog) {
  const fields = dialog.querySelectorAll("form :is(input, select, textarea):not([type=hidden]):not(:disabled)");
  const first = [...fields].find((field) => field.checkVisibility());
  first?.focus();
  return Boolean(first);
}

function focusWhenThere(dialog, place) {
  new MutationObserver((_, watch) => {
    if (!dialog.open || focusFirst(dialog)) watch.disconnect();
  }).observe(place, { childList: true, subtree: true });
}

function openDrawer(opener) {
  const drawer = document.querySelector("#drawer");
  const title = document.createElement("h2");
  title.id = "drawer-title";
  title.textContent = "…";
  document.querySelector("#drawer-body").replaceChildren(title); // what was shown last is not what was asked for
  drawer.showModal();
  focusWhenThere(drawer, document.querySelector("#drawer-body"));
  htmx.ajax("GET", opener.dataset.drawer, { target: "#drawer-body", swap: "innerHTML" });
}

function openDialog(button) {
  const dialog = document.querySelector(button.dataset.open);
  const asked = button.getAttribute("hx-target");
  if (asked) document.querySelector(asked).replaceChildren(); // the form of another account may still be in it
  dialog.showModal();
  if (asked) focusWhenThere(dialog, document.querySelector(asked));
  else focusFirst(dialog);
}

const actions = {
  "[data-open]": openDialog,
  "[data-close]": (button) => button.closest("dialog").close(),
  "[data-drawer]": openDrawer,
  "[data-copy]": copy,
  "[data-toggle]": (button) => {
    const shown = document.querySelector(button.dataset.toggle).classList.toggle("open");
    button.setAttribute("aria-expanded", String(shown));
  },
};

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog:not([data-kept])")) event.target.close(); // outside of its content
  for (const [selector, act] of Object.entries(actions)) {
    const element = event.target.closest(selector);
    if (element) act(element);
  }
});

const isKept = (target) => target instanceof Element && target.closest("dialog[data-kept][open]");
document.addEventListener("cancel", (event) => isKept(event.target) && event.preventDefault(), true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.querySelector("dialog[data-kept][open]")) event.preventDefault(); // a second Esc closes without asking
  const typing = event.target.closest("input, textarea, select, [contenteditable], dialog[open]");
  const search = document.querySelector("[data-search]");
  if (event.key !== "/" || typing || !search) return;
  event.preventDefault();
  search.focus();
});
