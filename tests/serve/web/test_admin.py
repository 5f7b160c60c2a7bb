"""The administration page: whom it answers, and that each of its verbs is the one `mailctl` calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.admin import dkim, factors, people
from daemon.admin.errors import BadData
from daemon.limits import LIMITS
from daemon.serve import renewal
from daemon.serve.web import pages
from daemon.serve.web.admin import office
from daemon.serve.web.admin.verb import Nothing, Verb
from daemon.serve.web.admin.verbs import VERBS
from daemon.store import blobs, events, queue, settings
from daemon.store import factors as rows
from daemon.store.db import Store
from daemon.store.queue import NewMessage, NewRecipient
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.serve.web.conftest import Site
from tests.serve.web.test_factors import Clock
from tests.serve.web.test_quarantine import put as keep
from tests.serve.web.test_visitors import ANN, BOB, BROWSER, PASSWORD, Answer, Client, basic
from tests.store.stage import clean

HOUR = 3_600_000


class Admin(Client):
    """A browser at `listen.admin`."""

    door = "admin"

    async def verb(self, name: str, asked: Any = None, **fields: str) -> Answer:
        return await self.ask("POST", f"/admin/api/{name}", {} if asked is None else asked, **fields)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "data")
    for key, value in made.settings.items():
        made.store.write_now(settings.put, key, value, "test")
    for user, admin in ((ANN, False), (BOB, True)):
        people.add(made.store, user, PASSWORD, admin=admin)
    made.open()
    yield made
    clean(made.store)
    await made.close()


@pytest.fixture
async def bob(home: Site) -> Admin:
    client = Admin(home, **BROWSER)
    await client.sign_in(BOB)
    return client


async def test_nobody_but_an_administrator_is_answered(home: Site) -> None:
    stranger, ann = Admin(home, **BROWSER), Admin(home, **BROWSER)
    assert (await ann.sign_in(ANN)).json["isAdmin"] is False
    for name in VERBS:
        assert (await stranger.verb(name)).status == 401, name
        answer = await ann.verb(name)
        assert (answer.status, answer.json["detail"]) == (403, "only administrators may, who signed in at this page")


async def test_a_password_without_signing_in_is_not_enough(home: Site) -> None:
    made = people.add_app_password(home.store, BOB, "phone").password or ""
    for shown in (basic(BOB, PASSWORD), basic(BOB, made), f"Bearer {made}"):
        assert (await Admin(home, **BROWSER, Authorization=shown).verb("status")).status == 403


async def test_who_is_no_administrator_any_more_is_shown_out(home: Site, bob: Admin) -> None:
    assert (await bob.verb("status")).status == 200
    people.change(home.store, BOB, admin=False)
    assert (await bob.verb("status")).status == 403


async def test_other_pages_make_nobody_do_anything(bob: Admin) -> None:
    for fields in (
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "", "Origin": "https://elsewhere.example"},
        {"Sec_Fetch_Site": ""},
    ):
        assert (await bob.verb("status", **fields)).status == 403, fields


async def test_what_is_no_request_of_ours_is_told_so(bob: Admin) -> None:
    assert (await bob.verb("status", Content_Type="text/plain")).status == 415
    assert (await bob.ask("GET", "/admin/api/status")).status == 405
    assert (await bob.verb("status", {"other": 1})).status == 400
    assert (await bob.verb("queue/drop", {"ids": []})).status == 400
    assert (await bob.verb("queue/drop", {"ids": list(range(1, LIMITS.admin_rows + 2))})).status == 400
    assert (await bob.verb("traffic", {"hours": LIMITS.traffic_hours + 1})).status == 400
    assert (await bob.verb("no/such")).status == 404
    assert (await bob.verb("queue/show", {"id": "77"})).status == 404
    assert (await bob.verb("trace/find", {"since": "never"})).status == 422


async def test_the_page_and_its_verbs_are_behind_that_door_alone(home: Site, bob: Admin) -> None:
    public = Client(home, **BROWSER)
    for path in ("/admin/", "/admin", "/admin/api/status"):
        assert (await public.ask("GET", path)).status == 404
    assert (await public.ask("POST", "/admin/api/status", {}, Cookie=bob.fields["Cookie"])).status == 404
    page = await bob.ask("GET", "/admin/")
    assert page.status == 200 and page.field("Content-Security-Policy") == pages.POLICY
    assert (await bob.ask("GET", "/")).field("Location") == "/admin/"
    assert (await bob.ask("GET", "/.well-known/jmap")).status == 404


async def test_the_overview_counts_mail_by_the_hour(home: Site, bob: Admin) -> None:
    def happened(tx: Tx) -> None:
        for number, (kind, reason) in enumerate(
            (("accepted", "smtp"), ("accepted", "submission"), ("accepted", "notice"), ("sent", ""), ("failed", "x"))
        ):
            events.record(tx, f"trace{number:011}", kind, reason)
        events.record(tx, "trace00000000000", "judged", "spam", action="junk")
        events.refuse(tx, "192.0.2.1", "unknown-user", "a@a.test", "b@example.org", "550", times=7)
        for reason in ("tls-failed", "login-wrong-password", "too-many-connections-from-address", "banned"):
            events.refuse(tx, "192.0.2.1", reason, "https", "", "")

    home.store.write_now(happened)
    told = (await bob.verb("traffic", {"hours": 2})).json
    first, last = told["hours"]
    assert last["at"] - first["at"] == HOUR and last["at"] == home.store.clock() // HOUR * HOUR
    counted = {key: first[key] + last[key] for key in first if key != "at"}
    assert counted == {"incoming": 1, "submitted": 1, "sent": 1, "deferred": 0, "failed": 1, "refused": 7}
    (verdict,) = told["verdicts"]
    assert (verdict["action"], verdict["reason"], verdict["messages"]) == ("junk", "spam", 1) and verdict["text"]
    assert len((await bob.verb("traffic")).json["hours"]) == 24
    status = (await bob.verb("status")).json
    assert (status["users"], status["domains"]) == (2, 1)


def waiting(site: Site, *to: str) -> dict[str, int]:
    """Recipients in the queue with their numbers."""
    data = b"Subject: hello\r\n\r\nHello.\r\n"
    body = Body.of(data)

    def work(tx: Tx) -> None:
        message = NewMessage(
            trace="trace00000000000", sender="ann@example.org", origin="submission", prefix=b"", size=len(data),
            lifetime=5 * 24 * HOUR, warn_after=4 * HOUR,
        )  # fmt: skip
        queue.enqueue(tx, message, blobs.keep(tx, body), [NewRecipient(t) for t in to])

    site.store.write_now(work, bodies=(body,))
    return dict(site.store.read_now(lambda tx: tx.all("select address, id from queue_recipient")))


async def test_the_queue_is_shown_and_worked_on(home: Site, bob: Admin) -> None:
    ids = waiting(home, "one@far.example", "two@far.example", "three@far.example")
    listed = (await bob.verb("queue/list", {"domain": "far.example"})).json
    assert {entry["recipient"]: entry["id"] for entry in listed} == ids
    one, two, three = ids.values()
    for verb, asked, state in (
        ("hold", {"ids": [one], "reason": "they are moving"}, "held"),
        ("release", {"ids": [one]}, "due"),
        ("hold", {"ids": [one]}, "held"),
        ("flush", {"ids": [one]}, "held"),
        ("retry", {"ids": [one]}, "due"),
    ):
        assert "changed" in (await bob.verb(f"queue/{verb}", asked)).json
        (shown,) = (await bob.verb("queue/show", {"id": str(one)})).json
        assert shown["entry"]["state"] == state, verb
    assert ["Subject", "hello"] in shown["headers"]
    assert (await bob.verb("queue/stats")).json[0]["total"] == 3
    assert (await bob.verb("queue/bounce", {"ids": [two], "reason": "gone"})).json == {"changed": 1}
    assert (await bob.verb("queue/drop", {"ids": [three]})).json == {"changed": 1}
    assert [entry["recipient"] for entry in (await bob.verb("queue/list")).json] == ["one@far.example"]
    assert (await bob.verb("incident/list")).json == []
    assert (await bob.verb("incident/release", {"incident": 9})).status == 404
    assert (await bob.verb("incident/drop", {"incident": 9})).status == 404


async def test_a_trace_tells_the_story(home: Site, bob: Admin) -> None:
    def happened(tx: Tx) -> None:
        events.record(tx, "trace00000000000", "accepted", "smtp", sender="a@a.test", message_id="1@a.test")
        events.refuse(tx, "192.0.2.1", "unknown-user", "a@a.test", "nobody@example.org", "550 5.1.1 no such user")

    home.store.write_now(happened)
    for asked in ({"name": "<1@a.test>"}, {"sender": "a@a"}, {"sender": "a@a", "since": "1h"}):
        (story,) = (await bob.verb("trace/find", asked)).json
        assert story["trace"] == "trace00000000000" and "from another server" in story["steps"][0]["text"]
    assert (await bob.verb("trace/find", {"name": "2@a.test"})).status == 404
    (refused,) = (await bob.verb("trace/refusals", {"recipient": "nobody"})).json
    assert (refused["peer"], refused["count"]) == ("192.0.2.1", 1)


async def test_so_many_verbs_are_done_at_a_time(home: Site, bob: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that takes long holds nothing but its place; beyond the limit others wait for theirs."""
    begun, end = threading.Semaphore(0), threading.Event()

    def slow(store: Store, asked: Any) -> list[int]:
        begun.release()
        end.wait(30)
        return []

    monkeypatch.setitem(VERBS, "doctor", Verb(slow, Nothing))
    slower = [asyncio.create_task(bob.verb("doctor")) for _ in range(LIMITS.admin_threads)]
    try:
        for _ in slower:
            assert await asyncio.to_thread(begun.acquire, timeout=30)
        last = asyncio.create_task(bob.verb("status"))
        assert (await bob.verb("no/such")).status == 404 and not last.done()
    finally:
        end.set()
    assert [(await one).status for one in (*slower, last)] == [200] * (LIMITS.admin_threads + 1)


