// Who somebody might mean: contacts of JMAP (RFC 9610), as names and addresses.

import { jmap } from "../jmap.js";

const MOST = 8;
const CAPABILITY = "urn:ietf:params:jmap:contacts";
const remembered = new Map(); // what was asked in this page, by text

/** @returns {Promise<Person[]>} those whose name or address has the text, the best first */
export async function complete(text) {
  if (!jmap.has(CAPABILITY)) return [];
  const asked = text.toLowerCase();
  if (!remembered.has(asked)) {
    if (remembered.size > 200) remembered.clear();
    remembered.set(
      asked,
      ask(text).catch((error) => {
        remembered.delete(asked);
        throw error;
      }),
    );
  }
  return remembered.get(asked);
}

/** Somebody was added. */
export const forgetContacts = () => remembered.clear();

async function ask(text) {
  const found = jmap.call("ContactCard/query", { filter: { text }, limit: MOST });
  const cards = jmap.call("ContactCard/get", { "#ids": found.ref("/ids"), properties: ["id", "name", "emails"] });
  await found;
  return (await cards).list
    .flatMap((card) => peopleOf(card))
    .filter((one) => matches(one, text.toLowerCase()))
    .slice(0, MOST);
}

/** The name as one says it; "" for none. */
export const cardName = (card) => card.name?.full ?? (card.name?.components ?? []).map((one) => one.value).join(" ");

/** @returns {Person[]} one for each address of a card (RFC 9553) */
export function peopleOf(card) {
  const name = cardName(card);
  return Object.values(card.emails ?? {}).map(({ address }) => ({ name: name && name !== address ? name : null, email: address }));
}

const matches = ({ name, email }, text) => `${name ?? ""} ${email}`.toLowerCase().includes(text);
