"""Sequence sets against the plainest reading of RFC 3501, which counts on its fingers (traps I21)."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.wire.imap import Bad
from daemon.wire.imap_set import MAX, SequenceSet, format_set, parse_set


@pytest.mark.parametrize(
    "text,want",
    [
        ("1", [(1, 1)]),
        ("*", [(None, None)]),
        ("2:4", [(2, 4)]),
        ("4:2", [(4, 2)]),
        ("1:*", [(1, None)]),
        ("*:123", [(None, 123)]),
        ("*:*", [(None, None)]),
        ("5,3,4:3", [(5, 5), (3, 3), (4, 3)]),
        ("4294967295", [(MAX, MAX)]),
        ("1,2,3,4", [(1, 1), (2, 2), (3, 3), (4, 4)]),
    ],
)
def test_a_set_is_read_as_it_is_written(text, want):
    assert parse_set(text, 4) == SequenceSet(tuple(want))


@pytest.mark.parametrize(
    "text",
    ["", ",", "1,2,", ",1", "0", "01", "1:0", "1:", ":1", "1:2:3", "-1", "+1", "a", "1 ", "٣", "4294967296",
     "1:4294967296", "99999999999", "1,2,3,4,5", "$", "**"],
)  # fmt: skip
def test_what_is_no_set(text):
    with pytest.raises(Bad):
        parse_set(text, 4)


ENDS = st.none() | st.integers(1, 30) | st.sampled_from([1000, MAX])
SETS = st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6).map(lambda ranges: SequenceSet(tuple(ranges)))


def holds(numbers, number, last):
    """Is `number` in the set, when `*` is `last`?"""
    for one, other in numbers.ranges:
        low, high = sorted((last if one is None else one, last if other is None else other))
        if low <= number <= high:
            return True
    return False


def in_order(slices):
    return all(start < stop for start, stop in slices) and all(
        before[1] < after[0] for before, after in zip(slices, slices[1:], strict=False)
    )


@given(SETS, st.sets(st.integers(1, 35) | st.sampled_from([999, 1000, 1001, MAX]), max_size=20))
def test_uids_are_found_where_they_stand(numbers, uids):
    uids = array("I", sorted(uids))
    slices = numbers.slices_of_uids(uids)
    found = [uid for start, stop in slices for uid in uids[start:stop]]
    assert found == [uid for uid in uids if holds(numbers, uid, uids[-1])]
    assert in_order(slices)


@given(SETS, st.integers(0, 35))
def test_message_numbers_are_found_where_they_stand(numbers, count):
    slices = numbers.slices(count)
    found = [at + 1 for start, stop in slices for at in range(start, stop)]
    assert found == [number for number in range(1, count + 1) if holds(numbers, number, count)]
    assert in_order(slices)
    if count:
        assert numbers.beyond(count) is any((end or 0) > count for ends in numbers.ranges for end in ends)
    else:
        assert numbers.beyond(0) is any(None not in ends for ends in numbers.ranges), "1:* of nothing is nothing"


@given(SETS)
def test_a_set_is_read_back_as_it_was_written(numbers):
    text = ",".join(f"{one or '*'}:{other or '*'}" for one, other in numbers.ranges)
    assert parse_set(text, 6) == numbers


@pytest.mark.parametrize(
    "text,uids,want",
    [
        ("1620:*", [1, 2, 1619], [1619]),  # the last one, though its UID is smaller
        ("*:1620", [1, 2, 1619], [1619]),
        ("*", [7, 9], [9]),
        ("1:*", [], []),
        ("*", [], []),
        ("5:3,1", [1, 2, 3, 4, 5, 6], [1, 3, 4, 5]),
        ("112:113", [1, 200], []),
        ("1:4294967295", [1, MAX], [1, MAX]),
    ],
)
def test_sets_that_clients_send(text, uids, want):
    slices = parse_set(text, 10).slices_of_uids(uids)
    assert [uid for start, stop in slices for uid in uids[start:stop]] == want


def test_a_huge_range_costs_nothing():
    uids = array("I", range(1, 100_001))
    assert parse_set("4294967295:1,1:*,2:4294967295", 10).slices_of_uids(uids) == [(0, 100_000)]
    assert parse_set("4294967295:1,1:*", 10).slices(MAX) == [(0, MAX)]


@pytest.mark.parametrize(
    "numbers,want",
    [([], ""), ([1], "1"), ([1, 2], "1:2"), ([1, 2, 3, 5], "1:3,5"), ([2, 4, 6, 7], "2,4,6:7"), ([MAX], "4294967295")],
)
def test_numbers_are_written_short(numbers, want):
    assert format_set(numbers) == want


@given(st.sets(st.integers(1, 60)))
def test_numbers_survive_being_written(numbers):
    text = format_set(sorted(numbers))
    if numbers:
        uids = range(1, 61)
        slices = parse_set(text, 60).slices_of_uids(uids)
        assert [uid for start, stop in slices for uid in uids[start:stop]] == sorted(numbers)
        assert len(slices) == text.count(",") + 1
