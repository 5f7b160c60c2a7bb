/** Plain text of a message as blocks: lines of the same depth of quoting, with what is a link told apart. Pure. */

const LINK = /\b(?:https?:\/\/|mailto:)[^\s<>"'`\u0000-\u0020\u007f-\u009f]+|\bwww\.[a-z0-9-]+\.[^\s<>"'`]+|[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/giu;
const LONGEST = 20_000; // characters of a line that are searched for links
const DEEPEST = 8; // levels of quoting that are told apart
const PARAMETER = /;\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]*)/g;

/**
 * @typedef {{text: string, href?: string}} Piece
 * @typedef {{depth: number, signature: boolean, lines: string[]}} Block
 * @typedef {{delsp: boolean}} Flow lines that go on in the next; `delsp`: the space that says so is no part of the text
 */

/**
 * @param {string} text
 * @param {Flow | null} [flow] none: each line stands for itself
 * @returns {Block[]}
 */
export function blocks(text, flow = null) {
  const found = [];
  let signature = false;
  for (const { depth, line } of linesOf(text, flow)) {
    if (depth === 0 && /^-- ?$/.test(line)) signature = true;
    const level = Math.min(depth, DEEPEST);
    const own = signature && depth === 0;
    const last = found.at(-1);
    if (last && last.depth === level && last.signature === own) last.lines.push(line);
    else found.push({ depth: level, signature: own, lines: [line] });
  }
  return found;
}

/** The text with each paragraph in one line, behind its marks of quoting: what an answer quotes. */
export function unflowed(text, flow) {
  if (!flow) return text;
  return linesOf(text, flow).map(({ depth, line }) => (depth ? `${">".repeat(depth)} ${line}` : line)).join("\n");
}

/**
 * What a part says of its lines (RFC 3676 §4.1).
 * @param {string | null} [contentType] the field, as it stands in the part
 * @returns {Flow | null} null where each line stands for itself
 */
export function flowOf(contentType) {
  if (!/^\s*text\/plain\s*(;|$)/i.test(contentType ?? "")) return null;
  const said = new Map();
  for (const [, name, value] of contentType.matchAll(PARAMETER)) {
    if (!said.has(name.toLowerCase())) said.set(name.toLowerCase(), value.replace(/^"|"$/g, "").toLowerCase());
  }
  return said.get("format") === "flowed" ? { delsp: said.get("delsp") === "yes" } : null;
}

/** Lines without their marks of quoting, which are counted. */
function linesOf(text, flow) {
  const all = text.replace(/\r\n?/g, "\n").trimEnd().split("\n");
  return flow ? joined(all, flow) : all.map(fixed);
}

function fixed(line) {
  const marks = /^(?:>\s?)*/.exec(line)[0];
  return { depth: (marks.match(/>/g) ?? []).length, line: line.slice(marks.length) };
}

/** A line that ends in a space goes on in the next of the same depth, but for the mark of a signature (RFC 3676 §4.2-4.5). */
function joined(all, { delsp }) {
  const found = [];
  let goesOn = false;
  for (const raw of all) {
    const depth = /^>*/.exec(raw)[0].length;
    const line = raw.slice(depth).replace(/^ /, ""); // the space that stuffs it
    const divides = /^-- ?$/.test(line);
    const soft = !divides && line.endsWith(" ");
    const said = soft && delsp ? line.slice(0, -1) : line;
    const last = found.at(-1);
    if (goesOn && !divides && last.depth === depth) last.line += said;
    else found.push({ depth, line: said });
    goesOn = soft;
  }
  return found;
}

/** @param {string} line @returns {Piece[]} */
export function pieces(line) {
  const found = [];
  let end = 0;
  for (const match of line.slice(0, LONGEST).matchAll(LINK)) {
    const text = trimmed(match[0]);
    const href = hrefOf(text);
    if (!href) continue;
    if (match.index > end) found.push({ text: line.slice(end, match.index) });
    found.push({ text, href });
    end = match.index + text.length;
  }
  if (end < line.length) found.push({ text: line.slice(end) });
  return found;
}

/** Without the full stop or bracket that ends a sentence and no address. */
function trimmed(text) {
  let end = text.length;
  while (end > 0) {
    const last = text[end - 1];
    if (".,;:!?'*_".includes(last)) end--;
    else if (last === ")" && !text.slice(0, end - 1).includes("(")) end--;
    else if (last === "]" && !text.slice(0, end - 1).includes("[")) end--;
    else break;
  }
  return text.slice(0, end);
}

/** An address that may be followed: http, https, mailto; null for all else. */
export function hrefOf(text) {
  const whole = /^https?:/i.test(text) || /^mailto:/i.test(text) ? text : /^www\./i.test(text) ? `https://${text}` : `mailto:${text}`;
  try {
    const url = new URL(whole);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Where the part that only repeats earlier mail begins: the index of its first block, or the number
 * of blocks where nothing does, or all of it. */
export function quoteStart(list) {
  let at = list.length;
  if (list.at(-1)?.signature) at--;
  while (at > 0 && (list[at - 1].depth > 0 || list[at - 1].lines.every((line) => !line.trim()))) at--;
  if (!list.slice(at).some(({ depth }) => depth > 0)) return list.length;
  return at || list.length;
}

/**
 * To whom a `mailto:` writes, and what (RFC 6068 §2: a plus is a plus there); null for what is none. Other fields than
 * these are not for a stranger's link to say.
 * @param {string} address
 * @returns {{to: string, cc?: string, bcc?: string, subject?: string, text?: string} | null}
 */
export function mailtoOf(address) {
  try {
    const url = new URL(address);
    if (url.protocol !== "mailto:") return null;
    const said = [...new URLSearchParams(url.search.replaceAll("+", "%2B"))];
    const all = (name) => said.filter(([each, value]) => each.toLowerCase() === name && value).map(([, value]) => value);
    const list = (name, first = []) => [...first, ...all(name)].join(", ") || undefined;
    const to = decodeURIComponent(url.pathname);
    return { to: list("to", to ? [to] : []) ?? "", cc: list("cc"), bcc: list("bcc"), subject: all("subject")[0], text: all("body")[0] };
  } catch {
    return null; // not an address, or percent signs that stand for nothing
  }
}
