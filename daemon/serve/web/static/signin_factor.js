/** The second factor: a code of an authenticator program, a recovery code, or a passkey. Passkeys alone, too. */

import { h } from "./dom.js";

/**
 * Ask for what is missing after the password.
 * @param {{place: HTMLElement, answer: any, card: Function, field: Function, post: Function, next: Function, again: () => void}} with_
 *   `next(answer, said)`: what comes after an answer of the server
 */
export function secondFactor({ place, answer, card, field, post, next, again }) {
  const said = h("p", { class: "sign-said", role: "alert" });
  const ways = answer.ways ?? [];
  const code = field("Code of your authenticator, or a recovery code", {
    id: "code", type: "text", name: "code", autocomplete: "one-time-code", inputMode: "text", autocapitalize: "off", spellcheck: false, maxLength: 40,
  });
  const button = h("button", { type: "submit", class: "button primary wide" }, "Go on");
  const submit = async (event) => {
    event.preventDefault();
    said.textContent = "";
    button.disabled = true;
    const told = await post("/login", { pending: answer.pending, code: code.input.value.trim() });
    button.disabled = false;
    await next(told, said);
    if (said.textContent) code.input.select();
  };
  const key = async () => {
    said.textContent = "";
    await next(await byPasskey(answer, post), said);
  };
  card(
    place,
    "One more proof",
    ways.includes("code") && h("form", { class: "sign-form", on: { submit } }, code.row, button),
    ways.includes("passkey") && h("button", { type: "button", class: "button wide", on: { click: key } }, "Use your passkey"),
    said,
    h("button", { type: "button", class: "link-button", on: { click: again } }, "Somebody else"),
  );
  if (ways.includes("code")) code.input.focus();
  else key();
}

/** Sign in with a passkey and nothing else. */
export async function passkeyAlone(remember, post) {
  const begun = await post("/login", { begin: "passkey", remember });
  return begun.state === "passkey" ? byPasskey(begun, post) : begun;
}

async function byPasskey({ pending, passkey }, post) {
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(passkey);
    const made = await navigator.credentials.get({ publicKey });
    return await post("/login", { pending, passkey: made.toJSON() });
  } catch (error) {
    const text = error.name === "NotAllowedError" ? "No passkey was used." : `The passkey does not work: ${error.message}`;
    return { state: "refused", text };
  }
}