async def test_domains_users_and_aliases_are_kept(home: Site, bob: Admin) -> None:
    for verb, asked, said in (
        ("domain/add", {"name": "example.net"}, {"name": "example.net", "enabled": True}),
        (
            "domain/set",
            {"name": "example.net", "catch_all": [ANN], "max_users": 5},
            {"max_users": 5, "catch_all": [ANN]},
        ),
        ("domain/set", {"name": "example.net", "enabled": False, "catch_all": []}, {"enabled": False, "catch_all": []}),
        ("domain/rm", {"name": "example.net"}, {"name": "example.net"}),
        ("user/add", {"address": "eve@example.org", "password": PASSWORD, "name": "Eve"}, {"display_name": "Eve"}),
        (
            "user/set",
            {"address": "eve@example.org", "quota": "1G", "enabled": False},
            {"quota": 2**30, "enabled": False},
        ),
        ("user/passwd", {"address": "eve@example.org", "password": "another horse"}, {"address": "eve@example.org"}),
        ("alias/add", {"address": "info@example.org", "targets": ["eve@example.org"]}, {"enabled": True}),
        ("user/removal", {"address": "eve@example.org"}, {"messages": 0, "aliases": ["info@example.org"]}),
        ("user/rm", {"address": "eve@example.org"}, {"address": "eve@example.org"}),
        ("alias/set", {"address": "info@example.org", "targets": [ANN], "note": "x"}, {"targets": [ANN], "note": "x"}),
        ("alias/set", {"address": "info@example.org", "enabled": False}, {"enabled": False, "targets": [ANN]}),
        ("alias/rm", {"address": "info@example.org"}, {"address": "info@example.org"}),
    ):
        answer = await bob.verb(verb, asked)
        assert answer.status == 200, (verb, answer.body)
        assert {key: answer.json[key] for key in said} == said, verb
    assert [one["name"] for one in (await bob.verb("domain/list")).json] == ["example.org"]
    assert [one["address"] for one in (await bob.verb("user/list", {"domain": "example.org"})).json] == [ANN, BOB]
    assert (await bob.verb("alias/list")).json == []
    assert (await bob.verb("user/add", {"address": ANN})).status == 422
    assert (await bob.verb("user/set", {"address": "nobody@example.org"})).status == 404
    assert PASSWORD not in (await bob.verb("user/list")).body


