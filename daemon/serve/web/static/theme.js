/** Light, dark, or as the system: kept in this browser. */

const KEY = "theme";

export function theme() {
  return localStorage.getItem(KEY) ?? "";
}

export function setTheme(name) {
  if (name) localStorage.setItem(KEY, name);
  else localStorage.removeItem(KEY);
  show();
}

function show() {
  document.documentElement.dataset.theme = theme();
}

show();
