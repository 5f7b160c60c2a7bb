"""Bytes in files that only grow: torn tails, damage, locks, sealing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.segments import HEAD, MAGIC, Appender, Reader, SegmentDamaged, number_of, path_of
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import add_user, box_id, bytes_in, clean, deliver, message, open_store


def bodies(*data: bytes) -> list[Body]:
    return [Body.of(d) for d in data]


def test_what_was_appended_is_read_and_verified(tmp_path: Path) -> None:
    appender, reader = Appender(tmp_path, 7), Reader(tmp_path)
    sizes = (0, 1, 5000, 65536, 65537, 3_000_000)
    kept = bodies(*(os.urandom(size) for size in sizes))
    appender.append(kept[:3])
    appender.append(kept[3:])
    for body in kept:
        assert body.segment == 7
        assert reader.read(7, body.offset, body.size) == body.bytes()
        reader.verify(7, body.offset, body.size, body.sha256)
    assert appender.size == path_of(tmp_path, 7).stat().st_size == sum(sizes) + len(sizes) * HEAD.size
    appender.close()
    reader.close()


def test_a_record_is_magic_length_checksum_bytes(tmp_path: Path) -> None:
    appender = Appender(tmp_path, 1)
    (body,) = bodies(b"hello")
    appender.append([body])
    appender.close()
    assert path_of(tmp_path, 1).read_bytes() == HEAD.pack(MAGIC, 5, body.sha256) + b"hello"
    assert path_of(tmp_path, 1).name == "00000001.seg"
    assert path_of(tmp_path, 1).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("at", [0, 3, 4, 11, 12, 43, 44, 60, 143])
def test_one_damaged_octet_anywhere_is_found(tmp_path: Path, at: int) -> None:
    appender = Appender(tmp_path, 1)
    (body,) = bodies(b"x" * 100)
    appender.append([body])
    appender.close()
    data = bytearray(path_of(tmp_path, 1).read_bytes())
    data[at] ^= 1
    path_of(tmp_path, 1).write_bytes(data)
    reader = Reader(tmp_path)
    with pytest.raises(SegmentDamaged):
        reader.verify(1, body.offset, body.size, body.sha256)
    reader.close()


def test_a_short_or_missing_segment_is_damage(tmp_path: Path) -> None:
    appender = Appender(tmp_path, 1)
    first, second = bodies(b"x" * 100, b"y" * 100)
    appender.append([first, second])
    appender.close()
    os.truncate(path_of(tmp_path, 1), second.offset + 50)
    reader = Reader(tmp_path)
    reader.verify(1, first.offset, 100, first.sha256)
    with pytest.raises(SegmentDamaged, match="ends before"):
        reader.read(1, second.offset, 100)
    with pytest.raises(SegmentDamaged, match="missing"):
        reader.read(2, 44, 1)
    with pytest.raises(SegmentDamaged):
        reader.read(1, -5, 1)
    with pytest.raises(SegmentDamaged):
        reader.verify(1, 3, 1, b"")
    reader.close()


def test_neighbours_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = bodies(b"a" * 10, b"", b"c" * 2000, b"d" * 30, b"e" * 40)
    for segment, some in ((1, kept[:4]), (2, kept[4:])):
        appender = Appender(tmp_path, segment)
        appender.append(some)
        appender.close()
    reader = Reader(tmp_path)
    reads: list[int] = []
    read = reader.read
    monkeypatch.setattr(reader, "read", lambda *place: reads.append(place[0]) or read(*place))
    for order, runs in (((0, 1, 2, 3, 4), 2), ((0, 1, 3), 2), ((3, 2, 0), 3), ((2, 2), 2), ((1,), 0), ((), 0)):
        some = [kept[at] for at in order]
        places = [b.segment for b in some], [b.offset for b in some], [b.offset + b.size for b in some]
        reads.clear()
        assert [bytes(data) for data in reader.read_many(*places)] == [body.bytes() for body in some]
        assert len(reads) == runs
    monkeypatch.setattr("daemon.store.segments._BLOCK", 2100)
    places = [b.segment for b in kept], [b.offset for b in kept], [b.offset + b.size for b in kept]
    reads.clear()
    assert b"".join(reader.read_many(*places)) == b"".join(body.bytes() for body in kept) and len(reads) == 3
    os.truncate(path_of(tmp_path, 2), kept[4].offset + 39)
    with pytest.raises(SegmentDamaged):
        reader.read_many([1, 2], [kept[0].offset, kept[4].offset], [kept[0].offset + 10, kept[4].offset + 40])
    reader.close()


def test_bytes_go_behind_a_torn_tail(tmp_path: Path) -> None:
    first, second = bodies(b"x" * 100, b"y" * 100)
    appender = Appender(tmp_path, 1)
    appender.append([first])
    appender.close()
    with path_of(tmp_path, 1).open("ab") as file:
        file.write(HEAD.pack(MAGIC, 5000, bytes(32)) + b"half of it")
    appender = Appender(tmp_path, 1)
    appender.append([second])
    appender.close()
    reader = Reader(tmp_path)
    for body in (first, second):
        reader.verify(1, body.offset, 100, body.sha256)
    reader.close()


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = Appender(tmp_path, 1)
    first, second, large = bodies(b"x" * 100, b"y" * 100, b"z" * 100_000)
    appender.append([first])
    size = appender.size

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError):
        appender.append([second, large])
    monkeypatch.undo()
    assert appender.size == size == path_of(tmp_path, 1).stat().st_size
    appender.append([large, second])
    reader = Reader(tmp_path)
    for body in (first, second, large):
        reader.verify(1, body.offset, body.size, body.sha256)
    reader.close()
    appender.close()


def test_a_file_that_cannot_be_cut_back_keeps_its_dead_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = Appender(tmp_path, 1)
    first, second = bodies(b"x" * 100, b"y" * 100)

    def fails(*args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    monkeypatch.setattr(os, "ftruncate", fails)
    with pytest.raises(OSError):
        appender.append([first])
    monkeypatch.undo()
    assert appender.size == path_of(tmp_path, 1).stat().st_size > 0
    appender.append([second])
    reader = Reader(tmp_path)
    reader.verify(1, second.offset, 100, second.sha256)
    reader.close()
    appender.close()


def test_a_segment_has_one_writer(tmp_path: Path) -> None:
    appender = Appender(tmp_path, 1)
    with pytest.raises(BlockingIOError):
        Appender(tmp_path, 1)
    script = "import sys; from pathlib import Path; from daemon.store.segments import Appender\n"
    script += "try: Appender(Path(sys.argv[1]), 1)\nexcept BlockingIOError: sys.exit(9)"
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 9
    appender.close()
    Appender(tmp_path, 1).close()
    with pytest.raises(FileNotFoundError):
        Appender(tmp_path, 2, create=False)


def test_the_name_of_a_new_segment_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its maker was killed between making it and syncing the directory."""
    synced: list[Path] = []
    monkeypatch.setattr("daemon.store.segments.sync_directory", synced.append)
    path_of(tmp_path, 1).touch()
    appender = Appender(tmp_path, 1)
    appender.append(bodies(b"x"))
    appender.close()
    Appender(tmp_path, 1).close()
    assert synced == [tmp_path]


