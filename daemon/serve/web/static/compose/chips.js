// A field of recipients: each a chip, completed from the contacts as one types (the combobox pattern of ARIA).

import { h, icon } from "../dom.js";
import { distinct, format, isAddress, parse } from "./addresses.js";
import { editMany } from "./many.js";

const SHOWN = 24; // chips before the rest is one button
const NEWEST = 6; // of them the last: what was just added is seen, and so is what Backspace takes
const MOST = 300; // chips when all are asked for: ten thousand recipients are text, not elements
const PAUSE = 120; // ms without a key before the contacts are asked
let fields = 0;

export class Recipients {
  /**
   * @param {string} label
   * @param {{complete: (text: string) => Promise<Person[]>, changed: () => void}} how
   */
  constructor(label, { complete, changed }) {
    this.label = label;
    this.people = [];
    this.complete = complete;
    this.changed = changed;
    this.offers = [];
    this.chosen = -1;
    this.all = false;
    const id = `recipients-${++fields}`;
    this.list = h("ul", { class: "offers", id: `${id}-offers`, role: "listbox", "aria-label": `Contacts for ${label}`, hidden: true });
    this.input = h("input", {
      id,
      type: "text",
      role: "combobox",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: false,
      inputmode: "email",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-offers`,
      oninput: () => this.typed(),
      onkeydown: (event) => this.key(event),
      onpaste: (event) => this.pasted(event),
      onblur: () => {
        this.commit();
        this.close();
      },
    });
    this.chips = h("span", { class: "chips" });
    this.root = h(
      "div",
      {
        class: "recipients",
        onclick: (event) => {
          if (event.target === this.root) this.input.focus();
        },
      },
      h("label", { for: id }, label),
      this.chips,
      this.input,
      this.list,
    );
  }

  get value() {
    return this.people;
  }

  set(people) {
    this.people = distinct(people);
    this.draw();
  }

  focus() {
    this.input.focus();
  }

  /** What stands in the field becomes chips. */
  commit() {
    const found = parse(this.input.value);
    this.input.value = "";
    if (found.length) this.add(found);
  }

  add(people) {
    this.set([...this.people, ...people]);
    this.changed();
  }

  remove(person) {
    this.set(this.people.filter((one) => one !== person));
    this.changed();
    this.input.focus();
  }

  edit(person) {
    this.commit();
    this.remove(person);
    this.input.value = format(person);
    this.input.focus();
  }

  /** Few are chips, each of them; of many the first and the newest, and a way to those between. */
  draw() {
    const few = this.people.length <= (this.all ? MOST : SHOWN);
    const first = few ? this.people : this.people.slice(0, SHOWN - NEWEST);
    const newest = few ? [] : this.people.slice(-NEWEST);
    const chips = (people) => people.map((person) => this.chip(person));
    this.chips.replaceChildren(...chips(first), ...(few ? [] : [this.between()]), ...chips(newest));
  }

  between() {
    const rest = (this.people.length - SHOWN).toLocaleString();
    return h("button", { type: "button", class: "recipient more", title: "Show all", onclick: () => this.showAll() }, `and ${rest} more`);
  }

  async showAll() {
    this.all = this.people.length <= MOST;
    if (this.all) this.draw();
    else {
      const people = await editMany(this.label, this.people);
      if (people) {
        this.set(people);
        this.changed();
      }
    }
    this.input.focus();
  }

  chip(person) {
    const wrong = !isAddress(person.email);
    const name = person.name || person.email;
    return h(
      "span",
      { class: wrong ? "recipient wrong" : "recipient", title: wrong ? `${person.email} is not an address` : format(person) },
      h(
        "button",
        {
          type: "button",
          class: "name",
          "aria-label": `${wrong ? "Not an address: " : ""}${format(person)}, edit`,
          onclick: () => this.edit(person),
        },
        name,
      ),
      h(
        "button",
        { type: "button", class: "take-away", "aria-label": `Remove ${name}`, onclick: () => this.remove(person) },
        icon("close"),
      ),
    );
  }

  pasted(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!/[,;\n]/.test(text) && !isAddress(text.trim())) return;
    event.preventDefault();
    this.input.value += text;
    this.commit();
  }

  key(event) {
    const { key } = event;
    const open = !this.list.hidden && this.offers.length > 0;
    if (open && (key === "ArrowDown" || key === "ArrowUp")) {
      event.preventDefault();
      this.choose((this.chosen + (key === "ArrowDown" ? 1 : -1) + this.offers.length) % this.offers.length);
    } else if (open && this.chosen >= 0 && (key === "Enter" || key === "Tab")) {
      event.preventDefault();
      this.take(this.offers[this.chosen]);
    } else if (open && key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (this.input.value.trim() && (key === "Enter" || (key === " " && isAddress(this.input.value.trim())))) {
      if (event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.commit();
      this.close();
    } else if (key === "Backspace" && this.input.value === "" && this.people.length) {
      event.preventDefault();
      this.remove(this.people.at(-1));
    }
  }

  typed() {
    if (/[,;]\s*$/.test(this.input.value) && parse(this.input.value).some((one) => isAddress(one.email))) {
      this.commit();
      this.close();
      return;
    }
    clearTimeout(this.waiting);
    const text = this.input.value.trim();
    if (!text) {
      this.close();
      return;
    }
    this.waiting = setTimeout(() => this.offer(text), PAUSE);
  }

  async offer(text) {
    const found = await this.complete(text).catch(() => []);
    if (this.input.value.trim() !== text || document.activeElement !== this.input) return;
    const there = new Set(this.people.map((one) => one.email.toLowerCase()));
    this.offers = found.filter((one) => !there.has(one.email.toLowerCase()));
    this.list.replaceChildren(
      ...this.offers.map((person, at) =>
        h(
          "li",
          {
            role: "option",
            id: `${this.list.id}-${at}`,
            "aria-selected": "false",
            onmousedown: (event) => {
              event.preventDefault();
              this.take(person);
            },
          },
          h("span", { class: "name" }, person.name || person.email),
          person.name ? h("span", { class: "email" }, person.email) : "",
        ),
      ),
    );
    this.list.hidden = this.offers.length === 0;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.choose(this.offers.length ? 0 : -1);
  }

  choose(at) {
    this.chosen = at;
    [...this.list.children].forEach((one, place) => one.setAttribute("aria-selected", String(place === at)));
    if (at >= 0) {
      this.input.setAttribute("aria-activedescendant", `${this.list.id}-${at}`);
      this.list.children[at].scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  take(person) {
    this.input.value = "";
    this.close();
    this.add([person]);
    this.input.focus();
  }

  close() {
    clearTimeout(this.waiting);
    this.list.hidden = true;
    this.offers = [];
    this.input.setAttribute("aria-expanded", "false");
    this.choose(-1);
  }
}
