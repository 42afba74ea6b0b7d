// A key that was just created stands in the instructions for clients, where "sk-…" was: it is shown this once.

document.addEventListener("answered", ({ detail }) => {
  if (!detail?.api_key || detail.scope === "admin") return;
  document.querySelectorAll("code[id^='connect-']").forEach((each) => {
    each.dataset.before ??= each.textContent;
    each.textContent = each.dataset.before.replaceAll("sk-…", detail.api_key);
  });
  document.querySelectorAll("[data-new-key]").forEach((each) => (each.hidden = false));
});
