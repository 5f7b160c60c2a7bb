import asyncio
from dataclasses import replace
from typing import Any

import pytest

from daemon.config import Config, HostPort
from daemon.flow.peer import Patience
from daemon.flow.queue import Runner
from daemon.flow.send import Session
from daemon.limits import LIMITS
from daemon.resolver import MX
from daemon.store import queue, queue_desk
from daemon.store.db import StoreBusy
from daemon.store.queue import Wish
from tests.flow.house import MESSAGE, Clock, House
from tests.flow.office import Office, running
from tests.flow.table import Table
from tests.instruments.sink import ALL, Sink

ONE = {"there.example": "127.0.0.1"}
MINUTE, HOUR, DAY = 60, 3600, 86400


def emptied(house: House) -> Any:
    return lambda: not house.queued()


def settled(house: House) -> Any:
    return lambda: all(row.last_reply is not None and not row.active for row in house.queued())


# -- going out ---------------------------------------------------------------------------------------------------------


async def test_what_is_handed_in_arrives(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        receipt = house.mail("ann@here.example", "x@there.example")
        (copy,) = await sink.wait(1)
        assert copy.data.endswith(MESSAGE) and copy.data.startswith(b"Received:")
        await office.until(emptied(house))
    assert house.story(receipt) == ["accepted submission", "queued submission", "sent accepted"]
    detail = house.store.read_now(lambda tx: tx.value("select detail from event where kind = 'sent'"))
    assert '"reply": "250 2.0.0 taken"' in detail


async def test_what_waited_before_the_start_arrives_too(house: House) -> None:
    for i in range(30):
        house.mail("ann@here.example", f"u{i}@there.example")
    async with Sink() as sink, running(Office(house, ONE, sink.port)):
        await sink.wait(30)
    assert not house.queued()


async def test_recipients_of_one_message_at_one_destination_go_in_one_transaction(house: House) -> None:
    async with Sink() as sink, running(Office(house, {**ONE, "far.example": "127.0.0.1"}, sink.port)) as office:
        house.mail("ann@here.example", *(f"u{i}@there.example" for i in range(5)), "y@far.example")
        await office.until(emptied(house))
    assert sorted(len(copy.recipients) for copy in sink.copies) == [1, 5]


async def test_sessions_are_reused_and_bounded(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port, {"queue.connections_per_destination": "3"})):
        for i in range(60):
            house.mail("ann@here.example", f"u{i}@there.example")
        await sink.wait(60)
        assert len(sink.sessions) <= 3
        house.mail("ann@here.example", "last@there.example")
        await sink.wait(61)
        assert len(sink.sessions) <= 3, "a session at rest takes it"


async def test_a_session_ends_after_so_many_messages(house: House) -> None:
    async with (
        Sink((*ALL, "LIMITS MAILMAX=7")) as sink,
        running(Office(house, ONE, sink.port, {"queue.connections_per_destination": "1"})),
    ):
        for i in range(30):
            house.mail("ann@here.example", f"u{i}@there.example")
        await sink.wait(30)
    assert len(sink.sessions) == 5
    assert all(len([c for c in sink.copies if c.session is session]) <= 7 for session in sink.sessions)