async def test_what_was_kept_is_shown_released_and_thrown_away(home: Site, bob: Admin) -> None:
    keep(home)
    keep(home, reason="quarantine")
    found = {one["reason"]: one for one in (await bob.verb("quarantine/list", {"user": ANN})).json}
    first, second = found["spam-certain"], found["quarantine"]
    assert (first["subject"], first["user"], first["state"]) == ("<b>order</b>", ANN, "refused")
    shown = (await bob.verb("quarantine/show", {"id": str(first["id"])})).json
    assert shown["text"].strip() == "x" and shown["kept"] == first
    assert (await bob.verb("quarantine/release", {"id": str(first["id"])})).json == first
    assert (await bob.verb("quarantine/rm", {"id": str(second["id"])})).json == second
    assert (await bob.verb("quarantine/list")).json == []
    assert people.show(home.store, ANN).messages == 1
    assert (await bob.verb("quarantine/show", {"id": "x"})).status == 422


async def test_what_others_report_is_summed_up(home: Site, bob: Admin) -> None:
    for kind in ("dmarc", "tls"):
        told = (await bob.verb(f"report/{kind}", {"since": "7d", "domain": "example.org"})).json
        assert (told["reports"], told["days"]) == (0, []), kind
        assert (await bob.verb(f"report/{kind}", {"domain": "elsewhere.example"})).status == 404


