// One message being written: the window with its fields, and what its buttons and keys do.

import { announce, toast } from "../toasts.js";
import { confirmed, menu } from "../dialogs.js";
import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import { state } from "../state.js";
import { distinct } from "./addresses.js";
import { Attachments } from "./attachments.js";
import { signatureNode } from "./beginning.js";
import { Recipients } from "./chips.js";
import { complete } from "./contacts.js";
import { Drafts } from "./drafts.js";
import { Editor } from "./editor.js";
import { frame } from "./frame.js";
import { habits, setHabits } from "./habits.js";
import { askWhen } from "./later.js";
import { signed, textOf } from "./plain.js";
import { dispatch, mostRecipients } from "./post.js";
import { fault, warnings } from "./warnings.js";

let windows = 0;
const PHONE = "(max-width: 640px)";

export class Composer {
  /**
   * @param {import('./beginning.js').Beginning} beginning
   * @param {Object[]} identities
   * @param {() => void} closed
   */
  constructor(beginning, identities, closed) {
    this.identities = identities;
    this.beginning = beginning;
    this.identity = beginning.identity;
    this.closed = closed;
    this.key = crypto.randomUUID();
    this.dirty = false;
    this.before = document.activeElement;
    const changed = () => this.changed();
    this.to = new Recipients("To", { complete, changed });
    this.cc = new Recipients("Cc", { complete, changed });
    this.bcc = new Recipients("Bcc", { complete, changed });
    this.editor = new Editor({ changed, files: (files, inline) => this.attach(files, inline) });
    this.attachments = new Attachments({ changed, emptied: () => this.editor.focus("end") });
    this.drafts = new Drafts({
      key: this.key,
      draft: () => this.draft(),
      files: () => this.attachments.files(),
      mailbox: () => state.byRole("drafts")?.id,
      told: (said) => this.told(said),
    });
    this.root = frame(this, `composer-${++windows}`);
    this.fill();
    // another tab must not take this draft for one that was left behind
    navigator.locks.request(
      `draft-${this.key}`,
      () =>
        new Promise((free) => {
          this.free = free;
        }),
    );
  }

  // ------------------------------------------------------------------------------------------------------- its looks

  fill() {
    const { to, cc, bcc, subject, rich, nodes, text, parts, draftId } = this.beginning;
    this.to.set(to);
    this.cc.set(cc);
    this.bcc.set(bcc);
    for (const name of ["cc", "bcc"]) {
      this[name].root.hidden = this[name].value.length === 0;
      this.more[name].hidden = !this[name].root.hidden;
    }
    this.subject.value = subject;
    if (rich) this.editor.setRich(nodes);
    else this.editor.setPlain(text);
    this.attachments.take(parts);
    this.drafts.emailId = draftId ?? null;
    this.entitle();
    this.showLooks();
  }

  entitle() {
    this.title.textContent = this.subject.value.trim() || "New message";
  }

  showLooks() {
    this.looks.setAttribute("aria-pressed", String(this.editor.rich));
    this.looks.setAttribute("aria-label", this.editor.rich ? "Formatting on: switch to plain text" : "Plain text: switch to formatting");
  }

  /** To where one writes next. Returns the window. */
  focus() {
    this.small(false);
    if (!this.to.value.length) this.to.focus();
    else if (!this.subject.value && !this.beginning.inReplyTo) this.subject.focus();
    else this.editor.focus(this.beginning.cursor);
    return this.root;
  }

  small(on) {
    this.root.classList.toggle("small", on);
    this.root.querySelector(".minimise").setAttribute("aria-expanded", String(!on));
  }

  told(said) {
    const words = { saving: "Saving…", saved: "Saved", local: "Kept in this browser" };
    this.status.textContent = words[said] ?? said;
  }

  // --------------------------------------------------------------------------------------------------- what it holds

  /** @returns {Draft} */
  draft() {
    const rich = this.editor.html;
    return {
      identityId: this.identity.id,
      from: { name: this.identity.name || null, email: this.identity.email },
      to: this.to.value,
      cc: this.cc.value,
      bcc: distinct([...this.bcc.value, ...(this.identity.bcc ?? [])]),
      replyTo: this.identity.replyTo ?? [],
      subject: this.subject.value,
      text: this.editor.text,
      html: rich?.html ?? null,
      parts: this.attachments.parts(rich?.cids ?? null),
      inReplyTo: this.beginning.inReplyTo,
      references: this.beginning.references,
      messageId: this.beginning.messageId,
    };
  }

  changed() {
    this.dirty = true;
    this.error.hidden = true;
    this.drafts.touch();
  }

  identify(identity) {
    const old = this.identity;
    this.identity = identity;
    if (this.editor.rich) {
      const there = [...this.editor.page.querySelectorAll(".signature")].find((one) => !one.closest("blockquote"));
      const mark = signatureNode(identity);
      if (there && mark) there.replaceWith(mark);
      else if (there) there.remove();
      else if (mark) this.editor.page.append(mark);
    } else {
      const [before, after] = [old, identity].map((one) => signed(one.textSignature || textOf(signatureNode(one) ?? h("p"))));
      const { area } = this.editor;
      area.value =
        before && area.value.includes(before) ? area.value.replace(before, () => after) : after ? `${area.value}\n\n${after}` : area.value;
    }
    this.changed();
  }

