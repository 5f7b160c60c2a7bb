"""What is kept of refused mail and of junk: bounded, released, thrown away, and always accounted for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, mailboxes, messages, pardon, quarantine, sender_lists
from daemon.store.db import Store
from daemon.store.errors import Missing, OverQuota
from daemon.store.pardon import Release
from daemon.store.quarantine import ALL, Bounds, Ending, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import Clock, add_user, clean, open_store

WIDE = Bounds(1 << 30, 1 << 30)
ROW = LIMITS.quarantine_row


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(data: DataDir, clock: Clock) -> Iterator[Store]:
    store = open_store(data, clock)
    yield store
    clean(store)
    store.close()


def letter(number: int, size: int = 0) -> bytes:
    return f"From: Ann <ann@far.example>\r\nSubject: letter {number}\r\n\r\n{'x' * size}\r\n".encode()


def kept(number: int = 0, reason: str = "spam-certain", **more: Any) -> Kept:
    made = Kept(
        "alice@example.org", "b@far.example", "ann@far.example", "Ann", f"letter {number}", None, reason, 16.2, "words"
    )
    return made._replace(**more)


def refuse(store: Store, *whom: int, data: bytes = b"", bounds: Bounds = WIDE, **more: Any) -> list[int | None]:
    data = data or letter(0)

    def work(tx: Tx, body: Body) -> list[int | None]:
        blob = blobs.keep(tx, body, None, len(whom))
        about = (kept(**more), "t" * 16, blob, len(data), b"X-Spam: a\r\n", bounds)
        return [quarantine.keep(tx, account, *about) for account in whom]

    body = Body.of(data)
    return store.write_now(work, body, bodies=[body])


def junk(store: Store, account: int, number: int = 0, box: str = "Junk") -> tuple[int, int]:
    """The row, and the message."""
    data = letter(number)

    def work(tx: Tx, body: Body) -> tuple[int, int]:
        blob = blobs.keep(tx, body, summarize(data))
        placed = messages.put(tx, account, box, blob, len(data), trace="t" * 16)
        row = quarantine.point(tx, account, kept(number, "spam"), "t" * 16, placed.email_id, len(data))
        return row, placed.email_id

    body = Body.of(data)
    return store.write_now(work, body, bodies=[body])


def release(store: Store, number: int | None, account: int | None = None, allow: bool = False, quota: int = 0) -> Any:
    assert number is not None
    row = store.read_now(quarantine.get, number, account)
    summary = None if row.junked else summarize(store.bytes_of(tuple(row.place)))  # type: ignore[arg-type]
    return store.write_now(pardon.release, Release(number, account, summary, allow, "administrator", quota))


def ids(store: Store, **asked: Any) -> list[int]:
    return [row.id for row in store.read_now(lambda tx: quarantine.find(tx, **asked))]


def inbox(store: Store, account: int) -> list[tuple[Any, ...]]:
    box = store.read_now(mailboxes.get, account, "INBOX")
    return store.read_now(messages.fetch, box.id, messages.ALL, ("subject", "received_at", "prefix", "trace"))


def test_refused_mail_is_found_and_released_as_it_came(store: Store, clock: Clock) -> None:
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    one, other = refuse(store, alice, bob)
    came = clock.now
    clean(store)
    clock.forward(3600)
    (row,) = store.read_now(quarantine.find, alice)
    assert (row.id, row.user, row.at, row.junked) == (one, "alice@example.org", came, False)
    assert row.kept == kept() and row.size == len(row.prefix) + len(letter(0))
    assert store.bytes_of(tuple(row.place)) == letter(0)  # type: ignore[arg-type]
    with pytest.raises(Missing):
        release(store, one, bob)
    release(store, one, alice, allow=True)
    assert inbox(store, alice) == [("letter 0", came, b"X-Spam: a\r\n", "t" * 16)]
    assert store.read_now(Tx.all, "select account_id, lesson from spam_lesson") == [(alice, "ham")]
    assert [e.sender for e in store.read_now(sender_lists.everyone, alice)] == ["ann@far.example"]
    assert ids(store) == [other]
    with pytest.raises(Missing):
        store.read_now(quarantine.get, one or 0)
    store.write_now(lambda tx: accounts.change(tx, bob, quota=10))
    with pytest.raises(OverQuota):
        release(store, other)
    assert ids(store) == [other], "it stays until there is room"


def test_junk_is_moved_and_one_that_its_user_moved_is_kept_no_more(store: Store) -> None:
    alice = store.write_now(add_user, "alice")
    first, second, third = (junk(store, alice, number)[0] for number in range(3))
    assert ids(store) == [third, second, first]
    release(store, first)
    assert [row[0] for row in inbox(store, alice)] == ["letter 0"] and ids(store) == [third, second]

    def move(tx: Tx) -> None:
        box, inbox = mailboxes.get(tx, alice, "Junk"), mailboxes.get(tx, alice, "INBOX")
        messages.move(tx, box.id, [(2, 2)], inbox.id)

    store.write_now(move)
    assert ids(store) == [third]
    store.write_now(lambda tx: messages.remove(tx, mailboxes.get(tx, alice, "Junk").id))
    assert ids(store) == []
    assert store.read_now(Tx.value, "select count(*) from quarantine") == 1, "what was expunged took its row along"


def test_rows_are_found_by_what_is_known_of_them(store: Store, clock: Clock) -> None:
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    (old,) = refuse(store, alice)
    clock.forward(60)
    (virus,) = refuse(store, bob, data=letter(1), reason="virus", author="eve@bad.example", quiet=True)
    assert ids(store, since=clock.now) == [virus]
    assert ids(store, sender="EVE@") == ids(store, reason="virus") == ids(store, account_id=bob) == [virus]
    assert ids(store, sender="Ann", limit=1) == [virus] and ids(store, sender="b@far") == [virus, old]
    assert store.read_now(quarantine.untold, clock.now + 1, 10) == [alice], "nobody is told of a virus"


def test_a_digest_is_told_of_each_once(store: Store, clock: Clock) -> None:
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    refuse(store, alice, bob)
    assert store.read_now(quarantine.untold, clock.now, 10) == [], "not yet"
    clock.forward(1)
    assert store.read_now(quarantine.untold, clock.now, 10) == [alice, bob]
    news = store.read_now(quarantine.news, alice, clock.now)
    assert ([row.account_id for row in news.rows], news.many) == ([alice], 1)
    store.write_now(quarantine.told, alice, clock.now, news.last)
    assert store.read_now(quarantine.untold, clock.now, 10) == [bob]
    news = store.read_now(quarantine.news, None, clock.now)
    assert ([row.account_id for row in news.rows], news.many) == ([bob, alice], 2)
    store.write_now(quarantine.told, None, clock.now, news.last)
    assert store.read_now(quarantine.news, None, clock.now) == ([], 0, 0)
    assert store.read_now(quarantine.news, bob, clock.now).rows


def test_a_flood_of_refused_mail_takes_a_bounded_room(store: Store) -> None:
    """The oldest makes room, of the user first, then of all; many small ones, too."""
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    one = len(letter(0, 1000)) + 11 + ROW
    bounds = Bounds(3 * one, 4 * one + 10)
    (of_bob,) = refuse(store, bob, data=letter(99, 1000), bounds=bounds)
    for number in range(10):
        refuse(store, alice, data=letter(number % 10, 1000), bounds=bounds, number=number)
    assert [row.kept.subject for row in store.read_now(quarantine.find, alice)] == [f"letter {n}" for n in (9, 8, 7)]
    assert ids(store, account_id=bob) == [of_bob]
    refuse(store, bob, data=letter(98, 1000), bounds=bounds)
    assert store.read_now(Tx.value, "select weight from quarantine_sum where account_id = ?", ALL) <= bounds.total
    assert not ids(store, account_id=alice)[3:] and len(ids(store)) == 4
    clean(store)
    assert refuse(store, alice, data=letter(1, 9000), bounds=bounds) == [None], "larger than all the room there is"
    assert store.read_now(Tx.value, "select count(*) from blob where refs > 0") == len(ids(store))


def test_no_refusal_makes_room_for_long(store: Store) -> None:
    alice = store.write_now(add_user, "alice")
    for number in range(LIMITS.quarantine_trim + 20):
        refuse(store, alice, data=letter(number))
    assert refuse(store, alice, data=letter(0, 99), bounds=Bounds(2 * ROW, 1 << 30)) == [None]
    assert len(ids(store)) == 20, "so many went; what came now is not kept, for there was still no room"


def test_what_is_old_or_too_much_goes_in_steps(store: Store, clock: Clock) -> None:
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    refuse(store, alice, bob)
    row, email = junk(store, alice, 5)
    clock.forward(60)
    (new,) = refuse(store, alice, data=letter(6))
    ending = Ending(clock.now, WIDE)
    assert store.write_now(quarantine.expire, ending, 2) == 2
    assert store.write_now(quarantine.expire, ending, 2) == 1
    assert store.write_now(quarantine.expire, ending, 2) == 0
    assert ids(store) == [new]
    assert store.read_now(Tx.value, "select count(*) from email") == 1, "the message in Junk stays there"
    assert store.write_now(quarantine.expire, Ending(0, Bounds(10, 1 << 30)), 5) == 1
    assert ids(store) == [] and not store.read_now(Tx.all, "select * from quarantine_sum")


def test_thrown_away(store: Store) -> None:
    alice = store.write_now(add_user, "alice")
    (refused,) = refuse(store, alice)
    row, _ = junk(store, alice, 1)
    for number in (refused, row):
        store.write_now(pardon.remove, number or 0, "administrator")
    assert ids(store) == [] and not store.read_now(Tx.value, "select count(*) from email")
    assert not store.read_now(Tx.value, "select count(*) from blob where refs > 0")


def test_who_is_removed_leaves_nothing(store: Store) -> None:
    alice, bob = store.write_now(add_user, "alice"), store.write_now(add_user, "bob")
    refuse(store, alice, bob)
    store.write_now(accounts.remove, alice)
    assert len(ids(store)) == 1
    assert store.write_now(quarantine.forget_some, bob, 10) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "update quarantine set size = size + 1",
        "update quarantine set weight = 1",
        "update quarantine_sum set weight = weight + 1 where account_id = 0",
        "delete from quarantine_sum where account_id <> 0",
        "update blob set refs = refs + 1",
    ],
)
def test_the_checker_sees_what_is_wrong(data: DataDir, damage: str) -> None:
    from daemon.store.check import check

    store = open_store(data)
    refuse(store, store.write_now(add_user, "alice"))
    clean(store)
    store.write_now(lambda tx: tx.run(damage))
    assert list(check(store)), damage
    store.close()


def test_whatever_happens_in_whatever_order_all_is_accounted_for(store: Store, clock: Clock) -> None:
    """Random deeds against a plain model of who has what."""
    chance = random.Random(7)
    users = [store.write_now(add_user, name) for name in ("alice", "bob")]
    model: dict[int, int] = {}  # row: whose
    bounds = Bounds(20_000, 30_000)
    for step in range(150):
        clock.forward(1)
        deed, user = chance.choice("rrrjjdlmexo"), chance.choice(users)
        held = [number for number, whose in model.items() if whose == user]
        if deed == "r":
            whom = chance.choice(([user], users))
            data = letter(chance.randrange(5), chance.randrange(3000))
            for whose, number in zip(whom, refuse(store, *whom, data=data, bounds=bounds), strict=True):
                if number is not None:
                    model[number] = whose
        elif deed == "j":
            model[junk(store, user, step)[0]] = user
        elif deed == "d" and held:
            store.write_now(pardon.remove, number := chance.choice(held), "link", user)
            del model[number]
        elif deed == "l" and held:
            release(store, number := chance.choice(held), user)
            del model[number]
        elif deed == "m":
            boxes = [store.read_now(mailboxes.get, user, name).id for name in ("Junk", "INBOX")]
            store.write_now(messages.move, boxes[0], [(1, step)], boxes[1])
        elif deed == "e":
            store.write_now(messages.remove, store.read_now(mailboxes.get, user, "Junk").id, [(1, step // 2)])
        elif deed == "x":
            store.write_now(quarantine.expire, Ending(clock.now - 40_000, bounds), 50)
        there = set(ids(store))
        assert there <= set(model)
        gone = set(model) - there
        assert not gone or deed in "rmex", deed
        for number in gone:
            del model[number]
        if step % 15 == 0:
            clean(store)
