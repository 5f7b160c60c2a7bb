/** The page wakes: who is it, what is there, and which hand does what. */

import { ahead } from "./ahead.js";
import { $, $$, fill, h, icon, iconButton, mark } from "./dom.js";
import { Commands, MOST, selectEverything } from "./commands.js";
import { isUnread } from "./conversations.js";
import { menu } from "./dialogs.js";
import { drawFolders } from "./folders.js";
import { jmap } from "./jmap.js";
import { Keys, showKeys } from "./keys.js";
import { notice } from "./labels.js";
import { listen, setNotices, wantsNotices } from "./live.js";
import { drawListHead } from "./list_head.js";
import { ListView } from "./list.js";
import { Listing } from "./listing.js";
import { Reader } from "./reader.js";
import { go, parse, sameList } from "./router.js";
import { SearchBox } from "./searchbox.js";
import { forget, maybeInside, signIn, signOut } from "./signin.js";
import { state } from "./state.js";
import { load, sync } from "./sync.js";
import { swiped } from "./swipe.js";
import { mailtoOf } from "./text.js";
import { setTheme, theme } from "./theme.js";
import { Tools } from "./tools.js";
import { failed, toast } from "./toasts.js";

const html = document.documentElement;

/** What the page is made of; the commands work with it. */
const page = { openThread, narrow, composer };
let enter;
const inside = new Promise((resolve) => (enter = resolve)); // what the page needs was loaded

async function start() {
  fill($("#menu-button"), icon("menu"));
  fill($("#brand-mark"), icon("unread"));
  if (!maybeInside()) await signIn();
  build();
  html.dataset.view = "mail"; // its rows are still coming
  page.list.draw();
  try {
    await jmap.open();
  } catch (error) {
    if (error.type !== "signedOut") return trouble(error);
    forget();
    return start();
  }
  account();
  try {
    await load();
  } catch (error) {
    return trouble(error);
  }
  window.addEventListener("hashchange", showRoute);
  showRoute();
  enter();
  listen();
  import("./compose.js").then(({ startOutbox }) => startOutbox(), () => {});
  return undefined;
}

function trouble(error) {
  html.dataset.view = "trouble";
  const again = h("button", { type: "button", class: "button primary", on: { click: () => location.reload() } }, "Try again");
  fill($("#sign-in"), h("div", { class: "sign-card" }, h("h1", {}, "The mail does not open"), h("p", {}, error.message), again));
  $("#sign-in").hidden = false;
  again.focus();
}

let built = false;
function build() {
  if (built) return;
  built = true;
  const commands = new Commands(page);
  const tools = new Tools(commands);
  commands.tools = tools;
  Object.assign(page, { commands, tools });
  page.list = new ListView({ open: openThread, act: (name, ids) => commands.deeds[name](ids), menu: (at, ids) => tools.threadMenu(at, ids) });
  page.reader = new Reader({
    act: (...what) => commands.one(...what),
    tools: (ids) => tools.buttons(ids),
    messageMenu: (at, email) => tools.messageMenu(at, email),
    back: () => commands.back(),
    step: (by) => commands.step(by),
  });
  page.search = new SearchBox();
  swiped($("#grid"), {
    left: (id) => commands.deeds.archive([id]),
    right: (id) => (state.emailsOf(id).some(isUnread) ? commands.deeds.read([id]) : commands.deeds.unread([id])),
  });
  new Keys(commands.keys);
  drawer();
  jmap.addEventListener("signedout", () => {
    if (!state.listing) return; // not in yet: `start` asks
    forget();
    location.reload();
  });
  jmap.addEventListener("online", () => state.emit("online"));
  state.on("online", offline);
  state.on("mailboxes", drawFoldersSoon);
  state.on("emails", (ids) => notice([...ids].map((id) => state.emails.get(id))) && drawFoldersSoon());
  state.on("list", () => {
    notice(state.listing.threads().flatMap((threadId) => state.emailsOf(threadId))) && drawFoldersSoon();
    drawTools();
  });
  state.on("selection", drawTools);
  state.on("leaving", (ids) => commands.leaving(ids));
  document.addEventListener("click", mailto);
}

// -- where we are ------------------------------------------------------------------------------------------------------

function showRoute() {
  const asked = parse(location.hash);
  if (asked.place === "write") return wanted(asked.name);
  const over = asked.place === "settings"; // they stand above the mail, which stays as it was
  const route = over ? (state.listing ? state.route : { place: "inbox" }) : asked;
  const before = state.route;
  state.route = route;
  closeDrawer();
  if (over) settings(asked.name, asked.about);
  if (!state.listing || !sameList(before, route)) {
    state.selected.clear();
    begin(new Listing(route, ""));
  }
  page.search.follow(route);
  drawFoldersSoon();
  page.reader.show(route.thread ?? null);
  if (route.thread) page.list.point(route.thread);
  else page.list.draw();
  drawTools();
  state.emit("route");
}

/** A page elsewhere has an address that one writes to, and this is what the browser opens: a window, and nothing sent. */
function wanted(address) {
  go(state.listing ? state.route : { place: "inbox" }, { replace: true });
  const asked = mailtoOf(address);
  if (asked) composer({ mode: "new", ...asked });
}

function begin(listing) {
  state.listing = listing;
  listing.title = titleOf(listing.route);
  page.list.begin();
}