def test_many_segments_are_read_from_several_threads_with_few_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.segments._OPEN_READERS", 3)
    places = []
    for segment in range(1, 21):
        appender = Appender(tmp_path, segment)
        (body,) = bodies(f"segment {segment}".encode())
        appender.append([body])
        appender.close()
        places.append(body)
    reader = Reader(tmp_path)
    wrong: list[object] = []

    def read() -> None:
        for number in range(2000):
            body = places[number * 7 % 20]
            if reader.read(body.segment, body.offset, body.size) != body.bytes():
                wrong.append(body.segment)

    before = len(os.listdir("/proc/self/fd"))
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    reader.forget(1)
    reader.forget(99)
    reader.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    "name,number", [("00000001.seg", 1), ("123456789.seg", 123456789), ("x.seg", None), ("1.tmp", None), (".seg", None)]
)
def test_names_and_numbers(name: str, number: int | None) -> None:
    assert number_of(name) == number


# -------------------------------------------------------------------------------------------- the store's own segments


def segments(store: Store) -> list[tuple[int, ...]]:
    return store.read_now(Tx.all, "select id, sealed, size, dead from segment order by id")


def test_a_full_segment_is_sealed_and_never_changes_again(store: Store) -> None:
    store.segment_size = 10_000
    account = store.write_now(add_user)
    for number in range(10):
        deliver(store, account, message(str(number), 4000))
    rows = segments(store)
    assert [row[1] for row in rows] == [1] * (len(rows) - 1) + [0]
    assert len(rows) == 4
    for number, _, size, dead in rows:
        assert path_of(store.data.segments, number).stat().st_size == size
        assert dead == 0
    clean(store)


def test_a_restart_goes_on_in_the_open_segment_and_counts_its_torn_tail(data: DataDir) -> None:
    store = open_store(data)
    account = store.write_now(add_user)
    deliver(store, account, message("before"))
    store.close()
    with path_of(data.segments, 1).open("ab") as file:
        file.write(b"what a crash left")
    store = open_store(data)
    deliver(store, account, message("after"))
    assert len(segments(store)) == 1
    assert segments(store)[0][3] == len("what a crash left")
    assert bytes_in(store, box_id(store, account)) == [message("before"), message("after")]
    clean(store)
    store.close()


