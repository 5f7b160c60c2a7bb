/** The buttons and menus about mail: of a conversation, of a message, of what is ticked; the bar of a phone. */

import * as actions from "./actions.js";
import { isHtml, viewOf } from "./body.js";
import { chooseMailbox, inRole } from "./commands.js";
import { isUnread } from "./conversations.js";
import { dialog, menu } from "./dialogs.js";
import { $, fill, h, iconButton } from "./dom.js";
import { jmap } from "./jmap.js";
import { go } from "./router.js";
import { state } from "./state.js";
import { mailtoOf } from "./text.js";
import { failed, toast } from "./toasts.js";

const MOST_SOURCE = 400_000; // characters of a source that are shown

export class Tools {
  /** @param {import("./commands.js").Commands} commands */
  constructor(commands) {
    this.commands = commands;
    this.deeds = commands.deeds;
  }

  /** What conversations are, where one looks. */
  about(threadIds) {
    return threadIds.flatMap((id) => state.listing?.emailsOf(id) ?? []);
  }

  /** Buttons about conversations. */
  buttons(threadIds) {
    const button = (name, sign, label, key) => iconButton(sign, label, () => this.deeds[name](threadIds), { key });
    const away = inRole("archive") || inRole("junk") || inRole("trash");
    return [
      away ? button("toInbox", "inbox", "Move to Inbox") : button("archive", "archive", "Archive", "e"),
      button("junk", "junk", inRole("junk") ? "Not junk" : "Junk", "!"),
      button("trash", "trash", inRole("trash") ? "Delete for good" : "Delete", "#"),
      this.about(threadIds).some(isUnread) ? button("read", "read", "Mark as read", "I") : button("unread", "unread", "Mark as unread", "U"),
      button("move", "move", "Move to", "v"),
      button("label", "label", "Label", "l"),
    ];
  }

  /** The menu of conversations. */
  threadMenu(at, threadIds) {
    if (!threadIds.length) return;
    const emails = this.about(threadIds);
    const starred = emails.some(({ keywords }) => keywords.$flagged);
    const one = threadIds.length === 1;
    const item = (name, label, sign, key, danger) => ({ label, icon: sign, key, danger, run: () => this.deeds[name](threadIds) });
    const answer = (mode, label, sign, key) => one && { label, icon: sign, key, run: () => this.commands.answer(mode, emails.at(-1)) };
    menu(at, [
      answer("reply", "Reply", "reply", "r"),
      answer("forward", "Forward", "forward", "f"),
      one && null,
      item("archive", "Archive", "archive", "e"),
      item("move", "Move to…", "move", "v"),
      item("label", "Label as…", "label", "l"),
      item("star", starred ? "Remove star" : "Star", "star", "s"),
      emails.some(isUnread) ? item("read", "Mark as read", "read", "I") : item("unread", "Mark as unread", "unread", "U"),
      null,
      item("junk", inRole("junk") ? "Not junk" : "Junk", "junk", "!"),
      item("trash", inRole("trash") ? "Delete for good" : "Delete", "trash", "#", true),
    ]);
  }

  /** The menu of one message. */
  messageMenu(at, email) {
    const { commands } = this;
    const lists = email["header:List-Unsubscribe:asURLs"] ?? [];
    const byList = (email["header:List-Post:asURLs"] ?? []).some((url) => /^mailto:/i.test(url));
    const answer = (mode, label, sign, key) => ({ label, icon: sign, key, run: () => commands.answer(mode, email) });
    menu(at, [
      answer("reply", "Reply", "reply", "r"),
      answer("replyAll", "Reply to all", "replyall", "a"),
      byList && answer("replyList", "Reply to the list", "reply"),
      answer("forward", "Forward", "forward", "f"),
      answer("forwardAttached", "Forward as attachment", "attach"),
      null,
      { label: "Mark as unread", icon: "unread", run: () => this.unread(email) },
      { label: "Move this message…", icon: "move", run: () => this.moveOne(email) },
      { label: "Filter messages like this", icon: "sort", run: () => filterLike(email) },
      lists.length > 0 && { label: "Unsubscribe", icon: "close", run: () => this.unsubscribe(lists) },
      null,
      { label: "Print", icon: "print", run: () => this.print(email) },
      { label: "View source", icon: "file", run: () => showSource(email) },
      { label: "Download", icon: "download", run: () => download(email) },
    ]);
  }

  unread(email) {
    this.commands.back();
    return actions.readEmails([email], false);
  }

  /** HTML on a page of its own that prints itself: of a frame only what is in sight comes on paper. */
  async print(email) {
    if (!isHtml(email)) return window.print();
    const tab = window.open("", "_blank"); // now, by the hand of who asks: later a browser takes it for an advertisement
    try {
      const { url } = await viewOf(email, this.commands.page.reader.messages.get(email.id)?.images);
      tab.opener = null;
      return tab.location.replace(`${url}/print`);
    } catch (error) {
      tab?.close();
      return failed(error, "It cannot be printed now");
    }
  }

  async moveOne(email) {
    const target = await chooseMailbox("Move this message to");
    if (target) await actions.moveEmails([email], target);
  }

  /** Leave a list by the way that it names (RFC 2369): its page, or a mail to it. */
  unsubscribe(urls) {
    const page = urls.find((url) => /^https:/i.test(url));
    const mail = urls.map(mailtoOf).find(Boolean);
    if (page) window.open(page, "_blank", "noopener,noreferrer");
    else if (mail) this.commands.page.composer({ mode: "new", ...mail, subject: mail.subject ?? "unsubscribe" });
    else toast("The list names no way that this page knows");
  }

  /** The bar at the bottom of a phone. */
  drawBottom() {
    const { keys, page } = this.commands;
    const threadIds = state.selected.size ? [...state.selected] : state.route.thread ? [state.route.thread] : [];
    const button = (sign, label, click) => iconButton(sign, label, click, { className: "bottom-button" });
    const parts = threadIds.length
      ? [this.buttons(threadIds).slice(0, 5), !state.selected.size && button("reply", "Reply", keys.reply)]
      : [button("menu", "Mailboxes", () => $("#menu-button").click()), button("search", "Search", () => page.search.focus()), button("compose", "Write", keys.compose)];
    fill($("#bottom"), parts);
  }
}

/** To the rules, with a new one for mail of this list, else of this sender. */
function filterLike(email) {
  const list = /<([^<>\s]+)>/.exec(email["header:List-Id:asText"] ?? "")?.[1]; // RFC 2919: words, then the id in brackets
  const about = list ? ["list-id", list] : ["from", email.from?.[0]?.email ?? ""];
  go({ place: "settings", name: "rules", about });
}

async function showSource(email) {
  try {
    const text = await jmap.text(email.blobId);
    await dialog({
      title: "Source",
      className: "source-dialog",
      body: () => [
        h("pre", { class: "source", tabIndex: 0 }, text.slice(0, MOST_SOURCE)),
        text.length > MOST_SOURCE && h("p", { class: "note" }, "The rest is in the download."),
      ],
    });
  } catch (error) {
    failed(error, "The source does not open");
  }
}

function download(email) {
  const name = `${(email.subject || "").replace(/[^\p{L}\p{N} ._-]+/gu, " ").trim().slice(0, 80) || "message"}.eml`;
  h("a", { href: jmap.downloadUrl({ blobId: email.blobId, name, type: "message/rfc822" }), download: name }).click();
}
