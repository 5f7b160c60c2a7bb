/** Words at the edge that go by themselves: what was done, with a way back; what went wrong. */

import { $, h, iconButton } from "./dom.js";

const SHOWN = 8000; // milliseconds; a pointer or the focus on it holds it
let latest = null;

/**
 * @param {string} text
 * @param {{action?: string, run?: () => void, kind?: "done"|"error", lasting?: boolean}} [options] a button and what
 *   it does; `lasting` stays until it is closed
 * @returns {{close: () => void}}
 */
export function toast(text, { action, run, kind = "done", lasting = false } = {}) {
  let timer;
  const close = () => {
    clearTimeout(timer);
    element.remove();
    if (latest?.element === element) latest = null;
  };
  const act = () => {
    close();
    run?.();
  };
  const element = h(
    "div",
    { class: ["toast", kind], role: kind === "error" ? "alert" : "status" },
    h("span", { class: "toast-text" }, text),
    action && h("button", { type: "button", class: "toast-action", on: { click: act } }, action),
    iconButton("close", "Dismiss", close, { className: "toast-close" }),
  );
  const wait = () => {
    clearTimeout(timer);
    if (!lasting) timer = setTimeout(close, SHOWN);
  };
  for (const held of ["pointerenter", "focusin"]) element.addEventListener(held, () => clearTimeout(timer));
  for (const free of ["pointerleave", "focusout"]) element.addEventListener(free, wait);
  const all = $("#toasts");
  while (all.children.length > 2) all.firstChild.remove();
  all.append(element);
  wait();
  if (run) latest = { element, act };
  return { close };
}

/** Run the newest offer that still stands (the key `z`). Returns whether there was one. */
export function undoLatest() {
  if (!latest?.element.isConnected) return false;
  latest.act();
  return true;
}

/** What went wrong, in words for people. */
export function failed(error, what = "That did not work") {
  if (error?.type === "signedOut") return;
  toast(`${what}: ${error?.message ?? error}`, { kind: "error" });
}

let announcer;
/** Tell those who hear the page, politely, and show nothing. */
export function announce(text) {
  announcer ??= $("#announcer");
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = text), 50);
}
