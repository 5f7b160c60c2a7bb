/** Pages that are a list: found in as one types, with a menu at each line. */

import { fill, h, iconButton } from "../dom.js";
import { menu } from "../dialogs.js";
import { card, head, later } from "./parts.js";

/** A list that is narrowed as one types: `draw(rows)` shows those in which the text is. */
export function listPage(title, add, load, draw, ...more) {
  const made = async () => {
    const all = await load();
    const place = h("div", {}, draw(all));
    const input = () => {
      const text = find.value.trim().toLocaleLowerCase();
      fill(place, draw(all.filter((one) => JSON.stringify(one).toLocaleLowerCase().includes(text))));
    };
    const find = h("input", { class: "field", type: "search", placeholder: "Find", aria: { label: `Find in ${title.toLowerCase()}` }, on: { input } });
    return [h("div", { class: "toolbar" }, find), place];
  };
  return h("div", { class: "page" }, head(title, add), card("", later(made)), more);
}

/** The button that opens the menu of a line. */
export function more(name, items) {
  return iconButton("more", `What to do with ${name}`, (event) => menu(event.currentTarget, items()));
}

export const toggle = (enabled, run) => ({ label: enabled ? "Disable" : "Enable", icon: enabled ? "close" : "check", run });

/** Do it, and look again if it was done. */
export const afterwards = (again) => async (work) => (await work) && again();
