"""A body while it arrives: in memory up to 1 MiB, then in a spool file. A sink for `daemon.wire`.

Memory beyond 64 KiB is a file too, one without a disk: another process is handed it as it is, and whoever looks at the
body maps it. So its octets are copied once, and their pieces need not be joined.
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

_BITE = 2047  # octets; hashlib's HASHLIB_GIL_MINSIZE is one more
_SMALL = 16 * 1024
_SHORT = 64 * 1024  # octets kept in pieces


class Body:
    """Bytes of one message on their way into the store.

    `size` is in octets, `sha256` the digest of all that was written. `close` frees the spool file; a body is also
    a context manager. `segment`, `offset` are set by the writer once the bytes are in a segment.

    Whoever waits for a write may be cancelled and close the body while the writer still copies it: the writer holds
    it (`hold`, `let_go`), and the bytes stay until then.
    """

    __slots__ = (
        "size", "segment", "offset", "counted", "_hash", "_digest", "_pieces", "_file", "_map", "_directory",
        "_in_memory", "_room", "_holds", "_closed",
    )  # fmt: skip

    def __init__(self, directory: Path | None = None, in_memory: int = LIMITS.spool_memory) -> None:
        self.size = 0
        self.segment = 0
        self.offset = 0
        self.counted = False  # as dead octets, since equal bytes were there already
        self._hash = hashlib.sha256()
        self._digest = b""  # when somebody else has made it
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
    def handed(cls, size: int, sha256: bytes, content: bytes | int) -> Body:
        """One that another process has made: its octets, or an open file with them, which is this body's from now."""
        body = cls()
        body.size, body._digest = size, sha256
        if isinstance(content, bytes):
            body._pieces = [content]
        else:
            body._file = os.fdopen(content, "rb")
        return body

    def duplicate(self) -> int:
        """All octets as an open file for another process; the caller closes it. Raises `OSError`."""
        if self._file is not None:
            self._file.flush()
            return os.dup(self._file.fileno())
        with _memory() as file:
            self.pour(file.fileno())
            return os.dup(file.fileno())

    def alike(self) -> Body:
        """An empty one that spools to the same place."""
        return Body(self._directory, self._in_memory)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add octets. Raises `OSError` when the spool file cannot grow."""
        if len(data) < _SMALL:
            # in bites: for more, hashlib lets go of the interpreter, and getting it back costs ten times the hash
            for start in range(0, len(data), _BITE):
                self._hash.update(data[start : start + _BITE])
        else:
            self._hash.update(data)
        self.size += len(data)
        if self.size > self._room:
            self._move()
        self._map = None  # it would end where the file ended then
        if self._file is None:
            self._pieces.append(bytes(data))
        else:
            self._file.write(data)
        return len(data)

    def _move(self) -> None:
        """What is there goes to where there is room for `size` octets."""
        there = self.view()
        file: BinaryIO
        if self.size > self._in_memory:
            file, room = tempfile.TemporaryFile(dir=self._directory), inf
        else:
            file, room = _memory(), self._in_memory
        file.write(there)
        if self._file is not None:
            self._file.close()
        self._pieces, self._file, self._map, self._room = [], file, None, room

    @property
    def sha256(self) -> bytes:
        return self._digest or self._hash.digest()

    def view(self) -> bytes | mmap.mmap:
        """All octets, for searching and slicing; a spool file is mapped, not read."""
        if self._file is None:
            pieces = self._pieces
            if len(pieces) != 1:
                pieces = self._pieces = [b"".join(pieces)]
            return pieces[0]
        self._file.flush()
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
                part = data[start : start + piece]
                while part:
                    part = part[os.write(fd, part) :]
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


def _memory() -> BinaryIO:
    """A file in memory."""
    return open(os.memfd_create("body", os.MFD_CLOEXEC), "w+b")
