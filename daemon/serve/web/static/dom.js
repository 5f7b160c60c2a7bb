/**
 * Elements, built: no markup is ever parsed here, so what strangers wrote cannot become any.
 *
 *   h("button", {class: "quiet", on: {click}, aria: {label: "Archive"}}, icon("archive"), "Archive")
 */

/**
 * @param {string} tag
 * @param {Object<string, any>} [props] class, dataset, aria, on and style are tables of their own; others are set as
 *   properties where the element has them, else as attributes; null, undefined and false attributes are left out
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(made, name, value);
  put(made, children);
  return made;
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") element.className = Array.isArray(value) ? value.filter(Boolean).join(" ") : value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  else if (name === "on") for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
  else if (name === "aria") for (const [key, text] of Object.entries(value)) mark(element, key, text);
  else if (name in element && name !== "list" && name !== "form") element[name] = value;
  else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
}

/** An ARIA attribute: null and undefined take it away. */
export function mark(element, key, value) {
  if (value === null || value === undefined) element.removeAttribute(`aria-${key}`);
  else element.setAttribute(`aria-${key}`, String(value));
}

/** Children after those that are there: nodes, texts, lists of them; nothing for null and false. */
export function put(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

/** Children instead of those that are there. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  return put(parent, ...children);
}

/** The same, and the focus stays on the link or button that it was on, though that is another element now. */
export function refill(parent, ...children) {
  const focused = parent.contains(document.activeElement) && known(document.activeElement);
  fill(parent, ...children);
  if (focused) $$("a, button", parent).find((one) => known(one) === focused)?.focus({ preventScroll: true });
}

const known = (element) => element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.textContent;

/** Set a text only where it changes: what is the same needs no layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** A button with an icon and a name that is shown as its tip; `key` is its shortcut. */
export function iconButton(name, label, click, { key = "", className = "icon-button", ...props } = {}) {
  return h(
    "button",
    { type: "button", class: className, title: key ? `${label} (${key})` : label, aria: { label }, on: { click }, ...props },
    icon(name),
  );
}

// Drawn for this page: 24 by 24, strokes of 1.8.
const DRAWINGS = {
  archive: "M4 8v10a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1V8M3 4.5h18V8H3zM10 12h4",
  attach: "M19.5 11.5 12 19a4.6 4.6 0 0 1-6.5-6.5l8-8a3 3 0 0 1 4.3 4.3l-7.7 7.7a1.5 1.5 0 0 1-2.1-2.1l7-7",
  back: "M15 5l-7 7 7 7",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15zM10 20.500a2.200 2.200 0 0 0 4 0",
  bullets: "M9 6.500h11M9 12h11M9 17.500h11M4.500 6.500v.1M4.500 12v.1M4.500 17.500v.1",
  calendar: "M4 6.500h16V20H4zM4 10.500h16M8.500 3.500v5M15.500 3.500v5",
  check: "M5 12.500 10 17.500 19.500 7",
  clock: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM12 7.500V12l3 2.500",
  close: "M6 6l12 12M18 6 6 18",
  compose: "M4 20h4L19.500 8.500l-4-4L4 16zM13.500 6.500l4 4",
  down: "M6 9.500l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M4.500 20h15",
  draft: "M6 3.500h8l4.500 4.500v12.500H6zM14 3.500V8h4.500M9 13h6M9 16.500h4",
  external: "M13 5h6v6M19 5l-9 9M10 6H5v13h13v-5",
  file: "M6 3.500h8l4.500 4.500v12.500H6zM14 3.500V8h4.500",
  folder: "M3.500 6.500V18.500h17V8.500H12L10 6.500z",
  forward: "M14 6l6 6-6 6M20 12h-9a7 7 0 0 0-7 7",
  help: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.300-1 .8-1 1.700M12 16.500v.1",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 2.500-2.500L20 17M15 9v.1",
  inbox: "M4 13.500 6.500 5h11L20 13.500V19H4zM4 13.500h4.500l1.500 2.500h4l1.500-2.500H20",
  junk: "M8.300 3.500h7.400l4.800 4.800v7.400l-4.800 4.800H8.300l-4.800-4.800V8.300zM12 8v5M12 16v.1",
  keyboard: "M3 6.500h18v11H3zM7 10v.1M10.300 10v.1M13.700 10v.1M17 10v.1M8 14h8",
  label: "M4 4.500h8l8.500 8.500-7 7L4 11.500zM8 8.500v.1",
  link: "M10 14a4 4 0 0 0 5.700 0l3-3a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3a4 4 0 0 0 5.700 5.700l1-1",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  menu: "M4 6.500h16M4 12h16M4 17.500h16",
  more: "M12 5.500v.1M12 12v.1M12 18.500v.1",
  move: "M3.500 6.500V18.500h17V8.500H12L10 6.500zM9 13.500h6M12.500 11l2.500 2.500-2.500 2.500",
  numbers: "M10 6.500h10M10 12h10M10 17.500h10M3.500 5l1.500-.7V8.500M3.500 15.800c.4-1 2.300-1 2.300.2 0 1-2.300 2-2.300 3h2.500",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.500 20c.5-4 3.500-6 7.500-6s7 2 7.500 6",
  plain: "M5 5h12M11 5l-2.500 14M15 14l5 5M20 14l-5 5",
  plus: "M12 5v14M5 12h14",
  print: "M7 8V4h10v4M7 17H4V8h16v9h-3M7 14h10v6H7z",
  quote: "M5 7h5v5c0 3-1.500 4.500-4 5M14 7h5v5c0 3-1.500 4.500-4 5",
  read: "M3.500 10 12 4.500 20.500 10v9.500h-17zM3.500 10l8.500 5.500 8.500-5.500",
  reply: "M10 6l-6 6 6 6M4 12h9a7 7 0 0 1 7 7",
  replyall: "M12 6l-5.500 6 5.500 6M7 6l-5 6 5 6M7 12h7a7 7 0 0 1 7 7",
  search: "M10.500 4a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM15.300 15.300 20.500 20.500",
  send: "M4 12 3.500 4.500 21 12 3.500 19.500 4 12zM4 12h9",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
  shield: "M12 3.500 19.500 6v6c0 4-3 7-7.500 8.500C7.500 19 4.500 16 4.500 12V6z",
  signout: "M10 4.500H5v15h5M14 8l4 4-4 4M18 12H9",
  sort: "M7 5v14M4 16l3 3 3-3M13 7h7M13 12h5M13 17h3",
  star: "M12 3.800l2.500 5.300 5.800.7-4.300 4 1.200 5.700L12 16.700l-5.200 2.800L8 13.800l-4.300-4 5.800-.7z",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  trash: "M4.500 6.500h15M9 6.500V4h6v2.500M6.500 6.500 7.500 20h9l1-13.500M10.200 10.500v6M13.800 10.500v6",
  undo: "M8 5.500 4 9.500l4 4M4 9.500h10a5 5 0 0 1 0 10H9",
  unread: "M3.500 5.500h17v13h-17zM3.500 6.500l8.500 6.500 8.500-6.500",
  up: "M6 14.500l6-6 6 6",
  warning: "M12 4 21 19.500H3zM12 10v4.500M12 17v.1",
};

/** A drawing of our own by its name; one that is unknown is an empty square of the same size. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", DRAWINGS[name] ?? "");
  svg.append(path);
  return svg;
}
