/** An invitation (.ics) that came with a message: what, when, where, who; and what the reader answers. */

import { h, icon, mark } from "./dom.js";
import { failed } from "./toasts.js";

const WAYS = [["accepted", "Accept"], ["tentative", "Maybe"], ["declined", "Decline"]];
const ANSWERS = { accepted: "comes", declined: "does not come", tentative: "may come", delegated: "sends somebody" };

/**
 * @typedef {{name?: string, email?: string, status?: string}} Person
 * @param {{method?: string, summary?: string, start?: string, end?: string, allDay?: boolean, location?: string,
 *   organizer?: Person, attendees?: Person[], status?: string, every?: string, description?: string,
 *   replies?: {attendee: string}}} event as the server read it; `replies` where the reader is asked
 * @param {Object} email that it came with
 */
export function invitation(event, email) {
  const gone = event.method === "cancel" || event.status === "cancelled";
  const rows = [
    ["When", [span(event), event.every && `, ${event.every}`]],
    ["Where", event.location],
    ["From", event.organizer && nameOf(event.organizer)],
    ["With", guests(event.attendees ?? [])],
  ].filter(([, value]) => value && String(value).trim());
  return h(
    "section",
    { class: ["invitation", gone && "gone"], aria: { label: "Invitation" } },
    icon("calendar"),
    h(
      "div",
      {},
      h("h3", {}, gone ? "Cancelled: " : "", event.summary || "An appointment"),
      h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      event.replies && answers(event, email),
      event.description && h("p", { class: "invitation-more" }, event.description.slice(0, 2000)),
    ),
  );
}

/** What one said is pressed; another answer takes its place. */
function answers(event, email) {
  const mine = event.attendees.find((one) => one.email === event.replies.attendee);
  const press = (said) => buttons.forEach((button, at) => mark(button, "pressed", WAYS[at][0] === said));
  const answer = async (said) => {
    buttons.forEach((button) => (button.disabled = true));
    try {
      const { answerInvitation } = await import("./compose/invited.js");
      if (await answerInvitation(email, event, said)) press(said);
    } catch (error) {
      failed(error, "Not answered");
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  };
  const buttons = WAYS.map(([said, label]) => h("button", { type: "button", class: "button", on: { click: () => answer(said) } }, label));
  press(mine?.status);
  return h("div", { class: "invitation-answers", role: "group", aria: { label: "Do you come?" } }, buttons);
}

function nameOf({ name, email, status }) {
  const said = ANSWERS[status];
  return (name || email || "somebody") + (said ? ` (${said})` : "");
}

function guests(all) {
  return all.slice(0, 12).map(nameOf).join(", ") + (all.length > 12 ? ` and ${all.length - 12} more` : "");
}

/** From when to when: a day alone has no zone, a time without a Z is the reader's own. */
function span({ start, end, allDay }) {
  const from = moment(start, allDay);
  if (!from) return start ?? "";
  const format = new Intl.DateTimeFormat(undefined, allDay ? { dateStyle: "full" } : { dateStyle: "full", timeStyle: "short" });
  const to = moment(end, allDay);
  return to && to > from ? format.formatRange(from, to) : format.format(from);
}

function moment(text, allDay) {
  if (!text) return null;
  const date = new Date(allDay ? `${text}T00:00:00` : text);
  return Number.isNaN(date.getTime()) ? null : date;
}
