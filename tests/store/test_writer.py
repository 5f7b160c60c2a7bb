"""Group commit: who is answered what, and when."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.store import blobs, writer
from daemon.store.db import Store, StoreBroken, StoreBusy, StoreError, StoreFull
from daemon.store.errors import Missing
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import (
    add_user,
    box_id,
    bytes_in,
    clean,
    deliver,
    held,
    message,
    note,
    noted,
    open_store,
    put,
    results,
    writing,
)


def fails(tx: Tx) -> None:
    note(tx, "half")
    raise Missing("no such thing")


async def test_one_bad_piece_rolls_back_alone(store: Store) -> None:
    with held(store):
        tasks = writing(store, lambda tx: note(tx, "a"), fails, lambda tx: note(tx, "b"))
        await asyncio.sleep(0)
    first, bad, last = await results(tasks)
    assert (first, last) == ("a", "b")
    assert isinstance(bad, Missing)
    assert noted(store) == ["a", "b"]


async def test_pieces_run_in_the_order_they_were_handed_in(store: Store) -> None:
    order: list[int] = []

    def piece(number: int) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            order.append(number)

        return work

    with held(store):
        tasks = writing(store, *(piece(n) for n in range(500)))
        await asyncio.sleep(0)
    await results(tasks)
    assert order == list(range(500))


async def test_a_plan_sees_what_was_written_before_and_nothing_of_its_own_group(store: Store) -> None:
    def plan(tx: Tx, key: str) -> tuple[str, list[Body]]:
        there: int = tx.value("select count(*) from setting")
        return f"{key} after {there}", []

    with held(store):
        tasks = [asyncio.ensure_future(store.plan_and_write(plan, note, key)) for key in ("a", "b")]
        tasks.insert(1, *writing(store, lambda tx: note(tx, "between")))
        await asyncio.sleep(0)
    await results(tasks)
    assert noted(store) == ["a after 0", "b after 0", "between"]


async def test_a_plan_that_fails_or_writes_is_undone_alone(store: Store) -> None:
    def bad(tx: Tx) -> tuple[str, list[Body]]:
        raise Missing("no such thing")

    def writes(tx: Tx) -> tuple[str, list[Body]]:
        return note(tx, "half"), []

    with held(store):
        asked = [store.plan_and_write(plan, note) for plan in (bad, writes, lambda tx: ("whole", []))]
        tasks = [asyncio.ensure_future(each) for each in asked]
        await asyncio.sleep(0)
    missing, wrote, value = await results(tasks)
    assert isinstance(missing, Missing) and value == "whole" and noted(store) == ["whole"]
    assert str(wrote) == "a plan must not write" and not store.broken


async def test_only_the_bodies_of_the_plan_are_written_and_all_are_let_go(store: Store) -> None:
    alice = store.write_now(add_user)
    came, made = Body.of(message("came")), Body.of(message("made"))

    def plan(tx: Tx, body: Body) -> tuple[Body, list[Body]]:
        return made, [made]

    await store.plan_and_write(plan, lambda tx, body: put(tx, body, alice), came, bodies=[came])
    assert bytes_in(store, box_id(store, alice)) == [message("made")]
    assert store.read_now(lambda tx: tx.value("select size - dead from segment")) > 0
    clean(store)
    for body in (came, made):
        body.close()
        with pytest.raises(ValueError, match="closed"):
            body.hold()


async def test_a_group_is_not_larger_than_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    take = writer.Writer.take
    monkeypatch.setattr(writer.Writer, "take", lambda self, pieces: (sizes.append(len(pieces)), take(self, pieces)))
    most = LIMITS.write_group
    with held(store):
        tasks = writing(store, *(lambda tx: None for _ in range(2 * most + 1)))
        await asyncio.sleep(0)
    assert await results(tasks) == [None] * (2 * most + 1)
    assert sizes == [1, most, most, 1]


async def test_nobody_is_answered_before_the_commit_of_his_group(store: Store) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        entered.set()
        assert go_on.wait(30)

    with held(store):
        quick, late = writing(store, lambda tx: note(tx, "a"), slow)
        await asyncio.sleep(0)
    assert await asyncio.to_thread(entered.wait, 30)
    assert not quick.done()
    assert noted(store) == []
    go_on.set()
    assert await quick == "a"
    assert noted(store) == ["a"]
    await late


def limit_pages(store: Store, more: int) -> None:
    """The database may grow by so many pages."""
    store.write_now(lambda tx: tx.one(f"pragma max_page_count = {tx.value('pragma page_count') + more}"))


def much(tx: Tx) -> None:
    for number in range(200):
        note(tx, f"much{number}", "x" * 4000)


async def test_a_full_database_under_savepoints_acknowledges_nobody_wrongly(store: Store) -> None:
    limit_pages(store, 20)
    with held(store):
        tasks = writing(
            store, lambda tx: note(tx, "a"), lambda tx: note(tx, "b", "x" * 4000), much, lambda tx: note(tx, "c")
        )
        await asyncio.sleep(0)
    first, second, full, last = await results(tasks)
    assert (first, second, last) == ("a", "b", "c")
    assert isinstance(full, StoreFull)
    assert noted(store) == ["a", "b", "c"]
    assert not store.broken


async def test_a_piece_that_hides_a_full_database_is_not_acknowledged(store: Store) -> None:
    limit_pages(store, 20)

    def hides(tx: Tx) -> str:
        try:
            much(tx)
        except sqlite3.OperationalError:
            pass
        return "done"

    with held(store):
        tasks = writing(store, lambda tx: note(tx, "a"), hides)
        await asyncio.sleep(0)
    first, hidden = await results(tasks)
    assert first == "a"
    assert isinstance(hidden, StoreError)
    assert noted(store) == ["a"]


async def test_an_error_at_commit_fails_the_whole_group(store: Store) -> None:
    def breaks_a_reference(tx: Tx) -> None:
        tx.one("pragma defer_foreign_keys = on")
        tx.run("insert into forward (account_id, address, created_at) values (77, 'a@b', 0)")

    with held(store):
        tasks = writing(store, lambda tx: note(tx, "a"), breaks_a_reference, fails)
        await asyncio.sleep(0)
    first, second, third = await results(tasks)
    assert isinstance(first, sqlite3.IntegrityError)
    assert isinstance(second, sqlite3.IntegrityError)
    assert isinstance(third, Missing)
    assert noted(store) == []
    assert await store.write(lambda tx: note(tx, "b")) == "b"


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), OSError(5, "his own"), ValueError("v")])
async def test_whatever_a_piece_raises_reaches_its_caller_and_no_other(store: Store, error: BaseException) -> None:
    def raises(tx: Tx) -> None:
        raise error

    with held(store):
        tasks = [asyncio.ensure_future(caught(store, raises)), *writing(store, lambda tx: note(tx, "a"))]
        await asyncio.sleep(0)
    bad, good = await results(tasks)
    assert good == "a"
    assert isinstance(bad, RuntimeError if isinstance(error, StopIteration) else type(error))
    assert not store.broken


async def caught(store: Store, work: Callable[[Tx], Any]) -> BaseException | None:
    try:
        await store.write(work)
    except BaseException as error:
        return error
    return None


async def test_a_cancelled_caller_undoes_nothing_and_may_close_his_body(store: Store) -> None:
    account = store.write_now(add_user)
    data = message("kept", 5000)

    async def cancelled() -> None:
        with Body.of(data) as body:
            await store.write(lambda tx: put(tx, body, account), bodies=[body])

    with held(store):
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        other = asyncio.create_task(asyncio.to_thread(deliver, store, account, message("other")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await other
    assert sorted(bytes_in(store, box_id(store, account))) == sorted([data, message("other")])
    clean(store)


async def test_a_cancelled_caller_may_close_a_spooled_body(store: Store) -> None:
    account = store.write_now(add_user)
    data = message("kept", 200_000)

    async def cancelled() -> None:
        with Body(store.data.spool, in_memory=1000) as body:
            body.write(data)
            await store.write(lambda tx: put(tx, body, account), bodies=[body])

    with held(store):
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    store.write_now(lambda tx: None)
    assert bytes_in(store, box_id(store, account)) == [data]
    gc.collect()  # an unclosed spool file would warn, and a warning is an error


async def test_a_closed_body_is_refused_at_once(store: Store) -> None:
    body, good = Body.of(b"x"), Body.of(b"y")
    body.close()
    with pytest.raises(ValueError, match="closed"):
        await store.write(lambda tx: None, bodies=[good, body])
    good.close()


async def test_a_body_that_is_not_as_long_as_it_says_fails_alone(store: Store) -> None:
    account = store.write_now(add_user)

    def piece(body: Body) -> asyncio.Task[Any]:
        return asyncio.ensure_future(store.write(lambda tx: put(tx, body, account), bodies=[body]))

    bodies = [Body.of(message(f"number {n}", size)) for n, size in enumerate((0, 100_000, 0, 100_000))]
    for liar in bodies[:2]:
        liar.size += 1
    with held(store):
        tasks = [piece(body) for body in bodies]
        await asyncio.sleep(0)
    found = await results(tasks)
    assert [type(f) for f in found[:2]] == [ValueError, ValueError]
    assert bytes_in(store, box_id(store, account)) == [message("number 2"), message("number 3", 100_000)]
    clean(store)


def test_below_the_reserve_new_mail_waits_and_everything_else_goes_on(store: Store) -> None:
    account = store.write_now(add_user)
    deliver(store, account, message("there"))
    store.reserve = store.free() * 2
    with pytest.raises(StoreFull, match="reserve"):
        deliver(store, account, message("new"))
    assert not store.has_room()
    assert store.write_now(note, "deleted") == "deleted"
    assert len(bytes_in(store, box_id(store, account))) == 1
    with Body.of(message("notice")) as body:
        store.write_now(lambda tx: put(tx, body, account), bodies=[body], into_reserve=True)
        store.reserve = store.free() * 8
        with pytest.raises(StoreFull):
            store.write_now(lambda tx: put(tx, body, account), bodies=[body], into_reserve=True)
    clean(store)


async def test_of_one_group_only_what_fits_is_taken(store: Store) -> None:
    account = store.write_now(add_user)
    bodies = [Body.of(message(f"number {n}", 100_000)) for n in range(3)]
    free = store.free()
    store.free = lambda: free  # type: ignore[method-assign]
    store.reserve = free - 250_000
    with held(store):
        tasks = [
            asyncio.ensure_future(store.write(lambda tx, b: put(tx, b, account), body, bodies=[body]))
            for body in bodies
        ]
        await asyncio.sleep(0)
    found = await results(tasks)
    assert [isinstance(f, StoreFull) for f in found] == [False, False, True]


def test_another_process_that_holds_the_database_means_busy_and_nothing_written(store: Store) -> None:
    store.write_now(lambda tx: tx.one("pragma busy_timeout = 50"))
    other = sqlite3.connect(store.data.database, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreBusy):
        store.write_now(note, "a")
    assert store.read_now(Tx.value, "select count(*) from setting") == 0
    other.execute("commit")
    other.close()
    assert store.write_now(note, "a") == "a"
    assert noted(store) == ["a"]
    assert not store.broken


def test_a_writer_waits_for_another_process_and_goes_on(store: Store) -> None:
    script = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('begin immediate')\n"
        "print('held', flush=True)\n"
        "sys.stdin.readline()\n"
        "db.execute('commit')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(store.data.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"held\n"
    thread = threading.Thread(target=store.write_now, args=(note, "a"))
    thread.start()
    child.stdin.write(b"\n")
    child.stdin.close()
    thread.join(30)
    assert child.wait() == 0
    child.stdout.close()
    assert noted(store) == ["a"]


async def test_a_database_that_cannot_be_opened_for_now_is_busy(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = store.connect

    def no_descriptor(*, query_only: bool) -> sqlite3.Connection:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(store, "connect", no_descriptor)
    with pytest.raises(StoreBusy):
        await store.write(note, "a")
    monkeypatch.setattr(store, "connect", opened)
    assert await store.write(note, "a") == "a"


async def test_a_log_that_cannot_grow_is_a_full_disk_and_no_damage(store: Store) -> None:
    def no_room(tx: Tx) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    with pytest.raises(StoreFull):
        await store.write(no_room)
    assert await store.write(note, "a") == "a"


async def test_damage_met_while_writing_ends_all_writing(store: Store) -> None:
    def damaged(tx: Tx) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(StoreBroken, match="malformed"):
        await store.write(damaged)
    assert store.broken
    with pytest.raises(StoreBroken, match="restarted"):
        await store.write(note, "a")


@pytest.mark.parametrize("errno,kind", [(122, StoreFull), (5, StoreBroken), (0, StoreBroken)])
async def test_a_write_that_fails_for_a_quota_is_a_full_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, errno: int, kind: type[Exception]
) -> None:
    def fails_to_write(tx: Tx) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    def probe(fd: int) -> None:
        if errno:
            raise OSError(errno, os.strerror(errno))

    await store.write(note, "first")
    monkeypatch.setattr("daemon.store.writer.os.fsync", probe)
    with pytest.raises(kind):
        await store.write(fails_to_write)
    assert store.broken is (kind is StoreBroken)


async def test_a_segment_that_cannot_be_written_fails_those_with_bytes_only(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(self: object, bodies: object, *, sync: bool = True) -> None:
        raise OSError(28, "No space left on device")

    account = store.write_now(add_user)
    deliver(store, account, message("first"))
    monkeypatch.setattr("daemon.store.segments.Appender.append", no_space)
    body = Body.of(message("second"))
    with held(store):
        tasks = [
            asyncio.ensure_future(store.write(lambda tx: put(tx, body, account), bodies=[body])),
            *writing(store, lambda tx: note(tx, "a")),
        ]
        await asyncio.sleep(0)
    full, good = await results(tasks)
    assert isinstance(full, StoreFull)
    assert good == "a"
    assert not store.broken
    monkeypatch.undo()
    with pytest.raises(StoreBroken):
        monkeypatch.setattr("os.fdatasync", fails_with_io_error)
        deliver(store, account, message("third"))
    assert store.broken
    clean(store)


async def test_bytes_that_cannot_be_synced_are_acknowledged_to_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync runs beside the SQL (since groups overlap the two): its failure must still stop the COMMIT."""

    def no_space(self: object) -> None:
        raise OSError(28, "No space left on device")

    account = store.write_now(add_user)
    deliver(store, account, message("first"))
    monkeypatch.setattr("daemon.store.segments.Appender.sync", no_space)
    with pytest.raises(StoreFull):
        deliver(store, account, message("second"))
    monkeypatch.undo()
    deliver(store, account, message("third"))
    assert store.read_now(Tx.value, "select count(*) from email") == 2
    clean(store)


