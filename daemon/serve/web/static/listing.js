/**
 * The list of a place as the server has it: a query whose result is fetched in windows, by position, where one looks.
 * A list of 100,000 conversations is an array with holes, and only what was looked at is in it.
 */

import { visible } from "./conversations.js";
import { jmap } from "./jmap.js";
import { filterOf } from "./search.js";
import { EMAIL_PROPERTIES, ROLES, state } from "./state.js";

export const WINDOW = 50;
const ORDER = [{ property: "receivedAt", isAscending: false }];
export const NARROWED = {
  unread: { notKeyword: "$seen" },
  starred: { hasKeyword: "$flagged" },
  attachment: { hasAttachment: true },
};

export class Listing {
  /** @param {import("./router.js").Route} route @param {string} [narrow] a key of NARROWED */
  constructor(route, narrow = "") {
    this.route = route;
    this.narrow = narrow;
    this.hidden = ["junk", "trash"].map((role) => state.byRole(role)?.id).filter(Boolean);
    this.mailboxId = route.place in ROLES ? state.byRole(route.place)?.id : route.place === "folder" ? route.name : undefined;
    this.filter = this._filter();
    /** @type {string[]} an email for each conversation, at its position; holes for what was not fetched */
    this.ids = [];
    /** @type {number|null} conversations in all; null until the server said */
    this.total = null;
    this.error = null;
    this.looked = [0, WINDOW];
    /** What a search found in an email, marked (RFC 8621 §5). @type {Map<string, {subject: string, preview: string}>} */
    this.snippets = new Map();
    this._coming = new Map();
    this._round = 0;
  }

  get outgoing() {
    return this.route.place === "sent" || this.route.place === "drafts";
  }

  _filter() {
    const { place, name } = this.route;
    const extra = NARROWED[this.narrow];
    let own;
    if (place === "search") own = filterOf(name, { mailbox: named, hidden: this.hidden });
    else if (place === "starred") own = both({ hasKeyword: "$flagged" }, this._notHidden());
    else if (place === "label") own = both({ hasKeyword: name }, this._notHidden());
    else if (place === "all") own = this._notHidden();
    else own = { inMailbox: this.mailboxId ?? "none" };
    return both(own, extra);
  }

  _notHidden() {
    return this.hidden.length ? { inMailboxOtherThan: this.hidden } : null;
  }

  /** The thread at a position, undefined where it is not known yet. */
  threadAt(index) {
    return state.emails.get(this.ids[index])?.threadId;
  }

  /** Where a thread stands among what was fetched, or -1. */
  indexOf(threadId) {
    return this.ids.findIndex((id) => id !== undefined && state.emails.get(id)?.threadId === threadId);
  }

  /** The threads that were fetched. */
  threads() {
    return this.ids.filter(Boolean).map((id) => state.emails.get(id)?.threadId).filter(Boolean);
  }

  /** The emails of a thread that this list speaks of. */
  emailsOf(threadId) {
    return visible(state.emailsOf(threadId), this.mailboxId, this.hidden);
  }

  /** See to it that positions `from` to `to` are there; what is missing is asked for once. */
  ensure(from, to) {
    this.looked = [from, to];
    const last = this.total === null ? 0 : Math.max(0, this.total - 1);
    const asked = [];
    for (let window = Math.floor(from / WINDOW); window <= Math.floor(Math.min(to, last) / WINDOW); window++) {
      if (this._coming.has(window) || this._whole(window)) continue;
      const round = this._round;
      const coming = this._fetch(window * WINDOW, WINDOW).then(
        (answer) => round === this._round && this._take(answer),
        (error) => this._failed(error),
      );
      this._coming.set(window, coming);
      asked.push(coming.finally(() => this._coming.get(window) === coming && this._coming.delete(window)));
    }
    return Promise.all(asked);
  }

  _whole(window) {
    if (this.total === null) return false;
    const end = Math.min((window + 1) * WINDOW, this.total);
    for (let index = window * WINDOW; index < end; index++) if (this.ids[index] === undefined) return false;
    return true;
  }

  /** Ask anew for what one looks at; all else is forgotten, and fetched when it is looked at. */
  async refresh() {
    const [from, to] = this.looked;
    const start = Math.floor(from / WINDOW) * WINDOW;
    const round = ++this._round;
    this._coming.clear();
    try {
      const answer = await this._fetch(start, Math.min(Math.max(WINDOW, Math.ceil((to - start) / WINDOW) * WINDOW), 4 * WINDOW));
      if (round !== this._round) return false;
      const before = this.ids;
      this.ids = [];
      this._take(answer, before);
      return true;
    } catch (error) {
      this._failed(error);
      return false;
    }
  }

