// The answer to an invitation, as a message to who organises it (RFC 6047): the server has made its calendar.

import { jmap } from "../jmap.js";
import { state } from "../state.js";
import { thread } from "./answer.js";
import { newMessageId } from "./message.js";
import { dispatch } from "./post.js";

const WORDS = {
  accepted: ["Accepted", "accepts"],
  tentative: ["Maybe", "may accept"],
  declined: ["Declined", "declines"],
};

/**
 * Send it. Resolves with whether it went. Throws what kept it from being made.
 * @param {Object} email  that the invitation came with
 * @param {Object} event  as Email/view tells it
 * @param {"accepted"|"tentative"|"declined"} said
 */
export async function answerInvitation(email, event, said) {
  // asked for anew: who changes his mind has the later DTSTAMP
  const { invitations } = await jmap.call("Email/view", { id: email.id });
  const replies = invitations.find(({ uid, start, recurrence }) => uid === event.uid && start === event.start && recurrence === event.recurrence)?.replies;
  if (!replies) throw new Error("It cannot be answered any more.");
  const me = replies.attendee.toLowerCase();
  const identity = state.identities.find((one) => one.email.toLowerCase() === me);
  if (!identity) throw new Error(`You may not write as ${replies.attendee}.`);
  const [heading, verb] = WORDS[said];
  const what = event.summary || "an appointment";
  const draft = {
    from: { name: identity.name || null, email: identity.email },
    to: [{ name: event.organizer.name, email: event.organizer.email }],
    cc: [],
    bcc: [],
    ...thread(email),
    subject: `${heading}: ${what}`,
    text: `${identity.name || identity.email} ${verb} the invitation: ${what}\n`,
    html: null,
    parts: [],
    calendar: replies[said],
    messageId: newMessageId(identity.email),
  };
  return dispatch({ draft, files: [], identityId: identity.id, draftId: null, answers: { emailId: email.id, keyword: "$answered" }, until: null, hold: 0 });
}
