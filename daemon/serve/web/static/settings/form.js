// What all sections are built of: fields with their labels, actions whose result is said, lists with deeds.

import { fill, h } from "../dom.js";

let count = 0;

/** A control below its label, with a line that explains it. */
export function field(label, control, hint = "") {
  control.id ||= `setting-${++count}`;
  const note = hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "setting" }, h("label", { htmlFor: control.id }, label), control, note);
}

/** A box to tick, its label behind it. */
export function tick(label, checked, { hint = "", name, change } = {}) {
  const box = h("input", {
    type: "checkbox",
    defaultChecked: Boolean(checked),
    id: `setting-${++count}`,
    name: name ?? "",
    on: change ? { change } : {},
  });
  const note = hint && h("p", { class: "hint", id: `${box.id}-hint` }, hint);
  if (note) box.setAttribute("aria-describedby", note.id);
  return { box, row: h("div", { class: "check-row" }, box, h("label", { htmlFor: box.id }, label), note) };
}

export const text = (props = {}) => h("input", { class: "field", type: "text", autocomplete: "off", ...props });
export const area = (props = {}) => h("textarea", { class: "field", rows: 6, ...props });

/** @param {[string, string][]} options values and their words */
export function choice(options, value, props = {}) {
  return h(
    "select",
    { class: "field", ...props },
    options.map(([each, words]) => h("option", { value: each, selected: each === value }, words)),
  );
}

export function button(label, click, { primary = false, danger = false, ...props } = {}) {
  return h("button", { type: "button", class: ["button", primary && "primary", danger && "danger"], on: { click }, ...props }, label);
}

/** Where the result of an action is said: seen and heard. */
export function result() {
  const element = h("p", { class: "result", role: "status" });
  return {
    element,
    good: (words) => put(element, "good", words),
    bad: (words) => put(element, "bad", words),
    busy: (words = "One moment…") => put(element, "busy", words),
    none: () => put(element, "", ""),
  };
}

function put(element, kind, words) {
  element.className = `result ${kind}`;
  element.textContent = words;
}

/**
 * Do it once at a time and say how it went. `run` resolves with the words for success.
 * @param {ReturnType<typeof result>} said
 * @param {() => Promise<string|void>} run
 */
export async function deed(said, run, control = null) {
  if (control) control.disabled = true;
  said.busy();
  try {
    const words = await run();
    if (words) said.good(words);
    else said.none();
    return true;
  } catch (error) {
    said.bad(error.message);
    return false;
  } finally {
    if (control) control.disabled = false;
  }
}

/** A form with one button and the place for its result. */
export function form(label, children, run) {
  const said = result();
  const submit = h("button", { type: "submit", class: "button primary" }, label);
  const element = h(
    "form",
    {
      class: "settings-form",
      on: {
        submit: (event) => {
          event.preventDefault();
          deed(said, run, submit);
        },
      },
    },
    children,
    h("div", { class: "actions" }, submit, said.element),
  );
  return { element, said, submit };
}

/**
 * A list of things with what can be done to each; told when it is empty.
 * @param {{title: string, lines?: (string|null|undefined|false)[], actions?: Node[], mark?: string}[]} rows
 */
export function rows(label, list, empty) {
  if (!list.length) return h("p", { class: "empty" }, empty);
  return h(
    "ul",
    { class: "rows", aria: { label } },
    list.map(({ title, lines = [], actions = [], mark, more }) =>
      h(
        "li",
        {},
        h(
          "div",
          { class: "what" },
          h("strong", {}, title),
          mark && h("span", { class: "badge" }, mark),
          lines.filter(Boolean).map((line) => h("p", { class: "hint" }, line)),
          more,
        ),
        h("div", { class: "deeds" }, actions),
      ),
    ),
  );
}

/** A part of a section that is drawn anew when what it shows has changed. */
export function part(draw) {
  const element = h("div", { class: "part" });
  let latest = 0;
  const again = async () => {
    const round = ++latest;
    const drawn = await drawing();
    if (round === latest) fill(element, drawn); // else a newer answer was quicker
  };
  const drawing = async () => {
    try {
      return await draw(again);
    } catch (error) {
      return h("p", { class: "result bad", role: "alert" }, error.message);
    }
  };
  return { element, again };
}

/** `3 November 2026, 10:31`, or the words for never. */
export function when(date, never = "never") {
  if (!date) return never;
  return new Date(date).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