# -- the server itself -------------------------------------------------------------------------------------------------


async def test_settings_are_changed_by_name_and_back(home: Site, bob: Admin) -> None:
    key = "queue.lifetime"
    before = (await bob.verb("config/describe", {"key": key})).json
    assert not before["changed"] and before["effect"] and before["type"]
    assert (await bob.verb("config/set", {"key": key, "value": "3d"})).json["value"] == "3d"
    assert (await bob.verb("config/set", {"key": key, "value": "soon"})).status == 422
    assert key in [one["key"] for one in (await bob.verb("config/list", {"changed": True})).json]
    (change,) = (await bob.verb("config/history", {"key": key})).json
    assert (change["old"], change["new"], change["who"]) == (None, "3d", BOB)
    assert (await bob.verb("config/revert", {"id": change["id"]})).json["value"] == before["default"]
    assert (await bob.verb("config/set", {"key": key, "value": "4d"})).json["old"] == before["default"]
    assert (await bob.verb("config/unset", {"key": key})).json["value"] == before["default"]
    assert len((await bob.verb("config/history", {"key": key, "limit": 9})).json) == 4
    assert (await bob.verb("config/describe", {"key": "queue.lifetme"})).status == 404


async def test_networks_are_banned_and_let_in_again(bob: Admin) -> None:
    made = (await bob.verb("ban/add", {"network": "192.0.2.7", "reason": "it knocks", "until": "2h"})).json
    assert (await bob.verb("ban/list")).json == [made] and made["reason"] == "it knocks"
    assert (await bob.verb("ban/add", {"network": "everybody"})).status == 422
    assert (await bob.verb("ban/rm", {"networks": ["192.0.2.7"]})).json == ["192.0.2.7"]
    assert (await bob.verb("ban/rm", {"networks": ["192.0.2.7"]})).status == 404
    assert (await bob.verb("ban/list")).json == []


