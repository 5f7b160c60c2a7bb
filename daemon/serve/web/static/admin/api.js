/** Asking the server: one verb, its arguments as JSON, its answer. */

import { toast } from "../toasts.js";

/** What the server said no with: `kind` is signedOut, forbidden, offline or refused. */
export class Refused extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
    this.type = kind;
  }
}

/**
 * A verb that takes long goes on while the page asks again and again whether it has ended.
 * @param {string} verb as in `queue/list`
 * @param {object} [asked]
 * @returns {Promise<any>} Rejects with `Refused`.
 */
export async function ask(verb, asked = {}) {
  let answer = await post(`/admin/api/${verb}`, asked);
  if (answer.status !== 202) return answer.said;
  const told = toast("This takes longer. It goes on here, and its end is told.", { lasting: true });
  try {
    while (answer.status === 202) answer = await post(`/admin/jobs/${answer.said.job}`, {});
  } finally {
    told.close();
  }
  return answer.said;
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
  const kind = answer.status === 401 ? "signedOut" : "refused";
  throw new Refused(kind, said?.detail ?? `the server answered ${answer.status}`);
}

/** Only what was filled in: the server takes what is left out as not asked for. */
export function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined));
}
