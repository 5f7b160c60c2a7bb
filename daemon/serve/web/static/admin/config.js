/** Settings: what they are, what they do, who changed them, and the way back. */

import { fill, h } from "../dom.js";
import { dialog } from "../dialogs.js";
import { ask } from "./api.js";
import { button, deed, form, sure } from "./forms.js";
import { afterwards } from "./lists.js";
import { ago, badge, card, head, later, table } from "./parts.js";

export function settings(again) {
  const place = h("div");
  const find = h("input", { class: "field", type: "search", placeholder: "Find", aria: { label: "Find in settings" } });
  const changed = h("input", { type: "checkbox" });
  const made = async () => {
    const all = await ask("config/list");
    const show = () => {
      const text = find.value.trim().toLowerCase();
      const fits = (one) => (one.changed || !changed.checked) && `${one.key} ${one.value} ${one.effect}`.toLowerCase().includes(text);
      fill(place, listed(all.filter(fits), again));
    };
    find.addEventListener("input", show);
    changed.addEventListener("change", show);
    show();
    return [h("div", { class: "toolbar" }, find, h("label", { class: "check" }, changed, "Only those that were changed")), place];
  };
  return h(
    "div",
    { class: "page" },
    head("Settings"),
    card("", later(made)),
    card("Who changed what", later(async () => history(await ask("config/history"), again))),
  );
}

function listed(all, again) {
  const columns = [
    { title: "Setting", of: (one) => h("button", { type: "button", class: "row-button", on: { click: () => opened(one, again) } }, one.key), className: "short" },
    { title: "Value", of: (one) => [one.problem ? badge("error", "cannot be used") : one.changed && badge("ok", "changed"), " ", h("span", { class: "mono" }, worded(one.value))], className: "words" },
    { title: "What it does", of: ({ problem, effect }) => problem ?? effect, className: "words soft" },
  ];
  return table("Settings", columns, all, "No setting fits.");
}

const kind = ({ type, unit }) => (unit && unit !== type ? `${type}, ${unit}` : type);
const worded = (value) => (value === null || value === "" ? "empty" : value);

/** One setting: all that is known of it, to be changed. */
async function opened(one, again) {
  const lines = [
    ["Value", worded(one.value)],
    ["Problem", one.problem],
    ["Default", worded(one.default)],
    ["Type", kind(one)],
    ["Effect", one.effect],
    ["Counts", one.restart ? "after a restart" : "at once"],
  ];
  const line = ([name, value]) => value && h("div", { class: "finding" }, h("dt", { class: "soft" }, name), h("dd", {}, value));
  const done = await dialog({
    title: one.key,
    body: (close) => [
      h("dl", { class: "findings" }, lines.map(line)),
      h(
        "footer",
        { class: "dialog-foot" },
        one.changed && button("Back to the default", async () => (await deed("config/unset", { key: one.key }, told)) && close(true)),
        button("Change", async () => (await changing(one)) && close(true), "button primary"),
      ),
    ],
  });
  if (done) again();
}

const changing = ({ key, value, type, unit, effect }) =>
  form({
    title: key, verb: "config/set", yes: "Set",
    fields: [{ key: "value", label: "Value", value, hint: `${effect} (${kind({ type, unit })})` }],
    asked: (values) => ({ ...values, key }),
    done: told,
  });

const told = ({ key, value, restart }) => `${key} is ${worded(value)}${restart ? "; the server must be restarted to take it up" : ""}.`;

function history(changes, again) {
  const was = (text) => (text === null ? h("span", { class: "soft" }, "default") : h("span", { class: "mono" }, worded(text)));
  const revert = ({ id, key, old }) =>
    sure({ title: `Change ${key} back?`, text: `It gets ${old === null ? "its default" : worded(old)} again.`, yes: "Change back", verb: "config/revert", asked: { id }, done: told });
  const columns = [
    { title: "When", of: ({ at }) => ago(at) },
    { title: "Who", of: ({ who }) => who },
    { title: "Setting", of: ({ key }) => h("strong", {}, key) },
    { title: "Was", of: ({ old }) => was(old) },
    { title: "Is", of: (change) => was(change.new) },
    { title: "", of: (change) => button("Change back", () => afterwards(again)(revert(change))), className: "deeds" },
  ];
  return table("Who changed what", columns, changes, "Nothing was changed.");
}
