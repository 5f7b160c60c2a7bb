// What people type where addresses go, as names and addresses, and back. Pure: no page, no server.

/** @typedef {{name: string|null, email: string}} Person  an EmailAddress of JMAP (RFC 8621 §4.1.2.3) */

const PLAUSIBLE = /^[^\s@<>(),;:\\"[\]]+@[^\s@<>(),;:\\"[\]]+$/u;

/** Could this be an address? The server has the last word; this catches what was not meant to be one. */
export function isAddress(text) {
  if (text.length > 254 || !PLAUSIBLE.test(text)) return false;
  const [local, domain] = text.split("@");
  return (
    local.length <= 64 &&
    !local.startsWith(".") &&
    !local.endsWith(".") &&
    !local.includes("..") &&
    domain.split(".").every((label) => label !== "" && !label.startsWith("-") && !label.endsWith("-"))
  );
}

/** Two addresses of one mailbox: case does not matter to anybody who runs mailboxes for people. */
export const same = (one, other) => one.toLowerCase() === other.toLowerCase();

/** `"Doe, Jane" <jane@example.org>`, as a header or a chip's field would have it. */
export function format({ name, email }) {
  if (!name) return email;
  return /[^\p{L}\p{N} !#$%&'*+\-/=?^_`{|}~]/u.test(name) ? `"${name.replace(/[\\"]/g, "\\$&")}" <${email}>` : `${name} <${email}>`;
}

/**
 * All of what was typed or pasted: separated by comma, semicolon or line; names with or without quotes.
 * What is no address comes back too, as the email of a person, so that nothing typed is lost: see isAddress.
 * @returns {Person[]}
 */
export function parse(text) {
  return pieces(text)
    .map(person)
    .filter((one) => one.email !== "");
}

/** Cut where a separator stands outside of quotes and angle brackets. */
function pieces(text) {
  const found = [];
  let piece = "",
    quoted = false,
    angle = false,
    escaped = false;
  for (const letter of text) {
    if (escaped) escaped = false;
    else if (quoted && letter === "\\") escaped = true;
    else if (letter === '"') quoted = !quoted;
    else if (!quoted && letter === "<") angle = true;
    else if (!quoted && letter === ">") angle = false;
    const ends = letter === "\n" || letter === "\r" || (!quoted && !angle && (letter === "," || letter === ";"));
    if (ends) {
      found.push(piece);
      piece = "";
      quoted = angle = escaped = false;
    } else piece += letter;
  }
  return [...found, piece];
}

function person(piece) {
  const text = piece.trim().replace(/^mailto:/i, "");
  const open = text.lastIndexOf("<");
  if (open < 0) return { name: null, email: text.replace(/^"(.*)"$/, "$1") };
  const name = text
    .slice(0, open)
    .trim()
    .replace(/^"(.*)"$/s, "$1")
    .replace(/\\(.)/g, "$1")
    .trim();
  const email = text
    .slice(open + 1)
    .replace(/>.*$/s, "")
    .trim();
  return { name: name && !same(name, email) ? name : null, email };
}

/** The list with each address once, the first of them. */
export function distinct(people) {
  const seen = new Set();
  return people.filter(({ email }) => !seen.has(email.toLowerCase()) && seen.add(email.toLowerCase()));
}

/** The list without these addresses. */
export function without(people, emails) {
  const gone = new Set(emails.map((email) => email.toLowerCase()));
  return people.filter(({ email }) => !gone.has(email.toLowerCase()));
}
