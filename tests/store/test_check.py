"""The checker finds every way in which the store could be wrong, and nothing when it is right."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator

import pytest

from daemon.config import DataDir
from daemon.store import blobs, compact, mailboxes, messages, queue, tls_memory
from daemon.store.check import Finding, check
from daemon.store.db import Store
from daemon.store.queue import NewMessage, NewRecipient
from daemon.store.segments import path_of
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import add_user, box_id, bytes_in, clean, deliver, message, open_store, put


def enqueue(store: Store, data: bytes) -> int:
    def work(tx: Tx, body: Body) -> int:
        mail = NewMessage("trace", "a@example.org", "submission", b"", body.size, lifetime=1000)
        return queue.enqueue(
            tx, mail, blobs.keep(tx, body), [NewRecipient("b@far.example"), NewRecipient("c@far.example")]
        )

    with Body.of(data) as body:
        return store.write_now(work, body, bodies=[body])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Two users with messages everywhere, some gone, some shared, some queued."""
    data = DataDir(tmp_path_factory.mktemp("model") / "data")
    store = open_store(data)
    furnish(store)
    store.close()
    return data


@pytest.fixture
def full(model: DataDir, data: DataDir) -> Iterator[Store]:
    shutil.copytree(model.path, data.path)
    store = open_store(data)
    yield store
    store.close()


def furnish(store: Store) -> None:
    alice, bob = store.write_now(add_user), store.write_now(lambda tx: add_user(tx, "bob"))
    store.segment_size = 3000
    for number in range(6):
        deliver(store, alice, message(f"a{number}", 800), keyword_names=("Work",) if number % 2 else ())
        deliver(store, bob, message(f"a{number}", 800))
    inbox = box_id(store, alice)
    store.write_now(messages.copy, inbox, [(1, 3)], box_id(store, alice, "Archive"))
    store.write_now(messages.set_flags, inbox, [(2, 4)], "+", 9)
    store.write_now(messages.remove, inbox, [(1, 2)])
    for number in range(6, 9):
        deliver(store, bob, message(f"b{number}", 800))
    store.write_now(messages.remove, box_id(store, bob), [(8, 9)])
    store.write_now(lambda tx: mailboxes.create(tx, bob, "Old"))
    store.write_now(lambda tx: messages.remove_mailbox(tx, mailboxes.get(tx, bob, "Old")))
    enqueue(store, message("queued"))
    enqueue(store, message("a1", 800))
    store.write_now(tls_memory.keep_policy, "far.example", "1", "enforce", ("mx.far.example",), 86400)
    store.write_now(tls_memory.keep_policy, "none.example", "1", "none", (), 86400)


def test_a_store_that_is_right_has_no_findings(full: Store) -> None:
    clean(full)
    assert list(check(full, deep=False)) == []


def test_an_empty_store_has_no_findings(store: Store) -> None:
    clean(store)


def test_progress_goes_from_nothing_to_all(full: Store) -> None:
    told: list[tuple[str, int, int]] = []
    assert list(check(full, lambda *how: told.append(how))) == []
    assert {what for what, _, _ in told} == {"database", "accounts", "blobs", "queue", "policies", "segments", "bytes"}
    for what in {what for what, _, _ in told}:
        steps = [(done, total) for w, done, total in told if w == what]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1] > 0


