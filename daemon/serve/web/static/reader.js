/** The reading pane: a conversation with its messages, oldest first; what is read already is folded. */

import { bodiesOf } from "./body.js";
import { colourOf, isUnread, labelsOf } from "./conversations.js";
import { $, fill, h, icon, iconButton, refill } from "./dom.js";
import { jmap } from "./jmap.js";
import { Message } from "./message.js";
import { EMAIL_PROPERTIES, state } from "./state.js";

const FOLDED = 4; // read messages in a row before they are hidden behind a number

export class Reader {
  /** @param {{act: Function, tools: () => any[], messageMenu: Function, back: () => void, step: (by: number) => void}} hands */
  constructor(hands) {
    this.hands = hands;
    this.pane = $("#reader");
    this.threadId = null;
    this.messages = new Map();
    state.on("emails", (changed) => this.changed(changed));
    this.nothing();
  }

  /** Show a conversation; null for none. */
  async show(threadId) {
    if (threadId === this.threadId) return;
    this.threadId = threadId;
    this.messages.clear();
    if (!threadId) return this.nothing();
    this.frame();
    this.pane.scrollTop = 0;
    try {
      await this.know(threadId);
      if (this.threadId === threadId) await this.fillIn();
    } catch (error) {
      if (this.threadId === threadId) this.fault(error);
    }
  }

  /** Fetch what is not known of a thread: its emails, and the bodies of those that will be open. */
  async know(threadId) {
    if (!state.threads.has(threadId) || state.emailsOf(threadId).length < state.threads.get(threadId).length) {
      const threads = jmap.call("Thread/get", { ids: [threadId] });
      const emails = jmap.call("Email/get", { "#ids": threads.ref("/list/*/emailIds"), properties: EMAIL_PROPERTIES });
      const [{ list }, found] = await Promise.all([threads, emails]);
      for (const { id, emailIds } of list) state.threads.set(id, emailIds);
      state.learn(found.list);
    }
    const missing = this.toOpen(threadId).filter((id) => !state.emails.get(id)?.bodyValues);
    if (missing.length) state.learn((await bodiesOf(missing)).list);
  }

  /** Fetch a conversation before it is asked for, quietly. */
  prefetch(threadId) {
    if (threadId) this.know(threadId).catch(() => {});
  }

  /** Unread ones and the last are open. */
  toOpen(threadId) {
    const emails = this.emails(threadId).filter(({ keywords }) => !keywords.$draft);
    const open = emails.filter(isUnread).map(({ id }) => id);
    const last = emails.at(-1)?.id;
    return [...new Set([...open.slice(-10), last].filter(Boolean))];
  }

  emails(threadId = this.threadId) {
    return state.listing?.emailsOf(threadId) ?? state.emailsOf(threadId);
  }

