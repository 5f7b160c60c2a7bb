/** The administration page: signing in, the places, and which one is shown. */

import "../theme.js";
import { $, fill, h, mark } from "../dom.js";
import { post, signIn } from "../signin.js";
import { ask } from "./api.js";
import { sentence } from "./parts.js";

/** Each place with the module that shows it, loaded when it is gone to first. */
const PLACES = {
  overview: ["Overview", async () => (await import("./overview.js")).overview],
  queue: ["Queue", async () => (await import("./queue.js")).queue],
  trace: ["Trace", async () => (await import("./trace.js")).trace],
  quarantine: ["Quarantine", async () => (await import("./kept.js")).quarantine],
  reports: ["Reports", async () => (await import("./kept.js")).reports],
  users: ["Users", async () => (await import("./users.js")).users],
  domains: ["Domains", async () => (await import("./people.js")).domains],
  aliases: ["Aliases", async () => (await import("./people.js")).aliases],
  sessions: ["Sessions", async () => (await import("./guard.js")).sessions],
  bans: ["Bans", async () => (await import("./guard.js")).bans],
  routes: ["Routes", async () => (await import("./guard.js")).routes],
  dns: ["DNS", async () => (await import("./keys.js")).dns],
  dkim: ["DKIM", async () => (await import("./keys.js")).dkim],
  certificates: ["Certificates", async () => (await import("./keys.js")).certificates],
  settings: ["Settings", async () => (await import("./config.js")).settings],
};
const FIRST = ["users", "sessions", "routes"]; // of a group: before it are mail, people, those who are here

async function begin() {
  for (;;) {
    try {
      await ask("status");
      break;
    } catch (error) {
      if (error.kind === "signedOut") await signIn("Administration");
      else if (!(await turnedAway(error))) return;
    }
  }
  document.documentElement.dataset.view = "admin";
  fill($("#bar-end"), h("button", { type: "button", class: "button", on: { click: out } }, "Sign out"));
  addEventListener("hashchange", async () => {
    await show();
    $("#main").focus({ preventScroll: true });
  });
  addEventListener("signed-out", () => location.reload());
  await show();
}

/** Who is no administrator reads why, and may be somebody else. */
function turnedAway(error) {
  document.documentElement.dataset.view = "sign-in";
  const place = $("#sign-in");
  place.hidden = false;
  return new Promise((resolve) => {
    const another = async () => {
      await post("/logout", {});
      resolve(true);
    };
    fill(place, h("div", { class: "sign-card" }, h("h1", {}, "Administration"), h("p", { role: "alert" }, sentence(error)), h("button", { type: "button", class: "button primary wide", on: { click: another } }, "Sign in as somebody else")));
  });
}

async function out() {
  await post("/logout", {});
  location.reload();
}

async function show() {
  const { hash } = location;
  const [, name, what] = hash.split("/").map(decodeURIComponent);
  const place = PLACES[name] ? name : "overview";
  fill(
    $("#places"),
    Object.entries(PLACES).map(([key, [label]]) => mark_(h("a", { href: `#/${key}`, class: [FIRST.includes(key) && "first"] }, label), key === place)),
  );
  $("#places [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
  document.title = `${PLACES[place][0]} · Administration`;
  const draw = await PLACES[place][1]();
  if (hash === location.hash) fill($("#main"), draw(show, what)); // else one is somewhere else meanwhile
}

function mark_(link, here) {
  mark(link, "current", here ? "page" : null);
  return link;
}

begin();
