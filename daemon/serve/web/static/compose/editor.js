// The text of a message while it is written: plain in a textarea, or rich in an editable region with a toolbar.

import { h } from "../dom.js";
import { clean, serialised } from "./clean.js";
import { textOf } from "./plain.js";
import { commandOf, Toolbar } from "./toolbar.js";

let editors = 0;

export class Editor {
  /** @param {{changed: () => void, files: (files: File[], inline: boolean) => void}} how */
  constructor({ changed, files }) {
    this.changed = changed;
    this.files = files;
    this.rich = false;
    this.left = null; // what a switch left behind: {text, nodes}, to come back to if nothing was changed since
    const id = `text-${++editors}`;
    this.area = h("textarea", {
      id: `${id}-plain`,
      class: "plain",
      "aria-label": "Message",
      oninput: changed,
      onpaste: (event) => this.pasted(event),
    });
    this.page = h("div", {
      id: `${id}-rich`,
      class: "rich",
      role: "textbox",
      "aria-multiline": "true",
      "aria-label": "Message",
      contenteditable: "true",
      oninput: changed,
      onpaste: (event) => this.pasted(event),
      onkeydown: (event) => this.key(event),
    });
    this.toolbar = new Toolbar((command) => this.run(command), this.page.id);
    this.linkForm = this.makeLinkForm();
    this.root = h("div", { class: "text" }, this.area, this.page, this.linkForm, this.toolbar.root);
    this.page.addEventListener("keyup", () => this.reflect());
    this.page.addEventListener("mouseup", () => this.reflect());
    this.show();
  }

  show() {
    this.area.hidden = this.rich;
    this.page.hidden = this.toolbar.root.hidden = !this.rich;
    this.linkForm.hidden = true;
  }

  /** What is written, as plain text in either mode. */
  get text() {
    return this.rich ? textOf(this.page) : this.area.value;
  }

  /** What is written as HTML and the pictures in it; null for a plain text. */
  get html() {
    return this.rich ? serialised(this.page) : null;
  }

  setPlain(text) {
    this.rich = false;
    this.area.value = text;
    this.show();
  }

  /** @param {Node} fragment  clean already */
  setRich(fragment) {
    this.rich = true;
    this.page.replaceChildren(fragment);
    if (!this.page.firstChild) this.page.append(h("div", {}, h("br")));
    this.show();
  }

  /** The other mode, with all that was written; the looks come back when nothing was changed in between. */
  switch() {
    if (this.rich) {
      const nodes = document.createDocumentFragment();
      const text = this.text;
      nodes.append(...this.page.childNodes);
      this.setPlain(text);
      this.left = { text, nodes };
    } else {
      this.setRich(this.left?.text === this.area.value ? this.left.nodes : paragraphs(this.area.value));
      this.left = null;
    }
    this.changed();
    this.focus();
  }

  /** The cursor goes to the first or the last line of what is the writer's own. */
  focus(where = "start") {
    if (!this.rich) {
      this.area.focus();
      const at = where === "start" ? 0 : this.area.value.length;
      this.area.setSelectionRange(at, at);
      this.area.scrollTop = where === "start" ? 0 : this.area.scrollHeight;
      return;
    }
    this.page.focus();
    const range = document.createRange();
    range.selectNodeContents(where === "start" ? (this.page.firstChild ?? this.page) : this.page);
    range.collapse(where === "start");
    select(range);
  }

  // ---------------------------------------------------------------------------------------------------- what is done

  key(event) {
    const command = commandOf(event);
    if (command) {
      event.preventDefault();
      event.stopPropagation();
      this.run(command);
    } else if (event.key === "Enter" && !event.shiftKey && this.leavesQuote()) event.preventDefault();
  }

  run(command) {
    if (command === "link") {
      this.askLink();
      return;
    }
    this.page.focus();
    document.execCommand("styleWithCSS", false, "false");
    document.execCommand("defaultParagraphSeparator", false, "div");
    if (command === "quote") document.execCommand("formatBlock", false, this.quote() ? "div" : "blockquote");
    else document.execCommand(command);
    this.reflect();
    this.changed();
  }

  /** The quote the cursor is in. */
  quote() {
    const node = getSelection()?.anchorNode;
    const found = (node?.nodeType === 1 ? node : node?.parentElement)?.closest("blockquote");
    return found && this.page.contains(found) ? found : null;
  }

