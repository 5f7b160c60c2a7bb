/** A dialog that asks for a few things, and the button that does a verb and tells how it went. */

import { h } from "../dom.js";
import { confirmed, dialog } from "../dialogs.js";
import { toast } from "../toasts.js";
import { ask } from "./api.js";
import { sentence } from "./parts.js";

let count = 0;

/**
 * Ask, do, tell; what the server refuses is said in the form, which stays. Resolves with whether it was done.
 * @param {{title: string, verb: string, yes: string, fields: {key: string, label: string, type?: string, value?: any,
 *   hint?: string, required?: boolean, choices?: [string, string][]}[], asked?: (values: object) => object, done: (answer: any) => string}} what
 *   `asked` makes the arguments out of what was filled in
 */
export function form({ title, verb, yes, fields, asked = (values) => values, done }) {
  return dialog({
    title,
    className: "small",
    body: (close) => {
      const made = fields.map(field);
      const said = h("p", { class: "sign-said", role: "alert" });
      const button = h("button", { type: "submit", class: "button primary" }, yes);
      const submit = async (event) => {
        event.preventDefault();
        button.disabled = true;
        said.textContent = "";
        try {
          const values = Object.fromEntries(made.map(({ key, input }) => [key, input.type === "checkbox" ? input.checked : input.type === "password" ? input.value : input.value.trim()]));
          toast(done(await ask(verb, asked(values))));
          close(true);
        } catch (error) {
          said.textContent = sentence(error);
        }
        button.disabled = false;
      };
      return h(
        "form",
        { class: "form", on: { submit } },
        made.map(({ row }) => row),
        said,
        h("footer", { class: "dialog-foot" }, h("button", { type: "button", class: "button", on: { click: () => close(false) } }, "Cancel"), button),
      );
    },
  });
}

function field({ key, label, type = "text", value = "", hint, required = false, choices = [] }, index) {
  const id = `form-${count++}`;
  if (type === "checkbox") {
    const input = h("input", { type, id, checked: Boolean(value) });
    return { key, input, row: h("label", { class: "check" }, input, label) };
  }
  const options = choices.map(([choice, text]) => h("option", { value: choice, selected: choice === value }, text));
  const input =
    type === "select"
      ? h("select", { class: "field", id, autofocus: index === 0 }, options)
      : h("input", { class: "field", id, type, value, required, autofocus: index === 0, autocomplete: type === "password" ? "new-password" : "off", spellcheck: false });
  return { key, input, row: h("div", {}, h("label", { class: "field-label", htmlFor: id }, label), input, hint && h("p", { class: "soft" }, hint)) };
}

/** Do it and tell; resolves with the answer, undefined when it was refused. */
export async function deed(verb, asked, done) {
  try {
    const answer = await ask(verb, asked);
    toast(done(answer));
    return answer;
  } catch (error) {
    toast(sentence(error), { kind: "error" });
    return undefined;
  }
}

/** The same after a question that says what it touches. */
export async function sure({ title, text, yes, verb, asked, done }) {
  return (await confirmed({ title, text, yes, danger: true })) ? deed(verb, asked, done) : undefined;
}

export const button = (name, click, className = "button") => h("button", { type: "button", class: className, on: { click } }, name);

/** Texts out of a line: between commas or blanks. */
export const list = (text) => text.split(/[\s,]+/).filter(Boolean);
