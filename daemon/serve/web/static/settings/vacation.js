// An answer while one is away (VacationResponse of RFC 8621 §8).

import { h } from "../dom.js";
import { utc } from "../compose/message.js";
import { area, field, form, part, text, tick } from "./form.js";
import { single, update } from "./ask.js";

export function section() {
  const all = part(async () => draw(await single("VacationResponse")));
  all.again();
  return all.element;
}

/** `2026-12-24` of the day it is here at that moment. */
const day = (date) => {
  if (!date) return "";
  const at = new Date(date);
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
};

function draw(now) {
  const on = tick("Answer for me while I am away", now.isEnabled);
  const first = text({ type: "date", value: day(now.fromDate) });
  const last = text({ type: "date", value: day(now.toDate && new Date(new Date(now.toDate).getTime() - 1000)) });
  const subject = text({ value: now.subject ?? "", maxLength: 200, placeholder: "As the message that is answered" });
  const words = area({ value: now.textBody ?? "", rows: 8, maxLength: 20_000 });
  const run = async () => {
    if (on.box.checked && !words.value.trim()) throw new Error("Say what to answer.");
    if (first.value && last.value && last.value < first.value) throw new Error("The last day is before the first.");
    await update("VacationResponse", "singleton", {
      isEnabled: on.box.checked,
      fromDate: begin(first.value, 0),
      toDate: begin(last.value, 1),
      subject: subject.value.trim() || null,
      textBody: words.value.trim() ? words.value : null,
      htmlBody: null,
    });
    if (!on.box.checked) return "Saved: nobody is answered.";
    return last.value
      ? `On until ${new Date(`${last.value}T12:00`).toLocaleDateString(undefined, { dateStyle: "long" })}.`
      : "On, until you turn it off.";
  };
  return [
    h("p", { class: "intro" }, "Each sender is answered once a week. Lists, machines and what the filter doubts are not answered."),
    form(
      "Save",
      [
        on.row,
        h("div", { class: "pair" }, field("First day", first, "Empty: at once."), field("Last day", last, "Empty: until you turn it off.")),
        field("Subject", subject),
        field("Message", words),
      ],
      run,
    ).element,
  ];
}

/** The moment a day begins here, or the day after it; null for no day. */
function begin(value, after) {
  if (!value) return null;
  const [year, month, date] = value.split("-").map(Number);
  return utc(new Date(year, month - 1, date + after));
}
