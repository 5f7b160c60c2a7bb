/** What each key, button and menu does: the hands of the page. */

import * as actions from "./actions.js";
import { isUnread } from "./conversations.js";
import { confirmed, pick } from "./dialogs.js";
import { $ } from "./dom.js";
import { iconOf, make } from "./folders.js";
import { showKeys } from "./keys.js";
import { askLabel, notice } from "./labels.js";
import { go } from "./router.js";
import { state } from "./state.js";
import { toast, undoLatest } from "./toasts.js";

const PLACES = { goInbox: "inbox", goStarred: "starred", goSent: "sent", goDrafts: "drafts", goAll: "all" };
const WIDE = "(min-width: 1100px)"; // the list stands beside the conversation: the next one opens by itself

export const MOST = 2000; // conversations that are ticked at once

/** Whether the list is of the mailbox with that role. */
export function inRole(role) {
  const mailbox = state.byRole(role);
  return Boolean(mailbox && state.listing?.mailboxId === mailbox.id);
}

/** What is done to conversations: a name, and a function of their ids. */
export class Deeds {
  archive(ids) {
    return this.after(actions.archive(ids));
  }

  async trash(ids) {
    const words = ids.length === 1 ? "this conversation" : `these ${ids.length} conversations`;
    if (inRole("trash") && !(await confirmed({ title: "Delete for good?", text: `There is no way back for ${words}.`, yes: "Delete", danger: true }))) return;
    this.after(actions.trash(ids));
  }

  junk(ids) {
    return this.after(inRole("junk") ? actions.toInbox(ids) : actions.junk(ids));
  }

  toInbox(ids) {
    return this.after(actions.toInbox(ids));
  }

  star(ids) {
    return actions.star(ids, !ids.some((id) => state.emailsOf(id).some(({ keywords }) => keywords.$flagged)));
  }

  read(ids) {
    return actions.read(ids, true, ids.length > 1);
  }

  unread(ids) {
    if (ids.includes(state.route.thread)) go({ ...state.route, thread: undefined });
    return actions.read(ids, false, ids.length > 1);
  }

  async move(ids) {
    const target = await chooseMailbox(ids.length === 1 ? "Move to" : `Move ${ids.length} conversations to`);
    if (target) this.after(actions.move(ids, target));
  }

  async label(ids) {
    const chosen = await askLabel(ids);
    if (!chosen) return;
    await actions.label(ids, chosen.word, chosen.on);
    notice(ids.flatMap((id) => state.emailsOf(id)));
    state.emit("mailboxes");
  }

  /** What was ticked is dealt with. */
  after(promise) {
    deselect();
    return promise;
  }
}

const DEEDS = ["archive", "trash", "junk", "star", "read", "unread", "move", "label"];

export class Commands {
  /** @param {any} page list, reader, search, openThread, composer */
  constructor(page) {
    this.page = page;
    this.deeds = new Deeds();
    this.keys = this.table();
    this.onward = 1;
  }

  /** What an action is about: what is ticked, else what is open, else where the cursor is. */
  targets() {
    if (state.selected.size) return [...state.selected];
    const one = state.route.thread ?? this.page.list.current();
    return one ? [one] : [];
  }

  /** Do a deed to what it is about. */
  run(name) {
    const ids = this.targets();
    if (ids.length) this.deeds[name](ids);
  }

