/** Signing in: address and password, and what a second factor asks. */

import { $, fill, h, icon } from "./dom.js";

const LAST = "login";
const INSIDE = "signed-in";

/** Whether this browser was let in and not out again: who never was is not asked for. */
export function maybeInside() {
  return localStorage.getItem(INSIDE) !== null;
}

/** The server says that nobody is signed in. */
export function forget() {
  localStorage.removeItem(INSIDE);
}

/** Ask until the server lets in. Resolves then. `title` says to what. */
export function signIn(title = "Sign in to your mail") {
  document.documentElement.dataset.view = "sign-in";
  const place = $("#sign-in");
  place.hidden = false;
  return new Promise((resolve) => {
    first(place, title, () => {
      localStorage.setItem(INSIDE, "");
      place.hidden = true;
      fill(place);
      resolve();
    });
  });
}

function card(place, title, ...content) {
  fill(place, h("div", { class: "sign-card" }, h("div", { class: "sign-mark", aria: { hidden: true } }, icon("unread")), h("h1", {}, title), content));
}

function field(label, props) {
  const input = h("input", { class: "field", required: true, ...props });
  return { input, row: h("div", { class: "sign-row" }, h("label", { htmlFor: props.id }, label), input) };
}

function first(place, title, entered) {
  const name = field("E-mail address", { id: "login", type: "email", name: "username", autocomplete: "username", inputMode: "email", value: localStorage.getItem(LAST) ?? "" });
  const password = field("Password", { id: "password", type: "password", name: "password", autocomplete: "current-password" });
  const remember = h("input", { type: "checkbox", id: "remember", checked: true });
  const said = h("p", { class: "sign-said", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
  const next = (answer, where) => after({ place, title, answer, said: where, entered, next });
  const submit = async (event) => {
    event.preventDefault();
    said.textContent = "";
    button.disabled = true;
    const login = name.input.value.trim();
    const answer = await post("/login", { login, password: password.input.value, remember: remember.checked });
    button.disabled = false;
    if (answer.state !== "refused") localStorage.setItem(LAST, login);
    await next(answer, said);
    if (said.textContent) password.input.select();
  };
  const passkey = async () => {
    said.textContent = "";
    const { passkeyAlone } = await import("./signin_factor.js");
    await next(await passkeyAlone(remember.checked, post), said);
  };
  card(
    place,
    title,
    h("form", { class: "sign-form", method: "post", on: { submit } }, name.row, password.row, h("label", { class: "check" }, remember, "Stay signed in"), said, button),
    "PublicKeyCredential" in window && h("button", { type: "button", class: "link-button", on: { click: passkey } }, "Use a passkey instead"),
  );
  (name.input.value ? password.input : name.input).focus();
}

/** What comes after an answer: in, a second factor, or words about what is wrong. */
async function after({ place, title, answer, said, entered, next }) {
  if (answer.state === "in") {
    entered();
  } else if (answer.state === "factor") {
    const { secondFactor } = await import("./signin_factor.js");
    secondFactor({ place, answer, card, field, post, next, again: () => first(place, title, entered) });
  } else {
    said.textContent = wordsOf(answer);
  }
}

function wordsOf({ reason, text }) {
  if (!text || reason === "wrong-password" || reason === "unknown-user") return "This address and password do not fit.";
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** JSON to the server and back; what is wrong with the line is told as a refusal. */
export async function post(url, body) {
  try {
    const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    return said.state ? said : { state: "refused", text: said.detail || `The server answered ${answer.status}.` };
  } catch {
    return { state: "refused", text: "The server cannot be reached.", isTemporary: true };
  }
}

/** Out, of this browser. */
export async function signOut() {
  await post("/logout", {});
  forget();
  location.hash = "";
  location.reload();
}
