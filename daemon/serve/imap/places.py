"""Sets of messages as places in the open mailbox: masks with one octet a message, and runs of neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

from daemon.wire.imap_set import Slice


def runs(places: Iterable[int]) -> list[Slice]:
    """Ascending places as slices [start, stop)."""
    found: list[Slice] = []
    start = stop = -1
    for place in places:
        if place != stop:
            if stop >= 0:
                found.append((start, stop))
            start = place
        stop = place + 1
    if stop >= 0:
        found.append((start, stop))
    return found


def mask_of(slices: Iterable[Slice], count: int) -> bytes:
    """1 for each message in the slices."""
    mask = bytearray(count)
    for start, stop in slices:
        mask[start:stop] = b"\1" * (stop - start)
    return bytes(mask)


def places_of(mask: bytes) -> Sequence[int]:
    """The places whose octet is not 0."""
    return list(compress(range(len(mask)), mask)) if any(mask) else []


def both(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") & int.from_bytes(other, "little")).to_bytes(len(one), "little")


def either(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def without(one: bytes, other: bytes) -> bytes:
    """What is in `one` and not in `other`."""
    number = int.from_bytes(one, "little")
    return (number ^ (number & int.from_bytes(other, "little"))).to_bytes(len(one), "little")


def batches(slices: Iterable[Slice], most: int) -> Iterable[list[Slice]]:
    """The same messages in groups of at most `most`, in order."""
    group: list[Slice] = []
    room = most
    for start, stop in slices:
        while start < stop:
            end = min(stop, start + room)
            group.append((start, end))
            room -= end - start
            start = end
            if room == 0:
                yield group
                group, room = [], most
    if group:
        yield group
