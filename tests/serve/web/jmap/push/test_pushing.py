"""Push subscriptions: made, proven, told; what is sent only their client can read, and only where it may be sent."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon import passwords
from daemon.flow.hand_in import Answer
from daemon.limits import LIMITS
from daemon.resolver import Resolver
from daemon.serve.web.jmap.push import pushing, subscriptions
from daemon.serve.web.jmap.push.subscriptions import METHODS
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts, push, sessions, states, web_sessions
from daemon.store.errors import StoreBusy
from daemon.store.tx import Tx
from daemon.trust.web_push import b64, key_of, new_number, point_of
from daemon.wire.jmap import utc_date
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import BOB, Caller, account

URL = "https://push.example/v2/abc"
KEY, SECRET = key_of(new_number()), b"0123456789abcdef"
KEYS = {"p256dh": b64(point_of(KEY)), "auth": b64(SECRET)}


@pytest.fixture
def alice(house: Site) -> Caller:
    return Caller(house, METHODS)


def read(body: bytes) -> Any:
    """As the client reads it (RFC 8291)."""
    salt, ours, record = body[:16], body[21:86], body[86:]
    shared = KEY.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), ours))
    material = _derive(SECRET, shared, b"WebPush: info\0" + point_of(KEY) + ours, 32)
    content = _derive(salt, material, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, material, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(content).decrypt(nonce, record, None)
    assert plain[-1:] == b"\x02"
    return json.loads(plain[:-1])


def _derive(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(material)


class Service:
    """A push service that answers what it is told to."""

    worker: pushing.Pushing

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.sent: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(
        self, resolver: Resolver, url: str, body: bytes, fields: Mapping[str, str], patience: float
    ) -> Answer:
        self.sent.append((url, body, fields))
        return self.answers.pop(0) if self.answers else Answer(201)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def working(site: Site) -> AsyncIterator[Service]:
    service = Service()
    service.worker = pushing.Pushing(site.store, site.config, cast(Resolver, None), service.post)
    worker = asyncio.create_task(service.worker.run())
    try:
        yield service
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"push_gather": 0.02, "push_again": (0.01, 0.02), "push_pause": 0.01}
    monkeypatch.setattr(pushing, "LIMITS", dataclasses.replace(LIMITS, **values))


async def subscribe(alice: Caller, **more: Any) -> str:
    made = await alice("PushSubscription/set", create={"a": {"deviceClientId": "phone", "url": URL, **more}})
    assert made["notCreated"] is None, made
    return str(made["created"]["a"]["id"])


async def verified(alice: Caller, service: Service, **more: Any) -> str:
    """One that said its code back."""
    one = await subscribe(alice, keys=KEYS, **more)
    await until(lambda: service.sent)
    code = read(service.sent.pop()[1])["verificationCode"]
    done = await alice("PushSubscription/set", update={one: {"verificationCode": code}})
    assert done["updated"] == {one: None}
    return one


async def test_nothing_is_sent_before_the_code_is_said_back(house: Site, alice: Caller) -> None:
    async with working(house) as service:
        one = await subscribe(alice, keys=KEYS, types=["Email"])
        await until(lambda: service.sent)
        url, body, fields = service.sent.pop()
        said = read(body)
        assert (url, said["@type"], said["pushSubscriptionId"]) == (URL, "PushVerification", one)
        assert fields["Content-Encoding"] == "aes128gcm" and fields["TTL"] == "86400"
        assert fields["Authorization"].startswith("vapid t=")
        house.store.write_now(states.changed, account(house), "Email")
        wrong = await alice("PushSubscription/set", update={one: {"verificationCode": "guess"}})
        assert wrong["notUpdated"][one]["type"] == "invalidProperties"
        (listed,) = (await alice("PushSubscription/get"))["list"]
        assert listed["verificationCode"] is None and "url" not in listed and "keys" not in listed
        await alice("PushSubscription/set", update={one: {"verificationCode": said["verificationCode"]}})
        await asyncio.sleep(0)
        state = house.store.write_now(states.changed, account(house), "Email", "Identity")
        await until(lambda: service.sent or house.store.write_now(states.changed, account(house), "Email") < 0)
        told = read(service.sent[0][1])
        assert told["@type"] == "StateChange" and told["changed"][f"u{account(house)}"].keys() == {"Email"}
        assert int(told["changed"][f"u{account(house)}"]["Email"]) >= state


async def test_a_client_that_wants_no_secrecy(house: Site, alice: Caller) -> None:
    async with working(house) as service:
        one = await subscribe(alice)
        await until(lambda: service.sent)
        _, body, fields = service.sent.pop()
        assert json.loads(body)["pushSubscriptionId"] == one and fields["Content-Type"] == "application/json"


async def test_what_is_not_taken_is_tried_again_with_what_changed_meanwhile(house: Site, alice: Caller) -> None:
    async with working(house) as service:
        await verified(alice, service, types=["Email", "Thread"])
        service.answers = [Answer(503), Answer(0, "no answer"), Answer(201)]
        await until(lambda: service.sent or house.store.write_now(states.changed, account(house), "Email") < 0)
        last = house.store.write_now(states.changed, account(house), "Thread")
        await until(lambda: not service.answers)
        changed = read(service.sent[-1][1])["changed"][f"u{account(house)}"]
        assert set(changed) == {"Email", "Thread"} and changed["Thread"] == str(last)
        service.sent.clear()
        service.answers = [Answer(500)] * 3
        house.store.write_now(states.changed, account(house), "Email")
        await until(lambda: not service.answers)
        assert len(service.sent) == 3, "then it is given up"
        house.store.write_now(states.changed, account(house), "Email")
        await until(lambda: len(service.sent) == 4)


@pytest.mark.parametrize("status", [404, 410, 400, 403])
async def test_a_subscription_that_the_service_does_not_know_ends(house: Site, alice: Caller, status: int) -> None:
    async with working(house) as service:
        await verified(alice, service)
        service.answers = [Answer(status)]
        await until(lambda: service.sent or house.store.write_now(states.changed, account(house), "Email") < 0)
        await until(lambda: not house.store.read_now(push.everyone))


async def test_it_ends_with_the_sessions_of_its_user(house: Site, alice: Caller) -> None:
    async with working(house) as service:
        await verified(alice, service)
        house.store.write_now(lambda tx: sessions.end(tx, account(house), keep_app_passwords=True))
        assert house.store.read_now(push.everyone) == []
        await asyncio.sleep(0.05)
        service.sent.clear()
        house.store.write_now(states.changed, account(house), "Email")
        await asyncio.sleep(0.1)
        assert service.sent == []


def browser(site: Site, alice: Caller) -> Caller:
    """Alice in a browser."""
    made = Caller(site, METHODS)
    number = site.store.write_now(
        partial(web_sessions.begin, epoch=0, idle=3600, age=7200),
        account(site), os.urandom(32), "password", "192.0.2.1", "Lynx/1",
    )  # fmt: skip
    made.visitor = Visitor(alice.visitor.identity, "session", number)
    return made


def program(site: Site, expires_at: int | None = None) -> Caller:
    """Alice's with an app password."""
    password = os.urandom(16).hex()
    number = site.store.write_now(
        partial(accounts.add_app_password, expires_at=expires_at),
        account(site), "phone", passwords.digest(password), accounts.Key(b"", b"", scopes="jmap"),
    )  # fmt: skip
    return Caller(site, METHODS, app_password_id=number)