  _take({ query, emails, threads }, before) {
    for (const { id, emailIds } of threads) state.threads.set(id, emailIds);
    state.learn(emails);
    if (query.total !== undefined) this.total = query.total;
    query.ids.forEach((id, offset) => (this.ids[query.position + offset] = id));
    if (this.total === null) this.total = query.ids.length;
    this.error = null;
    state.emit("list", { listing: this, before });
    if (this.route.place === "search" && query.ids.length) this._snip(query.ids);
  }

  /** Where the words of a search stand: after the list, which does not wait for it. */
  async _snip(ids) {
    try {
      const { list } = await jmap.call("SearchSnippet/get", { filter: this.filter, emailIds: ids });
      for (const { emailId, subject, preview } of list) this.snippets.set(emailId, { subject, preview });
      state.emit("list", { listing: this });
    } catch {
      // the list is whole without
    }
  }

  _failed(error) {
    this.error = error;
    state.emit("list", { listing: this });
  }

  /** One window with all that its rows show, in one request (RFC 8621 §4.10 shows the same). */
  async _fetch(position, limit) {
    const query = jmap.call("Email/query", {
      filter: this.filter, sort: ORDER, collapseThreads: true, position, limit, calculateTotal: true,
    });
    const heads = jmap.call("Email/get", { "#ids": query.ref("/ids"), properties: ["threadId"] });
    const threads = jmap.call("Thread/get", { "#ids": heads.ref("/list/*/threadId") });
    const emails = jmap.call("Email/get", { "#ids": threads.ref("/list/*/emailIds"), properties: EMAIL_PROPERTIES });
    heads.catch(() => {}); // who asked hears of it by the others
    const found = await Promise.allSettled([query, threads, emails]);
    const fault = found.slice(0, 2).find(({ status }) => status === "rejected");
    if (fault) throw fault.reason;
    const list = found[1].value.list;
    return { query: found[0].value, threads: list, emails: found[2].value?.list ?? (await inPieces(list)) };
  }

  /** Take threads out at once, as what moves away does. Returns how to put them back. */
  remove(threadIds) {
    const gone = new Set(threadIds);
    const before = { ids: this.ids.slice(), total: this.total };
    const kept = [];
    let index = 0;
    let taken = 0;
    this.ids.forEach((id, position) => {
      // holes keep their width: forEach leaves them out
      index = position - taken;
      if (gone.has(state.emails.get(id)?.threadId)) taken++;
      else kept[index] = id;
    });
    if (!taken) return () => {};
    this.ids = kept;
    this.total = Math.max(0, (this.total ?? 0) - taken);
    const round = ++this._round;
    this._coming.clear();
    state.emit("list", { listing: this });
    return () => {
      if (round !== this._round) return;
      Object.assign(this, before);
      state.emit("list", { listing: this });
    };
  }
}

/** Threads so long that the server does not give all their emails in one answer. */
async function inPieces(threads) {
  const ids = threads.flatMap(({ emailIds }) => emailIds);
  const most = Math.min(jmap.limits.maxObjectsInGet ?? 500, 500);
  const pieces = [];
  for (let at = 0; at < ids.length; at += most) {
    pieces.push(jmap.call("Email/get", { ids: ids.slice(at, at + most), properties: EMAIL_PROPERTIES }));
  }
  return (await Promise.all(pieces)).flatMap(({ list }) => list);
}

function both(one, other) {
  if (!one || !other) return one ?? other ?? null;
  return { operator: "AND", conditions: [one, other] };
}

/** The id of a mailbox by its role, name or path, in any case. */
function named(text) {
  const low = text.toLocaleLowerCase();
  const role = { spam: "junk", bin: "trash", draft: "drafts" }[low] ?? low;
  const found = state.byRole(role);
  if (found) return found.id;
  for (const mailbox of state.mailboxes.values()) {
    const path = state.pathOf(mailbox).toLocaleLowerCase();
    if ([mailbox.name.toLocaleLowerCase(), path, path.replaceAll(" / ", "/")].includes(low)) return mailbox.id;
  }
  return undefined;
}
