"""The one thread that writes, in this process or in one of its own: group commit.

States of a piece of writing: waiting → planned, if it looks before it writes → bytes appended → its SQL run in a
SAVEPOINT, while another thread syncs the bytes → bytes synced → committed with its group → answered. A piece that
raises rolls back alone. An error that ends the whole transaction (SQLITE_FULL, an I/O error) acknowledges nobody; the
pieces are run again one by one. An error at COMMIT fails all of the group: whether it came to the disk is unknown then,
so the peer hears "later" and may send a second copy, never lose the only one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from errno import EDQUOT, EFBIG, ENOSPC
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.limits import LIMITS
from daemon.store.errors import StoreBroken, StoreBusy, StoreError, StoreFull
from daemon.store.segments import HEAD, Appender, Syncer
from daemon.store.spool import Body
from daemon.store.tx import Changes, Tx

if TYPE_CHECKING:
    from daemon.store.db import Store

_CHECKPOINT_EVERY = 20_000  # rows changed between two checkpoints in their own thread: 2,000 deliveries, two long COPYs
_LOG_STOP = 16384  # pages (64 MiB) at which the writer tries to begin the log anew, so that it cannot grow without end
_LOG_WAIT = 20  # milliseconds it waits for readers then; a long reader must not stop the mail
_PROBE = 1 << 20  # octets written to learn whether there is room
_TEMPORARY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CANTOPEN,  # no file descriptor left
    sqlite3.SQLITE_NOMEM,
)
_BROKEN = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY)


class Piece:
    """One piece of writing. `answer` is a future of a loop or of a thread; None ends the writer."""

    __slots__ = ("work", "args", "bodies", "into_reserve", "plan", "answer", "value", "error", "changes")

    def __init__(
        self,
        work: Callable[..., Any],
        args: tuple[Any, ...],
        bodies: Sequence[Body],
        answer: Any,
        into_reserve: bool = False,
        plan: Callable[..., tuple[Any, Sequence[Body]]] | None = None,
    ) -> None:
        self.work = work
        self.args = args
        self.bodies = bodies
        self.into_reserve = into_reserve
        self.plan = plan
        self.answer = answer
        self.value: Any = None
        self.error: BaseException | None = None
        self.changes: Changes | None = None

    @property
    def size(self) -> int:
        return sum(body.size for body in self.bodies)

    def hold(self) -> None:
        """Its bodies stay, whatever their owner does. Raises `ValueError` when one was closed."""
        held = 0
        try:
            for body in self.bodies:
                body.hold()
                held += 1
        except ValueError:
            for body in self.bodies[:held]:
                body.let_go()
            raise

    def let_go(self) -> None:
        for body in self.bodies:
            body.let_go()

    def planned(self, value: Any, bodies: Sequence[Body]) -> None:
        """What its work gets, and the bodies that it needs."""
        for body in bodies:
            body.hold()
        self.let_go()
        self.args, self.bodies = (value,), bodies

    def unplace(self) -> None:
        """Its bodies are in no segment."""
        for body in self.bodies:
            body.segment, body.counted = 0, False

    def fail(self, error: BaseException) -> None:
        self.value, self.changes, self.error = None, None, error


def nothing(tx: Tx) -> None:
    """A piece that only makes the writer look around."""


def says_full(error: BaseException) -> bool:
    """Whether there was no room. SQLite calls it an I/O error when it is the log's index that cannot grow."""
    if isinstance(error, OSError):
        return error.errno in (ENOSPC, EDQUOT, EFBIG)
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


def _is(error: BaseException, code: int) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == code


