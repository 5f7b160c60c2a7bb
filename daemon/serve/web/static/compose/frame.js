// The looks of a window to write in: its head, its fields, its foot. What they do is the Composer's.

import { h, iconButton } from "../dom.js";
import { longestHold } from "./post.js";

/** Build it for `it`, which gets the elements it works with. */
export function frame(it, id) {
  it.title = h("h2", { id: `${id}-title` }, "New message");
  it.status = h("span", { class: "status", role: "status" });
  it.error = h("p", { class: "error", role: "alert", hidden: true });
  it.subject = h("input", {
    id: `${id}-subject`,
    type: "text",
    class: "subject",
    autocomplete: "off",
    maxLength: 900,
    on: {
      input: () => {
        it.entitle();
        it.changed();
      },
    },
  });
  it.file = h("input", {
    type: "file",
    multiple: true,
    hidden: true,
    on: {
      change: () => {
        it.attach([...it.file.files]);
        it.file.value = "";
      },
    },
  });
  const head = h(
    "div",
    { class: "head", on: { dblclick: () => it.small(!it.root.classList.contains("small")) } },
    it.title,
    it.status,
    iconButton("down", "Minimise", () => it.small(!it.root.classList.contains("small")), { className: "icon-button minimise" }),
    iconButton("close", "Save and close", () => it.close(), { key: "Esc" }),
  );
  return h(
    "section",
    {
      class: "composer",
      role: "dialog",
      id,
      aria: { labelledby: `${id}-title` },
      on: {
        keydown: (event) => it.keydown(event),
        dragover: (event) => it.dragged(event),
        dragleave: () => it.root.classList.remove("drop"),
        drop: (event) => it.dropped(event),
      },
    },
    head,
    h(
      "div",
      { class: "fields" },
      fromRow(it, id),
      toRow(it),
      it.cc.root,
      it.bcc.root,
      h("div", { class: "field-row" }, h("label", { htmlFor: `${id}-subject` }, "Subject"), it.subject),
    ),
    it.editor.root,
    it.attachments.root,
    it.error,
    foot(it),
  );
}

function fromRow(it, id) {
  const several = it.identities.length > 1;
  it.from = h(
    "select",
    { id: `${id}-from`, on: { change: () => it.identify(it.identities[it.from.selectedIndex]) } },
    it.identities.map((one) => h("option", { selected: one === it.identity }, one.name ? `${one.name} <${one.email}>` : one.email)),
  );
  return h("div", { class: "field-row from", hidden: !several }, h("label", { htmlFor: `${id}-from` }, "From"), it.from);
}

function toRow(it) {
  const more = (field, name) =>
    h(
      "button",
      {
        type: "button",
        class: "quiet",
        on: {
          click: (event) => {
            field.root.hidden = false;
            event.currentTarget.hidden = true;
            field.focus();
          },
        },
      },
      name,
    );
  it.more = { cc: more(it.cc, "Cc"), bcc: more(it.bcc, "Bcc") };
  it.to.root.append(h("span", { class: "more-fields" }, it.more.cc, it.more.bcc));
  return it.to.root;
}

function foot(it) {
  it.sendButton = h(
    "button",
    { type: "button", class: "button primary send", title: "Send (Ctrl+Enter)", on: { click: () => it.send() } },
    "Send",
  );
  const later = iconButton("clock", "Send later", () => it.sendLater(), { hidden: longestHold() === 0 });
  it.looks = h(
    "button",
    {
      type: "button",
      class: "quiet looks",
      title: "With formatting, or plain text",
      aria: { pressed: "true" },
      on: { click: () => it.switch() },
    },
    "Aa",
  );
  return h(
    "footer",
    {},
    it.sendButton,
    later,
    iconButton("attach", "Attach files", () => it.file.click()),
    it.file,
    it.looks,
    h("span", { class: "space" }),
    iconButton("more", "More", (event) => it.options(event.currentTarget)),
    iconButton("trash", "Discard draft", () => it.discard()),
  );
}