  /** What each key of `keys` does, by its name there. */
  table() {
    const { page } = this;
    const places = Object.entries(PLACES).map(([name, place]) => [name, () => go({ place })]);
    const deeds = DEEDS.map((name) => [name, () => this.run(name)]);
    return {
      ...Object.fromEntries([...places, ...deeds]),
      goFolder: () => this.goFolder(),
      goContacts: () => go({ place: "settings", name: "contacts" }),
      search: () => page.search.focus(),
      back: () => this.back(),
      escape: () => (state.selected.size ? deselect() : this.back()),
      older: () => this.step(1),
      newer: () => this.step(-1),
      open: () => page.list.current() && page.openThread(page.list.current()),
      nextMessage: () => page.reader.walk(1),
      previousMessage: () => page.reader.walk(-1),
      unfoldAll: () => page.reader.unfoldAll(),
      archiveOlder: () => this.run("archive"),
      archiveNewer: () => {
        this.onward = -1;
        this.run("archive");
      },
      undo: () => undoLatest() || toast("There is nothing to undo"),
      more: () => this.tools.threadMenu($(".row.cursor") ?? $("#grid"), this.targets()),
      compose: () => page.composer({ mode: "new" }),
      reply: () => this.answer("reply"),
      replyAll: () => this.answer("replyAll"),
      forward: () => this.answer("forward"),
      select: () => page.list.current() && page.list.toggle(page.list.current()),
      selectAll: () => select(() => true),
      selectNone: deselect,
      selectRead: () => select((emails) => !emails.some(isUnread)),
      selectUnread: () => select((emails) => emails.some(isUnread)),
      selectStarred: () => select((emails) => emails.some(({ keywords }) => keywords.$flagged)),
      help: showKeys,
    };
  }

  async goFolder() {
    const id = await chooseMailbox("Go to");
    if (id) go({ place: "folder", name: id });
  }

  /** What a button of the reader or of a message does. */
  one(name, about, more) {
    if (name === "seen") return actions.readEmails(about.filter(isUnread), true);
    if (name === "starEmail") return actions.starEmails([about], !about.keywords.$flagged);
    if (name === "unlabel") return actions.label(about, more, false);
    return this.answer(name, about);
  }

  answer(mode, email = this.answered()) {
    return email && this.page.composer({ mode, email });
  }

  /** The message that an answer is to: the one with the focus, else the last of the conversation. */
  answered() {
    if (state.route.thread) return this.page.reader.focused;
    const thread = this.page.list.current();
    return thread && state.emailsOf(thread).findLast(({ keywords }) => !keywords.$draft);
  }

  /** To the conversation beside: the cursor alone where none is open. */
  step(by) {
    const { list, reader } = this.page;
    if (!state.route.thread) {
      list.step(by);
      return;
    }
    const index = state.listing.indexOf(state.route.thread);
    const next = state.listing.threadAt(index + by);
    if (index < 0 || !next) return;
    list.moveTo(index + by);
    this.page.openThread(next);
    reader.prefetch(state.listing.threadAt(index + 2 * by));
  }

  back() {
    if (!state.route.thread) return;
    go({ ...state.route, thread: undefined });
    $("#grid").focus({ preventScroll: true });
  }

  /** Conversations leave the list: where one of them is open, the one beside it takes its place. */
  leaving(threadIds) {
    for (const id of threadIds) state.selected.delete(id);
    const by = this.onward;
    this.onward = 1;
    const open = state.route.thread;
    if (!open || !threadIds.includes(open)) return;
    let next = state.listing.indexOf(open) + by;
    while (threadIds.includes(state.listing.threadAt(next))) next += by;
    const thread = matchMedia(WIDE).matches ? state.listing.threadAt(next) : undefined;
    queueMicrotask(() => go({ ...state.route, thread }, { replace: true }));
  }
}

export function deselect() {
  if (!state.selected.size) return;
  state.selected.clear();
  state.emit("selection");
}

function select(fits) {
  if (!state.listing) return;
  state.selected = new Set(state.listing.threads().filter((id) => fits(state.listing.emailsOf(id))));
  state.emit("selection");
}

/** Tick all of the list, which is fetched for that: as far as MOST goes. */
export async function selectEverything() {
  const { listing } = state;
  const { looked } = listing;
  await listing.ensure(0, Math.min(listing.total, MOST) - 1);
  listing.looked = looked;
  if (listing === state.listing) select(() => true);
}

/** Ask for a folder, which may be made. Its id. */
export async function chooseMailbox(title) {
  const items = state.tree().map(({ mailbox }) => ({ label: state.pathOf(mailbox), icon: iconOf(mailbox), value: mailbox.id }));
  const chosen = await pick({ title, items, create: (text) => `New folder “${text}”` });
  return chosen?.created ? make(chosen.created) : chosen?.value;
}