async def test_it_is_theirs_who_made_it_and_ends_with_them(house: Site, alice: Caller) -> None:
    """RFC 8620 §7.2: only subscriptions of the same credentials are told, and these end with the credentials."""
    async with working(house) as service:
        for maker in (browser(house, alice), program(house)):
            one = await verified(maker, service)
            for other in (alice, browser(house, alice)):
                assert (await other("PushSubscription/get"))["list"] == []
                done = await other("PushSubscription/set", update={one: {"types": None}})
                assert done["notUpdated"][one]["type"] == "notFound"
                done = await other("PushSubscription/set", destroy=[one])
                assert done["notDestroyed"][one]["type"] == "notFound"
            assert [each["id"] for each in (await maker("PushSubscription/get"))["list"]] == [one]
            if maker.visitor.session_id:
                house.store.write_now(web_sessions.remove, account(house), maker.visitor.session_id)
            else:
                house.store.write_now(accounts.remove_app_password, account(house), "phone")
            assert house.store.read_now(push.everyone) == []
            assert house.store.read_now(Tx.all, "select id from push_subscription") == []
            house.store.write_now(states.changed, account(house), "Email")
            await asyncio.sleep(0.1)
            assert service.sent == []


@pytest.mark.parametrize("what", ["session", "app password", "subscription"])
async def test_time_alone_ends_one(house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Nothing else happens when the time of one of them is up."""
    over = house.store.clock() // 1000 * 1000 + 3_600_000
    more = {"expires": utc_date(over)} if what == "subscription" else {}
    maker = {"session": browser(house, alice), "app password": program(house, over)}.get(what, alice)
    async with working(house) as service:
        await verified(maker, service, **more)
        await until(lambda: service.sent or house.store.write_now(states.changed, account(house), "Email") < 0)
        await asyncio.sleep(0.1)
        service.sent.clear()
        monkeypatch.setattr(house.store, "clock", lambda: over + 1000)
        house.store.write_now(states.changed, account(house), "Email")
        await asyncio.sleep(0.2)
        assert service.sent == []


async def test_a_store_that_is_busy_ends_none(house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    read, busy = house.store.read, [StoreBusy("busy")]
    async with working(house) as service:
        await verified(alice, service)

        async def slow(work: Any, *given: Any) -> Any:
            if work is push.everyone and given and busy:
                raise busy.pop()
            return await read(work, *given)

        monkeypatch.setattr(house.store, "read", slow)
        house.store.write_now(states.changed, account(house), "Email")
        await until(lambda: service.sent or house.store.write_now(states.changed, account(house), "Email") < 0)
        assert not busy


async def test_codes_are_sent_seldom(house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "LIMITS", dataclasses.replace(pushing.LIMITS, push_codes=2))
    async with working(house) as service:
        for least in (0, 1, 1, 1):
            one = await subscribe(alice)
            await until(partial(lambda least: len(service.sent) > least, least))
            await alice("PushSubscription/set", destroy=[one])
        await asyncio.sleep(0.05)
        assert len(service.sent) == 2


async def test_so_many_pushes_are_under_way(house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "LIMITS", dataclasses.replace(pushing.LIMITS, push_at_once=2))
    patience, go_on = list[float](), asyncio.Event()
    async with working(house) as service:

        async def slow(resolver: Resolver, url: str, body: bytes, fields: Mapping[str, str], seconds: float) -> Answer:
            patience.append(seconds)
            await go_on.wait()
            return Answer(201)

        monkeypatch.setattr(service.worker, "_post", slow)
        for _ in range(4):
            await subscribe(alice)
        await until(lambda: len(patience) >= 2)
        await asyncio.sleep(0.05)
        assert patience == [LIMITS.push_patience] * 2
        go_on.set()
        await until(lambda: len(patience) == 4)


@pytest.mark.parametrize(
    "value, property",
    [
        ({"deviceClientId": ""}, "deviceClientId"),
        ({"deviceClientId": "x" * 201}, "deviceClientId"),
        ({"url": "http://push.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a:b@push.example/"}, "url"),
        ({"url": "https://push.example/ x"}, "url"),
        ({"url": "https://push.example:99999/"}, "url"),
        ({"url": "https://push.example/" + "x" * 2000}, "url"),
        ({"url": 1}, "url"),
        ({"keys": {}}, "keys"),
        ({"keys": "x"}, "keys"),
        ({"keys": {**KEYS, "auth": "AA"}}, "keys"),
        ({"keys": {**KEYS, "p256dh": b64(b"\x04" + b"\0" * 64)}}, "keys"),
        ({"expires": "2001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"types": "Email"}, "types"),
        ({"types": ["a b"]}, "types"),
        ({"verificationCode": "x"}, "verificationCode"),
        ({"accountId": "u1"}, "accountId"),
    ],
)
async def test_what_is_no_subscription(alice: Caller, value: dict[str, Any], property: str) -> None:
    fine = {"deviceClientId": "phone", "url": URL, "keys": KEYS, "types": None}
    answer = await alice("PushSubscription/set", create={"a": {**fine, **value}})
    refused = answer["notCreated"]["a"]
    assert refused["type"] == "invalidProperties" and property in refused["properties"]


async def test_subscriptions_are_few_and_end(house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [await subscribe(alice, expires="2100-01-01T00:00:00Z") for _ in range(LIMITS.push_subscriptions)]
    more = await alice("PushSubscription/set", create={"a": {"deviceClientId": "x", "url": URL}})
    assert more["notCreated"]["a"]["type"] == "invalidProperties"
    there = house.store.read_now(push.everyone)
    assert {each.expires_at - house.store.clock() <= LIMITS.push_memory * 1000 for each in there} == {True}
    assert (await Caller(house, METHODS, BOB)("PushSubscription/get", ids=made))["notFound"] == made
    done = await alice(
        "PushSubscription/set", update={made[0]: {"types": ["Email"], "expires": None, "url": "x"}}, destroy=made[1:]
    )
    assert done["notUpdated"][made[0]]["properties"] == ["url"] and done["destroyed"] == made[1:]
    assert (await alice("PushSubscription/set", update={made[0]: {"types": ["Email"], "expires": None}}))[
        "notUpdated"
    ] is None
    (one,) = (await alice("PushSubscription/get", properties=["types"]))["list"]
    assert one == {"id": made[0], "types": ["Email"]}
    assert await alice.error("PushSubscription/get", properties=["url"]) == "forbidden"
    assert await alice.error("PushSubscription/set", ifInState="x") == "invalidArguments"
    monkeypatch.setattr(push, "LIMITS", dataclasses.replace(LIMITS, push_in_all=0))
    assert house.store.read_now(push.everyone) == []


def test_what_a_client_needs_to_know_of_our_key() -> None:
    number = new_number()
    made = subscriptions.capability(number)
    assert made.urn == "urn:ietf:params:jmap:webpush-vapid" and made.account is None
    assert made.session(None) == {"applicationServerKey": b64(point_of(key_of(number)))}  # type: ignore[arg-type]
