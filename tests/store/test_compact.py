"""The janitor: what is forgotten, when the disk gets its room back, and that a kill at any point loses nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.store import bans, blobs, compact, events, messages
from daemon.store.check import check
from daemon.store.compact import Janitor, keep_house, wasteful
from daemon.store.db import Store
from daemon.store.segments import path_of
from daemon.store.tx import Tx
from tests.store.stage import Clock, add_user, box_id, bytes_in, clean, deliver, message, open_store

SIZE = 3000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(data: DataDir, clock: Clock) -> Iterator[Store]:
    store = open_store(data, clock)
    store.segment_size = 10_000
    yield store
    store.close()


def janitor(store: Store) -> Janitor:
    return Janitor(store, Config, asyncio.Event())


async def one_round(store: Store) -> None:
    house = janitor(store)
    for work in house.works:
        await work()


def fill(store: Store, count: int) -> tuple[int, list[bytes]]:
    """A mailbox with so many messages of one segment's quarter each."""
    account = store.write_now(add_user)
    data = [message(f"number {n}", SIZE) for n in range(count)]
    for some in data:
        deliver(store, account, some)
    return box_id(store, account), data


def segments(store: Store) -> list[int]:
    return [row[0] for row in store.read_now(Tx.all, "select id from segment order by id")]


def files(store: Store) -> list[str]:
    return sorted(os.listdir(store.data.segments))


def age_files(store: Store, seconds: float) -> None:
    for name in files(store):
        path = store.data.segments / name
        when = path.stat().st_mtime - seconds
        os.utime(path, (when, when))


async def test_bytes_go_only_after_their_graces(store: Store, clock: Clock) -> None:
    box, data = fill(store, 12)
    before = segments(store)
    store.write_now(messages.remove, box, [(1, 8)])
    clock.forward(LIMITS.blob_grace - 1)
    await one_round(store)
    assert store.read_now(Tx.value, "select count(*) from blob") == 12
    assert segments(store) == before
    clock.forward(2)
    await one_round(store)
    assert store.read_now(Tx.value, "select count(*) from blob") == 4
    assert len(segments(store)) < len(before)
    assert len(files(store)) >= len(before), "files stay for whoever has read a row"
    await one_round(store)
    assert len(files(store)) >= len(before)
    age_files(store, LIMITS.blob_grace + 1)
    await one_round(store)
    assert files(store) == [path_of(store.data.segments, n).name for n in segments(store)]
    assert bytes_in(store, box) == data[8:]
    clean(store)


async def test_bytes_that_come_again_within_the_grace_are_kept(store: Store, clock: Clock) -> None:
    box, data = fill(store, 4)
    store.write_now(messages.remove, box)
    deliver(store, 1, data[0])
    clock.forward(LIMITS.blob_grace + 1)
    await one_round(store)
    assert bytes_in(store, box) == data[:1]
    clean(store)


async def test_a_segment_that_is_mostly_alive_is_left_as_it_is(store: Store, clock: Clock) -> None:
    box, data = fill(store, 8)
    first = store.read_now(Tx.all, "select id, segment_id, offset from blob where segment_id = 1")
    assert len(first) == 4
    store.write_now(messages.remove, box, [(1, 2)])
    clock.forward(LIMITS.blob_grace + 1)
    await one_round(store)
    assert store.read_now(wasteful) == []
    assert store.read_now(Tx.all, "select id, segment_id, offset from blob where segment_id = 1") == first[2:]
    store.write_now(messages.remove, box, [(3, 3)])
    clock.forward(LIMITS.blob_grace + 1)
    await one_round(store)
    assert segments(store)[0] == 2
    assert bytes_in(store, box) == data[3:]
    clean(store)


async def test_the_open_segments_of_all_processes_are_left_alone(store: Store, clock: Clock, data: DataDir) -> None:
    other = open_store(data, clock)
    account = store.write_now(add_user)
    deliver(store, account, message("ours", SIZE))
    deliver(other, account, message("theirs", SIZE))
    box = box_id(store, account)
    store.write_now(messages.remove, box)
    clock.forward(LIMITS.blob_grace + 1)
    await one_round(store)
    age_files(store, LIMITS.blob_grace + 1)
    await one_round(store)
    assert segments(store) == [1, 2]
    assert len(files(store)) == 2
    deliver(store, account, message("ours again", SIZE))
    deliver(other, account, message("theirs again", SIZE))
    assert len(bytes_in(store, box)) == 2
    other.close()
    clean(store)


