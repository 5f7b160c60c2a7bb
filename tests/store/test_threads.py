"""Conversations: which message belongs to which, and how many of them a mailbox has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.store import accounts, mailboxes, messages, threads
from daemon.store.db import Store
from daemon.store.keywords import DRAFT, SEEN
from daemon.store.tx import Tx
from tests.store.stage import add_user, box_id, clean, deliver


def mail(subject: str, own: str, *answers: str) -> bytes:
    refs = "References: " + " ".join(f"<{each}@x.example>" for each in answers) + "\r\n" if answers else ""
    return f"Subject: {subject}\r\nMessage-ID: <{own}@x.example>\r\n{refs}\r\nHello.\r\n".encode()


def thread(store: Store, email_id: int) -> int:
    found: int = store.read_now(Tx.value, "select thread_id from email where id = ?", email_id)
    return found


CONVERSATIONS = [
    ("an answer", [("Dinner", "a"), ("Re: Dinner", "b", "a")], [0, 0]),
    ("another subject begins another", [("Dinner", "a"), ("Lunch", "b", "a")], [0, 1]),
    ("a subject alone joins nothing", [("Dinner", "a"), ("Dinner", "b")], [0, 1]),
    ("two answers to what never came", [("Re: Dinner", "b", "a"), ("AW: Dinner", "c", "a")], [0, 1]),
    ("two answers to what never came, alike", [("Re: Dinner", "b", "a"), ("Fwd: Dinner", "c", "a")], [0, 0]),
    ("the first comes last", [("Re: Dinner", "b", "a"), ("Dinner", "a")], [0, 0]),
    ("the nearest decides", [("X", "a"), ("X", "b"), ("Re: X", "c", "a", "b")], [0, 1, 1]),
    ("the same message again", [("Dinner", "a"), ("Dinner", "a")], [0, 0]),
    ("a list's tag", [("[list] Dinner", "a"), ("Re: [list] Dinner", "b", "a"), ("Dinner", "c", "b")], [0, 0, 0]),
]


@pytest.mark.parametrize(("name", "sent", "expected"), CONVERSATIONS, ids=[c[0] for c in CONVERSATIONS])
def test_conversations(store: Store, name: str, sent: list[tuple[str, ...]], expected: list[int]) -> None:
    account = store.write_now(add_user)
    found = [thread(store, deliver(store, account, mail(*each)).email_id) for each in sent]
    first = list(dict.fromkeys(found))
    assert [first.index(each) for each in found] == expected
    clean(store)


def test_another_users_mail_is_another_conversation(store: Store) -> None:
    alice, bob = store.write_now(add_user), store.write_now(add_user, "bob")
    deliver(store, bob, mail("Other", "x"))
    one, two = deliver(store, alice, mail("Dinner", "a")), deliver(store, bob, mail("Dinner", "a"))
    three = deliver(store, bob, mail("Re: Dinner", "b", "a"))
    assert thread(store, two.email_id) == thread(store, three.email_id) != thread(store, one.email_id)


def test_a_message_without_ids_is_alone(store: Store) -> None:
    account = store.write_now(add_user)
    one, two = (deliver(store, account, b"Subject: x\r\n\r\n%d" % n) for n in range(2))
    assert thread(store, one.email_id) != thread(store, two.email_id)


def test_a_thread_has_so_many_messages_and_the_next_begins_another(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "LIMITS", replace(LIMITS, thread_emails=3))
    account = store.write_now(add_user)
    names = ["a", "b", "c", "d", "e"]
    sent = [mail("X", name, *names[:at]) for at, name in enumerate(names)]
    found = [thread(store, deliver(store, account, each).email_id) for each in sent]
    assert found[0] == found[1] == found[2] != found[3] == found[4]
    clean(store)


def test_only_the_nearest_references_find_a_thread(store: Store) -> None:
    account = store.write_now(add_user)
    first = thread(store, deliver(store, account, mail("X", "a")).email_id)
    unknown = [f"n{n}" for n in range(LIMITS.thread_keys)]
    near = deliver(store, account, mail("X", "b", "a", *unknown[:-1]))
    assert thread(store, near.email_id) == first
    far = deliver(store, account, mail("X", "c", "a", *(f"o{n}" for n in range(LIMITS.thread_keys))))
    assert thread(store, far.email_id) != first


def counted(store: Store, box: int) -> tuple[int | None, int | None, int]:
    found = store.read_now(mailboxes.by_id, box)
    assert found is not None
    if found.threads is not None:
        assert store.read_now(threads.count_all, box)[1:] == (found.threads, found.unread_threads)
    return found.threads, found.unread_threads, found.unread


def test_a_mailbox_counts_its_threads(store: Store) -> None:
    account = store.write_now(add_user)
    inbox, archive = box_id(store, account), box_id(store, account, "Archive")
    deliver(store, account, mail("X", "a"))
    deliver(store, account, mail("Re: X", "b", "a"))
    assert counted(store, inbox) == (1, 1, 2)
    deliver(store, account, mail("Y", "c"), flags=SEEN)
    deliver(store, account, mail("Z", "d"), flags=DRAFT)
    assert counted(store, inbox) == (3, 1, 2)
    store.write_now(messages.set_flags, inbox, [(1, 1)], "+", SEEN)
    assert counted(store, inbox) == (3, 1, 1)
    store.write_now(messages.set_flags, inbox, [(1, 2)], "+", SEEN)
    assert counted(store, inbox) == (3, 0, 0)
    store.write_now(messages.move, inbox, [(1, 1)], archive)
    assert counted(store, inbox) == (3, 0, 0) and counted(store, archive) == (1, 0, 0)
    store.write_now(messages.move, inbox, [(2, 3)], archive)
    assert counted(store, inbox) == (1, 0, 0) and counted(store, archive) == (2, 0, 0)
    store.write_now(messages.set_flags, archive, messages.ALL, "=", 0)
    assert counted(store, archive) == (2, 2, 3)
    clean(store)


def test_after_a_large_change_threads_are_counted_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LIMITS", replace(LIMITS, step=2))
    account = store.write_now(add_user)
    inbox = box_id(store, account)
    for n in range(3):
        deliver(store, account, mail(f"X{n}", f"a{n}"))
    store.write_now(messages.set_flags, inbox, messages.ALL, "+", SEEN)
    assert counted(store, inbox) == (None, None, 0)
    modseq, total, unread = store.read_now(threads.count_all, inbox)
    deliver(store, account, mail("Y", "b"))
    store.write_now(threads.remember, inbox, modseq, total, unread)
    assert counted(store, inbox) == (None, None, 1)  # it has changed since it was counted
    store.write_now(threads.remember, inbox, *store.read_now(threads.count_all, inbox))
    assert counted(store, inbox) == (4, 1, 1)
    clean(store)


def test_keys_of_threads_that_are_gone_are_swept(store: Store) -> None:
    account = store.write_now(add_user)
    inbox = box_id(store, account)
    deliver(store, account, mail("X", "a"))
    deliver(store, account, mail("Y", "b"))
    store.write_now(messages.remove, inbox, [(1, 1)])
    after: int | None = -(1 << 63)
    rounds = 0
    while after is not None:
        after = store.write_now(threads.sweep, after, 1)
        rounds += 1
    assert rounds == 3
    assert store.read_now(Tx.value, "select count(*) from thread_key") == 1


def test_mail_of_before_gets_its_threads(store: Store) -> None:
    """Schema step `jmap`: as if all had been put one after the other."""
    account = store.write_now(add_user)
    sent = [("X", "a"), ("Re: X", "b", "a"), ("Y", "c"), ("Re: X", "d", "b"), ("X", "e")]
    for each in sent:
        deliver(store, account, mail(*each))
    before = store.read_now(Tx.all, "select id, thread_id from email")
    rows = store.read_now(Tx.all, "select uid, thread_id, received_at from membership")
    keys = store.read_now(Tx.all, "select * from thread_key order by key")

    def anew(tx: Tx) -> None:
        tx.run("delete from thread_key")
        tx.run("update email set thread_id = 0")
        tx.run("update membership set thread_id = 0, received_at = 0")
        threads.assign_all(tx)

    store.write_now(anew)
    assert store.read_now(Tx.all, "select id, thread_id from email") == before
    assert store.read_now(Tx.all, "select uid, thread_id, received_at from membership") == rows
    assert store.read_now(Tx.all, "select * from thread_key order by key") == keys
    assert store.read_now(accounts.by_id, account) is not None
