// Setting up a mail program: most find everything by the address; what to type where one does not.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";

const SERVERS = [
  ["Reading (IMAP)", "993", "TLS"],
  ["Sending (SMTP)", "465", "TLS"],
  ["Reading (POP3)", "995", "TLS"],
];

export function section() {
  const user = jmap.session.username;
  return [
    h(
      "p",
      { class: "intro" },
      "Most programs need your address and a password only. Make an ",
      h("a", { href: "#/settings/app-passwords" }, "app password"),
      " for each of them.",
    ),
    h("h2", {}, "Where a program asks"),
    h("p", {}, "The user name is ", h("code", {}, user), ", the server ", h("code", {}, location.hostname), ". The usual ports:"),
    h(
      "table",
      { class: "servers" },
      h("thead", {}, h("tr", {}, ["For", "Port", "Encryption"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, SERVERS.map((row) => h("tr", {}, row.map((text) => h("td", {}, text))))),
    ),
  ];
}
