/** Plain text of a message as blocks: lines of the same depth of quoting, with what is a link told apart. Pure. */

const LINK = /\b(?:https?:\/\/|mailto:)[^\s<>"'`\u0000-\u0020\u007f-\u009f]+|\bwww\.[a-z0-9-]+\.[^\s<>"'`]+|[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/giu;
const LONGEST = 20_000; // characters of a line that are searched for links

/**
 * @typedef {{text: string, href?: string}} Piece
 * @typedef {{depth: number, signature: boolean, lines: string[]}} Block
 */

/** @param {string} text @returns {Block[]} */
export function blocks(text) {
  const found = [];
  let signature = false;
  for (const line of text.replace(/\r\n?/g, "\n").replace(/\s+$/, "").split("\n")) {
    const marks = /^(?:>\s?)*/.exec(line)[0];
    const depth = Math.min((marks.match(/>/g) ?? []).length, 8);
    if (depth === 0 && /^-- ?$/.test(line)) signature = true;
    const last = found.at(-1);
    const rest = depth ? line.slice(marks.length) : line;
    if (last && last.depth === depth && last.signature === (signature && depth === 0)) last.lines.push(rest);
    else found.push({ depth, signature: signature && depth === 0, lines: [rest] });
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
