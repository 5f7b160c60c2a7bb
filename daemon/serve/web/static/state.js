/**
 * What the page knows: one object, and who wants to hear of which change of it.
 *
 * Emails are kept with the properties that a list shows; a reader asks for more and adds them. Nothing here asks the
 * server: `sync` does, `actions` changes things first here and then there.
 */

export const EMAIL_PROPERTIES = [
  "id", "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "to", "subject", "receivedAt", "size", "preview",
];

/** Roles in the order of the list of mailboxes, with the name each has for people. */
export const ROLES = {
  inbox: "Inbox", drafts: "Drafts", sent: "Sent", archive: "Archive", junk: "Junk", trash: "Trash",
};

class State {
  constructor() {
    this._heard = new Map();
    this.reset();
  }

  reset() {
    /** @type {Map<string, any>} */
    this.mailboxes = new Map();
    /** @type {Map<string, any>} */
    this.emails = new Map();
    /** @type {Map<string, string[]>} the emails of a thread, oldest first */
    this.threads = new Map();
    /** @type {{Mailbox?: string, Email?: string, Thread?: string}} what we know is of these states */
    this.at = {};
    /** @type {import("./router.js").Route} */
    this.route = { place: "inbox" };
    /** @type {import("./listing.js").Listing|null} */
    this.listing = null;
    /** @type {Set<string>} threads that are ticked */
    this.selected = new Set();
    this.identities = [];
    this.quota = null;
  }

  /** Hear of a topic: mailboxes, emails (a Set of ids), list, route, selection, online. Returns how to stop. */
  on(topic, heard) {
    const all = this._heard.get(topic) ?? new Set();
    this._heard.set(topic, all.add(heard));
    return () => all.delete(heard);
  }

  emit(topic, detail) {
    for (const heard of [...(this._heard.get(topic) ?? [])]) heard(detail);
  }

  /** The mailbox of a role, or undefined. */
  byRole(role) {
    for (const mailbox of this.mailboxes.values()) if (mailbox.role === role) return mailbox;
    return undefined;
  }

  /** What people call a mailbox. */
  nameOf(mailbox) {
    return ROLES[mailbox?.role] ?? mailbox?.name ?? "";
  }

  /** Mailboxes as a list of `{mailbox, depth}`: those with a role first, then the others, children below parents. */
  tree() {
    const below = new Map();
    for (const mailbox of this.mailboxes.values()) {
      const parent = this.mailboxes.has(mailbox.parentId) ? mailbox.parentId : null;
      below.set(parent, [...(below.get(parent) ?? []), mailbox]);
    }
    const order = Object.keys(ROLES);
    const rank = (mailbox) => (mailbox.role in ROLES ? order.indexOf(mailbox.role) : order.length);
    const found = [];
    const walk = (parent, depth) => {
      const here = below.get(parent) ?? [];
      here.sort((a, b) => rank(a) - rank(b) || a.sortOrder - b.sortOrder || a.name.localeCompare(b.name));
      for (const mailbox of here) {
        found.push({ mailbox, depth });
        walk(mailbox.id, depth + 1);
      }
    };
    walk(null, 0);
    return found;
  }

  /** The name with those of the mailboxes above it. */
  pathOf(mailbox) {
    const above = this.mailboxes.get(mailbox.parentId);
    return above ? `${this.pathOf(above)} / ${this.nameOf(mailbox)}` : this.nameOf(mailbox);
  }

  /** Take in emails from an answer; those that are known keep the properties that the answer lacks. */
  learn(list) {
    const changed = new Set();
    for (const email of list) {
      this.emails.set(email.id, { ...this.emails.get(email.id), ...email });
      changed.add(email.id);
    }
    return changed;
  }

  /** The emails of a thread that are known, oldest first. */
  emailsOf(threadId) {
    return (this.threads.get(threadId) ?? []).map((id) => this.emails.get(id)).filter(Boolean);
  }

  /** Addresses that are the user's own. */
  get own() {
    return new Set(this.identities.map(({ email }) => email.toLowerCase()));
  }
}

export const state = new State();
