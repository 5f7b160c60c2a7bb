/** Who a message is really from: what our server proved when it came, in words. */

import { h, icon } from "./dom.js";

/**
 * A line above a message, or null where nothing is known.
 * @param {any} email
 * @param {{verdict?: string, domain?: string, reason?: string}|undefined} said `verdict`: pass, fail, none
 */
export function proof(email, said) {
  if (!said) return null;
  const domain = said.domain || (email.from?.[0]?.email ?? "").split("@")[1] || "";
  if (said.verdict === "pass") {
    return h("p", { class: "proof good", title: said.reason ?? "" }, icon("shield"), `Really from ${domain}`);
  }
  if (said.verdict === "fail") {
    return h(
      "div",
      { class: "notice bad", role: "note" },
      icon("warning"),
      h("span", {}, `This may not be from ${domain || "whom it names"}: its proofs fail. Follow no link and open no file unless you asked for it.`),
    );
  }
  return h("p", { class: "proof", title: said.reason ?? "" }, icon("help"), `Nothing proves that this is from ${domain || "whom it names"}`);
}
