"""Who is told to try again, who is let in, and that the memory of it has an end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, domains, greylist
from daemon.store.db import Store
from tests.store.stage import open_store

NET, WHO, TO = "9.9.9.0/24", "x@far.example", "ann@here.example"
DELAY, DAY = 300, 86_400_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(data: DataDir, clock: Clock) -> Iterator[Store]:
    store = open_store(data, clock)
    yield store
    store.close()


def tries(store: Store, network: str = NET, sender: str = WHO, to: str = TO) -> bool:
    return store.write_now(lambda tx: greylist.passed(tx, network, sender, to, DELAY))


def rows(store: Store) -> tuple[int, int]:
    count = "select (select count(*) from greylist), (select count(*) from greylist_network)"
    found = store.read_now(lambda tx: tx.one(count))
    assert found is not None
    return found[0], found[1]


@pytest.mark.parametrize(
    ("waits", "passes"),
    [
        ([0, 1000, DELAY * 1000 - 1001], [False, False, False]),
        ([0, DELAY * 1000, 1], [False, True, True]),
        ([0, 1000, DELAY * 1000], [False, False, True]),
        ([0, DELAY * 1000, -DAY], [False, True, True]),
        ([0, DAY, 1], [False, True, True]),
        ([0, DAY + 1, DELAY * 1000], [False, False, True]),
        ([0, DELAY * 1000, 35 * DAY, 35 * DAY], [False, True, True, True]),
        ([0, DELAY * 1000, 37 * DAY, DELAY * 1000], [False, True, False, True]),
    ],
)
def test_who_comes_back_in_time_is_let_in(store: Store, clock: Clock, waits: list[int], passes: list[bool]) -> None:
    for wait, passed in zip(waits, passes, strict=True):
        clock.now += wait
        assert tries(store) == passed


def test_a_try_is_of_a_network_a_sender_and_a_recipient(store: Store, clock: Clock) -> None:
    assert not tries(store)
    clock.now += DELAY * 1000
    others = [("9.9.8.0/24", WHO, TO), (NET, "y@far.example", TO), (NET, WHO, "bob@here.example"), (NET, "", TO)]
    assert not any(tries(store, *other) for other in others)
    assert tries(store, NET, "X@Far.Example", TO.upper()), "however they are written"


def test_a_network_that_passed_some_times_is_let_in(store: Store, clock: Clock) -> None:
    for number in range(LIMITS.greylist_passes):
        for to in (TO, "bob@here.example"):  # two recipients are one pass
            assert not tries(store, sender=f"{number}@far.example", to=to)
        clock.now += DELAY * 1000
        for to in (TO, "bob@here.example"):
            assert tries(store, sender=f"{number}@far.example", to=to)
    assert tries(store, sender="new@far.example")
    clock.now += 35 * DAY
    assert tries(store, sender="later@far.example")
    clock.now += 35 * DAY
    assert tries(store, sender="more@far.example"), "from the last time on"
    clock.now += 37 * DAY
    assert not tries(store, sender="gone@far.example")


def test_what_is_old_is_forgotten(store: Store, clock: Clock) -> None:
    tries(store)
    tries(store, sender="once@far.example")
    clock.now += DELAY * 1000
    tries(store)
    assert store.write_now(greylist.forget, 100) == 0 and rows(store) == (2, 1)
    clock.now += DAY
    assert store.write_now(greylist.forget, 100) == 1 and rows(store) == (1, 1)
    clock.now += 37 * DAY
    assert store.write_now(greylist.forget, 1) == 2 and rows(store) == (0, 0)


def test_of_many_tries_the_oldest_make_room(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylist, "LIMITS", dataclasses.replace(LIMITS, greylist_rows=5))
    for number in range(12):
        clock.now += 1000
        tries(store, network=f"9.9.{number}.0/24")
    clock.now += DELAY * 1000
    for number in range(12):
        clock.now += 1
        tries(store, network=f"9.9.{number}.0/24")
    while store.write_now(greylist.forget, 2):
        pass
    assert rows(store) == (5, 5)
    assert tries(store, network="9.9.11.0/24") and not tries(store, network="9.9.1.0/24")


def test_who_is_removed_leaves_no_try(store: Store) -> None:
    store.write_now(lambda tx: domains.add(tx, "here.example"))
    ann = store.write_now(lambda tx: accounts.add(tx, parse_address("Ann@here.example"), None))
    for to in ("ann@here.example", "joann@here.example", "ann@there.example"):
        tries(store, to=to)
    store.write_now(accounts.remove, ann)
    assert rows(store) == (2, 0)
    store.write_now(domains.remove, "here.example")
    assert rows(store) == (1, 0)
