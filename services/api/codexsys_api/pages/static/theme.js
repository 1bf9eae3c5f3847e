// Before anything is drawn: the theme that was chosen, and that scripts run.
// Until those are there, what is pressed is held for them: app.js acts on it then.
document.documentElement.dataset.js = "";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
const early = { keys: [], hold: (event) => event.repeat || early.keys.push(event) };
document.addEventListener("keydown", early.hold);
