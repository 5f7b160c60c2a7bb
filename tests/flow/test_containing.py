"""What users send to other servers is counted, and held when it is too much; owner and administrators are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from daemon.config import SETTINGS, Config
from daemon.flow import receive
from daemon.flow.alarm import Alarms
from daemon.flow.deliver import Stale
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, allowance, correspondents, incidents
from daemon.store.allowance import Amount
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import Clock, House
from tests.store.stage import clean

ANN, BOB = "ann@here.example", "bob@here.example"


@dataclass
class Ann:
    """Ann at the submission port, in a house with few limits."""

    house: House
    number: int = 0

    def send(self, *to: str, peer: str = "192.0.2.1", kind: str = "submission") -> str:
        self.number += 1
        data = b"From: <ann@here.example>\r\nMessage-ID: <%d@here.example>\r\n\r\nHello.\r\n" % self.number
        envelope = Envelope(parse_address(ANN), [Recipient(parse_address(t)) for t in to])
        origin = Origin(kind, peer=peer, account_id=1)
        receipt = receive.accept_now(self.house.store, origin, envelope, Body.of(data), config=self.house.config)
        assert receipt.taken and all(outcome.denial is None for outcome in receipt.outcomes), "it is never refused"
        return receipt.trace

    def set(self, **limits: int) -> None:
        rows = {"hostname": "mx.here.example"} | {f"allowance.{key}": str(value) for key, value in limits.items()}
        self.house.config = Config(rows.items())

    @property
    def sent(self) -> Amount:
        found = self.house.store.read_now(allowance.state, 1)
        assert found is not None
        return found.day

    @property
    def incident(self) -> incidents.Incident | None:
        found = self.house.store.read_now(incidents.open_ones)
        return found[0] if found else None

    @property
    def held(self) -> list[str]:
        return [row.recipient for row in self.house.queued(state="held")]


@pytest.fixture
def ann(house: House) -> Ann:
    return Ann(house)


def strangers(number: int, first: int = 0) -> list[str]:
    return [f"s{at}@far.example" for at in range(first, first + number)]


def test_each_limit_holds_what_is_over_it_by_default(house: House, ann: Ann) -> None:
    hour = (LIMITS.allowance_messages_hour, LIMITS.allowance_recipients_hour, LIMITS.allowance_strangers_hour)
    day = (LIMITS.allowance_messages_day, LIMITS.allowance_recipients_day, LIMITS.allowance_strangers_day)
    for span, most in (("hour", hour), ("day", day)):
        for what, limit in zip(Amount._fields, most, strict=True):
            assert house.config[f"allowance.{what}_per_{span}"] == limit

            def until_then(tx: Tx, what: str = what, limit: int = limit, back: int = 7 * (span == "day")) -> None:
                tx.now -= back * allowance.SLOT  # not within the hour
                spent = {"messages": 1, "recipients": 1, "strangers": 0, what: limit}
                spent["recipients"] = max(spent.values())
                allowance.reset(tx, 1)
                allowance.spend(tx, 1, Amount(**spent))

            house.store.write_now(until_then)
            ann.send(*strangers(1, ann.number))
            assert ann.incident is not None, (what, span)
            wanted = {f"{what}-per-{span}"} | ({f"recipients-per-{span}"} if what == "messages" else set())
            assert ann.incident.reason in wanted and ann.incident.found == limit + 1
            house.store.write_now(incidents.release_some, ann.incident.id, 1000, 100)


def test_of_two_messages_over_the_limit_there_is_one_incident(house: House, ann: Ann) -> None:
    ann.set(messages_per_hour=2)
    for number in range(2):
        ann.send(f"a{number}@far.example", BOB)
    traces = [ann.send("b@far.example", "c@far.example", BOB), ann.send("d@far.example")]
    assert ann.held == ["b@far.example", "c@far.example", "d@far.example"] and len(house.inbox(BOB)) == 3
    found = ann.incident
    assert found is not None and (found.messages, found.recipients, found.trace) == (2, 3, traces[0])
    assert ann.sent == Amount(2, 2, 2), "what is held did not go out"
    assert house.story(traces[1]) == ["accepted submission", "held allowance"]
    assert not house.store.read_now(correspondents.knows, 1, parse_address("d@far.example"))
    clean(house.store)


def test_what_counts(house: House, ann: Ann) -> None:
    house.alias("all@here.example", "x@far.example", "y@far.example", ANN)
    house.forward(BOB, "bob@home.example", keep=True)
    ann.send(BOB)
    assert ann.sent == Amount(1, 1, 0), "what a colleague forwards goes out, too; he is no stranger"
    ann.send("all@here.example", "z@far.example")
    assert ann.sent == Amount(2, 4, 1)
    ann.send("z@far.example", "Z@far.example")
    assert ann.sent == Amount(3, 5, 1), "whom she wrote to is known"
    ann.send(ANN)
    for kind in ("smtp", "relay", "sendmail", "lmtp", "notice"):
        ann.send(BOB, kind=kind)
    assert ann.sent == Amount(3, 5, 1)


def test_what_is_known_and_what_is_exempt(house: House, ann: Ann) -> None:
    ann.set(strangers_per_day=3)
    for _ in range(3):
        ann.send("one@far.example")
    many = strangers(LIMITS.correspondents_at_once + 1)
    house.config = Config([*house.config.rows.items(), ("limits.exempt_networks", "198.51.100.0/24")])
    ann.send(*many, peer="198.51.100.7")
    assert ann.incident is None and ann.sent == Amount(3, 3, 1)
    ann.send(*many)
    assert ann.incident is not None and ann.incident.found == 1 + len(many)
    ann.send("late@far.example", peer="198.51.100.7")
    assert "late@far.example" not in ann.held, "nothing that comes from there is held"


def test_a_user_may_be_allowed_more_or_all(house: House, ann: Ann) -> None:
    ann.set(messages_per_hour=1)
    for times, most in ((2, 2), (0, 5)):
        house.store.write_now(lambda tx, times=times: accounts.change(tx, 1, allowance=times))  # type: ignore[misc]
        house.store.write_now(allowance.reset, 1)
        for _ in range(most):
            ann.send("one@far.example")
        assert ann.incident is None
    house.store.write_now(lambda tx: accounts.change(tx, 1, allowance=None))
    ann.send("one@far.example")
    assert ann.incident is not None


def test_time_gives_back_what_was_sent_but_ends_no_incident(house: House, ann: Ann, clock: Clock) -> None:
    ann.set(messages_per_hour=1, messages_per_day=2)
    for hours, held in ((0, 0), (2, 0), (2, 1), (48, 2)):
        clock.now += hours * 3_600_000
        ann.send("one@far.example")
        assert len(ann.held) == held
    assert ann.incident is not None
    house.store.write_now(incidents.drop_some, ann.incident.id, 100)
    ann.send("one@far.example")
    assert ann.held == []


def test_mail_that_waits_anyway_is_held_by_the_incident(house: House, ann: Ann) -> None:
    ann.set(messages_per_hour=1)
    house.config = Config([*house.config.rows.items(), ("queue.hold_external", "yes")])
    ann.send("one@far.example")
    ann.send("two@far.example")
    assert [row.hold_reason for row in house.queued()] == ["external-mail-held", "allowance"]


def test_every_setting_of_it_is_asked() -> None:
    names = {key for key in SETTINGS if key.startswith("allowance.")}
    assert names == {f"allowance.{what}_per_{span}" for what in Amount._fields for span in ("hour", "day")}


# -- who is told -------------------------------------------------------------------------------------------------------


def make_admin(house: House, user: str) -> None:
    house.store.write_now(lambda tx: accounts.change(tx, accounts.get(tx, parse_address(user)).id, admin=1))


async def test_owner_and_administrator_are_told_once_with_the_commands(house: House, ann: Ann, caplog: Any) -> None:
    caplog.set_level("INFO")
    make_admin(house, BOB)
    ann.set(recipients_per_hour=2)
    trace = ann.send(*strangers(3))
    alarms = Alarms(house.store, lambda: house.config)
    assert [await alarms.round() for _ in range(3)] == [1, 0, 0]
    (mine,), (his,) = house.inbox(ANN), house.inbox(BOB)
    for letter in (mine, his):
        assert b"3 recipients at other servers within an hour; 2 may be" in letter
        assert b"mailctl queue release --incident 1" in letter and b"mailctl queue drop --incident 1" in letter
        assert b"From: Mail server <postmaster@here.example>" in letter
        assert all(len(line) < 120 for line in letter.split(b"\r\n"))
    assert b"To: <ann@here.example>" in mine and b"Subject: Your mail to other servers is held" in mine
    assert b"write to postmaster@here.example: incident 1" in mine
    assert b"Subject: Mail of ann@here.example is held" in his and f"mailctl trace {trace}".encode() in his
    assert b"mailctl session kill ann@here.example" in his and b"mailctl user passwd ann@here.example" in his
    assert f"event=incident number=1 user={ANN} reason=recipients-per-hour allowed=2 found=3" in caplog.text
    ann.send("more@far.example")
    assert await alarms.round() == 0
    house.store.write_now(incidents.drop_some, 1, 100)
    ann.send(*strangers(3))
    assert await alarms.round() == 1 and len(house.inbox(ANN)) == 2
    clean(house.store)


async def test_an_administrator_reads_one_letter_of_his_own(house: House, ann: Ann) -> None:
    make_admin(house, ANN)
    ann.set(strangers_per_hour=1)
    ann.send(*strangers(2))
    assert await Alarms(house.store, lambda: house.config).round() == 1
    (letter,) = house.inbox(ANN)
    assert b"2 recipients at other servers to whom he had never written within an hour; 1 may be" in letter


async def test_without_an_administrator_the_postmaster_is_told(house: House, ann: Ann) -> None:
    """Who is the first user there is: Ann herself."""
    ann.set(messages_per_day=1)
    for _ in range(2):
        ann.send("one@far.example")
    assert await Alarms(house.store, lambda: house.config).round() == 1
    (letter,) = house.inbox(ANN)
    assert b"2 messages to other servers within 24 hours; 1 may be" in letter and b"administrators: ;" in letter


async def test_a_mailbox_that_changes_meanwhile_is_met_again(
    house: House, ann: Ann, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.set(messages_per_hour=1)
    for _ in range(2):
        ann.send("one@far.example")
    write, failures = house.store.write, [Stale("x")]

    async def stale(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await write(work, *args, **options)

    monkeypatch.setattr(house.store, "write", stale)
    alarms = Alarms(house.store, lambda: house.config)
    assert await alarms.round() == 1 and len(house.inbox(ANN)) == 1
    house.store.write_now(incidents.drop_some, 1, 100)
    ann.send("one@far.example")
    failures += [Stale("x")] * 100
    assert await alarms.round() == 0 and len(house.store.read_now(incidents.untold)) == 1, "put off, not lost"


async def test_an_incident_that_nobody_heard_of_is_told(house: House, ann: Ann) -> None:
    """At the start, by the news of its beginning, and now and then."""
    ann.set(messages_per_hour=1)
    for _ in range(2):
        ann.send("one@far.example")
    house.store.attach(asyncio.get_running_loop())

    async def told(letters: int) -> None:
        async with asyncio.timeout(20):
            while len(house.inbox(ANN)) < letters:
                await asyncio.sleep(0.01)

    for every in (60.0, 0.01):
        task = asyncio.create_task(Alarms(house.store, lambda: house.config, every=every).run())
        letters = len(house.inbox(ANN))
        if every > 1:
            await told(letters + 1)
            await house.store.write(incidents.drop_some, 1, 100)
            await asyncio.to_thread(ann.send, "one@far.example")
            await told(letters + 2)
        else:
            house.store._listeners.clear()  # nobody hears the news
            await house.store.write(incidents.drop_some, 2, 100)
            await asyncio.to_thread(ann.send, "one@far.example")
            await told(letters + 1)
            house.store._listeners.append(lambda _: None)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, ValueError)):
            await task
