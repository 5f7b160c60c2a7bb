// What a message begins with: nothing, an answer with its quote, what is forwarded, or a draft as it was left.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import * as answer from "./answer.js";
import { parse } from "./addresses.js";
import { clean } from "./clean.js";
import { paragraphs } from "./editor.js";
import { newMessageId } from "./message.js";
import { quoted, signed, textOf, unsigned } from "./plain.js";
import { flowOf, unflowed } from "../text.js";

const LONGEST = 1_000_000; // octets of a body that are quoted
const PART = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "subParts", "header:Content-Type"];

/** The message with all that an answer needs; null when it is gone. */
export async function whole(id) {
  const { list } = await jmap.call("Email/get", {
    ids: [id],
    properties: answer.PROPERTIES,
    bodyProperties: PART,
    fetchTextBodyValues: true,
    fetchHTMLBodyValues: true,
    maxBodyValueBytes: LONGEST,
  });
  return list[0] ?? null;
}

/**
 * @typedef {Object} Beginning
 * @property {Person[]} to  cc, bcc too
 * @property {string} subject
 * @property {string} text  a plain body
 * @property {DocumentFragment|null} nodes  a rich body; null: only plain
 * @property {'start'|'end'} cursor
 * @property {Part[]} parts
 * @property {Object} identity
 */

/**
 * @param {{mode: string, email?: Object, to?: Person[]|string, cc?: Person[]|string, bcc?: Person[]|string, subject?: string, text?: string}} asked
 * @param {Object[]} identities  the first is the usual one
 * @param {{format: string, quote: string}} habits
 */
export function begin(asked, identities, habits) {
  const { mode, email } = asked;
  const usual = identities[0];
  const identity = email ? answer.identityFor(email, identities, usual) : usual;
  const made = {
    mode,
    identity,
    to: people(asked.to),
    cc: people(asked.cc),
    bcc: people(asked.bcc),
    subject: asked.subject ?? "",
    parts: [],
    inReplyTo: null,
    references: null,
    answers: null,
    cursor: "start",
    rich: habits.format === "rich",
    messageId: newMessageId(identity.email),
  };
  if (mode === "draft") return resumed(made, email, identities);
  if (mode === "forward" || mode === "forwardAttached") return forwarded(made, email);
  if (mode.startsWith("reply")) return answered(made, email, identities, habits);
  return bodied(made, asked.text ?? "", paragraphs(asked.text ?? ""), null);
}

const people = (some) => (typeof some === "string" ? parse(some) : (some ?? []));

function answered(made, email, identities, habits) {
  const mine = identities.map((one) => one.email);
  Object.assign(made, answer.recipients(email, made.mode, mine), answer.thread(email), {
    subject: answer.answerSubject(email.subject),
    answers: { emailId: email.id, keyword: "$answered" },
  });
  if (habits.quote === "none") return bodied(made, "", null, null);
  const said = answer.attribution(email);
  const { nodes, inline } = richBody(email, false);
  const quote = [h("div", { class: "attribution" }, said), h("blockquote", { type: "cite" }, nodes)];
  made.parts = inline;
  if (habits.quote === "above") made.cursor = "end";
  return bodied(made, `${said}\n${quoted(plainBody(email))}`, quote, habits.quote);
}

function forwarded(made, email) {
  made.subject = answer.forwardSubject(email.subject);
  made.answers = { emailId: email.id, keyword: "$forwarded" };
  if (made.mode === "forwardAttached") {
    const name = `${
      (email.subject || "message")
        .replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ")
        .trim()
        .slice(0, 80) || "message"
    }.eml`;
    made.parts = [{ blobId: email.blobId, type: "message/rfc822", name, size: email.size ?? 0 }];
    return bodied(made, "", null, null);
  }
  const head = answer.forwardHead(email);
  const { nodes, inline } = richBody(email, true);
  const inlined = new Set(inline.map((part) => part.blobId));
  made.parts = [...inline, ...attached(email).filter((part) => !inlined.has(part.blobId))];
  const line = "-".repeat(10);
  const text = [`${line} Forwarded message ${line}`, ...head.map(([name, value]) => `${name}: ${value}`), "", plainBody(email)].join("\n");
  const shown = h(
    "div",
    { class: "attribution" },
    `${line} Forwarded message ${line}`,
    head.map(([name, value]) => h("div", {}, h("b", {}, `${name}: `), value)),
  );
  return bodied(made, text, [shown, h("div", {}, h("br")), h("div", { class: "quote forwarded" }, nodes)], "below");
}

