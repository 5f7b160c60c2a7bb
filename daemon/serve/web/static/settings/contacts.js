// The people one knows (ContactCard of RFC 9610): found, added, changed, written to. Whom one writes to comes here by himself.

import { colourOf, initials } from "../conversations.js";
import { confirmed } from "../dialogs.js";
import { fill, h, iconButton } from "../dom.js";
import { jmap } from "../jmap.js";
import { isAddress } from "../compose/addresses.js";
import { cardName, forgetContacts, peopleOf } from "../compose/contacts.js";
import { create, destroy, update } from "./ask.js";
import { area, button, deed, field, form, part, result, text } from "./form.js";

const SOME = 100; // people that are shown before more are asked for
const REST = 250; // milliseconds without a key before they are looked for

export function section() {
  const said = result();
  const place = h("div", { class: "part" });
  const words = text({ type: "search", placeholder: "Search contacts", aria: { label: "Search contacts" } });
  let most = SOME;
  let soon = 0;
  const edit = (card) => {
    said.none();
    fill(place, editor(card, done));
  };
  const done = async (answer) => {
    fill(place);
    fresh.focus();
    if (!answer) return undefined;
    forgetContacts();
    said.good(answer);
    await all.again();
    return answer;
  };
  const remove = async (card) => {
    const who = called(card);
    if (!(await confirmed({ title: `Delete ${who}?`, text: "Mail of and to them stays as it is.", yes: "Delete", danger: true }))) return;
    await deed(said, async () => {
      await destroy("ContactCard", [card.id]);
      return done(`${who} is deleted.`);
    });
  };
  const all = part(async (again) => {
    const { cards, total } = await find(words.value.trim(), most);
    const more = () => {
      most += SOME;
      again();
    };
    if (!cards.length) return h("p", { class: "empty" }, words.value.trim() ? "Nobody is found." : "Nobody yet. Whom you write to comes here by himself.");
    return [
      h("ul", { class: "rows contacts", aria: { label: "Contacts" } }, cards.map((card) => line(card, edit, remove))),
      h("p", { class: "hint", role: "status" }, total === 1 ? "1 contact" : `${total.toLocaleString()} contacts`),
      total > cards.length && button("Show more", more),
    ];
  });
  words.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(all.again, REST);
  });
  const fresh = button("New contact", () => edit(null), { primary: true });
  all.again();
  return [h("div", { class: "finder" }, words, fresh), place, said.element, all.element];
}

/** Those with the words, by name. */
async function find(words, limit) {
  const sort = [{ property: "name/given", isAscending: true }];
  const found = jmap.call("ContactCard/query", { filter: words ? { text: words } : null, sort, limit, calculateTotal: true });
  const cards = jmap.call("ContactCard/get", { "#ids": found.ref("/ids") });
  const [{ ids, total }, { list }] = await Promise.all([found, cards]);
  const known = new Map(list.map((card) => [card.id, card]));
  return { cards: ids.map((id) => known.get(id)).filter(Boolean), total };
}

const called = (card) => cardName(card) || peopleOf(card)[0]?.email || "Nobody";
const valuesOf = (map, member) => Object.values(map ?? {}).map((each) => each[member]).filter(Boolean);

function line(card, edit, remove) {
  const name = called(card);
  const people = peopleOf(card);
  const face = { name, email: people[0]?.email ?? name };
  const lines = [[...valuesOf(card.organizations, "name"), ...valuesOf(card.phones, "number")].join(" · "), ...valuesOf(card.notes, "note")];
  return h(
    "li",
    {},
    h("span", { class: `face colour-${colourOf(face)}`, aria: { hidden: true } }, initials(face)),
    h(
      "div",
      { class: "what" },
      h("strong", {}, name),
      people.map(({ email }) => h("p", {}, h("a", { href: `mailto:${encodeURIComponent(email)}`, dataset: { mailto: "" }, title: `Write to ${email}` }, email))),
      lines.filter(Boolean).map((each) => h("p", { class: "hint" }, each)),
    ),
    iconButton("compose", `Edit ${name}`, () => edit(card)),
    iconButton("trash", `Delete ${name}`, () => remove(card)),
  );
}

// -- one of them, to be made or changed --------------------------------------------------------------------------------

/** @param {Object|null} card  null: a new one  @param {(said?: string) => void} done  without words: nothing was done */
function editor(card, done) {
  const now = card ?? {};
  const name = text({ value: cardName(now), maxLength: 200, autocomplete: "off" });
  const emails = area({ value: valuesOf(now.emails, "address").join("\n"), rows: 2, inputMode: "email" });
  const phones = area({ value: valuesOf(now.phones, "number").join("\n"), rows: 2, inputMode: "tel" });
  const company = text({ value: valuesOf(now.organizations, "name")[0] ?? "", maxLength: 200 });
  const note = area({ value: valuesOf(now.notes, "note")[0] ?? "", rows: 3, maxLength: 5000 });
  const made = form(
    card ? "Save" : "Add",
    [
      field("Name", name),
      h("div", { class: "pair" }, field("E-mail addresses", emails, "One in each line."), field("Phone numbers", phones, "One in each line.")),
      field("Company", company),
      field("Note", note),
    ],
    async () => {
      const [to, called] = [linesOf(emails), name.value.trim()];
      const wrong = to.find((each) => !isAddress(each));
      if (wrong) throw new Error(`${wrong} cannot be an address.`);
      if (!called && !to.length) throw new Error("Give a name or an address.");
      const said = {
        ...(called === cardName(now) ? {} : { name: called ? { full: called } : null }),
        emails: these(now.emails, "address", to),
        phones: these(now.phones, "number", linesOf(phones)),
        organizations: first(now.organizations, "name", company.value.trim()),
        notes: first(now.notes, "note", note.value.trim()),
      };
      if (card) await update("ContactCard", card.id, said);
      else await create("ContactCard", Object.fromEntries(Object.entries(said).filter(([, value]) => value)));
      await done(card ? "Saved." : `${called || to[0]} is added.`);
    },
  );
  made.element.classList.add("card");
  made.element.querySelector(".actions").append(button("Cancel", () => done()));
  queueMicrotask(() => name.focus());
  return made.element;
}

const linesOf = (control) => control.value.split("\n").map((each) => each.trim()).filter(Boolean);
const orNull = (map) => (Object.keys(map).length ? map : null);

/** These values; one that was there keeps its id, and what else is known of it. */
function these(old = {}, member, values) {
  const known = (value) => Object.entries(old).find(([, each]) => each[member] === value) ?? [crypto.randomUUID(), { [member]: value }];
  return orNull(Object.fromEntries(values.map(known)));
}

/** The first is this value, or gone; the others stay. */
function first(old = {}, member, value) {
  const [id, was] = Object.entries(old).find(([, each]) => each[member]) ?? [crypto.randomUUID(), {}];
  const { [id]: _, ...others } = old;
  return orNull(value ? { [id]: { ...was, [member]: value }, ...others } : others);
}