class Writer:
    """Started by the first `submit`. `answered` is called in this thread with each group that came to its end, `ending`
    before that, when only the disk is waited for."""

    def __init__(
        self,
        store: Store,
        pool: ThreadPoolExecutor,
        answered: Callable[[list[Piece], Changes], None],
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._pool = pool
        self._answered = answered
        self._ending = ending
        self._work: SimpleQueue[Piece] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._appender: Appender | None = None
        self._syncer = Syncer()  # of the bytes of the group under way
        self._wasted = 0  # octets appended there whose pieces failed, not yet counted in the segment's row
        self._others = -1  # data_version of our connection: grows when somebody else commits
        self._checkpointed = 0  # rows changed by then
        self._checkpointing = threading.Event()
        self._log_too_long = False

    def submit(self, piece: Piece) -> None:
        """Raises `StoreBusy` after `close`, `ValueError` for a body that was closed."""
        with self._lock:
            if self._closed:
                raise StoreBusy("the store is closing")
            piece.hold()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="store-writer", daemon=True)
                self._thread.start()
            self._work.put(piece)

    def close(self) -> None:
        """Finish what is waiting, and let go of the segment."""
        with self._lock:
            self._closed = True
        if self._thread is not None:
            self._work.put(Piece(nothing, (), (), None))
            self._thread.join()
            self._thread = None
        self._syncer.close()

    # -------------------------------------------------------------------------------------------------------- groups

    def _loop(self) -> None:
        ending = False
        while not ending:
            pieces = [self._work.get()]
            with contextlib.suppress(Empty):
                while len(pieces) < LIMITS.write_group:
                    pieces.append(self._work.get_nowait())
            ending = any(p.answer is None for p in pieces)
            pieces = [p for p in pieces if p.answer is not None]
            if pieces:
                self.take(pieces)
        self.finish()

    def finish(self) -> None:
        """Nothing more comes: let go of the segment. In the thread that takes."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("pragma wal_checkpoint(passive)")
        if self._appender is not None:
            self._appender.close()
            self._appender = None

    def take(self, pieces: list[Piece]) -> None:
        """One group, from its bytes to its answers. Each body is held, and is let go of here."""
        news = Changes()
        try:
            if self._db is None:
                self._db = self._store.connect(query_only=False)
                self._db.execute("pragma wal_autocheckpoint = 0")
                # with it SQLite asks the log for each page before its own cache: a COPY takes twice as long
                self._db.execute("pragma mmap_size = 0")
                self._db.execute(f"pragma journal_size_limit = {_LOG_STOP * 4096}")
            self._plan(self._db, pieces)
            self._group(self._db, pieces)
            version = self._db.execute("pragma data_version").fetchone()[0]
            news.everything = version != self._others
            self._others = version
        except Exception as error:  # the thread must live: who waits for it would wait for ever
            for piece in pieces:
                if piece.error is None and piece.changes is None:
                    piece.fail(self._as_ours(error))
        for piece in pieces:
            if piece.changes is not None:
                news.add(piece.changes)
            elif self._appender is not None:
                self._wasted += sum(HEAD.size + b.size for b in piece.bodies if b.segment == self._appender.segment)
            piece.let_go()
        self._answered(pieces, news)
        if self._db is not None:
            self._checkpoint_when_due(self._db)

    def _plan(self, db: sqlite3.Connection, pieces: list[Piece]) -> None:
        """What the pieces that plan are going to write, found over one view before anything of the group is written."""
        planning = [(piece, piece.plan) for piece in pieces if piece.plan is not None]
        if not planning:
            return
        now = self._store.clock()
        try:
            db.execute("begin")
            for piece, plan in planning:
                before = db.total_changes  # `query_only` would have all statements prepared anew
                try:
                    piece.planned(*plan(Tx(db, now), *piece.args))
                    if db.total_changes != before:
                        raise StoreError("a plan must not write")
                except BaseException as error:
                    piece.unplace()
                    piece.fail(self._failure(error))
        finally:
            if db.in_transaction:  # an error may have ended it
                db.execute("rollback")

    def _group(self, db: sqlite3.Connection, pieces: list[Piece]) -> None:
        """Append, run and commit `pieces`; each ends with `changes` and a value, or with an error."""
        now = self._store.clock()
        try:
            self._append(db, pieces)
            todo = [p for p in pieces if p.error is None]
            if not todo:
                return
            self._begin(db, todo)
            for piece in todo:
                self._run(db, piece, now)
                if not db.in_transaction:  # SQLite ended it under the savepoints: nobody may be acknowledged
                    self._one_by_one(db, todo)
                    return
            self._commit(db)
        except Exception as error:
            self._undo(db, pieces, error)
        finally:
            self._syncer.forget()  # whoever appends next must not meet a sync of before

    def _begin(self, db: sqlite3.Connection, pieces: list[Piece]) -> None:
        db.execute("begin immediate")
        if self._appender is not None and (self._wasted or any(p.bodies for p in pieces)):
            self._count(db, self._appender, sealed=False)

    def _commit(self, db: sqlite3.Connection) -> None:
        self._ending()
        self._syncer.wait()  # raises when a row would point to bytes that are not durable
        db.execute("commit")
        self._wasted = 0

    def _run(self, db: sqlite3.Connection, piece: Piece, now: int) -> None:
        tx = Tx(db, now)
        db.execute("savepoint piece")
        try:
            piece.value = piece.work(tx, *piece.args)
            piece.changes = tx.changes
            piece.error = None
        except BaseException as error:
            piece.fail(self._failure(error))
        if db.in_transaction:
            if piece.error is not None:
                db.execute("rollback to piece")
            db.execute("release piece")

    def _one_by_one(self, db: sqlite3.Connection, pieces: list[Piece]) -> None:
        """Each in a transaction of its own: what cannot be written fails alone."""
        for piece in pieces:
            try:
                self._begin(db, [piece])
                self._run(db, piece, self._store.clock())
                if db.in_transaction:
                    self._commit(db)
                elif piece.error is None:
                    piece.fail(StoreError("an error ended the transaction, and the work did not tell"))
            except Exception as error:
                self._undo(db, [piece], error)

    def _undo(self, db: sqlite3.Connection, pieces: list[Piece], error: Exception) -> None:
        """None of these is committed, whatever their own end was."""
        for piece in pieces:
            if piece.error is None:
                piece.fail(self._as_ours(error))
        if db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                db.execute("rollback")

    def _failure(self, error: BaseException) -> BaseException:
        """How a piece failed that raised this."""
        if isinstance(error, StopIteration):  # no future can carry it
            return RuntimeError(f"the work raised {error!r}")
        return self._as_ours(error) if isinstance(error, sqlite3.Error | MemoryError) else error

    def _as_ours(self, error: BaseException) -> BaseException:
        """A new exception for each piece: several tasks will raise it."""
        if says_full(error) or (_is(error, sqlite3.SQLITE_IOERR_WRITE) and self._without_room()):
            return StoreFull("the disk is full")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _TEMPORARY or isinstance(error, MemoryError):
            return StoreBusy(f"another process holds the database, or the machine is short of memory: {error}")
        if code in _BROKEN or isinstance(error, OSError):
            self._store.broken = True
            return StoreBroken(f"{self._store.data.database}: {error}")
        return error

    def _without_room(self) -> bool:
        """Whether a write that failed did so for a disk quota: SQLite knows ENOSPC, and calls EDQUOT an I/O error."""
        try:
            with tempfile.TemporaryFile(dir=self._store.data.spool) as file:
                file.write(bytes(_PROBE))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return says_full(error)
        return False

    # --------------------------------------------------------------------------------------------------------- bytes

    def _append(self, db: sqlite3.Connection, pieces: list[Piece]) -> None:
        """The bytes of all pieces into the segment, synced. Those that have no room, or fail, get their error."""
        waiting = [p for p in pieces if p.bodies and p.error is None]
        if not waiting:
            return
        for piece in waiting:
            piece.unplace()
        try:
            waiting = self._with_room(waiting)
            if not waiting:
                return
            appender = self._appender
            if appender is None or appender.size >= self._store.segment_size:
                appender = self._next_segment(db)
            try:
                appender.append([b for p in waiting for b in p.bodies], sync=False)
            except ValueError:  # one of the bodies is not what it says
                for piece in waiting:
                    try:
                        appender.append(piece.bodies, sync=False)
                    except ValueError as error:
                        piece.unplace()
                        piece.fail(error)
            self._syncer.begin(appender)
        except Exception as error:
            for piece in waiting:
                piece.unplace()
                piece.fail(self._as_ours(error))

    def _with_room(self, pieces: list[Piece]) -> list[Piece]:
        free = self._store.free()
        reserve = self._store.reserve
        fitting: list[Piece] = []
        for piece in pieces:
            if free - piece.size < (reserve // 4 if piece.into_reserve else reserve):
                piece.fail(StoreFull("the disk is below its reserve"))
            else:
                free -= piece.size
                fitting.append(piece)
        return fitting

    def _next_segment(self, db: sqlite3.Connection) -> Appender:
        """Seal the full one; go on with a segment that nobody holds, or a new one."""
        if self._appender is not None:
            self._count(db, self._appender, sealed=True)
            self._wasted = 0
            self._appender.close()
            self._appender = None
        directory = self._store.data.segments
        for segment, size in db.execute("select id, size from segment where sealed = 0 order by id").fetchall():
            try:
                appender = Appender(directory, segment, create=not size)
            except BlockingIOError:
                continue
            except FileNotFoundError:
                appender = None
            row = db.execute("select sealed, size from segment where id = ?", (segment,)).fetchone()
            if row is None or row[0]:  # sealed, or even gone, between our two looks
                if appender is not None:
                    if row is None and not appender.size:
                        os.unlink(appender.path)
                    appender.close()
                continue
            # shorter than rows say: bytes were lost, and new ones would stand where the rows of lost ones point
            if appender is not None and row[1] <= appender.size < self._store.segment_size:
                self._appender = appender
                self._wasted = appender.size - row[1]  # what a crash left
                return appender
            db.execute("update segment set sealed = 1 where id = ?", (segment,))
            if appender is not None:
                appender.close()
        while True:
            new = db.execute("insert into segment (size) values (0)").lastrowid or 0
            with contextlib.suppress(
                BlockingIOError
            ):  # another process found our row before we had its file: it is its
                self._appender = Appender(directory, new)
                return self._appender

    def _count(self, db: sqlite3.Connection, appender: Appender, *, sealed: bool) -> None:
        db.execute(
            "update segment set size = ?, dead = dead + ?, sealed = ? where id = ?",
            (appender.size, self._wasted, int(sealed), appender.segment),
        )

    # -------------------------------------------------------------------------------------------------- checkpoints

    def _checkpoint_when_due(self, db: sqlite3.Connection) -> None:
        if self._log_too_long:
            self._log_too_long = False
            with contextlib.suppress(sqlite3.Error):
                db.execute(f"pragma busy_timeout = {_LOG_WAIT}")
                db.execute("pragma wal_checkpoint(restart)")
            with contextlib.suppress(sqlite3.Error):
                db.execute(f"pragma busy_timeout = {LIMITS.busy}")
        elif db.total_changes - self._checkpointed >= _CHECKPOINT_EVERY and not self._checkpointing.is_set():
            self._checkpointed = db.total_changes
            self._checkpointing.set()
            self._pool.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        """In a thread of the pool, beside the writer."""
        try:
            connection = self._store.checkpointer()
            _, pages, _ = connection.execute("pragma wal_checkpoint(passive)").fetchone()
            self._log_too_long = pages > _LOG_STOP
        except sqlite3.Error:
            pass  # busy, or no room: it is tried again after as many rows more, and a broken disk shows at COMMIT
        finally:
            self._checkpointing.clear()
