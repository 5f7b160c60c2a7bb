/** One row of the list of conversations: built once, filled again and again as the list moves under it. */

import { colourOf, initials, summary } from "./conversations.js";
import { full, short } from "./dates.js";
import { fill, h, icon, mark, say } from "./dom.js";
import { state } from "./state.js";

/** An empty row, with its parts at hand. */
export function makeRow() {
  const parts = {
    face: h("span", { class: "face", aria: { hidden: true } }),
    tick: h("span", { class: "tick", role: "checkbox", aria: { checked: false } }, icon("check")),
    voices: h("span", { class: "row-voices" }),
    count: h("span", { class: "row-count" }),
    marks: h("span", { class: "row-marks" }),
    date: h("time", { class: "row-date" }),
    subject: h("span", { class: "row-subject" }),
    labels: h("span", { class: "row-labels" }),
    preview: h("span", { class: "row-preview" }),
    star: h("span", { class: "row-star", role: "button", aria: { pressed: false, label: "Star" } }, icon("star")),
  };
  const row = h(
    "div",
    { class: "row", role: "row", draggable: true },
    h("div", { class: "row-face", role: "gridcell" }, parts.face, parts.tick),
    h(
      "div",
      { class: "row-text", role: "gridcell" },
      h("div", { class: "row-line" }, parts.voices, parts.count, parts.marks, parts.date),
      h("div", { class: "row-line" }, parts.subject, parts.labels),
      h("div", { class: "row-line" }, parts.preview),
    ),
    h("div", { class: "row-end", role: "gridcell" }, parts.star),
  );
  row.parts = parts;
  return row;
}

/**
 * Show a conversation in a row, or that it is still coming.
 * @param {HTMLElement} row
 * @param {{index: number, threadId?: string, listing: any, cursor: boolean, open: boolean, selected: boolean}} what
 */
export function fillRow(row, { index, threadId, listing, cursor, open, selected }) {
  mark(row, "rowindex", index + 1);
  row.dataset.index = index;
  const emails = threadId ? listing.emailsOf(threadId) : [];
  if (!emails.length) {
    row.className = "row skeleton";
    row.id = `row-at-${index}`;
    delete row.dataset.thread;
    mark(row, "selected", null);
    return;
  }
  const about = summary(emails, state.own, listing.outgoing);
  row.id = `row-${threadId}`;
  row.dataset.thread = threadId;
  row.className = [
    "row", about.unread && "unread", cursor && "cursor", open && "open", selected && "selected", about.starred && "starred",
  ].filter(Boolean).join(" ");
  mark(row, "selected", selected);
  show(row.parts, about, faceOf(emails, listing.outgoing), selected, listing.snippets.get(listing.ids[index]));
}

function faceOf(emails, outgoing) {
  if (outgoing) return emails.at(-1).to?.[0];
  return (emails.findLast((email) => !state.own.has(email.from?.[0]?.email?.toLowerCase())) ?? emails.at(-1)).from?.[0];
}

function show(parts, about, face, selected, snippet) {
  parts.face.className = `face colour-${colourOf(face)}`;
  say(parts.face, initials(face));
  mark(parts.tick, "checked", selected);
  mark(parts.tick, "label", `Select: ${about.subject || "(no subject)"}`);
  fill(parts.voices, about.draft && h("span", { class: "is-draft" }, "Draft "), voices(about.voices));
  say(parts.count, about.count > 1 ? String(about.count) : "");
  mark(parts.count, "label", about.count > 1 ? `${about.count} messages` : null);
  const marks = `${about.answered ? "a" : ""}${about.attachment ? "f" : ""}`;
  if (parts.marks.dataset.shown !== marks) {
    parts.marks.dataset.shown = marks;
    fill(parts.marks, about.answered && meant("reply", "Answered"), about.attachment && meant("attach", "With a file"));
  }
  say(parts.date, short(about.date));
  parts.date.dateTime = about.date.toISOString();
  parts.date.title = full(about.date);
  if (snippet?.subject) fill(parts.subject, marked(snippet.subject));
  else say(parts.subject, about.subject || "(no subject)");
  fill(parts.labels, about.labels.map((label) => h("span", { class: ["label", `colour-${colourOf({ email: label })}`] }, label)));
  if (snippet?.preview) fill(parts.preview, marked(snippet.preview));
  else say(parts.preview, about.preview);
  mark(parts.star, "pressed", about.starred);
  mark(parts.star, "label", about.starred ? "Remove star" : "Star");
}

function voices(all) {
  return all.map(({ name, unread }, at) => [
    at > 0 && (name === "…" || all[at - 1].name === "…" ? " " : ", "),
    h("span", { class: unread && all.length > 1 ? "voice-unread" : "" }, name),
  ]);
}

function meant(name, label) {
  return h("span", { role: "img", title: label, aria: { label } }, icon(name));
}

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#x27": "'" };

/** A SearchSnippet (RFC 8621 §5): text escaped as HTML with <mark> around what was found, as nodes. */
export function marked(text) {
  const plain = (piece) => piece.replace(/&(amp|lt|gt|quot|#39|#x27);/g, (_, name) => NAMED[name]);
  return text.split(/(<mark>.*?<\/mark>)/s).map((piece) =>
    piece.startsWith("<mark>") ? h("mark", {}, plain(piece.slice(6, -7))) : plain(piece),
  );
}
