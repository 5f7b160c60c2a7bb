"""/changes against a naive model: whatever is done to mailboxes in whatever order, a client that asks from any state it
ever had, in steps of any size, knows afterwards what is there.

The model is two pictures of the whole account, then and now. What is told must take a client from the one to the other;
where the answer is not cut it must say of each thing exactly what became of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.store import changes, emails, mailboxes, messages
from daemon.store.changes import TooOld
from daemon.store.db import Store
from daemon.store.keywords import DELETED, DRAFT, SEEN
from daemon.store.mailboxes import Mailbox
from daemon.store.tx import Tx
from tests.store.stage import MEMORY, add_user, box_id, clean, deliver, open_store
from tests.store.test_threads import mail

Picture = dict[str, dict[int, Any]]
"""Email, Thread and Mailbox: what a client sees of each, by number."""


def picture(tx: Tx, account: int) -> Picture:
    ids = emails.everyone(tx, account, 1000)
    rows = emails.rows(tx, account, ids)
    standings = emails.standings(tx, ids)
    threads: dict[int, list[int]] = {}
    for number in ids:
        threads.setdefault(rows[number].thread_id, []).append(number)
    return {
        "Email": {n: (sorted(standings[n].mailboxes), standings[n].keywords) for n in ids},
        "Thread": {n: sorted(members) for n, members in threads.items()},
        "Mailbox": {box.id: seen(box) for box in mailboxes.everyone(tx, account)},
    }


def seen(box: Mailbox) -> tuple[Any, ...]:
    return box.name, box.special_use, box.subscribed, box.total, box.unread, box.threads, box.unread_threads


class Account(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.store = open_store(DataDir(Path(self.folder.name) / "data"))
        self.account = self.store.write_now(add_user)
        for name in ("Drafts", "Sent", "Junk", "Archive"):  # few, so that they meet
            box = self.store.read_now(mailboxes.get, self.account, name)
            self.store.write_now(messages.remove_mailbox, box)
        self.pictures: dict[str, Picture] = {}
        self.count = 0
        self.sent: list[str] = []
        self.known: dict[str, tuple[str, dict[int, Any]]] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            clean(self.store)
            self.store.close()
            self.folder.cleanup()

    def boxes(self) -> list[Mailbox]:
        return self.store.read_now(mailboxes.everyone, self.account)

    def box(self, at: int) -> Mailbox:
        boxes = self.boxes()
        return boxes[at % len(boxes)]

    def uids(self, box: int, chosen: list[bool]) -> list[tuple[int, int]]:
        found = self.store.read_now(Tx.all, "select uid from membership where mailbox_id = ? order by uid", box)
        uids = [r[0] for at, r in enumerate(found) if chosen[at % len(chosen)]]
        return messages.to_ranges(uids)

    @rule(at=st.integers(0, 9), flags=st.sampled_from((0, SEEN, DRAFT)), answers=st.integers(0, 5))
    def put(self, at: int, flags: int, answers: int) -> None:
        self.count += 1
        own = f"n{self.count}"
        refs = self.sent[-answers:][:1] if answers else []
        deliver(self.store, self.account, mail("X", own, *refs), self.box(at).id, flags=flags)
        self.sent.append(own)

    @rule(a=st.integers(0, 9), b=st.integers(0, 9), chosen=st.lists(st.booleans(), min_size=1, max_size=4))
    def copy(self, a: int, b: int, chosen: list[bool]) -> None:
        self.store.write_now(messages.copy, self.box(a).id, self.uids(self.box(a).id, chosen), self.box(b).id)

    @rule(a=st.integers(0, 9), b=st.integers(0, 9), chosen=st.lists(st.booleans(), min_size=1, max_size=4))
    def move(self, a: int, b: int, chosen: list[bool]) -> None:
        self.store.write_now(messages.move, self.box(a).id, self.uids(self.box(a).id, chosen), self.box(b).id)

    @rule(
        a=st.integers(0, 9),
        chosen=st.lists(st.booleans(), min_size=1, max_size=4),
        mode=st.sampled_from("+-="),
        flags=st.integers(0, 31),
        words=st.lists(st.sampled_from(("Work", "$junk")), max_size=1),
    )
    def flag(self, a: int, chosen: list[bool], mode: str, flags: int, words: list[str]) -> None:
        self.store.write_now(
            messages.set_flags, self.box(a).id, self.uids(self.box(a).id, chosen), mode, flags, tuple(words), None
        )

    @rule(a=st.integers(0, 9), chosen=st.lists(st.booleans(), min_size=1, max_size=4))
    def expunge(self, a: int, chosen: list[bool]) -> None:
        self.store.write_now(messages.remove, self.box(a).id, self.uids(self.box(a).id, chosen))

    @rule(name=st.sampled_from(("A", "A/B", "C", "A/B/C")))
    def make_or_remove(self, name: str) -> None:
        box = self.store.read_now(mailboxes.find, self.account, name)
        if box is None:
            self.store.write_now(mailboxes.create, self.account, name)
        else:
            self.store.write_now(messages.remove_mailbox, box)

    @rule(a=st.integers(1, 9), wanted=st.booleans())
    def subscribe(self, a: int, wanted: bool) -> None:
        self.store.write_now(mailboxes.subscribe, self.account, self.box(a).name, wanted)

    @rule(a=st.integers(1, 9), name=st.sampled_from(("D", "E/F")))
    def rename(self, a: int, name: str) -> None:
        box = self.box(a)
        taken = self.store.read_now(mailboxes.find, self.account, name) is not None
        if box.name != "INBOX" and not taken and not name.startswith(box.name + "/"):
            self.store.write_now(mailboxes.rename, self.account, box.name, name)

    @rule(back=st.integers(0, 20))
    def forget(self, back: int) -> None:
        modseq = int(str(self.store.read_now(changes.state, self.account)))
        self.store.write_now(changes.forget, (self.account, max(modseq - back, 0)), 100)
        box = self.box(back)
        self.store.write_now(messages.forget_tombstones, (box.id, max(box.modseq - back, 0)), 100)

    @invariant()
    def all_states_lead_here(self) -> None:
        if not hasattr(self, "store"):
            return
        state, now = self.store.read_now(lambda tx: (str(changes.state(tx, self.account)), picture(tx, self.account)))
        for old, then in [*self.pictures.items()][-6:]:
            for what in ("Email", "Thread", "Mailbox"):
                self.told(what, old, then[what], now[what], state)
        self.pictures[state] = now
        for what in ("Email", "Thread", "Mailbox"):
            self.follow(what, now[what])

    def told(self, what: str, old: str, then: Mapping[int, Any], now: Mapping[int, Any], state: str) -> None:
        """The whole answer is exact, but that something may be told as updated that looks as it did."""
        try:
            done = self.store.read_now(changes.since, self.account, what, old)
        except TooOld:
            return
        assert str(done.until) == state and not done.more
        gone = then.keys() - now.keys()
        assert set(done.created) == now.keys() - then.keys()
        assert set(done.destroyed) >= gone
        assert not set(done.destroyed) & now.keys()
        assert what == "Mailbox" or set(done.destroyed) == gone
        different = {n for n in then.keys() & now.keys() if then[n] != now[n]}
        assert different <= set(done.updated) <= then.keys() & now.keys()
        described = {n for n in different if what == "Mailbox" and then[n][:3] != now[n][:3]}
        assert done.described or not described

    def follow(self, what: str, now: Mapping[int, Any]) -> None:
        """A client that asks in steps of two has all there is, and knows nothing that is not."""
        state, have = self.known.get(what, ("", {}))
        try:
            while True:
                done = self.store.read_now(changes.since, self.account, what, state, 2)
                assert len(done.created) + len(done.updated) + len(done.destroyed) <= 2
                for number in done.destroyed:
                    have.pop(number, None)
                for number in (*done.created, *done.updated):
                    if number in now:
                        have[number] = now[number]
                state = str(done.until)
                if not done.more:
                    break
        except TooOld:
            state, have = str(self.store.read_now(changes.state, self.account)), dict(now)
        assert have == dict(now)
        self.known[what] = (state, have)


Account.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestChanges = Account.TestCase
TestChanges.__doc__ = "Everything that may happen to an account."


class Longer(Account):
    pass


Longer.TestCase.settings = settings(
    max_examples=500, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLonger = pytest.mark.long(Longer.TestCase)


def since(store: Store, account: int, what: str, state: str) -> tuple[list[int], list[int], list[int]]:
    done = store.read_now(changes.since, account, what, state)
    return done.created, done.updated, done.destroyed


def test_the_removal_of_a_mailbox_changes_what_is_elsewhere_too(store: Store) -> None:
    account = store.write_now(add_user)
    inbox = box_id(store, account)
    one, two = deliver(store, account, mail("X", "a")).email_id, deliver(store, account, mail("Y", "b")).email_id
    store.write_now(mailboxes.create, account, "Old")
    old = store.read_now(mailboxes.get, account, "Old")
    store.write_now(messages.copy, inbox, [(1, 1)], old.id)
    store.write_now(messages.move, inbox, [(2, 2)], old.id)
    state = str(store.read_now(changes.state, account))
    store.write_now(messages.remove, old.id, [(1, 1)])
    store.write_now(messages.remove_mailbox, store.read_now(mailboxes.get, account, "Old"))
    assert since(store, account, "Email", state) == ([], [one], [two])
    assert since(store, account, "Mailbox", state)[2] == [old.id]
    clean(store)


def test_below_the_floor_nobody_knows(store: Store) -> None:
    account = store.write_now(add_user)
    inbox = box_id(store, account)
    for n in range(4):
        deliver(store, account, mail(f"X{n}", f"a{n}"))
    states = []
    for uid in range(1, 5):
        states.append(str(store.read_now(changes.state, account)))
        store.write_now(messages.remove, inbox, [(uid, uid)])
    assert store.read_now(changes.to_forget, 0, 10, 100) == (0, [])
    last, found = store.read_now(changes.to_forget, 0, 2, 1)
    assert last == account and len(found) == 1
    assert store.write_now(changes.forget, found[0], 1) == 1
    assert store.write_now(changes.forget, found[0], 100) == 1
    for state, known in zip(states, (False, False, True, True), strict=True):
        if known:
            since(store, account, "Email", state)
        else:
            with pytest.raises(TooOld):
                since(store, account, "Email", state)
    for odd in ("", "x", "01", "-1", str(10**9), "1.", "1.2.3"):
        with pytest.raises(TooOld):
            since(store, account, "Email", odd)
    clean(store)


def test_deleted_is_no_news_of_a_keyword(store: Store) -> None:
    """`\\Deleted` belongs to a mailbox: JMAP does not see it."""
    account = store.write_now(add_user)
    placed = deliver(store, account, mail("X", "a"), flags=DELETED)
    assert store.read_now(emails.standings, [placed.email_id])[placed.email_id].keywords == []
    assert LIMITS.tombstones > 0
