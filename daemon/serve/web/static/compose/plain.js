// Plain text: quoting it, finding the signature in it, and what HTML says without its marks. Pure.

/** Each line behind a `>`, deeper ones without a gap as RFC 3676 §4.5 has it; the author's signature stays out. */
export function quoted(text) {
  return unsigned(text)
    .split("\n")
    .map((line) => (line.startsWith(">") ? `>${line}` : line ? `> ${line}` : ">"))
    .join("\n");
}

/** Without the signature (`-- ` on a line of its own and what follows) and without empty lines at the end. */
export function unsigned(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const at = lines.findLastIndex((line) => line === "-- ");
  return (at < 0 ? lines : lines.slice(0, at)).join("\n").trimEnd();
}

/** A signature as it stands below a plain text; '' for none. */
export const signed = (signature) => (signature.trim() ? `-- \n${signature.trimEnd()}` : "");

const BLOCK = new Set([
  "ADDRESS",
  "ARTICLE",
  "BLOCKQUOTE",
  "CENTER",
  "DIV",
  "DL",
  "DT",
  "DD",
  "FIGURE",
  "FOOTER",
  "H1",
  "H2",
  "H3",
  "H4",
  "H5",
  "H6",
  "HEADER",
  "HR",
  "LI",
  "MAIN",
  "OL",
  "P",
  "PRE",
  "SECTION",
  "TABLE",
  "TR",
  "UL",
]);
const SILENT = new Set(["SCRIPT", "STYLE", "HEAD", "TITLE", "TEMPLATE", "NOSCRIPT"]);
const DEEPEST = 400;

/** What a tree of HTML says, as plain text: quotes behind `>`, lists with marks, links with where they lead. */
export function textOf(node) {
  return lines(node, 0)
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/^\n+/, "")
    .trimEnd();
}

function lines(node, depth) {
  const out = [""];
  const add = (some) => {
    out[out.length - 1] += some[0];
    out.push(...some.slice(1));
  };
  const fresh = () => {
    if (out[out.length - 1] !== "") out.push("");
  };
  if (depth > DEEPEST) return [node.textContent];
  for (const child of node.childNodes) {
    if (child.nodeType === 3) {
      const text = child.data.replace(/[ \t\r\n\f]+/g, " ");
      add([out[out.length - 1] === "" ? text.trimStart() : text]);
      continue;
    }
    if (child.nodeType !== 1 || SILENT.has(child.tagName)) continue;
    const block = BLOCK.has(child.tagName);
    if (block) fresh();
    add(element(child, depth + 1));
    if (block) fresh();
    if (child.tagName === "P") out.push("");
  }
  return out.map((line) => (line === "-- " ? line : line.replace(/[ \u00a0]+$/, "")));
}

function element(node, depth) {
  switch (node.tagName) {
    case "BR":
      return ["", ""];
    case "HR":
      return ["-".repeat(20)];
    case "IMG":
      return [node.getAttribute("alt") ?? ""];
    case "PRE":
      return node.textContent.replace(/\n$/, "").split("\n");
    case "BLOCKQUOTE":
      return trimmed(lines(node, depth)).map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`));
    case "LI":
      return item(node, depth);
    case "TD":
    case "TH":
      return spaced(lines(node, depth));
    case "A":
      return link(node, depth);
    default:
      return lines(node, depth);
  }
}

/** Cells of a row stand side by side. */
const spaced = (some) => [...some.slice(0, -1), `${some.at(-1)} `];

function item(node, depth) {
  const list = node.parentElement;
  const mark = list?.tagName === "OL" ? `${[...list.children].filter((one) => one.tagName === "LI").indexOf(node) + 1}. ` : "* ";
  return trimmed(lines(node, depth)).map((line, at) => (at === 0 ? mark : " ".repeat(mark.length)) + line);
}

function link(node, depth) {
  const said = lines(node, depth);
  const target = node.getAttribute("href") ?? "";
  const bare = target.replace(/^mailto:/i, "").replace(/\/$/, "");
  if (!/^(https?|mailto|tel):/i.test(target) || said.join("").trim().replace(/\/$/, "") === bare) return said;
  return [...said.slice(0, -1), `${said.at(-1)} <${target}>`];
}

function trimmed(some) {
  const first = some.findIndex((line) => line.trim() !== "");
  const last = some.findLastIndex((line) => line.trim() !== "");
  return first < 0 ? [""] : some.slice(first, last + 1);
}
