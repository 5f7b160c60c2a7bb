/** The search field: finds as one types, and says what it understands. */

import { $, fill, h, icon, mark } from "./dom.js";
import { go } from "./router.js";
import { completed, OPERATORS } from "./search.js";
import { state } from "./state.js";

const REST = 250; // milliseconds without a key before it is looked for

export class SearchBox {
  constructor() {
    this.field = $("#search-field");
    this.help = $("#search-help");
    this.at = -1;
    fill($("#search-icon"), icon("search"));
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("focus", () => this.offer());
    this.field.addEventListener("blur", () => setTimeout(() => document.activeElement !== this.field && this.hide(), 150));
    this.field.addEventListener("keydown", (event) => this.key(event));
    $("#search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
      this.hide();
      $("#grid").focus();
    });
  }

  /** What the address says, unless one types just now. */
  follow(route) {
    if (document.activeElement !== this.field) this.field.value = route.place === "search" ? route.name : "";
  }

  focus() {
    this.field.focus();
    this.field.select();
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.find(), REST);
    this.offer();
  }

  find() {
    clearTimeout(this.timer);
    const text = this.field.value.trim();
    const searching = state.route.place === "search";
    if (!text) {
      if (searching) go(this.before ?? { place: "inbox" });
      return;
    }
    if (/:$/.test(text.split(/\s+/).at(-1))) return; // an operator that waits for its value
    if (!searching) this.before = { ...state.route, thread: undefined };
    go({ place: "search", name: text }, { replace: searching });
  }

  /** Operators that begin as the last word does; all of them for an empty field. */
  offer() {
    const text = this.field.value;
    const word = /\S*$/.exec(text)[0].toLowerCase();
    const fits = OPERATORS.filter(([operator]) => operator.startsWith(word) && operator !== word);
    const shown = word === "" && text !== "" ? [] : fits;
    this.at = -1;
    this.help.hidden = !shown.length;
    mark(this.field, "expanded", shown.length > 0);
    fill(this.help, shown.map(([operator, means], index) => this.option(operator, means, index)));
    this.point();
  }

  option(operator, means, index) {
    const pointerdown = (event) => {
      event.preventDefault(); // the field keeps the focus
      this.take(operator);
    };
    return h(
      "div",
      { id: `search-option-${index}`, role: "option", class: "search-option", dataset: { operator }, aria: { selected: false }, on: { pointerdown } },
      h("code", {}, operator),
      h("span", {}, means),
    );
  }

  take(operator) {
    this.field.value = completed(this.field.value, operator);
    this.field.focus();
    this.typed();
  }

  point() {
    [...this.help.children].forEach((child, index) => mark(child, "selected", index === this.at));
    const id = this.at >= 0 ? `search-option-${this.at}` : null;
    mark(this.field, "activedescendant", id);
  }

  hide() {
    this.help.hidden = true;
    mark(this.field, "expanded", false);
    mark(this.field, "activedescendant", null);
  }

  key(event) {
    const options = this.help.hidden ? [] : [...this.help.children];
    if (event.key === "Escape") {
      if (!options.length) this.field.blur();
      this.hide();
    } else if (options.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.at = Math.max(-1, Math.min(this.at + by, options.length - 1));
      this.point();
    } else if (this.at >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      this.take(options[this.at].dataset.operator);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
