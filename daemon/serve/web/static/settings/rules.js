// Rules without Sieve: what happens to which mail, in their order (Rule of the vendor capability).

import { confirmed } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { button, deed, part, result, rows } from "./form.js";
import { create, destroy, everyone, update } from "./ask.js";
import { editor } from "./rule-editor.js";
import { inWords } from "./rule-words.js";

/** `about` and `value`, where it was asked for them: a new rule for mail that has the value in this field. */
export function section(about, value) {
  const said = result();
  let begun = about && value ? { conditions: [{ field: about, match: "contains", values: [value] }] } : null;
  const place = h("div", { class: "part" });
  const all = part(async (again) => {
    const list = (await everyone("Rule")).sort((one, other) => one.order - other.order);
    fill(
      place,
      button("New rule", () => edit(null, list.length + 1), { primary: true }),
    );
    const edit = (rule, order) =>
      fill(
        place,
        editor(
          rule,
          async (wanted) => {
            if (rule?.id) await update("Rule", rule.id, wanted);
            else await create("Rule", { ...wanted, order });
            said.good(rule?.id ? "The rule is changed." : "The rule is made: it looks at mail that comes from now on.");
            await again();
          },
          again,
        ),
      );
    if (begun) edit(begun, list.length + 1);
    begun = null; // once: not again when the list is drawn anew
    return list.length
      ? h(
          "ol",
          { class: "rules", aria: { label: "Rules" } },
          list.map((rule, at) => line(rule, at, list, said, again, edit)),
        )
      : rows("Rules", [], "There are none: all mail goes to your inbox.");
  });
  all.again();
  return [
    h("p", { class: "intro" }, "They are tried from the first to the last, at the moment mail arrives, for every mail program."),
    all.element,
    said.element,
    place,
  ];
}

function line(rule, at, list, said, again, edit) {
  const { condition, deeds } = inWords(rule);
  const name = `rule ${at + 1}`;
  const move = (step) =>
    deed(said, async () => {
      await update("Rule", rule.id, { order: rule.order + step });
      await again();
      return `Moved: it is number ${rule.order + step} now.`;
    });
  const remove = async () => {
    if (!(await confirmed({ title: "Remove this rule?", text: `${condition}: ${deeds}`, yes: "Remove", danger: true }))) return;
    await deed(said, async () => {
      await destroy("Rule", [rule.id]);
      await again();
      return "Removed.";
    });
  };
  return h(
    "li",
    {},
    h("div", { class: "what" }, h("strong", {}, condition), h("p", {}, deeds)),
    h(
      "div",
      { class: "deeds" },
      button("↑", () => move(-1), { disabled: at === 0, aria: { label: `Move ${name} up` } }),
      button("↓", () => move(1), { disabled: at === list.length - 1, aria: { label: `Move ${name} down` } }),
      button("Edit", () => edit(rule), { aria: { label: `Edit ${name}` } }),
      button("Remove", remove, { aria: { label: `Remove ${name}` } }),
    ),
  );
}
