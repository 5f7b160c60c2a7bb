"""The database of one process: reader connections, one writer thread with group commit.

States of a piece of writing: waiting → bytes appended and synced → its SQL run in a SAVEPOINT → committed with its
group → answered. A piece that raises rolls back alone. An error that ends the whole transaction (SQLITE_FULL, an I/O
error) acknowledges nobody; the pieces are run again one by one. An error at COMMIT fails all of the group.
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
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.store import migrate
from daemon.store.segments import Appender, Reader
from daemon.store.spool import Body
from daemon.store.tx import Changes, Tx

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Listener = Callable[[Changes], None]

_READERS = 3
_CHECKPOINT_EVERY = 1000  # pieces between two checkpoints in their own thread
_LOG_STOP = 16384  # pages (64 MiB) at which the writer waits for one, so that the log cannot grow without end


class StoreError(Exception):
    """The store cannot do it."""


class StoreFull(StoreError):
    """No room: 452 4.3.1. Nothing was written."""


class StoreBusy(StoreError):
    """Another process holds the database, or the writer is shutting down: 451. Nothing was written."""


class StoreBroken(StoreError):
    """The database is damaged, foreign or unreadable. The message is one sentence for the administrator."""


class _Piece:
    __slots__ = ("work", "args", "bodies", "answer", "value", "error", "changes")

    def __init__(self, work: Callable[..., Any], args: tuple[Any, ...], bodies: Sequence[Body], answer: Any) -> None:
        self.work = work
        self.args = args
        self.bodies = bodies
        self.answer = answer  # a future of the loop or of a thread; None ends the writer
        self.value: Any = None
        self.error: BaseException | None = None
        self.changes: Changes | None = None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store:
    """Open with `Store.open`; close with `close`. See the room's theory in `daemon/store/__init__.py`."""

    def __init__(self, data: DataDir, *, clock: Callable[[], int] = now_ms) -> None:
        self.data = data
        self.clock = clock
        self.reserve = LIMITS.reserve
        self.segment_size = LIMITS.segment
        self.segments = Reader(data.segments)
        self.broken = False
        self._listeners: list[Listener] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._appender: Appender | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_READERS, "store-reader")
        self._work: SimpleQueue[_Piece] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._checkpointing = threading.Event()
        self._log_too_long = False
        self._pieces_since = 0
        self._start_lock = threading.Lock()

    @classmethod
    def open(cls, data: DataDir, *, clock: Callable[[], int] = now_ms) -> Store:
        """Open the database, made or brought up to date when needed.

        Raises `StoreBroken` for a foreign, damaged, newer or unreadable one.
        """
        data.make()
        store = cls(data, clock=clock)
        try:
            connection = store._connect(query_only=False)
            try:
                migrate.apply(connection)
            finally:
                connection.close()
                store._connections.remove(connection)
        except migrate.SchemaError as error:
            raise StoreBroken(f"{data.database}: {error}") from None
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreBusy(f"{data.database}: another process holds the database") from None
            raise StoreBroken(f"{data.database}: {error}; check the file and its owner") from None
        except sqlite3.DatabaseError as error:
            raise StoreBroken(f"{data.database}: {error}; restore a backup") from None
        return store

    # ------------------------------------------------------------------------------------------------------- reading

    async def read(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """Run `work` in a reader thread over one consistent view."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: self.read_now(work, *args))

    def read_now(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """The same, in the calling thread."""
        connection = self._reader()
        connection.execute("begin")
        try:
            return work(Tx(connection, self.clock()), *args)
        finally:
            connection.execute("commit")

    async def aside(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `work` in a reader thread without a transaction: for what reads bytes, or reads in several steps."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, work, *args)

    def peek(self, work: Callable[[Tx, *Ts], T], *args: *Ts) -> T:
        """Run a short, indexed `work` in the calling thread, on the loop even; each statement its own view."""
        return work(Tx(self._reader(), self.clock()), *args)

    def bytes_of(self, blob: tuple[int, int, int]) -> bytes:
        """The bytes of a blob given as (segment, offset, length). Raises `SegmentDamaged`."""
        return self.segments.read(*blob)

    # ------------------------------------------------------------------------------------------------------- writing

    async def write(self, work: Callable[[Tx, *Ts], T], *args: *Ts, bodies: Sequence[Body] = ()) -> T:
        """Run `work` in the writer's next group; its value, after COMMIT and never before.

        Raises what `work` raised, `StoreFull`, `StoreBusy` or `StoreBroken`. Cancelling the caller does not undo it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._submit(_Piece(work, args, bodies, answer))
        return await answer

    def write_now(self, work: Callable[[Tx, *Ts], T], *args: *Ts, bodies: Sequence[Body] = ()) -> T:
        """The same for a thread that may wait (the command line, tests)."""
        answer: Future[T] = Future()
        self._submit(_Piece(work, args, bodies, answer))
        return answer.result()

    def has_room(self, size: int = 0) -> bool:
        """Whether new mail of `size` octets leaves the reserve untouched."""
        disk = os.statvfs(self.data.path)
        return disk.f_bavail * disk.f_frsize - size >= self.reserve

    # --------------------------------------------------------------------------------------------------------- news

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """News of commits is told on this loop, and other processes' commits are listened for (the doorbell)."""
        self._loop = loop

    def listen(self, listener: Listener) -> Callable[[], None]:
        """`listener(changes)` after every commit that changed something, on the loop; call the answer to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def check_others(self) -> None:
        """Have the writer look whether another process committed; by the doorbell, and now and then."""
        with contextlib.suppress(StoreBroken):
            self._submit(_Piece(_nothing, (), (), Future()))

    def ring(self) -> None:
        """Tell a daemon on the same data directory that something was committed; never waits."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"!", str(self.data.doorbell))

    def close(self) -> None:
        """Finish what is waiting, then let go of everything."""
        if self._thread is not None:
            self._work.put(_Piece(_nothing, (), (), None))
            self._thread.join()
            self._thread = None
        self._pool.shutdown()
        if self._appender is not None:
            self._appender.close()
            self._appender = None
        self.segments.close()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()

    # ------------------------------------------------------------------------------------------------------ inwards

    def _connect(self, *, query_only: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.data.database, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._connections.append(connection)
        os.chmod(self.data.database, 0o600)
        connection.execute(f"pragma busy_timeout = {LIMITS.busy}")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma temp_store = memory")
        connection.execute("pragma mmap_size = 268435456")
        connection.execute(f"pragma cache_size = {-4096 if query_only else -16384}")
        if query_only:
            connection.execute("pragma query_only = on")
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(query_only=True)
        return connection

    def _submit(self, piece: _Piece) -> None:
        if self.broken:
            raise StoreBroken("the store met an I/O error; the server must be restarted")
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
                    self._thread.start()
        self._work.put(piece)

    def _write_loop(self) -> None:
        connection = self._connect(query_only=False)
        connection.execute("pragma wal_autocheckpoint = 0")
        others = connection.execute("pragma data_version").fetchone()[0]
        ending = False
        while not ending:
            pieces = [self._work.get()]
            with contextlib.suppress(Empty):
                while len(pieces) < LIMITS.write_group:
                    pieces.append(self._work.get_nowait())
            ending = any(p.answer is None for p in pieces)
            version = connection.execute("pragma data_version").fetchone()[0]  # changes with others' commits, not ours
            if version != others:
                others = version
                if self._loop is not None:
                    _call(self._loop, self._tell, Changes(everything=True))
            pieces = [p for p in pieces if p.work is not _nothing]
            if pieces:
                self._group(connection, pieces)
                self._answer(pieces)
                self._checkpoint_when_due(connection, len(pieces))
        with contextlib.suppress(sqlite3.Error):
            connection.execute("pragma wal_checkpoint(passive)")

    def _group(self, connection: sqlite3.Connection, pieces: list[_Piece]) -> None:
        """Append, run and commit `pieces`; each ends with a value or an error."""
        now = self.clock()
        try:
            self._append(connection, pieces)
            todo = [p for p in pieces if p.error is None]
            if not todo:
                return
            connection.execute("begin immediate")
            if self._appender is not None and any(p.bodies for p in todo):
                place = (self._appender.size, self._appender.segment)
                connection.execute("update segment set size = ? where id = ?", place)
            for piece in todo:
                self._run(connection, piece, now)
                if not connection.in_transaction:  # SQLite ended it under the savepoints: nobody may be acknowledged
                    self._one_by_one(connection, todo, piece)
                    return
            connection.execute("commit")
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("rollback")
            failure = self._as_ours(error)
            for piece in pieces:
                piece.error = piece.error or failure

    def _append(self, connection: sqlite3.Connection, pieces: list[_Piece]) -> None:
        with_bodies = [p for p in pieces if p.bodies]
        if not with_bodies:
            return
        size = sum(b.size for p in with_bodies for b in p.bodies)
        if not self.has_room(size):
            for piece in with_bodies:
                if not self.has_room(sum(b.size for b in piece.bodies)):
                    piece.error = StoreFull("the disk is below its reserve")
            with_bodies = [p for p in with_bodies if p.error is None]
            if not with_bodies:
                return
        appender = self._appender
        if appender is None or appender.size >= self.segment_size:
            appender = self._next_segment(connection)
        try:
            appender.append([b for p in with_bodies for b in p.bodies])
        except OSError as error:
            failure = self._as_ours(error)
            for piece in with_bodies:
                piece.error = failure
            return

    def _next_segment(self, connection: sqlite3.Connection) -> Appender:
        """Seal the full one; go on with a segment that nobody holds, or a new one."""
        if self._appender is not None:
            connection.execute(
                "update segment set sealed = 1, size = ? where id = ?", (self._appender.size, self._appender.segment)
            )
            self._appender.close()
            self._appender = None
        rows = connection.execute("select id from segment where sealed = 0 order by id").fetchall()
        for (segment,) in rows:
            try:
                appender = Appender(self.data.segments, segment)
            except BlockingIOError:
                continue
            if appender.size < self.segment_size:
                self._appender = appender
                return appender
            appender.close()
            connection.execute("update segment set sealed = 1 where id = ?", (segment,))
        new = connection.execute("insert into segment (size) values (0)").lastrowid or 0
        self._appender = Appender(self.data.segments, new)
        return self._appender

    def _run(self, connection: sqlite3.Connection, piece: _Piece, now: int) -> None:
        tx = Tx(connection, now)
        connection.execute("savepoint piece")
        try:
            piece.value = piece.work(tx, *piece.args)
            piece.changes = tx.changes
        except Exception as error:
            piece.error = self._as_ours(error) if isinstance(error, (sqlite3.Error, OSError)) else error
            if connection.in_transaction:
                connection.execute("rollback to piece")
        if connection.in_transaction:
            connection.execute("release piece")

    def _one_by_one(self, connection: sqlite3.Connection, pieces: list[_Piece], culprit: _Piece) -> None:
        for piece in pieces:
            piece.value, piece.changes = None, None
            if piece is culprit:
                continue  # it keeps the error that ended the transaction
            piece.error = None
            try:
                connection.execute("begin immediate")
                self._run(connection, piece, self.clock())
                if connection.in_transaction:
                    connection.execute("commit")
            except sqlite3.Error as error:
                piece.error = piece.error or self._as_ours(error)
                if connection.in_transaction:
                    connection.execute("rollback")

    def _as_ours(self, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in (28, 122):  # ENOSPC, EDQUOT
            return StoreFull("the disk is full")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusy("another process holds the database")
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, OSError):
            self.broken = True
            return StoreBroken(f"{self.data.database}: {error}")
        return error

    def _answer(self, pieces: list[_Piece]) -> None:
        changes = Changes()
        waiting: dict[asyncio.AbstractEventLoop, list[_Piece]] = {}
        for piece in pieces:
            if piece.error is None and piece.changes:
                changes.add(piece.changes)
            if isinstance(piece.answer, Future):
                _settle(piece)
            else:
                waiting.setdefault(piece.answer.get_loop(), []).append(piece)
        loop = self._loop
        for their_loop, answered in waiting.items():
            news = changes if their_loop is loop else Changes()
            _call(their_loop, self._settle_all, answered, news)
        if changes and loop is not None and loop not in waiting:
            _call(loop, self._tell, changes)
        if loop is None and any(p.error is None for p in pieces):
            self.ring()

    def _settle_all(self, pieces: list[_Piece], changes: Changes) -> None:
        """On the loop: tell listeners first, so that who is answered already sees the news."""
        self._tell(changes)
        for piece in pieces:
            _settle(piece)

    def _tell(self, changes: Changes) -> None:
        if changes:
            for listener in tuple(self._listeners):
                listener(changes)

    # -------------------------------------------------------------------------------------------------- checkpoints

    def _checkpoint_when_due(self, connection: sqlite3.Connection, pieces: int) -> None:
        self._pieces_since += pieces
        if self._log_too_long:
            self._log_too_long = False
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("pragma wal_checkpoint(truncate)")
        elif self._pieces_since >= _CHECKPOINT_EVERY and not self._checkpointing.is_set():
            self._pieces_since = 0
            self._checkpointing.set()
            self._pool.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            connection = getattr(self._local, "checkpointer", None)
            if connection is None:
                connection = self._local.checkpointer = self._connect(query_only=False)
            _, pages, _ = connection.execute("pragma wal_checkpoint(passive)").fetchone()
            self._log_too_long = pages > _LOG_STOP
        except sqlite3.OperationalError:
            pass  # busy: it is tried again after as many pieces more
        finally:
            self._checkpointing.clear()


def _nothing(tx: Tx) -> None:
    return None


def _settle(piece: _Piece) -> None:
    if piece.answer.cancelled() or piece.answer.done():
        return
    if piece.error is not None:
        piece.answer.set_exception(piece.error)
    else:
        piece.answer.set_result(piece.value)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop ended before the answer: the commit stands all the same
        loop.call_soon_threadsafe(function, *args)
