// The buttons over a rich text: one stop of the Tab key, arrows between them (the toolbar pattern of ARIA).

import { h, icon } from "../dom.js";

const MARKS = [
  ["bold", "B", "Bold", "Ctrl+B"],
  ["italic", "I", "Italic", "Ctrl+I"],
  ["underline", "U", "Underline", "Ctrl+U"],
  ["strikeThrough", "S", "Strike through", "Ctrl+Shift+X"],
  ["insertUnorderedList", "bullets", "List", "Ctrl+Shift+8"],
  ["insertOrderedList", "numbers", "Numbered list", "Ctrl+Shift+7"],
  ["quote", "quote", "Quote", "Ctrl+Shift+9"],
  ["link", "link", "Link", "Ctrl+K"],
  ["removeFormat", "plain", "Remove formatting", "Ctrl+\\"],
];

/** Which command a key asks for; null: none. */
export function commandOf(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return null;
  const keys = event.shiftKey
    ? { KeyX: "strikeThrough", Digit7: "insertOrderedList", Digit8: "insertUnorderedList", Digit9: "quote" }
    : { KeyB: "bold", KeyI: "italic", KeyU: "underline", KeyK: "link", Backslash: "removeFormat" };
  return keys[event.code] ?? null;
}

export class Toolbar {
  /** @param {(command: string) => void} run  @param {string} controls  id of the text */
  constructor(run, controls) {
    this.buttons = MARKS.map(([command, sign, title, key], at) =>
      h(
        "button",
        {
          type: "button",
          class: `mark ${command}`,
          title: `${title} (${key})`,
          "aria-label": title,
          "aria-keyshortcuts": key.replace("Ctrl", "Control"),
          tabindex: at === 0 ? "0" : "-1",
          "data-command": command,
          onmousedown: (event) => event.preventDefault(), // the selection stays where it is
          onclick: () => run(command),
        },
        sign.length > 1 ? icon(sign) : sign,
      ),
    );
    this.root = h(
      "div",
      {
        role: "toolbar",
        class: "toolbar",
        "aria-label": "Formatting",
        "aria-controls": controls,
        onkeydown: (event) => this.key(event),
      },
      ...this.buttons,
    );
    for (const button of this.buttons) {
      if (!["link", "removeFormat"].includes(button.dataset.command)) button.setAttribute("aria-pressed", "false");
    }
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = this.buttons.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = this.buttons[(at + step + this.buttons.length) % this.buttons.length];
    for (const button of this.buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }

  /** Show what holds where the cursor is. */
  reflect(inQuote) {
    for (const button of this.buttons) {
      const { command } = button.dataset;
      if (!button.hasAttribute("aria-pressed")) continue;
      const on = command === "quote" ? inQuote : document.queryCommandState(command);
      button.setAttribute("aria-pressed", String(on));
    }
  }
}
