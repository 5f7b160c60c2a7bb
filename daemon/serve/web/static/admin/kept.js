/** What the filter kept from its readers, and what others report about our domains. */

import { h } from "../dom.js";
import { dialog } from "../dialogs.js";
import { ask } from "./api.js";
import { button, deed, sure } from "./forms.js";
import { afterwards } from "./lists.js";
import { ago, badge, card, head, later, many, table } from "./parts.js";
import { hourly } from "./plot.js";

export function quarantine(again) {
  const after = afterwards(again);
  const release = ({ id, user }) => after(deed("quarantine/release", { id: String(id) }, () => `Released to the inbox of ${user}.`));
  const remove = ({ id, user, subject }) =>
    after(sure({ title: "Throw it away?", text: `“${subject}” for ${user} goes for good.`, yes: "Throw away", verb: "quarantine/rm", asked: { id: String(id) }, done: () => "It is thrown away." }));
  const columns = [
    { title: "Kept", of: ({ kept_at }) => ago(kept_at) },
    { title: "For", of: ({ user }) => user },
    { title: "From", of: ({ author, sender }) => author || sender || "<>" },
    { title: "Subject", of: (one) => h("button", { type: "button", class: "row-button", on: { click: () => opened(one) } }, one.subject || "(no subject)"), className: "words" },
    { title: "Why", of: ({ reason, why, state }) => [badge(state === "junk" ? "info" : "warning", state), " ", why || reason], className: "words" },
    { title: "", of: (one) => [one.by !== "nobody" && button("Release", () => release(one)), " ", button("Remove", () => remove(one))], className: "deeds" },
  ];
  return h("div", { class: "page" }, head("Quarantine"), card("", later(async () => table("Quarantine", columns, await ask("quarantine/list"), "Nothing is kept."))));
}

function opened({ id, subject }) {
  const shown = ({ headers, text, attachments }) => [
    headers.filter(([name]) => /^(from|to|date|reply-to)$/i.test(name)).map(([name, value]) => h("p", {}, h("span", { class: "soft" }, `${name}: `), value)),
    h("pre", { class: "source" }, text || "(no text)"),
    attachments.length > 0 && h("p", { class: "note" }, `With ${many(attachments.length, "attachment")}: ${attachments.map(({ name }) => name).join(", ")}`),
  ];
  dialog({ title: subject || "(no subject)", body: () => later(async () => shown(await ask("quarantine/show", { id: String(id) })), "form") });
}

export function reports() {
  return h(
    "div",
    { class: "page" },
    head("Reports of the last 30 days"),
    later(async () => dmarc(await ask("report/dmarc")), "page"),
    later(async () => tls(await ask("report/tls")), "page"),
  );
}

const number = (value) => value.toLocaleString();
const right = "right";

function days(label, found, what) {
  const series = [
    { name: what, of: ({ total, failed }) => total - failed },
    { name: "failed", of: ({ failed }) => failed, colour: 2 }, // as on the overview what was refused
  ];
  return found.length > 0 && hourly(label, found, series, { day: "numeric", month: "short" });
}

function dmarc({ reports: count, reporters, domains, sources, days: by }) {
  const totals = [
    { title: "Domain", of: ({ domain }) => domain },
    { title: "Messages", of: ({ messages }) => number(messages), className: right },
    { title: "Failed", of: ({ failed }) => number(failed), className: right },
    { title: "Quarantined", of: ({ quarantined }) => number(quarantined), className: right },
    { title: "Rejected", of: ({ rejected }) => number(rejected), className: right },
  ];
  const from = [
    { title: "Address", of: ({ ip }) => ip },
    { title: "Domain", of: ({ domain }) => domain },
    { title: "Messages", of: ({ messages }) => number(messages), className: right },
    { title: "Failed", of: ({ failed }) => number(failed), className: right },
    { title: "Signed by", of: ({ signers }) => signers.join(", ") },
    { title: "Sent as", of: ({ paths }) => paths.join(", ") },
  ];
  return card(
    "DMARC: who sends in our name",
    h("p", { class: "note" }, `${many(count, "report")} of ${many(reporters, "organisation")}.`),
    days("Messages by day", by, "in order"),
    count > 0 && [table("Domains", totals, domains, "None."), h("h2", {}, "Sources"), table("Sources", from, sources, "None.")],
  );
}

function tls({ reports: count, reporters, policies, failures, days: by }) {
  const kinds = [
    { title: "Domain", of: ({ domain }) => domain },
    { title: "Policy", of: ({ policy }) => policy },
    { title: "Sessions", of: ({ sessions }) => number(sessions), className: right },
    { title: "Failed", of: ({ failed }) => number(failed), className: right },
  ];
  const wrong = [
    { title: "What failed", of: ({ result }) => result },
    { title: "Host", of: ({ host }) => host },
    { title: "Says", of: ({ reporter }) => reporter },
    { title: "Sessions", of: ({ sessions }) => number(sessions), className: right },
    { title: "Words", of: ({ text }) => text, className: "words" },
  ];
  return card(
    "TLS: how mail reaches us",
    h("p", { class: "note" }, `${many(count, "report")} of ${many(reporters, "organisation")}.`),
    days("Sessions by day", by, "secured"),
    count > 0 && [table("Policies", kinds, policies, "None."), h("h2", {}, "Failures"), table("Failures", wrong, failures, "Nothing failed.")],
  );
}
