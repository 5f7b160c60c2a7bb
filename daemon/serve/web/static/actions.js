/**
 * What a user does to mail: shown at once, sent, taken back where the server says no, and undone when asked.
 *
 * A change is a patch for each email (RFC 8620 §5.3): `{"keywords/$seen": true, "mailboxIds/m1": null}`.
 */

import { jmap } from "./jmap.js";
import { state } from "./state.js";
import { own, sync } from "./sync.js";
import { failed, toast } from "./toasts.js";

/** A copy of an email with a patch applied. Pure. */
export function patched(email, patch) {
  const made = { ...email, keywords: { ...email.keywords }, mailboxIds: { ...email.mailboxIds } };
  for (const [path, value] of Object.entries(patch)) {
    const [property, key] = path.split("/");
    if (value === null) delete made[property][plain(key)];
    else made[property][plain(key)] = value;
  }
  return made;
}

/** The patch that takes a patch back. Pure. */
export function inverse(email, patch) {
  const made = {};
  for (const path of Object.keys(patch)) {
    const [property, key] = path.split("/");
    made[path] = email[property][plain(key)] ? true : null;
  }
  return made;
}

/** A key as a piece of a JSON pointer (RFC 6901 §3). */
const pointed = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");
const plain = (key) => key.replaceAll("~1", "/").replaceAll("~0", "~");

/** Patches that change nothing are left out. */
function needed(patches) {
  const kept = new Map();
  for (const [id, patch] of patches) {
    const email = state.emails.get(id);
    if (!email) continue;
    const rest = Object.entries(patch).filter(([path, value]) => {
      const [property, key] = path.split("/");
      return Boolean(email[property][plain(key)]) !== Boolean(value);
    });
    if (rest.length) kept.set(id, Object.fromEntries(rest));
  }
  return kept;
}

/**
 * Do it: here first, then there.
 * @param {Map<string, Object>} wanted patches by email
 * @param {{words?: string}} [options] what was done, in a toast with Undo; nothing is shown without
 */
export async function change(wanted, { words } = {}) {
  const patches = needed(wanted);
  if (!patches.size) return;
  const back = new Map([...patches].map(([id, patch]) => [id, inverse(state.emails.get(id), patch)]));
  apply(patches);
  const putBack = leave(patches);
  let shown;
  if (words) shown = toast(words, { action: "Undo", run: () => change(back).then(() => state.listing?.refresh()) });
  try {
    await busy(send(patches));
  } catch (error) {
    shown?.close();
    apply(error.refused ? new Map([...back].filter(([id]) => error.refused.has(id))) : back);
    putBack();
    failed(error, "The server did not take that");
    sync();
  }
}

/** Count a change on its way: what comes from the server meanwhile waits. */
export function busy(promise) {
  own.pending++;
  own.epoch++;
  const done = promise.finally(() => {
    own.pending--;
    own.epoch++;
  });
  own.settled = done.catch(() => {});
  return done;
}

async function send(patches) {
  const most = Math.min(jmap.limits.maxObjectsInSet ?? 500, 500);
  const all = [...patches];
  const refused = new Map();
  for (let at = 0; at < all.length; at += most) {
    const answer = await jmap.call("Email/set", { update: Object.fromEntries(all.slice(at, at + most)) });
    for (const [id, why] of Object.entries(answer.notUpdated ?? {})) refused.set(id, why);
  }
  if (!refused.size) return;
  const [why] = refused.values();
  throw Object.assign(new Error(why.description || why.type), { refused });
}

/** Change what we know, with the numbers of mailboxes. */
function apply(patches) {
  const before = [];
  const after = [];
  for (const [id, patch] of patches) {
    const email = state.emails.get(id);
    if (!email) continue;
    before.push(email);
    after.push(patched(email, patch));
  }
  count(before, -1);
  count(after, 1);
  state.emit("mailboxes");
  state.emit("emails", state.learn(after));
}

function count(emails, by) {
  for (const { mailboxIds, keywords } of emails) {
    for (const id of Object.keys(mailboxIds)) {
      const mailbox = state.mailboxes.get(id);
      if (!mailbox) continue;
      const unread = !keywords.$seen && !keywords.$draft ? by : 0;
      const made = { ...mailbox, totalEmails: mailbox.totalEmails + by };
      made.unreadEmails = Math.max(0, mailbox.unreadEmails + unread);
      made.unreadThreads = Math.max(0, mailbox.unreadThreads + unread);
      state.mailboxes.set(id, made);
    }
  }
}

/** Threads that do not belong to the list any more leave it. Returns how to put them back. */
function leave(patches) {
  const listing = state.listing;
  if (!listing) return () => {};
  const threads = new Set([...patches.keys()].map((id) => state.emails.get(id)?.threadId));
  const gone = [...threads].filter((threadId) => {
    const emails = state.emailsOf(threadId);
    if (listing.mailboxId) return !emails.some(({ mailboxIds }) => mailboxIds[listing.mailboxId]);
    return emails.every(({ mailboxIds }) => Object.keys(mailboxIds).every((id) => listing.hidden.includes(id)));
  });
  if (!gone.length) return () => {};
  state.emit("leaving", gone);
  return listing.remove(gone);
}

