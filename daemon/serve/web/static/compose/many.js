// Very many recipients, as the text they are: one on a line, to look through, to mend and to paste over.

import { dialog } from "../dialogs.js";
import { h } from "../dom.js";
import { format, parse } from "./addresses.js";

/**
 * @param {string} label  of the field
 * @param {Person[]} people
 * @returns {Promise<Person[]|undefined>}  undefined: it was dismissed, and they are as they were
 */
export function editMany(label, people) {
  return dialog({
    title: `${label}: ${people.length.toLocaleString()} recipients`,
    className: "many",
    body: (close) => {
      const list = h("textarea", {
        class: "field",
        value: people.map(format).join("\n"),
        spellcheck: false,
        autofocus: true,
        aria: { label: "Recipients, one on a line" },
      });
      setTimeout(() => {
        list.setSelectionRange(0, 0);
        list.scrollTop = 0;
      });
      return [
        list,
        h(
          "footer",
          { class: "dialog-foot" },
          h("span", { class: "note" }, "One on a line."),
          h("button", { type: "button", class: "button", on: { click: () => close() } }, "Cancel"),
          h("button", { type: "button", class: "button primary", on: { click: () => close(parse(list.value)) } }, "Done"),
        ),
      ];
    },
  });
}
