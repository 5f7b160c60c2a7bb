"""Message bytes in files that only grow.

A record is a head (magic, length, SHA-256) and the bytes. `segments/NNNNNNNN.seg` is appended to by the one process
that holds its lock; a full one is sealed and never changes again. A tail that no row points to is what a crash left:
harmless, and counted as dead by the compaction.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

from daemon.config import hand_over
from daemon.store.spool import Body, write_all

HEAD = struct.Struct(">4sQ32s")
MAGIC = b"MSG1"
_GAP = 1024  # octets between two places that are read along rather than apart
_BLOCK = 224 * 1024  # octets of neighbours read at once: glibc is to take larger blocks from the system (`listen.tune`)
_OPEN_READERS = 64


class SegmentDamaged(Exception):
    """Bytes on disk are not the bytes that were written."""


def number_of(name: str) -> int | None:
    """The number of the segment that has this file name; None for a file that is none."""
    return int(name[:-4]) if name.endswith(".seg") and name[:-4].isdecimal() else None


def path_of(directory: Path, segment: int) -> Path:
    return directory / f"{segment:08d}.seg"


class Appender:
    """The one writer of a segment, for as long as it holds the lock."""

    def __init__(self, directory: Path, segment: int, *, create: bool = True) -> None:
        """Open segment number `segment` for appending.

        Raises `BlockingIOError` when another process has it, `FileNotFoundError` when it is not there and is not to
        be made.
        """
        self.segment = segment
        self.path = path_of(directory, segment)
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self.fd = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.size = os.fstat(self.fd).st_size
            if not self.size:  # it may be new, or its maker was killed before this line
                hand_over(self.path, directory)
                sync_directory(directory)
        except OSError:
            os.close(self.fd)
            raise

    def append(self, bodies: Iterable[Body], *, sync: bool = True) -> None:
        """Append, and sync unless the caller will; sets `segment` and `offset` of each body.

        On any error the file is as before.
        """
        start = self.size
        small: list[bytes] = []
        try:
            for body in bodies:
                head = HEAD.pack(MAGIC, body.size, body.sha256)
                body.segment, body.offset = self.segment, self.size + HEAD.size
                self.size += HEAD.size + body.size
                if body.size <= 1 << 16:
                    data = body.bytes()
                    if len(data) != body.size:  # the place of everything after it would be wrong
                        raise ValueError("a body is not as long as it says")
                    small += (head, data)
                    continue
                small.append(head)
                self._flush(small)
                if body.pour(self.fd) != body.size:
                    raise ValueError("a body is not as long as it says")
            self._flush(small)
            if sync:
                self.sync()
        except BaseException:
            self.cut(start)
            raise

    def sync(self) -> None:
        """What was appended is durable when this returns. Raises `OSError`."""
        os.fdatasync(self.fd)

    def cut(self, size: int) -> None:
        """Take back what was appended beyond `size`."""
        self.size = size
        try:
            os.ftruncate(self.fd, size)
        except OSError:
            self.size = os.fstat(self.fd).st_size  # what is there by now is a dead tail

    def _flush(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        pieces.clear()
        write_all(self.fd, data)

    def close(self) -> None:
        os.close(self.fd)


class Syncer:
    """Makes appended bytes durable in a thread of its own, one sync at a time, so that something else runs meanwhile.

    A pair of queues: waiting for a future of a thread pool costs ten times as much, and every group waits.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[Appender | None] = SimpleQueue()
        self._ended: SimpleQueue[OSError | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._under_way = False
        self._error: OSError | None = None

    def begin(self, appender: Appender) -> None:
        """The last one was `forget`-ed."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="store-syncer", daemon=True)
            self._thread.start()
        self._under_way = True
        self._asked.put(appender)

    def wait(self) -> None:
        """Until the bytes are durable. Raises `OSError`, each time it is asked, when they are not."""
        if self._under_way:
            self._error = self._ended.get()
            self._under_way = False
        if self._error is not None:
            raise self._error

    def forget(self) -> None:
        """Wait too, but whether it failed is not of interest any more."""
        with contextlib.suppress(OSError):
            self.wait()
        self._error = None

    def close(self) -> None:
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (appender := self._asked.get()) is not None:
            try:
                appender.sync()
            except OSError as error:
                self._ended.put(error)
            except BaseException as error:  # the writer waits for an answer, whatever happened
                self._ended.put(OSError(f"the sync ended with {error!r}"))
            else:
                self._ended.put(None)


class _File:
    """An open segment; closed when the last read that uses it is done."""

    __slots__ = ("fd",)

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class Reader:
    """Reads bytes by place; keeps some files open. Safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[int, _File] = OrderedDict()
        self._lock = Lock()

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """`length` octets at `offset`. Raises `SegmentDamaged` when they are not there."""
        try:
            file = self._file(segment)
        except FileNotFoundError:
            raise SegmentDamaged(f"segment {segment} is missing") from None
        try:
            data = os.pread(file.fd, length, offset)
            while len(data) < length:
                more = os.pread(file.fd, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise SegmentDamaged(f"segment {segment}, octet {offset}: {error.strerror}") from None
        if len(data) != length:
            raise SegmentDamaged(f"segment {segment} ends before octet {offset + length}")
        return data

    def read_many(
        self, segments: Sequence[int], begins: Sequence[int], ends: Sequence[int]
    ) -> list[bytes | memoryview]:
        """The octets of many places, those that lie beside one another with one read.

        Raises `SegmentDamaged` when those of one are not there.
        """
        found: list[bytes | memoryview] = []
        low, count = 0, len(segments)
        for at in range(1, count + 1):
            if (
                at < count
                and segments[at] == segments[low]
                and 0 <= begins[at] - ends[at - 1] <= _GAP
                and ends[at] - begins[low] <= _BLOCK
            ):
                continue
            begin, length = begins[low], ends[at - 1] - begins[low]
            data = memoryview(self.read(segments[low], begin, length)) if length else b""
            found += [data[b - begin : e - begin] for b, e in zip(begins[low:at], ends[low:at], strict=True)]
            low = at
        return found

    def verify(self, segment: int, offset: int, length: int, sha256: bytes) -> None:
        """Compare head and bytes with what the row says. Raises `SegmentDamaged`."""
        self.verify_head(segment, offset, length, sha256)
        digest = hashlib.sha256()
        for at in range(offset, offset + length, 1 << 20):
            digest.update(self.read(segment, at, min(1 << 20, offset + length - at)))
        if digest.digest() != sha256:
            raise SegmentDamaged(f"segment {segment}, octet {offset}: checksum differs")

    def verify_head(self, segment: int, offset: int, length: int, sha256: bytes) -> None:
        """The same without reading the bytes."""
        head = self.read(segment, offset - HEAD.size, HEAD.size) if offset >= HEAD.size else b""
        if head != HEAD.pack(MAGIC, length, sha256):
            raise SegmentDamaged(f"segment {segment}, octet {offset}: the record's head is not the row's")

    def _file(self, segment: int) -> _File:
        file = self._open.get(segment)
        if file is not None:
            return file
        with self._lock:
            file = self._open.get(segment)
            if file is None:
                file = self._open[segment] = _File(path_of(self._directory, segment))
                if len(self._open) > _OPEN_READERS:
                    self._open.popitem(last=False)
            return file

    def forget(self, segment: int) -> None:
        """The segment was removed: let go of its file."""
        with self._lock:
            self._open.pop(segment, None)

    def close(self) -> None:
        with self._lock:
            self._open.clear()


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
