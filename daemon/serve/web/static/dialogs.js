/** What stands above the page: dialogs, questions, menus, a list to pick from. The element <dialog> keeps the focus. */

import { $, fill, h, icon, iconButton, put } from "./dom.js";

let count = 0;

/**
 * A dialog of its own content. Resolves with what `close(value)` was given, undefined when it was dismissed.
 * @param {{title: string, body: (close: (value?: any) => void) => (Node|Array), className?: string}} what
 */
export function dialog({ title, body, className = "" }) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const id = `dialog-${count++}`;
    let answer;
    const close = (value) => {
      answer = value;
      element.close();
    };
    const element = h(
      "dialog",
      { class: ["dialog", className], aria: { labelledby: id } },
      h("header", { class: "dialog-head" }, h("h2", { id }, title), iconButton("close", "Close", () => close())),
    );
    put(element, body(close));
    element.addEventListener("click", (event) => event.target === element && close());
    element.addEventListener("close", () => {
      element.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(answer);
    });
    document.body.append(element);
    element.showModal();
    const first = $("[autofocus]", element);
    first?.focus();
    first?.select?.(); // now, and not after the first letter
  });
}

/** A question of yes or no: whether it was yes. */
export function confirmed({ title, text, yes = "OK", danger = false }) {
  return dialog({
    title,
    className: "small",
    body: (close) => [
      h("p", { class: "dialog-text" }, text),
      h(
        "footer",
        { class: "dialog-foot" },
        h("button", { type: "button", class: "button", on: { click: () => close(false) } }, "Cancel"),
        h("button", { type: "button", class: ["button", danger ? "danger" : "primary"], autofocus: true, on: { click: () => close(true) } }, yes),
      ),
    ],
  }).then(Boolean);
}

/** A line of text: what was written, undefined when dismissed. */
export function asked({ title, label, value = "", yes = "OK", maxLength = 200 }) {
  return dialog({
    title,
    className: "small",
    body: (close) => {
      const input = h("input", { class: "field", type: "text", value, required: true, maxLength, autofocus: true, id: `asked-${count}`, autocomplete: "off" });
      const submit = (event) => {
        event.preventDefault();
        close(input.value.trim() || undefined);
      };
      return h(
        "form",
        { on: { submit } },
        h("label", { class: "field-label", htmlFor: input.id }, label),
        input,
        h(
          "footer",
          { class: "dialog-foot" },
          h("button", { type: "button", class: "button", on: { click: () => close() } }, "Cancel"),
          h("button", { type: "submit", class: "button primary" }, yes),
        ),
      );
    },
  });
}

/**
 * A menu at a button, or at a point. Items: `{label, icon, key, run, danger, checked}`, null for a line between.
 * @param {HTMLElement|{x: number, y: number}} at
 */
export function menu(at, items) {
  $("#menu")?.remove();
  const before = document.activeElement;
  const close = () => element.isConnected && element.hidePopover();
  const made = items.filter((item) => item !== undefined && item !== false).map((item) =>
    item === null ? h("hr") : menuItem(item, close),
  );
  const element = h("div", { id: "menu", class: "menu", role: "menu", popover: "auto", tabIndex: -1 }, made);
  element.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    const inside = element.contains(document.activeElement) || document.activeElement === document.body;
    element.remove();
    if (inside && before?.isConnected) before.focus({ preventScroll: true });
  });
  element.addEventListener("keydown", (event) => walkMenu(event, element, close));
  document.body.append(element);
  element.showPopover();
  place(element, at);
  (element.querySelector("[role^=menuitem]") ?? element).focus();
}

function menuItem(item, close) {
  const choose = () => {
    close();
    item.run();
  };
  const role = item.checked === undefined ? "menuitem" : "menuitemcheckbox";
  const checked = item.checked === undefined ? {} : { checked: item.checked };
  return h(
    "button",
    { type: "button", role, class: ["menu-item", item.danger && "danger"], tabIndex: -1, aria: checked, on: { click: choose } },
    item.icon ? icon(item.icon) : h("span", { class: "icon" }),
    h("span", { class: "menu-label" }, item.label),
    item.checked && icon("check"),
    item.key && h("kbd", {}, item.key),
  );
}

function walkMenu(event, element, close) {
  const all = [...element.querySelectorAll("[role^=menuitem]")];
  const here = all.indexOf(document.activeElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) all.at(to % all.length)?.focus();
  else if (event.key === "Tab" || event.key === "Escape") close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function place(element, at) {
  const box = at instanceof Element ? at.getBoundingClientRect() : { left: at.x, right: at.x, top: at.y, bottom: at.y };
  const { width, height } = element.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left + width > innerWidth - 8 ? box.right - width : box.left, innerWidth - width - 8));
  const below = box.bottom + 4 + height <= innerHeight - 8;
  const top = below ? box.bottom + 4 : Math.max(8, box.top - height - 4);
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
}

/**
 * Pick one of a list by typing and arrows: a folder, a label. Resolves with the item, undefined when dismissed.
 * `create(text)` offers to make what was typed.
 * @param {{title: string, items: {label: string, icon?: string, value: any, hint?: string}[], create?: (text: string) => string, placeholder?: string}} what
 */
export function pick({ title, items, create, placeholder = "Type to find" }) {
  return dialog({
    title,
    className: "small picker",
    body: (close) => {
      const listId = `picked-${count}`;
      const list = h("ul", { id: listId, class: "picker-list", role: "listbox", aria: { label: title } });
      let shown = [];
      let at = 0;
      const draw = () => {
        fill(list, shown.map((item, index) => option(item, index === at, `${listId}-${index}`, () => close(item))));
        input.setAttribute("aria-activedescendant", shown.length ? `${listId}-${at}` : "");
        $("[aria-selected=true]", list)?.scrollIntoView({ block: "nearest" });
      };
      const find = () => {
        const text = input.value.trim();
        const low = text.toLocaleLowerCase();
        shown = items.filter(({ label }) => label.toLocaleLowerCase().includes(low));
        if (create && text && !items.some(({ label }) => label.toLocaleLowerCase() === low)) {
          shown.push({ label: create(text), icon: "plus", created: text });
        }
        at = 0;
        draw();
      };
      const keydown = (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step && shown.length) at = (at + step + shown.length) % shown.length;
        else if (event.key === "Enter" && shown[at]) return close(shown[at]);
        else return;
        event.preventDefault();
        draw();
      };
      const input = h("input", {
        class: "field", type: "text", role: "combobox", placeholder, autofocus: true, autocomplete: "off",
        aria: { label: title, expanded: true, controls: listId, autocomplete: "list" }, on: { input: find, keydown },
      });
      find();
      return [input, list];
    },
  });
}

function option(item, selected, id, click) {
  return h(
    "li",
    { id, role: "option", class: "picker-item", aria: { selected }, on: { click } },
    icon(item.icon ?? "folder"),
    h("span", {}, item.label),
    item.hint && h("small", {}, item.hint),
  );
}
