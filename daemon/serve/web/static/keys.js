/** Keys as in Gmail: one letter does one thing, `g` and `*` begin a pair. `?` shows this table. */

import { dialog } from "./dialogs.js";
import { h } from "./dom.js";
import { parse } from "./router.js";

/** @type {[string, [string, string, string][]][]} heading, then keys, name of the command, what it does */
export const TABLE = [
  ["Go", [
    ["g i", "goInbox", "Inbox"],
    ["g s", "goStarred", "Starred"],
    ["g t", "goSent", "Sent"],
    ["g d", "goDrafts", "Drafts"],
    ["g a", "goAll", "All mail"],
    ["g l", "goFolder", "A folder…"],
    ["g c", "goContacts", "Contacts"],
    ["/", "search", "Search"],
    ["u", "back", "Back to the list"],
    ["j", "older", "Older conversation"],
    ["k", "newer", "Newer conversation"],
    ["o", "open", "Open"],
    ["n", "nextMessage", "Next message"],
    ["p", "previousMessage", "Message before"],
    [";", "unfoldAll", "Unfold all messages"],
  ]],
  ["Do", [
    ["e", "archive", "Archive"],
    ["#", "trash", "Delete"],
    ["!", "junk", "Junk, or not junk"],
    ["s", "star", "Star"],
    ["I", "read", "Mark as read"],
    ["U", "unread", "Mark as unread"],
    ["v", "move", "Move to…"],
    ["l", "label", "Label as…"],
    ["y", "archive", "Out of this folder"],
    ["[", "archiveNewer", "Archive, and on to the newer"],
    ["]", "archiveOlder", "Archive, and on to the older"],
    ["z", "undo", "Undo"],
    [".", "more", "More…"],
  ]],
  ["Write", [
    ["c", "compose", "New message"],
    ["r", "reply", "Reply"],
    ["a", "replyAll", "Reply to all"],
    ["f", "forward", "Forward"],
  ]],
  ["Select", [
    ["x", "select", "Select"],
    ["* a", "selectAll", "All"],
    ["* n", "selectNone", "None"],
    ["* r", "selectRead", "Read"],
    ["* u", "selectUnread", "Unread"],
    ["* s", "selectStarred", "Starred"],
    ["?", "help", "This page"],
  ]],
];

const PAIR = 3000; // milliseconds between the two keys of a pair, by the hand and not by when they are heard

export class Keys {
  /** @param {Object<string, () => void>} commands */
  constructor(commands) {
    this.commands = commands;
    this.names = new Map(TABLE.flatMap(([, rows]) => rows.map(([keys, name]) => [keys, name])));
    this.first = "";
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.documentElement.dataset.view !== "mail" || isBusy(event.target)) return;
    if (event.key === "Escape") return this.run("escape", event);
    const pair = this.first && event.timeStamp - this.at < PAIR ? `${this.first} ${event.key}` : "";
    this.first = "";
    if (this.names.has(pair)) return this.run(this.names.get(pair), event);
    if (event.key === "g" || event.key === "*") {
      this.first = event.key;
      this.at = event.timeStamp;
      return undefined;
    }
    if (this.names.has(event.key)) return this.run(this.names.get(event.key), event);
    return undefined;
  }

  run(name, event) {
    event.preventDefault();
    this.commands[name]?.();
  }
}

/** Whether one writes there, or something stands above the page, or is about to. */
function isBusy(target) {
  if (parse(location.hash).place === "settings") return true;
  if (document.querySelector("dialog[open], .menu:popover-open")) return true;
  return target instanceof Element && (target.closest("input, textarea, select, [contenteditable]:not([contenteditable=false])") !== null);
}

export function showKeys() {
  const column = ([heading, rows]) => h(
    "section",
    {},
    h("h3", {}, heading),
    h("dl", { class: "key-list" }, rows.map(([keys, , means]) => [
      h("dt", {}, keys.split(" ").map((key, at) => [at > 0 && " ", h("kbd", {}, key)])),
      h("dd", {}, means),
    ])),
  );
  return dialog({ title: "Keyboard shortcuts", className: "keys-dialog", body: () => h("div", { class: "key-columns" }, TABLE.map(column)) });
}
