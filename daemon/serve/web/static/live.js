/** News as they happen (RFC 8620 §7.3): the server says that something changed, we ask what. And words about new mail. */

import { nameOf } from "./conversations.js";
import { jmap } from "./jmap.js";
import { go } from "./router.js";
import { state } from "./state.js";
import { sync } from "./sync.js";
import { announce } from "./toasts.js";

const AGAIN = [2, 5, 15, 30, 60]; // seconds until the next attempt to be told
const NOTIFY = "notifications";
let source = null;
let failures = 0;
let timer;

/** Begin to listen, for as long as one is signed in. */
export function listen() {
  connect();
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && sync());
  window.addEventListener("online", () => {
    connect();
    sync();
  });
  state.on("arrived", arrived);
  state.on("mailboxes", title);
  state.on("route", title);
}

export function silence() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function connect() {
  silence();
  if (!jmap.session?.eventSourceUrl) return;
  source = new EventSource(jmap.eventsUrl());
  source.addEventListener("state", (event) => {
    const { changed } = JSON.parse(event.data);
    const mine = changed?.[jmap.accountId];
    if (mine && Object.entries(mine).some(([type, value]) => state.at[type] !== value)) sync();
  });
  source.addEventListener("open", () => {
    if (failures) sync();
    failures = 0;
  });
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    timer = setTimeout(() => {
      connect();
      sync();
    }, AGAIN[Math.min(failures++, AGAIN.length - 1)] * 1000);
  });
}

function title() {
  const unread = state.byRole("inbox")?.unreadThreads ?? 0;
  document.title = `${unread ? `(${unread}) ` : ""}${state.listing?.title ?? "Mail"}`;
}

function arrived(emails) {
  const [first] = emails;
  const who = nameOf(first.from?.[0]) || "somebody";
  announce(emails.length === 1 ? `New mail from ${who}: ${first.subject || "no subject"}` : `${emails.length} new messages`);
  if (wantsNotices() && document.visibilityState === "hidden") {
    const shown = new Notification(emails.length === 1 ? who : `${emails.length} new messages`, {
      body: first.subject || first.preview, tag: "new-mail", icon: new URL("icon.svg", import.meta.url).href,
    });
    shown.onclick = () => {
      window.focus();
      go({ place: "inbox", thread: first.threadId });
      shown.close();
    };
  }
}

export function wantsNotices() {
  return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(NOTIFY) === "yes";
}

/** Turn notices of new mail on or off in this browser, which asks the user. Returns how it is now. */
export async function setNotices(on) {
  const may = on && "Notification" in window && (await Notification.requestPermission()) === "granted";
  localStorage.setItem(NOTIFY, may ? "yes" : "no");
  return may;
}
