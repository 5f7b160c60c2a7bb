/** What each key, button and menu does: the hands of the page. */

import * as actions from "./actions.js";
import { isUnread } from "./conversations.js";
import { confirmed, dialog, menu, pick } from "./dialogs.js";
import { $, fill, h, iconButton } from "./dom.js";
import { iconOf, make } from "./folders.js";
import { jmap } from "./jmap.js";
import { showKeys } from "./keys.js";
import { askLabel, notice } from "./labels.js";
import { go } from "./router.js";
import { state } from "./state.js";
import { failed, toast, undoLatest } from "./toasts.js";

const MOST_SOURCE = 400_000; // characters of a source that are shown

export function commands(page) {
  /** What an action is about: what is ticked, else what is open, else where the cursor is. */
  const targets = () => {
    if (state.selected.size) return [...state.selected];
    const one = state.route.thread ?? page.list.current();
    return one ? [one] : [];
  };
  const deselect = () => {
    state.selected.clear();
    state.emit("selection");
  };
  const withTargets = (run) => () => {
    const threadIds = targets();
    if (threadIds.length) run(threadIds);
  };
  const step = (by) => {
    if (!state.route.thread) return void page.list.step(by);
    const index = state.listing.indexOf(state.route.thread);
    const next = state.listing.threadAt(index + by);
    if (index < 0 || !next) return undefined;
    page.list.moveTo(index + by);
    page.openThread(next);
    page.reader.prefetch(state.listing.threadAt(index + 2 * by));
    return undefined;
  };
  const back = () => {
    if (!state.route.thread) return;
    go({ ...state.route, thread: undefined });
    $("#grid").focus({ preventScroll: true });
  };

  const does = {
    archive: (ids) => done(actions.archive(ids)),
    trash: async (ids) => {
      const forever = state.listing?.mailboxId && state.listing.mailboxId === state.byRole("trash")?.id;
      const words = ids.length === 1 ? "this conversation" : `${ids.length} conversations`;
      if (forever && !(await confirmed({ title: "Delete for good?", text: `There is no way back for ${words}.`, yes: "Delete", danger: true }))) return;
      done(actions.trash(ids));
    },
    junk: (ids) => done(inJunk() ? actions.toInbox(ids) : actions.junk(ids)),
    toInbox: (ids) => done(actions.toInbox(ids)),
    star: (ids) => actions.star(ids, !ids.some((id) => state.emailsOf(id).some(({ keywords }) => keywords.$flagged))),
    read: (ids) => actions.read(ids, true, ids.length > 1),
    unread: (ids) => {
      if (state.route.thread && ids.includes(state.route.thread)) back();
      return actions.read(ids, false, ids.length > 1);
    },
    move: async (ids) => {
      const target = await chooseMailbox(ids.length === 1 ? "Move to" : `Move ${ids.length} conversations to`);
      if (target) done(actions.move(ids, target));
    },
    label: async (ids) => {
      const chosen = await askLabel(ids);
      if (!chosen) return;
      await actions.label(ids, chosen.word, chosen.on);
      notice(ids.flatMap((id) => state.emailsOf(id)));
      state.emit("mailboxes");
    },
  };
  const done = (promise) => {
    deselect();
    return promise;
  };

  /** A conversation leaves the list: the next one takes its place where it was open. */
  const leaving = (threadIds) => {
    for (const id of threadIds) state.selected.delete(id);
    const open = state.route.thread;
    if (!open || !threadIds.includes(open)) return;
    const wide = matchMedia("(min-width: 1100px)").matches;
    const index = state.listing.indexOf(open);
    const by = page.goOn ?? 1;
    page.goOn = undefined;
    let next = index + by;
    while (threadIds.includes(state.listing.threadAt(next))) next += by;
    const thread = wide ? (state.listing.threadAt(next) ?? undefined) : undefined;
    queueMicrotask(() => go({ ...state.route, thread }, { replace: true }));
  };

  /** What a button of the reader or a message does. */
  const one = (name, about, more) => {
    if (name === "seen") return actions.readEmails(about.filter(isUnread), true);
    if (name === "starEmail") return actions.starEmails([about], !about.keywords.$flagged);
    if (name === "unlabel") return actions.label(about, more, false);
    return answer(name, about);
  };
  const answer = (mode, email) => email && page.composer({ mode, email });

  const keys = {
    goInbox: () => go({ place: "inbox" }),
    goStarred: () => go({ place: "starred" }),
    goSent: () => go({ place: "sent" }),
    goDrafts: () => go({ place: "drafts" }),
    goAll: () => go({ place: "all" }),
    goFolder: async () => {
      const id = await chooseMailbox("Go to");
      if (id) go({ place: "folder", name: id });
    },
    search: () => page.search.focus(),
    back,
    escape: () => (state.selected.size ? deselect() : back()),
    older: () => step(1),
    newer: () => step(-1),
    open: () => page.list.current() && page.openThread(page.list.current()),
    nextMessage: () => page.reader.walk(1),
    previousMessage: () => page.reader.walk(-1),
    unfoldAll: () => page.reader.unfoldAll(),
    archiveNewer: () => {
      page.goOn = -1;
      withTargets(does.archive)();
    },
    archiveOlder: withTargets(does.archive),
    undo: () => undoLatest() || toast("There is nothing to undo"),
    more: () => threadMenu($(".row.cursor") ?? $("#grid"), targets()),
    compose: () => page.composer({ mode: "new" }),
    reply: () => answer("reply", replied()),
    replyAll: () => answer("replyAll", replied()),
    forward: () => answer("forward", replied()),
    select: () => page.list.current() && page.list.toggle(page.list.current()),
    selectAll: () => select(() => true),
    selectNone: deselect,
    selectRead: () => select((emails) => !emails.some(isUnread)),
    selectUnread: () => select((emails) => emails.some(isUnread)),
    selectStarred: () => select((emails) => emails.some(({ keywords }) => keywords.$flagged)),
    help: showKeys,
  };
  for (const name of Object.keys(does)) keys[name] = withTargets(does[name]);

  const replied = () => {
    if (state.route.thread) return page.reader.focused;
    const thread = page.list.current();
    return thread && state.emailsOf(thread).findLast(({ keywords }) => !keywords.$draft);
  };
  const select = (fits) => {
    state.selected = new Set(state.listing.threads().filter((id) => fits(state.listing.emailsOf(id))));
    state.emit("selection");
  };

  // -- buttons and menus -----------------------------------------------------------------------------------------------

  const tools = (threadIds) => {
    const emails = threadIds.flatMap((id) => state.listing?.emailsOf(id) ?? []);
    const unread = emails.some(isUnread);
    const button = (name, sign, label, key) => iconButton(sign, label, () => does[name](threadIds), { key });
    return [
      place() === "archive" || inJunk() || place() === "trash" ? button("toInbox", "inbox", "Move to Inbox") : button("archive", "archive", "Archive", "e"),
      button("junk", "junk", inJunk() ? "Not junk" : "Junk", "!"),
      button("trash", "trash", place() === "trash" ? "Delete for good" : "Delete", "#"),
      unread ? button("read", "read", "Mark as read", "I") : button("unread", "unread", "Mark as unread", "U"),
      button("move", "move", "Move to", "v"),
      button("label", "label", "Label", "l"),
    ];
  };

  const threadMenu = (at, threadIds) => {
    if (!threadIds.length) return;
    const emails = threadIds.flatMap((id) => state.listing?.emailsOf(id) ?? []);
    const starred = emails.some(({ keywords }) => keywords.$flagged);
    const item = (name, label, sign, key, danger) => ({ label, icon: sign, key, danger, run: () => does[name](threadIds) });
    menu(at, [
      threadIds.length === 1 && { label: "Reply", icon: "reply", key: "r", run: () => answer("reply", emails.at(-1)) },
      threadIds.length === 1 && { label: "Forward", icon: "forward", key: "f", run: () => answer("forward", emails.at(-1)) },
      threadIds.length === 1 && null,
      item("archive", "Archive", "archive", "e"),
      item("move", "Move to…", "move", "v"),
      item("label", "Label as…", "label", "l"),
      item("star", starred ? "Remove star" : "Star", "star", "s"),
      emails.some(isUnread) ? item("read", "Mark as read", "read", "I") : item("unread", "Mark as unread", "unread", "U"),
      null,
      item("junk", inJunk() ? "Not junk" : "Junk", "junk", "!"),
      item("trash", place() === "trash" ? "Delete for good" : "Delete", "trash", "#", true),
    ]);
  };

  const messageMenu = (at, email) => {
    const unsubscribe = email["header:List-Unsubscribe:asURLs"] ?? [];
    menu(at, [
      { label: "Reply", icon: "reply", key: "r", run: () => answer("reply", email) },
      { label: "Reply to all", icon: "replyall", key: "a", run: () => answer("replyAll", email) },
      { label: "Forward", icon: "forward", key: "f", run: () => answer("forward", email) },
      null,
      { label: "Mark as unread", icon: "unread", run: () => { back(); actions.readEmails([email], false); } },
      { label: "Move this message…", icon: "move", run: async () => { const to = await chooseMailbox("Move this message to"); if (to) actions.moveEmails([email], to); } },
      unsubscribe.length > 0 && { label: "Unsubscribe", icon: "close", run: () => leaveList(unsubscribe) },
      null,
      { label: "Print", icon: "print", run: () => window.print() },
      { label: "View source", icon: "file", run: () => showSource(email) },
      { label: "Download", icon: "download", run: () => download(email) },
    ]);
  };

  const leaveList = (urls) => {
    const web = urls.find((url) => /^https:/i.test(url));
    const mail = urls.find((url) => /^mailto:/i.test(url));
    if (web) return window.open(web, "_blank", "noopener,noreferrer");
    if (!mail) return toast("The list names no way that this page knows");
    const url = new URL(mail);
    return page.composer({ mode: "new", to: [{ email: decodeURIComponent(url.pathname) }], subject: url.searchParams.get("subject") ?? "unsubscribe" });
  };

  /** The bar at the bottom of a phone. */
  const drawBottom = () => {
    const threadIds = state.selected.size ? [...state.selected] : state.route.thread ? [state.route.thread] : [];
    const labelled = (sign, label, click) => iconButton(sign, label, click, { className: "bottom-button" });
    fill(
      $("#bottom"),
      threadIds.length
        ? [...tools(threadIds).slice(0, 5), !state.selected.size && labelled("reply", "Reply", () => keys.reply())]
        : [labelled("menu", "Mailboxes", () => $("#menu-button").click()), labelled("search", "Search", () => page.search.focus()), labelled("compose", "Write", keys.compose)],
    );
  };

  return { keys, on: (name, ids) => does[name](ids), one, step, tools, threadMenu, messageMenu, leaving, drawBottom, deselect };
}

