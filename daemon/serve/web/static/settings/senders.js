// Senders whose mail is refused, and those who are always let in.

import { h } from "../dom.js";
import { button, choice, deed, field, form, part, result, rows, text, when } from "./form.js";
import { create, destroy, everyone } from "./ask.js";

export function section() {
  const said = result();
  const all = part(async (again) => {
    const list = await everyone("SenderEntry");
    return [
      h("h2", {}, "Blocked"),
      entries(
        "Blocked senders",
        list.filter((one) => !one.allowed),
        said,
        again,
      ),
      h("h2", {}, "Always let in"),
      entries(
        "Allowed senders",
        list.filter((one) => one.allowed),
        said,
        again,
      ),
    ];
  });
  all.again();
  return [
    h("p", { class: "intro" }, "An address, or a whole domain such as shop.example."),
    all.element,
    said.element,
    h("h2", {}, "Add one"),
    maker(all.again),
  ];
}

function entries(label, list, said, again) {
  const remove = (one) =>
    deed(said, async () => {
      await destroy("SenderEntry", [one.id]);
      again();
      return `${one.sender} is no longer on the list.`;
    });
  return rows(
    label,
    list.map((one) => ({
      title: one.sender,
      lines: [one.note, `Since ${when(one.createdAt)}`],
      actions: [button("Remove", () => remove(one), { aria: { label: `Remove ${one.sender}` } })],
    })),
    "Nobody.",
  );
}

function maker(again) {
  const sender = text({ required: true, maxLength: 254, placeholder: "somebody@example.org", inputMode: "email" });
  const kind = choice(
    [
      ["blocked", "is blocked"],
      ["allowed", "is always let in"],
    ],
    "blocked",
  );
  const made = form("Add", h("div", { class: "pair" }, field("Address or domain", sender), field("Who", kind)), async () => {
    const wanted = sender.value.trim();
    await create("SenderEntry", { sender: wanted, allowed: kind.value === "allowed" });
    made.element.reset();
    again();
    return `${wanted} ${kind.value === "blocked" ? "is blocked." : "is always let in."}`;
  });
  return made.element;
}
