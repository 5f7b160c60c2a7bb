/** What waits to go out, with the peer's words and what they mean, and the administrator's hand on it. */

import { fill, h } from "../dom.js";
import { size } from "../dates.js";
import { asked, confirmed, dialog } from "../dialogs.js";
import { failed, toast } from "../toasts.js";
import { ask, given } from "./api.js";
import { ago, badge, card, head, later, many, paged, span, table } from "./parts.js";

export function queue(again) {
  const chosen = new Set();
  const recipient = h("input", { class: "field", type: "search", placeholder: "Recipient", aria: { label: "Recipient" } });
  const domain = h("input", { class: "field", type: "search", placeholder: "Domain", aria: { label: "Domain" } });
  const place = h("div");
  const deeds = h("div", { class: "toolbar", role: "toolbar", aria: { label: "What to do with those that are ticked" } });
  const show = () => {
    const wanted = given({ recipient: recipient.value.trim(), domain: domain.value.trim() });
    const load = (after, limit) => {
      chosen.clear();
      tools(deeds, chosen, show);
      return ask("queue/list", given({ ...wanted, after, limit }));
    };
    fill(place, paged({ load, mark: ({ id }) => id, draw: (rows) => listed(rows, chosen, () => tools(deeds, chosen, show)) }));
  };
  const submit = (event) => {
    event.preventDefault();
    show();
  };
  show();
  return h(
    "div",
    { class: "page" },
    head("Queue", h("button", { type: "button", class: "button", on: { click: show } }, "Look again")),
    later(async () => held(await ask("incident/list"), again)),
    card("", h("form", { class: "toolbar", on: { submit } }, recipient, domain, h("button", { type: "submit", class: "button" }, "Find")), deeds, place),
  );
}

/** Users whose mail is held, above all else. */
function held(incidents, again) {
  return incidents.map((one) =>
    card(
      `Mail of ${one.user} is held`,
      h("p", { class: "dialog-text" }, `${one.why}. ${many(one.waiting, "recipient")} of ${many(one.messages, "message")} since `, ago(one.began_at), "."),
      h(
        "div",
        { class: "toolbar" },
        deed("Release all", async () => {
          if (await sure("Release all of it?", `${many(one.waiting, "recipient")} go out.`, "Release")) await done("incident/release", { incident: one.incident }, "released", again);
        }),
        deed("Drop all", async () => {
          if (await sure("Drop all of it?", `${many(one.waiting, "recipient")} get nothing, and the sender is not told.`, "Drop")) await done("incident/drop", { incident: one.incident }, "dropped", again);
        }),
      ),
    ),
  );
}

function listed(entries, chosen, changed) {
  const tick = (entry) => {
    const change = (event) => {
      if (event.target.checked) chosen.add(entry);
      else chosen.delete(entry);
      changed();
    };
    return h("input", { type: "checkbox", aria: { label: `Tick ${entry.recipient}` }, on: { change } });
  };
  const columns = [
    { title: "", of: tick, className: "tick" },
    { title: "Recipient", of: (entry) => h("button", { type: "button", class: "row-button", on: { click: () => opened(entry) } }, entry.recipient) },
    { title: "Sender", of: ({ sender }) => sender || "<>" },
    { title: "Waiting", of: ({ created_at }) => span(Date.now() - created_at), className: "right" },
    { title: "Next try", of: next },
    { title: "Tries", of: ({ attempts }) => attempts.toLocaleString(), className: "right" },
    { title: "Last reply", of: reply, className: "words" },
  ];
  return table("What waits", columns, entries, "Nothing waits.");
}

function next({ state, due_at, hold_reason }) {
  if (state === "held") return badge("warning", hold_reason ? `held: ${hold_reason}` : "held");
  if (state === "sending") return badge("ok", "sending");
  return due_at <= Date.now() ? "now" : `in ${span(due_at - Date.now())}`;
}

function reply({ last_reply, remedy }) {
  return last_reply && [h("p", { class: "mono" }, last_reply), remedy && h("p", { class: "remedy" }, remedy)];
}

/** All that is known of one recipient. */
function opened(entry) {
  const lines = ({ headers, destination_tls }) => [
    ["Sender", entry.sender || "<>"],
    ["By way of", entry.destination],
    ["Size", size(entry.size)],
    ["Trace", h("a", { href: `#/trace/${entry.trace}` }, entry.trace)],
    ["Last tried", entry.last_at && [ago(entry.last_at), entry.last_host && ` at ${entry.last_host}`]],
    ["TLS there", destination_tls],
    ["Given up", `in ${span(entry.expires_at - Date.now())}`],
    ...headers.filter(([name]) => /^(from|to|date|subject|message-id)$/i.test(name)),
  ];
  const line = ([name, value]) => value && h("div", { class: "finding" }, h("dt", { class: "soft" }, name), h("dd", {}, value));
  dialog({
    title: entry.recipient,
    body: () => [
      later(async () => h("dl", { class: "findings" }, lines((await ask("queue/show", { id: String(entry.id) }))[0]).map(line))),
      reply(entry),
    ],
  });
}

function tools(place, chosen, again) {
  const ids = () => [...chosen].map(({ id }) => id);
  const whom = () => many(chosen.size, "recipient");
  const work = (verb, past, more = {}) => done(`queue/${verb}`, { ids: ids(), ...more }, past, again);
  place.hidden = chosen.size === 0;
  fill(
    place,
    h("span", { class: "soft" }, `${whom()} ticked`),
    deed("Retry", () => work("retry", "begin again")),
    deed("Hold", async () => {
      const reason = await asked({ title: `Hold ${whom()}`, label: "Why; the list shows it", value: "by hand", yes: "Hold" });
      if (reason) await work("hold", "held", { reason });
    }),
    deed("Release", () => work("release", "released")),
    deed("Bounce", async () => {
      const reason = await asked({ title: `Bounce ${whom()}`, label: "Why; the sender reads it", value: "the message could not be delivered", yes: "Bounce" });
      if (reason) await work("bounce", "bounced", { reason });
    }),
    deed("Drop", async () => {
      const told = [...chosen].slice(0, 5).map(({ recipient }) => recipient).join(", ");
      if (await sure(`Drop ${whom()}?`, `${told}${chosen.size > 5 ? " and others" : ""}: nothing is delivered, and the sender is not told.`, "Drop")) await work("drop", "dropped");
    }),
  );
}

const deed = (name, click) => h("button", { type: "button", class: "button", on: { click } }, name);
const sure = (title, text, yes) => confirmed({ title, text, yes, danger: true });

async function done(verb, what, past, again) {
  try {
    const { changed } = await ask(verb, what);
    toast(`${many(changed, "recipient")} ${past}.`);
    again();
  } catch (error) {
    failed(error);
  }
}
