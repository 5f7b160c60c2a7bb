// Drafts saved as one types: to the server when the keys rest, and to this browser at once until the server has them.

import { jmap } from "../jmap.js";
import { drop, put } from "./local.js";
import { emailOf } from "./message.js";

const REST = 1500; // ms without a change
const LONGEST = 10_000; // ms of typing without a rest

export class Drafts {
  /**
   * @param {{key: string, draft: () => Draft, files: () => Object[], mailbox: () => string|undefined, told: (state: string) => void}} how
   *   `key`: of this window; `told`: saving, saved, local (the server cannot be reached), or what it said
   */
  constructor({ key, draft, files, mailbox, told }) {
    Object.assign(this, { key, draft, files, mailbox, told });
    /** The email that holds the draft on the server. @type {string|null} */
    this.emailId = null;
    this.working = Promise.resolve();
    this.ended = false;
    this.kept = "";
  }

  /** Something was changed. */
  touch() {
    if (this.ended) return;
    clearTimeout(this.timer);
    this.since ??= Date.now();
    const wait = Math.max(0, Math.min(REST, this.since + LONGEST - Date.now()));
    this.timer = setTimeout(() => this.save(), wait);
  }

  /** As it stands now, one after the other. Resolves when it is kept somewhere. */
  save() {
    clearTimeout(this.timer);
    this.since = null;
    this.working = this.working.then(() => (this.ended ? undefined : this.write()));
    return this.working;
  }

  async write() {
    const draft = this.draft();
    const said = JSON.stringify(draft);
    if (said === this.kept) return;
    this.told("saving");
    await put("drafts", {
      key: this.key,
      account: jmap.accountId,
      at: Date.now(),
      draft,
      files: this.files(),
      emailId: this.emailId,
    }).catch(() => {});
    const mailbox = this.mailbox();
    if (!mailbox) {
      this.told("local");
      return;
    }
    try {
      await this.replace(emailOf(draft, mailbox));
      this.kept = said;
      this.told("saved");
    } catch (error) {
      this.told(error.type === "offline" || error.type === "busy" ? "local" : `not saved: ${error.message}`);
    }
  }

  /** The new one first, then the old one away: whatever fails in between, one of them is there. */
  async replace(email) {
    const answer = await jmap.call("Email/set", { create: { draft: email } });
    const refused = answer.notCreated?.draft;
    if (refused) throw new Error(refused.description || refused.type);
    const old = this.emailId;
    this.emailId = answer.created.draft.id;
    await this.forget(); // at once: a page that is opened now must not save it a second time
    if (old) await jmap.call("Email/set", { destroy: [old] }).catch(() => {});
  }

  /** Nothing is saved from here on. Resolves when what was being saved is. */
  async stop() {
    this.ended = true;
    clearTimeout(this.timer);
    await this.working;
  }

  /** The server has it, or the outbox: this browser needs no copy. */
  forget() {
    return drop("drafts", this.key).catch(() => {});
  }

  /** Thrown away, here and on the server. */
  async destroy() {
    await this.stop();
    await this.forget();
    if (this.emailId) await jmap.call("Email/set", { destroy: [this.emailId] });
  }
}
