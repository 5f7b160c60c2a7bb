// The password one signs in with.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import { field, form, text, tick } from "./form.js";

export function section() {
  const password = (autocomplete) => text({ type: "password", autocomplete, required: true, maxLength: 1000 });
  const old = password("current-password");
  const fresh = password("new-password");
  const again = password("new-password");
  fresh.minLength = 8;
  const show = tick("Show what I type", false, {
    change: () => {
      for (const control of [old, fresh, again]) control.type = show.box.checked ? "text" : "password";
    },
  });
  const made = form(
    "Change the password",
    [
      field("Present password", old),
      field("New password", fresh, "Eight letters at least; four words make a good one."),
      field("Once more", again),
      show.row,
    ],
    async () => {
      if (fresh.value !== again.value) throw new Error("The two new passwords are not the same.");
      await jmap.call("Password/set", { password: old.value, newPassword: fresh.value });
      made.element.reset();
      return "Changed. You were signed out everywhere else, and programs with the old password need the new one.";
    },
  );
  return [h("p", { class: "intro" }, "Programs that use an app password are not touched."), made.element];
}
