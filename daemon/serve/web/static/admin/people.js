/** Domains and aliases: what is mail here, and whose it is. */

import { h } from "../dom.js";
import { ask, given } from "./api.js";
import { button, deed, form, list, sure } from "./forms.js";
import { afterwards, listPage, more, toggle } from "./lists.js";
import { badge, many, table } from "./parts.js";

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
      done: ({ display }) => `${display} is added; DNS in its menu says what to publish.`,
    });
    if (done) again();
  };
  return listPage("Domains", button("Add a domain", add, "button primary"), () => ask("domain/list"), (rows) => table("Domains", columns, rows, "There is none."));
}

function domainDeeds({ name, display, enabled, users, aliases: count, catch_all, max_users }, again) {
  const after = afterwards(again);
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
    { label: "DNS", icon: "link", run: () => (location.hash = `#/dns/${name}`) },
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
  return listPage("Aliases", button("Add an alias", add, "button primary"), () => ask("alias/list"), (rows) => table("Aliases", columns, rows, "There is none."));
}

function aliasDeeds({ address, targets, note, enabled }, again) {
  const after = afterwards(again);
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
