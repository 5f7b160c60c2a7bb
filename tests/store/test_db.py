"""Reading, and news of what was committed."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading

import pytest

from daemon.limits import LIMITS
from daemon.store import settings, writer
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.spool import Body
from daemon.store.tx import Changes, Tx
from tests.store.stage import (
    add_user,
    held,
    message,
    note,
    noted,
    put,
)


def fails(tx: Tx) -> None:
    note(tx, "half")
    raise Missing("no such thing")


# ------------------------------------------------------------------------------------------------------------ reading


def test_a_read_is_one_consistent_view(store: Store) -> None:
    def twice(tx: Tx) -> tuple[int, int]:
        before = tx.value("select count(*) from setting")
        store.write_now(note, "a")
        return before, tx.value("select count(*) from setting")

    assert store.read_now(twice) == (0, 0)
    assert store.peek(Tx.value, "select count(*) from setting") == 1


def test_readers_that_write_do_not_lock_each_other_out(store: Store) -> None:
    """traps D2: a view is never turned into a write, so two of them cannot wait for each other."""
    both = threading.Barrier(2, timeout=30)

    def read_then_write(tx: Tx, key: str) -> int:
        before: int = tx.value("select count(*) from setting")
        both.wait()
        store.write_now(note, key)
        return before

    threads = [threading.Thread(target=store.read_now, args=(read_then_write, key)) for key in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert noted(store) == ["a", "b"]


def test_readers_cannot_write(store: Store) -> None:
    for read in (store.read_now, store.peek):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            read(note, "a")  # type: ignore[operator]
    assert store.read_now(Tx.value, "select 1") == 1


async def test_reads_run_beside_the_loop(store: Store) -> None:
    here = threading.get_ident()
    assert await store.read(lambda tx: threading.get_ident()) != here
    assert await store.aside(threading.get_ident) != here


def test_a_long_reader_does_not_stop_the_writer_at_a_checkpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(writer, "_LOG_STOP", 1)
    store.write_now(note, "first")

    def write_much(tx: Tx) -> float:
        tx.value("select count(*) from setting")
        began = asyncio.new_event_loop()
        start = began.time()
        for number in range(50):
            store.write_now(note, str(number), "x" * 3000)
        seconds = began.time() - start
        began.close()
        return seconds

    assert store.read_now(write_much) < LIMITS.busy / 1000 / 2
    for number in range(50, 60):
        store.write_now(note, str(number))


# --------------------------------------------------------------------------------------------------------------- news


async def test_news_comes_after_the_commit_and_before_the_answer(store: Store) -> None:
    account = store.write_now(add_user)
    heard: list[Changes] = []
    seen: list[int] = []
    store.attach(asyncio.get_running_loop())

    def listener(changes: Changes) -> None:
        heard.append(changes)
        seen.append(store.peek(Tx.value, "select count(*) from email"))

    stop = store.listen(listener)
    with Body.of(message("one")) as body:
        placed = await store.write(lambda tx: put(tx, body, account), bodies=[body])
    assert seen == [1]
    assert heard[0].mailboxes == {placed.mailbox_id}
    stop()
    await store.write(settings.put, "hostname", "mx.example.org", "test")
    assert len(heard) == 1


async def test_a_piece_that_failed_has_no_news(store: Store) -> None:
    store.attach(asyncio.get_running_loop())
    await store.write(note, "first")
    heard: list[Changes] = []
    store.listen(heard.append)

    def fails_after_change(tx: Tx) -> None:
        tx.queue_touched()
        raise Missing("x")

    with pytest.raises(Missing):
        await store.write(fails_after_change)
    await store.write(lambda tx: tx.queue_touched())
    assert [c.queue for c in heard] == [True]


async def test_a_listener_that_fails_keeps_nobody_from_news_and_answers(store: Store) -> None:
    store.attach(asyncio.get_running_loop())
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(str(context["exception"])))
    heard: list[Changes] = []

    def broken(changes: Changes) -> None:
        raise RuntimeError("his fault")

    store.listen(broken)
    store.listen(heard.append)
    await store.write(lambda tx: tx.queue_touched())
    assert faults == ["his fault"]
    assert heard[0].queue


async def test_commits_of_others_are_noticed_and_our_own_are_not_mistaken_for_theirs(store: Store) -> None:
    store.attach(asyncio.get_running_loop())
    await store.write(note, "first")
    heard: asyncio.Queue[Changes] = asyncio.Queue()
    store.listen(heard.put_nowait)
    for number in range(3):
        await store.write(note, f"own{number}")
        store.check_others()
        await store.write(note, f"own again{number}")
    assert heard.empty()
    other = sqlite3.connect(store.data.database)
    other.execute("insert into setting values ('theirs', '')")
    other.commit()
    other.close()
    store.check_others()
    assert (await asyncio.wait_for(heard.get(), 30)).everything
    store.check_others()
    await store.write(note, "last")
    assert heard.empty()


def test_a_process_without_a_loop_rings_the_doorbell(store: Store) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(store.data.doorbell))
        bell.settimeout(30)
        store.write_now(note, "a")
        assert bell.recv(10) == b"!"
        with pytest.raises(Missing):
            store.write_now(fails)
        store.write_now(note, "b")
        assert bell.recv(10) == b"!"
        bell.setblocking(False)
        with pytest.raises(BlockingIOError):
            bell.recv(10)


def test_an_answer_whose_loop_has_ended_is_dropped(store: Store) -> None:
    async def begin() -> None:
        task = asyncio.ensure_future(store.write(note, "a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    with held(store):
        asyncio.run(begin())
    store.write_now(note, "b")
    assert noted(store) == ["a", "b"]
