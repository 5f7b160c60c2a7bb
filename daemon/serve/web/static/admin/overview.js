/** The overview: mail by hour, what waits, verdicts, the disk, the certificate, and what the doctor finds. */

import { h } from "../dom.js";
import { size } from "../dates.js";
import { ask } from "./api.js";
import { badge, card, head, later, many, span } from "./parts.js";
import { hourly, shares } from "./plot.js";

const DAY = 86_400_000;
const DEEDS = { accept: ["Delivered", 1], junk: ["To Junk", 2], refuse: ["Refused", 2], defer: ["Put off", 0] };

export function overview(again) {
  return h(
    "div",
    { class: "page" },
    head("Overview", h("button", { type: "button", class: "button", on: { click: again } }, "Look again")),
    later(async () => facts(await ask("status"))),
    later(async () => moved(await ask("traffic", { hours: 24 }))),
    card("What the doctor finds", later(async () => findings(await ask("doctor")))),
  );
}

function facts(status) {
  const until = status.certificate_until_at;
  const days = until === null ? null : Math.floor((until - Date.now()) / DAY);
  const waits = status.oldest_at === null ? "nothing waits" : `the oldest for ${span(Date.now() - status.oldest_at)}`;
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Waiting to go out", status.waiting.toLocaleString(), status.held ? `${status.held.toLocaleString()} held, ${waits}` : waits),
      fact("Users", status.users.toLocaleString(), many(status.domains, "domain")),
      fact("Messages", status.messages.toLocaleString(), size(status.used)),
      fact("Disk", size(status.free), `free; mail is refused below ${size(status.reserve)}`, status.free < 2 * status.reserve),
      fact("Certificate", days === null ? "none" : many(days, "day"), days === null ? "clients are warned" : "left", days === null || days < 14),
      fact("Banned networks", status.bans.toLocaleString(), status.incidents ? many(status.incidents, "incident") : "no incident"),
    ),
  ];
}

function fact(name, value, words, bad = false) {
  return h("div", { class: ["fact", bad && "bad"] }, h("dt", {}, name), h("dd", {}, value, h("small", {}, words)));
}

function moved({ hours, verdicts }) {
  const series = [
    { name: "in from other servers", of: (hour) => hour.incoming },
    { name: "out to other servers", of: (hour) => hour.sent },
    { name: "refused", of: (hour) => hour.refused },
  ];
  const failed = hours.reduce((sum, hour) => sum + hour.failed, 0);
  const handed = hours.reduce((sum, hour) => sum + hour.submitted, 0);
  return h(
    "div",
    { class: "page" },
    card("Mail of the last 24 hours", hourly("Mail by hour", hours, series), h("p", { class: "note" }, `${many(handed, "message")} handed in by users, ${many(failed, "recipient")} given up.`)),
    card("Verdicts of the last 24 hours", verdicts.length ? shares(verdicts.map(share)) : h("p", { class: "note" }, "No mail was judged.")),
  );
}

function share({ action, text, messages }) {
  const [name, colour] = DEEDS[action] ?? [action, 0];
  return { name: `${name}: ${text}`, count: messages, colour };
}

/** The worst first; what is well is one line. */
function findings(all) {
  const well = all.filter(({ level }) => level === "ok");
  const rest = all.filter(({ level }) => level !== "ok");
  return [
    rest.length > 0 && h("ul", { class: "findings" }, rest.map(finding)),
    h("details", { class: "note" }, h("summary", {}, `${many(well.length, "check")} found nothing to say`), h("ul", { class: "findings" }, well.map(finding))),
  ];
}

function finding({ level, subject, text, remedy }) {
  return h(
    "li",
    { class: "finding" },
    badge(level),
    h("div", {}, h("p", {}, h("strong", {}, subject), " ", text), remedy && h("p", { class: "remedy" }, remedy)),
  );
}
