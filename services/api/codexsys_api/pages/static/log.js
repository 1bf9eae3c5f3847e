// The log: all of it, from its first line to what comes, with only what is near the view on the page.
import { bind } from "./app.js";

const BLOCK = 200; // lines that come and go together
const ROW = 20; // the height of a line until it was seen
const MOST = 1_500_000; // lines; a page cannot be higher
const LONG = 4000; // characters of a line that are shown
const BUDGET = 12; // milliseconds of work before the page may do something else

const panel = document.querySelector("[data-log]");
if (panel) open(panel);

function open(panel) {
  const before = panel.querySelector(".log");
  const box = document.createElement("div");
  box.className = before?.classList.contains("tall") || !panel.dataset.live ? "log tall" : "log";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Lines of the log");
  const follow = panel.querySelector("[data-follow]");
  const state = panel.querySelector("[data-state]");
  const log = { panel, box, follow, state, lines: [], rest: "", blocks: [], style: plain(), styles: [plain()], marks: [], bytes: 0, dropped: 0 };
  log.near = new IntersectionObserver((entries) => look(log, entries), { root: box, rootMargin: "1500px 0px" });
  follow.checked = Boolean(panel.dataset.live) && !location.hash;
  panel.log = log;
  read(log, before).catch(() => say(log, "The log did not come. Reload the page to try again."));
  wire(log);
}

async function read(log, before) {
  const answer = await fetch(log.panel.dataset.log, { headers: { Accept: "text/plain" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let shown = false;
  let since = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    log.bytes += value.length;
    for (let at = 0; at < value.length; at += 65536) {
      take(log, decoder.decode(value.subarray(at, at + 65536), { stream: true }));
      if (performance.now() - since > BUDGET) {
        if (!shown && log.lines.length) shown = show(log, before);
        say(log, `${size(log.bytes)} read`);
        await new Promise(requestAnimationFrame);
        since = performance.now();
      }
    }
  }
  take(log, decoder.decode());
  settle(log);
  if (!shown) show(log, before);
  log.seen = log.drawn;
  countNew(log);
  say(log, "");
  jumpToHash(log);
  if (log.panel.dataset.live) listen(log);
}

function show(log, before) {
  if (before) before.replaceWith(log.box);
  else log.panel.querySelector("p.in")?.replaceWith(log.box);
  settle(log);
  return true;
}

// From where the text ended on: the server counts bytes, so nothing comes twice or not at all, also after a break.
function listen(log) {
  const address = new URL(log.panel.dataset.log, location.href);
  address.searchParams.set("after", log.bytes);
  const source = new EventSource(address);
  source.addEventListener("log", (event) => {
    take(log, JSON.parse(event.data).text);
    say(log, "");
    if (!log.due) log.due = requestAnimationFrame(() => settle(log));
  });
  source.addEventListener("done", () => source.close());
  source.addEventListener("open", () => say(log, ""));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) return;
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (!log.state.textContent) say(log, `Not live since ${time}, trying again`);
  });
  addEventListener("pagehide", () => source.close());
}

function say(log, words) {
  if (log.state.textContent !== words) log.state.textContent = words;
}

