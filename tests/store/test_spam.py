"""What the filter learns: against a model whatever the order, and from what a user does with his mail."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daemon.limits import LIMITS
from daemon.store import accounts, blobs, mailboxes, messages, spam
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.store.stage import add_user, box_id, clean, deliver, memory, message

ALICE, BOB = 1, 2
owners = st.sampled_from((spam.HOUSE, ALICE, BOB))
mails = st.binary(min_size=24, max_size=24).map(lambda b: b[:1] * 24)
classes = st.sampled_from(("ham", "spam"))
sources = st.sampled_from(("moved", "keyword", "given"))
token_sets = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 20), max_size=30)


def dump(tx: Tx) -> list[list[tuple[Any, ...]]]:
    return [
        tx.all("select account_id, identity, class, source, tokens from spam_trained order by account_id, identity"),
        tx.all("select * from spam_token order by 1, 2"),
        tx.all("select * from spam_learnt order by 1"),
    ]


class Lessons(RuleBasedStateMachine):
    """What was learnt is a dict; the sums are counted anew from it after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = memory()
        self.tx = self.stage.__enter__()
        assert [add_user(self.tx), add_user(self.tx, "bob")] == [ALICE, BOB]
        self.model: dict[tuple[int, bytes], tuple[str, frozenset[int], str]] = {}

    def teardown(self) -> None:
        self.stage.__exit__(None, None, None)

    @rule(owner=owners, mail=mails, class_=classes, tokens=token_sets, source=sources)
    def learn(self, owner: int, mail: bytes, class_: str, tokens: list[int], source: str) -> None:
        known = self.model.get((owner, mail))
        if known is not None and known[0] == class_:
            assert not spam.learn(self.tx, owner, mail, class_, tokens, source)
            kept = source if source != "keyword" and known[2] == "keyword" else known[2]
            self.model[owner, mail] = (class_, known[1], kept)
            return
        before = dump(self.tx)
        assert spam.learn(self.tx, owner, mail, class_, tokens, source)
        if known is None:  # there and back again: the identical table
            assert spam.forget(self.tx, owner, mail)
            assert dump(self.tx) == before
            spam.learn(self.tx, owner, mail, class_, tokens, source)
        self.model[owner, mail] = (class_, frozenset(tokens), source)

    @rule(owner=owners, mail=mails, class_=classes, source=sources, whatever=st.booleans())
    def forget(self, owner: int, mail: bytes, class_: str, source: str, whatever: bool) -> None:
        known = self.model.get((owner, mail))
        goes = known is not None and (whatever or (known[0], known[2]) == (class_, source))
        assert spam.forget(self.tx, owner, mail, None if whatever else (class_, source)) == goes
        if goes:
            del self.model[owner, mail]

    @rule(owner=owners, tokens=st.integers(1, 60))
    def forget_some(self, owner: int, tokens: int) -> None:
        gone = spam.forget_some(self.tx, owner, tokens)
        left = {r[0] for r in self.tx.all("select identity from spam_trained where account_id = ?", owner)}
        there = {mail for whose, mail in self.model if whose == owner}
        assert left <= there and len(there - left) == gone and bool(gone) == bool(there)
        for mail in there - left:
            del self.model[owner, mail]

    @invariant()
    def the_sums_are_those_of_the_model(self) -> None:
        sums: dict[str, Counter[tuple[int, int]]] = {"ham": Counter(), "spam": Counter()}
        many: dict[str, Counter[int]] = {"ham": Counter(), "spam": Counter()}
        for (owner, _), (class_, tokens, _) in self.model.items():
            sums[class_].update((owner, token) for token in tokens)
            many[class_][owner] += 1
        tokens_there = sums["ham"].keys() | sums["spam"].keys()
        trained, counted, learnt = dump(self.tx)
        assert counted == sorted((*key, sums["ham"][key], sums["spam"][key]) for key in tokens_there)
        assert learnt == sorted((o, many["ham"][o], many["spam"][o]) for o in many["ham"].keys() | many["spam"].keys())
        assert [(r[0], r[1], r[2], r[3]) for r in trained] == sorted(
            (*key, class_, source) for key, (class_, _, source) in self.model.items()
        )
        assert all(spam.wrong(self.tx, owner) == [] for owner in spam.owners(self.tx))


TestLessons = Lessons.TestCase
TestLessons.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_user_is_judged_by_the_house_s_lessons_and_his_own() -> None:
    with memory() as tx:
        alice, bob = add_user(tx), add_user(tx, "bob")
        assert spam.counts(tx, alice, (1, 2)) is None
        spam.learn(tx, alice, b"1" * 24, "spam", (1, 2, 3))
        spam.learn(tx, spam.HOUSE, b"1" * 24, "spam", (1,))
        spam.learn(tx, spam.HOUSE, b"2" * 24, "ham", (1, 4))
        assert spam.counts(tx, alice, (1, 2, 4, 5)) == (1, 2, {1: (1, 2), 2: (0, 1), 4: (1, 0)})
        assert spam.counts(tx, bob, (1, 2, 4, 5)) == (1, 1, {1: (1, 1), 4: (1, 0)})
        many = tuple(range(1, 2000))
        spam.learn(tx, bob, b"3" * 24, "ham", many)
        found = spam.counts(tx, bob, many)
        assert found is not None and len(found.tokens) == 1999 and found.tokens[1] == (2, 1)


