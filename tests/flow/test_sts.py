"""MTA-STS policies are fetched with care, kept, and looked after."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from daemon.flow import sts
from daemon.flow.https import FetchFailed, PolicyFetcher
from daemon.flow.sts import Found, Policies
from daemon.flow.tls import Tls
from daemon.limits import LIMITS
from daemon.store import tls_memory
from daemon.trust.mta_sts import Policy
from tests.flow.house import House
from tests.flow.table import Table
from tests.instruments.authority import Issued, issue, serving
from tests.instruments.https import Https
from tests.instruments.until import soon

DOMAIN, HOST, PATH = "there.example", "mta-sts.there.example", "/.well-known/mta-sts.txt"
POLICY = b"version: STSv1\nmode: enforce\nmx: mx.there.example\nmax_age: 604800\n"
WANTED = Policy("1", "enforce", ("mx.there.example",), 604800)
ROOT = issue("Root", ca=True)
GOOD = issue("web", by=ROOT, names=[HOST])


# -- fetching ----------------------------------------------------------------------------------------------------------


def fetcher(web: Https, address: str = "127.0.0.1", **more: Any) -> PolicyFetcher:
    context = Tls(ROOT.pem).sts
    kind = "AAAA" if ":" in address else "A"
    return PolicyFetcher(
        Table({(HOST, kind): [address]}), context, **{"port": web.port, "private": True, "patience": 5, **more}
    )  # fmt: skip


async def refused(fetch: PolicyFetcher) -> tuple[str, str]:
    with pytest.raises(FetchFailed) as caught:
        await fetch(DOMAIN)
    return caught.value.reason, str(caught.value)


async def test_a_policy_is_fetched_from_its_one_place() -> None:
    async with Https(serving(GOOD), POLICY) as web:
        assert await fetcher(web)(DOMAIN) == POLICY
        web.headers["Content-Type"] = "text/plain; charset=utf-8"
        assert await fetcher(web)(DOMAIN) == POLICY
        assert web.asked == [(HOST, PATH)] * 2


@pytest.mark.parametrize(
    "leaf",
    [
        issue("w", by=ROOT, names=["www.there.example"]),
        issue("w", by=ROOT, names=[HOST], days=(-9, -1)),
        issue("w", names=[HOST]),
        issue(HOST, by=ROOT),
    ],
    ids=["name", "expired", "self-signed", "common-name-only"],
)
async def test_without_a_good_certificate_there_is_no_policy(leaf: Issued) -> None:
    async with Https(serving(leaf), POLICY) as web:
        reason, words = await refused(fetcher(web))
        assert reason == "sts-webpki-invalid" and "certificate" in words and web.asked == []


@pytest.mark.parametrize(
    "status, headers, words",
    [
        (301, {"Location": "https://mta-sts.there.example/other"}, "may not be elsewhere"),
        (302, {"Location": "http://169.254.169.254/latest"}, "302"),
        (307, {"Location": "/.well-known/other.txt"}, "307"),
        (404, {}, "404"),
        (500, {}, "500"),
        (200, {"Content-Type": "text/html"}, "text/html"),
        (200, {"Content-Type": ""}, "no text/plain"),
    ],
)
async def test_whatever_else_it_answers_is_no_policy(status: int, headers: dict[str, str], words: str) -> None:
    async with Https(serving(GOOD), POLICY) as web:
        web.status = status
        web.headers |= headers
        reason, said = await refused(fetcher(web))
        assert reason == "sts-policy-fetch-error" and words in said
        assert len(web.asked) == 1, "no redirect was followed"


async def test_a_policy_of_ten_megabytes_is_left_unread() -> None:
    async with Https(serving(GOOD), POLICY) as web:
        web.endless = True
        data = await fetcher(web)(DOMAIN)
        assert len(data) == LIMITS.sts_policy + 1, "enough to see that it is too long"
        web.endless, web.body = False, POLICY + b"x" * (10 << 20)
        assert len(await fetcher(web)(DOMAIN)) == LIMITS.sts_policy + 1


async def test_what_claims_to_be_packed_is_not_unpacked() -> None:
    async with Https(serving(GOOD), b"\x1f\x8b" + b"\0" * 100) as web:
        web.headers["Content-Encoding"] = "gzip"
        assert await fetcher(web)(DOMAIN) == web.body


async def test_a_policy_that_comes_too_slowly_is_given_up() -> None:
    async with Https(serving(GOOD), POLICY) as web:
        web.drip = True
        assert await refused(fetcher(web, patience=0.3)) == ("sts-policy-fetch-error", "not fetched within 0.3 s")
    assert PolicyFetcher(Table({}), ssl.create_default_context())._patience == LIMITS.sts_patience


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fc00::1",
                "::ffff:127.0.0.1", "0.0.0.0"],
)  # fmt: skip
async def test_nobody_sends_us_to_machines_of_our_own_network(address: str) -> None:
    async with Https(serving(GOOD), POLICY) as web:
        reason, words = await refused(fetcher(web, address, private=False))
        assert reason == "sts-policy-fetch-error" and "private addresses only" in words and not web.asked


async def test_a_name_without_an_address_is_no_policy() -> None:
    fetch = PolicyFetcher(Table({(HOST, "A"): "SERVFAIL"}), ssl.create_default_context())
    assert "SERVFAIL" in (await refused(fetch))[1]


# -- keeping -----------------------------------------------------------------------------------------------------------


class Web:
    """Stands in for the fetcher."""

    def __init__(self, answer: bytes | Exception = POLICY) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, domain: str) -> bytes:
        self.asked.append(domain)
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class World:
    """`seconds` is the monotonic clock."""

    def __init__(self, house: House) -> None:
        house.store.attach(asyncio.get_running_loop())
        self.house = house
        self.web = Web()
        self.dns = Table({(f"_mta-sts.{DOMAIN}", "TXT"): [b"v=STSv1; id=1;"]})
        self.seconds = 0.0
        self.policies = Policies(house.store, self.dns, self.web, clock=lambda: self.seconds)

    def record(self, *texts: bytes) -> None:
        self.dns.records[f"_mta-sts.{DOMAIN}", "TXT"] = list(texts)

    def tick(self, seconds: float) -> None:
        self.seconds += seconds
        self.house.clock.now += int(seconds * 1000)

    async def of(self) -> Found:
        """What holds, once what was begun in the background is over."""
        found = await self.policies.of(DOMAIN)
        await soon(lambda: not self.policies._looking)
        return found


async def test_the_first_mail_waits_for_the_policy_and_the_next_ones_do_not(house: House) -> None:
    world = World(house)
    assert await world.of() == Found(WANTED)
    world.dns.records.clear()
    world.web.answer = FetchFailed("sts-policy-fetch-error", "down")
    assert await world.of() == Found(WANTED) and world.web.asked == [DOMAIN]
    again = Policies(house.store, world.dns, world.web)
    assert await again.of(DOMAIN) == Found(WANTED), "a new process knows it too"


async def test_those_who_ask_at_once_share_one_flight(house: House) -> None:
    world = World(house)
    world.web.open.clear()
    asking = [asyncio.create_task(world.policies.of(DOMAIN)) for _ in range(5)]
    await soon(lambda: world.web.asked)
    asking[0].cancel()
    world.web.open.set()
    assert await asyncio.gather(*asking[1:]) == [Found(WANTED)] * 4 and world.web.asked == [DOMAIN]


@pytest.mark.parametrize("record", [(), (b"v=spf1 -all",), (b"v=STSv1; id=1;", b"v=STSv1; id=2;")])
async def test_without_a_record_nothing_is_fetched(house: House, record: tuple[bytes, ...]) -> None:
    world = World(house)
    world.record(*record)
    assert await world.of() == Found() and not world.web.asked


async def test_dns_that_does_not_answer_leaves_what_is_known(house: House) -> None:
    world = World(house)
    world.dns.records[f"_mta-sts.{DOMAIN}", "TXT"] = "SERVFAIL"
    assert await world.of() == Found() and not world.web.asked
    world.record(b"v=STSv1; id=1;")
    assert await world.of() == Found(WANTED)
    world.dns.records[f"_mta-sts.{DOMAIN}", "TXT"] = "SERVFAIL"
    world.tick(sts._LOOK + 1)
    assert await world.of() == Found(WANTED)


@pytest.mark.parametrize(
    "answer, reason",
    [
        (FetchFailed("sts-policy-fetch-error", "404"), "sts-policy-fetch-error"),
        (FetchFailed("sts-webpki-invalid", "expired"), "sts-webpki-invalid"),
        (b"<html>", "sts-policy-invalid"),
        (RuntimeError("a fault of ours"), "sts-policy-fetch-error"),
    ],
)
async def test_what_could_not_be_fetched_is_not_asked_for_at_once(
    house: House, answer: bytes | Exception, reason: str
) -> None:
    world = World(house)
    world.web.answer = answer
    assert await world.of() == Found(None, reason)
    world.tick(LIMITS.sts_failure - 1)
    world.web.answer = POLICY
    assert await world.of() == Found(None, reason) and len(world.web.asked) == 1
    world.tick(2)
    assert await world.of() == Found(WANTED)


async def test_a_policy_in_force_is_looked_after_in_the_background(house: House) -> None:
    world = World(house)
    assert await world.of() == Found(WANTED)
    new = POLICY.replace(b"enforce", b"testing")
    world.record(b"v=STSv1; id=2;")
    world.web.answer = new
    world.tick(sts._LOOK - 1)
    assert (await world.of(), len(world.web.asked)) == (Found(WANTED), 1), "not so soon"
    world.tick(2)
    world.web.open.clear()
    assert await world.policies.of(DOMAIN) == Found(WANTED), "nobody waits for the new one"
    world.web.open.set()
    await soon(lambda: not world.policies._looking)
    assert await world.of() == Found(Policy("2", "testing", WANTED.mx, 604800)) and len(world.web.asked) == 2
    world.tick(LIMITS.sts_refresh + 1)
    await world.of()
    assert len(world.web.asked) == 3, "every day, though nothing changed"


@pytest.mark.parametrize("answer", [FetchFailed("sts-policy-fetch-error", "down"), b"nonsense", RuntimeError()])
async def test_a_refresh_that_fails_keeps_the_policy_until_its_time_is_over(
    house: House, answer: bytes | Exception
) -> None:
    world = World(house)
    await world.of()
    world.web.answer = answer
    world.record(b"v=STSv1; id=2;")
    for _ in range(6):
        world.tick(86400)
        assert await world.of() == Found(WANTED)
    world.tick(86400)
    assert (await world.of()).policy is None, "its week is over"


async def test_a_record_that_is_gone_changes_nothing_yet(house: House) -> None:
    """RFC 8461 §5.1: or whoever holds up the DNS would take the policy away."""
    world = World(house)
    await world.of()
    world.record()
    world.tick(86400 * 2)
    assert await world.of() == Found(WANTED) and len(world.web.asked) == 1


async def test_policies_nobody_asks_for_are_fetched_anew_too(house: House) -> None:
    world = World(house)
    await world.of()
    world.tick(LIMITS.sts_refresh + 1)
    task = asyncio.create_task(world.policies.run())
    await soon(lambda: len(world.web.asked) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await world.policies.close()


async def test_closing_lets_go_of_what_is_under_way(house: House) -> None:
    world = World(house)
    world.web.open.clear()
    asking = asyncio.create_task(world.policies.of(DOMAIN))
    await soon(lambda: world.web.asked)
    await world.policies.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_domain_that_takes_its_policy_back_says_none(house: House) -> None:
    world = World(house)
    world.web.answer = b"version: STSv1\nmode: none\nmax_age: 86400\n"
    assert (await world.of()).policy == Policy("1", "none", (), 86400)


def test_what_is_kept_is_forgotten_in_its_time(house: House) -> None:
    store = house.store
    store.write_now(tls_memory.keep_policy, "a.example", "1", "enforce", ("mx.a.example", "*.b.example"), 60)
    kept = store.read_now(tls_memory.policy, "a.example")
    assert kept is not None and kept.mx == ("mx.a.example", "*.b.example")
    house.clock.now += 60_000
    assert store.read_now(tls_memory.policy, "a.example") is None
    assert store.write_now(tls_memory.forget, store.clock(), 10) == 1
