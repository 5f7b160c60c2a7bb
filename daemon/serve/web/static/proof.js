/** Who a message is really from: what our server proved when it came, in words. */

import { h, icon } from "./dom.js";

const WHY = {
  dmarc: "proved by DMARC", dkim: "its signature holds", spf: "it came from that domain's servers", own: "sent by a user of this server",
};

/**
 * A line above a message, or null where nothing was looked at.
 * @param {{verdict?: string, reason?: string, domain?: string, signer?: string, spf?: string, dkim?: string, dmarc?: string}|undefined} said
 *   as Email/view tells it
 */
export function proof(said) {
  if (!said || said.reason === "not-checked") return null;
  const domain = said.domain ?? "";
  const checks = ["spf", "dkim", "dmarc"].filter((name) => said[name]).map((name) => `${name.toUpperCase()}: ${said[name]}`);
  const title = [...checks, said.signer && `signed by ${said.signer}`].filter(Boolean).join(" · ");
  if (said.verdict === "pass") {
    const why = WHY[said.reason] ? ` – ${WHY[said.reason]}` : "";
    return h("p", { class: "proof good", title }, icon("shield"), domain ? `Really from ${domain}${why}` : `Really from whom it names${why}`);
  }
  if (said.verdict === "fail") {
    const words = `This is probably not from ${domain || "whom it names"}: that domain says so. Follow no link in it and open no file.`;
    return h("div", { class: "notice bad", role: "note", title }, icon("warning"), h("span", {}, words));
  }
  return h("p", { class: "proof", title }, icon("help"), `Nothing proves that it is from ${domain || "whom it names"}`);
}