def test_the_oldest_lessons_of_a_class_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(LIMITS), "spam_lessons", 3)
    with memory() as tx:
        alice = add_user(tx)
        spam.learn(tx, alice, b"h" * 24, "ham", (99,))
        for number in range(10):
            spam.learn(tx, alice, bytes([number]) * 24, "spam", (number, 100))
        assert spam.counts(tx, alice, tuple(range(101))) == (
            1,
            3,
            {7: (0, 1), 8: (0, 1), 9: (0, 1), 99: (1, 0), 100: (0, 3)},
        )
        assert spam.wrong(tx, alice) == []


# -- from what a user does ---------------------------------------------------------------------------------------------


class House:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.alice = store.write_now(add_user)

    def put(self, text: str = "hello", mailbox: str = "INBOX", **more: Any) -> int:
        return deliver(self.store, self.alice, message(text), mailbox, **more).uid

    def flag(self, uid: int, mode: str, *words: str, box: str = "INBOX") -> None:
        self.store.write_now(messages.set_flags, box_id(self.store, self.alice, box), [(uid, uid)], mode, 0, words)

    def queue(self) -> list[tuple[str, str]]:
        return self.store.read_now(Tx.all, "select lesson, source from spam_lesson order by blob_id")

    def learn(self, tokens: tuple[int, ...] = (1, 2)) -> None:
        """As the worker does, with the number of the blob for an identity."""
        while claimed := self.store.write_now(spam.claim, self.alice, 10):
            read = [spam.Learnt(one, one.blob_id.to_bytes(24), tokens) for one in claimed]
            self.store.write_now(spam.learn_all, self.alice, read)

    def learnt(self) -> list[tuple[str, str]]:
        clean(self.store)
        return self.store.read_now(Tx.all, "select class, source from spam_trained order by identity")


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.mark.parametrize(
    "words,said",
    [
        ([], ""), (["$Junk"], "spam"), (["junk"], "spam"), (["JUNK", "Work"], "spam"), (["$NotJunk"], "ham"),
        (["NonJunk"], "ham"), (["notjunk"], "ham"), (["$Junk", "$NotJunk"], ""), (["Junk", "NonJunk", "x"], ""),
        (["JunkRecorded"], ""), (["$Phishing"], ""),
    ],
)  # fmt: skip
def test_what_keywords_say(words: list[str], said: str) -> None:
    assert spam.said_by(words) == said


def test_a_keyword_is_a_lesson_and_its_end_ends_it(house: House) -> None:
    uid = house.put()
    house.flag(uid, "+", "Work")
    assert house.queue() == []
    house.flag(uid, "+", "$Junk")
    assert house.queue() == [("spam", "keyword")]
    house.flag(uid, "-", "$junk")
    assert house.queue() == [("not-spam", "keyword")]
    house.learn()
    assert house.learnt() == []
    house.flag(uid, "+", "Junk")
    house.learn()
    assert house.learnt() == [("spam", "keyword")]
    house.flag(uid, "=", "NonJunk")
    house.learn()
    assert house.learnt() == [("ham", "keyword")]
    house.flag(uid, "-", "NonJunk")
    house.learn()
    assert house.learnt() == [] and house.queue() == []


def test_what_thunderbird_does_with_one_message(house: House) -> None:
    """It sets its keyword and takes the other away, before or after the move."""
    uid = house.put()
    house.flag(uid, "+", "Junk")
    house.flag(uid, "-", "NonJunk")
    move(house, uid, "INBOX", "Junk")
    assert house.queue() == [("spam", "moved")]
    house.learn()
    house.flag(1, "+", "NonJunk", box="Junk")
    house.flag(1, "-", "Junk", box="Junk")
    assert house.queue() == [("ham", "keyword")]
    move(house, 1, "Junk", "INBOX")
    assert house.queue() == [("ham", "moved")]
    house.learn()
    assert house.learnt() == [("ham", "moved")]


def test_the_end_of_a_keyword_does_not_end_what_a_move_taught(house: House) -> None:
    uid = house.put()
    house.flag(uid, "+", "$Junk")
    move(house, uid, "INBOX", "Junk")
    house.flag(1, "-", "$Junk", box="Junk")
    assert house.queue() == [("spam", "moved")]
    house.learn()
    house.flag(1, "+", "$Junk", box="Junk")
    house.flag(1, "-", "$Junk", box="Junk")
    house.learn()
    assert house.learnt() == [("spam", "moved")]


