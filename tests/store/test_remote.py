"""The writer as a process of its own: what is asked of it, what comes back, and that the two live and die together."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from daemon.config import DataDir
from daemon.flow.deliver import Stale
from daemon.limits import LIMITS
from daemon.serve.imap.answer import No
from daemon.store import letters, remote
from daemon.store.db import Store, StoreBroken, StoreBusy, StoreFull
from daemon.store.errors import Missing
from daemon.store.messages import Placed
from daemon.store.spool import Body
from daemon.store.tx import Changes, Tx
from daemon.store.writer import Piece
from tests.instruments.until import soon, until
from tests.store.stage import add_user, box_id, bytes_in, clean, message, note, noted, open_store, put


@pytest_asyncio.fixture
async def hired(data: DataDir) -> AsyncIterator[Store]:
    """A store for which a process of its own writes."""
    store = open_store(data)
    store.attach(asyncio.get_running_loop())
    await store.hire()
    yield store
    store.close()


def bodies_put(tx: Tx, account: int, bodies: list[Body]) -> list[Placed]:
    return [put(tx, body, account) for body in bodies]


def plan_put(tx: Tx, planned: tuple[int, list[Body]]) -> list[Placed]:
    return bodies_put(tx, *planned)


def planned_there(tx: Tx, account: int, body: Body) -> tuple[tuple[int, list[Body]], list[Body]]:
    """The body that came, and one that is made where the writer is."""
    both = [body, Body.of(b"made in %d" % os.getpid())]
    return (account, both), both


def nothing_of(tx: Tx, planned: object) -> None:
    raise AssertionError(f"there is no plan to carry out, but {planned!r} came")


def refused(tx: Tx) -> None:
    note(tx, "half")
    raise Missing("no such thing")


def refused_in_other_words(tx: Tx, which: str) -> None:
    raise {"no": No("it is not there", "TRYCREATE"), "stale": Stale("gone"), "odd": Odd(1, 2)}[which]


class Odd(Exception):
    """Cannot be made again from what it remembers."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def process_of(tx: Tx) -> int:
    return os.getpid()


def moment(tx: Tx) -> int:
    """When its group began; the next one begins later."""
    time.sleep(0.005)
    return tx.now


def held_up(tx: Tx, entered: Path, go_on: Path) -> int:
    entered.touch()
    until(go_on.exists, "leave to go on")
    return tx.now


def of_size(size: int, path: Path | None = None) -> Body:
    body = Body(path)
    body.write(message(f"m{size}", size))
    return body


async def test_another_process_writes(hired: Store) -> None:
    assert await hired.write(process_of) != os.getpid()
    assert await hired.write(note, "a", "b") == "a"
    assert noted(hired) == ["a"], "it is committed before it is answered"


async def test_writes_keep_their_order_and_bad_ones_roll_back_alone(hired: Store) -> None:
    tasks = [asyncio.create_task(hired.write(note, f"k{n:03d}")) for n in range(300)]
    tasks.insert(100, asyncio.create_task(hired.write(refused)))  # type: ignore[arg-type]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers.pop(100), Missing)
    assert answers == [f"k{n:03d}" for n in range(300)] == noted(hired)


async def test_what_comes_while_a_group_is_under_way_is_the_next(hired: Store, tmp_path: Path) -> None:
    entered, go_on = tmp_path / "entered", tmp_path / "go-on"
    first = asyncio.create_task(hired.write(held_up, entered, go_on))
    await soon(entered.exists, "the first group")
    later = []
    for _ in range(3):
        later.append(asyncio.create_task(hired.write(moment)))
        await asyncio.sleep(0.01)
    go_on.touch()
    moments = await asyncio.gather(first, *later)
    assert moments[0] < moments[1] == moments[2] == moments[3]


