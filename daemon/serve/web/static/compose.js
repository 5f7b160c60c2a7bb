// Writing: `openComposer({mode, email, to…})` from anywhere in the page, and the outbox that looks after itself.

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

/**
 * Open a window to write in; the one that holds this draft already comes forward.
 * @param {{mode?: 'new'|'reply'|'replyAll'|'replyList'|'forward'|'forwardAttached'|'draft', email?: string|{id: string},
 *   to?: Person[]|string, cc?: Person[]|string, bcc?: Person[]|string, subject?: string, text?: string}} asked
 * @returns {Promise<Composer|undefined>}
 */
export async function openComposer(asked = {}) {
  try {
    const id = typeof asked.email === "string" ? asked.email : asked.email?.id;
    const there = asked.mode === "draft" && open.find((one) => one.drafts.emailId === id);
    if (there) {
      there.focus();
      return there;
    }
    const [identities, email] = await Promise.all([identitiesNow(), id ? whole(id) : undefined, dressed("compose.css")]);
    if (!identities.length) throw new Error("There is no address you may write from.");
    if (id && !email) throw new Error("The message is gone.");
    const beginning = asked.mode === "kept" ? kept(asked.item, identities) : begin({ mode: "new", ...asked, email }, identities, habits());
    return show(Object.assign(beginning, asked.answers ? { answers: asked.answers } : {}), identities);
  } catch (error) {
    failed(error, "Cannot write now");
    return undefined;
  }
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
  composer.focus();
  return composer;
}

onReopen((asked) => openComposer(asked));
