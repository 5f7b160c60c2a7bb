// The present password, asked before what an open screen alone must not be able to do.

import { dialog } from "../dialogs.js";
import { h } from "../dom.js";
import { state } from "../state.js";

/** @returns {Promise<string|undefined>} undefined when the question was dismissed */
export function passwordAsked(label) {
  return dialog({
    title: "Is it you?",
    className: "small",
    body: (close) => {
      const user = h("input", { type: "text", name: "username", autocomplete: "username", value: state.user ?? "", hidden: true });
      const input = h("input", {
        class: "field",
        type: "password",
        id: "present-password",
        autocomplete: "current-password",
        required: true,
        autofocus: true,
        maxLength: 1000,
      });
      const submit = (event) => {
        event.preventDefault();
        close(input.value);
      };
      return h(
        "form",
        { on: { submit } },
        user,
        h("label", { class: "field-label", htmlFor: input.id }, label),
        input,
        h(
          "footer",
          { class: "dialog-foot" },
          h("button", { type: "button", class: "button", on: { click: () => close() } }, "Cancel"),
          h("button", { type: "submit", class: "button primary" }, "Go on"),
        ),
      );
    },
  });
}