function size(bytes) {
  return bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

// Text into lines. A style that holds at the end of a block is where the next one begins.
function take(log, text) {
  const parts = (log.rest + text).split("\n");
  log.rest = parts.pop();
  for (const part of parts) add(log, part);
}

function add(log, line) {
  const number = log.lines.push(line);
  if (line.includes("\x1b")) log.style = after(line, log.style);
  if (number % BLOCK === 0) log.styles[number / BLOCK] = log.style;
  const mark = /^== (.{1,80})|^(step \d+):/.exec(line);
  if (mark && log.marks.length < 1000) {
    const name = mark[1] ?? mark[2];
    if (name !== log.marks.at(-1)?.name) log.marks.push({ name, number });
  }
}

// Blocks for the lines that are there now; the last one is drawn again when it has grown.
function settle(log) {
  log.due = 0;
  const count = log.lines.length + (log.rest ? 1 : 0);
  const wanted = Math.ceil(count / BLOCK);
  const grown = log.drawn !== undefined && log.drawn !== count ? Math.floor(log.drawn / BLOCK) : -1;
  const fresh = document.createDocumentFragment();
  for (let at = log.blocks.length; at < wanted; at += 1) {
    const block = document.createElement("ol");
    block.className = "block";
    block.dataset.at = at;
    log.blocks.push(block);
    fresh.append(block);
    log.near.observe(block);
  }
  log.box.append(fresh);
  for (let at = Math.max(0, grown); at < wanted; at += 1) {
    const block = log.blocks[at];
    if (block.dataset.there) fill(log, block);
    else block.style.height = `${linesOf(log, at).length * ROW}px`;
  }
  while (log.blocks.length - log.dropped > MOST / BLOCK) log.blocks[log.dropped++].remove();
  log.drawn = count;
  if (log.follow.checked) toEnd(log);
  countNew(log);
  choices(log);
}

// What came since one looked back; the place for it is always as wide, so nothing moves.
function countNew(log) {
  if (log.follow.checked || log.seen === undefined) log.seen = log.drawn ?? 0;
  const place = log.panel.querySelector("[data-new]");
  if (!place) return;
  const more = (log.drawn ?? 0) - log.seen;
  place.textContent = more <= 0 ? "" : more < 10000 ? `+${more.toLocaleString("en")}` : "+9,999";
}

function linesOf(log, at) {
  const lines = log.lines.slice(at * BLOCK, (at + 1) * BLOCK);
  if (log.rest && lines.length < BLOCK && Math.floor(log.lines.length / BLOCK) === at) lines.push(log.rest);
  return lines;
}

function toEnd(log) {
  const last = log.blocks.at(-1);
  if (last && !last.dataset.there) fill(log, last);
  log.box.scrollTop = log.box.scrollHeight;
  log.end = log.box.scrollTop;
}

function look(log, entries) {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && !target.dataset.there) fill(log, target);
    else if (!isIntersecting && target.dataset.there) {
      target.style.height = `${target.offsetHeight}px`;
      target.replaceChildren();
      delete target.dataset.there;
    }
  }
  if (log.follow.checked && log.box.scrollTop < log.end) toEnd(log);
}

function fill(log, block) {
  const at = Number(block.dataset.at);
  let style = log.styles[at] ?? plain();
  const rows = linesOf(log, at).map((line, index) => {
    const number = at * BLOCK + index + 1;
    const row = document.createElement("li");
    row.id = `L${number}`;
    if (number === log.here) row.className = "here";
    const count = document.createElement("b");
    count.textContent = number;
    const words = document.createElement("span");
    style = draw(words, line, style, log.wanted);
    row.append(count, words);
    return row;
  });
  block.replaceChildren(...rows);
  block.style.height = "";
  block.dataset.there = "yes";
}

// Colours become classes of the stylesheet; every other control is left out. Text is only ever text.
const ESCAPE = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;
const ODD = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const COLOURS = ["dim", "red", "green", "yellow", "blue", "magenta", "cyan", ""];

function plain() {
  return { bold: false, dim: false, colour: "" };
}

function set(style, codes) {
  const numbers = (codes || "0").split(/[;:]/).map(Number);
  if (numbers[0] === 38 || numbers[0] === 48) return style;
  let next = { ...style };
  for (const number of numbers) {
    if (number === 0) next = plain();
    else if (number === 1 || number === 2) [next.bold, next.dim] = [number === 1, number === 2];
    else if (number === 22) next.bold = next.dim = false;
    else if ((number >= 30 && number <= 37) || (number >= 90 && number <= 97)) next.colour = COLOURS[number % 10];
    else if (number === 39) next.colour = "";
  }
  return next;
}

function after(line, style) {
  for (const found of line.matchAll(ESCAPE)) if (found[1] !== undefined) style = set(style, found[1]);
  return style;
}

