// What was planned for later and has not gone out (EmailSubmission of RFC 8621 §7), and what waits for the line.

import { h } from "../dom.js";
import { jmap } from "../jmap.js";
import { state } from "../state.js";
import { undo, forget, waiting } from "../compose/sending.js";
import { catchUp } from "../compose/post.js";
import { openComposer } from "../compose.js";
import { button, deed, part, result, rows, when } from "./form.js";

export function section() {
  const said = result();
  const all = part(async (again) => [
    h("h2", {}, "Planned"),
    rows("Planned messages", await planned(said, again), "Nothing is planned."),
    h("h2", {}, "Waiting in this browser"),
    rows("Waiting in this browser", await held(said, again), "Nothing waits for a connection."),
  ]);
  all.again();
  return [all.element, said.element];
}

async function planned(said, again) {
  const found = jmap.call("EmailSubmission/query", {
    filter: { undoStatus: "pending" },
    sort: [{ property: "sentAt", isAscending: true }],
    limit: 100,
  });
  const got = jmap.call("EmailSubmission/get", { "#ids": found.ref("/ids"), properties: ["id", "emailId", "sendAt", "undoStatus"] });
  const mails = jmap.call("Email/get", { "#ids": got.ref("/list/*/emailId"), properties: ["id", "subject", "to", "cc"] });
  await found;
  const subjects = new Map((await mails).list.map((email) => [email.id, email]));
  return (await got).list.map(({ id, emailId, sendAt }) => {
    const email = subjects.get(emailId);
    const cancel = () =>
      deed(said, async () => {
        const places = { drafts: state.byRole("drafts")?.id, sent: state.byRole("sent")?.id };
        if (!(await undo({ submissionId: id, emailId }, places))) throw new Error("It was too late: the message is on its way.");
        again();
        return "Not sent: it is a draft again.";
      });
    return {
      title: email?.subject || "(no subject)",
      lines: [`To ${people(email)}`, `Goes out ${when(sendAt)}`],
      actions: [button("Cancel sending", cancel, { aria: { label: `Cancel sending ${email?.subject || "it"}` } })],
    };
  });
}

const NAMED = 5;

function people(email) {
  const all = [...(email?.to ?? []), ...(email?.cc ?? [])];
  const names = all.slice(0, NAMED).map((one) => one.name || one.email);
  return names.join(", ") + (all.length > NAMED ? ` and ${(all.length - NAMED).toLocaleString()} more` : "");
}

async function held(said, again) {
  return (await waiting()).map((item) => ({
    title: item.draft.subject || "(no subject)",
    mark: item.fault ? "refused" : "",
    lines: [`To ${people(item.draft)}`, item.fault ?? "Goes out when the server can be reached."],
    actions: [
      !item.fault && button("Try now", () => deed(said, () => catchUp().then(again))),
      button("Edit", async () => {
        await forget(item.key);
        openComposer({ mode: "kept", item });
      }),
    ].filter(Boolean),
  }));
}