  attach(files, inline = false) {
    for (const file of files) {
      const within = inline && this.editor.rich && /^image\/(png|jpeg|gif|webp|avif)$/.test(file.type);
      const one = this.attachments.add(file, within);
      if (within && !one.failed) this.editor.picture(one, URL.createObjectURL(file));
    }
    this.changed();
  }

  dragged(event) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    this.root.classList.add("drop");
  }

  dropped(event) {
    this.root.classList.remove("drop");
    const files = [...event.dataTransfer.files];
    if (!files.length) return;
    event.preventDefault();
    this.attach(files, this.editor.page.contains(event.target));
  }

  switch() {
    this.editor.switch();
    setHabits({ format: this.editor.rich ? "rich" : "plain" });
    this.showLooks();
    announce(this.editor.rich ? "With formatting" : "Plain text");
  }

  options(at) {
    const put = (quote, label) => ({ label, checked: habits().quote === quote, run: () => setHabits({ quote }) });
    menu(at, [
      { label: "Save now", icon: "draft", run: () => this.drafts.save() },
      null,
      put("below", "Write above the quote"),
      put("above", "Write below the quote"),
      put("none", "Do not quote"),
    ]);
  }

  // --------------------------------------------------------------------------------------------------- what it does

  keydown(event) {
    event.stopPropagation(); // the page has keys of its own
    const { key } = event;
    const control = event.ctrlKey || event.metaKey;
    if (control && key === "Enter") this.send();
    else if (control && event.shiftKey && /^[cb]$/i.test(key)) this.more[key.toLowerCase() === "c" ? "cc" : "bcc"].click();
    else if (key === "Escape" && !event.defaultPrevented) this.close();
    else if (key === "Tab" && matchMedia(PHONE).matches) return this.round(event);
    else return;
    event.preventDefault();
  }

  /** On a phone it is the whole page: the focus goes round in it. */
  round(event) {
    const all = [...this.root.querySelectorAll("button, input, select, textarea, [contenteditable]")].filter(
      (one) => one.tabIndex >= 0 && one.offsetParent !== null,
    );
    const edge = event.shiftKey ? all[0] : all.at(-1);
    if (document.activeElement !== edge) return;
    event.preventDefault();
    (event.shiftKey ? all.at(-1) : all[0]).focus();
  }

  commit() {
    for (const field of [this.to, this.cc, this.bcc]) field.commit();
  }

  refuse(words) {
    this.error.textContent = words;
    this.error.hidden = false;
  }

  async sendLater() {
    const until = await askWhen();
    if (until) await this.send(until);
  }

  /** @param {string|null} until  a UTCDate to wait for */
  async send(until = null) {
    if (this.sending) return;
    this.commit();
    const wrong = fault(this.draft(), mostRecipients());
    if (wrong) {
      this.refuse(wrong);
      this.to.focus();
      return;
    }
    this.sending = true;
    this.sendButton.disabled = true;
    try {
      if (await this.ready()) await this.go(until);
    } finally {
      this.sending = false;
      this.sendButton.disabled = false;
    }
  }

  /** The files are there, and the writer means it. */
  async ready() {
    if (this.attachments.busy) this.told("Sending files…");
    await this.attachments.settled();
    const lost = this.attachments.held.find((one) => one.failed && !one.passing);
    if (lost) {
      this.refuse(`${lost.name} is ${lost.failed}. Remove it to send the rest.`);
      return false;
    }
    const draft = this.draft();
    const also = this.attachments.files();
    for (const { question, go } of warnings({ ...draft, parts: [...draft.parts, ...also] })) {
      if (!(await confirmed({ title: "Send?", text: question, yes: go }))) return false;
    }
    return true;
  }

  /** Out of the writer's hands at once: what he types next is not part of it. */
  async go(until) {
    const what = { draft: this.draft(), files: this.attachments.files(), identityId: this.identity.id };
    this.leave();
    await this.drafts.stop();
    await dispatch({ ...what, draftId: this.drafts.emailId, answers: this.beginning.answers, until });
    await this.drafts.forget(); // not before: until it is in the outbox this was the only copy
    this.free?.();
  }

  async discard() {
    this.leave();
    await this.drafts.destroy().catch(() => {});
    this.free?.();
    if (this.dirty) toast("Draft discarded");
  }

  /** Keep what was written, and go. */
  async close() {
    this.commit();
    const saved = this.dirty ? this.drafts.save() : null;
    this.leave();
    await saved;
    if (saved) toast(this.status.textContent === "Saved" ? "Draft saved" : `Draft: ${this.status.textContent}`);
    await this.drafts.stop();
    this.free?.();
  }

  leave() {
    this.root.remove();
    this.attachments.end();
    this.closed();
    if (this.before?.isConnected) this.before.focus({ preventScroll: true });
  }
}
