"""A body while it arrives: in memory up to 1 MiB, then in a spool file. A sink for `daemon.wire`.

Memory beyond 64 KiB is a file too, one without a disk: another process is handed it as it is, and whoever looks at the
body maps it. So its octets are copied once, and their pieces need not be joined. They are hashed when somebody asks:
in the server that is the writer's process, not the loop.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import tempfile
from math import inf
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from daemon.limits import LIMITS

_lock = Lock()  # of `_holds` and `_closed` of every body: held for a moment only

_SHORT = 64 * 1024  # octets kept in pieces


class Body:
    """Bytes of one message on their way into the store.

    `size` is in octets, `sha256` the digest of all that was written. `close` frees the spool file; a body is also
    a context manager. `segment`, `offset` are set by the writer once the bytes are in a segment.

    Whoever waits for a write may be cancelled and close the body while the writer still copies it: the writer holds
    it (`hold`, `let_go`), and the bytes stay until then.
    """

    __slots__ = (
        "size", "digest", "segment", "offset", "counted", "_pieces", "_file", "_map", "_directory",
        "_in_memory", "_room", "_holds", "_closed",
    )  # fmt: skip

    def __init__(self, directory: Path | None = None, in_memory: int = LIMITS.spool_memory) -> None:
        self.size = 0
        self.digest = b""  # as far as somebody has asked for `sha256`
        self.segment = 0
        self.offset = 0
        self.counted = False  # as dead octets, since equal bytes were there already
        self._pieces: list[bytes] = []  # while it is short; joined when somebody looks
        self._file: BinaryIO | None = None
        self._map: mmap.mmap | None = None
        self._directory = directory
        self._in_memory = in_memory
        self._room = min(_SHORT, in_memory) if directory is not None else inf  # octets until it moves elsewhere
        self._holds = 0
        self._closed = False

    @classmethod
    def of(cls, data: bytes) -> Body:
        """A body that is there already."""
        body = cls(in_memory=len(data))
        body.write(data)
        return body

    @classmethod
    def handed(cls, size: int, digest: bytes, content: bytes | int) -> Body:
        """One that another process has made: its octets, or an open file with them, which is this body's from now."""
        body = cls()
        body.size, body.digest = size, digest
        if isinstance(content, bytes):
            body._pieces = [content]
        else:
            body._file = os.fdopen(content, "rb")
        return body

    def duplicate(self) -> int:
        """All octets as an open file for another process; the caller closes it. Raises `OSError`."""
        if self._file is not None:
            return os.dup(self._file.fileno())
        with _memory() as file:
            self.pour(file.fileno())
            return os.dup(file.fileno())

    def alike(self) -> Body:
        """An empty one that spools to the same place."""
        return Body(self._directory, self._in_memory)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add octets. Raises `OSError` when the spool file cannot grow."""
        self.size += len(data)
        if self.size > self._room:
            self._move()
        self.digest, self._map = b"", None  # they would end where the body ended then
        if self._file is None:
            self._pieces.append(bytes(data))
        else:
            write_all(self._file.fileno(), data)
        return len(data)

    def _move(self) -> None:
        """What is there goes to where there is room for `size` octets."""
        there = self.view()
        file: BinaryIO
        if self.size > self._in_memory:
            file, room = tempfile.TemporaryFile(dir=self._directory, buffering=0), inf
        else:
            file, room = _memory(), self._in_memory
        write_all(file.fileno(), there)
        if self._file is not None:
            self._file.close()
        self._pieces, self._file, self._map, self._room = [], file, None, room

    @property
    def sha256(self) -> bytes:
        if not self.digest:
            self.digest = hashlib.sha256(self.view()).digest()
        return self.digest

    def view(self) -> bytes | mmap.mmap:
        """All octets, for searching and slicing; a spool file is mapped, not read."""
        if self._file is None:
            pieces = self._pieces
            if len(pieces) != 1:
                pieces = self._pieces = [b"".join(pieces)]
            return pieces[0]
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)
        return self._map

    def bytes(self) -> bytes:
        return bytes(self.view())

    def pour(self, fd: int, piece: int = 1 << 20) -> int:
        """Append all octets to the file `fd`; how many. Raises `OSError`."""
        data = memoryview(self.view())
        try:
            for start in range(0, len(data), piece):
                write_all(fd, data[start : start + piece])
            return len(data)
        finally:
            data.release()

    def hold(self) -> None:
        """The bytes stay until `let_go`, whatever `close` says. Raises `ValueError` when they are gone already."""
        with _lock:
            if self._closed and not self._holds:
                raise ValueError("the body is closed")
            self._holds += 1

    def let_go(self) -> None:
        with _lock:
            self._holds -= 1
            free = self._closed and not self._holds
        if free:
            self._free()

    def close(self) -> None:
        with _lock:
            self._closed = True
            free = not self._holds
        if free:
            self._free()

    def _free(self) -> None:
        if self._map is not None:
            with contextlib.suppress(BufferError):  # somebody still looks at it; it goes with the last look
                self._map.close()
            self._map = None
        if self._file is not None:
            self._file.close()
            self._file = None
        self._pieces = []

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_all(fd: int, data: bytes | bytearray | memoryview | mmap.mmap) -> None:
    """Append to a file, however often that takes. Raises `OSError`."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _memory() -> BinaryIO:
    """A file in memory."""
    return open(os.memfd_create("body", os.MFD_CLOEXEC), "w+b", buffering=0)
