// The settings: a page in the place of the mail, one small section at a time. `showSettings("vacation")`; its address is
// `#/settings/vacation`. What stands behind that is for the section: `#/settings/rules/from/ann%40x.example`.

import { dressed } from "./compose/dress.js";
import { fill, h, icon, iconButton, mark } from "./dom.js";
import { go, parse } from "./router.js";
import { state } from "./state.js";

const GROUPS = [
  [
    "Mail",
    [
      ["writing", "Writing", "compose"],
      ["identities", "Names and signatures", "person"],
      ["vacation", "Vacation answer", "sun"],
      ["rules", "Rules", "sort"],
      ["forwarding", "Forwarding", "forward"],
      ["senders", "Blocked senders", "junk"],
      ["quarantine", "Kept by the filter", "shield"],
      ["scheduled", "Waiting to be sent", "clock"],
    ],
  ],
  [
    "Account",
    [
      ["password", "Password", "lock"],
      ["two-factor", "Two-factor sign-in", "keyboard"],
      ["app-passwords", "App passwords", "label"],
      ["sessions", "Where you are signed in", "external"],
      ["devices", "Set up a mail program", "settings"],
      ["export", "Export your mail", "download"],
    ],
  ],
];
const ALONE = [["contacts", "Contacts", "person"]]; // no settings, and not in their list: one comes from the mail
const isAlone = (name) => ALONE.some(([each]) => each === name);
const SECTIONS = [...GROUPS.flatMap(([, sections]) => sections), ...ALONE];
/** What showSettings takes. */
export const NAMES = SECTIONS.map(([name]) => name);
const FIRST = "writing";

const NARROW = "(max-width: 700px)";
let making = null; // a promise of the page
let shown = null; // the page, once it is there

/** Hidden with the last step out of them; the mail is as it was. */
function follow() {
  if (parse(location.hash).place === "settings") return;
  if (!shown || shown.place.hidden) return;
  shown.place.hidden = true;
  document.documentElement.dataset.view = "mail";
  if (shown.before?.isConnected) shown.before.focus({ preventScroll: true });
}
addEventListener("hashchange", follow);

/** Show a section above the mail; '' is the list of them, on a wide screen beside the first. */
export async function showSettings(section = "", about = []) {
  making ??= frame(); // one, however many ask before it is there
  try {
    shown = await making;
  } catch (error) {
    making = null; // the next one tries again
    throw error;
  }
  if (shown.place.hidden) shown.before = document.activeElement;
  shown.place.hidden = false;
  document.documentElement.dataset.view = "settings"; // the keys of the mail rest
  await draw(shown, NAMES.includes(section) ? section : "", about);
}

async function frame() {
  await dressed("settings.css", "compose.css");
  const panel = h("div", { class: "settings-panel" });
  const links = new Map(SECTIONS.map(([name, title, drawing]) => [name, h("a", { href: `#/settings/${name}` }, icon(drawing), title)]));
  const nav = h(
    "nav",
    { aria: { label: "Settings" } },
    GROUPS.map(([title, sections]) => [
      h("h2", {}, title),
      h(
        "ul",
        {},
        sections.map(([name]) => h("li", {}, links.get(name))),
      ),
    ]),
  );
  const back = iconButton("back", "Back", leave, { key: "Esc" });
  const title = h("h1", { tabIndex: -1 });
  const place = h(
    "section",
    { id: "settings", hidden: true, aria: { label: "Settings" } },
    h("header", { class: "settings-head" }, back, title),
    h("div", { class: "settings-body" }, nav, panel),
  );
  place.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && leave());
  document.body.append(place);
  return { place, panel, links, title, before: null };
}

/** One step up: from a section to the list on a phone, else to the mail that was read before. */
function leave() {
  const { name, about } = parse(location.hash);
  if (matchMedia(NARROW).matches && name && !about && !isAlone(name)) go({ place: "settings", name: "" });
  else go(state.route);
}

async function draw({ place, panel, links, title }, asked, about) {
  const name = asked || FIRST;
  place.classList.toggle("list", asked === "");
  place.classList.toggle("alone", isAlone(name));
  for (const [each, link] of links) mark(link, "current", each === asked ? "page" : null);
  const [, words] = SECTIONS.find(([each]) => each === name);
  mark(place, "label", isAlone(name) ? words : "Settings");
  title.textContent = asked === "" && matchMedia(NARROW).matches ? "Settings" : words;
  const body = h("div", { class: "section" }, h("p", { class: "loading", role: "status" }, "One moment…"));
  fill(panel, body);
  panel.scrollTop = 0;
  title.focus({ preventScroll: true });
  try {
    const module = await import(`./settings/${name}.js`);
    const made = await module.section(...about);
    if (body.isConnected) fill(body, made);
  } catch (error) {
    fill(body, h("p", { class: "result bad", role: "alert" }, `This cannot be shown: ${error.message}`));
  }
}
