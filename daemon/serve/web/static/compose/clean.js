// HTML of others on its way into the writer's text: rebuilt from a list of what is allowed, never copied.
//
// The source is parsed where nothing runs and nothing loads; each element that is allowed is made anew with the
// attributes that are allowed. Remote pictures never load while one writes: their address is kept aside in
// data-remote, and comes back (or not) when the message is made.

const KEEP = {
  A: ["href", "title"],
  ABBR: ["title"],
  ADDRESS: [],
  B: [],
  BLOCKQUOTE: ["type"],
  BR: [],
  CAPTION: [],
  CENTER: [],
  CITE: [],
  CODE: [],
  COL: ["span"],
  COLGROUP: ["span"],
  DD: [],
  DEL: [],
  DIV: ["align", "dir"],
  DL: [],
  DT: [],
  EM: [],
  FIGCAPTION: [],
  FIGURE: [],
  FONT: ["color", "face", "size"],
  H1: [],
  H2: [],
  H3: [],
  H4: [],
  H5: [],
  H6: [],
  HR: [],
  I: [],
  IMG: ["alt", "width", "height", "title"],
  INS: [],
  KBD: [],
  LI: ["value"],
  OL: ["start", "type"],
  P: ["align", "dir"],
  PRE: [],
  Q: [],
  S: [],
  SMALL: [],
  SPAN: ["dir"],
  STRIKE: [],
  STRONG: [],
  SUB: [],
  SUP: [],
  TABLE: ["border", "cellpadding", "cellspacing", "width", "align", "bgcolor"],
  TBODY: [],
  TD: ["colspan", "rowspan", "width", "align", "valign", "bgcolor"],
  TFOOT: [],
  TH: ["colspan", "rowspan", "width", "align", "valign"],
  THEAD: [],
  TR: ["align", "valign", "bgcolor"],
  TT: [],
  U: [],
  UL: ["type"],
  VAR: [],
};
/** Gone with all that is in them; what is in others stays. */
const GONE = new Set([
  "SCRIPT",
  "X-STYLE",
  "STYLE",
  "HEAD",
  "TITLE",
  "TEMPLATE",
  "NOSCRIPT",
  "IFRAME",
  "FRAME",
  "OBJECT",
  "EMBED",
  "APPLET",
  "AUDIO",
  "VIDEO",
  "CANVAS",
  "SVG",
  "MATH",
  "FORM",
  "SELECT",
  "TEXTAREA",
  "BUTTON",
  "DIALOG",
]);
const LOOKS = new Set(["COLOR", "FACE", "SIZE", "BGCOLOR"]);
const STYLES =
  /^(color|background-color|font-(family|size|style|weight)|text-(align|decoration|indent|transform)|(padding|margin|border)(-(top|right|bottom|left))?|border-(collapse|spacing|radius)|(max-)?width|line-height|letter-spacing|vertical-align|white-space)$/;
const LINK = /^(https?|mailto|tel|ftp):/i;
const MOST = 20_000; // elements; what is behind is cut off rather than holding the page up
const DEEPEST = 200;

/**
 * A fragment of what is safe in `html`.
 * @param {string} html
 * @param {{looks?: boolean, inline?: Map<string, {src: string}>}} how  `looks`: keep colours, sizes and remote pictures
 *   (of what is forwarded); `inline`: pictures inside the message by Content-ID, with a URL of ours to show them.
 */
export function clean(html, { looks = false, inline = new Map() } = {}) {
  const source = new DOMParser().parseFromString(quiet(html), "text/html");
  const out = document.createDocumentFragment();
  copy(source.body, out, { looks, inline, left: MOST }, 0);
  return out;
}

/** What the page's policy would report as an attempt is renamed before the parser sees it. */
function quiet(html) {
  return html
    .replace(/<(\/?)(style|base|meta|link)\b/gi, "<$1x-$2")
    .replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/([\s"'/])(style|on[a-z]+)(\s*=)/gi, "$1x-$2$3"));
}

function copy(from, into, state, depth) {
  for (const node of from.childNodes) {
    if (node.nodeType === 3) into.append(node.data);
    if (node.nodeType !== 1 || state.left-- <= 0) continue;
    const name = node.tagName.toUpperCase();
    if (GONE.has(name)) continue;
    const made = depth < DEEPEST && Object.hasOwn(KEEP, name) ? madeOf(node, name, state) : null;
    if (made) into.append(made);
    copy(node, made ?? into, state, depth + 1);
  }
}

function madeOf(node, name, state) {
  const made = document.createElement(name);
  for (const attribute of KEEP[name]) {
    const value = node.getAttribute(attribute);
    if (value === null || (!state.looks && LOOKS.has(attribute.toUpperCase()))) continue;
    if (attribute === "href" && !LINK.test(value.trim())) continue;
    made.setAttribute(attribute, value);
  }
  if (state.looks) dress(made, node.getAttribute("x-style") ?? node.getAttribute("style") ?? "");
  return name === "IMG" ? picture(made, node, state) : made;
}

/** Set one by one through the object model, which the page's policy allows; nothing that names another place. */
function dress(made, text) {
  for (const each of text.split(";")) {
    const at = each.indexOf(":");
    const property = each.slice(0, at).trim().toLowerCase();
    const value = each
      .slice(at + 1)
      .replace(/!\s*important\s*$/i, "")
      .trim();
    if (at > 0 && STYLES.test(property) && !/[\\(@]|\/\*/.test(value.replace(/\brgba?\(/gi, ""))) {
      made.style.setProperty(property, value);
    }
  }
}

function picture(made, node, state) {
  const source = (node.getAttribute("src") ?? "").trim();
  const cid = /^cid:(.+)$/i.exec(source)?.[1];
  const known = cid === undefined ? undefined : state.inline.get(unescaped(cid));
  if (known) {
    made.dataset.cid = unescaped(cid);
    made.src = known.src;
    return made;
  }
  if (/^https?:/i.test(source) && state.looks) {
    made.dataset.remote = source;
    made.classList.add("remote");
    return made;
  }
  return made.alt ? document.createTextNode(made.alt) : null;
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The HTML of a finished text: what was put aside for writing comes back, what only the page needs goes.
 * @returns {{html: string, cids: Set<string>}}  `cids`: the inline pictures that are still in it
 */
export function serialised(root) {
  // made where nothing loads: an element with a remote source in this document would fetch it
  const copyOf = document.implementation.createHTMLDocument("").importNode(root, true);
  const cids = new Set();
  for (const image of copyOf.querySelectorAll("img")) {
    if (image.dataset.cid) {
      cids.add(image.dataset.cid);
      image.setAttribute("src", `cid:${encodeURIComponent(image.dataset.cid).replace(/%40/g, "@")}`);
    } else if (image.dataset.remote) image.setAttribute("src", image.dataset.remote);
    else if (!/^data:image\//.test(image.getAttribute("src") ?? "")) {
      image.remove();
      continue;
    }
    image.removeAttribute("class");
    for (const name of Object.keys(image.dataset)) delete image.dataset[name];
  }
  for (const node of copyOf.querySelectorAll("[class],[contenteditable],[spellcheck]")) {
    if (!["quote", "signature", "attribution"].includes(node.className)) node.removeAttribute("class");
    node.removeAttribute("contenteditable");
    node.removeAttribute("spellcheck");
  }
  return { html: copyOf.innerHTML, cids };
}
