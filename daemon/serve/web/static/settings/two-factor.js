// A second proof at sign-in: a program that shows codes (TOTP), passkeys, and codes on paper for the day both are lost.

import { announce } from "../toasts.js";
import { dialog } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { jmap } from "../jmap.js";
import { create, destroy, everyone, single, update } from "./ask.js";
import { button, deed, field, form, part, result, rows, text, when } from "./form.js";
import { passwordAsked } from "./present-password.js";

export function section() {
  const said = result();
  const all = part(async (again) => {
    const [now, keys] = await Promise.all([single("TwoFactor"), everyone("Passkey")]);
    return [state(now), program(now, said, again), passkeys(keys, said, again), codes(now, said, again), off(now, said, again)];
  });
  all.again();
  return [
    h("p", { class: "intro" }, "Who knows your password still cannot sign in here. Mail programs then need an app password each."),
    all.element,
    said.element,
  ];
}

function state({ isEnabled, since }) {
  return h("p", { class: ["state", isEnabled ? "on" : "off"] }, isEnabled ? `On since ${when(since)}.` : "Off.");
}

// ------------------------------------------------------------------------------------------------------- the program

function program({ isEnabled, hasProgram }, said, again) {
  const place = h("div", { class: "part" });
  const begin = async () => {
    const password = await passwordAsked("Your password, before a program is set up");
    if (password === undefined) return;
    await deed(said, async () => {
      const made = await update("TwoFactor", "singleton", { program: "new" }, { password });
      fill(place, enrol(made, password, said, again));
      place.querySelector("input").focus();
    });
  };
  const label = isEnabled && hasProgram ? "Another program in its place" : "Set up a program";
  fill(place, button(label, begin, { primary: !hasProgram }));
  return h(
    "section",
    {},
    h("h2", {}, "A program that shows codes"),
    h(
      "p",
      { class: "hint" },
      hasProgram && isEnabled ? "A program is set up." : "On your phone, such as Aegis, 2FAS or the one of your password manager.",
    ),
    place,
  );
}

function enrol({ qr, secret }, password, said, again) {
  const code = text({
    inputMode: "numeric",
    autocomplete: "one-time-code",
    pattern: "[0-9 ]{6,7}",
    maxLength: 7,
    required: true,
    class: "field code",
  });
  const shown = secret.replace(/.{4}(?=.)/g, "$& ");
  return [
    h(
      "ol",
      { class: "steps" },
      h(
        "li",
        {},
        "Scan this with the program.",
        h("img", { class: "qr", src: qr, alt: "QR code for the program", width: 200, height: 200 }),
        h(
          "details",
          { class: "more" },
          h("summary", {}, "I cannot scan it"),
          h("p", {}, "Type this key: ", h("code", { class: "secret" }, shown)),
        ),
      ),
      h(
        "li",
        {},
        "Type the code it shows.",
        form("Turn on", field("Code", code), async () => {
          const typed = code.value.replace(/\s/g, "");
          const { recoveryCodes } = await update("TwoFactor", "singleton", { code: typed }, { password });
          await showCodes(recoveryCodes);
          said.good("Two-factor sign-in is on. You were signed out everywhere else.");
          again();
        }).element,
      ),
    ),
  ];
}

// ---------------------------------------------------------------------------------------------------------- passkeys

function passkeys(keys, said, again) {
  const add = async () => {
    const password = await passwordAsked("Your password, before a passkey is made");
    if (password === undefined) return;
    await deed(said, async () => {
      const name = await makePasskey(password, keys.length + 1);
      again();
      return `The passkey “${name}” works from now on.`;
    });
  };
  const remove = async (key) => {
    const password = await passwordAsked(`Your password, before the passkey “${key.name}” is removed`);
    if (password === undefined) return;
    await deed(said, async () => {
      await destroy("Passkey", [key.id], { password });
      again();
      return `The passkey “${key.name}” is removed.`;
    });
  };
  const list = rows(
    "Passkeys",
    keys.map((key) => ({
      title: key.name,
      lines: [`Made ${when(key.createdAt)}, last used ${when(key.lastUsedAt)}`],
      actions: [button("Remove", () => remove(key), { aria: { label: `Remove the passkey ${key.name}` } })],
    })),
    "None yet.",
  );
  return h(
    "section",
    {},
    h("h2", {}, "Passkeys"),
    h("p", { class: "hint" }, "Your device proves who you are with a finger, a face or its PIN."),
    list,
    "credentials" in navigator && button("Add a passkey", add),
  );
}

async function makePasskey(password, number) {
  const { pending, options } = await jmap.call("Passkey/challenge", { password });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const made = await navigator.credentials.create({ publicKey }).catch((error) => {
    throw new Error(error.name === "NotAllowedError" ? "No passkey was made." : error.message);
  });
  const name = `Passkey ${number}, ${new Date().toLocaleDateString()}`;
  await create("Passkey", { name, pending, credential: made.toJSON() }, { password });
  return name;
}

// ------------------------------------------------------------------------------------------------------- codes, off

function codes({ isEnabled, recoveryCodesLeft }, said, again) {
  if (!isEnabled) return null;
  const fresh = async () => {
    const password = await passwordAsked("Your password, before new codes are made");
    if (password === undefined) return;
    await deed(said, async () => {
      const { recoveryCodes } = await update("TwoFactor", "singleton", { recoveryCodes: "new" }, { password });
      await showCodes(recoveryCodes);
      again();
      return "The old codes do not work any more.";
    });
  };
  return h(
    "section",
    {},
    h("h2", {}, "Recovery codes"),
    h("p", { class: "hint" }, `${recoveryCodesLeft} left; each works once.`),
    button("Make new ones", fresh),
  );
}

function off({ isEnabled, passkeys: keys }, said, again) {
  const set = (isEnabledThen) => async () => {
    const password = await passwordAsked(
      isEnabledThen ? "Your password, before two-factor is on" : "Your password, before two-factor is off",
    );
    if (password === undefined) return;
    await deed(said, async () => {
      const { recoveryCodes } = await update("TwoFactor", "singleton", { isEnabled: isEnabledThen }, { password });
      if (recoveryCodes) await showCodes(recoveryCodes);
      again();
      return isEnabledThen ? "Two-factor sign-in is on." : "Two-factor sign-in is off: your password alone is enough.";
    });
  };
  if (isEnabled) return h("section", {}, button("Turn two-factor off", set(false), { danger: true }));
  return keys > 0 && h("section", {}, button("Turn on with passkeys alone", set(true)));
}

function showCodes(list) {
  return dialog({
    title: "Recovery codes",
    className: "small",
    body: (close) => {
      const copy = button("Copy", async () => {
        await navigator.clipboard.writeText(list.join("\n"));
        announce("Copied");
        copy.textContent = "Copied";
      });
      return [
        h(
          "p",
          { class: "dialog-text" },
          "Print them or write them down: each lets you in once when the program and the passkeys are lost. They are not shown again.",
        ),
        h(
          "ul",
          { class: "codes" },
          list.map((code) => h("li", {}, h("code", {}, code))),
        ),
        h(
          "footer",
          { class: "dialog-foot" },
          copy,
          button("I have them", () => close(true), { primary: true, autofocus: true }),
        ),
      ];
    },
  });
}