WRONG: list[tuple[str, str]] = [
    ("metadata-wrong", "insert into metadata values (2, 1, '/shared/a', '')"),
    ("metadata-wrong", "insert into metadata values (1, 1, '/shared/A', '')"),
    ("metadata-wrong", "insert into metadata values (1, 1, '/sharing/a', '')"),
    ("metadata-wrong", "insert into metadata values (1, 1, '/shared/a', zeroblob(2000000))"),
    ("reference-broken", "insert into metadata values (1, 99, '/shared/a', '')"),
    ("rules-wrong", "insert into sieve_script (account_id, name, text, size, changed_at) values (1, 'a', '', 7, 0)"),
    ("reference-broken", "insert into vacation_answer (account_id, handle, sender, until_at) values (99, 'h', 's', 0)"),
    ("counter-wrong", "update mailbox set total = total + 1 where name = 'INBOX' and account_id = 1"),
    ("counter-wrong", "update mailbox set unseen = unseen - 1 where name = 'INBOX' and account_id = 2"),
    ("counter-wrong", "update mailbox set deleted = 0 where name = 'INBOX' and account_id = 1"),
    ("counter-wrong", "update mailbox set size = size + 1 where name = 'Archive'"),
    ("counter-wrong", "update membership set flags = flags | 1 where mailbox_id = 1 and uid = 5"),
    ("counter-wrong", "update mailbox set unread = unread + 1 where id = 1"),
    ("counter-wrong", "update mailbox set threads = threads + 1 where id = 1"),
    ("counter-wrong", "update mailbox set unread_threads = unread_threads + 1 where id = 1"),
    ("thread-wrong", "update membership set thread_id = thread_id + 1 where mailbox_id = 1 and uid = 5"),
    ("thread-wrong", "update membership set received_at = 0 where mailbox_id = 1 and uid = 5"),
    ("thread-wrong", "update email set thread_id = 0 where id = 5"),
    ("tombstone-wrong", "insert into email_tombstone values (1, 1, 5, 1, 1)"),
    ("tombstone-wrong", "insert into email_tombstone values (1, 99999, 999, 1, 1)"),
    ("uidnext-behind", "update mailbox set uidnext = 6 where id = 1"),
    ("uidnext-behind", "update mailbox set uidnext = 9 where name = 'INBOX' and account_id = 2"),
    ("uid-twice", "insert into tombstone values (1, 1, 5, 5)"),
    ("uid-twice", "insert into tombstone select mailbox_id, modseq - 1, uid, email_id from tombstone limit 1"),
    ("modseq-order", "update membership set modseq = modseq + 1000 where mailbox_id = 1 and uid = 5"),
    ("modseq-order", "update mailbox set modseq = modseq + 1000 where id = 1"),
    ("modseq-order", "update tombstone set modseq = modseq + 1000"),
    ("modseq-order", "update account set modseq = 5 where id = 1"),
    ("modseq-order", "update mailbox_tombstone set modseq = modseq + 1000"),
    ("number-wrong", "update mailbox set recent_from = uidnext + 1 where id = 1"),
    ("number-wrong", "update mailbox set uidvalidity = 0 where id = 1"),
    ("uidvalidity-ahead", "update counter set value = value - 5 where name = 'uidvalidity'"),
    ("sum-wrong", "update account set used = used + 1 where id = 1"),
    ("sum-wrong", "update account set messages = messages - 1 where id = 2"),
    ("size-wrong", "update email set size = size + 1 where id = 5"),
    ("size-wrong", "update queue_message set size = size + 1 where id = 1"),
    ("content-missing", "delete from content where blob_id = 5"),
    ("message-lost", "delete from membership where mailbox_id = 1 and uid = 5"),
    ("message-of-another", "update email set account_id = 2 where id = 5"),
    ("inbox-missing", "update mailbox set name = 'inbox' where name = 'INBOX' and account_id = 2"),
    ("references-wrong", "update blob set refs = refs + 1 where id = 5"),
    ("references-wrong", "update email set blob_id = 4 where id = 5"),
    ("freed-wrong", "update blob set freed_at = null where refs = 0"),
    ("freed-wrong", "update blob set freed_at = 1 where id = 5"),
    ("queue-empty", "delete from queue_recipient where message_id = 1"),
    ("queue-orphan", "update queue_recipient set message_id = 99 where id = 1"),
    ("policy-wrong", "insert into mta_sts values ('a.example', '1', 'enforce', '', 60, 0, 60000)"),
    ("policy-wrong", "insert into mta_sts values ('a.example', '1', 'enforce', 'mx.a.example', 60, 0, 60)"),
    ("reference-broken", "update membership set keywords = 99 where mailbox_id = 1 and uid = 5"),
    ("reference-broken", "update membership set mailbox_id = 99 where mailbox_id = 1 and uid = 5"),
    ("reference-broken", "update membership set email_id = 99 where mailbox_id = 1 and uid = 5"),
    ("reference-broken", "delete from mailbox where name = 'Archive'"),
    ("reference-broken", "delete from email where id = 5"),
    ("keywords-missing", "update membership set keywords = 99 where mailbox_id = 1 and uid = 5"),
    ("reference-broken", "update email set blob_id = 99 where id = 5"),
    ("reference-broken", "update blob set segment_id = 99 where id = 5"),
    ("bytes-damaged", "update blob set segment_id = 99 where id = 5"),
    ("bytes-damaged", "update blob set offset = offset + 1 where id = 5"),
    ("bytes-damaged", "update blob set length = length - 1 where id = 5"),
    ("bytes-damaged", "update blob set sha256 = x'00' where id = 5"),
    ("blobs-overlap", "update blob set offset = (select offset + 1 from blob where id = 4) where id = 5"),
    ("segment-short", "update segment set size = 10"),
    ("dead-wrong", "update segment set dead = dead + 100000 where id = 1"),
    ("segment-unknown", "update sqlite_sequence set seq = 1 where name = 'segment'"),
    ("setting-bad", "insert into setting values ('queue.lifetime', 'for ever')"),
    ("certificate-row-wrong", "insert into certificate (names, chain, private_key, source, not_before_at, not_after_at,"
     " created_at) values ('a.example', '', '', 'acme', 2, 1, 1)"),
    ("certificate-row-wrong", "insert into next_key values ('a.example', '', 2, 1)"),
    ("certificate-row-wrong", "insert into acme_order (directory, names, state, problem, began_at, ended_at)"
     " values ('d', 'a.example', 'failed', 'no', 2, 1)"),
]  # fmt: skip


