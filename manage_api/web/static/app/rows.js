// Lists of rows in a form: [data-row-add="#template"] adds one to the [data-rows] near it, [data-row-up], [data-row-down] and
// [data-row-remove] in a [data-row] change it. The number in the names of its controls is the place of the row.

function number(rows) {
  [...rows.children].forEach((row, at) => {
    row.querySelectorAll("[name]").forEach((control) => (control.name = control.name.replace(/\/\d+\//, `/${at}/`)));
  });
}

function add(button) {
  const rows = button.closest("section, form").querySelector("[data-rows]");
  rows.append(document.querySelector(button.dataset.rowAdd).content.cloneNode(true));
  rows.lastElementChild.querySelector("input").focus();
  return rows;
}

const moves = {
  "[data-row-up]": (row) => row.previousElementSibling?.before(row),
  "[data-row-down]": (row) => row.nextElementSibling?.after(row),
  "[data-row-remove]": (row) => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    next?.querySelector("input").focus();
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.matches("[data-row-add]")) number(add(button));
  for (const [selector, move] of Object.entries(moves)) {
    if (!button?.matches(selector)) continue;
    const rows = button.closest("[data-rows]");
    move(button.closest("[data-row]"));
    if (button.isConnected) button.focus();
    number(rows);
  }
});

document.querySelectorAll("[data-rows]").forEach(number);
