"""Bytes that have arrived and are not yet read. No sockets, no clock."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """What a reader wants said before it reads on (`+ ready` before a literal)."""

    data: bytes


Want = Send | None
Reading = Generator[Want, None, T]
"""A read under way: yields wants, returns a `T`."""


class Sink(Protocol):
    """Where a long body goes while it arrives."""

    def write(self, data: bytes | bytearray | memoryview, /) -> object: ...


class WireError(Exception):
    """The peer broke the framing. The stream stays usable only where the subclass says so."""


class TooLong(WireError):
    """A line or literal over its limit. Nothing of it was consumed."""


class EndOfStream(WireError):
    """The peer closed in the middle of something. Nothing more will come."""


class BareNewline(WireError):
    """A line ended with LF alone where CRLF is the rule (RFC 5321 §2.3.8). The line was consumed."""


class Stream:
    """A growing buffer. `feed` from the outside, read with the generators."""

    __slots__ = ("buffer", "eof", "_searched")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False
        self._searched = 0  # no LF before this place: a slow line is not searched again from its start

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self.buffer += data

    def feed_eof(self) -> None:
        self.eof = True

    def clear(self) -> None:
        """Forget what arrived: nothing sent before TLS may count after it (CVE-2011-0411)."""
        self.buffer.clear()
        self._searched = 0

    def __len__(self) -> int:
        return len(self.buffer)

    def line(self, limit: int, *, strict: bool = False) -> Reading[bytes]:
        """The next line without its end.

        `limit` counts octets with the line end. Raises `TooLong` as soon as it is certain, `EndOfStream`, and
        with `strict` `BareNewline` for an end that is not CRLF.
        """
        while True:
            end = self.buffer.find(b"\n", self._searched, limit)
            if end >= 0:
                break
            if len(self.buffer) >= limit:
                raise TooLong(f"line over {limit} octets")
            self._searched = len(self.buffer)
            if self.eof:
                raise EndOfStream("end of stream inside a line" if self.buffer else "end of stream")
            yield None
        crlf = end > 0 and self.buffer[end - 1] == 13
        found = bytes(self.buffer[: end - 1 if crlf else end])
        self._drop(end + 1)
        if strict and not crlf:
            raise BareNewline("line ends with a bare LF")
        return found

    def exactly(self, size: int) -> Reading[bytes]:
        """The next `size` octets. The caller has compared `size` with its limit."""
        while len(self.buffer) < size:
            if self.eof:
                raise EndOfStream("end of stream inside a literal")
            yield None
        found = bytes(self.buffer[:size])
        self._drop(size)
        return found

    def pour(self, size: int, sink: Sink) -> Reading[None]:
        """The next `size` octets into `sink` as they arrive, so that memory does not grow with `size`."""
        while size:
            if not self.buffer:
                if self.eof:
                    raise EndOfStream("end of stream inside a literal")
                yield None
                continue
            taken = min(size, len(self.buffer))
            if taken == len(self.buffer):
                piece, self.buffer = self.buffer, bytearray()
                self._searched = 0
                sink.write(piece)
            else:
                sink.write(self.buffer[:taken])
                self._drop(taken)
            size -= taken

    def _drop(self, count: int) -> None:
        del self.buffer[:count]
        self._searched = 0
