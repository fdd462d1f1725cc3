// Shows times in the reader's own zone. Everything works without it.
(() => {
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const here = (root) => {
    for (const each of root.querySelectorAll("time[datetime]:not([title])")) {
      each.title = each.textContent;
      each.textContent = shown.format(new Date(each.dateTime));
    }
  };
  here(document);
  document.addEventListener("htmx:afterSettle", () => here(document));
})();
