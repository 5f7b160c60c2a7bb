"""Generations of a mailbox: what one has that an earlier one has not, and what a client knows in between."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import DataDir
from daemon.mail.address import Address
from daemon.store import accounts, blobs, domains, mailboxes, messages, snapshot
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.snapshot import News, Snapshot
from daemon.store.spool import Body
from daemon.store.tx import Tx


def generation(messages: dict[int, int], uidnext: int) -> Snapshot:
    """`messages` maps UIDs to states."""
    uids = sorted(messages)
    return Snapshot(1, 1, uidnext, 1, 0, array("I", uids), array("I", [messages[uid] for uid in uids]))


@st.composite
def steps(draw: st.DrawFn) -> tuple[Snapshot, Snapshot]:
    """A mailbox, and the same one later."""
    uidnext = draw(st.integers(1, 400))
    uids = draw(st.sets(st.integers(1, uidnext - 1), max_size=300)) if uidnext > 1 else set()
    before = {uid: uid % 3 for uid in uids}
    kept = {uid for uid in uids if draw(st.integers(0, 9))} if draw(st.booleans()) else uids
    after = {uid: (before[uid] + 1 if draw(st.integers(0, 7)) == 0 else before[uid]) for uid in kept}
    added = draw(st.integers(0, 5))
    after |= dict.fromkeys(range(uidnext, uidnext + added), 7)
    return generation(before, uidnext), generation(after, uidnext + added)


@given(steps())
def test_news_are_what_went_what_changed_and_how_many_came(step: tuple[Snapshot, Snapshot]) -> None:
    old, new = step
    news = snapshot.compare(old, new)
    states = dict(zip(new.uids, new.states, strict=True))
    assert list(news.gone) == [at for at, uid in enumerate(old.uids) if uid not in states]
    assert list(news.changed) == [
        at for at, uid in enumerate(old.uids) if uid in states and states[uid] != old.states[at]
    ]
    assert news.added == sum(uid >= old.uidnext for uid in new.uids)


@given(steps(), st.booleans(), st.booleans())
def test_what_was_not_told_is_still_news(step: tuple[Snapshot, Snapshot], gone: bool, added: bool) -> None:
    old, new = step
    news = snapshot.compare(old, new)
    between = snapshot.blend(old, new, news, gone=gone, added=added)
    rest = snapshot.compare(between, new)
    assert [between.uids[at] for at in rest.gone] == ([] if gone else [old.uids[at] for at in news.gone])
    assert rest.added == (0 if added else news.added)
    assert not rest.changed
    end = snapshot.blend(between, new, rest, gone=True, added=True)
    assert end is new
    assert (between.uids, between.states) == (new.uids, new.states) or not (gone and added)


def test_a_few_changes_are_found_in_a_large_mailbox() -> None:
    old = generation(dict.fromkeys(range(1, 50_001), 0), 50_001)
    after = dict.fromkeys(range(1, 50_101), 0)
    del after[17], after[20_000], after[50_000]
    after[1] = after[4097] = after[49_999] = 1
    news = snapshot.compare(old, generation(after, 50_101))
    assert news == News([16, 19_999, 49_999], [0, 4096, 49_998], 100)


def test_many_that_went_are_found_too() -> None:
    old = generation(dict.fromkeys(range(1, 2001), 0), 2001)
    new = generation(dict.fromkeys(range(2, 2001, 2), 0), 2001)
    assert snapshot.compare(old, new).gone == list(range(0, 2000, 2))


def test_a_generation_that_does_not_follow_is_refused() -> None:
    old = generation({1: 0, 5: 0}, 6)
    for stranger in (generation({2: 0}, 6), generation({1: 0, 2: 0, 5: 0}, 6)):
        with pytest.raises(Missing):
            snapshot.compare(old, stranger)


# -- out of the store --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(DataDir(tmp_path / "data"))
    store.reserve = 0
    yield store
    store.close()


def put(tx: Tx, account: int, body: Body) -> int:
    return messages.put(tx, account, "INBOX", blobs.keep(tx, body), body.size, keyword_names=["Work"]).uid


def test_advancing_and_loading_give_the_same(store: Store) -> None:
    def user(tx: Tx) -> tuple[int, int]:
        domains.add(tx, "example.test")
        account = accounts.add(tx, Address("a", "example.test"), None)
        return account, mailboxes.get(tx, account, "INBOX").id

    account, box = store.write_now(user)
    known = store.read_now(snapshot.load, box)
    assert len(known) == 0
    for step in range(6):
        for _ in range(3):
            body = Body.of(b"Subject: x\r\n\r\n%d" % step)
            store.write_now(put, account, body, bodies=[body])
        store.write_now(messages.set_flags, box, [(step, step + 2)], "+", 1 << step % 5, ["More"])
        if step % 2:
            store.write_now(messages.remove, box, [(step, step + 1), (9, 9)])
        whole = store.read_now(snapshot.load, box)
        known = store.read_now(snapshot.advance, known)
        assert (known.uids, known.states, known.modseq, known.uidnext, known.unseen) == (
            whole.uids, whole.states, whole.modseq, whole.uidnext, whole.unseen
        )  # fmt: skip
        assert known.flags() == bytes(state & 0xFF for state in known.states)
        assert store.read_now(snapshot.advance, known) is known
    assert {state >> 8 for state in known.states} - {0}, "keywords are in the state, above the flags"
    store.write_now(lambda tx: messages.remove_mailbox(tx, mailboxes.get(tx, account, "Trash")))
    with pytest.raises(Missing):
        store.read_now(snapshot.load, 999)
