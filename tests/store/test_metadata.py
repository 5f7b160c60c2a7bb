"""Metadata of mailboxes and of the server: names, what stays and goes with a mailbox, and how much there may be."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from daemon.store import accounts, mailboxes, messages, metadata
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx
from tests.store.stage import add_user, memory, undone

ALICE, CAROL = 1, 2
COMMENT = "/private/comment"


@pytest.fixture(scope="module")
def shared() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        yield tx


@pytest.fixture
def tx(shared: Tx) -> Iterator[Tx]:
    with undone(shared) as tx:
        yield tx


def limited(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr(metadata, "LIMITS", dataclasses.replace(LIMITS, **limits))


def box(tx: Tx, name: str, account: int = ALICE) -> int:
    return mailboxes.get(tx, account, name).id


def test_entries_are_set_changed_and_removed_of_mailboxes_and_of_the_server(tx: Tx) -> None:
    sent, of_carol = box(tx, "Sent"), box(tx, "Sent", CAROL)
    assert metadata.value(tx, ALICE, sent, COMMENT) is None
    assert metadata.set(tx, ALICE, sent, {"/Private/Comment": "größe".encode()}) == [COMMENT]
    assert metadata.set(tx, ALICE, None, {COMMENT: b"mine", "/shared/comment": b""}) == [COMMENT, "/shared/comment"]
    assert metadata.set(tx, ALICE, None, {COMMENT: b"mine", "/shared/comment": b"all"}) == ["/shared/comment"]
    assert metadata.value(tx, ALICE, sent, COMMENT) == "größe"
    assert metadata.value(tx, ALICE, None, "/PRIVATE/comment") == "mine"
    for account, mailbox in ((CAROL, of_carol), (CAROL, sent), (CAROL, None), (ALICE, of_carol)):
        assert metadata.value(tx, account, mailbox, COMMENT) is None
    assert metadata.set(tx, ALICE, sent, {COMMENT: None, "/shared/none": None}) == [COMMENT]
    assert metadata.value(tx, ALICE, sent, COMMENT) is None
    assert metadata.set(tx, ALICE, sent, {COMMENT: b"\xff\x00"}) and metadata.value(tx, ALICE, sent, COMMENT) == "�\0"
    assert metadata.wrong(tx, 10) == []
    for mailbox in (of_carol, 9999):
        with pytest.raises(Missing):
            metadata.set(tx, ALICE, mailbox, {COMMENT: b"x"})


def test_names_are_looked_for_at_a_depth(tx: Tx) -> None:
    names = ["/shared/a", "/shared/a/b", "/shared/a/b/c", "/shared/ab"]
    metadata.set(tx, ALICE, None, dict.fromkeys(reversed(names), b"x"))
    for depth, found in ((0, names[:1]), (1, names[:2]), (2, names[:3])):
        assert [name for name, _ in metadata.get(tx, ALICE, None, ["/Shared/A"], depth=depth)] == found
    for depth, found in ((0, []), (1, ["/shared/a", "/shared/ab"]), (2, names)):
        assert [name for name, _ in metadata.get(tx, ALICE, None, ["/shared"], depth=depth)] == found
    assert [name for name, _ in metadata.get(tx, ALICE, None, ["/shared/ab", "/shared/a", "/shared/ab"])] == [
        "/shared/a", "/shared/ab",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["", "/", "comment", "/comment", "/private", "/private/", "/shared/a//b", "/shared/a/", "/privates/a", "/shared/*",
     "/shared/a%", "/shared/vendor", "/shared/admin",
     "/private/Vendor/x", "/shared/\t", "/shared/é", "/shared/\u212a", "x/shared/a",
     "/shared/" + "a" * LIMITS.metadata_name],
)  # fmt: skip
def test_names_that_no_entry_has(tx: Tx, name: str) -> None:
    with pytest.raises(Invalid):
        metadata.set(tx, ALICE, None, {name: b"x"})


def test_they_stay_with_a_mailbox_that_is_renamed_and_go_with_it(tx: Tx) -> None:
    old = mailboxes.create(tx, ALICE, "Old").id
    metadata.set(tx, ALICE, old, {COMMENT: b"x"})
    metadata.set(tx, ALICE, None, {COMMENT: b"server"})
    mailboxes.rename(tx, ALICE, "Old", "New")
    assert metadata.value(tx, ALICE, box(tx, "New"), COMMENT) == "x"
    messages.remove_mailbox(tx, mailboxes.get(tx, ALICE, "New"))
    assert tx.value("select count(*) from metadata") == 1
    metadata.set(tx, ALICE, box(tx, "Sent"), {COMMENT: b"sent"})
    metadata.set(tx, CAROL, None, {COMMENT: b"carol"})
    accounts.remove(tx, ALICE)
    assert tx.all("select account_id, value from metadata") == [(CAROL, b"carol")]


def test_what_a_mailbox_is_for_is_an_entry(tx: Tx) -> None:
    sent, mine = box(tx, "Sent"), mailboxes.create(tx, ALICE, "Mine").id
    assert metadata.value(tx, ALICE, sent, metadata.SPECIAL_USE) == "\\Sent"
    assert metadata.value(tx, CAROL, sent, metadata.SPECIAL_USE) is None
    assert metadata.set(tx, ALICE, sent, {metadata.SPECIAL_USE: None}) == [metadata.SPECIAL_USE]
    assert metadata.set(tx, ALICE, mine, {metadata.SPECIAL_USE: b"\\sent"}) == [metadata.SPECIAL_USE]
    assert metadata.set(tx, ALICE, mine, {metadata.SPECIAL_USE: b"\\Sent"}) == []
    assert mailboxes.for_use(tx, ALICE, "\\Sent") == "Mine" and metadata.everything(tx, ALICE, sent) == []
    for mailbox, use in ((mine, b"\\Flagged"), (mine, b"\\Sent \\Trash"), (box(tx, "INBOX"), b"\\Sent")):
        with pytest.raises(metadata.BadUse):
            metadata.set(tx, ALICE, mailbox, {metadata.SPECIAL_USE: use})
    assert tx.value("select count(*) from metadata") == 0


@pytest.mark.parametrize(
    "limits,values,reason",
    [
        ({"metadata_value": 10}, {"/shared/a": b"x" * 11}, "too-large"),
        ({"metadata_entries": 2}, {"/shared/a": b"", "/shared/b": b"", "/shared/c": b""}, "too-many"),
        ({"metadata_total": 4}, {"/shared/a": b"", "/shared/b": b""}, "no-room"),
        ({"metadata_storage": 61}, {"/shared/a": b"x" * 11}, "no-room"),
    ],
)
def test_a_user_has_room_for_so_much_metadata(
    tx: Tx, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], values: dict[str, bytes], reason: str
) -> None:
    for mailbox in (box(tx, "Sent"), box(tx, "Trash"), box(tx, "Junk")):
        metadata.set(tx, ALICE, mailbox, {"/shared/a": b"12345"})
    limited(monkeypatch, **limits)
    with undone(tx), pytest.raises(metadata.NoRoom) as caught:
        metadata.set(tx, ALICE, None, values)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, str(again)) == (reason, str(caught.value))
    metadata.set(tx, ALICE, None, {name: None for name in values})
    metadata.set(tx, ALICE, box(tx, "Sent"), {"/shared/a": b"54321"})
    if reason == "no-room":
        metadata.set(tx, CAROL, None, values)
