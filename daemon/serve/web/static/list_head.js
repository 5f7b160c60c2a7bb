/** Above the list: where one is and what it holds; what to do with what is ticked. */

import { $, h, icon, iconButton, mark, refill } from "./dom.js";
import { menu } from "./dialogs.js";
import { NARROWED } from "./listing.js";
import { state } from "./state.js";

const WORDS = { unread: "Unread", starred: "Starred", attachment: "With files" };
let shown = "";

/** Draw it, if something that it shows is different. */
export function drawListHead({ page }) {
  const { listing, selected, route } = state;
  if (!listing) return;
  const said = [listing.title, listing.total, listing.narrow, [...selected].join(), route.place, selected.size && marks()].join("|");
  if (said === shown) return;
  shown = said;
  const head = $("#list-head");
  head.classList.toggle("choosing", selected.size > 0);
  refill(head, tick(page.commands.keys), selected.size ? chosen(page.tools) : title(page, listing));
}

function marks() {
  return [...state.selected].map((id) => state.emailsOf(id).map(({ keywords }) => Object.keys(keywords).length)).join();
}

function tick(keys) {
  const all = state.selected.size > 0 && state.listing.threads().every((id) => state.selected.has(id));
  const some = state.selected.size > 0;
  const click = () => (some ? keys.selectNone() : keys.selectAll());
  const button = h("button", { type: "button", class: "head-tick", role: "checkbox", title: some ? "Select none (* n)" : "Select all (* a)", on: { click } }, icon("check"));
  mark(button, "checked", all ? "true" : some ? "mixed" : "false");
  mark(button, "label", "Select all");
  return button;
}

function chosen(tools) {
  return [h("span", { class: "head-count", role: "status" }, `${state.selected.size} selected`), h("span", { class: "spring" }), tools.buttons([...state.selected])];
}

function title(page, listing) {
  const open = (event) => menu(event.currentTarget, Object.keys(NARROWED).map((name) => ({
    label: WORDS[name], checked: listing.narrow === name, run: () => page.narrow(name),
  })));
  const total = listing.total;
  return [
    h("h1", { class: "head-title" }, listing.title),
    total > 0 && h("span", { class: "head-count" }, new Intl.NumberFormat().format(total), h("span", { class: "unseen" }, total === 1 ? " conversation" : " conversations")),
    h("span", { class: "spring" }),
    listing.narrow && h("button", { type: "button", class: "chip", aria: { label: `Show all, not only: ${WORDS[listing.narrow]}` }, on: { click: () => page.narrow(listing.narrow) } }, WORDS[listing.narrow], icon("close")),
    iconButton("sort", "Show only…", open, { aria: { label: "Show only…", haspopup: "menu" } }),
  ];
}
