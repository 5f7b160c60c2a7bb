// Settings as objects of JMAP: read all of a kind, change one, and an error whose words are for people.

import { jmap } from "../jmap.js";

/** The single object of a type that has one. */
export async function single(type) {
  return (await jmap.call(`${type}/get`, { ids: ["singleton"] })).list[0];
}

/** All objects of a type. */
export async function everyone(type) {
  return (await jmap.call(`${type}/get`, { ids: null })).list;
}

/** Make one: what the server says of it. Throws with the server's words. `more`: arguments beside, such as `password`. */
export async function create(type, object, more = {}) {
  const answer = await jmap.call(`${type}/set`, { create: { it: object }, ...more });
  if (answer.notCreated?.it) throw refusal(answer.notCreated.it);
  return { ...object, ...answer.created.it };
}

/** Change one; resolves with what the server says of it beside. */
export async function update(type, id, patch, more = {}) {
  const answer = await jmap.call(`${type}/set`, { update: { [id]: patch }, ...more });
  if (answer.notUpdated?.[id]) throw refusal(answer.notUpdated[id]);
  return answer.updated?.[id] ?? {};
}

/** Destroy them; throws the first refusal. */
export async function destroy(type, ids, more = {}) {
  const answer = await jmap.call(`${type}/set`, { destroy: ids, ...more });
  const [refused] = Object.values(answer.notDestroyed ?? {});
  if (refused) throw refusal(refused);
}

const WORDS = {
  forbidden: "That is not allowed.",
  invalidProperties: "Something in it is not right.",
  notFound: "It is not there any more.",
  overQuota: "There is no room for more.",
  rateLimit: "Too often: wait a while.",
  stateMismatch: "It was changed elsewhere meanwhile.",
};

function refusal(error) {
  const words = error.description || WORDS[error.type] || error.type;
  return Object.assign(new Error(words), { type: error.type, properties: error.properties ?? [] });
}