async def test_rewriting_needs_no_more_room_than_the_reserve_is_there_for(store: Store, clock: Clock) -> None:
    box, data = fill(store, 8)
    store.write_now(messages.remove, box, [(1, 3)])
    clock.forward(LIMITS.blob_grace + 1)
    store.reserve = store.free() * 2
    await one_round(store)
    assert 1 not in segments(store)
    assert bytes_in(store, box) == data[3:]
    clean(store)


async def test_damaged_bytes_are_left_where_they_are_and_told_once(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    box, data = fill(store, 8)
    store.write_now(messages.remove, box, [(2, 4)])
    segment, offset = store.read_now(Tx.one, "select segment_id, offset from blob where id = 1") or (0, 0)
    path = path_of(store.data.segments, segment)
    damaged = bytearray(path.read_bytes())
    damaged[offset + 10] ^= 1
    path.write_bytes(damaged)
    clock.forward(LIMITS.blob_grace + 1)
    house = janitor(store)
    for _ in range(3):
        for work in house.works:
            await work()
    assert segment in segments(store)
    assert [f.subject for f in check(store)] == ["blob 1"]
    assert sum("segment-damaged" in record.message for record in caplog.records) == 1
    assert bytes_in(store, box)[1:] == data[4:]


async def test_a_row_that_changed_meanwhile_is_not_moved_back(store: Store) -> None:
    box, data = fill(store, 5)
    found = compact.copies(store, store.read_now(compact.living, 1, 0, 1 << 20))
    bodies = [body for _, body in found]
    assert store.write_now(compact.move, found, bodies=bodies) == 4
    place = store.read_now(Tx.all, "select segment_id, offset from blob order by id")
    assert store.write_now(compact.move, found, bodies=bodies) == 0
    assert store.read_now(Tx.all, "select segment_id, offset from blob order by id") == place
    assert bytes_in(store, box) == data
    clean(store)


def test_steps_are_cut_by_octets(store: Store) -> None:
    fill(store, 5)
    first = store.read_now(compact.living, 1, 0, 1)
    assert [blob.id for blob in first] == [1]
    assert [blob.id for blob in store.read_now(compact.living, 1, 1, SIZE * 3 // 2)] == [2, 3]
    assert store.read_now(compact.living, 1, 4, 1 << 20) == []


def test_files_of_a_newer_database_are_never_removed(store: Store) -> None:
    """An old copy of the database beside newer segments: whoever notices can still go back."""
    fill(store, 1)
    strange = path_of(store.data.segments, 77)
    strange.write_bytes(b"mail of the future")
    age_files(store, LIMITS.blob_grace * 10)
    assert compact.remove_files(store) == []
    assert strange.exists()
    deliver(store, 1, message("next", SIZE * 4))
    deliver(store, 1, message("next but one", SIZE))
    assert segments(store)[-1] == 2
    clean_but = [f.reason for f in check(store)]
    assert clean_but == ["segment-unknown"]


def test_a_file_that_another_process_holds_is_not_removed(store: Store, data: DataDir) -> None:
    fill(store, 1)
    other = open_store(data)
    deliver(other, 1, message("theirs", SIZE))
    other.write_now(lambda tx: messages.remove(tx, 1))
    other.write_now(lambda tx: blobs.forget(tx, tx.now + 10**15, 100))
    other.write_now(lambda tx: tx.run("delete from segment where id = 2"))
    assert compact.remove_files(store, grace=-10) == []
    other.close()
    assert compact.remove_files(store, grace=-10) == [2]


async def test_events_refusals_bans_addresses_and_tombstones_are_trimmed(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Small:
        blob_grace, step, compact_step, house_round = 3600, 2, 1 << 20, 0
        refusals, tombstones, good_address = 3, 4, 1000
        upload_memory = 1000

    box, _ = fill(store, 10)

    def furnish(tx: Tx) -> None:
        for number in range(5):
            events.record(tx, f"t{number}", "accepted")
        tx.run("insert into good_address values (1, '192.0.2.1', ?)", tx.now)
        bans.add(tx, "192.0.2.1", "failures", tx.now + 1000)

    store.write_now(furnish)
    for uid in range(1, 9):
        store.write_now(messages.remove, box, [(uid, uid)])
    for number in range(6):
        clock.forward(3600)
        store.write_now(events.refuse, f"192.0.2.{number}", "banned", "", "", "421")
    monkeypatch.setattr(compact, "LIMITS", Small)
    monkeypatch.setattr(events, "LIMITS", Small)
    await one_round(store)
    assert store.read_now(Tx.value, "select count(*) from event") == 5
    for table, left in (("refusal", 3), ("tombstone", 4), ("good_address", 0), ("ban", 0)):
        assert store.read_now(Tx.value, f"select count(*) from {table}") == left, table  # noqa: S608
    clock.forward(31 * 86400)
    await one_round(store)
    assert store.read_now(Tx.value, "select count(*) from event") == 0
    clean(store)


async def test_the_house_is_kept_until_it_is_told_to_stop(store: Store, clock: Clock) -> None:
    box, _ = fill(store, 12)
    store.write_now(messages.remove, box)
    clock.forward(LIMITS.blob_grace + 1)
    stop = asyncio.Event()
    store.attach(asyncio.get_running_loop())
    task = asyncio.create_task(keep_house(store, Config, stop))
    async with asyncio.timeout(30):
        while store.peek(Tx.value, "select count(*) from segment") > 1:
            await asyncio.sleep(0.01)
        stop.set()
        await task
    clean(store)


async def test_a_fault_of_one_work_keeps_the_others_going(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    done: list[str] = []

    async def fails(self: Janitor) -> None:
        raise RuntimeError("a bug")

    async def full(self: Janitor) -> None:
        store.reserve = store.free() * 100
        deliver(store, store.write_now(add_user), message())

    async def last(self: Janitor) -> None:
        done.append("last")
        stop.set()

    monkeypatch.setattr(Janitor, "forget_blobs", fails)
    monkeypatch.setattr(Janitor, "rewrite_segments", full)
    monkeypatch.setattr(Janitor, "forget_addresses", last)
    await asyncio.wait_for(keep_house(store, Config, stop), 30)
    assert done == ["last"]
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "event=janitor work=fails" in text and "below its reserve" in text


async def test_nothing_is_kept_in_a_broken_store(store: Store) -> None:
    store.broken = True
    await asyncio.wait_for(keep_house(store, Config, asyncio.Event()), 30)
    store.broken = False


# --------------------------------------------------------------------------------------------------------- kill points

KILLED = """
import asyncio, os, shutil, signal, sys
from pathlib import Path
from daemon.config import DataDir
from daemon.store import blobs, compact
from daemon.store.segments import Appender
from tests.store.stage import open_store
from tests.store.test_compact import LATER, one_round

left = 0

def deadly(function):
    def wrapped(*args, **named):
        global left
        for moment in ("before", "after"):
            if moment == "after":
                answer = function(*args, **named)
            left -= 1
            if left == 0:
                print(function.__name__, moment, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        return answer
    wrapped.__name__ = function.__name__
    return wrapped

for place, name in ((blobs, "forget"), (compact, "wasteful"), (compact, "living"), (compact, "copies"),
                    (compact, "move"), (compact, "drop"), (compact.os, "utime"), (compact.os, "unlink"),
                    (Appender, "append"), (blobs, "dead")):
    setattr(place, name, deadly(getattr(place, name)))

def keep_house_until(path, point):
    global left
    store = open_store(DataDir(path), LATER)
    store.segment_size = 10_000
    left = point
    asyncio.run(one_round(store))
    compact.remove_files(store, grace=-10)
    print("done", flush=True)
    store.close()

model = Path(sys.argv[1])
status = 1
point = 0
while status:
    point += 1
    path = model.parent / str(point)
    shutil.copytree(model, path)
    child = os.fork()
    if not child:
        keep_house_until(path, point)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
"""


LATER = Clock(1_900_000_000_000)


def test_a_kill_at_any_point_loses_nothing_and_the_next_round_finishes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    model = DataDir(tmp_path_factory.mktemp("kill") / "model")
    store = open_store(model, Clock())
    store.segment_size = 10_000
    box, data = fill(store, 12)
    store.write_now(messages.remove, box, [(1, 3), (5, 7)])
    store.close()
    child = subprocess.run([sys.executable, "-c", KILLED, str(model.path)], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    died = child.stdout.splitlines()
    for point, how in enumerate(died, 1):
        store = open_store(DataDir(model.path.parent / str(point)), LATER)
        store.segment_size = 10_000
        assert [f for f in check(store) if f.level == "error"] == [], how
        assert bytes_in(store, box) == [data[3], *data[7:]], how
        asyncio.run(one_round(store))
        compact.remove_files(store, grace=-10)
        clean(store)
        assert bytes_in(store, box) == [data[3], *data[7:]], how
        assert 1 not in segments(store) and 2 not in segments(store), how
        assert files(store) == [path_of(store.data.segments, n).name for n in segments(store)]
        store.close()
    assert died[-1] == "done"
    assert {line.split()[0] for line in died[:-1]} == {
        "forget", "wasteful", "living", "copies", "move", "drop", "utime", "unlink", "append", "dead"
    }  # fmt: skip