  /** Enter on an empty line at the end of a quote one made goes on below it. */
  leavesQuote() {
    const quote = this.quote();
    const node = getSelection()?.anchorNode;
    const line = node?.nodeType === 1 ? node : node?.parentElement;
    if (!quote || quote.getAttribute("type") === "cite" || !line || line.textContent.trim() || quote.lastElementChild !== line)
      return false;
    const below = h("div", {}, h("br"));
    line.remove();
    quote.after(below);
    const range = document.createRange();
    range.setStart(below, 0);
    select(range);
    this.changed();
    return true;
  }

  reflect() {
    this.toolbar.reflect(this.quote() !== null);
  }

  pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const html = event.clipboardData?.getData("text/html") ?? "";
    if (files.length && !html.includes("<table")) {
      // a spreadsheet gives a picture of its cells, too
      event.preventDefault();
      this.files(files, true);
    } else if (this.rich && html) {
      event.preventDefault();
      // cleaned to elements that parse the same again; by a command, so that it can be undone
      const holder = h("div", {}, clean(html));
      document.execCommand("insertHTML", false, holder.innerHTML);
      this.changed();
    }
  }

  /** A picture at the cursor, shown from a URL of this page. */
  picture({ cid, name }, url) {
    const image = h("img", { src: url, alt: name, "data-cid": cid });
    const selection = getSelection();
    const range = selection?.rangeCount && this.page.contains(selection.anchorNode) ? selection.getRangeAt(0) : null;
    if (range) {
      range.deleteContents();
      range.insertNode(image);
      range.setStartAfter(image);
      range.collapse(true);
      select(range);
    } else this.page.prepend(image);
    this.changed();
  }

  // ------------------------------------------------------------------------------------------------------------ links

  makeLinkForm() {
    this.linkField = h("input", { type: "text", inputmode: "url", "aria-label": "Address of the link", placeholder: "https://" });
    const form = h(
      "form",
      {
        class: "link-form",
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.link(this.linkField.value.trim());
        },
        onkeydown: (event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          event.preventDefault();
          this.link(null);
        },
      },
      this.linkField,
      h("button", { type: "submit" }, "Set link"),
      h("button", { type: "button", class: "quiet", onclick: () => this.link(null) }, "Cancel"),
    );
    return form;
  }

  askLink() {
    const selection = getSelection();
    this.range = selection?.rangeCount && this.page.contains(selection.anchorNode) ? selection.getRangeAt(0).cloneRange() : null;
    const node = this.range?.startContainer;
    const inside = (node?.nodeType === 1 ? node : node?.parentElement)?.closest("a");
    this.linkField.value = inside?.getAttribute("href") ?? "";
    this.linkForm.hidden = false;
    this.linkField.focus();
  }

  /** Set, change or (with '') take away the link of what was selected; null: nothing. */
  link(text) {
    this.linkForm.hidden = true;
    this.page.focus();
    if (this.range) select(this.range);
    if (text === null) return;
    const target = /^(https?|mailto|tel|ftp):/i.test(text)
      ? text
      : text.includes("@") && !text.includes("/")
        ? `mailto:${text}`
        : `https://${text}`;
    if (!text) document.execCommand("unlink");
    else if (getSelection().isCollapsed) document.execCommand("insertText", false, target) && this.linkLast(target);
    else document.execCommand("createLink", false, target);
    this.changed();
  }

  linkLast(target) {
    const { anchorNode, anchorOffset } = getSelection();
    const range = document.createRange();
    range.setStart(anchorNode, Math.max(0, anchorOffset - target.length));
    range.setEnd(anchorNode, anchorOffset);
    select(range);
    document.execCommand("createLink", false, target);
    getSelection().collapseToEnd();
  }
}

function select(range) {
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

/** Plain lines as a rich text: quoted ones become quotes. */
export function paragraphs(text) {
  const out = document.createDocumentFragment();
  const at = [out];
  for (const line of text.split("\n")) {
    const marks = /^(?:> ?)*/.exec(line)[0];
    const depth = Math.min((marks.match(/>/g) ?? []).length, 20);
    while (at.length - 1 > depth) at.pop();
    while (at.length - 1 < depth) {
      const quote = h("blockquote", { type: "cite" });
      at.at(-1).append(quote);
      at.push(quote);
    }
    const rest = line.slice(marks.length);
    at.at(-1).append(h("div", {}, rest || h("br")));
  }
  return out;
}
