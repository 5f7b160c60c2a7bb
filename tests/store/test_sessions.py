"""Who is logged in, as it is written down; and the number by which sessions know that they are over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.store import accounts, domains, sessions
from daemon.store.accounts import Key
from daemon.store.sessions import Row
from daemon.store.tx import Tx
from tests.store.stage import DOMAIN, add_user, address, memory

ALICE, CAROL = 1, 2


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        accounts.add_app_password(tx, ALICE, "phone", b"1", Key(b"2", b"3"))
        yield tx


def listed(tx: Tx, account: int | None = None) -> list[tuple[str, str, str | None]]:
    return [(one.user.partition("@")[0], one.protocol, one.app_password) for one in sessions.everyone(tx, account)]


def test_sessions_come_and_go_by_their_numbers(tx: Tx) -> None:
    sessions.note(tx, [Row(1, CAROL, "imap", "192.0.2.1", None, 5), Row(2, ALICE, "pop3", "192.0.2.2", 1, 6)], [])
    assert listed(tx) == [("alice", "pop3", "phone"), ("carol", "imap", None)]
    assert listed(tx, CAROL) == [("carol", "imap", None)]
    sessions.note(tx, [Row(3, CAROL, "smtp", "192.0.2.1", None, 7)], [1])
    assert listed(tx) == [("alice", "pop3", "phone"), ("carol", "smtp", None)]
    sessions.note(tx, [Row(1, CAROL, "imap", "192.0.2.1", None, 8)], [], True)
    assert listed(tx) == [("carol", "imap", None)], "of another server"


def test_who_is_gone_meanwhile_is_not_written_and_hinders_no_other(tx: Tx) -> None:
    accounts.remove_app_password(tx, ALICE, "phone")
    came = [Row(1, 99, "imap", "x", None, 1), Row(2, ALICE, "imap", "x", 1, 1)]
    sessions.note(tx, came, [])
    assert listed(tx) == [("alice", "imap", None)]
    accounts.remove(tx, ALICE)
    assert listed(tx) == []


def test_an_epoch_ends_and_app_passwords_with_it_unless_they_are_kept(tx: Tx) -> None:
    before = accounts.credentials(tx, address(f"alice@{DOMAIN}"))
    assert before is not None and sessions.epochs(tx, [ALICE, CAROL]) == {ALICE: before.epoch, CAROL: 0}
    sessions.end(tx, ALICE, keep_app_passwords=True)
    assert [one.name for one in accounts.app_passwords(tx, ALICE)] == ["phone"]
    sessions.end(tx, ALICE, keep_app_passwords=False)
    after = accounts.credentials(tx, address(f"alice@{DOMAIN}"))
    assert after is not None and after.epoch == before.epoch + 2 and after.keys == () and after.version > before.version
    assert sessions.epochs(tx, [ALICE, CAROL]) == {ALICE: after.epoch, CAROL: 0}
    assert ALICE in tx.changes.accounts


def test_who_may_not_be_logged_in_has_no_epoch(tx: Tx) -> None:
    accounts.change(tx, ALICE, enabled=0)
    assert sessions.epochs(tx, [ALICE, CAROL, 99]) == {CAROL: 0}
    domains.change(tx, DOMAIN, enabled=0)
    assert sessions.epochs(tx, [ALICE, CAROL]) == {}
