"""Two-factor: codes that work once, recovery codes, passkeys alone and beside the password; and how all that is set."""

from __future__ import annotations

import asyncio
import base64
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest
from aiohttp import web
from passlib.totp import TOTP

from daemon import passwords
from daemon.admin import factors, keyfile, people, trace
from daemon.admin.findings import Facts
from daemon.limits import LIMITS
from daemon.serve.login import Door, LoginRefused
from daemon.serve.web import app, tickets, visitors
from daemon.serve.web.jmap.method import Call, MethodError
from daemon.serve.web.jmap.owner import passkeys, two_factor
from daemon.store import accounts
from daemon.store import factors as kept
from daemon.store.tx import Tx
from daemon.wire import sasl
from tests.instruments.authenticator import PRESENT, Authenticator
from tests.serve.web.conftest import Site
from tests.serve.web.test_visitors import ANN, BOB, BROWSER, HOST, PASSWORD, Client, basic, listed, who
from tests.store.stage import address, clean

PAGE = f"https://{HOST}"
METHODS = {**two_factor.METHODS, **passkeys.METHODS}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


class Clock:
    """The store's, which only goes when it is told to."""

    def __init__(self, site: Site) -> None:
        self.now = site.store.clock()

    def __call__(self) -> int:
        return self.now

    def goes(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    made = Site(tmp_path / "data")

    async def call(request: web.Request) -> web.StreamResponse:
        name, asked = msgspec.json.decode(await request.read())
        found = await visitors.visitor(request)
        given = Call(made.store, made.config(), made.door, found, found.account_id, frozenset())
        try:
            said = await METHODS[name](given, asked)
        except MethodError as error:
            said = error.answer
        return web.Response(body=msgspec.json.encode(said), content_type="application/json")

    monkeypatch.setattr(app, "ROUTES", (*app.ROUTES, web.route("*", "/who", who), web.post("/call", call)))
    for user in (ANN, BOB):
        people.add(made.store, user, PASSWORD)
    made.open()
    yield made
    clean(made.store)
    await made.close()


@pytest.fixture
def clock(home: Site, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(home)
    monkeypatch.setattr(home.store, "clock", made)
    monkeypatch.setattr(home.door, "_sleep", nothing)
    return made


async def nothing(seconds: float) -> None:
    """No delay for who guesses."""


async def signed_in(home: Site, user: str = ANN) -> Client:
    browser = Client(home, **BROWSER)
    assert (await browser.sign_in(user)).json["state"] == "in"
    return browser


async def call(browser: Client, method: str, **asked: Any) -> Any:
    answer = await browser.ask("POST", "/call", [method, {"accountId": "u1"} | asked])
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json


async def set_two_factor(browser: Client, password: Any = PASSWORD, **patch: Any) -> Any:
    """What became of it, or the error."""
    said = await call(browser, "TwoFactor/set", password=password, update={"singleton": patch})
    return said if "updated" not in said else (said["updated"] or said["notUpdated"])["singleton"]


async def enrolled(browser: Client, clock: Clock) -> tuple[TOTP, list[str]]:
    """Two-factor with an authenticator program; the program, and the recovery codes."""
    made = await set_two_factor(browser, program="new")
    program = TOTP(made["secret"])
    said = await set_two_factor(browser, code=program.generate(clock.now // 1000).token)
    clock.goes(30)
    return program, list(said["recoveryCodes"])


def now(program: TOTP, clock: Clock, steps: int = 0) -> str:
    return str(program.generate(clock.now // 1000 + 30 * steps).token)


async def half(home: Site, user: str = ANN) -> tuple[Client, dict[str, Any]]:
    """A browser after the password, and what it was answered."""
    browser = Client(home, **BROWSER)
    return browser, (await browser.sign_in(user)).json


async def prove(browser: Client, half: dict[str, Any], **proof: Any) -> Any:
    answer = await browser.ask("POST", "/login", {"pending": half["pending"], **proof})
    if answer.cookie:
        browser.fields["Cookie"] = answer.cookie
    return answer.json


# -- an authenticator program ------------------------------------------------------------------------------------------


async def test_a_program_is_enrolled_and_asked_for(home: Site, clock: Clock) -> None:
    browser, other = await signed_in(home), await signed_in(home)
    made = await set_two_factor(browser, program="new")
    uri = urllib.parse.unquote(made["uri"])
    assert uri.startswith(f"otpauth://totp/{HOST}:{ANN}?secret={made['secret']}") and f"issuer={HOST}" in uri
    assert made["qr"].startswith("data:image/svg+xml") and "<script" not in made["qr"]
    assert (await half(home))[1]["state"] == "in", "not before it gave a code"
    program = TOTP(made["secret"])
    wrong = await set_two_factor(browser, code="000000")
    assert wrong["type"] == "invalidProperties" and wrong["properties"] == ["code"]
    said = await set_two_factor(browser, code=now(program, clock))
    assert said["isEnabled"] and len(set(said["recoveryCodes"])) == LIMITS.recovery_codes
    assert await other.who() == 401 and await browser.who() != 401, "other browsers have to show it too"
    (got,) = (await call(browser, "TwoFactor/get"))["list"]
    assert got == {
        "id": "singleton", "isEnabled": True, "hasProgram": True, "passkeys": 0, "recoveryCodesLeft": 10,
        "since": got["since"],
    }  # fmt: skip
    assert got["since"].endswith("Z")
    again, asked = await half(home)
    assert asked["state"] == "factor" and asked["ways"] == ["code"] and asked["passkey"] is None
    assert "Cookie" not in again.fields and await again.who() == 401, "the password alone is nothing"
    clock.goes(30)
    assert (await prove(again, asked, code=now(program, clock)))["state"] == "in"
    assert await again.who() == [ANN, "session", False, True]
    assert sorted(one.factor for one in listed(home)) == ["password", "totp"]
    database = b"".join(path.read_bytes() for path in home.store.data.path.glob("mail.db*"))
    assert base64.b32decode(made["secret"]) not in database and made["secret"].encode() not in database
    for code in said["recoveryCodes"]:
        assert code.encode() not in database


async def test_a_code_works_once_and_none_before_it(home: Site, clock: Clock) -> None:
    program, _ = await enrolled(await signed_in(home), clock)
    code = now(program, clock)
    browser, asked = await half(home)
    assert (await prove(browser, asked, code=code))["state"] == "in"
    for replayed in (code, now(program, clock, -1)):
        browser, asked = await half(home)
        said = await prove(browser, asked, code=replayed)
        assert (said["state"], said["reason"]) == ("refused", "wrong-code") and await browser.who() == 401
    browser, asked = await half(home)
    assert (await prove(browser, asked, code=f"{now(program, clock, 1)[:3]} {now(program, clock, 1)[3:]}"))[
        "state"
    ] == "in", "a clock may be a step ahead, and people write spaces"


async def test_the_same_code_at_the_same_time_opens_one_session(home: Site, clock: Clock) -> None:
    import asyncio

    program, _ = await enrolled(await signed_in(home), clock)
    halves = [await half(home) for _ in range(4)]
    said = await asyncio.gather(*(prove(b, asked, code=now(program, clock)) for b, asked in halves))
    assert sorted(one["state"] for one in said) == ["in", "refused", "refused", "refused"]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "x" * 5000, "-1", "0" * 6])
async def test_what_is_no_code(home: Site, clock: Clock, code: str) -> None:
    await enrolled(await signed_in(home), clock)
    browser, asked = await half(home)
    assert (await prove(browser, asked, code=code))["reason"] == "wrong-code"


async def test_wrong_codes_lock_codes_for_longer_and_longer(home: Site, clock: Clock) -> None:
    program, recovery = await enrolled(await signed_in(home), clock)

    async def guess(code: str) -> str:
        browser, asked = await half(home)
        said = await prove(browser, asked, code=code)
        return str(said.get("reason", said["state"]))

    wrong = [f"{int(now(program, clock)) + 7 + n:06}"[-6:] for n in range(LIMITS.code_failures)]
    for code in wrong:
        assert await guess(code) == "wrong-code"
    assert await guess(now(program, clock)) == "code-locked", "not even a right one"
    clock.goes(LIMITS.code_lock + 1)
    assert await guess("999999") in ("wrong-code",)
    clock.goes(LIMITS.code_lock + 1)
    assert await guess(now(program, clock)) == "code-locked", "twice as long"
    assert await guess(recovery[0]) == "in"
    clock.goes(LIMITS.code_lock + 1)
    assert await guess(now(program, clock)) == "in"
    assert home.store.read_now(Tx.all, "select failures, locked_until from two_factor") == [(0, 0)]
    account = home.store.read_now(accounts.get, address(ANN)).id
    for _ in range(60):
        assert home.store.write_now(kept.attempt, account)
        until = home.store.read_now(kept.find, account).locked_until
        wait, clock.now = until - clock.now, max(until, clock.now)
    assert wait == LIMITS.code_lock_longest * 1000


async def test_of_many_codes_at_the_same_time_no_more_are_looked_at(home: Site, clock: Clock) -> None:
    program, _ = await enrolled(await signed_in(home), clock)
    account = home.store.read_now(accounts.get, address(ANN)).id
    wrong = [f"{int(now(program, clock)) + 7 + n:06}"[-6:] for n in range(4 * LIMITS.code_failures)]
    said = await asyncio.gather(*(factors.check(home.store, account, code) for code in wrong))
    assert [reason for _, reason in said].count("wrong-code") == LIMITS.code_failures


async def test_a_recovery_code_works_once_however_it_is_written(home: Site, clock: Clock) -> None:
    _, codes = await enrolled(await signed_in(home), clock)
    for code in (codes[0], codes[1].upper().replace("-", " "), codes[2].replace("-", "")):
        browser, asked = await half(home)
        assert (await prove(browser, asked, code=code))["state"] == "in"
        browser, asked = await half(home)
        assert (await prove(browser, asked, code=code))["reason"] == "wrong-code"
    (got,) = (await call(await in_with(home, codes[3]), "TwoFactor/get"))["list"]
    assert got["recoveryCodesLeft"] == LIMITS.recovery_codes - 4


async def in_with(home: Site, code: str, user: str = ANN) -> Client:
    browser, asked = await half(home, user)
    assert (await prove(browser, asked, code=code))["state"] == "in"
    return browser


async def test_new_recovery_codes_make_the_old_ones_worthless(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    _, codes = await enrolled(browser, clock)
    fresh = (await set_two_factor(browser, recoveryCodes="new"))["recoveryCodes"]
    other, asked = await half(home)
    assert (await prove(other, asked, code=codes[0]))["reason"] == "wrong-code"
    assert (await prove(other, asked, code=fresh[0]))["state"] == "in"


async def test_another_program_counts_once_it_gave_a_code(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    old, _ = await enrolled(browser, clock)
    new = TOTP((await set_two_factor(browser, program="new"))["secret"])
    other, asked = await half(home)
    assert (await prove(other, asked, code=now(new, clock)))["reason"] == "wrong-code"
    assert (await prove(other, asked, code=now(old, clock)))["state"] == "in"
    clock.goes(30)
    assert (await set_two_factor(browser, code=now(new, clock)))["isEnabled"]
    clock.goes(30)
    other, asked = await half(home)
    assert (await prove(other, asked, code=now(old, clock)))["reason"] == "wrong-code"
    assert (await prove(other, asked, code=now(new, clock)))["state"] == "in"


async def test_off_is_off(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    _, codes = await enrolled(browser, clock)
    assert (await set_two_factor(browser, password="wrong", isEnabled=False))["type"] == "passwordRefused"
    assert await set_two_factor(browser, isEnabled=False) == {"isEnabled": False}
    assert (await half(home))[1]["state"] == "in"
    assert home.store.read_now(Tx.all, "select * from recovery_code") == []
    assert (await set_two_factor(browser, isEnabled=True))["properties"] == ["isEnabled"]


@pytest.mark.parametrize(
    "patch",
    [
        {"isEnabled": True}, {"isEnabled": "yes"}, {"isEnabled": True, "program": "new"}, {"program": "old"},
        {"code": 123456}, {"code": "123456", "recoveryCodes": "new"}, {"recoveryCodes": 5}, {"hasProgram": True},
    ],
)  # fmt: skip
async def test_what_cannot_be_set(home: Site, patch: dict[str, Any]) -> None:
    assert (await set_two_factor(await signed_in(home), **patch))["type"] == "invalidProperties"


async def test_an_app_password_sees_and_changes_nothing_of_it(home: Site) -> None:
    made = people.add_app_password(home.store, ANN, "every").password or ""
    program = Client(home, Authorization=f"Bearer {made}")
    for method in METHODS:
        assert (await call(program, method, password=made))["type"] == "forbidden", method


async def test_a_wrong_present_password_is_a_failed_login(home: Site) -> None:
    browser = await signed_in(home)
    for n in range(3):
        said = await set_two_factor(browser, password=f"guess {n}", program="new")
        assert (said["type"], said["reason"]) == ("passwordRefused", "wrong-password")
    await home.refusals.flush()
    found = home.store.read_now(Tx.all, "select reason, sum(count) from refusal group by reason")
    assert found == [("login-wrong-password", 3)]
    assert home.store.read_now(kept.find, 1).next_secret is None


# -- other protocols, other doors --------------------------------------------------------------------------------------


async def test_with_two_factor_programs_need_an_app_password(home: Site, clock: Clock) -> None:
    app_password = people.add_app_password(home.store, ANN, "phone").password or ""

    async def opens(service: str, password: str) -> str:
        try:
            await home.door.plain(service, "192.0.2.1", ANN, password, True)
        except LoginRefused as refused:
            return refused.reason
        return "in"

    services = ("imap", "pop3", "smtp", "sieve", "jmap")
    assert [await opens(s, PASSWORD) for s in services] == ["in"] * 5
    browser = await signed_in(home)
    await enrolled(browser, clock)
    assert [await opens(s, PASSWORD) for s in services] == ["app-password"] * 5
    assert [await opens(s, app_password) for s in services] == ["in"] * 5
    assert await Client(home).who(Authorization=basic(ANN, PASSWORD)) == 401
    assert await scram(home.door, PASSWORD) == "app-password"
    home.settings["auth.app_passwords_only"] = "never"
    assert [await opens(s, PASSWORD) for s in services] == ["in"] * 5
    assert await scram(home.door, PASSWORD) == "in"
    assert (await half(home))[1]["state"] == "factor"


async def scram(door: Door, password: str) -> str:
    client = sasl.client_scram(ANN, password, "clientnonce0123456789")

    async def ask(challenge: bytes) -> bytes:
        said = client.send(sasl.decode(challenge))
        if isinstance(said, sasl.Derive):
            said = client.send(sasl.salted(said.password, said.salt, said.iterations))
        assert isinstance(said, bytes)
        return sasl.encode(said)

    first = next(client)
    assert isinstance(first, bytes)
    try:
        await door.sasl("imap", "192.0.2.1", True, "SCRAM-SHA-256", sasl.encode(first), ask)
    except LoginRefused as refused:
        return refused.reason
    return "in"


async def test_a_password_of_before_does_not_go_on(home: Site, clock: Clock) -> None:
    program, _ = await enrolled(await signed_in(home), clock)
    for change in (
        lambda: people.set_password(home.store, ANN, "another one"),
        lambda: people.change(home.store, ANN, enabled=False),
    ):
        browser, asked = await half(home)
        change()
        said = await prove(browser, asked, code=now(program, clock))
        assert said["reason"] in ("too-late", "disabled"), said
        people.change(home.store, ANN, enabled=True)
        people.set_password(home.store, ANN, PASSWORD)
    browser, asked = await half(home)
    clock.goes(LIMITS.sign_in_patience + 1)
    assert (await prove(browser, asked, code=now(program, clock)))["reason"] == "too-late"


async def test_what_a_browser_carries_cannot_be_forged(home: Site, clock: Clock) -> None:
    await enrolled(await signed_in(home), clock)
    browser, asked = await half(home)
    pending = asked["pending"]
    flipped = pending[:-5] + ("A" if pending[-5] != "A" else "B") + pending[-4:]
    for forged in (flipped, pending[:-4], "", "x", "A" * 3000, "é", pending[4:]):
        answer = await browser.ask("POST", "/login", {"pending": forged or "-", "code": "123456"})
        assert answer.json["reason"] == "too-late", forged
    other = tickets.make(home.store.data, tickets.Ticket("register", 1), clock.now)
    assert tickets.read(home.store.data, other, "factor", clock.now) is None


def facts(home: Site) -> Facts:
    return Facts(home.store, home.config(), home.store.clock(), True, (), "")


async def test_a_lost_key_makes_codes_worthless_and_leaves_the_rest(home: Site, clock: Clock) -> None:
    assert [one.reason for one in factors.readable(facts(home))] == ["two-factor-none"]
    program, codes = await enrolled(await signed_in(home), clock)
    assert oct(home.store.data.key.stat().st_mode & 0o777) == "0o600"
    assert [one.level for one in factors.readable(facts(home))] == ["ok"]
    home.store.data.key.unlink()
    keyfile._read.cache_clear()
    (found,) = factors.readable(facts(home))
    assert (found.level, found.reason) == ("error", "two-factor-key") and "secret.key" in found.subject
    browser, asked = await half(home)
    assert (await prove(browser, asked, code=now(program, clock)))["reason"] == "wrong-code"
    assert (await prove(browser, asked, code=codes[0]))["state"] == "in"
    home.store.data.key.write_bytes(b"short")
    keyfile._read.cache_clear()
    assert (await half(home))[1]["reason"] == "unavailable"
    home.store.data.key.unlink()
    keyfile._read.cache_clear()


async def test_an_administrator_turns_it_off(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    await enrolled(browser, clock)
    await registered(browser, Authenticator(PAGE))
    state = factors.reset(home.store, ANN)
    assert (state.program, state.passkeys, state.recovery_codes) == (True, 1, 10) and state.since_at
    assert (await half(home))[1]["state"] == "in" and await browser.who() == 401
    gone = factors.state(home.store, ANN)
    assert (gone.since_at, gone.program, gone.passkeys, gone.recovery_codes) == (None, False, 0, 0)


# -- passkeys ----------------------------------------------------------------------------------------------------------


async def registered(browser: Client, device: Authenticator, name: str = "Phone") -> dict[str, Any]:
    begun = await call(browser, "Passkey/challenge", password=PASSWORD)
    credential = device.create(begun["options"])
    return await make(browser, {"name": name, "pending": begun["pending"], "credential": credential})


async def make(browser: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """The passkey that was made, or the error."""
    said = await call(browser, "Passkey/set", password=PASSWORD, create={"a": wanted})
    return dict((said["created"] or said["notCreated"])["a"])


async def begin(home: Site, **more: Any) -> tuple[Client, dict[str, Any]]:
    browser = Client(home, **BROWSER)
    return browser, (await browser.ask("POST", "/login", {"begin": "passkey", **more})).json


async def test_a_passkey_signs_in_alone(home: Site, clock: Clock) -> None:
    browser, device = await signed_in(home), Authenticator(PAGE)
    made = await registered(browser, device)
    assert made == made | {"name": "Phone", "isBackedUp": False, "lastUsedAt": None}
    assert sorted(made["transports"]) == ["hybrid", "internal"]
    fresh, asked = await begin(home, remember=True)
    assert asked["state"] == "passkey" and asked["passkey"]["userVerification"] == "required"
    assert asked["passkey"]["rpId"] == HOST and not asked["passkey"].get("allowCredentials")
    answer = device.get(asked["passkey"])
    assert (await prove(fresh, asked, passkey=answer))["user"] == ANN
    assert await fresh.who() == [ANN, "session", False, True]
    assert {one.factor for one in listed(home)} == {"password", "passkey"}
    (got,) = (await call(browser, "Passkey/get"))["list"]
    assert got["lastUsedAt"] and (await call(browser, "TwoFactor/get"))["list"][0]["passkeys"] == 1
    replayed = Client(home, **BROWSER)
    assert (await prove(replayed, asked, passkey=answer))["reason"] == "wrong-passkey", "a challenge is signed once"
    device.counts = 0
    fresh, asked = await begin(home)
    assert (await prove(fresh, asked, passkey=device.get(asked["passkey"])))["reason"] == "wrong-passkey", (
        "a counter that stands is a copy of the key"
    )


async def test_a_passkey_is_a_second_factor(home: Site, clock: Clock) -> None:
    browser, device = await signed_in(home), Authenticator(PAGE, PRESENT)
    await registered(browser, device)
    assert (await half(home))[1]["state"] == "in", "having one asks nothing of the password"
    said = await set_two_factor(browser, isEnabled=True)
    assert said["isEnabled"] and len(said["recoveryCodes"]) == LIMITS.recovery_codes
    fresh, asked = await half(home)
    assert asked["ways"] == ["code", "passkey"] and len(asked["passkey"]["allowCredentials"]) == 1
    assert (await prove(fresh, asked, passkey=device.get(asked["passkey"])))["state"] == "in"
    alone, asked = await begin(home)
    said = await prove(alone, asked, passkey=device.get(asked["passkey"]))
    assert said["reason"] == "wrong-passkey", "alone it has to know who holds it"
    gone = await call(browser, "Passkey/set", destroy=["k1"], password=PASSWORD)
    assert gone["notDestroyed"]["k1"]["type"] == "forbidden", "it is the only second factor"


async def test_whose_passkey_it_is_counts(home: Site, clock: Clock) -> None:
    ann, bob = await signed_in(home), await signed_in(home, BOB)
    mine, his = Authenticator(PAGE), Authenticator(PAGE)
    await registered(ann, mine)
    await registered(bob, his)
    await set_two_factor(ann, isEnabled=True)
    fresh, asked = await half(home)
    options = asked["passkey"] | {"allowCredentials": []}
    assert (await prove(fresh, asked, passkey=his.get(options)))["reason"] == "wrong-passkey"
    for bad in ({}, {"id": "AAAA"}, {"id": 5}, {"id": "\n"}, {"id": "A"}, mine.get(options) | {"response": {}}):
        assert (await prove(fresh, asked, passkey=bad))["reason"] == "wrong-passkey", bad


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"http://{HOST}", f"https://{HOST}.evil.example", f"https://x.{HOST}", "null"]
)
async def test_only_pages_of_ours_may_ask(home: Site, clock: Clock, origin: str) -> None:
    browser, device = await signed_in(home), Authenticator(PAGE)
    await registered(browser, device)
    device.origin = origin
    fresh, asked = await begin(home)
    assert (await prove(fresh, asked, passkey=device.get(asked["passkey"])))["reason"] == "wrong-passkey"
    assert (await registered(browser, Authenticator(origin)))["type"] == "invalidProperties"


async def test_a_passkey_is_registered_once_by_who_knows_the_password(home: Site, clock: Clock) -> None:
    browser, device = await signed_in(home), Authenticator(PAGE)
    assert (await call(browser, "Passkey/challenge"))["type"] == "invalidArguments"
    assert (await call(browser, "Passkey/challenge", password="wrong"))["type"] == "passwordRefused"
    begun = await call(browser, "Passkey/challenge", password=PASSWORD)
    credential = device.create(begun["options"])
    wanted = {"name": "A", "pending": begun["pending"], "credential": credential}
    for patch in (
        {"name": ""}, {"name": "x" * (LIMITS.passkey_name + 1)}, {"name": "a\nb"}, {"pending": "x"}, {"credential": {}},
        {"credential": credential | {"x": "y" * 20_000}}, {"credential": {"response": {"clientDataJSON": "%"}}},
        {"name": 5}, {"more": 1},
    ):  # fmt: skip
        said = await make(browser, wanted | patch)
        assert said["type"] == "invalidProperties", patch
    other = await signed_in(home, BOB)
    said = await make(other, wanted)
    assert said["properties"] == ["pending"], "it was begun by another user"
    assert (await make(browser, wanted))["name"] == "A"
    assert (await make(browser, wanted))["type"] == "invalidProperties"
    begun = await call(browser, "Passkey/challenge", password=PASSWORD)
    assert len(begun["options"]["excludeCredentials"]) == 1
    clock.goes(LIMITS.sign_in_patience + 1)
    late = {"name": "B", "pending": begun["pending"], "credential": device.create(begun["options"])}
    assert (await make(browser, late))["properties"] == ["pending"]


async def test_passkeys_are_renamed_and_removed(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    first = await registered(browser, Authenticator(PAGE), "first")
    await registered(browser, Authenticator(PAGE), "second")
    before = (await call(browser, "Passkey/get"))["state"]
    said = await call(
        browser, "Passkey/set", password=PASSWORD,
        update={
            first["id"]: {"name": "kitchen"}, "k2": {"name": "kitchen"}, "k99": {"name": "x"},
            "nonsense": {"name": "y"},
        },
    )  # fmt: skip
    assert list(said["updated"]) == [first["id"]] and said["oldState"] == before != said["newState"]
    assert {k: v["type"] for k, v in said["notUpdated"].items()} == {
        "k2": "invalidProperties", "k99": "notFound", "nonsense": "notFound",
    }  # fmt: skip
    assert (await call(browser, "Passkey/set", destroy=[first["id"]]))["type"] == "invalidArguments"
    said = await call(browser, "Passkey/set", destroy=[first["id"], "k99"], password=PASSWORD)
    assert said["destroyed"] == [first["id"]] and said["notDestroyed"]["k99"]["type"] == "notFound"
    got = await call(browser, "Passkey/get", ids=["k2", first["id"]], properties=["name"])
    assert got["list"] == [{"id": "k2", "name": "second"}] and got["notFound"] == [first["id"]]
    stale = await call(browser, "Passkey/set", password=PASSWORD, ifInState=before, update={"k2": {"name": "z"}})
    assert stale["type"] == "stateMismatch"


async def test_a_user_has_so_many_passkeys(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    device = Authenticator(PAGE)
    for n in range(LIMITS.passkeys):
        assert "id" in await registered(browser, device, f"key {n}")
    assert "at most" in (await registered(browser, device, "one more"))["description"]


async def test_the_trace_tells_who_signed_in_and_what_was_changed(home: Site, clock: Clock) -> None:
    browser = await signed_in(home)
    program, _ = await enrolled(browser, clock)
    fresh, asked = await half(home)
    await prove(fresh, asked, code=now(program, clock))
    await registered(browser, Authenticator(PAGE), "Blue key")
    await call(browser, "Passkey/set", destroy=["k1"], password=PASSWORD)
    account = home.store.read_now(accounts.get, address(ANN)).id
    for _ in range(LIMITS.code_failures):
        home.store.write_now(kept.attempt, account)
        home.store.write_now(kept.failed, account)
    factors.reset(home.store, ANN)
    told = [step.text for story in reversed(trace.stories(home.store, recipient=ANN)) for step in story.steps]
    assert told == [
        f"{ANN} signed in at the webmail by the password [127.0.0.1] with Lynx/1",
        f"{ANN} turned two-factor on",
        f"{ANN} has new recovery codes",
        f"{ANN} signed in at the webmail by the password and a code of an authenticator program"
        " [127.0.0.1] with Lynx/1",
        f"{ANN} has a new passkey (Blue key)",
        f"{ANN} has a passkey less",
        f"{ANN}: {LIMITS.code_failures} wrong codes in a row, no more are looked at for a while",
        f"{ANN} has two-factor off",
    ]


async def test_used_tickets_are_remembered_to_a_limit() -> None:
    used = tickets.Used()
    assert used.take("a", 0) and not used.take("a", 1)
    assert all(used.take(str(n), 2) for n in range(LIMITS.sign_ins_used - 1))
    assert not used.take("one more", 3), "rather nobody than somebody twice"
    assert used.take("one more", LIMITS.sign_in_patience * 1000 + 3)
