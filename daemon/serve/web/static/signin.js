/** Signing in: address and password, and what a second factor asks. */

import { $, fill, h, icon } from "./dom.js";

/** Ask until the server lets in. Resolves then. */
export function signIn() {
  document.documentElement.dataset.view = "sign-in";
  const place = $("#sign-in");
  place.hidden = false;
  return new Promise((resolve) => {
    const entered = () => {
      place.hidden = true;
      fill(place);
      resolve();
    };
    first(place, entered);
  });
}

function card(place, title, ...content) {
  fill(place, h("div", { class: "sign-card" }, h("div", { class: "sign-mark", aria: { hidden: true } }, icon("unread")), h("h1", {}, title), content));
}

function field(label, props) {
  const input = h("input", { class: "field", required: true, ...props });
  return { input, row: h("div", { class: "sign-row" }, h("label", { htmlFor: props.id }, label), input) };
}

function first(place, entered) {
  const name = field("E-mail address", { id: "login", type: "email", name: "username", autocomplete: "username webauthn", inputMode: "email", value: lastLogin() });
  const password = field("Password", { id: "password", type: "password", name: "password", autocomplete: "current-password" });
  const remember = h("input", { type: "checkbox", id: "remember", checked: true });
  const said = h("p", { class: "sign-said", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    said.textContent = "";
    button.disabled = true;
    const answer = await post("/login", { login: name.input.value.trim(), password: password.input.value, remember: remember.checked });
    button.disabled = false;
    await next(place, answer, said, entered, name.input.value.trim());
    if (said.textContent) password.input.select();
  };
  card(place, "Sign in to your mail", h("form", { class: "sign-form", method: "post", on: { submit } }, name.row, password.row, h("label", { class: "check" }, remember, "Stay signed in"), said, button));
  (name.input.value ? password.input : name.input).focus();
}

/** What comes after an answer: in, a second factor, or words about what is wrong. */
async function next(place, answer, said, entered, login) {
  if (answer.state === "in") {
    localStorage.setItem("login", login);
    entered();
  } else if (answer.state === "refused") {
    said.textContent = answer.text || "This address and password do not fit.";
  } else {
    const { secondFactor } = await import("./signin_factor.js");
    secondFactor({ place, answer, entered: () => next(place, { state: "in" }, said, entered, login), card, field, post, again: () => first(place, entered) });
  }
}

function lastLogin() {
  return localStorage.getItem("login") ?? "";
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
  location.hash = "";
  location.reload();
}
