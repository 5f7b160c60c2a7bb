/** One message of a conversation: folded to a line, or open with who wrote it, when, to whom, and what it says. */

import { bodiesOf, files, htmlBody, isHtml, textBody, viewOf } from "./body.js";
import { colourOf, initials, isUnread, nameOf } from "./conversations.js";
import { full, long } from "./dates.js";
import { $, fill, h, icon, iconButton, mark } from "./dom.js";
import { invitation } from "./invitation.js";
import { jmap } from "./jmap.js";
import { state } from "./state.js";
import { proof } from "./proof.js";

const REMEMBERED = "images.from"; // senders whose pictures are fetched at once
const NAMED = 50; // addresses of one field that are shown before the others are asked for

export class Message {
  /** @param {string} id @param {{act: Function, menu: Function}} hands */
  constructor(id, hands) {
    this.id = id;
    this.hands = hands;
    this.open = false;
    this.element = h("article", { class: "message", dataset: { email: id } });
    this.fold();
  }

  get email() {
    return state.emails.get(this.id);
  }

  /** A line: who, the beginning, when. */
  fold() {
    const email = this.email;
    this.open = false;
    this.element.className = "message folded";
    fill(
      this.element,
      h(
        "button",
        { type: "button", class: "message-line", aria: { expanded: false }, on: { click: () => this.unfold() } },
        face(email),
        h("span", { class: "message-from" }, nameOf(email.from?.[0]) || "(nobody)"),
        h("span", { class: "message-preview" }, email.preview),
        h("time", { class: "message-date", dateTime: email.receivedAt }, long(new Date(email.receivedAt))),
      ),
    );
    this.renew();
  }

  /** All of it. Resolves when it is shown. */
  async unfold() {
    this.open = true;
    this.element.className = "message";
    this.body = h("div", { class: "message-body" }, h("div", { class: "skeleton-text" }), h("div", { class: "skeleton-text" }), h("div", { class: "skeleton-text" }));
    this.notices = h("div", { class: "message-notices" });
    fill(this.element, this.head(), this.notices, this.body);
    this.renew();
    try {
      if (!this.email.bodyValues) state.learn((await bodiesOf([this.id])).list);
      if (!this.open || !this.email) return;
      this.element.replaceChild(this.head(), $(".message-head", this.element));
      this.renew();
      await this.showBody(this.mayFetch());
    } catch (error) {
      fill(this.body, h("p", { class: "note" }, `This message cannot be shown now: ${error.message} `, h("button", { type: "button", class: "button", on: { click: () => this.unfold() } }, "Try again")));
    }
  }

  async showBody(images) {
    const email = this.email;
    this.images = images;
    const html = isHtml(email);
    if (!html) fill(this.body, textBody(email), files(email));
    try {
      const { view, frame } = html ? await htmlBody(email, images) : { view: await viewOf(email) };
      if (frame) fill(this.body, files(email), frame, h("p", { class: "paper-note" }, "Paper shows what this frame does. “Print” in the menu of the message prints all of it."));
      fill(this.notices, proof(view.authentication), html && this.imageNotice(view, images), (view.invitations ?? []).map((event) => invitation(event, email)));
    } catch (error) {
      if (!html) return; // the text is there; who vouches for it is not known
      fill(this.body, textBody(email), files(email));
      fill(this.notices, h("p", { class: "note" }, `Shown as plain text: ${error.message}`));
    }
  }

  imageNotice(view, images) {
    if (!view.remoteImages || images) return null;
    const sender = this.email.from?.[0]?.email ?? "";
    const always = () => {
      remember(sender);
      this.showBody(true);
    };
    return h(
      "div",
      { class: "notice", title: "Who sent them would learn that and when you read this." },
      icon("shield"),
      h("span", {}, view.remoteImages === 1 ? "A picture from elsewhere is blocked." : `${view.remoteImages} pictures from elsewhere are blocked.`),
      h("button", { type: "button", class: "link-button", on: { click: () => this.showBody(true) } }, "Show"),
      sender && h("button", { type: "button", class: "link-button", on: { click: always } }, `Always from ${sender}`),
    );
  }

  mayFetch() {
    const sender = this.email.from?.[0]?.email?.toLowerCase();
    return Boolean(sender && remembered().includes(sender) && !this.email.mailboxIds[state.byRole("junk")?.id]);
  }

