// What the filter kept: looked through, released in one step, or thrown away.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import { size } from "../dates.js";
import { format } from "../compose/addresses.js";
import { button, deed, part, result, rows, when } from "./form.js";
import { destroy, update } from "./ask.js";

const MOST = 100;

export function section() {
  const said = result();
  const all = part(async (again) => draw(await found(), said, again));
  all.again();
  return [
    h(
      "p",
      { class: "intro" },
      "Refused mail is kept for two weeks, though its sender was told that it was not accepted. Releasing teaches the filter.",
    ),
    said.element,
    all.element,
  ];
}

async function found() {
  const ids = jmap.call("QuarantinedMessage/query", { limit: MOST });
  const got = jmap.call("QuarantinedMessage/get", { "#ids": ids.ref("/ids") });
  await ids;
  return (await got).list;
}

function draw(list, said, again) {
  const release = (one, allow) =>
    deed(said, async () => {
      await update("QuarantinedMessage", one.id, { action: allow ? "allow" : "release" });
      again();
      return `“${one.subject || "(no subject)"}” is in your inbox${allow ? `, and ${one.from.email || one.sender} is let in from now on` : ""}.`;
    });
  const drop = (one) =>
    deed(said, async () => {
      await destroy("QuarantinedMessage", [one.id]);
      again();
      return "Thrown away.";
    });
  return rows(
    "Kept messages",
    list.map((one) => {
      const subject = one.subject || "(no subject)";
      return {
        title: subject,
        mark: one.state === "junk" ? "in Junk" : "refused",
        lines: [
          `From ${one.from.email ? format(one.from) : one.sender || "nobody"}`,
          `${when(one.keptAt)}, ${size(one.size)}`,
          `Why: ${one.why || one.reason}`,
          !one.mayRelease && "You cannot release it; ask your administrator.",
        ],
        actions: [
          ...(one.mayRelease
            ? [
                button("Release", () => release(one, false), { primary: true, aria: { label: `Release ${subject}` } }),
                button("Release and let in", () => release(one, true), {
                  aria: { label: `Release ${subject} and let its sender in from now on` },
                }),
              ]
            : []),
          button("Throw away", () => drop(one), { aria: { label: `Throw ${subject} away` } }),
        ],
      };
    }),
    "Nothing is kept.",
  );
}
