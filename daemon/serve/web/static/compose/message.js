// From what the writer has before him to what Email/set takes (RFC 8621 §4.6). Pure, but for making a Message-ID.

/**
 * @typedef {Object} Part  a file with the message; `blobId` once it is uploaded
 * @property {string} blobId
 * @property {string} type
 * @property {string} name
 * @property {number} size
 * @property {string} [cid]  of a picture inside the text
 *
 * @typedef {Object} Draft
 * @property {Person} from
 * @property {Person[]} to
 * @property {Person[]} cc
 * @property {Person[]} bcc
 * @property {Person[]} [replyTo]
 * @property {string} subject
 * @property {string} text  always there: of a rich text, what it says without its looks
 * @property {string|null} html  null: a plain text
 * @property {Part[]} parts
 * @property {string} [calendar]  an answer to an invitation, beside the text that says the same (RFC 6047)
 * @property {string[]|null} inReplyTo
 * @property {string[]|null} references
 * @property {string} messageId
 */

/** The object to create; it goes into `mailboxId` with these keywords. */
export function emailOf(draft, mailboxId, keywords = { $draft: true, $seen: true }) {
  const email = {
    mailboxIds: { [mailboxId]: true },
    keywords,
    messageId: [draft.messageId],
    from: [draft.from],
    subject: draft.subject.replace(/\s+/g, " ").trim(),
    bodyStructure: structure(draft),
    bodyValues: { text: { value: draft.text } },
  };
  if (draft.html !== null) email.bodyValues.html = { value: page(draft.html) };
  if (draft.calendar) email.bodyValues.calendar = { value: draft.calendar };
  for (const field of ["to", "cc", "bcc", "replyTo"]) if (draft[field]?.length) email[field] = draft[field];
  for (const field of ["inReplyTo", "references"]) if (draft[field]?.length) email[field] = draft[field];
  return email;
}

/** mixed[ alternative[ text, related[ html, pictures ] ], files ], without the layers that hold one thing. */
function structure({ html, parts, calendar }) {
  const inline = html === null ? [] : parts.filter((part) => part.cid);
  const files = html === null ? parts : parts.filter((part) => !part.cid);
  const text = { partId: "text", type: "text/plain" };
  const rich =
    html === null ? null : several("related", [{ partId: "html", type: "text/html" }, ...inline.map((part) => leaf(part, "inline"))]);
  const invited = calendar ? { partId: "calendar", type: "text/calendar" } : null;
  const body = several("alternative", [text, rich, invited].filter(Boolean));
  return several("mixed", [body, ...files.map((part) => leaf(part, "attachment"))]);
}

const several = (kind, subParts) => (subParts.length === 1 ? subParts[0] : { type: `multipart/${kind}`, subParts });

function leaf({ blobId, type, name, cid }, disposition) {
  const part = { blobId, type: type || "application/octet-stream", disposition, name };
  return disposition === "inline" ? { ...part, cid } : part;
}

const page = (html) => `<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>${html}</body></html>`;

/** A Message-ID of ours (RFC 5322 §3.6.4): the same one in every copy of a draft, so that a second try is known. */
export function newMessageId(address) {
  const domain = address.split("@")[1] ?? "localhost";
  return `${crypto.randomUUID()}@${/^[\x21-\x7e]+$/.test(domain) ? domain : "localhost"}`;
}

/** All who get it, once each: what RCPT will say. */
export function envelopeTo({ to, cc, bcc }) {
  const seen = new Set();
  return [...to, ...cc, ...bcc].map((one) => one.email).filter((email) => !seen.has(email.toLowerCase()) && seen.add(email.toLowerCase()));
}

/**
 * The submission of RFC 8621 §7. `hold`: seconds to wait (RFC 4865 HOLDFOR), for undoing; `until`: an hour to wait for.
 * Without either the server makes the envelope itself.
 */
export function submissionOf(draft, emailId, identityId, { hold = 0, until = null } = {}) {
  const submission = { emailId, identityId };
  if (!hold && !until) return submission;
  const parameters = until ? { HOLDUNTIL: until } : { HOLDFOR: String(hold) };
  const rcptTo = envelopeTo(draft).map((email) => ({ email, parameters: null }));
  return { ...submission, envelope: { mailFrom: { email: draft.from.email, parameters }, rcptTo } };
}

/** `2026-12-24T08:00:00Z`: a UTCDate of JMAP, which HOLDUNTIL takes as well. */
export const utc = (date) => `${date.toISOString().slice(0, 19)}Z`;
