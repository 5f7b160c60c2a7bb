"""Message bytes in files that only grow.

A record is a head (magic, length, SHA-256) and the bytes. `segments/NNNNNNNN.seg` is appended to by the one process
that holds its lock; a full one is sealed and never changes again. A tail that no row points to is what a crash left:
harmless, and counted as dead by the compaction.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from daemon.store.spool import Body

HEAD = struct.Struct(">4sQ32s")
MAGIC = b"MSG1"
_OPEN_READERS = 64


class SegmentDamaged(Exception):
    """Bytes on disk are not the bytes that were written."""


def path_of(directory: Path, segment: int) -> Path:
    return directory / f"{segment:08d}.seg"


class Appender:
    """The one writer of a segment, for as long as it holds the lock."""

    def __init__(self, directory: Path, segment: int) -> None:
        """Open segment number `segment` for appending. Raises `BlockingIOError` when another process has it."""
        self.segment = segment
        path = path_of(directory, segment)
        new = not path.exists()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.fd)
            raise
        if new:
            sync_directory(directory)
        self.size = os.fstat(self.fd).st_size

    def append(self, bodies: Iterable[Body]) -> None:
        """Append and sync; sets `segment` and `offset` of each body. On `OSError` the file is as before."""
        start = self.size
        small: list[bytes] = []
        try:
            for body in bodies:
                head = HEAD.pack(MAGIC, body.size, body.sha256)
                body.segment, body.offset = self.segment, self.size + HEAD.size
                self.size += HEAD.size + body.size
                if body.size <= 1 << 16:
                    small += (head, body.bytes())
                    continue
                small.append(head)
                self._flush(small)
                body.pour(self.fd)
            self._flush(small)
            os.fdatasync(self.fd)
        except OSError:
            self.size = start
            os.ftruncate(self.fd, start)
            raise

    def _flush(self, pieces: list[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        pieces.clear()
        while data:
            data = data[os.write(self.fd, data) :]

    def close(self) -> None:
        os.close(self.fd)


class Reader:
    """Reads bytes by place; keeps some files open. Safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[int, int] = OrderedDict()
        self._retired: list[int] = []
        self._lock = Lock()

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """`length` octets at `offset`. Raises `SegmentDamaged` when they are not there."""
        try:
            data = os.pread(self._file(segment), length, offset)
            while len(data) < length:
                more = os.pread(self._file(segment), length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except FileNotFoundError:
            raise SegmentDamaged(f"segment {segment} is missing") from None
        if len(data) != length:
            raise SegmentDamaged(f"segment {segment} ends before octet {offset + length}")
        return data

    def verify(self, segment: int, offset: int, length: int, sha256: bytes) -> None:
        """Compare head and bytes with what the row says. Raises `SegmentDamaged`."""
        head = self.read(segment, offset - HEAD.size, HEAD.size)
        if HEAD.unpack(head) != (MAGIC, length, sha256):
            raise SegmentDamaged(f"segment {segment}, octet {offset}: the record's head is not the row's")
        digest = hashlib.sha256()
        for at in range(offset, offset + length, 1 << 20):
            digest.update(self.read(segment, at, min(1 << 20, offset + length - at)))
        if digest.digest() != sha256:
            raise SegmentDamaged(f"segment {segment}, octet {offset}: checksum differs")

    def _file(self, segment: int) -> int:
        fd = self._open.get(segment)
        if fd is not None:
            return fd
        with self._lock:
            fd = self._open.get(segment)
            if fd is None:
                fd = os.open(path_of(self._directory, segment), os.O_RDONLY | os.O_CLOEXEC)
                self._open[segment] = fd
                if len(self._open) > _OPEN_READERS:
                    # closed one round later, so that a read under way in another thread keeps its file
                    self._retired.append(self._open.popitem(last=False)[1])
                    if len(self._retired) > _OPEN_READERS:
                        os.close(self._retired.pop(0))
            return fd

    def forget(self, segment: int) -> None:
        """The segment was removed: let go of its file."""
        with self._lock:
            fd = self._open.pop(segment, None)
            if fd is not None:
                self._retired.append(fd)

    def close(self) -> None:
        for fd in (*self._open.values(), *self._retired):
            os.close(fd)
        self._open.clear()
        self._retired.clear()


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
