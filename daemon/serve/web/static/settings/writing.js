// How one likes to write. Kept in this browser, at once.

import { announce } from "../toasts.js";
import { h } from "../dom.js";
import { habits, setHabits } from "../compose/habits.js";
import { button, choice, field, result } from "./form.js";

const UNDO = [
  ["0", "Do not wait"],
  ["5", "5 seconds"],
  ["10", "10 seconds"],
  ["20", "20 seconds"],
  ["30", "30 seconds"],
];

export function section() {
  const now = habits();
  const said = result();
  const set = (some) => {
    setHabits(some);
    said.good("Saved in this browser.");
    announce("Saved");
  };
  const handle = () => {
    navigator.registerProtocolHandler("mailto", `${location.origin}/#/write/%s`);
    said.good("The browser asks whether this page may. A click on an address then opens a message to it here.");
  };
  const format = choice(
    [
      ["rich", "With formatting"],
      ["plain", "Plain text"],
    ],
    now.format,
    { on: { change: () => set({ format: format.value }) } },
  );
  const quote = choice(
    [
      ["below", "Above the quoted message"],
      ["above", "Below the quoted message"],
      ["none", "Without a quote"],
    ],
    now.quote,
    { on: { change: () => set({ quote: quote.value }) } },
  );
  const undo = choice(UNDO, String(now.undo), { on: { change: () => set({ undo: Number(undo.value) }) } });
  return [
    h("p", { class: "intro" }, "These are for this browser only."),
    field("New messages are", format),
    field("Answers are written", quote),
    field("Time to undo sending", undo, "The server keeps a message so long before it goes out, also when you close this page."),
    "registerProtocolHandler" in navigator &&
      h("div", { class: "setting" }, h("span", { class: "heading" }, "Addresses on other pages"), h("div", {}, button("Write to them here", handle))),
    said.element,
  ];
}