async def test_a_session_that_rests_too_long_says_goodbye(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.flow.lane.LIMITS", replace(LIMITS, outbound_idle=0))
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        house.mail("ann@here.example", "u1@there.example")
        await office.until(lambda: sink.sessions and sink.sessions[0].commands()[-1:] == ["QUIT"])
        house.mail("ann@here.example", "u2@there.example")
        await sink.wait(2)
    assert len(sink.sessions) == 2


async def test_nothing_leaves_in_trial_mode(house: House) -> None:
    async with Sink() as sink:
        office = Office(house, ONE, sink.port, {"queue.hold_external": "yes"})
        async with running(office):
            receipt = house.mail("ann@here.example", "x@there.example", "bob@here.example")
            await office.until(lambda: house.queued(state="held"))
            house.store.write_now(queue_desk.release, [house.queued()[0].id])
            await office.until(lambda: house.queued(state="held"))
        assert not sink.sessions and len(house.inbox("bob@here.example")) == 1
    assert house.story(receipt)[-3:] == ["held external-mail-held", "released", "held external-mail-held"]


# -- several recipients ------------------------------------------------------------------------------------------------


async def test_a_rejected_recipient_costs_the_others_nothing(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("RCPT", "550 5.1.1 no such user here", match="carol")
        sink.on("RCPT", "450 4.2.0 try later", match="dora", times=1)
        house.mail("ann@here.example", "b@there.example", "carol@there.example", "dora@there.example")
        await office.until(lambda: len(house.queued()) == 1 and settled(house)())
        office.tick(5 * MINUTE)
        await office.until(emptied(house))
    assert [copy.recipients for copy in sink.copies] == [["b@there.example"], ["dora@there.example"]]
    (notice,) = house.inbox("ann@here.example")
    assert b"carol@there.example" in notice and b"550 5.1.1 no such user here" in notice
    assert b"b@there.example" not in notice and b"dora" not in notice


# -- trying again ------------------------------------------------------------------------------------------------------


async def test_a_greylisted_message_is_tried_again_within_five_minutes(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("RCPT", "450 4.7.1 greylisted, come back", times=1)
        house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        (row,) = house.queued()
        assert row.attempts == 1 and row.last_reply == "450 4.7.1 greylisted, come back"
        assert row.last_host == "mx.there.example [127.0.0.1]"
        assert 4 * MINUTE * 1000 <= row.due_at - house.clock.now <= 5 * MINUTE * 1000
        office.tick(5 * MINUTE)
        await sink.wait(1)
    assert house.inbox("ann@here.example") == []


async def test_the_schedule_is_followed_and_its_last_step_repeats(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port, {"queue.retry": "1m,10m"})) as office:
        sink.on("MAIL", "451 4.3.0 later")
        house.mail("ann@here.example", "x@there.example")
        for attempt, delay in enumerate((1, 10, 10, 10), 1):
            await office.until(lambda wanted=attempt: house.queued()[0].attempts == wanted and settled(house)())
            wait = (house.queued()[0].due_at - house.clock.now) / 60_000
            assert 0.84 * delay <= wait <= delay
            office.tick(delay * MINUTE)


async def test_the_lifetime_ends_with_the_peers_last_words(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("MAIL", "451 4.3.0 mail system full")
        receipt = house.mail("ann@here.example", "x@there.example", notify="FAILURE")
        await office.until(settled(house))
        office.tick(5 * DAY)
        await office.until(emptied(house))
    (notice,) = house.inbox("ann@here.example")
    assert b"451 4.3.0 mail system full" in notice and b"Status: 4.4.7" in notice and b"Action: failed" in notice
    assert "Not delivered within 5d" in notice.decode().replace("\r\n    ", " ")
    assert house.story(receipt)[2:5] == ["deferred later", "failed expired", "notified failure"]


async def test_the_last_try_is_at_the_end_of_the_lifetime(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port, {"queue.retry": "4d"})) as office:
        sink.on("MAIL", "451 4.3.0 later")
        house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        office.tick(4 * DAY)
        await office.until(lambda: house.queued()[0].attempts == 2)
        (row,) = house.queued()
        assert row.due_at == row.expires_at


async def test_a_second_copy_at_most_when_the_answer_is_lost(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("BDAT", "keep-drop", times=1)
        house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        assert house.queued()[0].last_reply == "connection lost while waiting for the answer to BDAT"
        office.tick(5 * MINUTE)
        await office.until(emptied(house))
    assert len(sink.copies) == 2 and house.inbox("ann@here.example") == []


# -- destinations that are down ----------------------------------------------------------------------------------------


async def test_a_down_destination_delays_nobody(house: House) -> None:
    addresses = {f"down{i}.example": "127.0.0.2" for i in range(20)} | {
        f"hung{i}.example": "127.0.0.3" for i in range(20)
    }
    async with Sink() as sink, Sink(host="127.0.0.3", port=sink.port) as hung:
        hung.on("connect", "stall")
        settings = {"queue.connections": "20"}
        patience = Patience(greeting=3, command=3, content=3, end=3)
        async with running(Office(house, {**ONE, **addresses}, sink.port, settings, patience)):
            for name in addresses:
                house.mail("ann@here.example", *(f"u{i}@{name}" for i in range(5)))
                house.mail("ann@here.example", f"again@{name}")
            house.mail("ann@here.example", "x@there.example")
            await sink.wait(1, 2.5)
        assert len(hung.sessions) == 20


async def test_a_hung_session_delays_nobody_at_its_own_destination_but_those_it_carries(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port, patience=Patience(command=5, end=5))) as office:
        sink.on("RCPT", "stall", match="tarpit")
        house.mail("ann@here.example", "before@there.example")
        await sink.wait(1)
        house.mail("ann@here.example", "tarpit@there.example")
        for i in range(20):
            house.mail("ann@here.example", f"u{i}@there.example")
        await sink.wait(21, 3)
        assert [row.recipient for row in house.queued(recipient="tarpit")] == ["tarpit@there.example"]
        await office.runner.stop(0.1)


async def test_a_destination_that_is_down_is_spared(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("connect", "421 4.3.2 closed today")
        receipt = house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        second = house.mail("ann@here.example", "y@there.example")
        await office.until(settled(house))
        assert len(sink.sessions) == 1, "what comes meanwhile is not tried"
        one, two = house.queued()
        assert (one.attempts, two.attempts) == (1, 0) and two.due_at <= one.due_at
        assert two.last_reply == "waiting for there.example: greeting: 421 4.3.2 closed today"
        standing = house.store.read_now(queue.standing, "there.example")
        assert standing is not None and standing.failures == 1 and standing.not_before_at == two.due_at
        sink.behave()
        office.tick(5 * MINUTE)
        await office.until(emptied(house))
        standing = house.store.read_now(queue.standing, "there.example")
        assert standing is not None and standing.failures == 0 and standing.tls == "none"
    assert house.story(receipt)[-2:] == ["deferred session", "sent accepted"]
    assert house.story(second)[-2:] == ["deferred suspended", "sent accepted"]


async def test_a_suspended_message_says_so_once_and_expires_like_any(house: House) -> None:
    async with running(Office(house, ONE)) as office:
        first = house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        second = house.mail("ann@here.example", "y@there.example")
        await office.until(settled(house))
        for _ in range(3):
            office.tick(HOUR)
            await office.until(lambda: all(row.due_at > house.clock.now for row in house.queued()))
        office.tick(5 * DAY)
        await office.until(emptied(house))
    assert house.story(second).count("deferred suspended") == 1
    assert house.story(first).count("failed expired") == 1 and house.story(second).count("failed expired") == 1


async def test_a_restart_remembers_who_is_down_and_flush_forgets_it(house: House) -> None:
    async with Sink() as sink:
        sink.on("connect", "421 closed", times=1)
        office = Office(house, ONE, sink.port)
        async with running(office):
            house.mail("ann@here.example", "x@there.example")
            await office.until(settled(house))
        house.mail("ann@here.example", "y@there.example")
        office = Office(house, ONE, sink.port)
        async with running(office):
            await office.until(settled(house))
            assert len(sink.sessions) == 1
            house.store.write_now(queue_desk.flush, [row.id for row in house.queued()])
            await office.until(emptied(house))


async def test_a_peer_that_bears_few_connections_gets_few(house: House) -> None:
    async with Sink() as sink:
        serve = sink._serve

        async def picky(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if sink.open >= 2:
                writer.write(b"421 4.7.0 too many connections\r\n")
                writer.close()
                return
            await serve(reader, writer)

        sink._serve = picky  # type: ignore[method-assign]
        async with running(Office(house, ONE, sink.port)) as office:
            for i in range(100):
                house.mail("ann@here.example", f"u{i}@there.example")
            await sink.wait(100)
            await office.until(emptied(house))
    assert "deferred" not in str(house.store.read_now(lambda tx: tx.all("select kind from event")))


async def test_the_second_host_gets_what_the_first_gives_up_early(house: House) -> None:
    async with Sink() as good, Sink(host="127.0.0.2", port=good.port) as bad:
        bad.on("MAIL", "drop")
        records: dict[tuple[str, str], list[Any] | str] = {
            ("there.example", "MX"): [MX(1, "bad.example"), MX(2, "good.example")],
            ("bad.example", "A"): ["127.0.0.2"], ("good.example", "A"): ["127.0.0.1"],
        }  # fmt: skip
        async with running(Office(house, Table(records), good.port)) as office:
            house.mail("ann@here.example", "x@there.example")
            await office.until(emptied(house))
        assert len(good.copies) == 1 and len(bad.sessions) == 1
        bad.behave()
        bad.on("BDAT", "drop")
        async with running(Office(house, Table(records), good.port)) as office:
            house.mail("ann@here.example", "x@there.example")
            await office.until(settled(house))
        assert len(good.copies) == 1, "after the content nobody knows whether the first has it: wait"
        bad.behave()
        await good.stop()
        bad.on("MAIL", "drop")
        house.store.write_now(queue_desk.drop, [house.queued()[0].id])
        async with running(Office(house, Table(records), good.port)) as office:
            house.mail("ann@here.example", "x@there.example")
            await office.until(settled(house))
            assert house.queued()[0].last_reply == "good.example: connection refused"


# -- what the DNS says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "records, status, words",
    [
        ({("there.example", "MX"): [MX(0, "")]}, b"5.1.10", b"null mx"),
        ({("example", "A"): ["127.0.0.1"]}, b"5.1.2", b"does not exist"),
        ({("there.example", "TXT"): [b"x"]}, b"5.4.4", b"no address"),
    ],
)
async def test_what_will_never_go_is_told_at_once(house: House, records: Any, status: bytes, words: bytes) -> None:
    async with running(Office(house, Table(records))) as office:
        house.mail("ann@here.example", "x@there.example", "y@there.example")
        await office.until(emptied(house))
    (notice,) = house.inbox("ann@here.example")
    assert b"Status: " + status in notice and words in notice.replace(b"\r\n    ", b" ").lower()


async def test_dns_trouble_makes_mail_wait(house: House) -> None:
    async with running(Office(house, Table({("there.example", "MX"): "SERVFAIL"}))) as office:
        receipt = house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        assert house.queued()[0].last_reply == "DNS: MX of there.example: SERVFAIL"
    assert house.story(receipt)[-1] == "deferred dns"


# -- routes ------------------------------------------------------------------------------------------------------------


async def test_a_smart_host_takes_all_domains_over_the_same_sessions(house: House) -> None:
    async with Sink(users={"relay": "secret"}) as sink, running(Office(house, {})) as office:
        house.route("default", "*", sink.port, username="relay", password="secret")
        for i in range(10):
            house.mail("ann@here.example", f"u@d{i}.example")
        house.mail("ann@here.example", "a@one.example", "b@two.example")
        await office.until(emptied(house))
    assert len(sink.copies) == 11 and sink.sessions[0].login == "relay"
    assert ["a@one.example", "b@two.example"] in [copy.recipients for copy in sink.copies]
    assert len(sink.sessions) <= 8


async def test_a_new_route_takes_what_waits_and_reroute_what_is_told(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE)) as office:
        house.mail("ann@here.example", "x@there.example", "y@there.example")
        await office.until(settled(house))
        one, two = house.queued()
        other = house.route("recipient", "nobody.example", sink.port)
        house.store.write_now(queue_desk.reroute, [one.id], other)
        await sink.wait(1)
        house.route("recipient", "there.example", sink.port)
        house.store.write_now(queue_desk.flush, [two.id])
        await sink.wait(2)


async def test_a_mistaken_smart_host_makes_mail_wait(house: House) -> None:
    async with running(Office(house, {})) as office:
        office.sender.router.ourselves.listeners = (HostPort("", 25),)
        house.route("default", "*", 25, host="127.0.0.1")
        house.mail("ann@here.example", "x@there.example")
        await office.until(settled(house))
        assert "would come back to this server" in (house.queued()[0].last_reply or "")


# -- faults, crashes and the end ---------------------------------------------------------------------------------------


async def test_a_fault_in_one_delivery_stops_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    carry = Session.carry

    async def faulty(self: Session, recipients: Any, ahead: Any) -> Any:
        if recipients[0].address.startswith("poison"):
            raise RuntimeError("a bug")
        return await carry(self, recipients, ahead)

    monkeypatch.setattr(Session, "carry", faulty)
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        receipt = house.mail("ann@here.example", "poison@there.example")
        house.mail("ann@here.example", "x@there.example")
        await sink.wait(1)
        await office.until(lambda: len(house.queued()) == 1 and settled(house)())
    assert house.story(receipt)[-1] == "deferred fault" and house.queued()[0].attempts == 1


async def test_a_fault_while_dialing_stops_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sink() as sink, running(Office(house, {**ONE, "bug.example": "127.0.0.1"}, sink.port)) as office:
        hosts = office.sender.router.hosts

        async def faulty(domain: str, route: Any) -> Any:
            if domain == "bug.example":
                raise RuntimeError("a bug")
            return await hosts(domain, route)

        monkeypatch.setattr(office.sender.router, "hosts", faulty)
        receipt = house.mail("ann@here.example", "x@bug.example")
        house.mail("ann@here.example", "x@there.example")
        await sink.wait(1)
        await office.until(lambda: len(house.queued()) == 1 and settled(house)())
    assert house.story(receipt)[-1] == "deferred fault"


async def test_a_busy_store_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.flow.queue._PAUSE", 0.01)
    monkeypatch.setattr("daemon.flow.settle._AGAIN", 0.01)
    write = house.store.write
    troubles = ["recover", "claim", "claim", *["_settle"] * 10]

    async def busy(work: Any, *args: Any, bodies: Any = (), **how: Any) -> Any:
        if work.__name__ in troubles:
            troubles.remove(work.__name__)
            raise StoreBusy("another process")
        return await write(work, *args, bodies=bodies, **how)

    monkeypatch.setattr(house.store, "write", busy)
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        house.mail("ann@here.example", "x@there.example")
        await office.until(emptied(house))
    assert len(sink.copies) == 1 and not troubles


async def test_what_a_killed_worker_had_is_sent_by_the_next_one(house: House, clock: Clock) -> None:
    house.mail("ann@here.example", "x@there.example")
    assert house.store.write_now(queue.claim, Wish(10, 10, LIMITS.out_lease * 1000)).recipients
    async with Sink() as sink, running(Office(house, ONE, sink.port)):
        await sink.wait(1)


async def test_a_lease_that_ended_is_taken_over_even_beside_others(house: House) -> None:
    house.mail("ann@here.example", "x@there.example")
    assert house.store.write_now(queue.claim, Wish(10, 10, LIMITS.out_lease * 1000)).recipients
    async with Sink() as sink:
        office = Office(house, ONE, sink.port)
        office.runner = Runner(house.store, office.sender, lambda: office.config, alone=False)
        async with running(office):
            house.mail("ann@here.example", "y@there.example")
            await office.until(lambda: len(house.queued()) == 1)
            assert house.queued()[0].recipient == "x@there.example", "somebody else has it"
            house.clock.now += LIMITS.out_lease * 1000
            office.runner._after = (0, 0)
            office.tick(0)
            await sink.wait(2)


async def test_what_takes_long_keeps_its_lease(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(LIMITS, "out_lease", 0.3)
    try:
        async with Sink() as sink, running(Office(house, ONE, sink.port, patience=Patience())) as office:
            sink.on("RCPT", "stall")
            house.mail("ann@here.example", "x@there.example")
            leases = set()

            def renewed() -> bool:
                leases.add(house.store.read_now(lambda tx: tx.value("select leased_until from queue_recipient")))
                house.clock.now += 10
                return len(leases) > 3

            async with asyncio.timeout(10):
                while not renewed():
                    await asyncio.sleep(0.05)
            assert len(sink.sessions) == 1
            await office.runner.stop(0)
    finally:
        object.__setattr__(LIMITS, "out_lease", 600)


async def test_the_end_is_orderly(house: House) -> None:
    async with Sink() as sink:
        office = Office(house, ONE, sink.port, {"queue.connections_per_destination": "1"}, Patience())
        async with running(office):
            sink.on("RCPT", "stall", match="slow")
            house.mail("ann@here.example", "quick@there.example")
            await sink.wait(1)
            house.mail("ann@here.example", "slow@there.example")
            for i in range(5):
                house.mail("ann@here.example", f"u{i}@there.example")
            await office.until(lambda: all(row.active for row in house.queued()))
            await office.runner.stop(0.2)
            assert len(house.queued()) == 6 and not any(row.active for row in house.queued())
        assert all(session.ended or session.number == 0 for session in sink.sessions)
    async with Sink() as sink, running(Office(house, ONE, sink.port)):
        await sink.wait(6)


async def test_the_end_does_not_wait_for_a_store_that_is_busy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write = house.store.write

    async def busy(work: Any, *args: Any, bodies: Any = (), **how: Any) -> Any:
        if work.__name__ in ("_settle", "give_back"):
            raise StoreBusy("another process")
        return await write(work, *args, bodies=bodies, **how)

    async with Sink() as sink:
        office = Office(house, ONE, sink.port)
        async with running(office):
            monkeypatch.setattr(house.store, "write", busy)
            house.mail("ann@here.example", "x@there.example")
            await sink.wait(1)
            await office.runner.stop(0.1)
            monkeypatch.undo()
    assert len(house.queued()) == 1


async def test_an_end_before_the_beginning(house: House) -> None:
    office = Office(house, {})
    await office.runner.stop(0)
    await asyncio.wait_for(office.runner.run(), 5)


async def test_a_session_at_rest_makes_room_for_another_destination(house: House) -> None:
    domains = {f"d{i}.example": "127.0.0.1" for i in range(12)}
    async with Sink() as sink, running(Office(house, domains, sink.port, {"queue.connections": "3"})):
        most = 0
        for name in domains:
            house.mail("ann@here.example", *(f"u{i}@{name}" for i in range(3)))
        for n in range(1, 13):
            await sink.wait(n)
            busy = [
                s for s in sink.sessions if not s.ended and "MAIL" in str(s.dialogue) and "QUIT" not in s.dialogue[-2]
            ]
            most = max(most, len(busy))
    assert 1 <= most <= 3


async def test_a_long_queue_for_one_leaves_room_for_others(house: House) -> None:
    domains = {"mass.example": "127.0.0.1", "other.example": "127.0.0.1"}
    settings = {"queue.connections": "2", "queue.connections_per_destination": "2"}
    async with Sink() as sink:
        for i in range(300):
            house.mail("ann@here.example", f"u{i}@mass.example")
        house.mail("ann@here.example", "x@other.example")
        async with running(Office(house, domains, sink.port, settings)):
            await sink.wait(301, 20)
    place = [copy.recipients[0] for copy in sink.copies].index("x@other.example")
    assert place < 150


@pytest.mark.parametrize("limit", ["out_claimed", "out_lane"])
async def test_no_more_is_taken_in_hand_than_can_be_held(
    house: House, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr("daemon.flow.queue.LIMITS", replace(LIMITS, **{limit: 5}))
    async with Sink() as sink, running(Office(house, ONE, sink.port, patience=Patience(command=5, end=5))) as office:
        sink.on("RCPT", "stall")
        for i in range(20):
            house.mail("ann@here.example", f"u{i}@there.example")
        await office.until(lambda: any("RCPT" in str(s.dialogue) for s in sink.sessions))
        assert sum(row.active for row in house.queued()) == len(office.runner._hands) == 5
        await office.runner.stop(0.1)


async def test_settings_count_at_once(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port, {"queue.hold_external": "yes"})) as office:
        house.mail("ann@here.example", "x@there.example")
        await office.until(lambda: house.queued(state="held"))
        office.config = Config([("hostname", "mx.here.example")])
        house.store.write_now(queue_desk.release, [house.queued()[0].id])
        await sink.wait(1)
