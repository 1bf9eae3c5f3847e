// The list of tasks while it is open: only what differs is changed, so focus, selection and scroll stay.
import { tell } from "./app.js";

const SOON = 2000; // between two looks while a task moves
const LATER = 10000;

// What is not filled in does not stand in the address.
document.querySelector("form.filters")?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});

const list = document.getElementById("list");
let tag = "";
let due = 0;
if (list) {
  wait();
  document.addEventListener("visibilitychange", () => document.hidden || look());
}

function wait() {
  clearTimeout(due);
  due = setTimeout(look, list.dataset.moving === undefined ? LATER : SOON);
}

async function look() {
  if (document.hidden) return; // it is looked at again when somebody sees it
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(list.dataset.again, { headers, cache: "no-store" });
    if (answer.redirected) return location.reload(); // signed out
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      tag = answer.headers.get("ETag") ?? "";
    }
    state("live");
  } catch {
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (!document.getElementById("live-state")?.textContent.startsWith("not")) {
      state(`not live since ${time}, trying again`);
      tell("The list is not live, trying again.");
    }
  }
  wait();
}

function state(words) {
  const place = document.getElementById("live-state");
  if (place && place.textContent !== words) place.textContent = words;
}

function show(page) {
  const fresh = page.getElementById("list");
  if (fresh.dataset.moving === undefined) delete list.dataset.moving;
  else list.dataset.moving = "";
  const states = document.getElementById("states");
  if (states) morph(states, page.getElementById("states"));
  const [rows, wanted] = [list.querySelector("ol"), fresh.querySelector("ol")];
  if (!rows || !wanted) {
    if (!rows && !wanted) return;
    if (!states) return location.reload(); // the first task: now there is something to filter
    list.dataset.again = fresh.dataset.again;
    list.replaceChildren(...fresh.childNodes);
    return;
  }
  const newer = document.getElementById("newer");
  const before = newer.textContent;
  morph(newer, page.getElementById("newer"));
  if (newer.textContent && newer.textContent !== before) tell(newer.textContent);
  merge(rows, wanted);
}

// Rows are known by their ids and always in the same order: newest first.
function merge(rows, wanted) {
  for (const row of [...rows.children]) {
    if (row.id && !wanted.querySelector(`#${row.id}`) && !row.contains(document.activeElement)) row.remove();
  }
  let last = rows.firstElementChild;
  for (const next of [...wanted.children].slice(1)) {
    const row = document.getElementById(next.id);
    if (!row) last.after(next);
    else {
      const before = row.querySelector(".st").textContent;
      morph(row, next);
      const now = row.querySelector(".st").textContent;
      if (now !== before) tell(`${row.querySelector("h2").textContent}: ${now}`);
    }
    last = row ?? next;
  }
}

// Make one piece of the page like another without taking away what is the same in both.
export function morph(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== next.nodeName) {
    old.replaceWith(next);
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [here, there] = [[...old.childNodes], [...next.childNodes]];
  there.forEach((each, at) => (here[at] ? morph(here[at], each) : old.append(each)));
  for (const each of here.slice(there.length)) each.remove();
}
