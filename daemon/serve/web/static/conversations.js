/**
 * What a list says of a conversation: who took part, how many mails, what is unread. Pure.
 *
 * @typedef {{name: string, unread: boolean}} Voice
 * @typedef {{voices: Voice[], count: number, unread: boolean, starred: boolean, attachment: boolean, draft: boolean,
 *   answered: boolean, subject: string, preview: string, date: Date, labels: string[]}} Summary
 */

const MOST_VOICES = 3;

/** What to call somebody in a list: the name's first word where several are named, else the whole. */
export function nameOf(address, brief = false) {
  const name = (address?.name ?? "").replace(/^["'\s]+|["'\s]+$/g, "") || (address?.email ?? "").split("@")[0];
  if (!brief) return name;
  const [last, first] = name.split(/,\s+/);
  return (first ?? last).split(/\s+/)[0];
}

/**
 * @param {any[]} emails of one conversation, oldest first, those of the list it stands in; at least one
 * @param {Set<string>} own the user's addresses, in small letters
 * @param {boolean} outgoing whether a list shows receivers (Sent, Drafts)
 * @returns {Summary}
 */
export function summary(emails, own, outgoing = false) {
  const latest = emails.at(-1);
  return {
    voices: outgoing ? receivers(latest) : voices(emails, own),
    count: emails.length,
    unread: emails.some(isUnread),
    starred: emails.some((email) => email.keywords.$flagged),
    attachment: emails.some((email) => email.hasAttachment),
    draft: emails.some((email) => email.keywords.$draft),
    answered: Boolean(latest.keywords.$answered),
    subject: emails[0].subject || latest.subject || "",
    preview: latest.preview || "",
    date: new Date(latest.receivedAt),
    labels: labelsOf(emails),
  };
}

export function isUnread(email) {
  return !email.keywords.$seen && !email.keywords.$draft;
}

/** Keywords that people made: those of the protocol begin with a `$`, and clients have some of their own. */
export function labelsOf(emails) {
  const found = new Set();
  for (const email of emails) {
    for (const word of Object.keys(email.keywords)) if (isLabel(word)) found.add(word);
  }
  return [...found].sort();
}

const OF_CLIENTS = new Set(["junk", "nonjunk", "notjunk", "redirected", "old", "unseen", "recent"]);

export function isLabel(keyword) {
  return !keyword.startsWith("$") && !keyword.startsWith("\\") && !OF_CLIENTS.has(keyword.toLowerCase());
}

function voices(emails, own) {
  const order = new Map();
  for (const email of emails) {
    const address = email.from?.[0];
    const key = (address?.email ?? "").toLowerCase();
    const voice = order.get(key) ?? { address, unread: false, mine: own.has(key), draft: false };
    voice.unread ||= isUnread(email);
    order.set(key, voice);
  }
  let all = [...order.values()];
  if (all.length > MOST_VOICES) all = [all[0], null, ...all.slice(-(MOST_VOICES - 1))];
  const brief = all.length > 1;
  return all.map((voice) =>
    voice === null
      ? { name: "…", unread: false }
      : { name: voice.mine && brief ? "me" : nameOf(voice.address, brief) || "(nobody)", unread: voice.unread },
  );
}

function receivers(email) {
  const all = email.to ?? [];
  if (!all.length) return [{ name: "(no receiver yet)", unread: false }];
  const shown = all.slice(0, MOST_VOICES).map((address) => ({ name: nameOf(address, all.length > 1), unread: false }));
  return all.length > MOST_VOICES ? [...shown, { name: "…", unread: false }] : shown;
}

/**
 * The emails of a conversation that a list of a mailbox speaks of: without those that lie in Trash or Junk alone,
 * unless the list is of there.
 * @param {any[]} emails @param {string|undefined} here the list's mailbox @param {string[]} hidden ids of Trash, Junk
 */
export function visible(emails, here, hidden) {
  const away = new Set(hidden);
  if (here && away.has(here)) return emails.filter((email) => email.mailboxIds[here]);
  const shown = emails.filter((email) => Object.keys(email.mailboxIds).some((id) => !away.has(id)));
  return shown.length ? shown : emails;
}

/** One of eight colours for somebody, always the same. */
export function colourOf(address) {
  let sum = 0;
  for (const letter of (address?.email ?? "").toLowerCase()) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return sum % 8;
}

/** One or two letters for a face. */
export function initials(address) {
  const words = nameOf(address).replace(/[^\p{L}\p{N}\s]/gu, " ").split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join("").toLocaleUpperCase() || "?";
}
