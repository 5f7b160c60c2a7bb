// All mail to other addresses as well, or instead.

import { h } from "../dom.js";
import { isAddress } from "../compose/addresses.js";
import { area, field, form, part, tick } from "./form.js";
import { single, update } from "./ask.js";

export function section() {
  const all = part(async () => draw(await single("Forwarding")));
  all.again();
  return [h("p", { class: "intro" }, "What the filter holds for junk or suspicious is not forwarded."), all.element];
}

function draw(now) {
  const addresses = area({ value: now.addresses.join("\n"), rows: 4, spellcheck: false, inputMode: "email" });
  const keep = tick("Keep a copy here", now.keep);
  return form("Save", [field("Forward to", addresses, "One address a line; empty: no forwarding."), keep.row], async () => {
    const wanted = addresses.value.split(/[\s,;]+/).filter(Boolean);
    const wrong = wanted.find((one) => !isAddress(one));
    if (wrong) throw new Error(`${wrong} cannot be an address.`);
    await update("Forwarding", "singleton", { addresses: wanted, keep: keep.box.checked });
    if (!wanted.length) return "Saved: nothing is forwarded.";
    return keep.box.checked ? "Saved: a copy goes there." : "Saved: all mail goes there, and no copy stays here.";
  }).element;
}
