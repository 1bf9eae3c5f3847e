// The diff: parts of it come when they are near the view and go when they are far; keys, and the file in the tree.
import { bind, walk } from "./app.js";

const ROW = 20;
const review = document.querySelector(".review");

if (review) {
  const parts = [...review.querySelectorAll(".chunk[data-more]")];
  const near = new IntersectionObserver(look, { rootMargin: "1200px 0px" });
  const far = new IntersectionObserver(forget, { rootMargin: "20000px 0px" });
  for (const part of parts) {
    part.style.height = `${part.dataset.count * ROW}px`;
    near.observe(part);
    far.observe(part);
  }

  function look(entries) {
    for (const { isIntersecting, target } of entries) if (isIntersecting) load(target);
  }

  function forget(entries) {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting || !target.dataset.there) continue;
      target.style.height = `${target.offsetHeight}px`;
      target.replaceChildren();
      delete target.dataset.there;
    }
  }

  async function load(part) {
    if (part.dataset.there) return;
    part.dataset.there = "loading";
    try {
      const answer = await fetch(part.dataset.more);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      part.replaceChildren(...page.querySelector(".chunk").childNodes);
      part.style.height = "";
      part.dataset.there = "yes";
    } catch {
      delete part.dataset.there;
      const again = document.createElement("button");
      again.type = "button";
      again.textContent = "These lines did not come. Try again";
      again.addEventListener("click", () => load(part));
      part.replaceChildren(again);
    }
  }

  // A permalink leads to its line even where the line is not there yet.
  async function follow() {
    const found = /^#f(\d+)(?:([LR])(\d+))?$/.exec(location.hash);
    if (!found) return;
    const [, file, side, line] = found;
    const box = document.getElementById(`f${file}`);
    if (!box) return;
    box.open = true;
    if (!line) return;
    const holds = (part) => {
      const [first, last] = part.dataset[side === "L" ? "old" : "new"].split("-").map(Number);
      return first <= line && line <= last;
    };
    const part = [...box.querySelectorAll(".chunk")].find(holds);
    if (part?.dataset.more) await load(part);
    const row = document.getElementById(location.hash.slice(1));
    row?.scrollIntoView({ block: "center" });
    for (const each of review.querySelectorAll("tr.here")) each.classList.remove("here");
    row?.classList.add("here");
  }
  addEventListener("hashchange", follow);
  follow();

  review.addEventListener("click", (event) => {
    const row = event.target.closest("td.n")?.closest("tr[id]");
    if (row) location.hash = row.id;
  });

  // The tree says which file is under the eyes.
  const links = new Map([...review.querySelectorAll(".tree a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        const link = links.get(target.id);
        if (!isIntersecting || !link) continue;
        review.querySelector(".tree a[aria-current]")?.removeAttribute("aria-current");
        link.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-140px 0px -70% 0px" },
  );
  for (const file of review.querySelectorAll(".file")) seen.observe(file);

  walk(".file", "file");
  const hunks = (by) => () => {
    const rows = [...review.querySelectorAll("tr.hunk")].filter((row) => row.offsetParent);
    const tops = rows.map((row) => row.getBoundingClientRect().top);
    const at = by > 0 ? tops.findIndex((top) => top > 141) : tops.findLastIndex((top) => top < 139);
    if (at >= 0) scrollBy(0, tops[at] - 140);
  };
  bind("n", "Next hunk", hunks(1));
  bind("p", "Previous hunk", hunks(-1));
  bind("x", "Fold or unfold the file", () => {
    const top = [...review.querySelectorAll(".file")].findLast((file) => file.getBoundingClientRect().top < 160);
    if (top) top.open = !top.open;
  });
  bind("u", "Unified", () => document.getElementById("to-unified").click());
  bind("s", "Side by side", () => document.getElementById("to-split").click());
}
