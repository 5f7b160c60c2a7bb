"""What a user sent is counted: against a model that remembers every message, and over the end of time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.store import accounts, allowance
from daemon.store.allowance import DAY, SLOT, Amount, Limits, Over, State
from daemon.store.tx import Tx
from tests.store.stage import add_user, memory, undone

ALICE, CAROL = 1, 2
NONE = Amount(0, 0, 0)


@pytest.fixture(scope="module")
def shared() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        yield tx


@pytest.fixture
def tx(shared: Tx) -> Iterator[Tx]:
    now = shared.now
    with undone(shared) as tx:
        yield tx
    shared.now = now


def state(tx: Tx, account: int = ALICE) -> State:
    found = allowance.state(tx, account)
    assert found is not None
    return found


@st.composite
def amounts(draw: st.DrawFn) -> Amount:
    recipients = draw(st.integers(1, 50))
    return Amount(1, recipients, draw(st.integers(0, recipients)))


def total(some: list[Amount]) -> Amount:
    return Amount(*(sum(one[at] for one in some) for at in range(3)))


@given(st.lists(st.tuples(st.integers(0, 5 * 3_600_000), amounts(), st.sampled_from((ALICE, CAROL)))))
def test_windows_are_a_little_longer_than_an_hour_and_a_day_and_never_shorter(
    shared: Tx, steps: list[tuple[int, Amount, int]]
) -> None:
    begun = shared.now
    sent: list[tuple[int, Amount]] = []
    with undone(shared) as tx:
        for later, amount, account in steps:
            tx.now += later
            allowance.spend(tx, account, amount)
            allowance.forget(tx, 3)
            if account == ALICE:
                sent.append((tx.now, amount))
            found = state(tx)
            for window, counted in ((3_600_000, found.hour), (86_400_000, found.day)):
                least = total([amount for at, amount in sent if at > tx.now - window])
                most = total([amount for at, amount in sent if at > tx.now - window - SLOT])
                assert all(low <= n <= high for low, n, high in zip(least, counted, most, strict=True))
        rows = tx.value("select max(n) from (select count(*) n from allowance group by account_id)") or 0
        assert rows <= DAY + 1 + len(steps)
    shared.now = begun


def test_rows_are_bounded_and_end(tx: Tx) -> None:
    for _ in range(3 * DAY):
        allowance.spend(tx, ALICE, Amount(1, 2, 1))
        tx.now += SLOT
        while allowance.forget(tx, 2):
            pass
    assert tx.value("select count(*) from allowance") <= DAY + 1
    tx.now += DAY * SLOT
    assert allowance.forget(tx, 1000) and tx.value("select count(*) from allowance") == 0


def test_a_clock_that_was_wrong_holds_nobody_for_long(tx: Tx) -> None:
    tx.now += 365 * DAY * SLOT
    allowance.spend(tx, ALICE, Amount(1, 1, 1))
    tx.now -= 365 * DAY * SLOT
    allowance.forget(tx, 10)
    assert state(tx).day == NONE


def test_users_are_counted_apart_and_a_reset_is_of_one(tx: Tx) -> None:
    allowance.spend(tx, ALICE, Amount(1, 3, 2))
    allowance.spend(tx, CAROL, Amount(1, 1, 0))
    allowance.reset(tx, ALICE)
    assert (state(tx).day, state(tx, CAROL).day) == (NONE, Amount(1, 1, 0))
    assert allowance.state(tx, 99) is None
    accounts.remove(tx, CAROL)
    assert tx.value("select count(*) from allowance") == 0


LIMITS = Limits(Amount(3, 30, 10), Amount(5, 50, 20))


@pytest.mark.parametrize(
    "hour,day,more,want",
    [
        ((2, 9, 9), (2, 9, 9), (1, 1, 1), None),
        ((3, 3, 0), (3, 3, 0), (1, 1, 0), Over("messages-per-hour", 3, 4)),
        ((1, 30, 0), (1, 30, 0), (1, 1, 0), Over("recipients-per-hour", 30, 31)),
        ((0, 0, 0), (0, 0, 0), (1, 31, 0), Over("recipients-per-hour", 30, 31)),
        ((1, 9, 9), (1, 9, 9), (1, 2, 2), Over("strangers-per-hour", 10, 11)),
        ((0, 0, 0), (5, 9, 9), (1, 1, 1), Over("messages-per-day", 5, 6)),
        ((0, 0, 0), (4, 45, 9), (1, 6, 1), Over("recipients-per-day", 50, 51)),
        ((0, 0, 0), (4, 20, 20), (1, 1, 1), Over("strangers-per-day", 20, 21)),
    ],
)
def test_the_first_limit_that_a_message_does_not_fit_in(
    hour: tuple[int, int, int], day: tuple[int, int, int], more: tuple[int, int, int], want: Over | None
) -> None:
    known = State(Amount(*hour), Amount(*day))
    assert known.over(Amount(*more), LIMITS) == want
    assert known._replace(times=0).over(Amount(*more), LIMITS) is None, "no limit for this user"
    assert known._replace(times=10).over(Amount(*more), LIMITS) is None
    assert known.over(Amount(*more), Limits(NONE, NONE)) is None, "0: no limit"


def test_a_user_may_have_another_allowance(tx: Tx) -> None:
    assert state(tx).times == 1
    accounts.change(tx, ALICE, allowance=7)
    assert state(tx).times == 7