@pytest.mark.parametrize("reason,sql", WRONG, ids=[f"{r}-{n}" for n, (r, _) in enumerate(WRONG)])
def test_what_is_wrong_is_found(full: Store, reason: str, sql: str) -> None:
    writer = full.connect(query_only=False)
    writer.execute("pragma foreign_keys = off")
    assert Tx(writer, 0).run(sql)
    found = list(check(full))
    assert reason in {f.reason for f in found}, found
    assert all(f.level in ("error", "warning") and f.subject and f.text for f in found)


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("harm", ["head", "missing", "short", "bytes"])
def test_harm_to_segments_is_found_and_says_whose_mail_it_is(full: Store, harm: str, deep: bool) -> None:
    segment, offset, length = full.read_now(Tx.one, "select segment_id, offset, length from blob where id = 6") or ()
    path = path_of(full.data.segments, segment)
    data = bytearray(path.read_bytes())
    if harm == "head":
        data[offset - 1] ^= 1
    elif harm == "short":
        del data[offset + length - 1 :]
    else:
        data[offset] ^= 1
    path.write_bytes(data)
    if harm == "missing":
        path.unlink()
    found = list(check(full, deep=deep))
    if harm == "bytes" and not deep:
        assert found == []
        return
    damaged = [f for f in found if f.reason == "bytes-damaged" and f.subject == "blob 6"]
    assert len(damaged) == 1
    assert "alice@example.org 'INBOX' UID 6" in damaged[0].text
    if harm in ("missing", "short"):
        assert "segment-short" in {f.reason for f in found}


def test_files_that_no_row_points_to(full: Store) -> None:
    (full.data.segments / "notes.txt").write_text("mine")
    path_of(full.data.segments, 500).touch()
    found = {f.reason: f for f in check(full)}
    assert set(found) == {"file-unknown", "segment-unknown"}
    assert {f.level for f in found.values()} == {"warning"}
    full.write_now(lambda tx: tx.run("update sqlite_sequence set seq = 600 where name = 'segment'"))
    assert {f.reason for f in check(full)} == {"file-unknown"}, "it may be on its way out"
    os.utime(path_of(full.data.segments, 500), (1, 1))
    assert {f.reason for f in check(full)} == {"file-unknown", "segment-orphan"}


def test_many_findings_of_one_kind_are_told_in_bounds(store: Store) -> None:
    account = store.write_now(add_user)
    body = Body.of(message())

    def fill(tx: Tx) -> None:
        for _ in range(300):
            put(tx, body, account)

    store.write_now(fill, bodies=[body])
    store.write_now(lambda tx: tx.run("update email set size = size + 1"))
    found = [f for f in check(store) if f.reason == "size-wrong"]
    assert len(found) == 100


def test_the_checker_works_while_mail_comes_and_goes(store: Store) -> None:
    store.segment_size = 20_000
    account = store.write_now(add_user)
    inbox, archive = box_id(store, account), box_id(store, account, "Archive")
    done = threading.Event()
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(1, 101):
                deliver(store, account, message(str(number), 2000))
                store.write_now(messages.move, inbox, [(number, number)], archive)
                if number % 5 == 0:
                    store.write_now(messages.remove, archive)
                    store.write_now(lambda tx: blobs.forget(tx, tx.now + 1, 100))
                    rewrite(store)
        except BaseException as error:
            faults.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    found: list[Finding] = []
    while not done.is_set():
        found += check(store)
    thread.join()
    assert faults == [] and found == []
    clean(store)


def rewrite(store: Store) -> None:
    for segment in store.read_now(compact.wasteful):
        some = compact.copies(store, store.read_now(compact.living, segment, 0, 1 << 20))
        store.write_now(compact.move, some, bodies=[body for _, body in some])
        store.write_now(compact.drop, segment)


def test_a_blob_that_moves_or_goes_while_it_is_looked_at_is_no_damage(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = full.segments.verify
    moves: list[Callable[[], None]] = []

    def meanwhile(segment: int, offset: int, length: int, sha256: bytes) -> None:
        if moves:
            moves.pop()()
            path_of(full.data.segments, segment).rename(full.data.path / "gone")
            full.segments.forget(segment)
        verify(segment, offset, length, sha256)

    def move_first_segment() -> None:
        some = compact.copies(full, full.read_now(compact.living, 1, 0, 1 << 20))
        full.write_now(compact.move, some, bodies=[body for _, body in some])
        full.write_now(lambda tx: tx.run("delete from content where blob_id in (select id from blob where refs = 0)"))
        full.write_now(lambda tx: tx.run("delete from blob where refs = 0"))
        full.write_now(compact.drop, 1)

    moves.append(move_first_segment)
    monkeypatch.setattr(full.segments, "verify", meanwhile)
    assert [f for f in check(full) if f.level == "error"] == []
    assert moves == []


def test_a_checker_beside_the_daemon_is_another_process_s(full: Store, data: DataDir) -> None:
    other = open_store(data)
    assert list(check(other)) == []
    assert bytes_in(other, box_id(other, 1)) == bytes_in(full, box_id(full, 1))
    other.close()
