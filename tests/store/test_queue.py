import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config import DataDir
from daemon.mail.address import parse_address
from daemon.store import accounts, blobs, domains, events, queue, queue_desk, routes
from daemon.store.db import Store
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.queue import NewMessage, NewRecipient, Outcome, Standing, Wish
from daemon.store.queue_desk import Filter
from daemon.store.spool import Body
from daemon.store.tx import Tx

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


class Clock:
    now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store.open(DataDir(tmp_path / "data"), clock=clock)
    store.reserve = 0
    yield store
    store.close()


def put(store: Store, *to: str, sender: str = "a@here.example", text: bytes = b"x", **more: Any) -> int:
    """One message in the queue; its id."""
    body = Body.of(text)
    held = more.pop("held", None)

    def work(tx: Tx) -> int:
        message = NewMessage(
            **{"trace": "t1", "sender": sender, "origin": "submission", "prefix": b"P: x\r\n", "size": 6 + len(text),
               "lifetime": 5 * DAY, "warn_after": 4 * HOUR, **more},
        )  # fmt: skip
        return queue.enqueue(tx, message, blobs.keep(tx, body), [NewRecipient(t) for t in to], held=held)

    return store.write_now(work, bodies=[body])


def claim(store: Store, limit: int = 100, room: int = 100, **more: Any) -> queue.Haul:
    return store.write_now(queue.claim, Wish(limit, room, 10 * MINUTE, **more))


def settle(store: Store, claimed: list[queue.Claimed], kind: str, due_at: int = 0, reply: str = "250 ok") -> set[int]:
    outcomes = [Outcome.of(c, kind, "said", reply, "mx", "", due_at=due_at) for c in claimed]
    return store.write_now(queue.settle, outcomes)


def kinds(store: Store, trace: str = "t1") -> list[str]:
    return [e.kind for e in store.read_now(events.of_trace, trace)]


def everyone(store: Store, **conditions: Any) -> list[queue_desk.Row]:
    return store.read_now(lambda tx: list(queue_desk.find(tx, Filter(**conditions))))


def ids(store: Store, **conditions: Any) -> list[int]:
    return [row.id for row in everyone(store, **conditions)]


# -- claiming ----------------------------------------------------------------------------------------------------------


def test_a_claim_brings_all_that_is_needed_to_send(store: Store) -> None:
    put(store, "b@there.example", text=b"hello", ret="HDRS", envid="e1", eightbit=True, smtputf8=True)
    (found,) = claim(store).recipients
    m = found.message
    assert (found.address, found.destination, found.attempts) == ("b@there.example", "there.example", 0)
    assert (m.sender, m.prefix, m.ret, m.envid, m.eightbit, m.smtputf8) == (
        "a@here.example", b"P: x\r\n", "HDRS", "e1", True, True
    )  # fmt: skip
    assert store.segments.read(m.place.segment, m.place.offset, m.place.length) == b"hello"


def test_two_claimants_never_share_a_recipient(store: Store) -> None:
    put(store, *(f"u{i}@there.example" for i in range(5)))
    first = [c.id for c in claim(store, limit=2).recipients]
    second = [c.id for c in claim(store).recipients]
    assert len(first) == 5 and not second, "recipients of one message go together, and once"


