"""Reputation: what is noted of a sender, how it fades, and what a user's word changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS, Limits
from daemon.store import standing
from daemon.store.standing import Source
from daemon.store.tx import Tx
from daemon.trust.results import Standing, Tally
from tests.store.stage import memory

DAY = 86_400_000
BOB = Source("shop.example", "bob@shop.example", "192.0.2.7")


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        yield tx


def test_nothing_is_known_of_a_stranger(tx: Tx) -> None:
    assert standing.of(tx, BOB) == Standing("shop.example")


def test_each_message_counts_for_domain_author_address_and_network(tx: Tx) -> None:
    standing.note(tx, BOB, good=1)
    standing.note(tx, Source("shop.example", "eve@shop.example", "192.0.2.8"), bad=1)
    found = standing.of(tx, BOB)
    assert found.of_domain == Tally(1, 1) and found.of_network == Tally(1, 1)
    assert found.of_author == Tally(1, 0) and found.of_address == Tally(1, 0)


def test_without_a_proof_only_the_address_is_known(tx: Tx) -> None:
    standing.note(tx, Source(ip="2001:db8::7"), bad=1)
    found = standing.of(tx, BOB._replace(ip="2001:db8::8"))
    assert (found.of_domain, found.of_address, found.of_network) == (Tally(), Tally(), Tally(0, 1))
    assert standing.of(tx, Source()) == Standing()


def test_what_was_noted_counts_half_after_thirty_days_and_then_nothing(tx: Tx) -> None:
    standing.note(tx, BOB, good=4)
    tx.now += 30 * DAY
    assert standing.of(tx, BOB).of_domain == Tally(2, 0)
    standing.note(tx, BOB, bad=1)
    assert standing.of(tx, BOB).of_domain == Tally(2, 1)
    tx.now += 200 * DAY
    assert standing.of(tx, BOB).of_domain == Tally()


def test_a_clock_that_goes_back_makes_nothing_grow(tx: Tx) -> None:
    standing.note(tx, BOB, good=4)
    tx.now -= 300 * DAY
    assert standing.of(tx, BOB).of_domain == Tally(4, 0)


def test_a_users_word_weighs_more_than_the_filter_and_can_be_taken_back(tx: Tx) -> None:
    for _ in range(3):
        standing.note(tx, BOB, good=1)
    standing.reconsider(tx, BOB, bad=True)
    assert standing.of(tx, BOB).of_domain == Tally(2, LIMITS.standing_word)
    standing.reconsider(tx, BOB, bad=False)
    assert standing.of(tx, BOB).of_domain == Tally(2 + LIMITS.standing_word, LIMITS.standing_word - 1)


def test_no_sum_goes_below_nothing(tx: Tx) -> None:
    standing.reconsider(tx, BOB, bad=True)
    assert standing.of(tx, BOB).of_domain == Tally(0, LIMITS.standing_word)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("", ""), ("nonsense", ""),
    ],
)  # fmt: skip
def test_neighbours_share_a_network(ip: str, network: str) -> None:
    assert standing.network_of(ip) == network


def test_what_says_nothing_any_more_is_forgotten(tx: Tx) -> None:
    standing.note(tx, BOB, good=1)
    assert standing.forget(tx, 100) == 0
    tx.now += (LIMITS.standing_memory + 1) * 1000
    assert [standing.forget(tx, 3), standing.forget(tx, 3), standing.forget(tx, 3)] == [3, 1, 0]


def test_a_botnet_fills_no_disk(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.store.standing.LIMITS", Limits(standings=10))
    for number in range(20):
        tx.now += 1
        standing.note(tx, Source(ip=f"198.51.{number}.1"), bad=1)
    while standing.forget(tx, 7):
        pass
    assert tx.value("select count(*) from standing") == 10
    assert standing.of(tx, Source(ip="198.51.19.1")).of_address == Tally(0, 1), "the newest stay"
