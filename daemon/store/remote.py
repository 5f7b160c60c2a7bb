"""The writer as a process of its own, seen from the server: works go there by name, answers come back on the loop.

The server's interpreter is then free for its peers while the writer's runs SQL. What a work may do is unchanged
(`store.write`), but it and its arguments travel as a pickle: a function at the top of a module, plain arguments, and
bodies that are also given as `bodies`.

Three sentences prevent bugs:

1. Pieces are taken in the order in which they were handed in. A frame is a group, and what is handed in while one is
   under way is the next: it goes while the disk makes that one durable, or else before its answers are told, so that
   the writer need not wait. To send each piece at once makes small groups and many commits, which costs more.
2. The two die together: the writer with the server (a signal of the system, else the end of the socket), and a server
   whose writer is gone is broken, for nobody can know what became of the last group.
3. Only the loop reads answers: who waits for one in the loop's own thread waits for ever.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import daemon
from daemon.limits import LIMITS
from daemon.store.errors import StoreBroken, StoreBusy
from daemon.store.letters import FILES, Broken, Frames, close_all, files_of, pack, portable
from daemon.store.tx import Changes
from daemon.store.writer import Piece

if TYPE_CHECKING:
    from daemon.store.db import Store

READY = "ready"
ENDING = "ending"  # the group that is under way: only the disk is waited for
_START = 60.0  # seconds until the process must be ready


class RemoteWriter:
    """Made by `hire`. `answered` is called on the loop with each group that came to its end."""

    def __init__(self, store: Store, answered: Callable[[list[Piece], Changes], None]) -> None:
        self._store = store
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()  # of `_waiting` and `_closed`
        self._waiting: list[Piece] = []
        self._closed = False
        self._sent: deque[list[Piece]] = deque()  # groups that the writer has not answered yet
        self._out: deque[tuple[memoryview, list[int]]] = deque()  # frames that the socket has not taken whole
        self._blocked = False  # the loop watches for room in the socket
        self._ready: asyncio.Future[None] = self._loop.create_future()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _start(store.data.path, theirs)
        self._sock = ours
        self._sock.setblocking(False)
        self._frames = Frames(ours)
        self._loop.add_reader(ours.fileno(), self._hear)

    @classmethod
    async def hire(cls, store: Store, answered: Callable[[list[Piece], Changes], None]) -> RemoteWriter:
        """Start the process and wait until it can write. Raises `StoreBroken`, `StoreBusy`, `OSError`."""
        writer = cls(store, answered)
        try:
            async with asyncio.timeout(_START):
                await writer._ready
        except BaseException as error:
            writer._process.kill()
            writer.close()
            if isinstance(error, TimeoutError):
                raise StoreBusy("the writer's process did not start in time") from None
            raise
        return writer

    def submit(self, piece: Piece) -> None:
        """From any thread. Raises `StoreBusy` after `close`, `ValueError` for a body that was closed."""
        with self._lock:
            if self._closed:
                raise StoreBusy("the store is closing")
            piece.hold()
            self._waiting.append(piece)
            first = len(self._waiting) == 1
        if first:  # what is handed in before the loop comes round goes together
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._send_waiting)
            else:
                self._loop.call_soon_threadsafe(self._send_waiting)

    def close(self) -> None:
        """Finish what is waiting. The loop may be over, and answers to its tasks are not told then."""
        with self._lock:
            self._closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
        if not self._store.broken:
            self._finish()
        self._frames.close()
        close_all(fd for _, files in self._out for fd in files)
        self._process.wait()

    def _finish(self) -> None:
        """Hand over what waits, then hear all answers; both at once, or each side would wait for the other."""
        self._send_waiting()
        alive = True
        while alive and not self._store.broken:
            if not (self._out or self._waiting):
                self._sock.shutdown(socket.SHUT_WR)
            readable, _, _ = select.select([self._sock], [self._sock] if self._out else [], [])
            if readable:
                alive = self._heard()
            self._push()

    # -- to the writer -------------------------------------------------------------------------------------------------

    def _send_waiting(self, *, next_too: bool = False) -> None:
        """All that waits, unless a group is under way: then it waits for company until that one comes to its end."""
        if self._sent and not next_too:
            return
        with self._lock:
            pieces, self._waiting = self._waiting, []
        some: list[Piece] = []
        files = 0
        for piece in pieces:
            needed = sum(map(files_of, piece.bodies))
            if some and (files + needed > FILES or len(some) == LIMITS.write_group):
                self._pack(some)
                some, files = [], 0
            some.append(piece)
            files += needed
        if some:
            self._pack(some)
        self._push()

    def _pack(self, pieces: list[Piece]) -> None:
        """A frame of these; who cannot be packed fails alone."""
        bodies = [body for piece in pieces for body in piece.bodies]
        asked = [(p.work, p.args, len(p.bodies), p.into_reserve, p.plan) for p in pieces]
        try:
            frame, files = pack((self._store.reserve, self._store.segment_size, asked), bodies)
        except Exception as error:
            if len(pieces) > 1:
                for piece in pieces:
                    self._pack([piece])
            else:
                pieces[0].fail(error)
                self._done(pieces, Changes())
            return
        self._sent.append(pieces)
        self._out.append((memoryview(frame), files))

    def _push(self) -> None:
        """Send what the socket takes; the rest when it has room."""
        try:
            while self._out:
                frame, files = self._out[0]
                sent = socket.send_fds(self._sock, [frame], files) if files else self._sock.send(frame)
                close_all(files)
                if sent < len(frame):
                    self._out[0] = (frame[sent:], [])
                else:
                    self._out.popleft()
        except BlockingIOError:
            self._await_room(True)
        except OSError:
            self._lost()
        else:
            self._await_room(False)

    def _await_room(self, waits: bool) -> None:
        if waits != self._blocked and not self._closed:
            self._blocked = waits
            if waits:
                self._loop.add_writer(self._sock.fileno(), self._push)
            else:
                self._loop.remove_writer(self._sock.fileno())

    # -- from the writer -----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if not self._heard():
            self._lost()

    def _heard(self) -> bool:
        """Whether the writer is still there."""
        try:
            alive = self._frames.hear()
            self._take_answers()
        except BlockingIOError:
            return True
        except (OSError, Broken):
            return False
        return alive

    def _take_answers(self) -> None:
        ending = False
        while (frame := self._frames.next()) is not None:
            said, _ = frame
            if said == READY:
                if not self._ready.done():
                    self._ready.set_result(None)
                continue
            if said == ENDING:
                ending = True
                continue
            ending = False
            answers, changes, broken = said
            self._store.broken = self._store.broken or broken
            pieces = self._sent.popleft()
            for piece, (value, error) in zip(pieces, answers, strict=True):
                piece.value, piece.error = value, error
            if self._waiting:
                self._send_waiting()
            self._done(pieces, changes)
        if ending and len(self._sent) == 1 and self._waiting:  # after all that was said: the writer may be gone by now
            self._send_waiting(next_too=True)

    def _done(self, pieces: list[Piece], changes: Changes) -> None:
        for piece in pieces:
            piece.let_go()
        if not self._loop.is_closed():
            self._answered(pieces, changes)

    def _lost(self) -> None:
        """The process is gone: nothing can be acknowledged any more, and the server ends."""
        self._store.broken = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
        with self._lock:
            lost, self._waiting = [*chain.from_iterable(self._sent), *self._waiting], []
        self._sent.clear()
        for piece in lost:
            piece.fail(StoreBroken("the writer's process ended; the server must be restarted"))
        self._done(lost, Changes())
        if not self._ready.done():
            self._ready.set_exception(StoreBroken("the writer's process did not start; its words are in the log"))


def _start(data: Path, sock: socket.socket) -> subprocess.Popen[bytes]:
    """The same program by the same interpreter, wherever the server was started from."""
    environ = {**os.environ, "PYTHONPATH": str(Path(daemon.__file__).parents[1])}
    environ.pop("NOTIFY_SOCKET", None)  # systemd hears of the server alone
    command = [
        sys.executable,
        "-P",
        "-m",
        "daemon.store.writer_process",
        str(sock.fileno()),
        str(os.getpid()),
        str(data),
    ]
    return subprocess.Popen(
        command, env=environ, pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def answer_of(piece: Piece) -> tuple[Any, BaseException | None]:
    """What the writer tells of a piece; of a fault of ours where it was, too, for a traceback does not travel."""
    error = piece.error
    if error is None:
        return piece.value, None
    error = portable(error)
    if not type(error).__module__.startswith("daemon."):
        error.add_note("".join(traceback.format_exception(piece.error)))
    return piece.value, error
