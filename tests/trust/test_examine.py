"""All checks together: side by side, each in its time, whatever the DNS does."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.resolver import Answer, TemporaryDNSError
from daemon.trust import examine as examining
from daemon.trust.examine import Checks, examine
from daemon.trust.results import ARC, SPF, IPRev, Signals, Signature
from tests.trust.answers import Answers

ZONE = "_dmarc.bank.example TXT v=DMARC1; p=reject"
MAIL = b"From: Ann <ann@bank.example>\r\nDKIM-Signature: v=1; h=from; d=Bank.example;\r\n b=x\r\n\r\nHi.\r\n"


class World:
    """Checks whose answers are set, and that may never come."""

    def __init__(self, **slow: bool) -> None:
        self.slow = slow
        self.calls: list[tuple[str, Any]] = []
        self.checks = Checks(self.iprev, self.spf, self.dkim, self.arc)

    async def _wait(self, name: str) -> None:
        if self.slow.get(name):
            await asyncio.Event().wait()

    async def iprev(self, resolver: Any, ip: str) -> IPRev:
        await self._wait("iprev")
        return IPRev("pass", "mx.bank.example")

    async def spf(self, resolver: Any, ip: str, helo: str, sender: str, *, now: float, receiver: str) -> SPF:
        self.calls.append(("spf", (ip, helo, sender, now, receiver)))
        await self._wait("spf" if sender else "helo")
        return SPF("pass", sender.rpartition("@")[2] or helo, "mailfrom" if sender else "helo")

    async def dkim(self, resolver: Any, data: Any, *, now: float) -> tuple[Signature, ...]:
        await self._wait("dkim")
        return (Signature("pass", "bank.example", "s"),)

    async def arc(self, resolver: Any, data: Any, *, now: float) -> ARC:
        await self._wait("arc")
        return ARC("none")

    async def examine(self, resolver: Any, data: bytes = MAIL, sender: str = "ann@bank.example") -> Signals:
        return await examine(
            resolver, ip="192.0.2.1", helo="mx.bank.example", sender=sender, data=data, now=1_800_000_000,
            receiver="mx.example.test", checks=self.checks,
        )  # fmt: skip


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "LIMITS", dataclasses.replace(LIMITS, trust_check=0.05, trust_patience=0.3))


async def test_all_results_come_together() -> None:
    world = World()
    found = await world.examine(Answers(ZONE))
    assert found.iprev == IPRev("pass", "mx.bank.example")
    assert (found.helo.domain, found.spf.domain) == ("mx.bank.example", "bank.example")
    assert found.dmarc.result == "pass" and found.dmarc.spf_aligned and found.dmarc.dkim_aligned
    assert (
        "spf",
        ("192.0.2.1", "mx.bank.example", "ann@bank.example", 1_800_000_000, "mx.example.test"),
    ) in world.calls


async def test_the_null_sender_is_asked_for_once_by_its_helo() -> None:
    world = World()
    found = await world.examine(Answers(ZONE), sender="")
    assert len(world.calls) == 1 and found.spf.domain == "mx.bank.example" and found.helo.result == "none"
    assert found.dmarc.spf_aligned


@pytest.mark.parametrize("slow", ["iprev", "spf", "helo", "arc"])
async def test_one_slow_check_is_a_temporary_error_and_the_others_stand(hurried: None, slow: str) -> None:
    found = await World(**{slow: True}).examine(Answers(ZONE))
    results = {"iprev": found.iprev, "spf": found.spf, "helo": found.helo, "arc": found.arc}
    assert {name: r.result for name, r in results.items() if r.result == "temperror"} == {slow: "temperror"}
    assert found.dmarc.result == "pass"


async def test_slow_signatures_leave_open_only_whose_they_are(hurried: None) -> None:
    mail = MAIL.replace(b"d=Bank.example", b"d=evil.example")
    found = await World(dkim=True).examine(Answers(ZONE), mail, "x@evil.example")
    assert found.signatures == (Signature("temperror", "evil.example", reason="the check took too long"),)
    assert found.dmarc.result == "fail", "a stranger's slow DNS opens no door"
    found = await World(dkim=True).examine(Answers(ZONE), MAIL, "x@evil.example")
    assert found.signatures[0].domain == "bank.example" and found.dmarc.result == "temperror"


async def test_a_policy_that_does_not_come_is_a_temporary_error(hurried: None) -> None:
    found = await World().examine(Answers(ZONE, **{"*": "hang"}))
    assert (found.dmarc.result, found.dmarc.domain) == ("temperror", "bank.example")
    assert found.spf.result == "pass"


async def test_an_alignment_that_does_not_come_is_a_temporary_error(hurried: None) -> None:
    zone = Answers(ZONE)
    zone.trouble["_dmarc.sub.bank.example"] = "hang"
    world = World()

    async def none(*_: Any, **__: Any) -> tuple[Signature, ...]:
        return ()

    world.checks = world.checks._replace(dkim=none)
    found = await world.examine(zone, sender="a@sub.bank.example")
    assert (found.dmarc.result, found.dmarc.reason) == ("temperror", "the check took too long")


class Dead:
    """A resolver whose every question takes its time and has no answer. `rounds`: how often one was asked when all
    before it had come to nothing."""

    def __init__(self) -> None:
        self.open = self.rounds = 0

    async def ask(self, name: str, kind: str) -> Any:
        self.rounds += not self.open
        self.open += 1
        await asyncio.sleep(0.1)
        self.open -= 1
        raise TemporaryDNSError(name, kind, "no answer")

    def known(self, name: str, kind: str) -> Answer | None:
        return None


async def test_a_dead_resolver_costs_one_time_out() -> None:
    async def ask(resolver: Any) -> str:
        try:
            await resolver.ask("x.example", "TXT")
        except TemporaryDNSError:
            return "temperror"
        return "pass"

    async def spf(resolver: Any, *_: Any, **__: Any) -> SPF:
        return SPF(await ask(resolver), "bank.example")  # type: ignore[arg-type]

    async def iprev(resolver: Any, ip: str) -> IPRev:
        return IPRev(await ask(resolver))  # type: ignore[arg-type]

    async def dkim(resolver: Any, data: Any, *, now: float) -> tuple[Signature, ...]:
        return (Signature(await ask(resolver), "bank.example"),)  # type: ignore[arg-type]

    world = World()
    world.checks = Checks(iprev, spf, dkim, world.arc)
    dead = Dead()
    found = await world.examine(dead)
    assert dead.rounds == 1, "all is asked at once"
    words = {found.iprev.result, found.spf.result, found.helo.result, found.signatures[0].result, found.dmarc.result}
    assert words == {"temperror"}


async def test_all_of_it_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "LIMITS", dataclasses.replace(LIMITS, trust_check=20, trust_patience=0.1))
    began = time.monotonic()
    found = await World(iprev=True, spf=True, helo=True, dkim=True, arc=True).examine(Answers(ZONE, **{"*": "hang"}))
    assert time.monotonic() - began < 5
    assert {found.iprev.result, found.spf.result, found.arc.result, found.dmarc.result} == {"temperror"}


async def test_a_fault_of_ours_is_logged_and_temporary(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    async def broken(*_: Any, **__: Any) -> IPRev:
        raise ZeroDivisionError

    world.checks = world.checks._replace(iprev=broken)
    found = await world.examine(Answers(ZONE))
    assert found.iprev.result == "temperror" and found.dmarc.result == "pass"
    assert "event=trust-fault" in caplog.text


async def test_several_authors_are_judged_one_by_one() -> None:
    zone = Answers(ZONE + "\n_dmarc.other.example TXT v=DMARC1; p=quarantine")
    found = await World().examine(zone, b"From: a@bank.example, b@other.example\r\n\r\n")
    assert (found.dmarc.result, found.dmarc.domain, found.dmarc.policy) == ("fail", "other.example", "quarantine")
    assert (await World().examine(zone, b"Subject: none\r\n\r\n")).dmarc.result == "none"


class Remembering(Answers):
    """One that knows all it was ever asked."""

    def __init__(self, zone: str) -> None:
        super().__init__(zone)
        self.kept: dict[tuple[str, str], Answer] = {}

    def known(self, name: str, kind: str) -> Answer | None:
        return self.kept.get((name, kind))

    async def ask(self, name: str, kind: str) -> Answer:
        self.kept[name, kind] = await super().ask(name, kind)
        return self.kept[name, kind]


async def test_what_was_asked_before_is_found_out_without_waiting() -> None:
    zone = Remembering(
        f"{ZONE}\nbank.example TXT v=spf1 a:mail.bank.example a:mx.bank.example -all\nmail.bank.example A 192.0.2.9\n"
        "1.2.0.192.in-addr.arpa PTR mx.bank.example\n1.2.0.192.in-addr.arpa PTR www.bank.example\n"
        "mx.bank.example A 192.0.2.1\nwww.bank.example A 192.0.2.2"
    )

    def examined() -> Any:
        return examine(
            zone, ip="192.0.2.1", helo="mx.bank.example", sender="a@bank.example", data=MAIL, now=1_800_000_000,
            receiver="mx.example.test",
        )  # fmt: skip

    first = await examined()
    asked = len(zone.asked)
    assert first.iprev.name == "mx.bank.example" and asked > 5
    tasks = asyncio.all_tasks()
    again = examined()
    with pytest.raises(StopIteration) as done:  # at its first step
        again.send(None)
    assert done.value.value == first and len(zone.asked) == asked and asyncio.all_tasks() == tasks
    del zone.kept["bank.example", "TXT"]
    assert await examined() == first and len(zone.asked) > asked
