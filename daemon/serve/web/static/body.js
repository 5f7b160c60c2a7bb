/**
 * What a message says, as elements: plain text is built here; HTML is shown by the server's viewer in a frame that may
 * run nothing and is of no origin, this page's least of all.
 */

import { h, icon } from "./dom.js";
import { size } from "./dates.js";
import { jmap } from "./jmap.js";
import { blocks, flowOf, pieces, quoteStart } from "./text.js";

export const BODY_PROPERTIES = [
  "id", "blobId", "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "sender", "to", "cc", "bcc", "replyTo", "subject",
  "sentAt", "receivedAt", "size", "preview", "messageId", "inReplyTo", "references", "textBody", "htmlBody", "attachments",
  "bodyValues", "header:List-Unsubscribe:asURLs", "header:List-Post:asURLs", "header:List-Id:asText",
];
const PART_PROPERTIES = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "header:Content-Type"];
const MOST_TEXT = 256_000; // octets of a text part shown at once; the rest is in its source
const FRAME = "allow-popups allow-popups-to-escape-sandbox";

/** Ask for all that a reader shows of emails. */
export function bodiesOf(ids) {
  return jmap.call("Email/get", { ids, properties: BODY_PROPERTIES, bodyProperties: PART_PROPERTIES, fetchTextBodyValues: true, maxBodyValueBytes: MOST_TEXT });
}

export function isHtml(email) {
  return (email.htmlBody ?? []).some(({ type }) => type === "text/html");
}

/** Plain text as elements, with what repeats earlier mail folded away. */
export function textBody(email) {
  const texts = (email.textBody ?? []).filter(({ partId }) => email.bodyValues?.[partId]);
  const found = texts.flatMap((part) => blocks(email.bodyValues[part.partId].value, flowOf(part["header:Content-Type"])));
  const cut = texts.some(({ partId }) => email.bodyValues[partId].isTruncated);
  const start = quoteStart(found);
  const quote = found.slice(start);
  return h(
    "div",
    { class: "text-body", dir: "auto" },
    nested(found.slice(0, start)),
    !cut && found.every(({ lines }) => !lines.join("").trim()) && h("p", { class: "note" }, "This message has no text."),
    quote.length > 0 && h("details", { class: "quoted" }, h("summary", { aria: { label: "Earlier mail" }, title: "Earlier mail" }, "•••"), nested(quote)),
    cut && h("p", { class: "note" }, "The rest is left out here: its source has all of it."),
  );
}

function nested(list) {
  return list.map(({ depth, signature, lines }) => {
    let made = h("div", { class: signature ? "text-signature" : "text-lines" }, lines.map((line, at) => [at > 0 && "\n", linked(line)]));
    for (let level = 0; level < depth; level++) made = h("blockquote", {}, made);
    return made;
  });
}

function linked(line) {
  return pieces(line).map(({ text, href }) => {
    if (!href) return text;
    if (href.startsWith("mailto:")) return h("a", { href, dataset: { mailto: "" } }, text);
    return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
  });
}

/**
 * HTML by the viewer. Resolves with its answer and the frame.
 * @param {any} email @param {boolean} images whether pictures from elsewhere are fetched
 */
export async function htmlBody(email, images) {
  const view = await viewOf(email, images);
  const frame = h("iframe", { class: "mail-frame", title: `Message: ${email.subject || "(no subject)"}`, sandbox: FRAME, referrerPolicy: "no-referrer" });
  frame.src = view.url;
  return { view, frame };
}

export function viewOf(email, images = false) {
  return jmap.call("Email/view", { id: email.id, remoteImages: images });
}

/** The files of a message: each to download, pictures with a look at them. */
export function files(email) {
  const inline = isHtml(email);
  const shown = (email.attachments ?? []).filter(({ disposition, cid, type }) => !(inline && cid && disposition !== "attachment" && type.startsWith("image/")));
  if (!shown.length) return null;
  return h(
    "section",
    { class: "files", aria: { label: "Attachments" } },
    h("h3", { class: "files-head" }, shown.length === 1 ? "1 attachment" : `${shown.length} attachments`, ` · ${size(shown.reduce((sum, part) => sum + part.size, 0))}`),
    h("ul", { class: "file-list" }, shown.map(file)),
  );
}

/** What a file is called whose sender gave it no name. */
function nameless(type) {
  const known = { "text/calendar": "invitation.ics", "text/html": "text.html", "text/plain": "text.txt", "message/rfc822": "message.eml" };
  return known[type] ?? (/^image\/(png|jpeg|gif|webp|avif)$/.test(type) ? `picture.${type.slice(6)}` : "file");
}

function file(part) {
  const name = part.name || nameless(part.type);
  const href = jmap.downloadUrl({ ...part, name });
  const picture = /^image\/(png|jpeg|gif|webp|avif)$/.test(part.type) && part.size < 8_000_000;
  return h(
    "li",
    {},
    h(
      "a",
      { class: "file", href, download: name, title: `Download ${name}` },
      picture ? h("img", { class: "file-look", src: href, alt: "", loading: "lazy", decoding: "async" }) : h("span", { class: "file-sign" }, icon(signOf(part.type))),
      h("span", { class: "file-name" }, name),
      h("span", { class: "file-size" }, size(part.size)),
    ),
  );
}

function signOf(type) {
  if (type.startsWith("image/")) return "image";
  if (type.startsWith("text/calendar")) return "calendar";
  return type.startsWith("message/") ? "unread" : "file";
}
