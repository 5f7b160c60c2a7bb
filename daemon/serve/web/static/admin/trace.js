/** Where is it, and why: the story of a message by its Message-ID, trace, sender or recipient; strangers turned away. */

import { fill, h } from "../dom.js";
import { long } from "../dates.js";
import { ask, given } from "./api.js";
import { ago, card, head, later, table } from "./parts.js";

const FIELDS = [
  ["name", "Message-ID or trace"],
  ["sender", "Sender"],
  ["recipient", "Recipient"],
  ["since", "Since: 2h, 3d, 2026-11-01"],
];

export function trace(_again, name = "") {
  const inputs = FIELDS.map(([key, label]) => h("input", { class: "field", type: "search", name: key, placeholder: label, value: key === "name" ? name : "", aria: { label } }));
  const place = h("div", { class: "page" });
  const find = () => {
    const wanted = given(Object.fromEntries(inputs.map((input) => [input.name, input.value.trim()])));
    const { name: _, ...others } = wanted;
    fill(
      place,
      card("Messages", later(async () => stories(await ask("trace/find", wanted), wanted.name))),
      !wanted.name && card("Strangers that were refused", later(async () => refusals(await ask("trace/refusals", others)))),
    );
  };
  const submit = (event) => {
    event.preventDefault();
    find();
  };
  find();
  return h("div", { class: "page" }, head("Trace"), card("", h("form", { class: "toolbar", role: "search", on: { submit } }, inputs, h("button", { type: "submit", class: "button primary" }, "Find"))), place);
}

function stories(found, open) {
  if (!found.length) return h("p", { class: "note" }, "No message is known that fits.");
  return found.map((story) =>
    h(
      "details",
      { class: "story", open: Boolean(open) },
      h("summary", {}, story.sender !== null && h("strong", {}, story.sender || "<>"), h("span", { class: "soft" }, ago(story.begun_at)), h("span", {}, story.now[0] ?? story.steps.at(-1)?.text)),
      h("ol", { class: "steps" }, story.steps.map(step)),
      h("p", { class: "note mono" }, `trace ${story.trace}${story.message_id ? `, <${story.message_id}>` : ""}`),
      story.now.map((where) => h("p", {}, `Now: ${where}.`)),
    ),
  );
}

function step({ at, text }) {
  return h("li", {}, h("span", { class: "soft" }, `${long(new Date(at))}  `), text);
}

function refusals(found) {
  const columns = [
    { title: "When", of: ({ last_at }) => ago(last_at) },
    { title: "Who", of: ({ peer }) => peer },
    { title: "Sender", of: ({ sender }) => sender },
    { title: "Recipient", of: ({ recipient }) => recipient },
    { title: "Times", of: ({ count }) => count.toLocaleString(), className: "right" },
    { title: "We said", of: ({ reply, reason }) => reply || reason, className: "words" },
  ];
  return table("Strangers that were refused", columns, found, "Nobody was refused.");
}
