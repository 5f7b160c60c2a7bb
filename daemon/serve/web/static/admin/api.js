/** Asking the server: one verb, its arguments as JSON, its answer. */

import { passwordAsked } from "../settings/present-password.js";
import { toast } from "../toasts.js";

const UNPROVEN = "urn:mailctl:prove"; // it wants to know that who sits here is who signed in

/** What the server said no with: `kind` is signedOut, unproven, offline or refused. */
export class Refused extends Error {
  constructor(kind, message) {
    super(message);
    this.name = "Refused";
    this.kind = kind;
  }
}

/**
 * A verb that takes long goes on while the page asks again and again whether it has ended.
 * @param {string} verb as in `queue/list`
 * @param {object} [asked]
 * @returns {Promise<any>} Rejects with `Refused`.
 */
export async function ask(verb, asked = {}) {
  let answer = await proven(`/admin/api/${verb}`, asked);
  if (answer.status !== 202) return answer.said;
  const told = toast("This takes longer. It goes on here, and its end is told.", { lasting: true });
  try {
    while (answer.status === 202) answer = await post(`/admin/jobs/${answer.said.job}`, {});
  } finally {
    told.close();
  }
  return answer.said;
}

/** The answer; where the present password is wanted for it, it is asked for first. */
async function proven(url, body) {
  try {
    return await post(url, body);
  } catch (error) {
    if (error.kind !== "unproven") throw error;
  }
  const password = await passwordAsked("Your own password, before this is done");
  if (password === undefined) throw new Refused("refused", "nothing was done");
  await post("/admin/proof", { password });
  return post(url, body);
}

async function post(url, body) {
  let answer;
  try {
    answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Refused("offline", "the server cannot be reached");
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return { status: answer.status, said };
  const kind = answer.status === 401 ? "signedOut" : said?.type === UNPROVEN ? "unproven" : "refused";
  throw new Refused(kind, said?.detail ?? `the server answered ${answer.status}`);
}

/** Only what was filled in: the server takes what is left out as not asked for. */
export function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined));
}
