// The form for a new task: a zip is dropped, its way is shown, and what was typed outlives every answer.
import { tell } from "./app.js";

let chosen = null;
let sent = null;

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

async function send(form, submitter) {
  const body = new FormData(form, submitter);
  const buttons = form.querySelectorAll("button[type=submit]");
  const zip = form.querySelector("#src-zip").checked && chosen;
  if (!zip) body.delete("file");
  for (const button of buttons) button.disabled = true;
  const wait = form.querySelector("#wait");
  wait.textContent = zip ? "Uploading. Leaving this page ends it." : "Sending.";
  const failed = (words) => {
    for (const button of buttons) button.disabled = false;
    wait.textContent = words;
    tell(words);
  };
  let way = zip && shownWay(form);
  if (zip && zip.size >= Number(form.dataset.direct ?? Infinity)) {
    const upload = await stored(form, zip, way);
    if (upload) {
      body.delete("file");
      body.set("upload", upload);
      way = null;
    }
  }
  try {
    answered(await post(form.action, body, way), failed);
  } catch {
    failed("The platform cannot be reached. Nothing was started; try again.");
  }
}

function shownWay(form) {
  const box = form.querySelector(".upload");
  const bar = box.querySelector("progress");
  const said = box.querySelector(".hint");
  const began = performance.now();
  return (event) => {
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
  };
}

function post(url, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    if (progress) request.upload.addEventListener("progress", progress);
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", reject);
    request.open("POST", url);
    request.send(body);
  });
}

// Sends a large zip to the store directly and gives its upload; nothing where the store cannot be reached,
// and then it goes with the form. One that is there already is not sent again.
async function stored(form, zip, way) {
  if (sent?.zip === zip) return sent.upload;
  try {
    const ask = new FormData();
    ask.set("csrf", form.querySelector("[name=csrf]").value);
    ask.set("filename", zip.name);
    const place = await post("/submit/upload", ask);
    if (place.status !== 201) return null;
    const { upload_id, url, fields } = JSON.parse(place.responseText);
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    body.set("file", zip);
    if ((await post(url, body, way)).status >= 300) return null;
    sent = { zip, upload: upload_id };
    return upload_id;
  } catch {
    return null;
  }
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
  if (document.querySelector("#zip-e")) sent = null;
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
