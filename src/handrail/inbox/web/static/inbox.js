// Times in the reader's own zone, keys, totals of what is selected, and a word when nothing answers.
// Everything works without it.
(() => {
  const shown = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  const all = (what, root = document) => [...root.querySelectorAll(what)];
  const here = (root) => {
    for (const each of all("time[datetime]:not([title])", root)) {
      each.title = each.textContent;
      each.textContent = shown.format(new Date(each.dateTime));
    }
    const moment = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g;
    for (const each of all(".then li, .moments", root)) {
      each.textContent = each.textContent.replace(moment, (_, day, time) => shown.format(new Date(`${day}T${time}Z`)));
    }
  };

  // A time is filled in as the reader's own, and sent in UTC, as without this.
  const own = (at) => new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  for (const each of all("input[type='datetime-local']")) {
    if (each.value && each.value === each.defaultValue) each.value = own(new Date(`${each.value}Z`));
    const said = each.labels[0].querySelector("small");
    said.textContent = said.textContent.replace("UTC", Intl.DateTimeFormat().resolvedOptions().timeZone);
    each.form.addEventListener("formdata", ({ formData }) => {
      if (each.value) formData.set(each.name, new Date(each.value).toISOString().slice(0, 16));
    });
  }

  // What is selected, and what its amounts come to.
  const add = () => {
    const box = document.getElementById("totals");
    if (!box) return;
    const picked = all(".pick:checked"), sums = new Map();
    for (const each of picked) {
      for (const [name, value] of Object.entries(JSON.parse(each.dataset.amounts))) {
        const digits = (value.split(".")[1] || "").length;
        const was = sums.get(name) || { sum: 0, digits: 0 };
        sums.set(name, { sum: was.sum + Number(value), digits: Math.max(was.digits, digits) });
      }
    }
    const told = [...sums].filter(([, { digits }]) => digits).map(([name, { sum, digits }]) =>
      name.split("|").join(` ${sum.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} `).trim());
    box.textContent = [`${picked.length} selected`, ...told].join(" · ");
    box.hidden = !picked.length;
  };
  document.addEventListener("change", (event) => { if (event.target.matches(".pick")) add(); });
  document.addEventListener("click", (event) => {
    if (!event.target.matches("#all")) return;
    event.preventDefault();
    const boxes = all(".pick"), on = boxes.some((each) => !each.checked);
    for (const each of boxes) each.checked = on;
    add();
  });

  // A word when nothing answers: at once that it is sent, after eight seconds that nobody knows.
  const say = (id, text) => {
    let box = document.getElementById(id);
    if (!box) {
      box = document.createElement("p");
      box.id = id;
      box.className = "notice fault";
      box.setAttribute("role", "status");
      document.getElementById("main").prepend(box);
    }
    box.textContent = text;
    return box;
  };
  const forget = (id) => document.getElementById(id)?.remove();
  const free = () => { for (const each of all("form[aria-busy]")) each.removeAttribute("aria-busy"); forget("busy"); };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.hasAttribute("aria-busy")) { event.preventDefault(); return; }
    form.setAttribute("aria-busy", "true");
    const box = say("busy", "Sending …");
    box.classList.remove("fault");
    setTimeout(() => {
      if (!form.hasAttribute("aria-busy")) return;
      window.stop();
      free();
      say("unknown", "No answer within 8 seconds. It may have been sent: load this page again to see how it stands before you send it once more.").scrollIntoView({ block: "nearest" });
    }, 8000);
  });
  window.addEventListener("pageshow", free);
  let since = null;
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, successful } = event.detail;
    if (successful || (xhr.status > 0 && xhr.status < 500)) { since = null; forget("stale"); return; }
    since ??= new Date();
    say("stale", `Not connected since ${shown.format(since)}: what you see may be out of date. Nothing is sent meanwhile.`);
  });

  // Keys: j, k to the next and the one before, a, r to the ruling, x to select, ? for help.
  const help = () => {
    const box = document.getElementById("keys");
    if (box.open) box.close(); else box.showModal();
  };
  const step = (by) => {
    const links = all(".cards h2 a");
    if (!links.length) { document.querySelector(by > 0 ? "a[rel='next']" : "a[rel='prev']")?.click(); return; }
    const at = links.indexOf(document.activeElement);
    const to = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
    if (to) { to.focus(); to.closest("li").scrollIntoView({ block: "nearest" }); }
    else document.querySelector(by > 0 ? "a[rel='next']" : "a[rel='prev']")?.click();
  };
  const go = (value) => {
    const to = all(`#rule [value='${value}'], #bulk [value='${value}']`).find((each) => each.checkVisibility?.() ?? true);
    const reason = value === "reject" && to?.form.querySelector("textarea[name='why']");
    (reason && !reason.value ? reason : to)?.focus();
    to?.scrollIntoView({ block: "center" });
  };
  const keys = {
    j: () => step(1), k: () => step(-1), a: () => go("approve"), r: () => go("reject"), "?": help,
    x: () => document.activeElement.closest?.(".card")?.querySelector(".pick")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type='checkbox']), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  here(document);
  add();
  document.addEventListener("htmx:afterSettle", () => { here(document); add(); });
})();
