/**
 * Writing ahead: a place to write in may still be on its way when its first letters are typed. They go into a field that
 * nobody sees, where they are no shortcuts, and from there into the place once it has the focus.
 */

import { h } from "./dom.js";

/**
 * Wait for a place, open it, and write there what was typed meanwhile. Throws what kept it from coming.
 * @param {Promise<() => HTMLElement>} coming  resolves with what opens the place: gives it the focus and returns it
 */
export async function ahead(coming) {
  const before = document.activeElement;
  const keydown = (event) => {
    if (event.key !== "Tab") return;
    event.preventDefault();
    field.readOnly = true; // what follows belongs somewhere else in the place: nobody knows yet where
  };
  const field = h("textarea", { class: "unseen ahead", aria: { label: "One moment…" }, on: { keydown } });
  document.body.append(field);
  field.focus({ preventScroll: true });
  let open;
  try {
    open = await coming;
  } finally {
    const stayed = document.activeElement === field;
    field.remove();
    if (stayed) before?.focus({ preventScroll: true }); // the place remembers it, to give the focus back
  }
  const place = open();
  if (field.value && place.contains(document.activeElement)) document.execCommand("insertText", false, field.value);
}