async def test_sessions_are_seen_and_ended_with_what_they_came_by(home: Site, bob: Admin) -> None:
    ann = Admin(home, **BROWSER)
    await ann.sign_in(ANN)
    people.add_app_password(home.store, ANN, "phone")
    assert {one["user"] for one in (await bob.verb("session/list")).json} == {ANN, BOB}
    (here,) = (await bob.verb("session/list", {"user": ANN})).json
    assert here["protocol"] == "web"
    assert (await bob.verb("session/ending", {"user": ANN})).json["app_passwords"] == ["phone"]
    kept = (await bob.verb("session/kill", {"user": ANN, "keep_app_passwords": True})).json
    assert (kept["sessions"], kept["app_passwords"]) == (1, [])
    assert (await ann.verb("status")).status == 401
    assert (await bob.verb("session/kill", {"user": ANN})).json["app_passwords"] == ["phone"]
    assert people.app_passwords(home.store, ANN) == []


async def test_mail_goes_by_other_servers_whose_password_nobody_reads(bob: Admin) -> None:
    asked = {"kind": "sender", "pattern": "example.org", "host": "relay.example", "tls": "starttls"}
    answer = await bob.verb("route/add", {**asked, "username": "u", "password": PASSWORD})
    assert answer.json["port"] == 587 and PASSWORD not in answer.body
    listed = await bob.verb("route/list")
    assert listed.json == [answer.json] and PASSWORD not in listed.body
    assert (await bob.verb("route/add", {**asked, "kind": "any"})).status == 422
    assert (await bob.verb("route/rm", {"ids": [answer.json["id"]]})).json == listed.json
    assert (await bob.verb("route/list")).json == []


async def test_keys_records_and_certificates(home: Site, bob: Admin) -> None:
    home.store.write_now(settings.put, "dns.servers", "127.0.0.1:1", "test")
    dkim.add(home.store, "example.org", ["ed25519"])
    (key,) = (await bob.verb("dkim/list", {"domain": "example.org"})).json
    assert (key["state"], key["next"]) == ("active", "publish")
    made = (await bob.verb("dkim/rotate", {"domain": "example.org"})).json["made"]
    assert [one["state"] for one in made] == ["pending"]
    assert (await bob.verb("dkim/rotate", {"domain": "example.org"})).status == 502
    records = (await bob.verb("dns/records", {"domain": "example.org", "addresses": ["192.0.2.25"]})).json
    published = {(one["name"], one["type"]): one["data"] for one in records}
    assert published["mail.example.org", "A"] == "192.0.2.25"
    assert {(one["name"], "TXT") for one in (key, *made)} <= published.keys()
    assert [one["reason"] for one in (await bob.verb("dns/check", {"domain": "example.org"})).json] == ["dns-failed"]
    assert (await bob.verb("dns/check", {"domain": "elsewhere.example"})).status == 404
    for one in (await bob.verb("cert/list")).json:
        assert "PRIVATE KEY" not in one["chain"]
    assert (await bob.verb("cert/notes")).json == {"missing": [], "file": ""}
    refused = await bob.verb("cert/renew", {"names": ["mail.example.org"]})
    assert refused.status == 422 and "acme.agree" in refused.json["detail"]


async def test_app_passwords_and_two_factor_of_a_user(home: Site, bob: Admin) -> None:
    made = (await bob.verb("app-password/add", {"address": ANN, "name": "phone", "scopes": ["imap"]})).json
    listed = await bob.verb("app-password/list", {"address": ANN})
    (one,) = listed.json
    assert made["password"] and made["password"] not in listed.body
    assert (one["name"], one["scopes"], one["password"]) == ("phone", ["imap"], None)
    assert (await bob.verb("app-password/add", {"address": ANN, "name": "x", "scopes": ["ftp"]})).status == 422
    assert (await bob.verb("app-password/rm", {"address": ANN, "name": "phone"})).status == 200
    assert (await bob.verb("app-password/rm", {"address": ANN, "name": "phone"})).status == 404
    await factors.enrol(home.store, 1, ANN, "example")
    home.store.write_now(on)
    assert (await bob.verb("two-factor/show", {"address": ANN})).json["recovery_codes"] == 1
    assert (await bob.verb("two-factor/off", {"address": ANN})).json["recovery_codes"] == 1
    after = (await bob.verb("two-factor/show", {"address": ANN})).json
    assert (after["since_at"], after["recovery_codes"], after["program"]) == (None, 0, False)