  /** The message that replies go to: the last that is no draft. */
  get last() {
    const emails = this.emails();
    return emails.findLast(({ keywords }) => !keywords.$draft) ?? emails.at(-1);
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  nothing() {
    fill(this.pane, h("div", { class: "reader-nothing", aria: { hidden: true } }, icon("unread")));
    document.documentElement.dataset.pane = "list";
  }

  frame() {
    document.documentElement.dataset.pane = "reader";
    this.tools = h("div", { class: "reader-tools", role: "toolbar", aria: { label: "Conversation" } });
    this.title = h("h1", { class: "reader-subject", tabIndex: -1 });
    this.labels = h("div", { class: "reader-labels" });
    this.list = h("div", { class: "messages" }, h("div", { class: "message skeleton" }, h("div", { class: "skeleton-text" }), h("div", { class: "skeleton-text" }), h("div", { class: "skeleton-text" })));
    this.answer = h("div", { class: "answer-bar" });
    fill(this.pane, this.tools, h("div", { class: "reader-scroll" }, h("header", { class: "reader-head" }, this.title, this.labels), this.list), this.answer);
    this.head();
  }

  head() {
    const emails = this.emails();
    this.title.textContent = emails[0]?.subject || (emails.length ? "(no subject)" : "");
    fill(this.labels, labelsOf(emails).map((word) => this.label(word)));
    refill(
      this.tools,
      iconButton("back", "Back to the list", this.hands.back, { key: "u", className: "icon-button reader-back" }),
      this.hands.tools([this.threadId]),
      h("span", { class: "spring" }),
      iconButton("up", "Newer conversation", () => this.hands.step(-1), { key: "k" }),
      iconButton("down", "Older conversation", () => this.hands.step(1), { key: "j" }),
    );
  }

  label(word) {
    return h(
      "span",
      { class: ["label", `colour-${colourOf({ email: word })}`] },
      word,
      iconButton("close", `Remove the label ${word}`, () => this.hands.act("unlabel", [this.threadId], word), { className: "label-off" }),
    );
  }

  async fillIn() {
    const emails = this.emails();
    if (!emails.length) return this.fault({ message: "This conversation is not there any more." });
    const open = new Set(this.toOpen(this.threadId));
    this.head();
    const folded = emails.filter(({ id }) => !open.has(id));
    const hide = folded.length > FOLDED + 1 ? new Set(folded.slice(1, -1).map(({ id }) => id)) : new Set();
    fill(this.list, emails.map((email) => this.message(email.id, hide.has(email.id))), null);
    if (hide.size) this.between(hide);
    this.answers();
    const opening = [...open].map((id) => this.messages.get(id)?.unfold());
    const first = emails.find(isUnread)?.id ?? [...open].at(-1);
    const to = this.messages.get(first)?.element;
    if (to && to.offsetTop > this.pane.clientHeight * 0.4) to.scrollIntoView({ block: "start" });
    this.hands.act("seen", emails.filter(({ id }) => open.has(id)));
    await Promise.all(opening);
  }

  message(id, hidden = false) {
    const made = new Message(id, { act: this.hands.act, menu: this.hands.messageMenu });
    made.element.hidden = hidden;
    this.messages.set(id, made);
    return made.element;
  }

  /** A number in place of many that were read. */
  between(hide) {
    const show = () => {
      for (const id of hide) this.messages.get(id).element.hidden = false;
      button.remove();
    };
    const button = h("button", { type: "button", class: "between", on: { click: show } }, `${hide.size} earlier messages`);
    this.messages.get([...hide][0]).element.before(button);
  }

  answers() {
    const email = this.last;
    if (!email || email.keywords.$draft) return fill(this.answer);
    const to = (email.to?.length ?? 0) + (email.cc?.length ?? 0);
    const button = (name, label, key) => h("button", { type: "button", class: "button", title: `${label} (${key})`, on: { click: () => this.hands.act(name, this.last) } }, icon(name === "replyAll" ? "replyall" : name), label);
    return fill(this.answer, button("reply", "Reply", "r"), to > 1 && button("replyAll", "Reply all", "a"), button("forward", "Forward", "f"));
  }

  fault(error) {
    const again = () => {
      const threadId = this.threadId;
      this.threadId = null;
      this.show(threadId);
    };
    fill(this.list, h("div", { class: "empty" }, icon("warning"), h("p", {}, error.message), h("button", { type: "button", class: "button", on: { click: again } }, "Try again")));
  }

  /** Something about emails changed: marks, new ones, ones that went. */
  changed(ids) {
    if (!this.threadId || !this.messages.size) return;
    const emails = this.emails();
    const there = new Set(emails.map(({ id }) => id));
    let touched = false;
    for (const [id, message] of this.messages) {
      if (!there.has(id)) {
        message.element.remove();
        this.messages.delete(id);
        touched = true;
      } else if (ids.has(id)) {
        message.renew();
        touched = true;
      }
    }
    for (const { id } of emails) {
      if (this.messages.has(id)) continue;
      touched = true;
      this.list.append(this.message(id));
      const email = state.emails.get(id);
      if (!email.keywords.$draft) this.messages.get(id).unfold();
      if (isUnread(email) && document.hasFocus()) this.hands.act("seen", [email]);
    }
    if (touched && emails.length) {
      this.head();
      this.answers();
    }
  }

  /** The focus to the next message or the one before (keys n and p). */
  walk(by) {
    const all = [...this.messages.values()].filter(({ element }) => !element.hidden);
    const here = all.findIndex(({ element }) => element.contains(document.activeElement));
    const next = all[Math.max(0, Math.min(here + by, all.length - 1))];
    if (!next) return;
    next.element.scrollIntoView({ block: "nearest" });
    $("button", next.element)?.focus({ preventScroll: true });
  }

  /** The message that has the focus, else the last. */
  get focused() {
    for (const { element, email } of this.messages.values()) if (element.contains(document.activeElement)) return email;
    return this.last;
  }

  unfoldAll() {
    for (const message of this.messages.values()) {
      message.element.hidden = false;
      if (!message.open) message.unfold();
    }
    $(".between", this.list)?.remove();
  }
}