def fails_with_io_error(fd: int) -> None:
    raise OSError(5, "Input/output error")


async def test_closing_finishes_what_waits_and_refuses_what_comes_later(data: DataDir) -> None:
    store = open_store(data)
    with held(store):
        tasks = writing(store, *[lambda tx, n=n: note(tx, f"{n:03d}") for n in range(450)])
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(store.close))
        await asyncio.sleep(0)
    found = await results(tasks)
    await closing
    assert found == [f"{n:03d}" for n in range(450)]
    with pytest.raises(StoreBusy, match="closing"):
        store.write_now(note, "late")
    again = open_store(data)
    assert len(noted(again)) == 450
    again.close()


async def test_bytes_that_did_not_come_to_the_disk_are_acknowledged_to_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the pieces of the group are run one by one."""
    account = store.write_now(add_user)
    deliver(store, account, message("first"))
    limit_pages(store, 20)
    bodies = [Body.of(message(str(number))) for number in range(3)]

    def no_space(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdatasync", no_space)
    with held(store):
        tasks = writing(store, much)
        tasks += [
            asyncio.ensure_future(store.write(lambda tx, b: put(tx, b, account), body, bodies=[body]))
            for body in bodies
        ]
        await asyncio.sleep(0)
    found = await results(tasks)
    assert [type(f) for f in found] == [StoreFull] * 4
    monkeypatch.undo()
    assert bytes_in(store, box_id(store, account)) == [message("first")]
    assert len(set(map(id, found))) == 4, "an exception that several tasks raise gathers their tracebacks"
    deliver(store, account, message("later"))
    clean(store)


# ---------------------------------------------------------------------------------------------------------- accounting


def test_octets_of_pieces_that_failed_are_counted_as_dead(store: Store) -> None:
    account = store.write_now(lambda tx: add_user(tx, quota=1000))
    with pytest.raises(Exception, match="full"):
        deliver(store, account, message("too much", 5000))
    deliver(store, account, message("fits"))
    size, dead = store.read_now(Tx.one, "select size, dead from segment") or (0, 0)
    assert dead == len(message("too much", 5000)) + 44
    assert size == dead + len(message("fits")) + 44


def test_equal_bytes_are_kept_once_and_the_second_copy_is_dead(store: Store) -> None:
    account = store.write_now(add_user)
    for _ in range(2):
        deliver(store, account, message("same"))

    def both(tx: Tx, body: Body) -> None:
        put(tx, body, account)
        put(tx, body, account, "Sent")
        assert blobs.place(tx, 1) is not None

    with Body.of(message("same")) as body:
        store.write_now(both, body, bodies=[body])
    assert store.read_now(Tx.all, "select id, refs from blob") == [(1, 4)]
    assert store.read_now(Tx.value, "select dead from segment") == 2 * (len(message("same")) + 44)
    clean(store)


def test_an_io_error_while_committing_ends_the_store_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A limit on file sizes makes the log's writes fail for good: SQLITE_IOERR under a real COMMIT."""
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from daemon.config import DataDir\n"
        "from daemon.store.errors import StoreBroken, StoreFull\n"
        "from tests.store.stage import add_user, deliver, message, open_store\n"
        "from tests.store.stage import note\n"
        "store = open_store(DataDir(Path(sys.argv[1])))\n"
        "account = store.write_now(add_user)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for number in range(1000):\n"
        "        store.write_now(note, f'{number:04d}', 'x' * 20000)\n"
        "        print(f'{number:04d}', flush=True)\n"
        "except StoreBroken:\n"
        "    assert store.broken\n"
        "    print('broken', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *acknowledged, last = done.stdout.split()
    assert last == "broken" and len(acknowledged) > 5
    store = open_store(DataDir(tmp_path / "data"))
    found = noted(store)
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1, (
        "the one of the failed commit may be there: its peer was told to try again"
    )
    clean(store)
    store.close()
