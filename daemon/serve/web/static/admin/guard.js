/** Who is kept out, who is in, and by which other servers mail goes out. */

import { h } from "../dom.js";
import { browserOf } from "../browsers.js";
import { full } from "../dates.js";
import { dialog } from "../dialogs.js";
import { failed } from "../toasts.js";
import { ask, given } from "./api.js";
import { button, deed, form, sure } from "./forms.js";
import { afterwards, listPage } from "./lists.js";
import { ago, badge, many, table } from "./parts.js";

export function bans(again) {
  const after = afterwards(again);
  const remove = ({ network }) => deed("ban/rm", { networks: [network] }, () => `${network} may talk to this server again.`);
  const columns = [
    { title: "Network", of: ({ network }) => h("strong", { class: "mono" }, network) },
    { title: "Why", of: ({ reason }) => reason },
    { title: "Since", of: ({ created_at }) => ago(created_at) },
    { title: "Until", of: ({ until_at }) => (until_at === null ? "it is removed" : full(new Date(until_at))) },
    { title: "", of: (one) => button("Remove", () => after(remove(one))), className: "deeds" },
  ];
  const add = () =>
    form({
      title: "Ban a network", verb: "ban/add", yes: "Ban",
      fields: [
        { key: "network", label: "Address or network", required: true, hint: "Such as 192.0.2.7 or 192.0.2.0/24." },
        { key: "reason", label: "Why", value: "by hand" },
        { key: "until", label: "Until", hint: "Such as 12h, 7d or 2027-01-31; empty: until it is removed." },
      ],
      asked: given,
      done: ({ network }) => `${network} is banned.`,
    });
  return listPage("Bans", button("Ban a network", () => after(add()), "button primary"), () => ask("ban/list"), (rows) => table("Bans", columns, rows, "Nobody is banned."));
}

/** Those of one user when `user` is given. */
export function sessions(again, user) {
  const columns = [
    { title: "User", of: (one) => h("strong", {}, one.user) },
    { title: "By", of: ({ protocol, app_password }) => [protocol === "web" ? "Browser" : protocol.toUpperCase(), app_password && h("span", { class: "soft" }, ` with ${app_password}`)] },
    { title: "From", of: ({ peer }) => h("span", { class: "mono" }, peer) },
    { title: "Since", of: ({ since_at }) => ago(since_at) },
    { title: "Program", of: ({ agent }) => agent && h("span", { title: agent }, browserOf(agent)), className: "soft" },
    { title: "", of: (one) => button("End all", () => afterwards(again)(ended(one.user))), className: "deeds" },
  ];
  const beside = user && h("a", { class: "button", href: "#/sessions" }, "Those of all users");
  return listPage(user ? `Sessions of ${user}` : "Sessions", beside, () => ask("session/list", given({ user })), (rows) => table("Sessions", columns, rows, "Nobody is here just now."));
}

/** What ends is told before. */
async function ended(user) {
  const ending = await ask("session/ending", { user }).catch(failed);
  if (!ending) return undefined;
  const passwords = ending.app_passwords;
  const keep = await dialog({
    title: `End all sessions of ${user}?`,
    className: "small",
    body: (close) => [
      h("p", { class: "dialog-text" }, `${many(ending.sessions, "session")}, browsers too. ${passwords.length ? `With ${passwords.join(", ")} programs come back by themselves, unless these app passwords are revoked.` : "With his password he can come back: a thief, too, who knows it."}`),
      h(
        "footer",
        { class: "dialog-foot" },
        passwords.length > 0 && button("End them and revoke app passwords", () => close("revoke"), "button danger"),
        button("End them", () => close("keep"), "button danger"),
      ),
    ],
  });
  return keep && deed("session/kill", { user, keep_app_passwords: keep === "keep" }, (done) => `${many(done.sessions, "session")} of ${user} ended.`);
}

const MAIL = { sender: "from", recipient: "to" };
const meant = ({ kind, pattern }) => (kind === "default" ? "all other mail" : `${MAIL[kind]} ${pattern}`);

export function routes(again) {
  const after = afterwards(again);
  const remove = (one) =>
    sure({ title: "Remove the route?", text: `${meant(one)}: what waits for ${one.host} goes its usual way.`, yes: "Remove", verb: "route/rm", asked: { ids: [one.id] }, done: () => "The route is removed." });
  const columns = [
    { title: "Mail", of: (one) => h("strong", {}, meant(one)) },
    { title: "By", of: ({ host, port }) => `${host}:${port}` },
    { title: "TLS", of: ({ tls }) => badge(tls === "none" ? "warning" : "ok", tls) },
    { title: "As", of: ({ username }) => username },
    { title: "Since", of: ({ created_at }) => ago(created_at) },
    { title: "", of: (one) => button("Remove", () => after(remove(one))), className: "deeds" },
  ];
  const add = () =>
    form({
      title: "Send mail by another server", verb: "route/add", yes: "Add",
      fields: [
        { key: "kind", label: "Which mail", type: "select", value: "default", choices: [["default", "All other mail"], ["sender", "Mail from"], ["recipient", "Mail to"]] },
        { key: "pattern", label: "Address or domain", hint: "Such as example.org; .example.org for mail to all below it. Empty for all other mail." },
        { key: "host", label: "Server", required: true, hint: "Such as smtp.example.net:587." },
        { key: "tls", label: "TLS", type: "select", value: "opportunistic", choices: [["opportunistic", "where it is offered"], ["starttls", "always, by STARTTLS"], ["implicit", "always, from the start"], ["none", "never"]] },
        { key: "username", label: "User name there", hint: "Empty: nobody logs in." },
        { key: "password", label: "Password there", type: "password" },
      ],
      asked: (values) => ({ ...given(values), pattern: values.kind === "default" ? "*" : values.pattern }),
      done: (one) => `Mail goes by ${one.host}: ${meant(one)}.`,
    });
  return listPage("Routes", button("Add a route", () => after(add()), "button primary"), () => ask("route/list"), (rows) => table("Routes", columns, rows, "There is none: mail goes to the recipients' own servers."));
}
