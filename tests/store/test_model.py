"""Mailboxes against a model: whatever is done in whatever order, the store says what a plain dict would say.

Numbers too: UIDs grow and are never used twice, MODSEQs grow with every change and with no other, UIDVALIDITY never
comes back (traps D5, D6, I5, I26, I32). After every run the checker is content, and so it is while bytes are forgotten
and segments rewritten in between.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon.config import DataDir
from daemon.store import accounts, blobs, compact, keywords, mailboxes, messages, snapshot
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.keywords import DELETED, SEEN
from daemon.store.messages import Placed
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import MEMORY, add_user, bytes_in, clean, message, open_store, put

NAMES = ("INBOX", "Archive", "Work", "Work/A", "Work/A/B", "Old", "Old/A", "INBOX/x")
WORDS = ("$Junk", "$junk", "NonJunk", "Work")

names = st.sampled_from(NAMES)
boxes = st.integers(0, 20)  # which of those that are there
flag_sets = st.integers(0, 31)
word_sets = st.lists(st.sampled_from(WORDS), max_size=2)
chosen = st.lists(st.booleans(), min_size=1, max_size=8)


@dataclass
class Message:
    token: str
    email: int
    flags: int
    words: frozenset[str]
    modseq: int


@dataclass
class Box:
    id: int
    uidvalidity: int
    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)


def folded(words: Sequence[str]) -> frozenset[str]:
    return frozenset(w.lower() for w in words)


class Mailboxes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.store = open_store(DataDir(Path(self.folder.name) / "data"))
        self.store.segment_size = 2000
        self.model: dict[str, Box] = {}
        self.count = 0
        self.modseq = 0
        self.uidvalidities: set[int] = set()
        self.old: dict[int, snapshot.Snapshot] = {}

    @initialize()
    def begin(self) -> None:
        self.account = self.store.write_now(add_user)
        self.other = self.store.write_now(lambda tx: add_user(tx, "bob"))
        for box in self.store.read_now(mailboxes.everyone, self.account):
            self.learn(box)
        self.fill(0, [0, SEEN, DELETED, 31], [])
        self.fill(1, [SEEN, DELETED], ["$Junk"])

    def named(self, which: int) -> str:
        """The name of one of the mailboxes that are there, full ones first."""
        order = sorted(self.model, key=lambda name: (not self.model[name].messages, name))
        return order[which % len(order)]

    def learn(self, box: mailboxes.Mailbox) -> Box:
        """A mailbox under a name, as it is new: its UIDVALIDITY was never seen."""
        assert box.uidvalidity not in self.uidvalidities
        self.uidvalidities.add(box.uidvalidity)
        made = self.model[box.name] = Box(box.id, box.uidvalidity)
        return made

    def some(self, box: Box, which: list[bool]) -> list[int]:
        """Some UIDs of a mailbox, by a pattern that repeats."""
        return [uid for at, uid in enumerate(sorted(box.messages)) if which[at % len(which)]]

    def grown(self, modseq: int) -> None:
        assert modseq > self.modseq
        self.modseq = modseq

    # -- messages

    def put(self, name: str, token: str, flags: int, words: list[str]) -> None:
        box = self.model[name]
        with Body.of(message(token)) as body:
            where: str | int = name if self.count % 2 else box.id

            def work(tx: Tx) -> Placed:
                return put(tx, body, self.account, where, flags=flags, keyword_names=words, prefix=b"P: 1\r\n")

            placed = self.store.write_now(work, bodies=[body])
        assert (placed.mailbox_id, placed.uidvalidity, placed.uid) == (box.id, box.uidvalidity, box.uidnext)
        self.grown(placed.modseq)
        box.messages[placed.uid] = Message(token, placed.email_id, flags, folded(words), placed.modseq)
        box.uidnext += 1

    @rule(box=boxes, flags=st.lists(flag_sets, min_size=1, max_size=5), words=word_sets)
    def append(self, box: int, flags: list[int], words: list[str]) -> None:
        self.fill(box, flags, words)

    def fill(self, box: int, flags: list[int], words: list[str]) -> None:
        for bits in flags:
            self.count += 1
            self.put(self.named(box), f"new {self.count}", bits, words)

    @rule(box=boxes, which=st.integers(1, 10))
    def append_equal_bytes(self, box: int, which: int) -> None:
        self.put(self.named(box), f"new {which}", 0, [])

    @rule(source=boxes, goal=boxes, which=chosen, moving=st.booleans(), beyond=st.booleans())
    def copy_or_move(self, source: int, goal: int, which: list[bool], moving: bool, beyond: bool) -> None:
        here, there = self.model[self.named(source)], self.model[self.named(goal)]
        uids = self.some(here, which)
        ranges = messages.to_ranges(uids)
        if beyond and uids and uids[-1] == max(here.messages):
            ranges[-1] = (ranges[-1][0], 0xFFFFFFFF)
        act = messages.move if moving else messages.copy
        done = self.store.write_now(act, here.id, ranges, there.id)
        assert done.uidvalidity == there.uidvalidity
        assert done.sources == uids
        assert done.targets == list(range(there.uidnext, there.uidnext + len(uids)))
        carried = [here.messages[uid] for uid in uids]
        there.uidnext += len(uids)
        added = {
            uid: Message(m.token, m.email, m.flags, m.words, 0) for uid, m in zip(done.targets, carried, strict=True)
        }
        there.messages.update(added)
        if moving:
            for uid in uids:
                del here.messages[uid]
        self.learn_modseqs(there, added)

    def learn_modseqs(self, box: Box, changed: Sequence[int] | dict[int, Message]) -> None:
        """What changed has one new MODSEQ; it is read back, and must be the mailbox's highest so far."""
        rows = dict(self.store.read_now(messages.changed_since, box.id, self.modseq))
        assert sorted(rows) == sorted(changed)
        assert len(set(rows.values())) <= 1
        for uid, modseq in rows.items():
            box.messages[uid].modseq = modseq
        self.modseq = max(self.modseq, self.store.read_now(account_modseq, self.account))

    @rule(where=boxes, which=chosen, mode=st.sampled_from("+-="), flags=flag_sets, words=word_sets, since=st.booleans())
    def change_flags(self, where: int, which: list[bool], mode: str, flags: int, words: list[str], since: bool) -> None:
        box = self.model[self.named(where)]
        uids = self.some(box, which)
        limit = sorted(m.modseq for m in box.messages.values())[len(box.messages) // 2] if since and uids else None
        refused = [uid for uid in uids if limit is not None and box.messages[uid].modseq > limit]
        changed = []
        for uid in uids:
            if uid in refused:
                continue
            m = box.messages[uid]
            if mode == "=":
                new = (flags, folded(words))
            elif mode == "+":
                new = (m.flags | flags, m.words | folded(words))
            else:
                new = (m.flags & ~flags, m.words - folded(words))
            if new != (m.flags, m.words):
                m.flags, m.words = new
                changed.append(uid)
        done = self.store.write_now(messages.set_flags, box.id, messages.to_ranges(uids), mode, flags, words, limit)
        assert (done.changed, done.refused) == (changed, refused)
        assert bool(done.modseq) == bool(changed)
        self.learn_modseqs(box, changed)

    @rule(where=boxes, which=chosen, only_deleted=st.booleans())
    def expunge(self, where: int, which: list[bool], only_deleted: bool) -> None:
        box = self.model[self.named(where)]
        uids = self.some(box, which)
        ranges = messages.to_ranges(uids)

        def work(tx: Tx) -> list[int]:
            return messages.remove(tx, box.id, ranges, only_deleted=only_deleted)

        gone = [uid for uid in uids if not only_deleted or box.messages[uid].flags & DELETED]
        assert self.store.write_now(work) == gone
        for uid in gone:
            del box.messages[uid]
        self.learn_modseqs(box, [])

    # -- mailboxes

    @rule(name=names)
    def create(self, name: str) -> None:
        try:
            box = self.store.write_now(mailboxes.create, self.account, name)
        except Exists:
            assert name in self.model
            return
        assert name not in self.model
        self.learn_new()
        assert self.model[name].id == box.id

    def learn_new(self) -> None:
        for box in self.store.read_now(mailboxes.everyone, self.account):
            if box.name not in self.model:
                self.learn(box)
        self.modseq = max(self.modseq, self.store.read_now(account_modseq, self.account))

    @rule(source=boxes, new=names)
    def rename(self, source: int, new: str) -> None:
        old = self.named(source)
        try:
            self.store.write_now(mailboxes.rename, self.account, old, new)
        except (Missing, Exists, Invalid):
            return
        moved = {n: b for n, b in self.model.items() if n == old or n.startswith(old + "/")}
        for name in moved:
            del self.model[name]
        now = {b.name: b for b in self.store.read_now(mailboxes.everyone, self.account)}
        for name, box in moved.items():
            under = now[new + name[len(old) :]]
            assert under.id == box.id
            assert under.uidvalidity not in self.uidvalidities
            self.uidvalidities.add(under.uidvalidity)
            box.uidvalidity = under.uidvalidity
            self.model[under.name] = box
        self.learn_new()

    @rule(box=boxes)
    def delete(self, box: int) -> None:
        name = self.named(box)

        def work(tx: Tx) -> None:
            messages.remove_mailbox(tx, mailboxes.get(tx, self.account, name))

        if name == "INBOX":
            with pytest.raises(Invalid):
                self.store.write_now(work)
            return
        gone = self.model.pop(name)
        sql = (
            "select email_id from membership where mailbox_id = ?1"
            " union select email_id from tombstone where mailbox_id = ?1"
        )
        was_there = {row[0] for row in self.store.read_now(Tx.all, sql, gone.id)}
        before = self.store.read_now(Tx.value, "select modseq from account where id = ?", self.account)
        self.store.write_now(work)
        self.old.pop(gone.id, None)
        self.changed_elsewhere(was_there, before)
        self.learn_new()

    def changed_elsewhere(self, emails: set[int], before: int) -> None:
        """Of messages that were in a removed mailbox nothing is remembered there: they count as changed now."""
        for box in self.model.values():
            for uid, one in box.messages.items():
                if one.email in emails:
                    sql = "select modseq from membership where mailbox_id = ? and uid = ?"
                    one.modseq = self.store.read_now(Tx.value, sql, box.id, uid)
                    assert one.modseq > before

    # -- what the janitor does meanwhile

    @rule()
    def forget_blobs(self) -> None:
        self.store.write_now(lambda tx: blobs.forget(tx, tx.now + 1, 100))

    @rule()
    def rewrite_segments(self) -> None:
        for segment in self.store.read_now(Tx.all, "select id from segment where sealed"):
            some = self.store.read_now(compact.living, segment[0], 0, 1000)
            found = compact.copies(self.store, some)
            assert self.store.write_now(compact.move, found, bodies=[b for _, b in found]) == len(some)
            for _, body in found:
                body.close()
            self.store.write_now(compact.drop, segment[0])
        compact.remove_files(self.store, grace=-1)

    @rule(box=boxes, back=st.integers(0, 10), limit=st.sampled_from((1, 1000)))
    def forget_tombstones(self, box: int, back: int, limit: int) -> None:
        where = (self.model[self.named(box)].id, self.modseq - back)
        self.store.write_now(messages.forget_tombstones, where, limit)

    @rule()
    def look(self) -> None:
        """Sessions keep what they saw here, and catch up later."""
        self.old = {box.id: self.store.read_now(snapshot.load, box.id) for box in self.model.values()}

    # -- what must hold after every step

    @invariant()
    def the_store_is_the_model(self) -> None:
        if self.model:
            self.store.read_now(self.compare)

    def compare(self, tx: Tx) -> None:
        there = {box.name: box for box in mailboxes.everyone(tx, self.account)}
        assert set(there) == set(self.model)
        for name, box in self.model.items():
            stored = there[name]
            assert (stored.id, stored.uidvalidity, stored.uidnext) == (box.id, box.uidvalidity, box.uidnext)
            assert stored.total == len(box.messages)
            assert stored.unseen == sum(not m.flags & SEEN for m in box.messages.values())
            assert stored.deleted == sum(bool(m.flags & DELETED) for m in box.messages.values())
            rows = messages.fetch(tx, box.id, messages.ALL, ("uid", "flags", "keywords", "modseq", "email_id"))
            assert [(r[0], r[1], folded(keywords.names_of(tx, r[2])), r[3], r[4]) for r in rows] == [
                (uid, m.flags, m.words, m.modseq, m.email) for uid, m in sorted(box.messages.items())
            ]
            now = snapshot.load(tx, box.id)
            assert list(now.uids) == sorted(box.messages)
            if box.id in self.old:
                advanced = snapshot.advance(tx, self.old[box.id])
                assert same(advanced, now)
        user = accounts.by_id(tx, self.account)
        held = {m.email: m.token for box in self.model.values() for m in box.messages.values()}
        assert user is not None
        assert user.messages == len(held)
        assert user.used == sum(len(message(token)) + len(b"P: 1\r\n") for token in held.values())

    @rule(where=boxes)
    def read_all(self, where: int) -> None:
        box = self.model[self.named(where)]
        want = [b"P: 1\r\n" + message(m.token) for _, m in sorted(box.messages.items())]
        assert bytes_in(self.store, box.id) == want

    @rule(where=boxes)
    def nobody_copies_to_another_user(self, where: int) -> None:
        theirs = self.store.read_now(mailboxes.get, self.other, "INBOX")
        with pytest.raises(Missing):
            self.store.write_now(messages.copy, self.model[self.named(where)].id, messages.ALL, theirs.id)

    def teardown(self) -> None:
        try:
            if self.model:
                clean(self.store)
        finally:
            self.store.close()
            self.folder.cleanup()


def account_modseq(tx: Tx, account: int) -> int:
    value: int = tx.value("select modseq from account where id = ?", account)
    return value


def same(one: snapshot.Snapshot, two: snapshot.Snapshot) -> bool:
    return (one.uids, one.states, one.uidvalidity, one.uidnext, one.modseq, one.unseen) == (
        two.uids, two.states, two.uidvalidity, two.uidnext, two.modseq, two.unseen
    )  # fmt: skip


TestMailboxes = Mailboxes.TestCase
TestMailboxes.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMailboxes.pytestmark = [pytest.mark.timeout(300)]


class ManyMailboxes(Mailboxes):
    """The same for much longer."""


TestManyMailboxes = ManyMailboxes.TestCase
TestManyMailboxes.settings = settings(
    max_examples=2000, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManyMailboxes.pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
