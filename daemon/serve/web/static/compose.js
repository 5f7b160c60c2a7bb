// Writing: `openComposer({mode, email, to…})` from anywhere in the page, and the outbox that looks after itself.

import { ahead } from "./ahead.js";
import { h } from "./dom.js";
import { jmap } from "./jmap.js";
import { failed } from "./toasts.js";
import { state } from "./state.js";
import { begin, kept, whole } from "./compose/beginning.js";
import { habits } from "./compose/habits.js";
import { dressed } from "./compose/dress.js";
import { catchUp, onReopen } from "./compose/post.js";
import { Composer } from "./compose/window.js";

/** @type {Composer[]} */
const open = [];
const MOST = 3; // windows side by side

/** Open a window to write in; what keeps it from opening is told. @param {Asked} asked */
export function openComposer(asked) {
  return ahead(composerFor(asked)).catch((error) => failed(error, "Cannot write now"));
}

/**
 * Fetch what a window needs. Resolves with what opens it and gives it the focus; the one that holds this draft already
 * comes forward. Throws why one cannot write.
 * @typedef {{mode?: 'new'|'reply'|'replyAll'|'replyList'|'forward'|'forwardAttached'|'draft', email?: string|{id: string},
 *   to?: Person[]|string, cc?: Person[]|string, bcc?: Person[]|string, subject?: string, text?: string}} Asked
 * @param {Asked} asked
 * @returns {Promise<() => HTMLElement>}
 */
export async function composerFor(asked) {
  const id = typeof asked.email === "string" ? asked.email : asked.email?.id;
  const there = () => asked.mode === "draft" && open.find((one) => one.drafts.emailId === id);
  if (there()) return () => there().focus();
  const [identities, email] = await Promise.all([identitiesNow(), id ? whole(id) : undefined, dressed("compose.css")]);
  if (!identities.length) throw new Error("There is no address you may write from.");
  if (id && !email) throw new Error("The message is gone.");
  const beginning = asked.mode === "kept" ? kept(asked.item, identities) : begin({ mode: "new", ...asked, email }, identities, habits());
  if (asked.answers) beginning.answers = asked.answers;
  return () => (there() || show(beginning, identities)).focus(); // it may have been opened twice meanwhile
}

/** Once, after signing in: send what waits, save what was left; again whenever the line is back. */
export function startOutbox() {
  const again = () => {
    if (jmap.session) catchUp().catch(() => {});
  };
  jmap.addEventListener("online", () => jmap.online && again());
  addEventListener("online", again);
  again();
}

async function identitiesNow() {
  if (!jmap.online && state.identities.length) return state.identities;
  const { list } = await jmap.call("Identity/get", { ids: null });
  state.identities = list;
  return list;
}

function show(beginning, identities) {
  let desk = document.getElementById("desk");
  if (!desk) document.body.append((desk = h("div", { id: "desk", class: "desk" })));
  while (open.length >= MOST) open[0].close();
  const composer = new Composer(beginning, identities, () => open.splice(open.indexOf(composer), 1));
  open.forEach((one) => one.small(true));
  open.push(composer);
  desk.append(composer.root);
  return composer;
}

onReopen((asked) => openComposer(asked));
