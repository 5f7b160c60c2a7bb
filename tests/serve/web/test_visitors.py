"""Signing in and out, and what a request proves about who asks."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest
from aiohttp import web

from daemon import passwords
from daemon.admin import people, sessions
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.serve.web import app, visitors
from daemon.store import accounts, events, web_sessions
from daemon.store.tx import Tx
from tests.instruments.until import soon
from tests.serve.web.conftest import Site, leave
from tests.store.stage import address, clean

ANN, BOB, PASSWORD = "ann@example.org", "bob@example.org", "correct horse"
HOST = "mail.example.org"
OURS = {"Origin": f"https://{HOST}"}
BROWSER = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "User-Agent": "Lynx/1"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


class Answer:
    def __init__(self, text: str) -> None:
        head, _, self.body = text.partition("\r\n\r\n")
        self.status = int(head.split(" ", 2)[1])
        self.fields = [tuple(line.split(": ", 1)) for line in head.split("\r\n")[1:]]

    def field(self, name: str) -> str:
        return "; ".join(f[1] for f in self.fields if f[0].lower() == name.lower())

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def cookie(self) -> str:
        return self.field("Set-Cookie").partition(";")[0]


class Client:
    """A browser, or what says it is one."""

    door = "https"

    def __init__(self, site: Site, **fields: str) -> None:
        self.site = site
        self.fields = fields

    async def ask(self, verb: str, path: str, body: Any = None, **fields: str) -> Answer:
        sent = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        given = {"Content-Type": "application/json", **self.fields} | {
            k.replace("_", "-"): v for k, v in fields.items()
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        reader, writer = await self.site.dial(self.door, host=HOST)
        head = f"{verb} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {len(sent)}\r\n"
        writer.write(f"{head}{lines}\r\n".encode() + sent)
        answer = (await reader.read()).decode()
        await leave(writer)
        return Answer(answer)

    async def sign_in(self, user: str = ANN, password: str = PASSWORD, **more: Any) -> Answer:
        answer = await self.ask("POST", "/login", {"login": user, "password": password, **more})
        if answer.status == 200 and answer.cookie:
            self.fields["Cookie"] = answer.cookie
        return answer

    async def who(self, verb: str = "GET", **fields: str) -> Any:
        """What `visitor` says of who asks; the status if it refuses."""
        answer = await self.ask(verb, "/who", **fields)
        return answer.json if answer.status == 200 else answer.status


async def who(request: web.Request) -> web.StreamResponse:
    found = await visitors.visitor(request)
    said = [str(found.identity.address), found.kind, found.admin, found.entire]
    return web.Response(body=msgspec.json.encode(said), content_type="application/json")


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(app, "ROUTES", (*app.ROUTES, web.route("*", "/who", who)))
    made = Site(tmp_path / "data")
    for user, admin in ((ANN, False), (BOB, True)):
        people.add(made.store, user, PASSWORD, admin=admin)
    made.open()
    yield made
    clean(made.store)
    await made.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class AllBanned:
    def reason(self, peer: str) -> str:
        return "login-failures"


def listed(site: Site) -> list[web_sessions.WebSession]:
    return site.store.read_now(web_sessions.everyone)


async def test_a_browser_signs_in_and_out(home: Site) -> None:
    browser = Client(home, **BROWSER)
    assert await browser.who() == 401
    answer = await browser.sign_in()
    assert answer.status == 200 and answer.json == {
        "state": "in", "user": ANN, "accountId": f"u{listed(home)[0].account_id}", "isAdmin": False,
    }  # fmt: skip
    said = answer.field("Set-Cookie")
    assert re.match(r"__Host-session=[A-Za-z0-9_-]{43};", said)
    assert all(word in said for word in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/")) and "Domain" not in said
    assert "Max-Age" not in said, "gone with the browser, unless he wants to be remembered"
    assert await browser.who() == [ANN, "session", False, True]
    assert await browser.who("POST") == [ANN, "session", False, True]
    (session,) = listed(home)
    assert (session.factor, session.peer, session.agent) == ("password", "127.0.0.1", "Lynx/1")
    token = answer.cookie.partition("=")[2].encode()
    assert token not in (home.store.data.database).read_bytes(), "only its digest is kept"
    out = await browser.ask("POST", "/logout")
    assert out.status == 200 and 'session=""' in out.field("Set-Cookie") and "Max-Age=0" in out.field("Set-Cookie")
    assert await browser.who() == 401 and listed(home) == []
    assert (await browser.ask("POST", "/logout")).status == 200, "out is out"


async def test_who_wants_to_be_remembered_is_and_one_browser_has_one_session(home: Site) -> None:
    browser = Client(home, **BROWSER)
    assert "Max-Age=7776000" in (await browser.sign_in(remember=True)).field("Set-Cookie")
    before = browser.fields["Cookie"]
    await browser.sign_in(user=BOB)
    assert await browser.who() == [BOB, "session", True, True] and len(listed(home)) == 1
    assert await Client(home, **BROWSER, Cookie=before).who() == 401


@pytest.mark.parametrize(
    "fields,want",
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site", **OURS}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        (OURS, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": f"http://{HOST}"}, 403),
        ({"Origin": f"https://{HOST}.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_what_changes_something_must_come_from_a_page_of_ours(
    home: Site, fields: dict[str, str], want: int
) -> None:
    browser = Client(home, **BROWSER)
    await browser.sign_in()
    forged = Client(home, Cookie=browser.fields["Cookie"], **fields)
    for verb in ("POST", "PUT", "DELETE"):
        assert await forged.who(verb) == (want if want != 200 else [ANN, "session", False, True])
    socket = await forged.ask("GET", "/who", Upgrade="websocket", Connection="Upgrade")
    assert socket.status == want, "another page's WebSocket would show the cookie too"
    foreign = fields.get("Sec-Fetch-Site") in ("same-site", "cross-site")
    assert await forged.who() == (403 if foreign else [ANN, "session", False, True])
    assert (await forged.ask("POST", "/logout")).status == want
    assert (await forged.ask("POST", "/login", {"login": BOB, "password": PASSWORD})).status == want


async def test_only_json_is_read_to_sign_in(home: Site) -> None:
    browser = Client(home, **BROWSER)
    good = b'{"login":"ann@example.org","password":"correct horse"}'
    for body, kind, want in (
        (good, "text/plain", 415), (good, "application/x-www-form-urlencoded", 415), (good, "", 415),
        (b"", "application/json", 400), (b"[]", "application/json", 400), (b'{"login": 5}', "application/json", 400),
        (b"[" * 60_000, "application/json", 400), (b'{"login":"\xff"}', "application/json", 400),
        (b'{"password":"' + b"x" * LIMITS.http_body + b'"}', "application/json", 413),
        (good, "application/json; charset=utf-8", 200),
    ):  # fmt: skip
        assert (await browser.ask("POST", "/login", body, Content_Type=kind)).status == want, (body[:60], kind)


async def test_wrong_passwords_are_all_the_same_and_cost_a_ban(home: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Client(home, **BROWSER)
    answers = [await browser.sign_in(password="wrong"), await browser.sign_in(user="nobody@example.org")]
    texts = {(a.status, a.json["text"], a.cookie) for a in answers}
    assert texts == {(401, "authentication failed", "")}
    people.change(home.store, ANN, enabled=False)
    answer = await browser.sign_in()
    assert (answer.status, answer.json["reason"], answer.cookie) == (403, "disabled", "")
    monkeypatch.setattr(home.door, "_bans", AllBanned())
    answer = await browser.sign_in(user=BOB)
    assert (answer.status, answer.json["reason"], answer.json["isTemporary"]) == (429, "banned", True)
    assert answer.field("Retry-After") == str(LIMITS.ban)
    assert await Client(home, Authorization=basic(BOB, PASSWORD)).who() == 429


async def test_programs_show_a_password_or_a_token(home: Site) -> None:
    jmap = people.add_app_password(home.store, ANN, "phone", scopes=["jmap"]).password or ""
    imap = people.add_app_password(home.store, ANN, "old", scopes=["imap"]).password or ""
    every = people.add_app_password(home.store, BOB, "every").password or ""
    for shown, want in (
        (basic(ANN, PASSWORD), [ANN, "basic", False, True]),
        (basic(BOB, PASSWORD), [BOB, "basic", True, True]),
        (basic(ANN, jmap), [ANN, "basic", False, False]),
        (basic(ANN, imap), 401),
        (basic(ANN, every), 401),
        (f"Bearer {jmap}", [ANN, "bearer", False, False]),
        (f"bearer  {every}", [BOB, "bearer", True, False]),
        (f"Bearer {imap}", 401),
        (f"Bearer {PASSWORD}", 401),
        ("Bearer ", 401),
        ("Bearer " + "x" * 2000, 401),
        ("Basic", 401),
        ("Basic !!!", 401),
        ("Basic " + base64.b64encode(b"no colon").decode(), 401),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), 401),
        ("Negotiate abc", 401),
        ("", 401),
    ):
        assert await Client(home).who(Authorization=shown or " ") == want, shown
        assert await Client(home).who("POST", Authorization=shown or " ") == want, shown
    people.remove_app_password(home.store, BOB, "every")
    assert await Client(home).who(Authorization=f"Bearer {every}") == 401


async def test_a_browser_s_remembered_password_does_not_serve_other_pages(home: Site) -> None:
    shown = basic(ANN, PASSWORD)
    for fields in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert await Client(home, Authorization=shown, **fields).who("POST") == 403
    refused = await Client(home, **BROWSER).ask("GET", "/who")
    assert refused.status == 401 and "Basic" not in refused.field("WWW-Authenticate"), "no window of the browser's own"
    assert "Basic" in (await Client(home).ask("GET", "/who")).field("WWW-Authenticate")
    assert refused.field("Content-Type").startswith("application/problem+json") and refused.json["status"] == 401


async def test_sign_in_takes_the_own_password_only(home: Site) -> None:
    every = people.add_app_password(home.store, ANN, "every").password or ""
    answer = await Client(home, **BROWSER).sign_in(password=every)
    assert (answer.status, answer.json["reason"]) == (401, "scope"), (
        "a program's password gives no rights over the rest"
    )


async def test_app_passwords_only_for_everybody(home: Site) -> None:
    home.settings["auth.app_passwords_only"] = "always"
    every = people.add_app_password(home.store, ANN, "every").password or ""
    assert await Client(home).who(Authorization=basic(ANN, PASSWORD)) == 401
    assert await Client(home).who(Authorization=basic(ANN, every)) == [ANN, "basic", False, False]
    browser = Client(home, **BROWSER)
    assert (await browser.sign_in()).status == 200


# -- how sessions end --------------------------------------------------------------------------------------------------


async def test_how_sessions_end(home: Site) -> None:
    def end(name: str) -> None:
        match name:
            case "password":
                people.set_password(home.store, ANN, "another one")
            case "kill":
                sessions.end(home.store, ANN, keep_app_passwords=True)
            case "disabled":
                people.change(home.store, ANN, enabled=False)
            case "removed":
                people.remove(home.store, ANN)

    for name in ("password", "kill", "disabled"):
        people.change(home.store, ANN, enabled=True)
        people.set_password(home.store, ANN, PASSWORD)
        browser, other = Client(home, **BROWSER), Client(home, **BROWSER)
        assert (await browser.sign_in()).status == 200 and (await other.sign_in(user=BOB)).status == 200
        end(name)
        assert await browser.who() == 401, name
        assert await other.who() == [BOB, "session", True, True]
    people.change(home.store, ANN, enabled=True)
    await browser.sign_in()
    end("removed")
    assert await browser.who() == 401 and {s.account_id for s in listed(home)} == {listed(home)[0].account_id}


async def test_time_ends_sessions(home: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = home.store.clock()
    browser = Client(home, **BROWSER)
    await browser.sign_in()
    late = now
    monkeypatch.setattr(home.store, "clock", lambda: late)
    day = 86_400_000
    for days, alive in ((13, True), (26, True), (39, True), (52, True), (65, True), (78, True), (91, False)):
        late = now + days * day
        assert (await browser.who() != 401) == alive, days
        if alive:
            await soon(lambda: listed(home)[0].seen_at == home.store.clock())
    assert home.store.write_now(web_sessions.forget, 10) == 1
    late = now
    await browser.sign_in()
    late = now + 15 * day
    assert await browser.who() == 401, "nobody used it"


async def test_one_user_has_so_many_sessions(home: Site) -> None:
    for _ in range(LIMITS.web_sessions + 3):
        answer = await Client(home, **BROWSER).sign_in()
        assert answer.status == 200
    assert len(listed(home)) == LIMITS.web_sessions


async def test_a_session_remembers_little_of_a_browser(home: Site) -> None:
    await Client(home, **BROWSER | {"User-Agent": "x" * 3000}).sign_in()
    assert listed(home)[0].agent == "x" * LIMITS.web_agent


async def test_a_browser_whose_name_is_no_text_signs_in(home: Site) -> None:
    """Octets that are no UTF-8 come as halves of characters, which no database keeps."""
    body = msgspec.json.encode({"login": ANN, "password": PASSWORD})
    reader, writer = await home.dial("https", host=HOST)
    head = f"POST /login HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n"
    fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer.write((head + fields).encode() + b"User-Agent: odd \xff\r\nCookie: __Host-session=\xff\r\n\r\n" + body)
    answer = (await reader.read()).decode()
    await leave(writer)
    assert answer.startswith("HTTP/1.1 200 "), answer
    assert listed(home)[0].agent == "odd ?"


async def test_octets_that_are_no_text_are_refused_as_such(home: Site) -> None:
    """In every address and in the fields that are read: no answer is a fault of ours."""
    token = base64.b64encode(f"{ANN}:{PASSWORD}".encode())
    account = home.store.peek(accounts.get, parse_address(ANN)).id
    paths = ("/", "/static/%s", "/message/%s", "/message/%s/%s", f"/jmap/download/u{account}/%s/%s", "/jmap/upload/%s/")
    more = (
        "/jmap/events?types=%s",
        f"/jmap/download/u{account}/e1.raw/x?type=%s",
        "/mail/config-v1.1.xml?emailaddress=%s",
    )
    more += (
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=%s",
        "/quarantine/release?token=%s",
        "/clients/%s",
    )
    for octets in (b"\xff", b"%FF", b"%00", b"%ED%A0%80", b"%0D%0AX: y", b"..%2f..%2fx", b"%F0%9F"):
        for path in (*paths, *more):
            asked = path.encode().replace(b"%s", octets)
            for verb in (b"GET", b"POST"):
                fields = b"Authorization: Basic " + token + b"\r\nIf-None-Match: \xff\r\nRange: \xff\r\n"
                for shown in (fields, b"Authorization: Bearer \xff\r\n"):
                    reader, writer = await home.dial("https", host=HOST)
                    head = b" HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nConnection: close\r\nContent-Length: 0\r\n"
                    writer.write(verb + b" " + asked.replace(b" ", b"+") + head + shown + b"\r\n")
                    answer = (await reader.read()).decode()
                    await leave(writer)
                    assert re.match(r"HTTP/1\.[01] [234]", answer), (asked, shown, answer[:200])


async def test_a_use_is_noted_now_and_then(home: Site) -> None:
    browser = Client(home, **BROWSER)
    await browser.sign_in()
    (before,) = listed(home)
    for _ in range(5):
        assert await browser.who() != 401
    assert [session.seen_at for session in listed(home)] == [before.seen_at], "no write a request"
    assert await browser.who(Cookie="__Host-session=" + "x" * (LIMITS.web_token + 1)) == 401


async def test_a_sign_in_leaves_an_event(home: Site) -> None:
    await Client(home, **BROWSER).sign_in()
    found = [e for e in home.store.read_now(Tx.all, "select kind, reason, recipient, peer from event")]
    assert found == [("login", "web-password", ANN, "127.0.0.1")]
    assert events.KINDS["login"]


async def test_who_stays_long_is_looked_after(home: Site) -> None:
    await Client(home, **BROWSER).sign_in()
    (session,) = listed(home)
    known = home.store.read_now(accounts.credentials, address(ANN))
    assert known is not None
    identity = visitors.Identity(known.account_id, known.address, epoch=known.epoch)
    browser = visitors.Visitor(identity, "session", session.id)
    program = visitors.Visitor(identity, "basic")
    assert visitors.is_here(home.store, browser) and visitors.is_here(home.store, program)
    sessions.end(home.store, ANN)
    assert not visitors.is_here(home.store, browser) and not visitors.is_here(home.store, program)


async def test_behind_a_proxy_the_real_peer_counts(home: Site) -> None:
    home.settings["proxy.trusted"] = "127.0.0.1"
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port("https"))
    writer.write(b"PROXY TCP4 192.0.2.9 192.0.2.1 1234 443\r\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await writer.start_tls(context, server_hostname=HOST)
    body = msgspec.json.encode({"login": ANN, "password": PASSWORD}).decode()
    head = f"POST /login HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://{HOST}\r\nConnection: close\r\n"
    head += f"X-Forwarded-For: 203.0.113.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    assert b" 200 " in await reader.readline()
    await leave(writer)
    assert [one.peer for one in listed(home)] == ["192.0.2.9"]


async def test_every_answer_is_careful(home: Site) -> None:
    for answer in (await Client(home).ask("GET", "/nothing"), await Client(home, **BROWSER).sign_in()):
        assert answer.field("X-Content-Type-Options") == "nosniff" and answer.field("Cache-Control") == "no-store"
        assert answer.field("Content-Security-Policy").startswith("default-src 'none'; frame-ancestors 'none'")
        assert answer.field("Referrer-Policy") == "no-referrer" and answer.field("X-Frame-Options") == "DENY"