def on(tx: Tx) -> None:
    secret = rows.find(tx, 1).next_secret
    assert secret is not None and rows.confirm(tx, 1, secret, 1)
    rows.turn_on(tx, 1)
    rows.set_recovery_codes(tx, 1, [factors.digest("abcd")])


async def test_who_decides_who_gets_in_was_here_himself_a_short_while_ago(
    home: Site, bob: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, other = Clock(home), Admin(home, **BROWSER)
    monkeypatch.setattr(home.store, "clock", clock)
    await other.sign_in(BOB)
    decides = {
        "user/add": {"address": "eve@example.org", "admin": True}, "user/set": {"address": ANN, "admin": True},
        "user/passwd": {"address": BOB, "password": "another one"}, "two-factor/off": {"address": BOB},
        "app-password/add": {"address": BOB, "name": "mine"}, "config/unset": {"key": "hostname"},
        "config/set": {"key": "auth.app_passwords_only", "value": "no"}, "config/revert": {"id": 1},
    }  # fmt: skip
    assert decides.keys() == {name for name, verb in VERBS.items() if verb.proven}
    asked = {"address": ANN, "name": "Ann"}
    assert (await bob.verb("user/set", asked)).status == 200, "he signed in just now"
    clock.goes(LIMITS.admin_proof)
    for name, more in decides.items():
        answer = await bob.verb(name, more)
        assert (answer.status, answer.json["type"]) == (403, "urn:mailctl:prove"), name
    assert (await bob.verb("user/list")).status == 200
    wrong = await prove(bob, "wrong")
    assert (wrong.status, wrong.json["detail"]) == (403, "that is not your password")
    assert (await bob.verb("user/set", asked)).status == 403
    assert (await prove(bob, PASSWORD, Sec_Fetch_Site="cross-site")).status == 403
    assert (await prove(Admin(home, **BROWSER), PASSWORD)).status == 401
    assert (await bob.verb("user/set", asked)).status == 403
    assert (await prove(bob, PASSWORD)).status == 204 and (await bob.verb("user/set", asked)).status == 200
    assert (await other.verb("user/set", asked)).status == 403, "who sits elsewhere proved nothing"
    clock.goes(LIMITS.admin_proof)
    assert (await bob.verb("user/set", asked)).status == 403


async def prove(who: Admin, password: str, **fields: str) -> Answer:
    return await who.ask("POST", "/admin/proof", {"password": password}, **fields)


async def test_long_lists_come_a_page_at_a_time(home: Site, bob: Admin) -> None:
    for name in ("eve", "Carl", "dora"):
        people.add(home.store, f"{name}@example.org", None, display_name=f"{name} Of The House")
    everyone = [one["address"] for one in (await bob.verb("user/list")).json]
    paged: list[str] = []
    while page := (await bob.verb("user/list", {"limit": 2, **({"after": paged[-1]} if paged else {})})).json:
        assert len(page) <= 2
        paged += [one["address"] for one in page]
    assert paged == everyone and len(paged) == 5
    found = (await bob.verb("user/list", {"find": "of the HOUSE", "limit": 2})).json
    assert [one["address"] for one in found] == ["Carl@example.org", "dora@example.org"]
    ids = sorted(waiting(home, *(f"{number}@far.example" for number in range(5))).values())
    first = [entry["id"] for entry in (await bob.verb("queue/list", {"limit": 3})).json]
    rest = [entry["id"] for entry in (await bob.verb("queue/list", {"limit": 3, "after": first[-1]})).json]
    assert first + rest == ids


# -- verbs that take long ----------------------------------------------------------------------------------------------


class Slow:
    """A verb that ends when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch, jobs: int = LIMITS.admin_jobs) -> None:
        self.end = threading.Event()
        patch.setitem(VERBS, "doctor", Verb(self.run, Nothing))
        patch.setattr(office, "LIMITS", replace(LIMITS, admin_wait=0.05, admin_jobs=jobs))

    def run(self, store: Store, asked: Any) -> list[str]:
        self.end.wait(30)
        return ["it is done"]

    def fail(self, store: Store, asked: Any) -> list[str]:
        self.end.wait(30)
        raise BadData("it cannot be done")


async def told(who: Admin, answer: Answer) -> Answer:
    while answer.status == 202:
        answer = await who.ask("POST", f"/admin/jobs/{answer.json['job']}", {})
    return answer


async def test_a_verb_that_takes_long_goes_on_and_its_end_is_told(
    home: Site, bob: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    begun = await bob.verb("doctor")
    assert begun.status == 202
    where = f"/admin/jobs/{begun.json['job']}"
    assert (await bob.ask("POST", where, {})).status == 202
    people.change(home.store, ANN, admin=True)
    ann = Admin(home, **BROWSER)
    assert (await ann.ask("POST", where, {})).status == 401
    await ann.sign_in(ANN)
    assert (await ann.ask("POST", where, {})).status == 404
    slow.end.set()
    assert (await told(bob, begun)).json == ["it is done"]
    assert (await bob.ask("POST", where, {})).status == 404
    slow.end.clear()
    monkeypatch.setitem(VERBS, "doctor", Verb(slow.fail, Nothing))
    failing = await bob.verb("doctor")
    slow.end.set()
    answer = await told(bob, failing)
    assert (answer.status, answer.json["detail"]) == (422, "it cannot be done")


async def test_so_many_verbs_go_on_and_ends_are_kept_for_a_while(
    home: Site, bob: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, 2)
    first, second = [await bob.verb("doctor") for _ in range(2)]
    assert (await bob.verb("doctor")).status == 503
    slow.end.set()
    assert (await told(bob, second)).status == 200
    slow.end.clear()
    third = await bob.verb("doctor")  # there is room again, and the first one's end is kept beside it
    assert third.status == 202
    slow.end.set()
    assert (await told(bob, third)).status == 200
    monkeypatch.setattr(office, "LIMITS", replace(LIMITS, admin_job_memory=-1))
    assert (await bob.verb("status")).status == 200
    assert (await bob.ask("POST", f"/admin/jobs/{first.json['job']}", {})).status == 404


async def test_certificates_are_fetched_by_a_process_of_its_own(
    home: Site, bob: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, calls = tmp_path / "program", tmp_path / "calls"

    def does(script: str) -> None:
        program.write_text(f'#!/bin/sh\necho "$@" > {calls}\n{script}\n')
        program.chmod(0o700)

    monkeypatch.setattr(renewal, "sys", SimpleNamespace(executable=str(program)))
    does("""echo '{"names": ["mail.example.org"], "state": "refused", "text": "no"}'; exit 75""")
    answer = await bob.verb("cert/renew", {"names": ["Mail.example.org"]})
    assert answer.json == [{"names": ["mail.example.org"], "state": "refused", "text": "no"}]
    assert calls.read_text().strip().endswith("--json cert renew -- mail.example.org")
    assert (await bob.verb("cert/renew", {"names": ["--new-key"]})).status == 422
    for code, status in ((78, 422), (1, 404), (69, 502)):
        does(f"echo 'mailctl: error: so it is' >&2; exit {code}")
        answer = await bob.verb("cert/renew", {"due": True})
        assert (answer.status, answer.json["detail"]) == (status, "so it is")
    assert "cert renew --due --" in calls.read_text()
    monkeypatch.setattr(office, "LIMITS", replace(LIMITS, acme_process=1))
    does("exec sleep 600")
    assert "was ended" in (await bob.verb("cert/renew")).json["detail"]