def move(house: House, uid: int, source: str, target: str, *, moving: bool = True) -> None:
    """As IMAP does it: what was carried is a lesson in the same transaction."""

    def work(tx: Tx) -> None:
        here, there = mailboxes.get(tx, house.alice, source), mailboxes.get(tx, house.alice, target)
        done = (messages.move if moving else messages.copy)(tx, here.id, [(uid, uid)], there.id)
        roles = mailboxes.role(tx, here), mailboxes.role(tx, there)
        spam.carried(tx, house.alice, roles, there.id, done.targets)

    house.store.write_now(work)


def test_an_expunge_at_once_loses_no_lesson(house: House) -> None:
    """Nor do rounds of the janitor, long after the grace."""
    uid = house.put()
    move(house, uid, "INBOX", "Junk")
    house.store.write_now(messages.remove, box_id(house.store, house.alice, "Junk"))
    assert house.store.write_now(lambda tx: blobs.forget(tx, tx.now + 10**9, 10)) == 0
    house.learn()
    assert house.learnt() == [("spam", "moved")]
    assert house.store.write_now(lambda tx: blobs.forget(tx, tx.now + 10**9, 10)) == 1
    assert house.learnt() == [("spam", "moved")]


def test_a_lesson_that_changes_while_it_is_learnt_waits_on(house: House) -> None:
    uid = house.put()
    move(house, uid, "INBOX", "Junk")
    (claimed,) = house.store.write_now(spam.claim, house.alice, 10)
    move(house, 1, "Junk", "INBOX")
    read = spam.Learnt(claimed, claimed.blob_id.to_bytes(24), (1,))
    house.store.write_now(spam.learn_all, house.alice, [read])
    assert house.queue() == [("ham", "moved")] and house.learnt() == []
    house.learn()
    assert house.learnt() == [("ham", "moved")]


def test_what_was_begun_before_is_tried_last_and_alone(house: House) -> None:
    for number in range(3):
        move(house, house.put(f"m{number}"), "INBOX", "Junk")
    first = house.store.write_now(spam.claim, house.alice, 2)
    assert len(first) == 2
    third = house.store.write_now(spam.claim, house.alice, 2)
    assert [one.tries for one in third] == [0]
    assert {one.blob_id for one in (*first, *third)} == {1, 2, 3}
    again = [house.store.write_now(spam.claim, house.alice, 2) for _ in range(4)]
    assert [[one.tries for one in claimed] for claimed in again] == [[1], [1], [1], [2]]


def test_a_user_who_goes_takes_everything_along(house: House) -> None:
    bob = house.store.write_now(lambda tx: add_user(tx, "bob"))
    deliver(house.store, bob, message("kept"))
    move(house, house.put(), "INBOX", "Junk")
    house.learn()
    move(house, house.put("more"), "INBOX", "Junk")
    for owner in (bob, spam.HOUSE):
        house.store.write_now(spam.learn, owner, b"x" * 24, "ham", (1,))
    house.store.write_now(messages.purge, house.alice, 100)
    house.store.write_now(accounts.remove, house.alice)
    assert house.store.read_now(spam.owners) == [spam.HOUSE, bob]
    clean(house.store)


@pytest.mark.parametrize(
    "sql,says",
    [
        ("update spam_token set spam = spam + 1 where token = 1", "tokens of spam"),
        ("delete from spam_token where token = 2", "tokens of spam"),
        ("update spam_token set token = 3 where token = 2", "tokens of spam"),
        ("update spam_learnt set ham = ham + 1", "2 messages are counted as ham, 1"),
        ("delete from spam_learnt", "0 messages are counted as"),
        ("delete from spam_trained where class = 'ham'", "1 messages are counted as ham, 0"),
        ("update spam_trained set class = 'ham'", "1 messages are counted as spam, 0"),
        ("insert into spam_token values (99, 1, 1, 0)", "belong to nobody"),
    ],
)
def test_the_checker_proves_the_sums(house: House, sql: str, says: str) -> None:
    for class_, tokens in (("spam", (1, 2)), ("ham", (1, 9))):
        house.store.write_now(spam.learn, house.alice, class_.encode() * 6, class_, tokens)
    clean(house.store)
    house.store.write_now(Tx.run, sql)
    found = [one for one in check(house.store) if one.reason == "lessons-wrong"]
    assert any(says in one.text for one in found), found


@pytest.mark.parametrize(
    "name,role",
    [("Junk", "\\Junk"), ("Junk/2026", "\\Junk"), ("Junk/2026/Old", "\\Junk"), ("Trash/x", "\\Trash"),
     ("Work/Junk", ""), ("INBOX", ""), ("Junkyard", "")],
)  # fmt: skip
def test_what_lies_below_junk_is_junk_too(house: House, name: str, role: str) -> None:
    def work(tx: Tx) -> str:
        box = mailboxes.find(tx, house.alice, name) or mailboxes.create(tx, house.alice, name)
        return mailboxes.role(tx, box)

    assert house.store.write_now(work) == role
