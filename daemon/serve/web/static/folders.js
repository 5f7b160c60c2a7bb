/** The list of mailboxes at the side: where one is, what is unread there, a place to drop mail on. */

import * as actions from "./actions.js";
import { colourOf } from "./conversations.js";
import { size } from "./dates.js";
import { asked, confirmed, menu, pick } from "./dialogs.js";
import { $, h, icon, iconButton, refill } from "./dom.js";
import { jmap } from "./jmap.js";
import { labels } from "./labels.js";
import { format, go, routeOf, sameList } from "./router.js";
import { ROLES, state } from "./state.js";
import { own, sync } from "./sync.js";
import { failed, toast } from "./toasts.js";

const ICONS = { inbox: "inbox", drafts: "draft", sent: "send", archive: "archive", junk: "junk", trash: "trash" };
const WORD_ROLES = new Set(["drafts", "trash", "junk"]); // these show what lies there, not what is unread

export function iconOf(mailbox) {
  return ICONS[mailbox.role] ?? "folder";
}

/** Draw it. `compose`: what the button does. */
export function drawFolders({ compose }) {
  const scroll = $("#folders .folder-scroll")?.scrollTop ?? 0;
  const tree = state.tree();
  const rolled = tree.filter(({ mailbox }) => mailbox.role in ROLES);
  const others = tree.filter(({ mailbox }) => !(mailbox.role in ROLES));
  refill(
    $("#folders"),
    h("button", { type: "button", class: "button primary compose-button", title: "Write (c)", on: { click: compose } }, icon("compose"), "Write"),
    h(
      "div",
      { class: "folder-scroll" },
      h(
        "ul",
        { class: "folder-list" },
        rolled.slice(0, 1).map(mailboxItem),
        placeItem({ place: "starred" }, "star", "Starred"),
        rolled.slice(1).map(mailboxItem),
        placeItem({ place: "all" }, "read", "All mail"),
        placeItem({ place: "settings", name: "contacts" }, "person", "Contacts"),
      ),
      heading("Folders", iconButton("plus", "New folder", () => create(null), { className: "icon-button small" })),
      h("ul", { class: "folder-list" }, others.map(mailboxItem)),
      labelPart(),
    ),
    quotaPart(),
  );
  $("#folders .folder-scroll").scrollTop = scroll;
}

function heading(text, button) {
  return h("div", { class: "folder-heading" }, h("h2", {}, text), button);
}

function labelPart() {
  const all = labels();
  if (!all.length) return null;
  return [
    heading("Labels"),
    h("ul", { class: "folder-list" }, all.map((name) => placeItem({ place: "label", name }, "label", name, colourOf({ email: name })))),
  ];
}

function placeItem(route, sign, name, colour) {
  const here = sameList(route, state.route);
  return h(
    "li",
    { class: ["folder", here && "here"] },
    h(
      "a",
      { href: format(route), class: ["folder-link", colour !== undefined && `ink-${colour}`], aria: { current: here ? "page" : null } },
      icon(sign),
      h("span", { class: "folder-name" }, name),
    ),
  );
}

function mailboxItem({ mailbox, depth }) {
  const route = routeOf(mailbox);
  const here = sameList(route, state.route);
  const name = state.nameOf(mailbox);
  const number = mailbox.role === "drafts" ? mailbox.totalEmails : WORD_ROLES.has(mailbox.role) ? 0 : mailbox.unreadThreads;
  const open = (event) => {
    event.preventDefault();
    folderMenu(event.type === "contextmenu" ? { x: event.clientX, y: event.clientY } : event.currentTarget, mailbox);
  };
  const said = number ? `${name}, ${number} ${mailbox.role === "drafts" ? "drafts" : "unread"}` : null;
  const item = h(
    "li",
    { class: ["folder", here && "here", number && mailbox.role !== "drafts" && "has-unread"], dataset: { mailbox: mailbox.id }, on: { contextmenu: open } },
    h(
      "a",
      { href: format(route), class: "folder-link", aria: { current: here ? "page" : null, label: said } },
      icon(iconOf(mailbox)),
      h("span", { class: "folder-name" }, name),
      h("span", { class: "folder-count" }, number ? (number > 9999 ? "9999+" : number) : ""),
    ),
    iconButton("more", `More about ${name}`, open, { className: "icon-button small folder-more" }),
  );
  item.style.setProperty("--depth", depth);
  dropTarget(item, mailbox);
  return item;
}

function dropTarget(item, mailbox) {
  if (mailbox.myRights && !mailbox.myRights.mayAddItems) return;
  const takes = (event) => event.dataTransfer.types.includes("application/x-threads");
  item.addEventListener("dragover", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    item.classList.add("drop");
  });
  item.addEventListener("dragleave", () => item.classList.remove("drop"));
  item.addEventListener("drop", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    item.classList.remove("drop");
    const threadIds = JSON.parse(event.dataTransfer.getData("application/x-threads"));
    if (mailbox.role === "trash") actions.trash(threadIds);
    else actions.move(threadIds, mailbox.id);
    state.selected.clear();
    state.emit("selection");
  });
}

function quotaPart() {
  const quota = state.quota;
  if (!quota?.hardLimit) return null;
  const part = Math.min(1, quota.used / quota.hardLimit);
  const bar = h("div", { class: "quota-fill" });
  bar.style.transform = `scaleX(${part})`;
  return h(
    "div",
    { class: ["quota", part > 0.9 && "nearly"] },
    h("div", { class: "quota-bar", role: "meter", aria: { label: "Room used", valuenow: Math.round(part * 100), valuemin: 0, valuemax: 100 } }, bar),
    h("span", {}, `${size(quota.used)} of ${size(quota.hardLimit)}`),
  );
}

