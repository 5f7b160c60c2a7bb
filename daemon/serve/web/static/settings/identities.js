// The names and addresses one writes as, each with its signature (Identity of RFC 8621 §6).

import { h } from "../dom.js";
import { state } from "../state.js";
import { confirmed } from "../dialogs.js";
import { format, isAddress, parse } from "../compose/addresses.js";
import { clean, serialised } from "../compose/clean.js";
import { Editor, paragraphs } from "../compose/editor.js";
import { button, field, form, part, text } from "./form.js";
import { create, destroy, everyone, update } from "./ask.js";

export function section() {
  const all = part(async (again) => {
    const list = await everyone("Identity");
    state.identities = list;
    return list.map((identity) => one(identity, list.length > 1, again));
  });
  all.again();
  const more = h("div", { class: "part" });
  const add = button("Another name or address", () =>
    more.replaceChildren(
      fresh(() => {
        more.replaceChildren(add);
        all.again();
      }),
    ),
  );
  more.append(add);
  return [h("p", { class: "intro" }, "You may write as your own addresses and as those that lead to you."), all.element, more];
}

function one(identity, several, again) {
  const { fields, value } = fieldsOf(identity);
  const { element, said } = form("Save", fields, async () => {
    await update("Identity", identity.id, value());
    state.identities = state.identities.map((each) => (each.id === identity.id ? { ...each, ...value() } : each));
    return "Saved.";
  });
  const remove = async () => {
    if (
      !(await confirmed({
        title: "Remove it?",
        text: `You will no longer be offered to write as ${format(identity)}.`,
        yes: "Remove",
        danger: true,
      }))
    )
      return;
    await destroy("Identity", [identity.id]).then(again, (error) => said.bad(error.message));
  };
  if (several && identity.mayDelete !== false) element.querySelector(".actions").append(button("Remove", remove, { danger: true }));
  return h("details", { class: "card", open: !several }, h("summary", {}, format(identity)), element);
}

function fresh(done) {
  const email = text({ type: "email", required: true, maxLength: 254 });
  const { fields, value } = fieldsOf({ name: "", textSignature: "", htmlSignature: "", replyTo: null });
  return form("Add", [field("Address", email, "An address of yours on this server."), ...fields], async () => {
    if (!isAddress(email.value.trim())) throw new Error("This cannot be an address.");
    await create("Identity", { email: email.value.trim(), ...value() });
    done();
  }).element;
}

function fieldsOf({ name, replyTo, bcc, textSignature, htmlSignature }) {
  const called = text({ value: name ?? "", maxLength: 200, autocomplete: "name" });
  const reply = text({ value: (replyTo ?? []).map(format).join(", "), inputmode: "email" });
  const copy = text({ value: (bcc ?? []).map(format).join(", "), inputmode: "email" });
  const editor = new Editor({ changed: () => {}, files: () => {} });
  editor.page.setAttribute("aria-label", "Signature");
  editor.area.setAttribute("aria-label", "Signature as plain text");
  editor.setRich(htmlSignature ? clean(htmlSignature, { looks: true }) : paragraphs(textSignature ?? ""));
  editor.root.classList.add("signature-editor");
  const people = (control, what) => {
    const list = parse(control.value);
    const wrong = list.find((each) => !isAddress(each.email));
    if (wrong) throw new Error(`${what}: ${wrong.email} cannot be an address.`);
    return list.length ? list : null;
  };
  const value = () => {
    const { html } = serialised(editor.page);
    const plain = editor.text.trim();
    return {
      name: called.value.trim(),
      replyTo: people(reply, "Answers go to"),
      bcc: people(copy, "A copy of all you send"),
      textSignature: plain,
      htmlSignature: plain ? html : "",
    };
  };
  const fields = [
    field("Your name", called, "As others see it beside your address."),
    h("div", { class: "setting" }, h("span", { class: "heading" }, "Signature"), editor.root),
    h(
      "details",
      { class: "more" },
      h("summary", {}, "More"),
      field("Answers go to", reply, "Another address for answers; empty: this one."),
      field("A copy of all you send", copy, "To these addresses, unseen by others."),
    ),
  ];
  return { fields, value };
}