@pytest.mark.parametrize("lost", ["some", "all"])
def test_a_segment_that_lost_bytes_is_never_appended_to(data: DataDir, lost: str) -> None:
    """Else the row of a lost message would point into somebody else's."""
    store = open_store(data)
    account = store.write_now(add_user)
    deliver(store, account, message("lost", 5000))
    store.close()
    path = path_of(data.segments, 1)
    if lost == "some":
        os.truncate(path, 1000)
    else:
        path.unlink()
    store = open_store(data)
    deliver(store, account, message("new", 5000))
    assert [row[:2] for row in segments(store)] == [(1, 1), (2, 0)]
    assert {f.reason for f in check(store)} == {"segment-short", "bytes-damaged"}
    with pytest.raises(SegmentDamaged):
        bytes_in(store, box_id(store, account))
    store.close()


def test_two_processes_write_to_segments_of_their_own(store: Store) -> None:
    account = store.write_now(add_user)
    deliver(store, account, message("ours"))
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from daemon.config import DataDir\n"
        "from tests.store.stage import deliver, message, open_store\n"
        "store = open_store(DataDir(Path(sys.argv[1])))\n"
        "for number in range(30):\n"
        "    deliver(store, int(sys.argv[2]), message(f'{sys.argv[3]} {number}', 3000))\n"
        "store.close()\n"
    )
    command = [sys.executable, "-c", script, str(store.data.path), str(account)]
    children = [subprocess.Popen([*command, str(n)]) for n in range(2)]
    for number in range(30):
        deliver(store, account, message(f"ours {number}", 3000))
    assert [child.wait(60) for child in children] == [0, 0]
    assert 2 <= len(segments(store)) <= 3
    assert len(set(bytes_in(store, box_id(store, account)))) == 91
    clean(store)


def test_a_segment_sealed_between_two_looks_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process sealed it, or dropped it, after we read that it is open."""
    account = store.write_now(add_user)
    store.write_now(lambda tx: tx.many("insert into segment (id) values (?)", [(1,), (2,)]))

    class Meanwhile(Appender):
        def __init__(self, directory: Path, segment: int, *, create: bool = True) -> None:
            super().__init__(directory, segment, create=create)
            if segment < 3:
                other = open_store(store.data)
                sql = (
                    "update segment set sealed = 1 where id = ?" if segment == 1 else "delete from segment where id = ?"
                )
                other.write_now(lambda tx: tx.run(sql, segment))
                other.close()

    monkeypatch.setattr("daemon.store.writer.Appender", Meanwhile)
    deliver(store, account, message())
    assert [row[:2] for row in segments(store)] == [(1, 1), (3, 0)]
    assert not path_of(store.data.segments, 2).exists()
    clean(store)


def test_a_new_segment_that_another_process_took_first_is_left_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = store.write_now(add_user)
    others: list[Appender] = []

    class Late(Appender):
        def __init__(self, directory: Path, segment: int, *, create: bool = True) -> None:
            if segment < 3:
                others.append(Appender(directory, segment))
            super().__init__(directory, segment, create=create)

    monkeypatch.setattr("daemon.store.writer.Appender", Late)
    deliver(store, account, message())
    assert [row[0] for row in segments(store)] == [1, 2, 3]
    assert not store.broken
    for other in others:
        other.close()
    clean(store)


def test_an_open_segment_that_is_full_already_is_sealed(data: DataDir) -> None:
    store = open_store(data)
    account = store.write_now(add_user)
    deliver(store, account, message("one", 5000))
    store.close()
    store = open_store(data)
    store.segment_size = 1000
    deliver(store, account, message("two", 5000))
    assert [row[:2] for row in segments(store)] == [(1, 1), (2, 0)]
    clean(store)
    store.close()


def test_an_old_copy_of_the_database_beside_the_segments_is_a_restore(data: DataDir) -> None:
    store = open_store(data)
    store.segment_size = 10_000
    account = store.write_now(add_user)
    old = [message(f"old {n}", 3000) for n in range(5)]
    for some in old:
        deliver(store, account, some)
    store.close()
    copy = data.database.read_bytes()
    store = open_store(data)
    store.segment_size = 10_000
    for number in range(10):
        deliver(store, account, message(f"lost by the restore {number}", 3000))
    store.close()
    data.database.write_bytes(copy)
    store = open_store(data)
    store.segment_size = 10_000
    box = box_id(store, account)
    assert bytes_in(store, box) == old
    assert {f.reason for f in check(store)} == {"segment-unknown"}
    new = [message(f"new {n}", 3000) for n in range(10)]
    for some in new:
        deliver(store, account, some)
    assert bytes_in(store, box) == old + new
    assert [f for f in check(store) if f.level == "error"] == []
    store.close()


def test_uids_go_on_after_a_restart(data: DataDir) -> None:
    store = open_store(data)
    account = store.write_now(add_user)
    first = deliver(store, account, message("one"))
    store.close()
    store = open_store(data)
    second = deliver(store, account, message("two"))
    assert (second.uid, second.uidvalidity) == (first.uid + 1, first.uidvalidity)
    assert second.modseq > first.modseq
    store.close()
