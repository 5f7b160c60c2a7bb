// All mail as one file, made while it is downloaded.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";

export function section() {
  const { exportUrl } = jmap.session.accounts[jmap.accountId].accountCapabilities["urn:mailctl:owner"];
  return [
    h("p", { class: "intro" }, "Everything you have here, as one .zip with an mbox file for each folder: Thunderbird, Apple Mail and most others read it."),
    h("p", {}, h("a", { class: "button primary", download: "", href: exportUrl }, "Download all mail")),
    h("p", { class: "hint" }, "It may take a while; you can go on reading meanwhile."),
  ];
}
