// What every page does with a script: theme, copying, keys. Nothing here is needed to submit, watch or download.
const root = document.documentElement;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.themeNext !== undefined) nextTheme();
  if (button.dataset.copy !== undefined) {
    event.preventDefault();
    await copy(button.dataset.copy, button);
  }
});

function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme || (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // Then it holds for this page.
  }
}

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain http there is no clipboard but the old one.
    const area = document.createElement("textarea");
    area.value = text;
    button.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.dataset.done = "";
  tell("Copied.");
  setTimeout(() => delete button.dataset.done, 1500);
}

// One polite place for what a screen reader should hear.
export function tell(words) {
  const place = document.getElementById("told");
  if (place) place.textContent = words;
}

// An open menu closes by Escape or by a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// Keys: `bind` takes one key, or two with a space between. None while somebody writes.
const keys = new Map();
let before = "";

export function bind(key, words, act) {
  keys.set(key, { words, act });
}

const FIELD = "input, textarea, select, [contenteditable], dialog";

function hear(event) {
  const at = event.target.closest ? event.target : document.body; // before there was a body it was the document
  if (event.key === "Escape") return escape(at);
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    at.closest("form")?.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (at.closest(FIELD)) return;
  const found = keys.get(`${before} ${event.key}`) ?? keys.get(event.key);
  before = event.key;
  if (!found) return;
  event.preventDefault();
  found.act();
}

// All scripts of a page have bound their keys by now. What was pressed before comes first, in order;
// what follows a key that led to a field was meant for that field.
document.addEventListener("DOMContentLoaded", () => {
  const { keys: pressed, hold } = early; // of theme.js
  document.removeEventListener("keydown", hold);
  const first = document.activeElement;
  for (const event of pressed) {
    const now = document.activeElement;
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (now === first || !now?.closest(FIELD) || modified) hear(event);
    else if (event.key.length === 1) document.execCommand("insertText", false, event.key);
  }
  document.addEventListener("keydown", hear);
});

function escape(at) {
  const menu = at.closest("details.menu[open]") ?? document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

const go = (path) => () => location.assign(path);

if (document.querySelector(".top nav")) {
  bind("c", "New task", go("/submit"));
  bind("g t", "Tasks", go("/tasks"));
  bind("g u", "Usage", go("/usage"));
}
bind("/", "Search or filter", () => document.querySelector("input[type=search]")?.focus());
bind("y", "Copy the address of this page and its line", () => {
  copy(location.href, document.querySelector(".here") ?? document.querySelector("h1"));
});
bind("?", "These keys", showKeys);
const tabs = [...document.querySelectorAll(".tabs a")];
tabs.forEach((tab, at) => {
  if (at < 9) bind(String(at + 1), `Tab ${tab.firstChild.textContent.trim()}`, () => tab.click());
});

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-h");
  const header = document.createElement("header");
  const title = document.createElement("h2");
  title.id = "keys-h";
  title.textContent = "Keys";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet sm";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  header.append(title, close);
  const list = document.createElement("dl");
  list.className = "rows in";
  for (const [key, { words }] of keys) {
    const term = document.createElement("dt");
    for (const each of key.split(" ")) {
      const cap = document.createElement("kbd");
      cap.textContent = each;
      term.append(cap, " ");
    }
    const said = document.createElement("dd");
    said.textContent = words;
    list.append(term, said);
  }
  dialog.append(header, list);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// Rows that can be walked through with j and k: tasks, files, steps.
export function walk(selector, name) {
  const all = () => [...document.querySelectorAll(selector)];
  const step = (by) => () => {
    const rows = all();
    const top = 120;
    const now = rows.findIndex((row) => row.getBoundingClientRect().top > top + (by > 0 ? 1 : -1));
    const held = rows.findIndex((row) => row.contains(document.activeElement));
    const base = held >= 0 ? held + by : by > 0 ? now : (now < 0 ? rows.length : now) - 1;
    const row = rows[Math.max(0, Math.min(rows.length - 1, base))];
    if (!row) return;
    row.scrollIntoView({ block: "start" });
    row.querySelector("a, summary")?.focus({ preventScroll: true });
  };
  if (!all().length) return;
  bind("j", `Next ${name}`, step(1));
  bind("k", `Previous ${name}`, step(-1));
}

walk(".tasks > li:not(.cap)", "task");
walk(".steps > li", "step");
