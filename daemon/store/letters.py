"""How two processes of one server speak of writes: frames over a pair of sockets.

A frame is its length and a pickle. Pickles are safe here: both ends are one program, run by one user, over sockets that
nobody else can open. Functions go by name, bodies by their place in the frame; the octets of small bodies go along,
longer ones are handed over as open files, so that nobody copies them twice.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from daemon.store.spool import Body

_LENGTH = struct.Struct(">Q")
_READ = 1 << 17
_INLINE = 1 << 16  # octets of a body that go in the frame
FILES = 64  # open files that go with one frame (the system's limit is 253)

_bodies: Sequence[Body] = ()  # of the frame that is being read


class Broken(Exception):
    """The other end is gone, or what it says makes no sense."""


def pack(value: object, bodies: Sequence[Body] = ()) -> tuple[bytes, list[int]]:
    """A frame, and the files to send with it; close them afterwards. Raises what pickling raises, and `OSError`."""
    places = {id(body): place for place, body in enumerate(bodies)}
    files: list[int] = []
    buffer = io.BytesIO()
    buffer.seek(_LENGTH.size)
    try:
        pickle.dump([_hand(body, files) for body in bodies], buffer, pickle.HIGHEST_PROTOCOL)
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = {Body: lambda body: (_body, (places[id(body)],))}
        pickler.dump(value)
    except BaseException:
        close_all(files)
        raise
    size = buffer.tell() - _LENGTH.size
    buffer.seek(0)
    buffer.write(_LENGTH.pack(size))
    return buffer.getvalue(), files


def close_all(files: Iterable[int]) -> None:
    for fd in files:
        os.close(fd)


def files_of(body: Body) -> int:
    """How many open files it needs."""
    return int(body.size > _INLINE)


def _hand(body: Body, files: list[int]) -> tuple[int, bytes, bytes | None]:
    if not files_of(body):
        return body.size, body.digest, body.bytes()
    files.append(body.duplicate())
    return body.size, body.digest, None


def _body(place: int) -> Body:
    return _bodies[place]


class Frames:
    """Frames out of a socket's octets and the files that came with them."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._files: deque[int] = deque()

    def hear(self) -> bool:
        """Read once, as the socket blocks or not; False at the end. Raises `BlockingIOError`, `Broken`."""
        data, files, flags, _ = socket.recv_fds(self._sock, _READ, 253)
        self._files += files
        if flags & socket.MSG_CTRUNC:
            raise Broken("no descriptors left for the files of messages")
        self._buffer += data
        return bool(data)

    def next(self) -> Any:
        """The value of the next whole frame, and its bodies; None when there is none yet."""
        global _bodies
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            pickled = io.BytesIO(view[_LENGTH.size : end])
        del self._buffer[:end]
        bodies = [self._taken(*handed) for handed in pickle.load(pickled)]
        _bodies = bodies
        try:
            return pickle.load(pickled), bodies
        finally:
            _bodies = ()

    def _taken(self, size: int, digest: bytes, data: bytes | None) -> Body:
        return Body.handed(size, digest, self._files.popleft() if data is None else data)

    def close(self) -> None:
        close_all(self._files)
        self._files.clear()
        self._sock.close()


def portable(error: BaseException) -> BaseException:
    """The error itself if the other side can have it, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
