// The form for a new task: a zip is dropped, its way is shown, and what was typed outlives every answer.
import { tell } from "./app.js";

let chosen = null;

wire();

function wire() {
  const form = document.querySelector("form[data-submit]");
  if (!form) return;
  const file = form.querySelector("input[type=file]");
  const drop = form.querySelector(".drop");
  if (chosen) hold(file, chosen);
  show(form);
  file.addEventListener("change", () => {
    chosen = file.files[0] ?? null;
    show(form);
  });
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
  }
  drop.addEventListener("dragleave", () => delete drop.dataset.over);
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    const [first] = event.dataTransfer.files;
    if (!first) return;
    hold(file, first);
    form.querySelector("#src-zip").checked = true;
    show(form);
  });
  form.querySelector("[data-remove]").addEventListener("click", () => {
    chosen = null;
    file.value = "";
    show(form);
    file.focus();
  });
  for (const chip of form.querySelectorAll("[data-template]")) {
    chip.addEventListener("click", () => fill(form, chip));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, event.submitter);
  });
  remember(form);
}

function hold(file, one) {
  chosen = one;
  const list = new DataTransfer();
  list.items.add(one);
  file.files = list.files;
}

function show(form) {
  const box = form.querySelector(".upload");
  box.hidden = !chosen;
  if (!chosen) return;
  box.querySelector("strong").textContent = chosen.name;
  box.querySelector(".hint").textContent = size(chosen.size);
  box.querySelector("progress").hidden = true;
}

function size(bytes) {
  return bytes < 1048576 ? `${Math.ceil(bytes / 1024).toLocaleString("en")} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

// A template never takes away what was written: it is put in where nothing is, or below.
function fill(form, chip) {
  const prompt = form.querySelector("#prompt");
  const words = chip.dataset.template;
  prompt.value = prompt.value.trim() ? `${prompt.value.trimEnd()}\n\n${words}` : words;
  const mode = form.querySelector(`[name=mode][value=${chip.dataset.mode}]`);
  if (mode) mode.checked = true;
  prompt.focus();
}

function send(form, submitter) {
  const body = new FormData(form, submitter);
  const request = new XMLHttpRequest();
  const box = form.querySelector(".upload");
  const bar = box.querySelector("progress");
  const said = box.querySelector(".hint");
  const buttons = form.querySelectorAll("button[type=submit]");
  const began = performance.now();
  const zip = form.querySelector("#src-zip").checked && chosen;
  if (!zip) body.delete("file");
  for (const button of buttons) button.disabled = true;
  const wait = form.querySelector("#wait");
  wait.textContent = zip ? "Uploading. Leaving this page ends it." : "Sending.";
  request.upload.addEventListener("progress", (event) => {
    if (!zip) return;
    const seconds = Math.max(0.001, (performance.now() - began) / 1000);
    const left = (event.total - event.loaded) / (event.loaded / seconds);
    bar.hidden = false;
    bar.max = event.total;
    bar.value = event.loaded;
    const done = event.loaded >= event.total;
    said.textContent = done
      ? "Uploaded. The zip is looked through."
      : `Uploading: ${size(event.loaded)} of ${size(event.total)} (${Math.floor((100 * event.loaded) / event.total)} %), about ${Math.ceil(left)} s left.`;
    if (done) tell(said.textContent);
  });
  const failed = (words) => {
    for (const button of buttons) button.disabled = false;
    wait.textContent = words;
    tell(words);
  };
  request.addEventListener("load", () => answered(request, failed));
  request.addEventListener("error", () => failed("The platform cannot be reached. Nothing was started; try again."));
  request.open("POST", form.action);
  request.send(body);
}

function answered(request, failed) {
  const path = new URL(request.responseURL || location.href, location.href).pathname;
  if (request.status < 300 && path !== "/submit") {
    location.assign(path);
    return;
  }
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const main = page.querySelector("main");
  if (!main) {
    failed(`The platform answered ${request.status}. Nothing was started.`);
    return;
  }
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.title = page.title;
  wire();
  const note = document.querySelector("main .note");
  note?.focus();
  note?.scrollIntoView({ block: "start" });
}

// The last source is there again, on a form that has none.
function remember(form) {
  const fields = [form.querySelector("[name=url]"), form.querySelector("[name=ref]")];
  try {
    form.addEventListener("submit", () => {
      localStorage.setItem("source", JSON.stringify(fields.map((field) => field.value)));
    });
    const last = JSON.parse(localStorage.getItem("source") ?? "null");
    if (last && fields.every((field) => !field.value)) fields.forEach((field, at) => (field.value = last[at] ?? ""));
  } catch {
    // A browser that keeps nothing begins empty.
  }
}
