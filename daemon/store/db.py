"""The database of one process: reader connections, one writer, news of what was committed.

Writing is in `writer`, a thread of this process or, once the server has hired one, a process of its own (`remote`);
here is how domain code reaches it and what a process needs around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

from daemon.config import DataDir, hand_over
from daemon.limits import LIMITS
from daemon.store import migrate
from daemon.store.errors import StoreBroken as StoreBroken
from daemon.store.errors import StoreBusy as StoreBusy
from daemon.store.errors import StoreError as StoreError
from daemon.store.errors import StoreFull as StoreFull
from daemon.store.remote import RemoteWriter
from daemon.store.segments import Reader, sync_directory
from daemon.store.spool import Body
from daemon.store.tx import Changes, Tx
from daemon.store.writer import Piece, Writer, nothing, says_full

T = TypeVar("T")
P = TypeVar("P")
Ts = TypeVarTuple("Ts")
Listener = Callable[[Changes], None]

_READERS = 3


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store:
    """Open with `Store.open`; close with `close`. See the room's theory in `daemon/store/__init__.py`.

    `reserve` (octets of free disk that new mail leaves) and `segment_size` may be set at any time. `broken` is true
    after an I/O error or damage met while writing: every further write is refused, and the process should end.
    """

    def __init__(self, data: DataDir, *, clock: Callable[[], int] = now_ms) -> None:
        self.data = data
        self.clock = clock
        self.reserve = LIMITS.reserve
        self.segment_size = LIMITS.segment
        self.segments = Reader(data.segments)
        self.broken = False
        self._long = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_READERS, "store-reader")
        self._writer: Writer | RemoteWriter = Writer(self, self._pool, self._answer)
        self._patient: list[Piece] = []  # writes that wait for company, on the loop
        self._patience: asyncio.TimerHandle | None = None
        self._data_version = 0

    @classmethod
    def open(cls, data: DataDir, *, clock: Callable[[], int] = now_ms) -> Store:
        """Open the database, made or brought up to date when needed.

        Raises `StoreBroken` for a foreign, damaged, newer or unreadable one, `StoreBusy`, `StoreFull`, `OSError`.
        """
        data.make()
        store = cls(data, clock=clock)
        try:
            store._prepare()
        except migrate.SchemaError as error:
            raise StoreBroken(f"{data.database}: {error}") from None
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreBusy(f"{data.database}: another process holds the database") from None
            if says_full(error):
                raise StoreFull(f"{data.database}: the disk is full; make room") from None
            if isinstance(error, sqlite3.OperationalError):
                raise StoreBroken(f"{data.database}: {error}; check the file and its owner") from None
            raise StoreBroken(f"{data.database}: {error}; restore a backup") from None
        return store

    def _prepare(self) -> None:
        """Look before anything is changed: a file that is not ours stays as it is."""
        connection = sqlite3.connect(self.data.database, isolation_level=None)
        try:
            connection.execute(f"pragma busy_timeout = {LIMITS.busy}")
            if any(self.data.segments.iterdir()) and migrate.is_empty(connection):
                raise migrate.SchemaError(f"the database is empty, but {self.data.segments} is not; restore a backup")
            todo = migrate.pending(connection)
        finally:
            connection.close()
        if not todo:
            return
        connection = self.connect(query_only=False)
        try:
            migrate.apply(connection)
        finally:
            connection.close()
            self._connections.remove(connection)
        sync_directory(self.data.path)
        sync_directory(self.data.path.parent)

    # ------------------------------------------------------------------------------------------------------- reading

    async def read(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """Run `work` in a reader thread over one consistent view."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: self.read_now(work, *args))

    async def read_long(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """The same for what takes its thread for long: one at a time, so that the others stay free, and the loop has to
        share with one of them only."""
        async with self._long:
            return await self.read(work, *args)

    def read_now(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """The same, in the calling thread."""
        connection = self._reader()
        connection.execute("begin")
        try:
            return work(Tx(connection, self.clock()), *args)
        finally:
            if connection.in_transaction:
                connection.execute("rollback")

    async def aside(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `work` in a reader thread without a transaction: for what reads bytes, or reads in several steps."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, work, *args)

    async def aside_long(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """The same for what takes its thread for long (`read_long`)."""
        async with self._long:
            return await self.aside(work, *args)

    def peek(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """Run a short, indexed `work` in the calling thread, on the loop even; each statement its own view."""
        return work(Tx(self._reader(), self.clock()), *args)

    def bytes_of(self, blob: tuple[int, int, int]) -> bytes:
        """The bytes of a blob given as (segment, offset, length). Raises `SegmentDamaged`."""
        return self.segments.read(*blob)

    # ------------------------------------------------------------------------------------------------------- writing

    async def write(
        self,
        work: Callable[[Tx, *Ts], T],
        *args: *Ts,
        bodies: Sequence[Body] = (),
        into_reserve: bool = False,
        patience: float = 0,
    ) -> T:
        """Run `work` in the writer's next group; its value, after COMMIT and never before.

        In the server that is in another process: `work` is a function at the top of a module, and it, its arguments and
        its value can be pickled; a body among the arguments is also one of `bodies`.

        `into_reserve`: the bodies may go into the reserve of free disk (what frees more than it takes, what tells a
        sender of a loss). `patience`: seconds it may wait for others to share a commit with: whoever is in a hurry
        takes it along, and one sync does for both. Raises what `work` raised, `StoreFull`, `StoreBusy` or
        `StoreBroken`. Cancelling the caller does not undo it, and he may close his bodies then.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        piece = Piece(work, args, bodies, answer, into_reserve)
        if patience:
            self._patient.append(piece)
            if self._patience is None or self._patience.when() > loop.time() + patience:
                self._no_more_patience()
                self._patience = loop.call_later(patience, self._submit_patient)
        else:
            self._submit(piece)
            if self._patient:
                self._submit_patient()
        return await answer

    async def plan_and_write(
        self,
        plan: Callable[[Tx, *Ts], tuple[P, Sequence[Body]]],
        work: Callable[[Tx, P], T],
        *args: *Ts,
        bodies: Sequence[Body] = (),
    ) -> T:
        """The same in two steps, where the writer is: `plan` looks, before the group's bytes are written and its
        transaction begins; `work` gets what it found. `bodies` are those among `args`, and `plan` answers with those
        that are written, of which it may have made some. Raises what either of them raised."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(Piece(work, args, bodies, answer, plan=plan))
        if self._patient:
            self._submit_patient()
        return await answer

    def write_now(
        self, work: Callable[[Tx, *Ts], T], *args: *Ts, bodies: Sequence[Body] = (), into_reserve: bool = False
    ) -> T:
        """The same for a thread that may wait (the command line, tests)."""
        answer: Future[T] = Future()
        self._submit(Piece(work, args, bodies, answer, into_reserve))
        return answer.result()

    def _submit_patient(self) -> None:
        self._no_more_patience()
        pieces, self._patient = self._patient, []
        for piece in pieces:
            try:
                self._submit(piece)
            except (StoreError, ValueError) as error:
                piece.fail(error)
                _settle(piece)

    def _no_more_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def free(self) -> int:
        """Octets of disk we may use."""
        disk = os.statvfs(self.data.path)
        return disk.f_bavail * disk.f_frsize

    def has_room(self, size: int = 0) -> bool:
        """Whether new mail of `size` octets leaves the reserve untouched."""
        return self.free() - size >= self.reserve

    def _submit(self, piece: Piece) -> None:
        if self.broken:
            raise StoreBroken("the store met an I/O error; the server must be restarted")
        self._writer.submit(piece)

    # --------------------------------------------------------------------------------------------------------- news

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """News of commits is told on this loop; `check_others` adds those of other processes."""
        self._loop = loop

    async def hire(self) -> None:
        """From here on a process of its own writes for this loop (`remote`), and this one is free for its peers.

        Raises `StoreBroken`, `StoreBusy`, `OSError`. `write_now` must not be called in the loop's thread any more.
        """
        hired = await RemoteWriter.hire(self, self._settle_all)
        self._writer.close()
        self._writer = hired

    def listen(self, listener: Listener) -> Callable[[], None]:
        """`listener(changes)` after every commit that changed something, on the loop; call the answer to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def check_others(self) -> None:
        """Look whether another process committed; called on the loop, by the doorbell and now and then.

        A reader's data_version moves with our own commits too; only the writer's can tell them apart.
        """
        version: int = self._reader().execute("pragma data_version").fetchone()[0]
        if version != self._data_version and not self.broken:
            self._data_version = version
            with contextlib.suppress(StoreBusy):
                self._submit(Piece(nothing, (), (), Future()))

    def ring(self) -> None:
        """Tell a daemon on the same data directory that something was committed; never waits."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"!", str(self.data.doorbell))

    def close(self) -> None:
        """Finish what is waiting, then let go of everything."""
        self._submit_patient()
        self._writer.close()
        self._pool.shutdown()
        self.segments.close()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()

    def _answer(self, pieces: list[Piece], changes: Changes) -> None:
        """In the writer's thread: tell who waits, and the loop its news."""
        waiting: dict[asyncio.AbstractEventLoop, list[Piece]] = {}
        loop = self._loop
        if loop is None and any(p.error is None for p in pieces):
            self.ring()
        for piece in pieces:
            if isinstance(piece.answer, Future):
                _settle(piece)
            else:
                waiting.setdefault(piece.answer.get_loop(), []).append(piece)
        for their_loop, answered in waiting.items():
            news = changes if their_loop is loop else Changes()
            _call(their_loop, self._settle_all, answered, news)
        if changes and loop is not None and loop not in waiting:
            _call(loop, self._tell, changes)

    def _settle_all(self, pieces: list[Piece], changes: Changes) -> None:
        """On the loop: tell listeners first, so that who is answered already sees the news."""
        self._tell(changes)
        for piece in pieces:
            _settle(piece)

    def _tell(self, changes: Changes) -> None:
        if not changes:
            return
        for listener in tuple(self._listeners):
            try:
                listener(changes)
            except Exception as error:  # his fault must not keep the others from their news and answers
                context = {"message": f"a listener to commits failed: {listener!r}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    # ------------------------------------------------------------------------------------------------------ inwards

    def connect(self, *, query_only: bool) -> sqlite3.Connection:
        """A new connection, closed with the store. For the writer and for readers of this room."""
        connection = sqlite3.connect(
            self.data.database, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._connections.append(connection)
        os.chmod(self.data.database, 0o600)
        hand_over(self.data.database, self.data.path)
        connection.execute(f"pragma busy_timeout = {LIMITS.busy}")
        _use_log(connection)
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma temp_store = memory")
        connection.execute("pragma mmap_size = 268435456")
        connection.execute(f"pragma cache_size = {-4096 if query_only else -16384}")
        if query_only:
            connection.execute("pragma query_only = on")
        else:  # what is deleted is overwritten: keys and passwords above all. Not every build of SQLite does so unasked
            connection.execute("pragma secure_delete = on")
        return connection

    def checkpointer(self) -> sqlite3.Connection:
        """The connection that a pool's thread copies the log into the database with."""
        connection: sqlite3.Connection | None = getattr(self._local, "checkpointer", None)
        if connection is None:
            connection = self._local.checkpointer = self.connect(query_only=False)
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(query_only=True)
        return connection


def _use_log(connection: sqlite3.Connection) -> None:
    """WAL mode. The first switch fails at once when another process does it too, whatever the busy timeout."""
    end = time.monotonic() + LIMITS.busy / 1000
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _settle(piece: Piece) -> None:
    if piece.answer.done():
        return
    if piece.error is not None:
        piece.answer.set_exception(piece.error)
    else:
        piece.answer.set_result(piece.value)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop ended before the answer: the commit stands all the same
        loop.call_soon_threadsafe(function, *args)