/** The emails that an action on threads is about: those that lie where one looks, else all but what one wrote. */
export function emailsToMove(threadIds) {
  const here = state.listing?.mailboxId;
  const stay = ["sent", "drafts", "trash", "junk"].map((role) => state.byRole(role)?.id).filter(Boolean);
  const found = [];
  for (const threadId of threadIds) {
    const emails = state.emailsOf(threadId);
    const there = here
      ? emails.filter(({ mailboxIds }) => mailboxIds[here])
      : emails.filter(({ mailboxIds }) => Object.keys(mailboxIds).some((id) => !stay.includes(id)));
    found.push(...(there.length ? there : emails));
  }
  return found;
}

function moves(emails, target) {
  return new Map(
    emails.map((email) => {
      const patch = Object.fromEntries(Object.keys(email.mailboxIds).map((id) => [`mailboxIds/${pointed(id)}`, null]));
      return [email.id, { ...patch, [`mailboxIds/${pointed(target)}`]: true }];
    }),
  );
}

const several = (threadIds, what) => (threadIds.length === 1 ? `Conversation ${what}` : `${threadIds.length} conversations ${what}`);

/** The mailbox of a role, made when there is none. */
async function needRole(role, name) {
  const found = state.byRole(role);
  if (found) return found.id;
  const answer = await busy(jmap.call("Mailbox/set", { create: { made: { name, role, parentId: null } } }));
  const refused = answer.notCreated?.made;
  if (refused) throw new Error(refused.description || refused.type);
  await sync();
  return answer.created.made.id;
}

async function toRole(threadIds, role, name, words) {
  const emails = emailsToMove(threadIds);
  if (!emails.length) return;
  try {
    await change(moves(emails, await needRole(role, name)), { words: several(threadIds, words) });
  } catch (error) {
    failed(error);
  }
}

export const archive = (threadIds) => toRole(threadIds, "archive", "Archive", "archived");
export const junk = (threadIds) => toRole(threadIds, "junk", "Junk", "moved to Junk");
export const toInbox = (threadIds) => toRole(threadIds, "inbox", "Inbox", "moved to Inbox");

/** To Trash; what lies there already is destroyed (the caller has asked). */
export async function trash(threadIds) {
  const bin = state.byRole("trash")?.id;
  if (!bin || state.listing?.mailboxId !== bin) return toRole(threadIds, "trash", "Trash", "moved to Trash");
  return destroy(emailsToMove(threadIds), threadIds);
}

async function destroy(emails, threadIds) {
  const putBack = state.listing.remove(threadIds);
  state.emit("leaving", threadIds);
  try {
    const answer = await busy(jmap.call("Email/set", { destroy: emails.map(({ id }) => id) }));
    const [why] = Object.values(answer.notDestroyed ?? {});
    if (why) throw new Error(why.description || why.type);
    toast(several(threadIds, "deleted for good"));
  } catch (error) {
    putBack();
    failed(error);
  }
  sync();
}

/** To a mailbox by its id. */
export async function move(threadIds, mailboxId) {
  const name = state.nameOf(state.mailboxes.get(mailboxId));
  await change(moves(emailsToMove(threadIds), mailboxId), { words: several(threadIds, `moved to ${name}`) });
}

/** Single emails to a mailbox. */
export function moveEmails(emails, mailboxId) {
  const name = state.nameOf(state.mailboxes.get(mailboxId));
  return change(moves(emails, mailboxId), { words: `Message moved to ${name}` });
}

function keyword(emails, word, on) {
  return new Map(emails.map(({ id }) => [id, { [`keywords/${pointed(word)}`]: on ? true : null }]));
}

/** Read or unread: of a thread all that the list speaks of; unread is the newest alone, as one finds it again. */
export function read(threadIds, on, words = false) {
  const emails = threadIds.flatMap((threadId) => {
    const all = state.listing?.emailsOf(threadId) ?? state.emailsOf(threadId);
    return on ? all : all.filter(({ keywords }) => !keywords.$draft).slice(-1);
  });
  return change(keyword(emails, "$seen", on), words ? { words: several(threadIds, on ? "marked as read" : "marked as unread") } : {});
}

export function readEmails(emails, on) {
  return change(keyword(emails, "$seen", on));
}

/** A star on the newest; off from all. */
export function star(threadIds, on) {
  const emails = threadIds.flatMap((threadId) => (on ? state.emailsOf(threadId).slice(-1) : state.emailsOf(threadId)));
  return change(keyword(emails, "$flagged", on));
}

export function starEmails(emails, on) {
  return change(keyword(emails, "$flagged", on));
}

/** A label on all emails of threads, or off. */
export function label(threadIds, word, on) {
  const emails = threadIds.flatMap((threadId) => state.emailsOf(threadId));
  return change(keyword(emails, word, on), { words: several(threadIds, on ? `labelled “${word}”` : `lost the label “${word}”`) });
}
