// Passwords for one program each: they are shown once, say what they are for, and can be taken back alone.

import { announce } from "../toasts.js";
import { confirmed } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { choice, deed, field, form, part, result, rows, button, text, tick, when } from "./form.js";
import { create, destroy, everyone } from "./ask.js";
import { passwordAsked } from "./present-password.js";

const SCOPES = [
  ["imap", "Read mail (IMAP)"],
  ["smtp", "Send mail (SMTP)"],
  ["pop3", "Fetch mail (POP3)"],
  ["sieve", "Change rules (ManageSieve)"],
  ["jmap", "JMAP"],
];
const NAMES = new Map(SCOPES);
const ENDS = [
  ["", "Never"],
  ["30", "After 30 days"],
  ["90", "After 90 days"],
  ["365", "After a year"],
];

export function section() {
  const said = result();
  const fresh = h("div", { class: "part" });
  const all = part(async (again) => list(await everyone("AppPassword"), said, again));
  all.again();
  return [
    h("p", { class: "intro" }, "Give every program one of its own: a lost phone then costs you one password, not the account."),
    all.element,
    said.element,
    h("h2", {}, "A new one"),
    fresh,
    maker(fresh, all.again),
  ];
}

function list(found, said, again) {
  const remove = async (one) => {
    const sure = await confirmed({
      title: `Remove “${one.name}”?`,
      text: "The program that uses it is signed out at once.",
      yes: "Remove",
      danger: true,
    });
    if (!sure) return;
    const password = await passwordAsked("Your password");
    if (password === undefined) return;
    await deed(said, async () => {
      await destroy("AppPassword", [one.id], { password });
      again();
      return `“${one.name}” does not open anything any more.`;
    });
  };
  return rows(
    "App passwords",
    found.map((one) => ({
      title: one.name,
      mark: one.expiresAt && new Date(one.expiresAt) < new Date() ? "over" : "",
      lines: [
        one.scopes?.length ? one.scopes.map((scope) => NAMES.get(scope) ?? scope).join(", ") : "Everything",
        `Made ${when(one.createdAt)}${one.expiresAt ? `, ends ${when(one.expiresAt)}` : ""}`,
        one.lastUsedAt ? `Last used ${when(one.lastUsedAt)}${one.lastUsedFrom ? ` from ${one.lastUsedFrom}` : ""}` : "Not used yet",
      ],
      actions: [button("Remove", () => remove(one), { aria: { label: `Remove the app password ${one.name}` } })],
    })),
    "You have none yet.",
  );
}

function maker(place, again) {
  const name = text({ required: true, maxLength: 100, placeholder: "Thunderbird on my laptop" });
  const ticks = SCOPES.map(([scope, words]) => ({ scope, ...tick(words, scope === "imap" || scope === "smtp") }));
  const ends = choice(ENDS, "");
  const made = form(
    "Make an app password",
    [
      field("What it is for", name),
      h(
        "fieldset",
        {},
        h("legend", {}, "It may"),
        ticks.map(({ row }) => row),
      ),
      field("It ends", ends),
    ],
    async () => {
      const scopes = ticks.filter(({ box }) => box.checked).map(({ scope }) => scope);
      if (!scopes.length) throw new Error("Tick what it may do.");
      const password = await passwordAsked("Your password");
      if (password === undefined) return undefined;
      const expiresAt = ends.value ? new Date(Date.now() + Number(ends.value) * 86_400_000).toISOString().replace(/\.\d+Z/, "Z") : null;
      const one = await create("AppPassword", { name: name.value.trim(), scopes, expiresAt }, { password });
      fill(place, shown(one.name, one.password));
      place.scrollIntoView({ block: "nearest" });
      made.element.reset();
      again();
      return "Made: type it into the program now.";
    },
  );
  return made.element;
}

function shown(name, password) {
  const copy = button("Copy", async () => {
    await navigator.clipboard.writeText(password);
    copy.textContent = "Copied";
    announce("Copied");
  });
  return h(
    "div",
    { class: "shown-once", role: "status" },
    h("p", {}, `The password for “${name}”. It is not shown again:`),
    h("p", {}, h("code", { class: "secret" }, password), " ", copy),
  );
}
