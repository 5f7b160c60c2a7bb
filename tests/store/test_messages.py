"""Messages in mailboxes: what the model does not reach, one thing at a time."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.store import accounts, keywords, mailboxes, messages, snapshot
from daemon.store.db import Store
from daemon.store.errors import Invalid, Missing, OverQuota
from daemon.store.keywords import ANSWERED, DELETED, FLAGGED, SEEN
from daemon.store.messages import to_ranges
from daemon.store.tx import Tx
from tests.store.stage import add_user, box_id, clean, deliver, message


@pytest.fixture
def account(store: Store) -> int:
    return store.write_now(add_user)


def fill(store: Store, account: int, count: int, mailbox: str = "INBOX") -> int:
    for number in range(count):
        deliver(store, account, message(str(number)), mailbox)
    return box_id(store, account, mailbox)


def flags(store: Store, box: int) -> list[tuple[int, ...]]:
    return [tuple(row) for row in store.read_now(messages.fetch, box, messages.ALL, ("uid", "flags"))]


@pytest.mark.parametrize(
    "numbers,ranges",
    [([], []), ([1], [(1, 1)]), ([1, 2, 3], [(1, 3)]), ([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)]), ([7, 8], [(7, 8)])],
)
def test_numbers_as_ranges(numbers: list[int], ranges: list[tuple[int, int]]) -> None:
    assert to_ranges(numbers) == ranges


def test_a_message_that_does_not_fit_is_refused_and_counts_nothing(store: Store) -> None:
    account = store.write_now(lambda tx: add_user(tx, quota=1000))
    deliver(store, account, message("fits", 500))
    with pytest.raises(OverQuota):
        deliver(store, account, message("does not", 500))
    with pytest.raises(OverQuota):
        deliver(store, account, message("does not either", 500), default_quota=1 << 40)
    store.write_now(lambda tx: accounts.change(tx, account, quota=None))
    with pytest.raises(OverQuota):
        deliver(store, account, message("nor this", 500), default_quota=700)
    deliver(store, account, message("no limit", 500))
    clean(store)


def test_a_mailbox_that_is_not_there_is_missing_and_leaves_nothing(store: Store, account: int) -> None:
    for mailbox in ("Nowhere", 999):
        with pytest.raises(Missing):
            deliver(store, account, message(), mailbox)
    with pytest.raises(Missing):
        deliver(store, 77, message())
    other = store.write_now(lambda tx: add_user(tx, "bob"))
    with pytest.raises(Missing):
        deliver(store, account, message(), box_id(store, other))
    assert store.read_now(Tx.value, "select count(*) from blob") == 0
    for work in (messages.copy, messages.move):
        with pytest.raises(Missing):
            store.write_now(work, 999, [(1, 1)], 998)
    with pytest.raises(Missing):
        store.write_now(messages.remove, 999)
    with pytest.raises(Missing):
        store.write_now(messages.set_flags, 999, messages.ALL, "+", SEEN)
    clean(store)


def test_uids_of_an_emptied_mailbox_go_on(store: Store, account: int) -> None:
    box = fill(store, account, 3)
    validity = store.read_now(mailboxes.by_id, box)
    assert store.write_now(messages.remove, box) == [1, 2, 3]
    placed = deliver(store, account, message("new"))
    assert placed.uid == 4
    assert validity is not None and placed.uidvalidity == validity.uidvalidity
    clean(store)


def test_more_ranges_than_one_statement_takes(store: Store, account: int) -> None:
    box = fill(store, account, 1)
    target = box_id(store, account, "Archive")

    def twins(tx: Tx) -> None:
        for _ in range(9):
            messages.copy(tx, box, messages.ALL, box)

    store.write_now(twins)  # 512 of them
    odd = [(uid, uid) for uid in range(1, 512, 2)]
    assert store.write_now(messages.set_flags, box, odd, "+", FLAGGED | DELETED).changed == [uid for uid, _ in odd]
    done = store.write_now(messages.copy, box, odd, target)
    assert done.sources == [uid for uid, _ in odd]
    assert done.targets == list(range(1, 257))
    rows = store.read_now(messages.fetch, box, odd, ("uid", "flags"))
    assert rows == [(uid, FLAGGED | DELETED) for uid, _ in odd]
    assert store.read_now(lambda tx: messages.fetch_some(tx, box, odd, ("uid", "flags"), 3)) == rows[:3]
    assert store.write_now(lambda tx: messages.remove(tx, box, odd, only_deleted=True)) == [uid for uid, _ in odd]
    clean(store)


def test_a_copy_within_a_mailbox_does_not_copy_its_own_copies(store: Store, account: int) -> None:
    box = fill(store, account, 1)
    target = box_id(store, account, "Archive")
    store.write_now(lambda tx: [messages.copy(tx, box, [(1, 1)], box) for _ in range(250)])
    ranges = [(uid, uid) for uid in range(1, 250)] + [(250, 0xFFFFFFFF)]
    done = store.write_now(messages.copy, box, ranges, box)
    assert done.sources == list(range(1, 252))
    assert done.targets == list(range(252, 503))
    assert store.write_now(messages.move, box, messages.ALL, target).targets == list(range(1, 503))
    assert store.write_now(messages.move, box, messages.ALL, target).targets == []
    clean(store)


def test_a_copy_keeps_flags_keywords_date_and_id(store: Store, account: int) -> None:
    placed = deliver(
        store, account, message(), flags=SEEN | ANSWERED, keyword_names=("Work", "$Junk"), received_at=12345, trace="t"
    )
    box, target = placed.mailbox_id, box_id(store, account, "Archive")
    columns = ("flags", "keywords", "received_at", "email_id", "trace", "size")
    store.write_now(messages.copy, box, messages.ALL, target)
    assert store.read_now(messages.fetch, box, messages.ALL, columns) == store.read_now(
        messages.fetch, target, messages.ALL, columns
    )
    store.write_now(messages.set_flags, target, messages.ALL, "=", 0)
    assert flags(store, box) == [(1, SEEN | ANSWERED)]
    clean(store)


def test_a_keyword_keeps_the_spelling_it_has(store: Store, account: int) -> None:
    placed = deliver(store, account, message(), keyword_names=("Work",))

    def words() -> list[str]:
        (number,) = store.read_now(messages.fetch, placed.mailbox_id, messages.ALL, ("keywords",))[0]
        return list(store.read_now(keywords.names_of, number))

    for mode, names, want in (
        ("=", ["wORK"], ["Work"]),
        ("+", ["WORK", "new"], ["new", "Work"]),
        ("-", ["NEW"], ["Work"]),
        ("=", ["other", "OTHER"], ["other"]),
        ("=", [], []),
    ):
        store.write_now(messages.set_flags, placed.mailbox_id, messages.ALL, mode, 0, names)
        assert words() == want


@pytest.mark.parametrize(
    "bad", ["", "two words", "a(b", "a*", 'a"b', "a\\b", "a]b", "a%", "{5}", "naïve", "\x01", "x" * 129]
)
def test_what_is_no_keyword_is_refused(store: Store, account: int, bad: str) -> None:
    box = fill(store, account, 1)
    with pytest.raises(Invalid):
        store.write_now(messages.set_flags, box, messages.ALL, "+", 0, [bad])
    with pytest.raises(Invalid):
        deliver(store, account, message(), keyword_names=(bad,))
    clean(store)


def test_a_message_has_so_many_keywords_and_no_more(store: Store, account: int) -> None:
    box = fill(store, account, 1)
    many = [f"k{n}" for n in range(LIMITS.imap_keywords)]
    store.write_now(messages.set_flags, box, messages.ALL, "+", 0, many)
    with pytest.raises(Invalid, match="at most"):
        store.write_now(messages.set_flags, box, messages.ALL, "+", 0, ["more"])
    assert keywords.flag_names(SEEN | DELETED) == ["\\Seen", "\\Deleted"]


def test_a_store_that_changes_nothing_has_no_new_modseq(store: Store, account: int) -> None:
    box = fill(store, account, 2)
    done = store.write_now(messages.set_flags, box, [(1, 1)], "+", SEEN)
    before = store.read_now(messages.changed_since, box, 0)
    again = store.write_now(messages.set_flags, box, [(1, 1)], "+", SEEN)
    assert (again.modseq, again.changed) == (0, [])
    assert store.read_now(messages.changed_since, box, 0) == before
    late = store.write_now(messages.set_flags, box, messages.ALL, "+", DELETED, (), done.modseq - 1)
    assert (late.changed, late.refused) == ([2], [1])
    clean(store)


def test_old_expunges_are_forgotten_in_steps_and_a_command_s_stay_together(store: Store, account: int) -> None:
    box = fill(store, account, 10)
    archive = fill(store, account, 3, "Archive")
    old = store.read_now(snapshot.load, box)
    for ranges in ([(1, 1)], [(2, 2)], [(3, 6)], [(7, 7)]):
        store.write_now(messages.remove, box, ranges)
    store.write_now(messages.remove, archive)

    def tombstones() -> list[int]:
        rows = store.read_now(Tx.all, "select uid from tombstone where mailbox_id = ? order by uid", box)
        return [row[0] for row in rows]

    assert store.read_now(messages.old_tombstones, 0, 10, 100) == (0, [])
    last, found = store.read_now(messages.old_tombstones, 0, 3, 100)
    assert last == 0
    ((where, floor),) = found
    assert where == box
    assert store.write_now(messages.forget_tombstones, (where, floor), 1) == 1
    assert tombstones() == [2, 3, 4, 5, 6, 7]
    assert store.write_now(messages.forget_tombstones, (where, floor), 100) == 1
    assert tombstones() == [3, 4, 5, 6, 7], "three were to stay, and four went with one command"
    assert store.read_now(messages.old_tombstones, 0, 3, 100) == (0, [])
    known = store.read_now(mailboxes.by_id, box)
    assert known is not None and known.tombstone_floor == floor
    assert list(store.read_now(snapshot.advance, old).uids) == [8, 9, 10], "who is behind the floor loads anew"
    assert store.read_now(messages.old_tombstones, 0, 3, 2)[0] == store.read_now(
        Tx.value, "select id from mailbox order by id limit 1 offset 1"
    )
    clean(store)


def test_an_account_is_emptied_in_steps(store: Store, account: int) -> None:
    fill(store, account, 5)
    fill(store, account, 5, "Archive")
    store.write_now(messages.copy, box_id(store, account), messages.ALL, box_id(store, account, "Sent"))
    with pytest.raises(Invalid, match="still has mail"):
        store.write_now(accounts.remove, account)
    steps = []
    while gone := store.write_now(messages.purge, account, 4):
        steps.append(gone)
        clean(store)
    assert steps == [4, 4, 4, 3]
    store.write_now(accounts.remove, account)
    assert store.read_now(Tx.value, "select count(*) from mailbox") == 0
    clean(store)


@pytest.mark.parametrize("step", [2, 40], ids=["many holes", "some holes"])
def test_a_copy_keeps_the_order_whatever_holes_there_are(store: Store, account: int, step: int) -> None:
    """Unbroken runs are copied by adding, many small ones by numbering: the answer is the same."""
    box = fill(store, account, 240)
    gone = [(uid, uid) for uid in range(step, 241, step)]
    store.write_now(messages.remove, box, gone)
    left = [uid for uid in range(1, 241) if uid % step]
    assert (len(to_ranges(left)) > messages._RUNS) is (step == 2)
    sent = store.write_now(mailboxes.get, account, "Sent")
    done = store.write_now(messages.copy, box, [(1, 100), (150, 240)], sent.id)
    wanted = [uid for uid in left if uid <= 100 or uid >= 150]
    assert done.sources == wanted
    assert done.targets == list(range(sent.uidnext, sent.uidnext + len(wanted)))

    def ids(tx: Tx, mailbox: int) -> dict[int, int]:
        return dict(tx.all("select uid, email_id from membership where mailbox_id = ?", mailbox))  # type: ignore[arg-type]

    here, there = store.read_now(ids, box), store.read_now(ids, sent.id)
    assert [there[uid] for uid in done.targets] == [here[uid] for uid in done.sources]
    clean(store)