// -- changing folders --------------------------------------------------------------------------------------------------

function folderMenu(at, mailbox) {
  const rights = mailbox.myRights ?? {};
  const bin = mailbox.role === "trash" || mailbox.role === "junk";
  menu(at, [
    { label: "New folder inside", icon: "plus", run: () => create(mailbox.id) },
    rights.mayRename !== false && !mailbox.role && { label: "Rename…", icon: "compose", run: () => rename(mailbox) },
    rights.mayRename !== false && !mailbox.role && { label: "Move to…", icon: "move", run: () => relocate(mailbox) },
    { label: "Mark all as read", icon: "read", run: () => readAll(mailbox) },
    bin && null,
    bin && { label: `Empty ${state.nameOf(mailbox)}…`, icon: "trash", danger: true, run: () => empty(mailbox) },
    rights.mayDelete !== false && !mailbox.role && null,
    rights.mayDelete !== false && !mailbox.role && { label: "Delete…", icon: "trash", danger: true, run: () => remove(mailbox) },
  ].filter((item) => item !== false));
}

async function set(args, what) {
  try {
    const answer = await actions.busy(jmap.call("Mailbox/set", args));
    const [why] = [answer.notCreated, answer.notUpdated, answer.notDestroyed].flatMap((all) => Object.values(all ?? {}));
    if (why) throw new Error(why.description || why.type);
    await sync();
    return answer;
  } catch (error) {
    failed(error, what);
    return null;
  }
}

/** A new folder, asked for by name. Returns its id. */
export async function create(parentId, suggestion = "") {
  const name = await asked({ title: "New folder", label: "Name", value: suggestion, yes: "Create" });
  return name ? make(name, parentId) : null;
}

/** A new folder of that name. Returns its id. */
export async function make(name, parentId = null) {
  const answer = await set({ create: { made: { name, parentId } } }, "The folder was not made");
  return answer?.created?.made?.id ?? null;
}

async function rename(mailbox) {
  const name = await asked({ title: "Rename folder", label: "Name", value: mailbox.name, yes: "Rename" });
  if (!name || name === mailbox.name) return;
  await set({ update: { [mailbox.id]: { name } } }, "The folder keeps its name");
}

async function relocate(mailbox) {
  const below = (candidate) => candidate && (candidate.id === mailbox.id || below(state.mailboxes.get(candidate.parentId)));
  const items = state.tree().filter((item) => !below(item.mailbox)).map((item) => ({ label: state.pathOf(item.mailbox), icon: iconOf(item.mailbox), value: item.mailbox.id }));
  const chosen = await pick({ title: `Move “${mailbox.name}” into`, items: [{ label: "(the top)", icon: "up", value: null }, ...items] });
  if (chosen) await set({ update: { [mailbox.id]: { parentId: chosen.value } } }, "The folder stays where it is");
}

async function remove({ id }) {
  const mailbox = state.mailboxes.get(id); // as it is now, and not when its menu was drawn
  if (!mailbox) return;
  const yes = await confirmed({
    title: `Delete “${mailbox.name}”?`,
    text: mailbox.totalEmails ? `Its ${mailbox.totalEmails} messages go to Trash first.` : "It is empty.",
    yes: "Delete", danger: true,
  });
  if (!yes) return;
  await emptyInto(mailbox, state.byRole("trash")?.id); // whatever came while the question stood
  if (state.listing?.mailboxId === mailbox.id) go({ place: "inbox" });
  if (await set({ destroy: [mailbox.id] }, "The folder was not deleted")) toast(`Folder “${mailbox.name}” deleted`);
}

async function empty(mailbox) {
  const yes = await confirmed({ title: `Empty ${state.nameOf(mailbox)}?`, text: "Its messages are deleted for good.", yes: "Delete them", danger: true });
  if (!yes) return;
  await emptyInto(mailbox, null);
  toast(`${state.nameOf(mailbox)} is empty`);
}

/** All mail of a mailbox to another one, or away; by hundreds, for there is no end to how many. */
async function emptyInto(mailbox, target) {
  await each({ inMailbox: mailbox.id }, (ids) => {
    const patch = { [`mailboxIds/${mailbox.id}`]: null, [`mailboxIds/${target}`]: true };
    return target ? { update: Object.fromEntries(ids.map((id) => [id, patch])) } : { destroy: ids };
  });
}

async function readAll(mailbox) {
  await each({ operator: "AND", conditions: [{ inMailbox: mailbox.id }, { notKeyword: "$seen" }] }, (ids) => ({
    update: Object.fromEntries(ids.map((id) => [id, { "keywords/$seen": true }])),
  }));
  toast(`All of ${state.nameOf(mailbox)} is read`);
}

/** Change all emails that a filter finds, until it finds none or none changes. */
async function each(filter, change) {
  const limit = Math.min(jmap.limits.maxObjectsInSet ?? 500, 500);
  own.epoch++;
  try {
    for (;;) {
      const { ids } = await jmap.call("Email/query", { filter, limit });
      if (!ids.length) break;
      const answer = await actions.busy(jmap.call("Email/set", change(ids)));
      if (!Object.keys(answer.updated ?? {}).length && !answer.destroyed?.length) break;
    }
  } catch (error) {
    failed(error);
  }
  await sync();
}
