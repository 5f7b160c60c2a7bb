"""Sessions are held to what a host promised: DANE, MTA-STS, the message's own wish; and what became of it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.config import Config
from daemon.flow.outcome import Result
from daemon.flow.peer import Patience
from daemon.flow.sts import Policies
from daemon.flow.tls import Tls
from daemon.limits import LIMITS
from daemon.resolver import MX, TLSA
from daemon.store import events, tls_memory
from daemon.store import queue as rows
from tests.flow.house import House
from tests.flow.office import Office, running
from tests.flow.table import Table
from tests.instruments.authority import Issued, issue, serving, tlsa
from tests.instruments.sink import ALL, Sink

HOST, DOMAIN = "mx.there.example", "there.example"
ROOT = issue("Root", ca=True)
GOOD = issue("good", by=ROOT, names=[HOST])  # a root of the world stands behind it
OWN = issue("own", names=["elsewhere.example"], days=(-9, -1))  # nobody does
EXPIRED = issue("old", by=ROOT, names=[HOST], days=(-9, -1))
STRANGE = issue("strange", by=ROOT, names=["elsewhere.example"])
POLICY = "version: STSv1\nmode: {}\nmx: {}\nmax_age: 86400\n"
TAKEN, NO_TLS = "sent accepted", "TLS is required, and the host does not offer STARTTLS"


class There:
    """A domain with one MX host, which shows `leaf` (None: no TLS), and what is published about it."""

    def __init__(
        self, house: House, leaf: Issued | None, *, secure: bool = False, offers: tuple[str, ...] = ALL
    ) -> None:
        self.sink = Sink(offers, tls=serving(leaf) if leaf is not None else None)
        self.dns = Table(
            {(DOMAIN, "MX"): [MX(10, HOST)], (HOST, "A"): ["127.0.0.1"], (HOST, "AAAA"): []}, secure=secure
        )  # fmt: skip
        self.house = house
        self.office: Office
        self.policy = b""

    def names(self, *records: TLSA) -> None:
        self.dns.records[f"_{self.sink.port}._tcp.{HOST}", "TLSA"] = list(records)

    def promises(self, mode: str, mx: str = HOST) -> None:
        self.dns.records[f"_mta-sts.{DOMAIN}", "TXT"] = [b"v=STSv1; id=1;"]
        self.policy = POLICY.format(mode, mx).encode()

    async def fetch(self, domain: str) -> bytes:
        return self.policy

    async def send(self, **more: Any) -> list[dict[str, Any]]:
        """One message, tried once: its events."""
        receipt = self.house.mail("ann@here.example", f"x@{DOMAIN}", **more)
        found: list[events.Event] = []

        def tried() -> bool:
            nonlocal found
            found = [
                event for event in self.house.store.read_now(events.of_trace, receipt.trace)
                if event.kind in ("sent", "deferred", "failed")
            ]  # fmt: skip
            return bool(found)

        await self.office.until(tried)
        return [{"what": f"{e.kind} {e.reason}", "peer": e.peer, **e.detail} for e in found]

    async def one(self, **more: Any) -> dict[str, Any]:
        (event,) = await self.send(**more)
        return event

    def results(self) -> list[tuple[Any, ...]]:
        """Type of policy, result, count."""
        return self.house.store.read_now(
            lambda tx: tx.all("select policy_type, result_type, sum(count) from tls_result group by 1, 2 order by 1, 2")
        )


@contextlib.asynccontextmanager
async def there(
    house: House, leaf: Issued | None, settings: dict[str, str] | None = None, **more: Any
) -> AsyncIterator[There]:
    world = There(house, leaf, **more)
    async with world.sink:
        world.office = Office(house, world.dns, world.sink.port, settings)
        world.office.sender.tls = Tls(ROOT.pem)
        world.office.sender.sts = Policies(house.store, world.dns, world.fetch)
        async with running(world.office):
            yield world
        await world.office.sender.sts.close()


# -- DANE --------------------------------------------------------------------------------------------------------------


async def test_a_certificate_that_tlsa_names_is_verified_whoever_made_it(house: House) -> None:
    async with there(house, OWN, secure=True) as world:
        world.names(tlsa(OWN, 3, 1, 1))
        sent = await world.one()
        assert sent["what"] == TAKEN and sent["verified"] is True
        assert (sent["tls"], sent["policy"], sent["proof"]) == ("TLSv1.3", "dane", "TLSA 3 1 1")
        assert world.results() == [("tlsa", "", 1)]
        known = house.store.read_now(rows.standing, DOMAIN)
        assert known is not None and (known.tls_verified, known.tls_policy) == (True, "dane")


@pytest.mark.parametrize(
    "leaf, words, failure",
    [
        (OWN, "is none that the TLSA records", "validation-failure"),
        (GOOD, "is none that the TLSA records", "validation-failure"),  # no root of the web helps
        (None, NO_TLS, "starttls-not-supported"),
    ],
)
async def test_another_one_gets_no_mail(house: House, leaf: Issued | None, words: str, failure: str) -> None:
    async with there(house, leaf, secure=True) as world:
        world.names(tlsa(ROOT, 3, 1, 1))
        put_off = await world.one()
        assert put_off["what"] == "deferred dane" and words in put_off["reply"] and put_off["policy"] == "dane"
        assert not world.sink.copies and not any("MAIL" in c for s in world.sink.sessions for c in s.commands())
        assert world.results() == [("tlsa", failure, 1)]
        ends = house.store.read_now(lambda tx: tx.all("select sending_ip, receiving_host, mx_host from tls_result"))
        assert ends == [("127.0.0.1", "127.0.0.1", HOST)]


async def test_a_broken_handshake_is_no_reason_to_speak_in_the_clear(house: House) -> None:
    async with there(house, OWN, secure=True) as world:
        world.names(tlsa(OWN, 3, 1, 1))
        world.sink.handshake_garbage = True
        assert (await world.one())["what"] == "deferred dane" and len(world.sink.sessions) == 1
        assert world.results() == [("tlsa", "validation-failure", 1)]


async def test_tlsa_that_nobody_can_tell_defers(house: House) -> None:
    async with there(house, OWN, secure=True) as world:
        world.dns.records[f"_{world.sink.port}._tcp.{HOST}", "TLSA"] = "SERVFAIL"
        put_off = await world.one()
        assert put_off["what"] == "deferred dane" and "SERVFAIL" in put_off["reply"] and not world.sink.sessions
        assert world.results() == [("tlsa", "dnssec-invalid", 1)]


async def test_records_that_cannot_be_used_want_tls_and_no_more(house: House) -> None:
    record = tlsa(ROOT, 1, 1, 1)
    async with there(house, OWN, secure=True) as world:
        world.names(record)
        sent = await world.one()
        assert (sent["what"], sent["policy"], "verified" in sent) == (TAKEN, "dane-unusable", False)
        assert world.results() == [("tlsa", "tlsa-invalid", 1)]


async def test_without_tls_such_records_defer(house: House) -> None:
    async with there(house, None, secure=True) as world:
        world.names(tlsa(ROOT, 1, 1, 1))
        assert (await world.one())["what"] == "deferred dane"


async def test_without_dnssec_there_is_no_dane(house: House) -> None:
    async with there(house, OWN) as world:
        world.names(tlsa(ROOT, 3, 1, 1))
        sent = await world.one()
        assert (sent["what"], sent["tls"], "policy" in sent) == (TAKEN, "TLSv1.3", False)
        assert not any(kind == "TLSA" for _, kind in world.dns.asked)


async def test_the_next_host_is_tried_when_one_is_not_what_it_should_be(house: House) -> None:
    async with there(house, OWN, secure=True) as world, Sink(port=world.sink.port, host="127.0.0.2") as second:
        world.dns.records[DOMAIN, "MX"] = [MX(10, HOST), MX(20, "mx2.there.example")]
        world.dns.records["mx2.there.example", "A"] = ["127.0.0.2"]
        world.names(tlsa(ROOT, 3, 1, 1))
        sent = await world.one()
        assert sent["what"] == TAKEN and sent["peer"] == "mx2.there.example [127.0.0.2]" and second.copies


# -- MTA-STS -----------------------------------------------------------------------------------------------------------


async def test_a_host_that_the_policy_names_with_a_good_certificate_is_verified(house: House) -> None:
    async with there(house, GOOD) as world:
        world.promises("enforce")
        sent = await world.one()
        assert (sent["what"], sent["policy"], sent["verified"]) == (TAKEN, "mta-sts", True)
        assert world.results() == [("sts", "", 1)]


@pytest.mark.parametrize(
    "leaf, mx, words, failure",
    [
        (OWN, HOST, "", "certificate-not-trusted"),
        (EXPIRED, HOST, "expired", "certificate-expired"),
        (STRANGE, HOST, "mismatch", "certificate-host-mismatch"),
        (None, HOST, NO_TLS, "starttls-not-supported"),
        (GOOD, "other.example", "does not name mx.there.example", "validation-failure"),
    ],
)
async def test_any_other_gets_no_mail_under_enforce_and_all_of_it_under_testing(
    house: House, leaf: Issued | None, mx: str, words: str, failure: str
) -> None:
    async with there(house, leaf) as world:
        world.promises("enforce", mx)
        put_off = await world.one()
        assert put_off["what"] == "deferred mta-sts" and words in put_off["reply"].lower() + put_off["reply"]
        assert put_off["policy"] == "mta-sts" and not world.sink.copies
        found = world.results()
        assert [kind for kind, _, _ in found] == ["sts"] and (found[0][1] == failure or leaf is OWN)
    async with there(house, leaf) as world:
        house.store.write_now(tls_memory.keep_policy, DOMAIN, "2", "testing", (mx,), 86400)
        house.store.write_now(lambda tx: tx.run("delete from destination") + tx.run("delete from tls_result"))
        sent = await world.one()
        assert sent["what"] == TAKEN and sent["policy"] == "mta-sts-testing"
        found = world.results()
        assert [kind for kind, _, _ in found] == ["sts"] and found[0][1]


async def test_dane_goes_before_mta_sts(house: House) -> None:
    async with there(house, OWN, secure=True) as world:
        world.names(tlsa(OWN, 3, 1, 1))
        world.promises("enforce", "other.example")
        sent = await world.one()
        assert (sent["what"], sent["policy"]) == (TAKEN, "dane")
        assert not any(name.startswith("_mta-sts") for name, _ in world.dns.asked)


async def test_a_policy_that_cannot_be_had_is_told_in_the_report_and_stops_nothing(house: House) -> None:
    async with there(house, OWN) as world:
        world.promises("enforce")
        world.policy = b"<html>"
        assert (await world.one())["what"] == TAKEN
        assert world.results() == [("no-policy-found", "", 1), ("sts", "sts-policy-invalid", 1)]


async def test_the_policy_is_that_of_the_recipients_domain_not_of_its_alias(house: House) -> None:
    async with there(house, OWN) as world:
        world.dns.records["_mta-sts.alias.example", "TXT"] = [b"v=STSv1; id=1;"]
        world.dns.records["alias.example", "MX"] = [MX(10, HOST)]
        (host,) = await world.office.sender.router.hosts("alias.example", None)
        assert host.domain == "alias.example" and (await world.office.sender.policy(host)).domain == "alias.example"
        assert ("_mta-sts.alias.example", "TXT") in world.dns.asked


# -- what the message wants --------------------------------------------------------------------------------------------

RELAXED = b"From: ann@here.example\r\nTLS-Required: No\r\nSubject: report\r\n\r\nx\r\n"
WITH = (*ALL, "REQUIRETLS")


async def test_tls_required_no_goes_past_every_policy_and_nothing_else_does(house: House) -> None:
    async with there(house, OWN, secure=True) as world:
        world.names(tlsa(ROOT, 3, 1, 1))
        assert (await world.one())["what"] == "deferred dane"
        sent = await world.one(data=RELAXED)
        assert (sent["what"], sent["policy"], sent["tls"]) == (TAKEN, "tls-required-no", "TLSv1.3")
        assert [b"TLS-Required: No" in copy.data for copy in world.sink.copies] == [True]
        known = house.store.read_now(rows.standing, DOMAIN)
        assert known is not None and known.failures == 1 and known.tls is None, "of the destination nothing is told"
        assert world.results() == [("tlsa", "validation-failure", 1)]
    assert len(house.queued()) == 1


@pytest.mark.parametrize(
    "value, past", [(b"no", True), (b" NO ", True), (b"yes", False), (b"No way", False), (b"", False)]
)
async def test_only_no_is_no(house: House, value: bytes, past: bool) -> None:
    async with there(house, None, secure=True) as world:
        world.names(tlsa(ROOT, 3, 1, 1))
        event = await world.one(data=RELAXED.replace(b": No", b": " + value))
        assert (event["what"] == TAKEN) == past


async def test_a_flood_of_such_mail_holds_its_share_and_no_more(house: House) -> None:
    """It has a lane of its own; the destination's share of our hands is one for both."""
    async with there(house, None) as world, Sink(port=world.sink.port, host="127.0.0.2") as other:
        world.office.sender.patience = Patience()
        world.sink.on("MAIL", "stall")
        for number in range(LIMITS.out_lane // 100 + 1):
            house.mail("ann@here.example", *(f"x{number}-{i}@{DOMAIN}" for i in range(100)), data=RELAXED)
        house.mail("ann@here.example", *(f"y{i}@{DOMAIN}" for i in range(100)))
        runner = world.office.runner
        await world.office.until(lambda: runner._in_hand(DOMAIN) >= LIMITS.out_lane)
        world.dns.records["other.example", "MX"] = [MX(10, "mx.other.example")]
        world.dns.records["mx.other.example", "A"] = ["127.0.0.2"]
        house.mail("ann@here.example", "z@other.example")
        await other.wait(1)
        assert runner._in_hand(DOMAIN) <= LIMITS.out_lane
        await world.sink.stop()
        await world.office.until(lambda: not [name for name in runner._lanes if name.startswith(DOMAIN)], 20)


@pytest.mark.parametrize("how", ["dane", "mta-sts", "dnssec"])
async def test_requiretls_goes_on_with_the_message_over_proven_tls(house: House, how: str) -> None:
    async with there(house, GOOD, secure=how != "mta-sts", offers=WITH) as world:
        if how == "dane":
            world.names(tlsa(GOOD, 3, 1, 1))
        if how == "mta-sts":
            world.promises("enforce")
        assert (await world.one(requiretls=True))["what"] == TAKEN
        assert "REQUIRETLS" in world.sink.copies[0].parameters
        assert (await world.one())["what"] == TAKEN and "REQUIRETLS" not in world.sink.copies[1].parameters


@pytest.mark.parametrize(
    "leaf, secure, offers, why",
    [
        (GOOD, True, ALL, "does not offer REQUIRETLS"),
        (GOOD, False, WITH, "cannot be verified"),  # nobody proves that it is the right host
        (OWN, True, WITH, "cannot be verified"),
        (None, True, WITH, "cannot be verified"),
    ],
)
async def test_requiretls_comes_back_where_it_cannot_be_kept(
    house: House, leaf: Issued | None, secure: bool, offers: tuple[str, ...], why: str
) -> None:
    async with there(house, leaf, secure=secure, offers=offers) as world:
        failed = await world.one(requiretls=True)
        assert failed["what"] == "failed requiretls" and "5.7.30" in failed["reply"] and why in failed["reply"]
        assert not world.sink.copies
        await world.office.until(lambda: house.inbox("ann@here.example"))
        (notice,) = house.inbox("ann@here.example")
        text = " ".join(notice.decode().split())
        assert "5.7.30" in text and why in text
        assert (await world.one())["what"] == TAKEN, "other mail goes on in the same session"


async def test_requiretls_looks_for_a_host_that_can(house: House) -> None:
    async with (
        there(house, GOOD, secure=True) as world,
        Sink(
            WITH, tls=serving(issue("2", by=ROOT, names=["mx2.there.example"])), port=world.sink.port, host="127.0.0.2"
        ) as second,
    ):
        world.dns.records[DOMAIN, "MX"] = [MX(10, HOST), MX(20, "mx2.there.example")]
        world.dns.records["mx2.there.example", "A"] = ["127.0.0.2"]
        assert (await world.one(requiretls=True))["what"] == TAKEN
        assert not world.sink.copies and len(second.copies) == 1


async def test_requiretls_waits_for_a_host_that_is_only_down(house: House) -> None:
    async with there(house, GOOD, secure=True) as world:
        world.dns.records[DOMAIN, "MX"] = [MX(5, "mx2.there.example"), MX(10, HOST)]
        world.dns.records["mx2.there.example", "A"] = ["127.0.0.9"]
        assert (await world.one(requiretls=True))["what"] == "deferred requiretls"


async def test_notices_of_such_mail_are_kept_to_the_same(house: House) -> None:
    house.mail("x@there.example", "nobody@else.example", kind="relay", requiretls=True)
    async with there(house, GOOD, offers=WITH) as world:
        world.promises("enforce")
        world.dns.records["else.example", "MX"] = [MX(0, "")]
        await world.sink.wait(1)
        (copy,) = world.sink.copies
        assert copy.sender == "" and "REQUIRETLS" in copy.parameters and b"null MX" in copy.data


async def test_requiretls_goes_before_tls_required_no(house: House) -> None:
    """RFC 8689 §5."""
    async with there(house, GOOD) as world:
        assert (await world.one(requiretls=True, data=RELAXED))["what"] == "failed requiretls"


# -- memory ------------------------------------------------------------------------------------------------------------


async def test_a_destination_that_speaks_less_than_before_is_noticed(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.store.write_now(tls_memory.spoken, DOMAIN, 2, "")
    async with there(house, None) as world:
        sent = await world.one()
        words = "mail went over TLS with a verified certificate before, and goes in clear text now"
        assert sent["what"] == TAKEN and sent["note"] == f"TLS downgrade: {words}"
        assert [r for r in caplog.messages if "tls-downgrade" in r and words in r]
        assert house.store.read_now(tls_memory.best, DOMAIN)[:1] == (2,), "the best is not forgotten"


async def test_mail_waits_for_better_when_the_administrator_wants_it(house: House) -> None:
    house.store.write_now(tls_memory.spoken, DOMAIN, 1, "")
    async with there(house, None, {"queue.tls_downgrade": "defer"}) as world:
        put_off = await world.one()
        assert put_off["what"] == "deferred tls-downgrade" and "goes in clear text now" in put_off["reply"]
        assert not world.sink.copies
        sent = await world.one(data=RELAXED)
        assert sent["what"] == TAKEN and "note" not in sent


async def test_the_best_is_remembered_for_a_month(house: House) -> None:
    store = house.store

    def best() -> tuple[int, bool]:
        known = store.read_now(tls_memory.best, DOMAIN)
        return known.strength, known.told

    def spoken(strength: int, days: float = 0) -> None:
        house.clock.now += int(days * tls_memory.DAY)
        store.write_now(tls_memory.spoken, DOMAIN, strength, "")

    assert best() == (0, False)
    spoken(1)
    spoken(2)
    assert best() == (2, False)
    spoken(1)
    assert best() == (2, True)
    house.clock.now += tls_memory.DAY
    assert best() == (2, False), "it is told again every day"
    spoken(2)
    spoken(0, 29)
    assert best() == (2, True)
    house.clock.now += tls_memory.DAY
    assert best() == (0, False)
    spoken(0)
    assert best() == (0, False)
    spoken(1, 1)
    assert best() == (1, False)


# -- reports -----------------------------------------------------------------------------------------------------------


def test_results_are_summed_by_day_and_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    store = house.store
    one = tls_memory.Result(DOMAIN, "sts", "version: STSv1", HOST, "", "192.0.2.1", "192.0.2.2")
    other = one._replace(result="certificate-expired")

    def rows_now() -> list[tuple[Any, ...]]:
        return store.read_now(
            lambda tx: tx.all("select day, result_type, count from tls_result order by day, result_type")
        )

    day = store.clock() // tls_memory.DAY
    store.write_now(tls_memory.count_results, {one: 2, other: 1})
    store.write_now(tls_memory.count_results, {one: 3})
    assert rows_now() == [(day, "", 5), (day, "certificate-expired", 1)]
    house.clock.now += tls_memory.DAY
    store.write_now(tls_memory.count_results, {one: 1})
    assert rows_now()[-1] == (day + 1, "", 1)
    monkeypatch.setattr(tls_memory, "LIMITS", type("Small", (), {"tls_results": 2}))
    store.write_now(tls_memory.count_results, {one._replace(mx_host=f"mx{i}"): 1 for i in range(5)} | {one: 1})
    assert len(rows_now()) == 4 and (day + 1, "", 2) in rows_now(), "known rows go on growing"
    house.clock.now += 14 * tls_memory.DAY
    assert store.write_now(tls_memory.forget, store.clock(), 100) == 4 and rows_now() == []


def test_policies_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_memory, "LIMITS", type("Small", (), {"sts_policies": 3}))
    for number in range(5):
        house.store.write_now(tls_memory.keep_policy, f"d{number}.example", "1", "enforce", ("mx",), 60 + number)
    kept = house.store.read_now(lambda tx: [row[0] for row in tx.all("select domain from mta_sts")])
    assert kept == ["d2.example", "d3.example", "d4.example"], "the one whose time is over first goes first"


async def test_other_destinations_do_not_notice_a_slow_policy(house: House) -> None:
    async with there(house, OWN) as world:
        world.promises("enforce")
        never = asyncio.Event()

        async def slow(domain: str) -> bytes:
            await never.wait()
            return b""

        world.office.sender.sts = Policies(house.store, world.dns, slow)
        house.mail("ann@here.example", f"x@{DOMAIN}")
        world.dns.records["quick.example", "MX"] = [MX(10, HOST)]
        house.mail("ann@here.example", "x@quick.example")
        (copy,) = await world.sink.wait(1)
        assert copy.recipients == ["x@quick.example"]
        never.set()
        await world.sink.wait(2)


def test_settings_have_two_words() -> None:
    assert Config([("queue.tls_downgrade", "defer")])["queue.tls_downgrade"] == "defer"
    assert Config([])["queue.tls_downgrade"] == "notice" and Result("", "", "", "").policy == ""