  head() {
    const email = this.email;
    const sender = email.from?.[0];
    const details = h("button", { type: "button", class: "message-to", aria: { expanded: false }, on: { click: () => this.toggleDetails(details) } }, `to ${receivers(email)}`, icon("down"));
    return h(
      "header",
      { class: "message-head" },
      face(email),
      h(
        "div",
        { class: "message-who" },
        h("button", { type: "button", class: "message-name", title: "Fold", on: { click: () => this.fold() } }, nameOf(sender) || "(nobody)"),
        sender?.email && sender.email !== nameOf(sender) && h("span", { class: "message-address" }, sender.email),
        details,
      ),
      h("time", { class: "message-date", dateTime: email.receivedAt, title: full(new Date(email.receivedAt)) }, long(new Date(email.receivedAt))),
      h(
        "div",
        { class: "message-tools" },
        iconButton("star", "Star", () => this.hands.act("starEmail", this.email), { className: "icon-button message-star" }),
        iconButton("reply", "Reply", () => this.hands.act("reply", this.email), { key: "r" }),
        iconButton("more", "More about this message", (event) => this.hands.menu(event.currentTarget, this.email)),
      ),
    );
  }

  toggleDetails(button) {
    const there = $(".message-details", this.element);
    mark(button, "expanded", !there);
    if (there) return there.remove();
    const email = this.email;
    const sent = email.sentAt && h("time", { dateTime: email.sentAt }, full(new Date(email.sentAt)));
    const rows = [
      ["From", addresses(email.from)], ["Sender", same(email.sender, email.from) ? null : addresses(email.sender)],
      ["Reply to", same(email.replyTo, email.from) ? null : addresses(email.replyTo)],
      ["To", addresses(email.to)], ["Cc", addresses(email.cc)], ["Bcc", addresses(email.bcc)], ["Written", sent],
      ["Received", full(new Date(email.receivedAt))], ["Message-ID", email.messageId?.[0]],
    ].filter(([, value]) => value && value.length !== 0);
    $(".message-head", this.element).after(h("dl", { class: "message-details" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  }

  /** What may have changed: star, unread. */
  renew() {
    const email = this.email;
    if (!email) return;
    this.element.classList.toggle("is-unread", isUnread(email));
    this.element.classList.toggle("is-draft", Boolean(email.keywords.$draft));
    const star = $(".message-star", this.element);
    if (!star) return;
    mark(star, "pressed", Boolean(email.keywords.$flagged));
    star.classList.toggle("on", Boolean(email.keywords.$flagged));
  }
}

function face(email) {
  return h("span", { class: `face colour-${colourOf(email.from?.[0])}`, aria: { hidden: true } }, initials(email.from?.[0]));
}

function receivers(email) {
  const all = [...(email.to ?? []), ...(email.cc ?? [])];
  if (!all.length) return "nobody named";
  const names = all.slice(0, 3).map((address) => (state.own.has(address.email?.toLowerCase()) ? "me" : nameOf(address, all.length > 1)));
  return names.join(", ") + (all.length > 3 ? ` and ${(all.length - 3).toLocaleString()} more` : "");
}

/** Of very many the first, and a way to the others. */
function addresses(list) {
  const all = (list ?? []).map(({ name, email }, at) => [at > 0 && ", ", () => h("a", { href: `mailto:${encodeURIComponent(email ?? "")}`, dataset: { mailto: "" } }, name ? `${name} <${email}>` : email)]);
  const made = (some) => some.map(([comma, link]) => [comma, link()]);
  if (all.length <= NAMED) return made(all);
  const others = () => rest.replaceWith(h("span", {}, made(all.slice(NAMED))));
  const rest = h("button", { type: "button", class: "link-button", on: { click: others } }, ` and ${(all.length - NAMED).toLocaleString()} more`);
  return [made(all.slice(0, NAMED)), rest];
}

function same(one, other) {
  return !one?.length || JSON.stringify(one) === JSON.stringify(other ?? []);
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(`${REMEMBERED}.${jmap.accountId}`)) ?? [];
  } catch {
    return [];
  }
}

function remember(sender) {
  const all = [sender.toLowerCase(), ...remembered().filter((other) => other !== sender.toLowerCase())].slice(0, 500);
  localStorage.setItem(`${REMEMBERED}.${jmap.accountId}`, JSON.stringify(all));
}