function place() {
  return state.route.place;
}

function inJunk() {
  const junk = state.byRole("junk");
  return Boolean(junk && state.listing?.mailboxId === junk.id);
}

/** Ask for a folder, which may be made. Its id. */
async function chooseMailbox(title) {
  const items = state.tree().map(({ mailbox }) => ({ label: state.pathOf(mailbox), icon: iconOf(mailbox), value: mailbox.id }));
  const chosen = await pick({ title, items, create: (text) => `New folder “${text}”` });
  return chosen?.created ? make(chosen.created) : chosen?.value;
}

async function showSource(email) {
  try {
    const blobId = email.blobId ?? (await jmap.call("Email/get", { ids: [email.id], properties: ["blobId"] })).list[0].blobId;
    const text = await jmap.text(blobId, "text/plain");
    const cut = text.length > MOST_SOURCE;
    await dialog({
      title: "Source",
      className: "source-dialog",
      body: () => [h("pre", { class: "source", tabIndex: 0 }, text.slice(0, MOST_SOURCE)), cut && h("p", { class: "note" }, "The rest is in the download.")],
    });
  } catch (error) {
    failed(error, "The source does not open");
  }
}

function download(email) {
  const name = `${(email.subject || "message").replace(/[^\p{L}\p{N} ._-]+/gu, " ").trim().slice(0, 80) || "message"}.eml`;
  h("a", { href: jmap.downloadUrl({ blobId: email.blobId, name, type: "message/rfc822" }), download: name }).click();
}
