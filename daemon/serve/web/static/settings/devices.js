// Setting up a mail program: a code to scan, a profile for Apple, and the figures to type where nothing else helps.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import { part } from "./form.js";

export function section() {
  const all = part(draw);
  all.again();
  return [
    h(
      "p",
      { class: "intro" },
      "Most programs need your address and a password only. Make an ",
      h("a", { href: "#/settings/app-passwords" }, "app password"),
      " for each of them.",
    ),
    all.element,
  ];
}

async function draw() {
  const user = jmap.session.username;
  const answer = await fetch(`/clients/${encodeURIComponent(user)}.json`, { credentials: "same-origin" });
  const servers = answer.ok ? ((await answer.json()).servers ?? []) : [];
  return [
    h("h2", {}, "Phone"),
    h("p", {}, "Open this with its camera."),
    h("img", { class: "qr", src: "/clients/qr.svg", alt: "QR code to set up this account", width: 200, height: 200 }),
    h("h2", {}, "iPhone, iPad and Mac"),
    h("p", {}, h("a", { class: "button", href: "/clients/profile.mobileconfig", download: "" }, "Download the profile")),
    h("h2", {}, "By hand"),
    h("p", {}, "Your user name everywhere is ", h("code", {}, user), "."),
    servers.length > 0 &&
      h(
        "table",
        { class: "servers" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["For", "Server", "Port", "Encryption"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          servers.map(({ name, host, port, security }) =>
            h(
              "tr",
              {},
              [name, host, port, security].map((value) => h("td", {}, String(value))),
            ),
          ),
        ),
      ),
  ];
}
