// All mail as one file, made while it is downloaded.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";

const FORMATS = [
  ["maildir", "Maildir", "One file a message, with flags: for servers, Thunderbird and mutt."],
  ["mbox", "mbox", "One file a folder: for Thunderbird, Apple Mail and most others."],
];

export function section() {
  const capability = jmap.session.capabilities["urn:mailctl:owner"] ?? {};
  const template = capability.exportUrl ?? "/jmap/export/{accountId}?format={format}";
  return [
    h("p", { class: "intro" }, "Everything you have here, as one .zip. It may take a while; you can go on reading meanwhile."),
    FORMATS.map(([format, name, words]) =>
      h(
        "div",
        { class: "card export" },
        h("p", {}, h("strong", {}, name)),
        h("p", { class: "hint" }, words),
        h(
          "a",
          { class: "button", download: "", href: template.replace("{accountId}", jmap.accountId).replace("{format}", format) },
          `Download as ${name}`,
        ),
      ),
    ),
  ];
}
