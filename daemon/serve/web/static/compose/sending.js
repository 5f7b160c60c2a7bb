// A message on its way out: into the outbox of this browser first, then to the server, once.
//
// Its Message-ID is the mark: a second try after an answer that got lost finds the email and its submission there,
// and does nothing twice. One tab at a time sends (navigator.locks).

import { jmap } from "../jmap.js";
import { all, drop, put } from "./local.js";
import { emailOf, submissionOf } from "./message.js";
import { upload } from "./upload.js";

/**
 * @typedef {Object} Outgoing
 * @property {string} key
 * @property {string} account
 * @property {number} at
 * @property {Draft} draft
 * @property {{file: File, type: string, name: string, size: number, cid?: string}[]} files  not uploaded yet
 * @property {string} identityId
 * @property {string|null} draftId  the email of the draft, that goes when the message is made
 * @property {{emailId: string, keyword: '$answered'|'$forwarded'}|null} answers
 * @property {number} hold  seconds to undo it
 * @property {string|null} until  UTCDate of a sending later
 * @property {string} drafts  id of the mailbox
 * @property {string} sent
 * @property {number} tries
 * @property {string} [fault]  why the server will not have it
 */

const watchers = new Set();
/** Hear when the outbox changes: `(waiting: Outgoing[]) => void`. */
export function watch(heard) {
  watchers.add(heard);
  return () => watchers.delete(heard);
}

const PASSING = new Set(["offline", "busy", "signedOut", "serverUnavailable", "serverFail", "rateLimit"]);

/**
 * Send it, or keep it until the line is back.
 * @param {Outgoing} item
 * @returns {Promise<{submissionId: string, emailId: string}|null>}  null: it waits. Throws what the server refused.
 */
export async function send(item) {
  await put("outbox", item);
  tell();
  return navigator.locks.request("mail-outbox", () => attempt(item));
}

/**
 * Everything that waits, once. The caller decides when: the line is back, the page was opened.
 * @returns {Promise<{item: Outgoing, done?: {submissionId: string, emailId: string}, error?: Error}[]>}  what became of each
 */
export function flush() {
  return navigator.locks.request("mail-outbox", { ifAvailable: true }, async (lock) => {
    if (!lock) return [];
    const became = [];
    for (const item of await all("outbox", jmap.accountId)) {
      if (item.fault) continue;
      try {
        const done = await attempt(item);
        if (!done) break;
        became.push({ item, done });
      } catch (error) {
        became.push({ item, error });
      }
    }
    return became;
  });
}

export const waiting = () => all("outbox", jmap.accountId);

export async function forget(key) {
  await drop("outbox", key);
  tell();
}

async function tell() {
  const now = await waiting().catch(() => []);
  for (const heard of watchers) heard(now);
}

async function attempt(item) {
  try {
    const emailId = await theEmail(item);
    const submissionId = await theSubmission(item, emailId);
    await drop("outbox", item.key);
    afterwards(item, emailId);
    return { submissionId, emailId };
  } catch (error) {
    if (!PASSING.has(error.type)) {
      item.fault = error.message;
      backToDraft(item);
    }
    item.tries += 1;
    await put("outbox", item);
    if (item.fault) throw error;
    return null;
  } finally {
    tell();
  }
}

/** What was made to go out and may not is the draft now; the one before it goes. */
function backToDraft(item) {
  if (!item.emailId) return;
  if (item.draftId && item.draftId !== item.emailId) jmap.call("Email/set", { destroy: [item.draftId] }).catch(() => {});
  item.draftId = item.emailId;
  item.emailId = null;
}

/** The id of the email to send: made now, or found from an earlier try. */
async function theEmail(item) {
  if (item.tries > 0 && !item.emailId) item.emailId = await known(item.draft.messageId, item.draftId);
  if (item.emailId) return item.emailId;
  while (item.files.length) {
    const { file, ...part } = item.files[0];
    const { blobId } = await upload(file, () => {}, new AbortController().signal);
    item.draft.parts.push({ ...part, blobId });
    item.files.shift();
    await put("outbox", item);
  }
  const answer = await jmap.call("Email/set", { create: { email: emailOf(item.draft, item.drafts) } });
  refuse(answer.notCreated?.email);
  item.emailId = answer.created.email.id;
  await put("outbox", item);
  return item.emailId;
}

async function known(messageId, draftId) {
  const filter = { header: ["Message-ID", messageId] };
  const { ids } = await jmap.call("Email/query", { filter, limit: 10 });
  return ids.find((id) => id !== draftId) ?? null;
}

async function theSubmission(item, emailId) {
  const sent = { [`mailboxIds/${item.drafts}`]: null, [`mailboxIds/${item.sent}`]: true, "keywords/$draft": null };
  if (item.tries > 0) {
    const { ids } = await jmap.call("EmailSubmission/query", { filter: { emailIds: [emailId] }, limit: 1 });
    if (ids.length) {
      await jmap.call("Email/set", { update: { [emailId]: sent } }); // the server may have stopped in between
      return ids[0];
    }
  }
  const create = { out: submissionOf(item.draft, emailId, item.identityId, item) };
  const answer = await jmap.call("EmailSubmission/set", { create, onSuccessUpdateEmail: { "#out": sent } });
  refuse(answer.notCreated?.out);
  return answer.created.out.id;
}

function refuse(error) {
  if (!error) return;
  const reasons = {
    forbiddenFrom: "You may not write as this address.",
    overQuota: "Your mailbox is full.",
    tooLarge: "The message is too large.",
    invalidRecipients: `Nobody is at ${(error.invalidRecipients ?? []).join(", ")}.`,
  };
  throw Object.assign(new Error(error.description || reasons[error.type] || error.type), { type: error.type });
}

/** What may fail without harm to the message that is out: the old draft goes, the one that was answered is marked. */
function afterwards({ draftId, answers }, emailId) {
  if (draftId && draftId !== emailId) jmap.call("Email/set", { destroy: [draftId] }).catch(() => {});
  if (answers) jmap.call("Email/set", { update: { [answers.emailId]: { [`keywords/${answers.keyword}`]: true } } }).catch(() => {});
}

/**
 * Take it back while it waits. The email becomes a draft again.
 * @returns {Promise<boolean>}  false: it was too late
 */
export async function undo({ submissionId, emailId }, { drafts, sent }) {
  const answer = await jmap.call("EmailSubmission/set", { update: { [submissionId]: { undoStatus: "canceled" } } });
  if (answer.notUpdated?.[submissionId]) return false;
  const back = { [`mailboxIds/${sent}`]: null, [`mailboxIds/${drafts}`]: true, "keywords/$draft": true };
  await jmap.call("Email/set", { update: { [emailId]: back } });
  return true;
}
