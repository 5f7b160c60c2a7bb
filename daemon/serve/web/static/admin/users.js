/** Users: who gets mail here, and how they prove who they are. */

import { fill, h } from "../dom.js";
import { size } from "../dates.js";
import { dialog } from "../dialogs.js";
import { failed } from "../toasts.js";
import { ask, given } from "./api.js";
import { button, deed, form, list, sure } from "./forms.js";
import { afterwards, more, toggle } from "./lists.js";
import { ago, badge, card, copier, head, later, many, paged, table } from "./parts.js";

export function users(again) {
  const columns = [
    { title: "Address", of: ({ address }) => h("strong", {}, address) },
    { title: "Name", of: ({ display_name }) => display_name },
    { title: "Role", of: (user) => [user.admin && badge("ok", "administrator"), " ", !user.enabled && badge("warning", "disabled")] },
    { title: "Mail", of: room, className: "right" },
    { title: "Last seen", of: ({ last_login_at }) => (last_login_at ? ago(last_login_at) : "never") },
    { title: "", of: (user) => more(user.address, () => userDeeds(user, again)), className: "deeds" },
  ];
  const place = h("div");
  const show = () => {
    const text = find.value.trim();
    const load = (after, limit) => ask("user/list", given({ find: text, after, limit }));
    const draw = (rows) => table("Users", columns, rows, text ? "Nobody is called so." : "There is none.");
    fill(place, paged({ load, mark: ({ address }) => address, draw }));
  };
  let soon = 0;
  const input = () => {
    clearTimeout(soon);
    soon = setTimeout(show, 200);
  };
  const find = h("input", { class: "field", type: "search", placeholder: "Find", aria: { label: "Find in users" }, on: { input } });
  show();
  return h("div", { class: "page" }, head("Users", button("Add a user", () => afterwards(again)(added()), "button primary")), card("", h("div", { class: "toolbar" }, find), place));
}

const added = () =>
  form({
    title: "Add a user", verb: "user/add", yes: "Add",
    fields: [
      { key: "address", label: "E-mail address", type: "email", required: true },
      { key: "name", label: "Name" },
      { key: "password", label: "Password", type: "password", hint: "Empty: nobody can sign in yet." },
      { key: "quota", label: "Room", hint: "Such as 5G; empty: as the setting limits.quota says." },
      { key: "admin", label: "Administrator: may open this page, gets mail for postmaster", type: "checkbox" },
    ],
    asked: given,
    done: ({ address }) => `${address} is added.`,
  });

function room({ used, room: whole, messages }) {
  return [whole ? `${size(used)} of ${size(whole)}` : size(used), h("span", { class: "soft" }, ` in ${many(messages, "message")}`)];
}

function userDeeds(user, again) {
  const { address } = user;
  const after = afterwards(again);
  const change = () =>
    form({
      title: address, verb: "user/set", yes: "Change",
      fields: [
        { key: "name", label: "Name", value: user.display_name },
        { key: "quota", label: "Room", value: user.quota === null ? "default" : user.quota === 0 ? "none" : String(user.quota), hint: "Such as 5G, none, or default." },
        { key: "admin", label: "Administrator", type: "checkbox", value: user.admin },
      ],
      asked: (values) => ({ ...values, address }),
      done: () => `${address} is changed.`,
    });
  const password = () =>
    form({
      title: `A new password for ${address}`, verb: "user/passwd", yes: "Set",
      fields: [{ key: "password", label: "New password", type: "password", required: true, hint: "Browsers are signed out; app passwords go on." }],
      asked: (values) => ({ ...values, address }),
      done: () => `${address} has a new password.`,
    });
  return [
    { label: "Change", icon: "settings", run: () => after(change()) },
    { label: "New password", icon: "lock", run: password },
    { label: "App passwords", icon: "keyboard", run: () => appPasswords(address) },
    { label: "Two-factor", icon: "shield", run: () => twoFactor(address) },
    { label: "Sessions", icon: "person", run: () => (location.hash = `#/sessions/${encodeURIComponent(address)}`) },
    toggle(user.enabled, () => after(deed("user/set", { address, enabled: !user.enabled }, () => `${address} is ${user.enabled ? "disabled" : "enabled"}.`))),
    null,
    { label: "Remove", icon: "trash", danger: true, run: () => after(removed(address)) },
  ];
}

