// From the Send button to the words on the page: sent with a way back, planned, waiting for the line, or refused.

import { toast } from "../toasts.js";
import { jmap } from "../jmap.js";
import { state } from "../state.js";
import { forgetContacts } from "./contacts.js";
import { habits } from "./habits.js";
import { flush, forget, send, undo } from "./sending.js";
import { drop, all } from "./local.js";
import { emailOf } from "./message.js";

const SUBMISSION = "urn:ietf:params:jmap:submission";

/** The window for a message that comes back; compose.js gives it, for each needs the other. */
let reopen = () => {};
export const onReopen = (open) => {
  reopen = open;
};

/**
 * @param {{draft: Draft, files: Object[], identityId: string, draftId: string|null, answers: Object|null,
 *   until: string|null, hold?: number}} what  `hold`: seconds to undo it, where it is not as the writer likes it
 * @returns {Promise<boolean>}  false: it was refused, and that was told
 */
export async function dispatch(what) {
  const places = { drafts: state.byRole("drafts")?.id, sent: state.byRole("sent")?.id };
  const item = {
    hold: what.until ? 0 : Math.min(habits().undo, longestHold()),
    ...what,
    ...places,
    key: crypto.randomUUID(),
    account: jmap.accountId,
    at: Date.now(),
    tries: 0,
  };
  try {
    const done = await send(item);
    if (done) told(item, done);
    else toast("No connection: it is sent as soon as there is one.", { kind: "done" });
    return true;
  } catch (error) {
    refused(item, error);
    return false;
  }
}

const abilities = () => jmap.session?.accounts?.[jmap.accountId]?.accountCapabilities?.[SUBMISSION] ?? {};

/** Seconds the server keeps a message back at most; 0: it does not. */
export const longestHold = () => abilities().maxDelayedSend ?? 0;

/** Recipients the server sends one message to at most, as SMTP says it (RFC 9422); Infinity: it does not say. */
export function mostRecipients() {
  const said = abilities().submissionExtensions?.LIMITS?.find((one) => one.startsWith("RCPTMAX="));
  return said ? Number(said.slice("RCPTMAX=".length)) : Infinity;
}

function told(item, done) {
  forgetContacts(); // whom one wrote to is a contact now
  const back = async () => {
    if (await undo(done, item)) {
      toast(item.until ? "Not sent: it is a draft again" : "Sending undone");
      reopen({ mode: "draft", email: done.emailId, answers: item.answers });
    } else toast("It was too late: the message is on its way.", { kind: "error" });
  };
  if (item.until) {
    const when = new Date(item.until).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    toast(`It will be sent ${when}`, { action: "Cancel", run: back });
  } else if (item.hold) {
    const { close } = toast("Message sent", { action: "Undo", run: back, lasting: true });
    setTimeout(close, item.hold * 1000 - 500);
  } else toast("Message sent");
}

function refused(item, error) {
  const run = async () => {
    await forget(item.key);
    reopen({ mode: "kept", item });
  };
  toast(`Not sent: ${error.message}`, { kind: "error", action: "Edit", run, lasting: true });
}

/** At the start and when the line is back: what waits goes out, what was left unsaved is saved. */
export async function catchUp() {
  for (const { item, done, error } of await flush()) {
    if (done) told(item, done);
    else refused(item, error);
  }
  for (const left of await all("drafts", jmap.accountId)) {
    await navigator.locks.request(`draft-${left.key}`, { ifAvailable: true }, (lock) => lock && saveLeft(left).catch(() => {}));
  }
}

/** A draft of a window that was torn away before the server had it. */
async function saveLeft({ key, draft, emailId }) {
  const drafts = state.byRole("drafts")?.id;
  if (!drafts) return;
  const answer = await jmap.call("Email/set", { create: { draft: emailOf(draft, drafts) } });
  if (!answer.created?.draft) return;
  if (emailId) await jmap.call("Email/set", { destroy: [emailId] }).catch(() => {});
  await drop("drafts", key);
  toast("A draft you were writing was saved", { action: "Open", run: () => reopen({ mode: "draft", email: answer.created.draft.id }) });
}
