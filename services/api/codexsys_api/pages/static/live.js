// A task that is not over: at each of its events the page gets what is new, and only what differs is changed.
import { tell } from "./app.js";

const live = document.getElementById("live");
if (live?.dataset.events) follow();

function follow() {
  const source = new EventSource(live.dataset.events);
  let due = 0;
  const news = () => {
    due ||= setTimeout(() => {
      due = 0;
      window.htmx.trigger(document.getElementById("live"), "news");
    }, 250);
  };
  for (const type of live.dataset.types.split(" ")) source.addEventListener(type, news);
  // What is over has another page: its verdict, its change, other things to do.
  source.addEventListener("done", () => {
    source.close();
    const dialog = document.querySelector("dialog[open]");
    if (dialog) dialog.addEventListener("close", () => location.reload());
    else location.reload();
  });
  let broken = false;
  source.addEventListener("open", () => {
    state("This page follows the task.");
    if (broken) news(); // what was to be fetched when the connection broke did not come
    broken = false;
  });
  source.addEventListener("error", () => {
    broken = true;
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    state(`Not live since ${time}, trying again.`);
  });
  addEventListener("pagehide", () => source.close());
  setInterval(tick, 1000);
}

function state(words) {
  const place = document.getElementById("live-state");
  if (place && place.textContent !== words) place.textContent = words;
}

let heard = heading();
function heading() {
  const now = document.querySelector("#status .phases [aria-current]") ?? document.querySelector("#status h2");
  const asked = [...document.querySelectorAll(".ask q")].map((question) => question.textContent);
  return [now?.textContent.trim(), ...asked].join(": ");
}
document.addEventListener("htmx:after:swap", () => {
  const now = heading();
  if (now && now !== heard) tell(now);
  heard = now;
});

function tick() {
  for (const each of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(each.dataset.since)) / 1000));
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    each.textContent = hours
      ? `${hours} h ${String(minutes).padStart(2, "0")} min`
      : minutes
        ? `${minutes} min ${String(rest).padStart(2, "0")} s`
        : `${rest} s`;
  }
}
