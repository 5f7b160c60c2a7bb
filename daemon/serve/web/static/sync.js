/**
 * Keeping what we know true: everything once at the start, then the changes since (RFC 8620 §5.2), whenever the server
 * says that there are some. What the user changes at the same moment is not overwritten: the answer is thrown away
 * and asked for again.
 */

import { jmap } from "./jmap.js";
import { EMAIL_PROPERTIES, state } from "./state.js";

const MOST_CHANGES = 250; // more than that, and all is read anew
const SUBMISSION = "urn:ietf:params:jmap:submission";
const QUOTA = "urn:ietf:params:jmap:quota";

/** How many changes of the user's are on their way, and a count that every one moves. */
export const own = { pending: 0, epoch: 0, settled: Promise.resolve() };

/** What every page needs: mailboxes, identities, quota, and the states to ask changes from. */
export async function load() {
  const asked = [
    jmap.call("Mailbox/get", { ids: null }),
    jmap.call("Email/get", { ids: [], properties: ["id"] }),
    jmap.has(SUBMISSION) ? jmap.call("Identity/get", { ids: null }) : { list: [] },
    jmap.has(QUOTA) ? jmap.call("Quota/get", { ids: null }) : { list: [] },
  ];
  const [mailboxes, emails, identities, quota] = await Promise.allSettled(asked);
  if (mailboxes.status === "rejected") throw mailboxes.reason;
  state.mailboxes = new Map(mailboxes.value.list.map((mailbox) => [mailbox.id, mailbox]));
  state.at = { Mailbox: mailboxes.value.state, Email: emails.value?.state };
  state.identities = identities.value?.list ?? [];
  state.quota = quotaOf(quota.value?.list);
  state.emit("mailboxes");
}

function quotaOf(list = []) {
  return list.find(({ resourceType }) => resourceType === "octets") ?? null;
}

let running = null;
let again = false;

/** Catch up with the server. Calls while one runs are one more afterwards. Resolves with the emails that are new. */
export function sync() {
  if (running) {
    again = true;
    return running;
  }
  running = run().finally(() => {
    running = null;
    if (again) {
      again = false;
      sync();
    }
  });
  return running;
}

async function run() {
  for (let attempt = 0; attempt < 5; attempt++) {
    while (own.pending) await own.settled;
    const epoch = own.epoch;
    let news;
    try {
      news = await changes();
    } catch (error) {
      if (error.type !== "cannotCalculateChanges") return;
      await anew();
      return;
    }
    if (epoch !== own.epoch) continue; // the user was quicker: what we heard may be older than what he did
    take(news);
    if (news.emails || news.moved) await list(epoch);
    if (epoch === own.epoch) return;
  }
}

/** The list anew, if nothing happened since. */
async function list(epoch) {
  if (epoch === own.epoch) await state.listing?.refresh();
}

async function changes() {
  const since = { ...state.at };
  const boxes = jmap.call("Mailbox/changes", { sinceState: since.Mailbox });
  const created = jmap.call("Mailbox/get", { "#ids": boxes.ref("/created") });
  const updated = jmap.call("Mailbox/get", { "#ids": boxes.ref("/updated"), "#properties": boxes.ref("/updatedProperties") });
  const mails = jmap.call("Email/changes", { sinceState: since.Email, maxChanges: MOST_CHANGES });
  const fresh = jmap.call("Email/get", { "#ids": mails.ref("/created"), properties: EMAIL_PROPERTIES });
  const other = jmap.call("Email/get", { "#ids": mails.ref("/updated"), properties: EMAIL_PROPERTIES });
  const all = await Promise.allSettled([boxes, created, updated, mails, fresh, other]);
  const fault = all.find(({ status }) => status === "rejected");
  if (fault) throw fault.reason;
  const [b, c, u, m, f, o] = all.map(({ value }) => value);
  if (m.hasMoreChanges || b.hasMoreChanges) throw { type: "cannotCalculateChanges" };
  return {
    at: { Mailbox: b.newState, Email: m.newState },
    boxes: { changed: [...c.list, ...u.list], destroyed: b.destroyed },
    moved: b.created.length + b.destroyed.length > 0,
    emails: m.created.length + m.updated.length + m.destroyed.length > 0,
    fresh: f.list,
    changed: [...f.list, ...o.list],
    destroyed: m.destroyed,
  };
}

function take(news) {
  state.at = news.at;
  for (const mailbox of news.boxes.changed) {
    state.mailboxes.set(mailbox.id, { ...state.mailboxes.get(mailbox.id), ...mailbox });
  }
  for (const id of news.boxes.destroyed) state.mailboxes.delete(id);
  for (const email of news.changed) {
    const thread = state.threads.get(email.threadId);
    if (thread && !thread.includes(email.id)) state.threads.set(email.threadId, byDate([...thread, email.id], email));
  }
  const changed = state.learn(news.changed.filter(({ id, threadId }) => state.emails.has(id) || state.threads.has(threadId)));
  for (const id of news.destroyed) {
    const gone = state.emails.get(id);
    state.emails.delete(id);
    if (!gone) continue;
    changed.add(id);
    const rest = (state.threads.get(gone.threadId) ?? []).filter((other) => other !== id);
    if (rest.length) state.threads.set(gone.threadId, rest);
    else state.threads.delete(gone.threadId);
  }
  if (news.boxes.changed.length || news.boxes.destroyed.length) state.emit("mailboxes");
  if (changed.size) state.emit("emails", changed);
  const inbox = state.byRole("inbox")?.id;
  const arrived = news.fresh.filter((email) => email.mailboxIds[inbox] && !email.keywords.$seen && !email.keywords.$draft);
  if (arrived.length) state.emit("arrived", arrived);
}

function byDate(ids, email) {
  const when = (id) => (id === email.id ? email : state.emails.get(id))?.receivedAt ?? "";
  return ids.sort((a, b) => when(a).localeCompare(when(b)));
}

/** Too much happened: all of it anew. */
async function anew() {
  await load();
  await state.listing?.refresh();
  state.emit("emails", new Set(state.emails.keys()));
}
