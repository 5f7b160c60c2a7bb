// Where one is signed in: browsers and mail programs; each can be ended.

import { browserOf } from "../browsers.js";
import { confirmed } from "../dialogs.js";
import { h } from "../dom.js";
import { button, deed, part, result, rows, when } from "./form.js";
import { destroy, everyone } from "./ask.js";

export function section() {
  const said = result();
  const all = part(async (again) => draw(await everyone("Session"), said, again));
  all.again();
  return [h("p", { class: "intro" }, "Something you do not know? Sign it out, then change your password."), all.element, said.element];
}

function draw(list, said, again) {
  const others = list.filter((one) => one.kind === "browser" && !one.current);
  const end = (one) =>
    deed(said, async () => {
      await destroy("Session", [one.id]);
      again();
      return "Signed out.";
    });
  const all = async () => {
    const sure = await confirmed({
      title: "Sign out everywhere else?",
      text: "All other browsers need your password again. Mail programs are kept out by removing their app password.",
      yes: "Sign out",
      danger: true,
    });
    if (!sure) return;
    await deed(said, async () => {
      await destroy("Session", others.map((one) => one.id));
      again();
      return "No other browser is signed in.";
    });
  };
  return [
    rows(
      "Where you are signed in",
      list.map((one) => ({
        title: nameOf(one),
        mark: one.current ? "this browser" : "",
        lines: [
          `From ${one.from}`,
          `Since ${when(one.since)}${one.seenAt ? `, last used ${when(one.seenAt)}` : ""}`,
          one.appPassword && `With the app password “${one.appPassword}”`,
        ],
        actions: others.includes(one)
          ? [button("Sign out", () => end(one), { aria: { label: `Sign out ${nameOf(one)} from ${one.from}` } })]
          : [],
      })),
      "Nobody is signed in.",
    ),
    others.length > 1 && button("Sign out everywhere else", all, { danger: true }),
  ];
}

const PROTOCOLS = {
  imap: "Mail program (IMAP)",
  pop3: "Mail program (POP3)",
  smtp: "Sending (SMTP)",
  sieve: "Rules (ManageSieve)",
  jmap: "An open page, or a JMAP program",
};

function nameOf({ kind, protocol, agent }) {
  return kind === "browser" ? browserOf(agent) : (PROTOCOLS[protocol] ?? protocol);
}