function titleOf({ place, name }) {
  if (place === "search") return "Search";
  if (place === "starred") return "Starred";
  if (place === "all") return "All mail";
  if (place === "label") return name;
  return state.nameOf(place === "folder" ? state.mailboxes.get(name) : state.byRole(place)) || "Folder";
}

/** Only some of the list: unread, starred, attachment; "" for all. */
function narrow(what) {
  state.selected.clear();
  begin(new Listing({ ...state.route, thread: undefined }, state.listing.narrow === what ? "" : what));
  drawTools();
}

function openThread(threadId) {
  const emails = state.emailsOf(threadId);
  const draft = state.route.place === "drafts" || emails.length === 1 ? emails.findLast(({ keywords }) => keywords.$draft) : null;
  if (draft) return composer({ mode: "draft", email: draft });
  return go({ ...state.route, thread: threadId }, { replace: Boolean(state.route.thread) });
}

async function settings(section, about) {
  try {
    const { showSettings } = await import("./settings.js");
    showSettings(section, about);
  } catch (error) {
    failed(error, "The settings do not open");
  }
}

/** The composer is fetched when it is first wanted; one may begin to write at once. */
async function composer(what) {
  try {
    await ahead(Promise.all([import("./compose.js"), inside]).then(([{ composerFor }]) => composerFor(what)));
  } catch (error) {
    failed(error, "Cannot write now");
  }
}

// -- what surrounds the mail -------------------------------------------------------------------------------------------

let soon = 0;
function drawFoldersSoon() {
  cancelAnimationFrame(soon);
  soon = requestAnimationFrame(() => drawFolders({ compose: page.commands.keys.compose }));
}

function drawTools() {
  drawListHead({ page });
  drawNotice();
  page.tools.drawBottom();
}

function account() {
  const name = jmap.session.username ?? "";
  const { adminUrl } = jmap.session.accounts[jmap.accountId]?.accountCapabilities["urn:mailctl:owner"] ?? {};
  const choose = (event) => menu(event.currentTarget, [
    { label: "Settings", icon: "settings", run: () => go({ place: "settings", name: "" }) },
    adminUrl && { label: "Administration", icon: "shield", run: () => open(adminUrl, "_blank", "noopener") },
    { label: "Keyboard shortcuts", icon: "keyboard", key: "?", run: showKeys },
    { label: "Tell me of new mail", icon: "bell", checked: wantsNotices(), run: notices },
    null,
    { label: "Light", icon: "sun", checked: theme() === "light", run: () => setTheme("light") },
    { label: "Dark", icon: "sun", checked: theme() === "dark", run: () => setTheme("dark") },
    { label: "As the system", icon: "sun", checked: theme() === "", run: () => setTheme("") },
    null,
    { label: `Sign out ${name}`, icon: "signout", run: signOut },
  ]);
  fill(
    $("#bar-end"),
    iconButton("compose", "Write", () => page.commands.keys.compose(), { key: "c", className: "icon-button bar-compose" }),
    h("button", { type: "button", class: "account-button", title: name, aria: { label: `Account: ${name}`, haspopup: "menu" }, on: { click: choose } }, (name[0] ?? "?").toUpperCase()),
  );
}

async function notices() {
  const wanted = !wantsNotices();
  const on = await setNotices(wanted);
  toast(on ? "New mail is told here while you look elsewhere" : wanted ? "This browser does not allow it" : "New mail is not told any more");
}

function drawer() {
  const button = $("#menu-button");
  button.addEventListener("click", () => {
    const open = html.dataset.drawer !== "open";
    html.dataset.drawer = open ? "open" : "";
    mark(button, "expanded", open);
    $("#shade").hidden = !open;
    if (open) $("#folders a[aria-current], #folders a")?.focus();
  });
  $("#shade").addEventListener("click", closeDrawer);
  document.addEventListener("keydown", (event) => event.key === "Escape" && html.dataset.drawer === "open" && closeDrawer());
}

function closeDrawer() {
  html.dataset.drawer = "";
  mark($("#menu-button"), "expanded", false);
  $("#shade").hidden = true;
}

/** Above the list: that there is no connection, else that more could be ticked. */
function drawNotice() {
  const { listing, selected } = state;
  const here = listing?.threads().length ?? 0;
  const more = selected.size > 0 && selected.size >= here && (listing.total ?? 0) > here;
  const all = Math.min(listing?.total ?? 0, MOST);
  $("#list-notice").hidden = jmap.online && !more;
  if (!jmap.online) fill($("#list-notice"), "No connection. What you see may be old; it is tried again.");
  else if (more) fill($("#list-notice"), `The ${selected.size} newest are ticked. `, h("button", { type: "button", class: "link-button", on: { click: selectEverything } }, all < listing.total ? `Tick the newest ${all}` : `Tick all ${all}`));
}

function offline() {
  drawNotice();
  if (jmap.online) sync();
  else setTimeout(() => sync(), 5000);
}

/** A click on an address writes to it. */
function mailto(event) {
  const link = event.target.closest?.("a[data-mailto]");
  if (!link) return;
  event.preventDefault();
  const asked = mailtoOf(link.href);
  if (asked) composer({ mode: "new", ...asked });
}

for (const skip of $$(".skip")) {
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    $("#grid").focus();
  });
}

start();
