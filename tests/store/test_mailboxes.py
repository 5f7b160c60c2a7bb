"""Names of mailboxes, what lies below them, subscriptions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from daemon.store import mailboxes
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.mailboxes import normal_name
from daemon.store.tx import Tx
from tests.store.stage import add_user, memory


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx)
        add_user(tx, "bob")
        yield tx


def names(tx: Tx) -> list[str]:
    return mailboxes.names(mailboxes.everyone(tx, 1))


def subscribed(tx: Tx) -> set[str]:
    return set(mailboxes.subscriptions(tx, 1)) - {name for name, _ in mailboxes.STANDARD}


@pytest.mark.parametrize(
    "given,stored",
    [
        ("inbox", "INBOX"),
        ("Inbox/Work", "INBOX/Work"),
        ("Work/", "Work"),
        ("Entwürfe", "Entwürfe"),
        ("a/b/c", "a/b/c"),
        ("inboxes", "inboxes"),
        ("~&$!", "~&$!"),
    ],
)
def test_names_as_they_are_stored(given: str, stored: str) -> None:
    assert normal_name(given) == stored


@pytest.mark.parametrize(
    "bad",
    ["", "/", "/a", "a//b", "a//", "a*", "a%b", "a\nb", "a\x00", "a\x7fb", "a\u2028b", "a\ud800", "x" * 1001, "é" * 501,
     "/".join("x" * 33)],
)  # fmt: skip
def test_names_that_are_refused(bad: str) -> None:
    with pytest.raises(Invalid):
        normal_name(bad)


def test_a_new_user_has_the_standard_mailboxes_with_their_uses(tx: Tx) -> None:
    boxes = mailboxes.everyone(tx, 1)
    assert [(b.name, b.special_use) for b in boxes] == [
        ("INBOX", None), ("Archive", "\\Archive"), ("Drafts", "\\Drafts"), ("Junk", "\\Junk"), ("Sent", "\\Sent"),
        ("Trash", "\\Trash"),
    ]  # fmt: skip
    assert all(b.subscribed and b.uidnext == 1 and not b.total for b in boxes)
    assert len({b.uidvalidity for b in boxes}) == len(boxes)


def test_levels_above_are_made(tx: Tx) -> None:
    made = mailboxes.create(tx, 1, "a/b/c")
    assert made.name == "a/b/c"
    assert names(tx)[-3:] == ["a", "a/b", "a/b/c"]
    with pytest.raises(Exists):
        mailboxes.create(tx, 1, "a/b")
    with pytest.raises(Exists):
        mailboxes.create(tx, 1, "iNbOx")
    assert mailboxes.create(tx, 1, "Ablage", "\\Archive").special_use == "\\Archive"
    with pytest.raises(Invalid):
        mailboxes.create(tx, 1, "Everything", "\\All")
    with pytest.raises(Missing):
        mailboxes.get(tx, 2, "a/b/c")


def test_a_user_has_so_many_mailboxes_and_no_more(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = LIMITS.imap_mailboxes - len(mailboxes.STANDARD)
    tx.many(
        "insert into mailbox (account_id, name, uidvalidity, modseq, created_modseq) values (1, ?, 1, 1, 1)",
        [(f"box{n}",) for n in range(rest)],
    )
    with pytest.raises(Invalid, match="at most"):
        mailboxes.create(tx, 1, "more")


def test_renaming_takes_along_what_lies_below_and_nothing_else(tx: Tx) -> None:
    for name in ("Work/A/B", "Work2", "Workshop/x"):
        mailboxes.create(tx, 1, name)
    before = {b.name: b for b in mailboxes.everyone(tx, 1)}
    mailboxes.rename(tx, 1, "Work", "Old/Things")
    after = {b.name: b for b in mailboxes.everyone(tx, 1)}
    assert set(after) - set(before) == {"Old", "Old/Things", "Old/Things/A", "Old/Things/A/B"}
    assert set(before) - set(after) == {"Work", "Work/A", "Work/A/B"}
    assert after["Old/Things/A"].id == before["Work/A"].id
    assert after["Old/Things/A"].uidvalidity > max(b.uidvalidity for b in before.values())
    assert after["Work2"] == before["Work2"]


@pytest.mark.parametrize(
    "old,new,error",
    [
        ("Nowhere", "x", Missing),
        ("Work", "work/..", None),
        ("Work", "Work/A/B/C", Invalid),
        ("Work", "Work", Exists),
        ("Work", "inbox", Exists),
        ("INBOX", "Other", Invalid),
        ("Work", "/".join("abcdefghijklmnopqrstuvwxyz123456"), Invalid),
        ("Work/A", "Work", Exists),
        ("Work", "Gone", Exists),
    ],
)
def test_renames_that_cannot_be(tx: Tx, old: str, new: str, error: type[Exception] | None) -> None:
    mailboxes.create(tx, 1, "Work/A/B")
    mailboxes.create(tx, 1, "Gone/A")
    mailboxes.remove_empty(tx, mailboxes.get(tx, 1, "Gone"))  # what lay below stays
    if error is None:
        mailboxes.rename(tx, 1, old, new)
        return
    tx.run("savepoint s")
    with pytest.raises(error):
        mailboxes.rename(tx, 1, old, new)
    tx.run("rollback to s")


def test_subscriptions_outlive_their_mailbox_and_wait_for_it(tx: Tx) -> None:
    mailboxes.create(tx, 1, "Work")
    assert subscribed(tx) == set()
    mailboxes.subscribe(tx, 1, "Work", True)
    mailboxes.subscribe(tx, 1, "Not yet", True)
    mailboxes.subscribe(tx, 1, "Not yet", True)
    assert subscribed(tx) == {"Work", "Not yet"}
    mailboxes.remove_empty(tx, mailboxes.get(tx, 1, "Work"))
    assert subscribed(tx) == {"Work", "Not yet"}  # RFC 3501 §6.3.9: the server must not unsubscribe by itself
    assert mailboxes.create(tx, 1, "Not yet").subscribed
    mailboxes.create(tx, 1, "Other")
    mailboxes.rename(tx, 1, "Other", "Work")
    assert mailboxes.get(tx, 1, "Work").subscribed
    for name in ("Work", "Not yet", "Never"):
        mailboxes.subscribe(tx, 1, name, False)
    assert subscribed(tx) == set()
    assert tx.value("select count(*) from subscription") == 0


def test_subscriptions_have_a_limit(tx: Tx) -> None:
    tx.many(
        "insert into subscription (account_id, name) values (1, ?)",
        [(f"n{n}",) for n in range(LIMITS.imap_mailboxes)],
    )
    with pytest.raises(Invalid, match="at most"):
        mailboxes.subscribe(tx, 1, "more", True)
    mailboxes.create(tx, 1, "Work")
    mailboxes.subscribe(tx, 1, "Work", True)
    mailboxes.remove_empty(tx, mailboxes.get(tx, 1, "Work"))
    assert tx.value("select count(*) from subscription") == LIMITS.imap_mailboxes


def test_inbox_stays(tx: Tx) -> None:
    with pytest.raises(Invalid):
        mailboxes.remove_empty(tx, mailboxes.get(tx, 1, "inbox"))


def test_uidvalidity_follows_the_clock_and_never_goes_back() -> None:
    with memory(now=1_800_000_000_000) as tx:
        assert mailboxes.next_uidvalidity(tx) == 1_800_000_000
        assert mailboxes.next_uidvalidity(tx) == 1_800_000_001
        tx.now -= 86_400_000
        assert mailboxes.next_uidvalidity(tx) == 1_800_000_002
        tx.now += 2 * 86_400_000
        assert mailboxes.next_uidvalidity(tx) == 1_800_086_400


def test_modseqs_of_many_are_one_question(tx: Tx) -> None:
    boxes = mailboxes.everyone(tx, 1)
    assert mailboxes.modseqs(tx, [b.id for b in boxes]) == {b.id: b.modseq for b in boxes}
    assert mailboxes.modseqs(tx, [999]) == {}


def test_recent_is_kept_and_counted(tx: Tx) -> None:
    box = mailboxes.get(tx, 1, "INBOX")
    mailboxes.keep_recent(tx, box.id, 5)
    mailboxes.keep_recent(tx, box.id, 3)
    found = mailboxes.by_id(tx, box.id)
    assert found is not None and found.recent_from == 5
    assert mailboxes.count_recent(tx, box.id, 1) == 0
