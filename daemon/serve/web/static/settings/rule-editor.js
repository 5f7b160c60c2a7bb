// One rule, to be made or changed: which mail, and what happens to it.

import { h, iconButton } from "../dom.js";
import { state } from "../state.js";
import { isAddress } from "../compose/addresses.js";
import { button, choice, field, form, text, tick } from "./form.js";

const PARTS = [
  ["from", "From"],
  ["to", "To or Cc"],
  ["subject", "Subject"],
  ["size", "Size"],
  ["header", "Another field…"],
];
const TEXTS = [
  ["contains", "contains"],
  ["is", "is exactly"],
];
const SIZES = [
  ["over", "is over"],
  ["under", "is under"],
];
const MEGA = 1 << 20;
const NEW = {
  conditions: [{ field: "from", match: "contains", values: [] }],
  any: false,
  keywords: {},
  file: null,
  keep: false,
  forward: [],
  discard: false,
  stop: false,
};

/** @param {Object|null} rule  without an id it is to be made; null: of nothing  @param {(rule: Object) => Promise<void>} save  @param {() => void} cancel */
export function editor(rule, save, cancel) {
  const now = { ...NEW, ...rule };
  const conditions = now.conditions.map(conditionRow);
  const list = h("div", { class: "conditions" });
  const draw = () => list.replaceChildren(...conditions.map(({ element }) => element));
  for (const one of conditions)
    one.remove(() => {
      conditions.splice(conditions.indexOf(one), 1);
      draw();
    });
  const more = button("Another condition", () => {
    const one = conditionRow(NEW.conditions[0]);
    one.remove(() => {
      conditions.splice(conditions.indexOf(one), 1);
      draw();
    });
    conditions.push(one);
    draw();
    one.element.querySelector("select").focus();
  });
  draw();
  const any = choice(
    [
      ["all", "all of these hold"],
      ["any", "one of these holds"],
    ],
    now.any ? "any" : "all",
    { aria: { label: "How many conditions" } },
  );
  const deeds = deedFields(now);
  const made = form(
    rule?.id ? "Save the rule" : "Make the rule",
    [h("fieldset", {}, h("legend", {}, "When"), any, list, more), h("fieldset", {}, h("legend", {}, "Then"), deeds.fields)],
    () => save({ conditions: conditions.map(({ value }) => value()), any: any.value === "any", ...deeds.value() }),
  );
  made.element.querySelector(".actions").append(button("Cancel", cancel));
  made.element.classList.add("card");
  queueMicrotask(() => made.element.querySelector("select, input")?.focus());
  return made.element;
}

function conditionRow({ field: part, match: how, values = [], size = 0 }) {
  const known = PARTS.some(([each]) => each === part);
  const what = choice(PARTS, known ? part : "header", { aria: { label: "Part of the message" } });
  const name = text({ value: known ? "" : part, placeholder: "List-Id", aria: { label: "Name of the field" }, maxLength: 76 });
  const test = h("select", { class: "field", aria: { label: "Test" } });
  const value = text({ aria: { label: "Text" }, maxLength: 500 });
  const bin = iconButton("close", "Remove this condition", () => {});
  const follow = () => {
    const sized = what.value === "size";
    name.hidden = what.value !== "header";
    const tests = sized ? SIZES : what.value === "header" ? [...TEXTS, ["exists", "is there"]] : TEXTS;
    const held = tests.some(([each]) => each === (test.value || how)) ? test.value || how : tests[0][0];
    test.replaceChildren(...tests.map(([each, words]) => h("option", { value: each, selected: each === held }, words)));
    value.hidden = test.value === "exists";
    value.type = sized ? "number" : "text";
    value.placeholder = sized ? "megabytes" : "";
  };
  what.addEventListener("change", follow);
  test.addEventListener("change", follow);
  follow();
  value.value = part === "size" ? String(size / MEGA) : values.join(", ");
  return {
    element: h("div", { class: "condition" }, what, name, test, value, bin),
    remove: (run) => bin.addEventListener("click", run),
    value: () => conditionOf(what.value === "header" ? name.value.trim() : what.value, test.value, value.value.trim()),
  };
}

function conditionOf(part, how, said) {
  if (!part) throw new Error("Name the field that is looked at.");
  if (part === "size") {
    if (!(Number(said) > 0)) throw new Error("Say how many megabytes.");
    return { field: part, match: how, size: Math.round(Number(said) * MEGA) };
  }
  if (how === "exists") return { field: part, match: how };
  const values = said
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
  if (!values.length) throw new Error("Say what is looked for.");
  return { field: part, match: how, values };
}

function deedFields(now) {
  const marks = Object.keys(now.keywords);
  const boxes = state.tree().map(({ mailbox }) => state.pathOf(mailbox).replaceAll(" / ", "/"));
  const known = now.file && !boxes.includes(now.file) ? [now.file, ...boxes] : boxes;
  const file = choice([["", "Leave it where it is"], ...known.map((name) => [name, name])], now.file ?? "");
  const seen = tick("Mark it read", marks.includes("$seen"));
  const star = tick("Give it a star", marks.includes("$flagged"));
  const forward = text({ value: (now.forward ?? []).join(", "), inputMode: "email" });
  const keep = tick("Keep a copy in the inbox as well", now.keep);
  const discard = tick("Throw it away, unseen", now.discard);
  const stop = tick("Try no rule behind this one", now.stop);
  const value = () => {
    const others = marks.filter((keyword) => keyword !== "$seen" && keyword !== "$flagged");
    const wanted = [...others, ...(seen.box.checked ? ["$seen"] : []), ...(star.box.checked ? ["$flagged"] : [])];
    const to = forward.value.split(/[\s,;]+/).filter(Boolean);
    const wrong = to.find((each) => !isAddress(each));
    if (wrong) throw new Error(`${wrong} cannot be an address.`);
    const deeds = {
      keywords: Object.fromEntries(wanted.map((keyword) => [keyword, true])),
      file: file.value || null,
      forward: to,
      keep: keep.box.checked,
      discard: discard.box.checked,
      stop: stop.box.checked,
    };
    if (!deeds.file && !to.length && !deeds.discard && !deeds.stop && !wanted.length) throw new Error("Say what happens to it.");
    if (deeds.discard && (deeds.file || deeds.keep)) throw new Error("It cannot be thrown away and kept.");
    return deeds;
  };
  return {
    value,
    fields: [
      field("Move it to", file),
      seen.row,
      star.row,
      field("Forward it to", forward, "Addresses, with commas between."),
      keep.row,
      discard.row,
      stop.row,
    ],
  };
}
