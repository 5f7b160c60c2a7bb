// To whom an answer goes, what its subject is and which conversation it belongs to. Pure: no page, no server.

import { distinct, isAddress, same, without } from "./addresses.js";

/** What has to be asked of Email/get for a message that is answered or forwarded. */
export const PROPERTIES = [
  "id",
  "blobId",
  "threadId",
  "mailboxIds",
  "keywords",
  "messageId",
  "inReplyTo",
  "references",
  "from",
  "sender",
  "to",
  "cc",
  "bcc",
  "replyTo",
  "subject",
  "sentAt",
  "receivedAt",
  "textBody",
  "htmlBody",
  "attachments",
  "bodyValues",
  "bodyStructure",
  "header:List-Post:asURLs",
  "header:Delivered-To:asAddresses:all",
];

/** Marks of an answer as programs of many languages write them; one is enough. */
const ANSWER = /^\s*((re|aw|sv|vs|antw|odp|res|rif|ynt|回复|回覆|答复|답장)\s*(\[\d+\]|\(\d+\))?\s*[:：]\s*)+/iu;
const FORWARD = /^\s*((fwd?|wg|tr|rv|enc|i|vl|doorst|vb|pd|转发|轉寄)\s*[:：]\s*)+/iu;

/** `Re: Lunch`, once, whatever stood there. */
export const answerSubject = (subject) => `Re: ${(subject ?? "").replace(ANSWER, "").trim()}`.trimEnd();

/** `Fwd: Lunch`, once. */
export const forwardSubject = (subject) => `Fwd: ${(subject ?? "").replace(FORWARD, "").trim()}`.trimEnd();

/** The address of the list that the message came by (RFC 2369 §3.4), or null: a closed list says NO. */
export function listAddress(email) {
  for (const url of email["header:List-Post:asURLs"] ?? []) {
    const found = /^mailto:([^?]+)/i.exec(url);
    if (!found) continue;
    const address = decoded(found[1]);
    if (isAddress(address)) return address;
  }
  return null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text).trim();
  } catch {
    return text.trim();
  }
}

/**
 * Who gets an answer. `mode`: reply, replyAll, replyList. `mine`: addresses of the writer, who never writes to himself,
 * unless there is nobody else.
 * @returns {{to: Person[], cc: Person[]}}
 */
export function recipients(email, mode, mine) {
  const own = (one) => mine.some((address) => same(address, one.email));
  const authors = people(email.replyTo).length ? people(email.replyTo) : people(email.from);
  const list = listAddress(email);
  if (mode === "replyList" && list) return { to: [{ name: null, email: list }], cc: [] };
  // an answer to what one wrote oneself goes on to those it went to
  const mineAlone = people(email.from).length > 0 && people(email.from).every(own);
  if (mode !== "replyAll") {
    const others = without(mineAlone ? people(email.to) : authors, mine);
    return { to: others.length ? distinct(others) : distinct(authors), cc: [] };
  }
  const first = mineAlone ? people(email.to) : [...authors, ...people(email.to)];
  const to = distinct(without(first, mine));
  const listed = list ? [{ name: null, email: list }] : [];
  const cc = without(
    distinct(without([...people(email.cc), ...listed], mine)),
    to.map((one) => one.email),
  );
  if (to.length) return { to, cc };
  return cc.length ? { to: cc, cc: [] } : { to: distinct(authors), cc: [] };
}

const people = (list) => (list ?? []).filter((one) => one?.email);

/** In-Reply-To and References of an answer (RFC 5322 §3.6.4). */
export function thread(email) {
  const ids = email.messageId ?? [];
  const before = email.references?.length ? email.references : email.inReplyTo?.length === 1 ? email.inReplyTo : [];
  const references = [...before.filter((id) => !ids.includes(id)), ...ids];
  // the first one and the newest say where it belongs; a line of thousands helps nobody
  const kept = references.length > 100 ? [references[0], ...references.slice(-99)] : references;
  return { inReplyTo: ids.length ? ids : null, references: kept.length ? kept : null };
}

/** The identity to write as: the one the message was for; else the one given as the usual. */
export function identityFor(email, identities, usual) {
  const reached = [
    ...people(email.to),
    ...people(email.cc),
    ...people(email.bcc),
    ...people(email.from),
    ...(email["header:Delivered-To:asAddresses:all"] ?? []).flatMap(people),
  ];
  for (const { email: address } of reached) {
    const found = identities.find((one) => same(one.email, address));
    if (found) return found;
  }
  return usual;
}

/** `On 3 November 2026 at 10:31, Jane Doe <jane@example.org> wrote:` */
export function attribution(email, locale = undefined) {
  const { name, email: address } = people(email.from)[0] ?? { name: null, email: "" };
  const who = name ? `${name} <${address}>` : address;
  return `On ${when(email, locale)}, ${who} wrote:`;
}

/** The lines above a forwarded message: pairs of name and text. */
export function forwardHead(email, locale = undefined) {
  const list = (some) =>
    people(some)
      .map((one) => (one.name ? `${one.name} <${one.email}>` : one.email))
      .join(", ");
  const head = [
    ["From", list(email.from)],
    ["Date", when(email, locale)],
    ["Subject", email.subject ?? ""],
    ["To", list(email.to)],
    ["Cc", list(email.cc)],
  ];
  return head.filter(([, text]) => text !== "");
}

function when(email, locale) {
  const date = new Date(email.sentAt ?? email.receivedAt);
  return Number.isNaN(date.getTime()) ? "an unknown day" : date.toLocaleString(locale, { dateStyle: "long", timeStyle: "short" });
}
