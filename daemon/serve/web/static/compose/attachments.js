// The files of a message while it is written: each a line with how far it is, one button to take it away.

import { announce } from "../toasts.js";
import { h, icon } from "../dom.js";
import { jmap } from "../jmap.js";
import { size } from "../dates.js";
import { upload } from "./upload.js";

let made = 0;

/** @typedef {Part & {key: string, file?: File, failed?: string, done: boolean}} Held */

export class Attachments {
  /** @param {{changed: () => void, emptied: () => void}} how  `emptied`: the last was taken away, the focus is nowhere */
  constructor({ changed, emptied }) {
    Object.assign(this, { changed, emptied });
    /** @type {Held[]} */
    this.held = [];
    this.root = h("ul", { class: "attachments", aria: { label: "Attachments" }, hidden: true });
    this.again = () => this.held.filter((one) => one.failed && one.passing).forEach((one) => this.send(one));
    addEventListener("online", this.again);
  }

  /** The window was closed: nothing is tried again. */
  end() {
    removeEventListener("online", this.again);
    for (const one of this.held) one.stop?.abort();
  }

  /** Those the server has: parts as emailOf takes them. `cids`: the pictures that are still in the text; null: it is
   *  plain, and shows none: what the writer put in himself goes along as a file. */
  parts(cids) {
    return this.held
      .filter((one) => one.blobId && (!one.cid || (cids === null ? one.file : cids.has(one.cid))))
      .map(({ blobId, type, name, size: octets, cid }) => ({ blobId, type, name, size: octets, ...(cid ? { cid } : {}) }));
  }

  /** Files that are not on the server yet: they wait in the outbox with their message. */
  files() {
    return this.held
      .filter((one) => !one.blobId && one.file)
      .map(({ file, type, name, size: octets, cid }) => ({ file, type, name, size: octets, ...(cid ? { cid } : {}) }));
  }

  get busy() {
    return this.held.some((one) => !one.done && !one.failed);
  }

  /** Resolves when nothing is on its way any more, done or failed. */
  settled() {
    return Promise.all(this.held.map((one) => one.promise));
  }

  /** What the server has already: of a draft, or of a message that is forwarded. */
  take(parts) {
    for (const part of parts) this.held.push({ ...part, key: `file-${++made}`, done: true });
    this.draw();
  }

  /** Begin to send a file. `inline`: a picture of the text. @returns {Held} */
  add(file, inline = false) {
    const name = file.name || `picture.${(file.type.split("/")[1] ?? "png").replace(/\W.*/, "")}`;
    const one = { key: `file-${++made}`, file, name, type: file.type || "application/octet-stream", size: file.size, done: false, part: 0 };
    if (inline) one.cid = `${crypto.randomUUID()}@inline`;
    this.held.push(one);
    const most = jmap.limits.maxSizeUpload;
    if (most && file.size > most) {
      one.failed = `larger than the ${size(most)} this server takes`;
      one.promise = Promise.resolve();
      announce(`${name} is ${one.failed}`);
    } else this.send(one);
    this.draw();
    return one;
  }

  send(one) {
    one.failed = null;
    one.stop = new AbortController();
    const progress = (part) => {
      one.part = part;
      if (one.bar) one.bar.value = part;
    };
    one.promise = upload(one.file, progress, one.stop.signal)
      .then((got) => {
        one.blobId = got.blobId;
        one.done = true;
        announce(`${one.name} is attached`);
        this.changed();
      })
      .catch((error) => {
        if (error.type === "aborted") return;
        one.failed = error.message;
        one.passing = error.type === "offline" || error.type === "busy";
        announce(`${one.name} could not be sent: ${error.message}`);
      })
      .finally(() => this.draw());
    this.draw();
  }

  remove(one) {
    one.stop?.abort();
    const at = this.held.indexOf(one);
    this.held = this.held.filter((each) => each !== one);
    this.draw();
    const others = this.root.querySelectorAll(".remove");
    if (others.length) others[Math.min(at, others.length - 1)].focus();
    else this.emptied();
    this.changed();
    announce(`${one.name} removed`);
  }

  draw() {
    const shown = this.held.filter((one) => !one.cid || one.failed);
    this.root.hidden = shown.length === 0;
    this.root.replaceChildren(...shown.map((one) => this.line(one)));
  }

  line(one) {
    one.bar = one.done || one.failed ? null : h("progress", { max: 1, value: one.part ?? 0, aria: { label: `Sending ${one.name}` } });
    return h(
      "li",
      { class: one.failed ? "attachment failed" : "attachment" },
      icon("file"),
      h("span", { class: "name", title: one.name }, one.name),
      h("span", { class: "size" }, one.failed ? one.failed : size(one.size)),
      one.bar,
      one.failed &&
        one.file &&
        one.passing &&
        h("button", { type: "button", class: "quiet", on: { click: () => this.send(one) } }, "Try again"),
      h(
        "button",
        {
          type: "button",
          class: "icon-button small remove",
          title: "Remove",
          aria: { label: `Remove ${one.name}` },
          on: { click: () => this.remove(one) },
        },
        icon("close"),
      ),
    );
  }
}
