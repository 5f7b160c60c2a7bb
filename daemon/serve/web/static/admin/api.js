/** Asking the server: one verb, its arguments as JSON, its answer. */

/** What the server said no with: `kind` is signedOut, forbidden, offline or refused. */
export class Refused extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
    this.type = kind;
  }
}

/**
 * @param {string} verb as in `queue/list`
 * @param {object} [asked]
 * @returns {Promise<any>} Rejects with `Refused`.
 */
export async function ask(verb, asked = {}) {
  let answer;
  try {
    answer = await fetch(`/admin/api/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
    });
  } catch {
    throw new Refused("offline", "the server cannot be reached");
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  const kind = answer.status === 401 ? "signedOut" : "refused";
  throw new Refused(kind, said?.detail ?? `the server answered ${answer.status}`);
}

/** Only what was filled in: the server takes what is left out as not asked for. */
export function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined));
}