function visible(text) {
  return text.replace(ODD, (odd) => `[U+${odd.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

function draw(into, whole, style, wanted) {
  let line = whole.replace(/\r+$/, "");
  line = line.slice(line.lastIndexOf("\r") + 1);
  const left = line.length - LONG;
  if (left > 0) line = line.slice(0, LONG);
  let at = 0;
  const piece = (text) => {
    if (!text) return;
    const names = [style.bold && "a-b", style.dim && "a-dim", style.colour && `a-${style.colour}`].filter(Boolean);
    const place = names.length ? into.appendChild(document.createElement("span")) : into;
    if (names.length) place.className = names.join(" ");
    highlight(place, visible(text), wanted);
  };
  for (const found of line.matchAll(ESCAPE)) {
    piece(line.slice(at, found.index));
    if (found[1] !== undefined) style = set(style, found[1]);
    at = found.index + found[0].length;
  }
  piece(line.slice(at));
  if (left > 0) into.append(` … (${left.toLocaleString("en")} characters more)`);
  return style;
}

function highlight(place, text, wanted) {
  if (!wanted) return place.append(text);
  const lower = text.toLowerCase();
  let at = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, at)) {
    place.append(text.slice(at, hit));
    const mark = place.appendChild(document.createElement("mark"));
    mark.textContent = text.slice(hit, hit + wanted.length);
    at = hit + wanted.length;
  }
  place.append(text.slice(at));
}

// Going somewhere: to a line, a mark, a hit.
function jump(log, number) {
  const block = log.blocks[Math.floor((number - 1) / BLOCK)];
  if (!block) return;
  log.follow.checked = false;
  log.panel.querySelector(".here")?.classList.remove("here");
  log.here = number;
  fill(log, block);
  const row = document.getElementById(`L${number}`);
  row?.scrollIntoView({ block: "nearest" });
  if (row) log.box.scrollTop += row.getBoundingClientRect().top - log.box.getBoundingClientRect().top - 100;
}

function jumpToHash(log) {
  const found = /^#L(\d+)$/.exec(location.hash);
  if (found) jump(log, Math.min(Number(found[1]), log.lines.length));
}

function choices(log) {
  const list = log.panel.querySelector("[data-jump]");
  for (let at = list.options.length - 1; at < log.marks.length; at += 1) {
    list.add(new Option(log.marks[at].name, log.marks[at].number));
  }
  list.hidden = log.marks.length === 0;
}

async function search(log, words) {
  const wanted = words.toLowerCase();
  log.wanted = wanted;
  log.hits = [];
  log.hit = -1;
  for (const block of log.blocks) if (block.dataset.there) fill(log, block);
  const said = log.panel.querySelector("[data-hits]");
  said.textContent = "";
  if (!wanted) return;
  let since = performance.now();
  for (let at = 0; at < log.lines.length; at += 1) {
    if (log.lines[at].toLowerCase().includes(wanted)) log.hits.push(at + 1);
    if (at % 256 === 0 && performance.now() - since > BUDGET) {
      said.textContent = `${log.hits.length} so far`;
      await new Promise(requestAnimationFrame);
      if (log.wanted !== wanted) return;
      since = performance.now();
    }
  }
  if (log.hits.length) next(log, 1);
  else said.textContent = "none";
}

function next(log, by) {
  if (!log.hits?.length) return;
  log.hit = (log.hit + by + log.hits.length) % log.hits.length;
  jump(log, log.hits[log.hit]);
  log.panel.querySelector("[data-hits]").textContent = `${(log.hit + 1).toLocaleString("en")} of ${log.hits.length.toLocaleString("en")}`;
}

function wire(log) {
  const { panel, box, follow } = log;
  const field = panel.querySelector("input[type=search]");
  let due = 0;
  field.addEventListener("input", () => {
    clearTimeout(due);
    due = setTimeout(() => search(log, field.value), 200);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (log.wanted === field.value.toLowerCase()) next(log, event.shiftKey ? -1 : 1);
    else search(log, field.value);
  });
  panel.querySelector("[data-jump]").addEventListener("change", (event) => {
    if (event.target.value) jump(log, Number(event.target.value));
    event.target.selectedIndex = 0;
  });
  box.addEventListener("wheel", (event) => {
    if (event.deltaY < 0) follow.checked = false;
  });
  box.addEventListener("keydown", (event) => {
    if (["ArrowUp", "PageUp", "Home"].includes(event.key)) follow.checked = false;
  });
  box.addEventListener("click", (event) => {
    const row = event.target.closest("b")?.parentElement;
    if (!row) return;
    history.replaceState(null, "", `#${row.id}`);
    jump(log, Number(row.id.slice(1)));
  });
  follow.addEventListener("change", () => {
    if (follow.checked) toEnd(log);
    countNew(log);
  });
  addEventListener("hashchange", () => jumpToHash(log));
  bind("f", "Follow the log", () => follow.click());
  bind("n", "Next hit in the log", () => next(log, 1));
  bind("p", "Previous hit in the log", () => next(log, -1));
}
