/** An invitation (.ics) that came with a message: what, when, where, who. */

import { h, icon } from "./dom.js";

/**
 * @param {{method?: string, summary?: string, start?: string, end?: string, allDay?: boolean, location?: string,
 *   organizer?: string, attendees?: string[], status?: string}} event as the server's viewer read it
 */
export function invitation(event) {
  const rows = [
    ["When", span(event)],
    ["Where", event.location],
    ["From", event.organizer],
    ["With", guests(event.attendees ?? [])],
  ].filter(([, value]) => value);
  const gone = event.method === "CANCEL" || event.status === "CANCELLED";
  return h(
    "section",
    { class: ["invitation", gone && "gone"], aria: { label: "Invitation" } },
    icon("calendar"),
    h(
      "div",
      {},
      h("h3", {}, gone ? "Cancelled: " : "", event.summary || "An appointment"),
      h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    ),
  );
}

function guests(all) {
  return all.slice(0, 12).join(", ") + (all.length > 12 ? ` and ${all.length - 12} more` : "");
}

function span({ start, end, allDay }) {
  if (!start) return "";
  const from = new Date(start);
  if (Number.isNaN(from.getTime())) return start;
  const options = allDay ? { dateStyle: "full" } : { dateStyle: "full", timeStyle: "short" };
  const format = new Intl.DateTimeFormat(undefined, options);
  const to = end ? new Date(end) : null;
  return to && !Number.isNaN(to.getTime()) && to > from ? format.formatRange(from, to) : format.format(from);
}
