// The share dialog: what the page "Share" has, over the task. Links are made and revoked without leaving it.
import { tell } from "./app.js";

const opener = document.querySelector("a[data-share]");
opener?.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(opener.href).catch(() => location.assign(opener.href));
});

async function open(address) {
  const { found } = await ask(address);
  if (!found) throw new Error("no such page");
  const dialog = document.createElement("dialog");
  dialog.id = "share";
  dialog.setAttribute("aria-labelledby", "sh-h");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet sm";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(...found.children);
  dialog.querySelector("header").append(close);
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    send(dialog, event.target, event.submitter);
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("[name=parts]").focus();
}

// The section in an answer, or what is said instead.
async function ask(address, options) {
  const answer = await fetch(address, options);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("share");
  const words = page.querySelector(".problem h1 + p, .problem h1")?.textContent;
  return { found, words: words ?? "You are signed out. Reload the page to sign in." };
}

async function send(dialog, form, button) {
  button.disabled = true;
  const body = new URLSearchParams(new FormData(form));
  try {
    const { found, words } = await ask(form.action, { method: "POST", body });
    if (found) show(dialog, found);
    else say(dialog, words);
  } catch {
    say(dialog, "The platform cannot be reached. Nothing was changed; try again.");
  }
  button.disabled = false;
}

// What was chosen stays chosen; the new link's button, or the next thing to do, has the focus.
function show(dialog, found) {
  const next = found.querySelector(".in");
  for (const field of dialog.querySelectorAll("[name=parts], [name=expires_in]")) {
    const same = next.querySelector(`[name=${field.name}]${field.name === "parts" ? `[value=${field.value}]` : ""}`);
    if (field.type === "checkbox") same.checked = field.checked;
    else same.value = field.value;
  }
  dialog.querySelector(".in").replaceWith(next);
  const made = next.querySelector(".got [data-copy]");
  (made ?? next.querySelector(".links button") ?? next.querySelector(".primary")).focus();
  tell(made ? "The link is made. It is shown only once." : "The link is revoked.");
}

function say(dialog, words) {
  dialog.querySelector(".in > .err")?.remove();
  const line = document.createElement("p");
  line.className = "err";
  line.setAttribute("role", "alert");
  line.textContent = words;
  dialog.querySelector(".in").prepend(line);
}