/** The body with the signature: above a quote that is below, else at the end. */
function bodied(made, text, nodes, place) {
  const sign = signed(made.identity.textSignature ?? "");
  const mark = signatureNode(made.identity);
  const list = nodes ? [].concat(nodes instanceof Node ? [nodes] : nodes) : [];
  const empty = () => h("div", {}, h("br"));
  const out = document.createDocumentFragment();
  if (place === "below") {
    made.text = `\n\n${sign ? `${sign}\n\n` : ""}${text}`;
    out.append(empty(), ...(mark ? [empty(), mark] : []), empty(), ...list);
  } else if (place === "above") {
    made.text = `${text}\n\n${sign ? `\n\n${sign}` : ""}`;
    out.append(...list, empty(), empty(), ...(mark ? [mark] : []));
  } else {
    made.text = `${text}${sign ? `\n\n${sign}` : ""}`;
    if (text) out.append(...list);
    else out.append(empty());
    if (mark) out.append(empty(), mark);
  }
  made.nodes = out;
  return made;
}

/** The signature as a node of its own; null: none. */
export function signatureNode(identity) {
  const html = identity.htmlSignature?.trim();
  const text = identity.textSignature?.trim();
  if (!html && !text) return null;
  return h("div", { class: "signature" }, h("div", {}, "-- ", h("br")), html ? clean(html, { looks: true }) : paragraphs(text));
}

/** A draft, as it was left on the server. */
function resumed(made, email, identities) {
  const from = email.from?.[0]?.email ?? "";
  const html = email.htmlBody?.find((part) => part.type === "text/html");
  const { nodes, inline } = richBody(email, true);
  const inlined = new Set(inline.map((part) => part.blobId));
  return Object.assign(made, {
    identity: identities.find((one) => one.email.toLowerCase() === from.toLowerCase()) ?? identities[0],
    to: email.to ?? [],
    cc: email.cc ?? [],
    bcc: email.bcc ?? [],
    subject: email.subject ?? "",
    text: plainBody(email, false),
    nodes,
    rich: Boolean(html),
    parts: [...inline, ...attached(email).filter((part) => !inlined.has(part.blobId))],
    inReplyTo: email.inReplyTo,
    references: email.references,
    messageId: email.messageId?.[0] ?? made.messageId,
    draftId: email.id,
  });
}

/** A message that could not go, as it was: from the outbox back into a window. */
export function kept({ draft, draftId, answers }, identities) {
  const identity = identities.find((one) => one.id === draft.identityId) ?? identities[0];
  const inline = new Map(draft.parts.filter((part) => part.cid).map((part) => [part.cid, { src: jmap.downloadUrl(part) }]));
  const nodes = draft.html === null ? null : clean(draft.html, { looks: true, inline });
  return { ...draft, identity, nodes, rich: nodes !== null, draftId, answers, cursor: "start" };
}

/** A part's text; lines that were broken to be sent (RFC 3676) are whole. */
function said(email, part) {
  const value = email.bodyValues[part.partId]?.value;
  return value && unflowed(value, flowOf(part["header:Content-Type"]));
}

function plainBody(email, cut = true) {
  const all = (email.textBody ?? [])
    .filter((part) => /^text\//.test(part.type))
    .map((part) => {
      const value = said(email, part) ?? "";
      return part.type === "text/html" ? textOf(clean(value)) : value;
    })
    .join("\n");
  return cut ? unsigned(all) : all.replace(/\r\n?/g, "\n");
}

/** The body as nodes, and the pictures that are in it. */
function richBody(email, looks) {
  const all = [...(email.attachments ?? []), ...(email.htmlBody ?? [])].filter((part) => part.cid && /^image\//.test(part.type));
  const inline = new Map(all.map((part) => [part.cid, { src: jmap.downloadUrl(part), part }]));
  const nodes = document.createDocumentFragment();
  for (const part of email.htmlBody ?? []) {
    const value = said(email, part);
    if (value === undefined) continue;
    nodes.append(part.type === "text/html" ? clean(value, { looks, inline }) : paragraphs(looks ? value : unsigned(value)));
  }
  const used = new Set([...nodes.querySelectorAll("img[data-cid]")].map((one) => one.dataset.cid));
  return { nodes, inline: [...inline.values()].filter(({ part }) => used.has(part.cid)).map(({ part }) => partOf(part, part.cid)) };
}

const attached = (email) => (email.attachments ?? []).map((part) => partOf(part));

function partOf({ blobId, type, name, size }, cid) {
  return { blobId, type, name: name || (type === "message/rfc822" ? "message.eml" : "attachment"), size, ...(cid ? { cid } : {}) };
}