def test_a_lease_that_expired_gives_the_recipient_back(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    assert claim(store).recipients
    clock.now += 10 * MINUTE - 1
    assert not claim(store).recipients
    clock.now += 1
    assert claim(store).recipients


def test_a_renewed_lease_lasts_longer_and_a_returned_one_ends(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    held = [c.id for c in claim(store).recipients]
    clock.now += 9 * MINUTE
    store.write_now(queue.renew, held, 10 * MINUTE)
    clock.now += 9 * MINUTE
    assert not claim(store).recipients
    store.write_now(queue.give_back, held)
    assert claim(store).recipients
    assert store.write_now(queue.recover) == 1
    assert claim(store).recipients


def test_what_is_not_due_waits_and_the_haul_says_how_long(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    settle(store, claim(store).recipients, "deferred", clock.now + 5 * MINUTE)
    assert not claim(store).recipients and not store.read_now(queue.any_due, (0, 0))
    assert store.read_now(queue.next_due, (0, 0)) == clock.now + 5 * MINUTE
    clock.now += 5 * MINUTE
    assert store.read_now(queue.any_due, (0, 0))
    (again,) = claim(store).recipients
    assert again.attempts == 1 and again.last_reply == "250 ok"
    assert store.read_now(queue.waiting, again.message.id) == [
        (again.id, "b@there.example", None, None, "mx", "250 ok")
    ]


def test_a_full_destination_delays_nobody_behind_it(store: Store) -> None:
    for i in range(30):
        put(store, f"u{i}@slow.example")
    put(store, "b@quick.example")
    haul = claim(store, room=3)
    assert [c.destination for c in haul.recipients] == ["slow.example"] * 3 + ["quick.example"]
    assert haul.passed == {"slow.example"} and not haul.more
    later = claim(store, after=haul.after, rooms={"slow.example": 2}, refill=["slow.example"])
    assert [c.address for c in later.recipients] == ["u3@slow.example", "u4@slow.example"]
    assert later.passed == {"slow.example"}
    last = claim(store, after=later.after, refill=["slow.example"])
    assert len(last.recipients) == 25 and not last.passed


def test_the_scan_goes_on_where_it_stopped(store: Store) -> None:
    for i in range(10):
        put(store, f"u{i}@d{i}.example")
    first = claim(store, limit=4)
    assert first.more and len(first.recipients) == 4
    second = claim(store, limit=100, after=first.after)
    assert not second.more and len(second.recipients) == 6
    put(store, "new@d.example")
    assert [c.address for c in claim(store, after=second.after).recipients] == ["new@d.example"]


def test_a_destination_without_room_gets_nothing(store: Store) -> None:
    put(store, "b@down.example", "c@up.example")
    assert [c.address for c in claim(store, rooms={"down.example": 0}).recipients] == ["c@up.example"]


# -- settling ----------------------------------------------------------------------------------------------------------


def counts(store: Store) -> tuple[int, int, int]:
    return store.read_now(
        lambda tx: (
            tx.value("select count(*) from queue_recipient"),
            tx.value("select count(*) from queue_message"),
            tx.value("select sum(refs) from blob"),
        )  # fmt: skip
    )


def test_the_last_recipient_takes_the_message_and_its_bytes_along(store: Store) -> None:
    put(store, "b@there.example", "c@there.example")
    put(store, "d@there.example")  # the same bytes
    first, second, third = claim(store).recipients
    assert counts(store) == (3, 2, 2)
    settle(store, [first], "sent")
    assert counts(store) == (2, 2, 2)
    settle(store, [second, third], "failed")
    assert counts(store) == (0, 0, 0)
    assert kinds(store) == ["queued"] * 3 + ["sent", "failed", "failed"]


def test_a_deferred_recipient_keeps_the_words_of_the_peer(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    settle(store, claim(store).recipients, "deferred", clock.now + HOUR, "451 4.7.1 come back later" + "x" * 5000)
    (row,) = everyone(store)
    assert row.due_at == clock.now + HOUR and row.attempts == 1 and row.last_host == "mx" and not row.active
    assert row.last_reply is not None and row.last_reply.startswith("451 4.7.1 come") and len(row.last_reply) == 1000
    event = store.read_now(events.of_trace, "t1")[-1]
    assert (event.kind, event.peer, event.detail["next"]) == ("deferred", "mx", clock.now + HOUR)


def test_a_postponed_recipient_was_not_tried(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    (c,) = claim(store).recipients
    outcome = Outcome.of(c, "deferred", "suspended", "down", due_at=clock.now + 1, counted=False)
    store.write_now(queue.settle, [outcome])
    assert everyone(store)[0].attempts == 0


def test_dropped_or_held_while_being_sent(store: Store, clock: Clock) -> None:
    put(store, "b@there.example", "c@there.example", "d@there.example")
    claimed = claim(store).recipients
    store.write_now(queue_desk.drop, [claimed[0].id])
    store.write_now(queue_desk.hold, [claimed[1].id], "why not")
    gone = settle(store, claimed[:1], "failed")
    assert gone == set(), "nobody is told of a failure of what was dropped"
    assert settle(store, claimed[1:], "deferred", clock.now + 1) == {claimed[1].id, claimed[2].id}
    assert [row.state for row in everyone(store)] == ["held", "due"]
    assert settle(store, claimed[:1], "sent") == set()
    assert kinds(store)[-1] == "sent", "but that it went out is true, and told"


def test_the_delay_is_told_once_and_never_about_the_null_sender(store: Store) -> None:
    message_id = put(store, "b@there.example")
    put(store, "c@there.example", sender="")
    first, second = claim(store).recipients
    assert first.message.warn_at and second.message.warn_at is None
    assert store.write_now(queue.warned, message_id) and not store.write_now(queue.warned, message_id)
    store.write_now(queue.give_back, [first.id, second.id])
    assert [c.message.warn_at for c in claim(store).recipients] == [None, None]


def test_a_destination_is_remembered(store: Store) -> None:
    note = Standing("there.example", 2, 50, "TLSv1.3", True, 40, "connect: refused")
    store.write_now(queue.settle, [], [note])
    assert store.read_now(queue.standing, "there.example") == note
    store.write_now(queue.settle, [], [Standing("there.example", 3, 60, last_error="again")])
    found = store.read_now(queue.standing, "there.example")
    assert found == Standing("there.example", 3, 60, "TLSv1.3", True, 40, "again")
    assert store.read_now(queue.standing, "other.example") is None


def test_a_destination_nobody_writes_to_any_more_is_forgotten(store: Store, clock: Clock) -> None:
    names = ("old.example", "queued.example", "new.example", "down.example")
    put(store, "x@queued.example")
    store.write_now(queue.settle, [], [Standing(name, last_success_at=clock.now) for name in names])
    clock.now += 10 * DAY
    store.write_now(queue.settle, [], [Standing("new.example", last_success_at=clock.now)])
    store.write_now(queue.settle, [], [Standing("down.example", 3, clock.now)])
    assert store.write_now(queue.forget_destinations, clock.now - DAY, 10) == 1
    assert store.read_now(queue.standing, "old.example") is None
    assert all(store.read_now(queue.standing, name) for name in names[1:])


# -- routes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sender, recipient, host",
    [
        ("boss@here.example", "x@far.example", "sender-address"),
        ("BOSS@here.example", "x@there.example", "sender-address"),
        ("a@here.example", "x@there.example", "sender-domain"),
        ("", "vip@there.example", "recipient-address"),
        ("", "x@There.example", "recipient-domain"),
        ("", "x@sub.there.example", "below"),
        ("", "x@elsewhere.test", "default"),
    ],
)
def test_the_most_telling_route_wins(store: Store, sender: str, recipient: str, host: str) -> None:
    def work(tx: Tx) -> None:
        routes.add(tx, "default", "*", "default")
        routes.add(tx, "recipient", "there.example", "recipient-domain")
        routes.add(tx, "recipient", ".there.example", "below")
        routes.add(tx, "recipient", "vip@there.example", "recipient-address")
        routes.add(tx, "sender", "@here.example", "sender-domain")
        routes.add(tx, "sender", "boss@here.example", "sender-address")

    store.write_now(work)
    found = store.read_now(routes.load).match(sender, recipient)
    assert found is not None and found.host == host


def test_without_routes_nothing_matches(store: Store) -> None:
    table = store.read_now(routes.load)
    assert not table and table.match("a@b", "c@d") is None and table.get(1) is None


@pytest.mark.parametrize(
    "kind, pattern, more",
    [
        ("postal", "*", {}),
        ("default", "x.example", {}),
        ("recipient", "not a domain", {}),
        ("recipient", "x.example", {"port": 0}),
        ("recipient", "x.example", {"tls": "maybe"}),
        ("recipient", "x.example", {"host": "a b"}),
        ("recipient", "x.example", {"username": "u"}),
    ],
)
def test_a_route_that_cannot_be_is_not_made(store: Store, kind: str, pattern: str, more: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        store.write_now(lambda tx: routes.add(tx, kind, pattern, **{"host": "h", **more}))
    assert store.read_now(routes.everyone) == []


def test_a_password_of_a_route_is_not_shown_by_accident(store: Store) -> None:
    store.write_now(lambda tx: routes.add(tx, "default", "*", "h", 587, username="u", password="secret"))
    (route,) = store.read_now(routes.everyone)
    assert "secret" not in repr(route) and route.password == "secret"
    with pytest.raises(Exists, match="already"):
        store.write_now(lambda tx: routes.add(tx, "default", "", "h"))


def test_what_waits_takes_a_new_route_and_leaves_a_removed_one(store: Store) -> None:
    put(store, "b@there.example")
    route_id = store.write_now(lambda tx: routes.add(tx, "recipient", "there.example", "relay.example"))
    (c,) = claim(store).recipients
    assert c.destination == f"route:{route_id}"
    assert everyone(store)[0].destination == c.destination
    store.write_now(queue.give_back, [c.id])
    assert store.write_now(routes.remove, route_id).host == "relay.example"
    assert claim(store).recipients[0].destination == "there.example"
    with pytest.raises(Missing):
        store.write_now(routes.remove, route_id)


def test_rerouting_wins_over_the_table_until_the_route_is_gone(store: Store) -> None:
    put(store, "b@there.example")
    store.write_now(lambda tx: routes.add(tx, "recipient", "there.example", "usual.example"))
    other = store.write_now(lambda tx: routes.add(tx, "recipient", "never.example", "other.example"))
    store.write_now(queue_desk.reroute, ids(store), other)
    (c,) = claim(store).recipients
    assert c.destination == f"route:{other}"
    store.write_now(queue.give_back, [c.id])
    store.write_now(queue_desk.reroute, ids(store), None)
    assert claim(store).recipients[0].destination != f"route:{other}"
    with pytest.raises(Missing):
        store.write_now(queue_desk.reroute, ids(store), 999)


# -- the administrator's verbs -----------------------------------------------------------------------------------------


def test_filters_find_what_they_say(store: Store, clock: Clock) -> None:
    def people(tx: Tx) -> int:
        domains.add(tx, "here.example")
        return accounts.add(tx, parse_address("ann@here.example"), None)

    ann = store.write_now(people)
    put(store, "b@one.example", sender="ann@here.example", account_id=ann)
    clock.now += 3 * HOUR
    put(store, "c@two.example", "d@sub.two.example", sender="list@news.example")
    put(store, "e@one.example", held="trial", sender="")
    by_words = [c for c in claim(store).recipients if c.address == "c@two.example"]
    settle(store, by_words, "deferred", clock.now + 1, "450 4.2.1 Mailbox busy")

    def who(**conditions: Any) -> str:
        return "".join(row.recipient[0] for row in everyone(store, **conditions))

    assert who() == "bcde"
    assert who(sender="LIST@") == "cd"
    assert who(recipient="one.ex") == "be"
    assert who(domain="two.example") == "c"
    assert who(user="Ann@here.example") == "b"
    assert who(older=2 * HOUR) == "b"
    assert who(since=clock.now - HOUR) == "cde"
    assert who(error="mailbox B.sy") == "c"
    assert who(state="held") == "e"
    assert who(limit=2) == "bc"
    assert who(limit=1, error=".") == "c"
    assert who(ids=(1, 3)) == "bd"
    assert who(ids=()) == ""
    with pytest.raises(Invalid, match="regular expression"):
        who(error="(")
    assert everyone(store, user="ann@here.example")[0].user == "ann@here.example"
    assert [row.active for row in everyone(store)] == [True, False, True, False]


def test_show_one(store: Store) -> None:
    put(store, "b@there.example")
    (found,) = ids(store)
    assert store.read_now(queue_desk.get, found).recipient == "b@there.example"
    assert store.read_now(queue_desk.envelope, found).message.sender == "a@here.example"
    assert not claim(store, limit=0).recipients and claim(store).recipients, "showing is not claiming"
    with pytest.raises(Missing, match="999 is not in the queue"):
        store.read_now(queue_desk.get, 999)


def test_an_entry_whose_route_changed_can_be_looked_at(store: Store) -> None:
    """Looking is not writing: the row is mended by who claims it."""
    put(store, "x@there.example")
    (found,) = ids(store)
    store.write_now(lambda tx: routes.add(tx, "recipient", "there.example", "127.0.0.1", 9))
    assert store.read_now(queue_desk.envelope, found).destination.startswith("route:")
    assert store.read_now(queue_desk.get, found).destination == "there.example"
    (claimed,) = claim(store).recipients
    assert claimed.destination == store.read_now(queue_desk.get, found).destination


def test_hold_and_release_are_read_back_from_the_store(store: Store, clock: Clock) -> None:
    put(store, "b@there.example", "c@there.example")
    one, two = ids(store)
    assert store.write_now(queue_desk.hold, [one], "abuse?") == 1
    assert store.write_now(queue_desk.hold, [one], "again") == 0
    assert [c.id for c in claim(store).recipients] == [two]
    assert everyone(store, state="held")[0].hold_reason == "abuse?"
    assert store.write_now(queue_desk.release, [one, two]) == 1
    assert [c.id for c in claim(store).recipients] == [one]
    assert kinds(store)[-2:] == ["held", "released"]


def test_flush_makes_due_now_and_forgives_the_destination(store: Store, clock: Clock) -> None:
    put(store, "b@down.example")
    before = store.read_now(queue.flushes)
    (c,) = claim(store).recipients
    settle(store, [c], "deferred", clock.now + HOUR)
    store.write_now(queue.settle, [], [Standing("down.example", 4, clock.now + 2 * HOUR)])
    assert everyone(store)[0].due_at == clock.now + 2 * HOUR, "the next try is when the destination is worth one"
    assert store.write_now(queue_desk.flush, [c.id]) == 1
    assert everyone(store)[0].due_at == clock.now
    standing = store.read_now(queue.standing, "down.example")
    assert standing is not None and (standing.failures, standing.not_before_at) == (0, 0)
    assert store.read_now(queue.flushes) > before
    assert claim(store).recipients


def test_retry_begins_again(store: Store, clock: Clock) -> None:
    put(store, "b@there.example")
    settle(store, claim(store).recipients, "deferred", clock.now + HOUR)
    clock.now += 4 * DAY
    store.write_now(queue_desk.hold, ids(store), "look at it")
    assert store.write_now(queue_desk.retry, ids(store), 5 * DAY) == 1
    (row,) = everyone(store)
    assert (row.state, row.attempts, row.due_at, row.expires_at) == ("due", 0, clock.now, clock.now + 5 * DAY)


def test_drop_tells_nobody_but_the_trace(store: Store) -> None:
    put(store, "b@there.example", "c@there.example")
    assert store.write_now(queue_desk.drop, ids(store)[:1]) == 1
    assert counts(store) == (1, 1, 1)
    store.write_now(queue_desk.drop, ids(store))
    assert counts(store) == (0, 0, 0)
    assert kinds(store) == ["queued", "queued", "dropped", "dropped"]


def test_the_trial_holds_all_that_is_due(store: Store) -> None:
    put(store, *(f"u{i}@there.example" for i in range(5)))
    assert store.write_now(queue_desk.hold_due, "trial mode", 3) == 3
    assert store.write_now(queue_desk.hold_due, "trial mode", 3) == 2
    assert store.write_now(queue_desk.hold_due, "trial mode", 3) == 0
    assert not claim(store).recipients


def test_stats_are_a_histogram_by_destination(store: Store, clock: Clock) -> None:
    put(store, "b@one.example", "c@one.example")
    clock.now += 20 * MINUTE
    put(store, "d@one.example", "e@two.example")
    put(store, "f@one.example", held="x")
    clock.now += MINUTE
    one, two = store.read_now(queue_desk.stats)
    assert (one.destination, one.total, one.held, one.ages) == ("one.example", 4, 1, (2, 0, 2, 0, 0, 0, 0, 0, 0, 0))
    assert (two.destination, sum(two.ages)) == ("two.example", 1)
    clock.now += 30 * DAY
    assert store.read_now(queue_desk.stats)[0].ages == (0,) * 9 + (4,)


async def test_the_queue_tells_its_listeners(store: Store) -> None:
    store.attach(asyncio.get_running_loop())
    told = asyncio.Event()
    store.listen(lambda changes: told.set() if changes.queue else None)
    put(store, "b@there.example")
    await asyncio.wait_for(told.wait(), 5)
    told.clear()
    store.write_now(queue_desk.flush, [1])
    await asyncio.wait_for(told.wait(), 5)
