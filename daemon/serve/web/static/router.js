/**
 * Where we are, as the address says it: `#/inbox/t12`, `#/folder/m7`, `#/starred`, `#/all`, `#/label/work`,
 * `#/search/from%3Aann/t9`, `#/settings/vacation`, `#/settings/rules/from/ann%40x.example`, `#/write/mailto%3Aann%40x.example`.
 *
 * @typedef {{place: string, name?: string, thread?: string, about?: string[]}} Route `name` for folder, label, search,
 *   settings and write; `about`: what a section of the settings begins with
 */

import { ROLES } from "./state.js";

const NAMED = new Set(["folder", "label", "search", "settings", "write"]);
const PLACES = new Set([...Object.keys(ROLES), "starred", "all", ...NAMED]);

/** @returns {Route} what an address says; the inbox for nonsense */
export function parse(hash) {
  const [, place, ...rest] = hash.replace(/^#/, "").split("/").map(plain);
  if (!PLACES.has(place)) return { place: "inbox" };
  const route = { place };
  if (NAMED.has(place)) route.name = rest.shift() ?? "";
  if (!rest[0]) return route;
  if (place === "settings") route.about = rest;
  else route.thread = rest[0];
  return route;
}

/** @param {Route} route @returns {string} */
export function format({ place, name, thread, about = [] }) {
  const parts = [place, ...(NAMED.has(place) ? [name ?? ""] : []), ...(thread ? [thread] : []), ...about];
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** Whether two routes show the same list. */
export function sameList(a, b) {
  return a.place === b.place && (a.name ?? "") === (b.name ?? "");
}

/** Go there, at once: the next key is about that place already. `replace`: without a step in the history. */
export function go(route, { replace = false } = {}) {
  const hash = format(route);
  if (hash === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The route of a mailbox: by its role where it has one that we name. */
export function routeOf(mailbox) {
  return mailbox.role in ROLES ? { place: mailbox.role } : { place: "folder", name: mailbox.id };
}

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
