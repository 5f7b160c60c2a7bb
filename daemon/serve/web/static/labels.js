/**
 * Labels: keywords of the user's own on mail (IMAP clients show them as tags). The protocol lists none, so they are those
 * seen on mail and those made here, remembered by this browser.
 */

import { isLabel } from "./conversations.js";
import { pick } from "./dialogs.js";
import { jmap } from "./jmap.js";
import { state } from "./state.js";

const place = () => `labels.${jmap.accountId}`;
const MOST = 60;
let known = null;

function kept() {
  if (known) return known;
  try {
    known = new Set(JSON.parse(localStorage.getItem(place())) ?? []);
  } catch {
    known = new Set();
  }
  return known;
}

/** Names of all labels, sorted. */
export function labels() {
  return [...kept()].sort((a, b) => a.localeCompare(b));
}

/** Take notice of the labels of mail that came. Returns whether one is new. */
export function notice(emails) {
  const before = kept().size;
  for (const email of emails) {
    for (const word of Object.keys(email?.keywords ?? {})) if (isLabel(word) && kept().size < MOST) kept().add(word);
  }
  if (kept().size === before) return false;
  localStorage.setItem(place(), JSON.stringify([...kept()]));
  return true;
}

/** What people write as a keyword of the protocol: small letters, no blanks or marks (RFC 8621 §4.1.1). */
export function keywordOf(text) {
  return text.trim().toLowerCase().replace(/[\s(){\]%*"\\]+/g, "-").replace(/[^\x21-\x7e]/g, "").replace(/^[-$]+|-+$/g, "").slice(0, 60);
}

/** Ask for a label: `{word, on}`, undefined when dismissed. */
export async function askLabel(threadIds) {
  const has = (word) => threadIds.every((id) => state.emailsOf(id).some(({ keywords }) => keywords[word]));
  const items = labels().map((word) => ({ label: word, icon: has(word) ? "check" : "label", value: word }));
  const chosen = await pick({ title: "Label as", items, create: (text) => `New label “${keywordOf(text)}”` });
  if (!chosen) return undefined;
  const word = chosen.value ?? keywordOf(chosen.created);
  return word ? { word, on: !has(word) } : undefined;
}