async def test_groups_that_travel_are_not_larger_than_their_limit(
    hired: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LIMITS", replace(LIMITS, write_group=2))
    moments = await asyncio.gather(*(hired.write(moment) for _ in range(5)))
    assert moments[0] == moments[1] < moments[2] == moments[3] < moments[4]


async def test_the_next_group_goes_over_while_the_disk_makes_the_last_one_durable(
    hired: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[str] = []
    heard, packed = letters.Frames.next, remote.RemoteWriter._pack

    def next_frame(frames: letters.Frames) -> object:
        frame = heard(frames)
        if frame is not None:
            story.append(frame[0] if frame[0] == remote.ENDING else "answers")
        return frame

    def pack(writer: remote.RemoteWriter, pieces: list[Piece]) -> None:
        story.append(f"{len(pieces)} sent")
        packed(writer, pieces)

    monkeypatch.setattr(letters, "_READ", 8)  # so that it hears of one thing after the other, however fast the disk is
    monkeypatch.setattr(letters.Frames, "next", next_frame)
    monkeypatch.setattr(remote.RemoteWriter, "_pack", pack)
    entered, go_on = tmp_path / "entered", tmp_path / "go-on"
    first = asyncio.create_task(hired.write(held_up, entered, go_on))
    await soon(entered.exists, "the first group")
    later = [asyncio.create_task(hired.write(moment)) for _ in range(2)]
    await asyncio.sleep(0)
    go_on.touch()
    await asyncio.gather(first, *later)
    assert story == ["1 sent", "ending", "2 sent", "answers", "ending", "answers"]


async def test_what_is_planned_is_planned_where_it_is_written(hired: Store) -> None:
    alice = await hired.write(add_user)
    with of_size(700) as body:
        made = await hired.plan_and_write(planned_there, plan_put, alice, body, bodies=[body])
        assert len(made) == 2
        there = bytes_in(hired, box_id(hired, alice))
        assert there[0] == body.bytes() and there[1] == b"made in %d" % await hired.write(process_of)
    with pytest.raises(Stale, match="gone"):
        await hired.plan_and_write(refused_in_other_words, nothing_of, "stale")
    clean(hired)


async def test_errors_arrive_as_what_they_are(hired: Store) -> None:
    with pytest.raises(No) as no:
        await hired.write(refused_in_other_words, "no")
    assert (no.value.text, no.value.code, no.value.status) == ("it is not there", "TRYCREATE", "NO")
    with pytest.raises(Stale, match="gone"):
        await hired.write(refused_in_other_words, "stale")
    with pytest.raises(RuntimeError, match="Odd: 1 and 2") as odd:
        await hired.write(refused_in_other_words, "odd")
    assert "in refused_in_other_words" in "".join(odd.value.__notes__), "where it was, for the log"


async def test_what_cannot_travel_fails_alone(hired: Store) -> None:
    good, bad = hired.write(note, "good"), hired.write(lambda tx: note(tx, "bad"))
    answers = await asyncio.gather(good, bad, return_exceptions=True)
    assert answers[0] == "good"
    assert isinstance(answers[1], Exception)
    assert noted(hired) == ["good"]


@pytest.mark.parametrize("size", [0, 1 << 16, (1 << 16) + 100, 3 << 20])
async def test_bodies_go_along_whatever_their_size(hired: Store, size: int) -> None:
    alice = await hired.write(add_user)
    with of_size(size, hired.data.spool) as body:
        await hired.write(bodies_put, alice, [body], bodies=[body])
        assert bytes_in(hired, box_id(hired, alice)) == [body.bytes()]
    clean(hired)


async def test_long_bodies_come_in_any_number(hired: Store) -> None:
    alice = await hired.write(add_user)
    bodies = [of_size(70_000 + n, hired.data.spool) for n in range(0, 3 * letters.FILES * 76, 76)]
    await asyncio.gather(*(hired.write(bodies_put, alice, [body], bodies=[body]) for body in bodies))
    assert sorted(bytes_in(hired, box_id(hired, alice))) == sorted(body.bytes() for body in bodies)
    for body in bodies:
        body.close()
    clean(hired)


async def test_a_body_may_be_closed_by_who_was_cancelled(hired: Store) -> None:
    alice = await hired.write(add_user)
    body = of_size(100_000)
    task = asyncio.create_task(hired.write(bodies_put, alice, [body], bodies=[body]))
    await asyncio.sleep(0)
    task.cancel()
    body.close()
    await hired.write(note, "after")
    assert len(bytes_in(hired, box_id(hired, alice))) == 1
    with pytest.raises(ValueError, match="closed"):
        await hired.write(bodies_put, alice, [body], bodies=[body])


async def test_listeners_hear_of_it_before_who_is_answered(hired: Store) -> None:
    heard: list[Changes] = []
    alice = await hired.write(add_user)
    stop = hired.listen(heard.append)
    with of_size(10) as body:
        await hired.write(bodies_put, alice, [body], bodies=[body])
    assert [changes.mailboxes for changes in heard] == [{box_id(hired, alice)}]
    stop()


async def test_the_reserve_counts_as_it_is_now(hired: Store) -> None:
    alice = await hired.write(add_user)
    hired.reserve = 1 << 60
    with of_size(10) as body:
        with pytest.raises(StoreFull):
            await hired.write(bodies_put, alice, [body], bodies=[body])
        hired.reserve = 0
        await hired.write(bodies_put, alice, [body], bodies=[body])
    assert len(bytes_in(hired, box_id(hired, alice))) == 1


async def test_a_thread_may_write_and_wait(hired: Store) -> None:
    assert await asyncio.to_thread(hired.write_now, note, "from a thread") == "from a thread"


async def test_more_than_a_socket_holds_is_taken_in_turn(hired: Store) -> None:
    alice = await hired.write(add_user)
    bodies = [of_size(50_000 + n * 76) for n in range(100)]
    await asyncio.gather(*(hired.write(bodies_put, alice, [body], bodies=[body]) for body in bodies))
    assert len(bytes_in(hired, box_id(hired, alice))) == 100


async def test_what_waits_is_written_before_the_end(data: DataDir) -> None:
    store = open_store(data)
    await store.hire()
    tasks = [asyncio.create_task(store.write(note, f"k{n:03d}", "x" * 20_000)) for n in range(100)]
    await asyncio.sleep(0)
    store.close()
    assert await asyncio.gather(*tasks) == noted(store)
    with pytest.raises(StoreBusy):
        await store.write(note, "late")


async def test_without_its_writer_the_store_is_broken(hired: Store) -> None:
    waiting = asyncio.create_task(hired.write(stops_itself))
    with pytest.raises(StoreBroken, match="restarted"):
        await waiting
    assert hired.broken
    with pytest.raises(StoreBroken):
        await hired.write(note, "late")
    assert noted(hired) == []


def stops_itself(tx: Tx) -> None:
    note(tx, "half")
    os.kill(os.getpid(), signal.SIGKILL)


async def test_damage_met_by_the_writer_breaks_the_store(hired: Store) -> None:
    with pytest.raises(StoreBroken):
        await hired.write(meets_damage)
    assert hired.broken


def meets_damage(tx: Tx) -> None:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error


async def test_a_writer_that_does_not_start_is_told(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(data)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StoreBroken, match="did not start"):
        await store.hire()
    store.close()


async def test_a_writer_that_hangs_at_its_start_is_not_waited_for(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\nexec sleep 600\n")
    idle.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(idle))
    monkeypatch.setattr(remote, "_START", 0.2)
    store = open_store(data)
    with pytest.raises(StoreBusy, match="in time"):
        await store.hire()
    store.close()


_SERVER = """
import asyncio, pathlib, sys
from daemon.config import DataDir
from daemon.store.db import Store
from tests.store.test_remote import process_of
async def main():
    store = Store.open(DataDir(pathlib.Path(sys.argv[1])))
    await store.hire()
    print(await store.write(process_of), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_the_writer_dies_with_its_server(data: DataDir) -> None:
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(data.path)], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        writer = int(server.stdout.readline())
        os.kill(writer, signal.SIGTERM)  # told to all of a service: it goes on until the server has gone
        os.kill(writer, signal.SIGINT)
        assert Path(f"/proc/{writer}").exists()
        server.kill()
    until(lambda: not running(writer), "the writer to die")


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
