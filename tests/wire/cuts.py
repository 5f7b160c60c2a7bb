"""Drives a reader with its input cut at every place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from daemon.wire.stream import Reading, Stream

T = TypeVar("T")


def read(make: Callable[[Stream], Reading[T]], pieces: list[bytes]) -> tuple[T, bytes]:
    """The answer of a reader over a stream fed in `pieces` and then closed, and what it left unread."""
    stream = Stream()
    reading = make(stream)
    waiting = list(pieces)
    while True:
        try:
            next(reading)
        except StopIteration as answer:
            return answer.value, bytes(stream.buffer) + b"".join(waiting)
        if waiting:
            stream.feed(waiting.pop(0))
        else:
            stream.feed_eof()


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """`data` whole, byte by byte, and in two pieces in every way."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
