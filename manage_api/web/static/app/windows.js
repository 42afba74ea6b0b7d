// Dialogs and drawers (native <dialog>), the menu of small screens, copy buttons, and `/` for the search field.
//
// data-open="#dialog" opens, empty until what its hx-get asks for has come; data-close closes; data-drawer="/fragment"
// opens the drawer of base.html with what is there (whose heading has the id drawer-title); data-copy="#id" copies a text;
// data-toggle="#id" shows and hides.

function say(text) {
  document.querySelector("#said").textContent = text;
}

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard but on this machine: the text is selected, to be copied by hand.
    getSelection().selectAllChildren(source);
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

function openDrawer(opener) {
  const drawer = document.querySelector("#drawer");
  const title = document.createElement("h2");
  title.id = "drawer-title";
  title.textContent = "…";
  document.querySelector("#drawer-body").replaceChildren(title); // what was shown last is not what was asked for
  drawer.showModal();
  htmx.ajax("GET", opener.dataset.drawer, { target: "#drawer-body", swap: "innerHTML" });
}

function openDialog(button) {
  const asked = button.getAttribute("hx-target");
  if (asked) document.querySelector(asked).replaceChildren(); // the form of another account may still be in it
  document.querySelector(button.dataset.open).showModal();
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
  if (event.target.matches("dialog")) event.target.close(); // outside of its content
  for (const [selector, act] of Object.entries(actions)) {
    const element = event.target.closest(selector);
    if (element) act(element);
  }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable], dialog[open]");
  const search = document.querySelector("[data-search]");
  if (event.key !== "/" || typing || !search) return;
  event.preventDefault();
  search.focus();
});
