/**
 * The language of the search field: words, "phrases", operators, `-` before any of them, OR between two; and what each
 * means as a filter of JMAP (RFC 8621 §4.4.1). Pure.
 *
 *   from:ann to:bob cc: bcc: subject:"the plan" body: has:attachment is:unread in:archive label:work
 *   before:2026-03-01 after:2026-02 on:2026-03-01 older_than:2w newer_than:3d larger:1M smaller:200K filename:pdf
 */

/** Offered while one types: operator, what it finds. */
export const OPERATORS = [
  ["from:", "who sent it"],
  ["to:", "who received it"],
  ["subject:", "words of the subject"],
  ["has:attachment", "with a file"],
  ["is:unread", "not yet read"],
  ["is:starred", "with a star"],
  ["in:", "a folder: inbox, sent, anywhere…"],
  ["label:", "one of your labels"],
  ["before:", "older than a day: 2026-03-01"],
  ["after:", "that day or newer"],
  ["larger:", "bigger than: 5M"],
];

const TEXTS = new Set(["from", "to", "cc", "bcc", "subject", "body"]);
const UNITS = { d: 1, w: 7, m: 30, y: 365 };
const SIZES = { "": 1, k: 1000, m: 1000 ** 2, g: 1000 ** 3 };
const IS = {
  unread: { notKeyword: "$seen" },
  read: { hasKeyword: "$seen" },
  starred: { hasKeyword: "$flagged" },
  flagged: { hasKeyword: "$flagged" },
  unstarred: { notKeyword: "$flagged" },
  answered: { hasKeyword: "$answered" },
  replied: { hasKeyword: "$answered" },
  unanswered: { notKeyword: "$answered" },
  forwarded: { hasKeyword: "$forwarded" },
  draft: { hasKeyword: "$draft" },
};

/**
 * @typedef {{not: boolean, or: boolean, key: string, value: string}} Term `key` is "" for plain words; `or`: joined
 *   to the term before it by OR
 * @param {string} text @returns {Term[]}
 */
export function terms(text) {
  const found = [];
  let or = false;
  for (const [, not, key, quoted, bare] of text.matchAll(/(-?)(?:([a-z_]+):)?(?:"([^"]*)"?|([^\s"]+)|(?<=:)(?=\s|$))/giu)) {
    const value = quoted ?? bare ?? "";
    if (!not && !key && bare === "OR") {
      or = found.length > 0;
      continue;
    }
    if (!key && !value) continue;
    found.push({ not: not === "-", or, key: (key ?? "").toLowerCase(), value });
    or = false;
  }
  return found;
}

/**
 * The filter of a search, and whether the text named where to look: if not, Junk and Trash are left out.
 * @param {string} text
 * @param {{mailbox: (name: string) => (string|undefined), hidden: string[], now?: Date}} where `mailbox`: the id of
 *   a folder by its name or role; `hidden`: ids of Junk and Trash
 */
export function filterOf(text, { mailbox, hidden, now = new Date() }) {
  const groups = [];
  let named = false;
  for (const term of terms(text)) {
    named ||= term.key === "in";
    const made = conditionOf(term, mailbox, now);
    if (!made) continue;
    const condition = term.not ? { operator: "NOT", conditions: [made] } : made;
    if (term.or && groups.length) groups.at(-1).push(condition);
    else groups.push([condition]);
  }
  const all = groups.map((group) => (group.length === 1 ? group[0] : { operator: "OR", conditions: group }));
  if (!named && hidden.length) all.push({ inMailboxOtherThan: hidden });
  if (all.length === 1) return all[0];
  return all.length ? { operator: "AND", conditions: all } : null;
}

function conditionOf({ key, value }, mailbox, now) {
  if (!key) return { text: value };
  if (!value) return null;
  const low = value.toLowerCase();
  if (TEXTS.has(key)) return { [key]: value };
  if (key === "is") return IS[low] ?? { text: `is:${value}` };
  if (key === "has") return /^(attachments?|file)$/.test(low) ? { hasAttachment: true } : IS[low] ?? { text: `has:${value}` };
  if (key === "in") {
    if (/^(anywhere|all)$/.test(low)) return null;
    const id = mailbox(value);
    return { inMailbox: id ?? "none" };
  }
  if (key === "label" || key === "keyword") return { hasKeyword: low };
  if (key === "filename") return { text: value };
  if (key === "larger" || key === "smaller") {
    const octets = sizeOf(low);
    return octets === null ? null : key === "larger" ? { minSize: octets } : { maxSize: octets };
  }
  return dated(key, low, now) ?? { text: `${key}:${value}` };
}

function dated(key, value, now) {
  if (key === "older_than" || key === "newer_than") {
    const found = /^(\d{1,4})([dwmy])$/.exec(value);
    if (!found) return null;
    const then = utc(new Date(now - found[1] * UNITS[found[2]] * 86_400_000));
    return key === "older_than" ? { before: then } : { after: then };
  }
  if (!["before", "after", "on", "since", "until"].includes(key)) return null;
  const span = spanOf(value, now);
  if (!span) return null;
  if (key === "before") return { before: utc(span[0]) };
  if (key === "until") return { before: utc(span[1]) };
  if (key === "on") return { operator: "AND", conditions: [{ after: utc(span[0]) }, { before: utc(span[1]) }] };
  return { after: utc(span[0]) };
}

/** The first and the next moment of a year, month or day in the user's zone; null for nonsense. */
function spanOf(value, now) {
  if (value === "today") return [midnight(now, 0), midnight(now, 1)];
  if (value === "yesterday") return [midnight(now, -1), midnight(now, 0)];
  const found = /^(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?$/.exec(value);
  if (!found) return null;
  const [year, month, day] = [Number(found[1]), Number(found[2] ?? 1) - 1, Number(found[3] ?? 1)];
  const from = new Date(year, month, day);
  if (from.getMonth() !== month || from.getDate() !== day) return null;
  const to = found[3] ? new Date(year, month, day + 1) : found[2] ? new Date(year, month + 1, 1) : new Date(year + 1, 0, 1);
  return [from, to];
}

function midnight(now, days) {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);
}

function utc(date) {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** `5M`, `200kb`, `1000`: octets; null for nonsense. */
function sizeOf(text) {
  const found = /^(\d{1,9})([kmg]?)b?$/.exec(text);
  return found ? found[1] * SIZES[found[2]] : null;
}

/** The text with a term more or, if it stands there, without it: what the buttons under the field do. */
export function toggled(text, term) {
  const parts = text.split(/\s+/).filter(Boolean);
  const rest = parts.filter((part) => part.toLowerCase() !== term.toLowerCase());
  return (rest.length === parts.length ? [...parts, term] : rest).join(" ");
}

/** The text with the operator that is being typed completed. */
export function completed(text, operator) {
  const end = operator.endsWith(":") ? operator : `${operator} `;
  return text.replace(/\S*$/, "") + end;
}
