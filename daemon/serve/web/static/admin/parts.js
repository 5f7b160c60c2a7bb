/** The parts that pages here are made of: heads, tables, words for times and sizes. */

import { fill, h } from "../dom.js";
import { full } from "../dates.js";

const SHOWN = 500; // lines of a table: more are found by asking for less

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

/** What went wrong, with a capital and a full stop. */
export function sentence(error) {
  const text = String(error.message ?? error);
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/**
 * A table. On narrow screens each line is a small card, its cells named by the titles.
 * @param {{title: string, of: (row: any) => any, className?: string}[]} columns
 */
export function table(label, columns, all, empty) {
  const rows = all.slice(0, SHOWN);
  if (!rows.length) return h("p", { class: "note" }, empty);
  const cell = (row) => ({ title, of, className = "" }) => h("td", { class: className, dataset: { title } }, of(row));
  const more = all.length > SHOWN && h("caption", { class: "note" }, `The first ${SHOWN} of ${all.length.toLocaleString()}.`);
  return h(
    "table",
    { class: "table", aria: { label } },
    more,
    h("thead", {}, h("tr", {}, columns.map(({ title, className = "" }) => h("th", { scope: "col", class: className }, title || h("span", { class: "unseen" }, className === "tick" ? "Ticked" : "Actions"))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(cell(row))))),
  );
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
