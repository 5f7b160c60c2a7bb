"""Incidents: one a user, ended in steps by a release or a drop, and the checker proves what it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.store import accounts, allowance, blobs, correspondents, events, incidents, queue, queue_desk
from daemon.store.allowance import Amount, Over
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.queue import NewMessage, NewRecipient
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import add_user, address, clean

OVER = Over("messages-per-hour", 3, 4)
LIFETIME = 1000


@pytest.fixture
def alice(store: Store) -> int:
    return store.write_now(add_user)


def hold(store: Store, account: int, number: int, recipients: int = 2) -> int:
    """A message that is held; its incident."""
    amount = Amount(1, recipients, 0)

    def work(tx: Tx, body: Body) -> int:
        known = allowance.state(tx, account)
        assert known is not None
        incident = known.incident
        if incident is None:
            incident = incidents.begin(tx, account, OVER, f"trace{number:011}", amount)
        else:
            incidents.add(tx, incident, amount)
        mail = NewMessage(f"trace{number:011}", "alice@example.org", "submission", b"", body.size, LIFETIME)
        mail = mail._replace(account_id=account)
        whom = [NewRecipient(f"r{number}.{at}@far.example") for at in range(recipients)]
        queue.enqueue(tx, mail, blobs.keep(tx, body), whom, held=incidents.HELD, incident=incident)
        return incident

    with Body.of(b"number %d\r\n" % number) as body:
        return store.write_now(work, body, bodies=[body])


def held(store: Store, number: int) -> int:
    return len(store.read_now(lambda tx: list(queue_desk.find(tx, queue_desk.Filter(incident=number)))))


def test_there_is_one_of_a_user_and_it_counts_what_it_holds(store: Store, alice: int) -> None:
    number = hold(store, alice, 1)
    assert hold(store, alice, 2, 3) == number
    (one,) = store.read_now(incidents.open_ones)
    assert (one.id, one.user, one.messages, one.recipients, one.waiting) == (number, "alice@example.org", 2, 5, 5)
    assert (one.reason, one.allowed, one.found, one.trace) == (*OVER, "trace00000000001")
    assert store.read_now(incidents.open_ones, alice) == [one] and store.read_now(incidents.open_ones, 99) == []
    clean(store)


def test_released_in_steps_it_ends_with_the_last(store: Store, alice: int) -> None:
    number = hold(store, alice, 1, 3)
    hold(store, alice, 2, 3)
    store.write_now(allowance.spend, alice, Amount(3, 3, 3))
    before = store.read_now(queue_desk.get, 1).expires_at
    assert store.write_now(incidents.release_some, number, 5 * LIFETIME, 4) == 4
    assert store.read_now(incidents.get, number).waiting == 2, "it lasts while something is held"
    clean(store)
    assert store.write_now(incidents.release_some, number, 5 * LIFETIME, 4) == 2
    with pytest.raises(Missing, match="released"):
        store.read_now(incidents.get, number)
    row = store.read_now(queue_desk.get, 1)
    assert (row.state, row.incident, row.hold_reason) == ("due", None, None) and row.expires_at > before
    known = store.read_now(allowance.state, alice)
    assert known is not None and known.day == Amount(0, 0, 0) and known.incident is None
    told = store.read_now(events.of_trace, "trace00000000001")
    assert [(e.kind, e.reason, e.detail) for e in told] == [
        *[("held", "allowance", {"incident": number})] * 3,
        *[("released", "incident", {"incident": number})] * 3,
    ]
    assert store.read_now(correspondents.knows, alice, address("r2.1@far.example")), "as if it had not been held"
    clean(store)


def test_dropped_what_was_sent_before_stays_counted(store: Store, alice: int) -> None:
    store.write_now(allowance.spend, alice, Amount(3, 3, 3))
    number = hold(store, alice, 1, 3)
    assert store.write_now(incidents.drop_some, number, 4) == 3
    known = store.read_now(allowance.state, alice)
    assert known is not None and known.day == Amount(3, 3, 3) and known.incident is None
    assert not store.read_now(correspondents.knows, alice, address("r1.1@far.example"))
    assert store.read_now(lambda tx: list(queue_desk.find(tx, queue_desk.Filter()))) == []
    with pytest.raises(Missing, match="dropped"):
        store.write_now(incidents.release_some, number, 1, 4)
    with pytest.raises(Missing, match="no incident 99"):
        store.read_now(incidents.get, 99)
    assert hold(store, alice, 2) != number
    clean(store)


def test_who_is_let_go_by_name_is_of_the_incident_no_more(store: Store, alice: int) -> None:
    number = hold(store, alice, 1, 4)
    store.write_now(lambda tx: queue_desk.release(tx, [1]))
    store.write_now(lambda tx: queue_desk.retry(tx, [2], 1000))
    store.write_now(lambda tx: queue_desk.drop(tx, [3]))
    assert held(store, number) == 1
    store.write_now(lambda tx: queue_desk.hold(tx, [1], "a look first"))
    assert store.write_now(incidents.release_some, number, 1000, 10) == 1
    assert store.read_now(queue_desk.get, 1).state == "held", "somebody else holds it"
    clean(store)


def test_an_incident_is_told_once(store: Store, alice: int) -> None:
    number = hold(store, alice, 1)
    assert [one.id for one in store.read_now(incidents.untold)] == [number]
    assert [store.write_now(incidents.told, number) for _ in range(2)] == [True, False]
    assert store.read_now(incidents.untold) == []
    store.write_now(incidents.drop_some, number, 10)
    other = hold(store, alice, 2)
    store.write_now(incidents.drop_some, other, 10)
    assert not store.write_now(incidents.told, other), "it is over"


def test_what_is_over_is_forgotten_and_a_user_takes_his_along(store: Store, alice: int) -> None:
    number = hold(store, alice, 1)
    store.write_now(incidents.drop_some, number, 10)
    number = hold(store, alice, 2)
    now = store.clock() + 1000
    assert [store.write_now(incidents.forget, now, 10) for _ in range(2)] == [1, 0]
    assert store.read_now(incidents.get, number)
    store.write_now(accounts.remove, alice)
    left = "select (select count(*) from incident) + (select count(*) from queue_message)"
    assert store.read_now(Tx.value, left) == 0
    clean(store)


@pytest.mark.parametrize(
    "sql,says",
    [
        ("update queue_recipient set state = 'due' where id = 1", "not held"),
        ("update incident set ended_at = began_at, ended_by = 'drop'", "is over"),
        ("update incident set messages = 1, recipients = 4", "more than it counted"),
        ("insert into allowance values (1, 99999999, 1, 1, 1)", "days to come"),
    ],
)
def test_the_checker_finds_what_is_wrong(store: Store, alice: int, sql: str, says: str) -> None:
    hold(store, alice, 1)
    hold(store, alice, 2)
    clean(store)
    work: Callable[[Tx], int] = lambda tx: tx.run(sql)  # noqa: E731
    store.write_now(work)
    assert {(f.reason, says in f.text) for f in check(store)} == {("incident-wrong", True)}