/** What goes with a user is told before. */
async function removed(address) {
  const gone = await ask("user/removal", { address }).catch(failed);
  if (!gone) return undefined;
  const named = gone.aliases.length ? ` Aliases that name him and would lead nowhere: ${gone.aliases.join(", ")}.` : "";
  return sure({
    title: `Remove ${address}?`,
    text: `${many(gone.mailboxes, "mailbox", "mailboxes")} with ${many(gone.messages, "message")}, ${size(gone.used)}, go for good.${named}`,
    yes: "Remove", verb: "user/rm", asked: { address }, done: () => `${address} is removed.`,
  });
}

/** His app passwords, and one more. */
function appPasswords(address) {
  const place = h("div");
  const show = () => fill(place, later(async () => listed(await ask("app-password/list", { address }), show)));
  const add = async () => {
    let made;
    const done = await form({
      title: `An app password for ${address}`, verb: "app-password/add", yes: "Make",
      fields: [
        { key: "name", label: "What it is for", required: true, hint: "Such as: his phone." },
        { key: "scopes", label: "Opens only", hint: "Of imap, jmap, pop3, sieve, smtp; empty: all of them." },
        { key: "expires", label: "Ends", hint: "Such as 90d or 2027-01-31; empty: never." },
      ],
      asked: (values) => given({ ...values, address, scopes: list(values.scopes) }),
      done: (answer) => ((made = answer), "It is made."),
    });
    show();
    if (done) await shown(made);
  };
  show();
  return dialog({ title: `App passwords of ${address}`, body: () => [place, h("footer", { class: "dialog-foot" }, button("Make one", add, "button primary"))] });
}

function listed(all, show) {
  const remove = ({ user, name }) => sure({ title: "Remove it?", text: `What uses “${name}” cannot sign in any more.`, yes: "Remove", verb: "app-password/rm", asked: { address: user, name }, done: () => "It is removed." });
  const columns = [
    { title: "Name", of: ({ name }) => h("strong", {}, name) },
    { title: "Opens", of: ({ scopes }) => scopes.join(", ") || "all" },
    { title: "Used", of: ({ last_used_at }) => (last_used_at ? ago(last_used_at) : "never") },
    { title: "Ends", of: ({ expires_at }) => (expires_at ? new Date(expires_at).toLocaleDateString() : "never") },
    { title: "", of: (one) => button("Remove", () => afterwards(show)(remove(one))), className: "deeds" },
  ];
  return table("App passwords", columns, all, "There is none.");
}

function shown({ name, password }) {
  const text = h("code", { class: "mono" }, password);
  return dialog({ title: name, className: "small", body: () => [h("p", { class: "dialog-text" }, "This is the password. It is not shown again."), h("p", { class: "record" }, text, copier(password))] });
}

/** Two-factor: what he has, and taking it away from who lost it. */
async function twoFactor(address) {
  const has = await ask("two-factor/show", { address }).catch(failed);
  if (!has) return undefined;
  const what = [has.program && "an authenticator program", has.passkeys && many(has.passkeys, "passkey"), has.recovery_codes && many(has.recovery_codes, "recovery code")].filter(Boolean).join(", ");
  if (!what && has.since_at === null) {
    return dialog({ title: `Two-factor of ${address}`, className: "small", body: () => h("p", { class: "dialog-text" }, "It is off: his password alone lets him in. He turns it on himself, in the settings of his mail.") });
  }
  return sure({
    title: `Reset two-factor of ${address}?`,
    text: `He has ${what || "turned it on"}. All of it is forgotten and every browser signed out: his password alone lets him in again.`,
    yes: "Reset", verb: "two-factor/off", asked: { address }, done: () => `Two-factor of ${address} is off.`,
  });
}
