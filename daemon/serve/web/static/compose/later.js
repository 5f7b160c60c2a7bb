// When to send later: a few hours people mean, or one of their own.

import { dialog } from "../dialogs.js";
import { h } from "../dom.js";
import { utc } from "./message.js";

/** What is offered now: names and dates. Pure. */
export function offers(now) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
  const monday = (8 - now.getDay()) % 7 || 7;
  return [
    ...(now.getHours() < 16 ? [["This evening", at(0, 18)]] : []),
    ["Tomorrow morning", at(1, 8)],
    ["Tomorrow afternoon", at(1, 13)],
    ...(monday > 1 ? [["Monday morning", at(monday, 8)]] : []),
  ];
}

/** `2026-12-24T08:00`, as a field of date and time has it. */
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

const said = (date) =>
  date.toLocaleString(undefined, { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });

/** @returns {Promise<string|undefined>} a UTCDate; undefined when nothing was chosen */
export function askWhen(now = new Date()) {
  return dialog({
    title: "Send later",
    className: "small",
    body: (close) => {
      const soon = new Date(now.getTime() + 5 * 60_000);
      const field = h("input", {
        class: "field",
        id: "later-field",
        type: "datetime-local",
        required: true,
        min: local(soon),
        value: local(offers(now)[0][1]),
      });
      const submit = (event) => {
        event.preventDefault();
        close(utc(new Date(field.value)));
      };
      return [
        h(
          "ul",
          { class: "later" },
          offers(now).map(([name, date]) =>
            h(
              "li",
              {},
              h("button", { type: "button", on: { click: () => close(utc(date)) } }, h("span", {}, name), h("small", {}, said(date))),
            ),
          ),
        ),
        h(
          "form",
          { on: { submit } },
          h("label", { class: "field-label", htmlFor: "later-field" }, "Or at"),
          field,
          h(
            "footer",
            { class: "dialog-foot" },
            h("button", { type: "button", class: "button", on: { click: () => close() } }, "Cancel"),
            h("button", { type: "submit", class: "button primary" }, "Schedule"),
          ),
        ),
      ];
    },
  });
}
