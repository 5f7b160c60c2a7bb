/** What proves to the world who we are: records in the DNS, keys that sign, certificates. */

import { fill, h } from "../dom.js";
import { full } from "../dates.js";
import { dialog } from "../dialogs.js";
import { ask } from "./api.js";
import { button, deed } from "./forms.js";
import { ago, badge, card, copier, head, later, many, table } from "./parts.js";

/** A domain's records, and what the DNS has of them. */
export function dns(again, chosen) {
  const made = async () => {
    const domains = await ask("domain/list");
    if (!domains.length) return h("p", { class: "note" }, "There is no domain yet.");
    const name = chosen ?? domains[0].name;
    const change = () => (location.hash = `#/dns/${encodeURIComponent(select.value)}`);
    const select = h("select", { class: "field", aria: { label: "Domain" }, on: { change } }, domains.map((one) => h("option", { value: one.name, selected: one.name === name }, one.display)));
    const found = h("div");
    const check = () => fill(found, later(async () => findings(await ask("dns/check", { domain: name }))));
    return [
      h("div", { class: "toolbar" }, select, button("Check", check, "button primary")),
      found,
      h("h2", { class: "apart" }, "To publish"),
      later(async () => records(await ask("dns/records", { domain: name }))),
    ];
  };
  return h("div", { class: "page" }, head("DNS"), card("", later(made)));
}

const LEVELS = ["error", "warning", "info", "ok"];

function findings(all) {
  const sorted = [...all].sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level));
  const well = sorted.filter(({ level }) => level === "ok");
  const rest = sorted.filter(({ level }) => level !== "ok");
  return [
    rest.length ? h("ul", { class: "findings" }, rest.map(finding)) : h("p", { class: "note" }, "Nothing is wrong."),
    well.length > 0 && h("details", { class: "note" }, h("summary", {}, `${many(well.length, "record")} in order`), h("ul", { class: "findings" }, well.map(finding))),
  ];
}

function finding({ level, subject, text, record, breaks }) {
  return h(
    "li",
    { class: "finding" },
    badge(level),
    h("div", {}, h("p", {}, h("strong", {}, subject), " ", text), breaks && h("p", { class: "remedy" }, breaks), record && h("p", { class: "record" }, h("code", { class: "mono" }, record), copier(record))),
  );
}

const line = ({ name, ttl, type, data }) => `${name}. ${ttl} IN ${type} ${data}`;

function records(all) {
  const zone = all.map((one) => `; ${one.purpose}\n${line(one)}\n`).join("");
  const columns = [
    { title: "Name", of: ({ name }) => h("span", { class: "mono" }, name) },
    { title: "Type", of: ({ type }) => type, className: "short" },
    { title: "Data", of: ({ data }) => h("span", { class: "mono" }, data), className: "words" },
    { title: "What for", of: ({ purpose }) => purpose, className: "words soft" },
    { title: "", of: (one) => copier(line(one)), className: "deeds" },
  ];
  return [h("div", { class: "toolbar" }, copier(zone, "Copy all, as a zone file")), h("div", {}, table("Records", columns, all, "There is none."))];
}

const DO = { publish: "publish its record", wait: "keep its record until", remove: "remove its record" };
const CHANGED = { active: "signs from now on", retired: "signs no more", gone: "its time is over" };

export function dkim(again) {
  const made = async () => {
    const keys = await ask("dkim/list");
    const domains = [...new Set(keys.map(({ domain }) => domain))];
    return domains.length ? domains.map((domain) => ofDomain(domain, keys.filter((key) => key.domain === domain), again)) : h("p", { class: "note" }, "There are no keys yet: the server makes them for every domain.");
  };
  return h("div", { class: "page" }, head("DKIM keys"), later(made, "page"));
}

function ofDomain(domain, keys, again) {
  const columns = [
    { title: "Selector", of: ({ selector }) => h("strong", {}, selector) },
    { title: "Algorithm", of: ({ algorithm }) => algorithm },
    { title: "State", of: ({ state }) => badge(state === "active" ? "ok" : state === "pending" ? "warning" : "info", state) },
    { title: "Seen in the DNS", of: ({ seen_at }) => (seen_at === null ? "never" : ago(seen_at)) },
    { title: "To do", of: ({ next, due_at }) => [DO[next], due_at && ` ${full(new Date(due_at))}`] },
  ];
  const rotate = async () => {
    const done = await deed("dkim/rotate", { domain }, ({ made, waiting }) => (made.length ? "New keys are made: publish their records." : waiting.length ? "The DNS does not have the new keys yet." : "The keys are changed."));
    if (!done) return;
    const told = [
      ...done.made.map(({ selector }) => `${selector}: made; it signs when the DNS has it.`),
      ...done.changed.map(({ selector, state }) => `${selector}: ${CHANGED[state] ?? state}.`),
      ...done.waiting.map(({ selector }) => `${selector}: the DNS does not have it yet; the keys before it sign until then.`),
    ];
    await dialog({ title: `Keys of ${domain}`, body: () => [told.map((text) => h("p", { class: "dialog-text" }, text)), h("p", {}, h("a", { class: "button", href: `#/dns/${domain}`, on: { click: (event) => event.target.closest("dialog").close() } }, "Its records"))] });
    if (location.hash.startsWith("#/dkim")) again();
  };
  return card(domain, table(`Keys of ${domain}`, columns, keys, "There is none."), h("div", { class: "toolbar" }, button("Change the keys", rotate), h("a", { class: "button", href: `#/dns/${domain}` }, "Records to publish")));
}

const RENEWED = { renewed: "is renewed", good: "is good and not due yet", skipped: "was skipped", refused: "was refused", unreachable: "could not be asked for" };

export function certificates(again) {
  const columns = [
    { title: "Names", of: ({ names }) => h("strong", {}, names.join(", ")), className: "words" },
    { title: "From", of: ({ source, issuer }) => h("span", { title: issuer }, source) },
    { title: "Key", of: ({ key }) => key },
    { title: "Until", of: ({ not_after_at }) => full(new Date(not_after_at)) },
    { title: "Left", of: ({ days }) => (days < 0 ? badge("error", "over") : days < 21 ? badge("warning", many(days, "day")) : many(days, "day")) },
    { title: "", of: (one) => one.renew_at !== null && button("Renew", () => renew({ names: [one.names[0]] })), className: "deeds" },
  ];
  const renew = async (asked) => {
    const done = await deed("cert/renew", asked, (all) => `${many(all.length, "certificate")} looked at.`);
    if (!done) return;
    const told = ({ names, state, text }) => h("p", { class: "dialog-text" }, h("strong", {}, names.join(", ")), ` ${RENEWED[state] ?? state}${text ? `: ${text}` : ""}.`);
    await dialog({ title: "Renewal", body: () => done.map(told) });
    if (location.hash.startsWith("#/certificates")) again();
  };
  const notes = ({ missing, file }) => [
    file && h("p", { class: "note" }, `The setting tls.certificate names ${file}, which goes before these.`),
    missing.map(({ name, problem }) => h("p", { class: "note" }, `Not there yet: ${problem || name}.`)),
  ];
  return h(
    "div",
    { class: "page" },
    head("Certificates", button("Renew what is due", () => renew({}))),
    card("", later(async () => [table("Certificates", columns, await ask("cert/list"), "There is none: the first start makes one."), notes(await ask("cert/notes"))])),
  );
}
