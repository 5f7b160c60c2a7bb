"""What the readers of archives share that are only listed, never unpacked: what they find, and how they read on."""

from __future__ import annotations

from typing import NamedTuple

from daemon.limits import LIMITS


class Closed(Exception):
    """No more can be read: its headers are encrypted, cut or wrong."""


class Entry(NamedTuple):
    """A file in an archive. `size` octets of it stand in the archive as they are, from `start` on; 0: it is packed."""

    name: str
    start: int = 0
    size: int = 0
    encrypted: bool = False


class Cursor:
    """Reads on in octets of a stranger. Every reading raises `Closed` where there are not as many."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else min(end, len(data))

    @property
    def left(self) -> int:
        return self.end - self.at

    def skip(self, size: int) -> None:
        if not 0 <= size <= self.left:
            raise Closed
        self.at += size

    def octets(self, size: int) -> bytes:
        self.skip(size)
        return self.data[self.at - size : self.at]

    def octet(self) -> int:
        self.skip(1)
        return self.data[self.at - 1]

    def little(self, size: int) -> int:
        """A number of so many octets, the lowest first."""
        return int.from_bytes(self.octets(size), "little")


def text(raw: bytes) -> str:
    """The end of a name, as whoever packed it probably wrote it."""
    try:
        return raw[-LIMITS.file_name :].decode()
    except UnicodeDecodeError:
        return raw[-LIMITS.file_name :].decode("cp437")


def cut(raw: bytes) -> bytes:
    """What C would read."""
    return raw.partition(b"\0")[0]
