"""Sequence sets: `1:*`, `5,3,4:3`, `*:123` (RFC 3501 §9, traps I21).

A set stays a tuple of ranges; it is never written out number by number. Against a mailbox it becomes slices of the
sorted UID array, in order and without overlap, so that 1:4294967295 costs what its messages cost.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.wire.imap import Bad

Range = tuple[int | None, int | None]
"""Two ends in any order; None is `*`."""

Slice = tuple[int, int]
"""Positions [start, stop) in the mailbox, counted from 0."""

MAX = 4_294_967_295
_RANGE = re.compile(r"([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message numbers or UIDs as the client wrote them."""

    ranges: tuple[Range, ...]

    def slices_of_uids(self, uids: Sequence[int]) -> list[Slice]:
        """Where the UIDs of this set stand in the sorted `uids`. Unknown ones are passed over (RFC 3501 §6.4.8).

        `*` is the last UID there is, so `1620:*` always names at least that (traps I21); in an empty mailbox nothing.
        """
        if not uids:
            return []
        last = uids[-1]
        found = []
        for low, high in self._ordered(last):
            start, stop = bisect_left(uids, low), bisect_right(uids, high)
            if start < stop:
                found.append((start, stop))
        return _merged(found)

    def slices(self, count: int) -> list[Slice]:
        """Where the message numbers of this set stand in a mailbox of `count`. Numbers beyond it are passed over."""
        return _merged([(low - 1, min(high, count)) for low, high in self._ordered(count) if 0 < low <= count])

    def beyond(self, count: int) -> bool:
        """Does it name a message number that a mailbox of `count` has not?

        `1:*` of an empty mailbox does not: clients say so without having looked, and get nothing, as from Dovecot.
        """
        if count == 0:
            return not all(None in ends for ends in self.ranges)
        return any(number is not None and number > count for ends in self.ranges for number in ends)

    def _ordered(self, last: int) -> Iterable[tuple[int, int]]:
        for one, other in self.ranges:
            low = last if one is None else one
            high = last if other is None else other
            yield (low, high) if low <= high else (high, low)


def parse_set(text: str, most: int) -> SequenceSet:
    """The set that `text` spells, of at most `most` ranges. Raises `Bad`."""
    parts = text.split(",", most)
    if len(parts) > most:
        raise Bad(f"a set of over {most} ranges")
    ranges: list[Range] = []
    for part in parts:
        found = _RANGE.fullmatch(part)
        if found is None:
            raise Bad("that is no sequence set")
        one, other = found.groups()
        low = None if one == "*" else int(one)
        high = low if other is None else None if other == "*" else int(other)
        if (low or 0) > MAX or (high or 0) > MAX:
            raise Bad(f"a number over {MAX}")
        ranges.append((low, high))
    return SequenceSet(tuple(ranges))


def format_set(numbers: Iterable[int]) -> str:
    """Ascending numbers as a set: 1, 2, 3, 5 is `1:3,5`. For COPYUID, ESEARCH and MODIFIED; empty for none."""
    parts: list[str] = []
    start = end = 0
    for number in numbers:
        if number == end + 1 and start:
            end = number
            continue
        if start:
            parts.append(f"{start}:{end}" if start < end else str(start))
        start = end = number
    if start:
        parts.append(f"{start}:{end}" if start < end else str(start))
    return ",".join(parts)


def _merged(found: list[Slice]) -> list[Slice]:
    """In order, and each position once."""
    if len(found) < 2:
        return found
    found.sort()
    merged = [found[0]]
    for start, stop in found[1:]:
        before, end = merged[-1]
        if start > end:
            merged.append((start, stop))
        elif stop > end:
            merged[-1] = (before, stop)
    return merged
