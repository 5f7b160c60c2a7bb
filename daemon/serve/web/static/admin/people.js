/** Domains, users and aliases: who gets mail here. */

import { fill, h, iconButton } from "../dom.js";
import { size } from "../dates.js";
import { menu } from "../dialogs.js";
import { failed } from "../toasts.js";
import { ask, given } from "./api.js";
import { button, deed, form, list, sure } from "./forms.js";
import { ago, badge, card, head, later, many, table } from "./parts.js";

export function people(again) {
  const columns = [
    { title: "Address", of: ({ address }) => h("strong", {}, address) },
    { title: "Name", of: ({ display_name }) => display_name },
    { title: "Role", of: (user) => [user.admin && badge("ok", "administrator"), " ", !user.enabled && badge("warning", "disabled")] },
    { title: "Mail", of: room, className: "right" },
    { title: "Last seen", of: ({ last_login_at }) => (last_login_at ? ago(last_login_at) : "never") },
    { title: "", of: (user) => more(user.address, () => userDeeds(user, again)), className: "deeds" },
  ];
  const add = async () => {
    const done = await form({
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
    if (done) again();
  };
  return page("Users", button("Add a user", add, "button primary"), () => ask("user/list"), (rows) => table("Users", columns, rows, "There is none."));
}

/** A list that is narrowed as one types: `draw(rows)` shows those in which the text is. */
function page(title, add, load, draw) {
  const made = async () => {
    const all = await load();
    const place = h("div", {}, draw(all));
    const input = () => {
      const text = find.value.trim().toLocaleLowerCase();
      fill(place, draw(all.filter((one) => JSON.stringify(one).toLocaleLowerCase().includes(text))));
    };
    const find = h("input", { class: "field", type: "search", placeholder: "Find", aria: { label: `Find in ${title.toLowerCase()}` }, on: { input } });
    return [h("div", { class: "toolbar" }, find), place];
  };
  return h("div", { class: "page" }, head(title, add), card("", later(made)));
}

function room({ used, room: whole, messages }) {
  return [whole ? `${size(used)} of ${size(whole)}` : size(used), h("span", { class: "soft" }, ` in ${many(messages, "message")}`)];
}

/** The button that opens the menu of a line. */
function more(name, items) {
  return iconButton("more", `What to do with ${name}`, (event) => menu(event.currentTarget, items()));
}

function userDeeds(user, again) {
  const { address } = user;
  const after = async (work) => (await work) && again();
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
    toggle(user.enabled, () => after(deed("user/set", { address, enabled: !user.enabled }, () => `${address} is ${user.enabled ? "disabled" : "enabled"}.`))),
    null,
    { label: "Remove", icon: "trash", danger: true, run: () => after(removed(address)) },
  ];
}

const toggle = (enabled, run) => ({ label: enabled ? "Disable" : "Enable", icon: enabled ? "close" : "check", run });

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

export function domains(again) {
  const columns = [
    { title: "Domain", of: ({ display, name }) => h("strong", { title: name }, display) },
    { title: "Stands for", of: ({ alias_of }) => alias_of },
    { title: "Users", of: ({ users, max_users }) => (max_users ? `${users} of ${max_users}` : users), className: "right" },
    { title: "Aliases", of: ({ aliases: count }) => count, className: "right" },
    { title: "All else goes to", of: ({ catch_all }) => catch_all.join(", ") },
    { title: "State", of: ({ enabled }) => !enabled && badge("warning", "disabled") },
    { title: "", of: (domain) => more(domain.display, () => domainDeeds(domain, again)), className: "deeds" },
  ];
  const add = async () => {
    const done = await form({
      title: "Add a domain", verb: "domain/add", yes: "Add",
      fields: [
        { key: "name", label: "Domain", required: true },
        { key: "alias_of", label: "Stands for another domain", hint: "Empty: it has users of its own." },
      ],
      asked: given,
      done: ({ display }) => `${display} is added; \`mailctl dns records\` says what to publish.`,
    });
    if (done) again();
  };
  return page("Domains", button("Add a domain", add, "button primary"), () => ask("domain/list"), (rows) => table("Domains", columns, rows, "There is none."));
}

function domainDeeds({ name, display, enabled, users, aliases: count, catch_all, max_users }, again) {
  const after = async (work) => (await work) && again();
  const change = () =>
    form({
      title: display, verb: "domain/set", yes: "Change",
      fields: [
        { key: "catch_all", label: "What nobody else gets goes to", value: catch_all.join(", "), hint: "Addresses; empty: it is refused." },
        { key: "max_users", label: "Users at most", type: "number", value: String(max_users ?? 0), hint: "0: no limit." },
      ],
      asked: (values) => ({ name, catch_all: list(values.catch_all), max_users: Number(values.max_users) }),
      done: () => `${display} is changed.`,
    });
  const remove = () =>
    sure({
      title: `Remove ${display}?`, text: `${many(users, "user")}, ${many(count, "alias", "aliases")}. A domain goes only when it has none.`,
      yes: "Remove", verb: "domain/rm", asked: { name }, done: () => `${display} is removed.`,
    });
  return [
    { label: "Change", icon: "settings", run: () => after(change()) },
    toggle(enabled, () => after(deed("domain/set", { name, enabled: !enabled }, () => `${display} is ${enabled ? "disabled" : "enabled"}.`))),
    null,
    { label: "Remove", icon: "trash", danger: true, run: () => after(remove()) },
  ];
}

export function aliases(again) {
  const columns = [
    { title: "Alias", of: ({ address }) => h("strong", {}, address) },
    { title: "Goes to", of: ({ targets }) => targets.join(", ") },
    { title: "Note", of: ({ note }) => note },
    { title: "State", of: ({ enabled, expired }) => (expired ? badge("warning", "over") : !enabled && badge("warning", "disabled")) },
    { title: "", of: (alias) => more(alias.address, () => aliasDeeds(alias, again)), className: "deeds" },
  ];
  const add = async () => {
    const done = await form({
      title: "Add an alias", verb: "alias/add", yes: "Add",
      fields: [
        { key: "address", label: "Alias", type: "email", required: true },
        { key: "targets", label: "Goes to", required: true, hint: "Addresses, here or elsewhere, with commas." },
        { key: "note", label: "Note" },
      ],
      asked: (values) => ({ ...values, targets: list(values.targets) }),
      done: ({ address }) => `${address} is added.`,
    });
    if (done) again();
  };
  return page("Aliases", button("Add an alias", add, "button primary"), () => ask("alias/list"), (rows) => table("Aliases", columns, rows, "There is none."));
}

function aliasDeeds({ address, targets, note, enabled }, again) {
  const after = async (work) => (await work) && again();
  const change = () =>
    form({
      title: address, verb: "alias/set", yes: "Change",
      fields: [
        { key: "targets", label: "Goes to", value: targets.join(", "), required: true },
        { key: "note", label: "Note", value: note },
      ],
      asked: (values) => ({ ...values, address, targets: list(values.targets) }),
      done: () => `${address} is changed.`,
    });
  const remove = () =>
    sure({
      title: `Remove ${address}?`, text: `Mail for it is refused then; it went to ${targets.join(", ")}.`,
      yes: "Remove", verb: "alias/rm", asked: { address }, done: () => `${address} is removed.`,
    });
  return [
    { label: "Change", icon: "settings", run: () => after(change()) },
    toggle(enabled, () => after(deed("alias/set", { address, enabled: !enabled }, () => `${address} is ${enabled ? "disabled" : "enabled"}.`))),
    null,
    { label: "Remove", icon: "trash", danger: true, run: () => after(remove()) },
  ];
}
