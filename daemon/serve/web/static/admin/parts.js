/** The parts that pages here are made of: heads, tables, words for times and sizes. */

import { fill, h } from "../dom.js";
import { full } from "../dates.js";

const PAGE = 100; // lines shown at a time

/** A page's head: its title and what stands beside it. */
export function head(title, ...more) {
  return h("div", { class: "page-head" }, h("h1", {}, title), h("div", { class: "spring" }), more);
}

export function card(title, ...content) {
  return h("section", { class: "card" }, title && h("h2", {}, title), content);
}

/** Something that comes later: `make` gives what stands there then; what goes wrong is told in its place. */
export function later(make, className = "") {
  const place = h("div", { class: className, aria: { busy: true } }, h("div", { class: "skeleton-text" }), h("div", { class: "skeleton-text" }));
  make().then(
    (made) => fill(place, made),
    (error) => {
      if (error.kind === "signedOut") return dispatchEvent(new Event("signed-out"));
      fill(place, h("p", { class: "note", role: "alert" }, sentence(error)));
    },
  ).finally(() => place.removeAttribute("aria-busy"));
  return place;
}

/** What went wrong, with a capital, unless a name stands first, and a full stop. */
export function sentence(error) {
  const text = String(error.message ?? error);
  const first = /^[^\s:]*[.@]/.test(text) ? text.slice(0, 1) : text.slice(0, 1).toUpperCase();
  return `${first}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/**
 * A table, a page at a time. On narrow screens each line is a small card, its cells named by the titles.
 * @param {{title: string, of: (row: any) => any, className?: string}[]} columns
 */
export function table(label, columns, all, empty) {
  if (all.length <= PAGE) return whole(label, columns, all, empty);
  const load = async (from, count) => all.slice(from ?? 0, (from ?? 0) + count);
  return paged({ load, mark: (row) => all.indexOf(row) + 1, draw: (rows) => whole(label, columns, rows, empty) });
}

function whole(label, columns, rows, empty) {
  if (!rows.length) return h("p", { class: "note" }, empty);
  const cell = (row) => ({ title, of, className = "" }) => h("td", { class: className, dataset: { title } }, of(row));
  const title = ({ title: text, className = "" }) => h("th", { scope: "col", class: className }, text || h("span", { class: "unseen" }, className === "tick" ? "Ticked" : "Actions"));
  return h(
    "table",
    { class: "table", aria: { label } },
    h("thead", {}, h("tr", {}, columns.map(title))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(cell(row))))),
  );
}

/**
 * A long list, a page at a time.
 * @param {{load: (after: any, count: number) => Promise<any[]>, mark: (row: any) => any, draw: (rows: any[]) => any}} what
 *   `load` gives so many lines after the one with that mark, or from the beginning for null; `mark` is a line's
 */
export function paged({ load, mark, draw }) {
  const begun = [null]; // the mark before each page up to this one
  const place = h("div", { class: "paged", tabIndex: -1 });
  const show = () => fill(place, later(page));
  const turn = (change) => {
    change();
    show();
    place.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest" });
  };
  const page = async () => {
    const found = await load(begun.at(-1), PAGE + 1);
    const rows = found.slice(0, PAGE);
    const more = found.length > PAGE;
    const number = begun.length;
    const step = (name, free, change) => h("button", { type: "button", class: "button", disabled: !free, on: { click: () => turn(change) } }, name);
    return [
      draw(rows),
      (more || number > 1) &&
        h(
          "nav",
          { class: "toolbar pager", aria: { label: "Pages" } },
          step("Previous", number > 1, () => begun.pop()),
          h("span", { class: "soft" }, `Page ${number.toLocaleString()}`),
          step("Next", more, () => begun.push(mark(rows.at(-1)))),
        ),
    ];
  };
  show();
  return place;
}

/** A button that puts a text on the clipboard. */
export function copier(text, name = "Copy") {
  const click = async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied: mark it and copy it yourself";
    }
  };
  const button = h("button", { type: "button", class: "button", on: { click } }, name);
  return button;
}

export function badge(level, text = level) {
  return h("span", { class: ["badge", level] }, text);
}

/** `3 min`, `5 h`, `12 d` between two times, or from now. */
export function span(milliseconds) {
  const minutes = Math.round(Math.abs(milliseconds) / 60_000);
  if (minutes < 1) return "under a minute";
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

export function ago(at, now = Date.now()) {
  return h("time", { dateTime: new Date(at).toISOString(), title: full(new Date(at)) }, `${span(now - at)} ago`);
}

export const many = (count, one, more = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : more}`;
