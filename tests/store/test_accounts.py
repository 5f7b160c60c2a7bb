"""Users, credentials, room, forwards; and the domains and aliases around them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import accounts, aliases, domains, mailboxes
from daemon.store.accounts import Key, Password
from daemon.store.errors import Exists, Invalid, Missing, OverQuota
from daemon.store.tx import Tx
from tests.store.stage import add_user, address, memory, undone

PASSWORD = Password("$argon2id$x", b"salt", 4096, b"stored", b"server")
ALICE = address("alice@example.org")


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        domains.add(tx, "example.org")
        accounts.add(tx, ALICE, PASSWORD, display_name="Alice")
        tx.changes.accounts.clear()
        yield tx


def version(tx: Tx) -> int:
    found = accounts.credentials(tx, ALICE)
    assert found is not None
    return found.version


def test_a_new_user_is_found_by_any_case_of_his_address(tx: Tx) -> None:
    account = accounts.get(tx, address("ALICE@example.org"))
    assert account == accounts.by_id(tx, 1)
    assert (account.display_name, account.enabled, account.admin, account.quota) == ("Alice", True, False, None)
    assert account.address == ALICE
    assert [a.local for a in accounts.everyone(tx)] == ["alice"]
    assert accounts.everyone(tx, "other.org") == []
    assert accounts.by_id(tx, 2) is None
    with pytest.raises(Missing, match="mailctl user list"):
        accounts.get(tx, address("bob@example.org"))
    assert mailboxes.find(tx, 1, "INBOX") is not None


def test_who_cannot_be_added(tx: Tx) -> None:
    with pytest.raises(Exists, match="already"):
        accounts.add(tx, address("Alice@example.org"), None)
    with pytest.raises(Missing, match="no domain other.org"):
        accounts.add(tx, address("a@other.org"), None)
    domains.change(tx, "example.org", max_users=1)
    with pytest.raises(Invalid, match="1 users already"):
        accounts.add(tx, address("bob@example.org"), None)


def test_every_change_of_a_credential_is_seen_by_caches(tx: Tx) -> None:
    seen = [version(tx)]

    def changed() -> bool:
        seen.append(version(tx))
        told = tx.changes.accounts == {1}
        tx.changes.accounts.clear()
        return seen[-1] > seen[-2] and told

    accounts.set_password(tx, 1, PASSWORD)
    assert changed()
    accounts.add_app_password(tx, 1, "phone", b"digest", Key(b"s", b"k", scopes="imap smtp"))
    assert changed()
    accounts.remove_app_password(tx, 1, "phone")
    assert changed()
    accounts.change(tx, 1, enabled=0)
    assert changed()
    accounts.change(tx, 1, display_name="A")
    assert not changed()
    with pytest.raises(Invalid, match="no colour"):
        accounts.change(tx, 1, colour="red")


def test_credentials_are_found_under_alias_domains_too(tx: Tx) -> None:
    domains.add(tx, "alias.org", alias_of="example.org")
    found = accounts.credentials(tx, address("Alice@alias.org"))
    assert found is not None
    assert (found.account_id, found.address, found.enabled, found.password_hash) == (1, ALICE, True, PASSWORD.hash)
    assert found.keys == (Key(b"stored", b"server"),)
    domains.change(tx, "example.org", enabled=0)
    off = accounts.credentials(tx, ALICE)
    assert off is not None and not off.enabled
    assert accounts.credentials(tx, address("bob@example.org")) is None
    assert accounts.credentials(tx, address("alice@else.org")) is None


def test_app_passwords_expire_and_have_names(tx: Tx) -> None:
    number = accounts.add_app_password(tx, 1, "phone", b"d1", Key(b"s1", b"k1", scopes="imap"), expires_at=tx.now + 5)
    accounts.add_app_password(tx, 1, "laptop", b"d2", Key(b"s2", b"k2"))
    with pytest.raises(Exists):
        accounts.add_app_password(tx, 1, "phone", b"d3", Key(b"s", b"k"))
    assert [p.name for p in accounts.app_passwords(tx, 1)] == ["laptop", "phone"]
    found = accounts.app_password_by_digest(tx, 1, b"d1")
    assert found is not None and (found.id, found.scopes) == (number, "imap")
    assert accounts.app_password_by_digest(tx, 2, b"d1") is None
    known = accounts.credentials(tx, ALICE)
    assert known is not None and {k.scopes for k in known.keys if k.app_password_id} == {"imap", ""}
    tx.now += 5
    assert accounts.app_password_by_digest(tx, 1, b"d1") is None
    known = accounts.credentials(tx, ALICE)
    assert known is not None and len(known.keys) == 2
    with pytest.raises(Missing):
        accounts.remove_app_password(tx, 1, "watch")


def test_a_better_hash_is_kept_only_if_no_credential_changed_meanwhile(tx: Tx) -> None:
    better = Password("$argon2id$better", b"salt", 4096, b"stored2", b"server2")
    accounts.upgrade(tx, 1, version(tx) - 1, better)
    known = accounts.credentials(tx, ALICE)
    assert known is not None and known.password_hash == PASSWORD.hash
    accounts.upgrade(tx, 1, version(tx), better)
    known = accounts.credentials(tx, ALICE)
    assert known is not None and known.password_hash == better.hash
    assert accounts.fake_salt_secret(tx, 5) == accounts.fake_salt_secret(tx, 6) == 5


def test_the_salt_is_shared_by_all_credentials_of_a_user(tx: Tx) -> None:
    assert accounts.scram_salt(tx, 1) == (b"salt", 4096)
    accounts.keep_scram_salt(tx, 1, b"other", 1)
    assert accounts.scram_salt(tx, 1) == (b"salt", 4096)
    bob = add_user(tx, "bob")
    assert accounts.scram_salt(tx, bob) is None
    accounts.keep_scram_salt(tx, bob, b"first", 5000)
    assert accounts.scram_salt(tx, bob) == (b"first", 5000)
    assert accounts.scram_salt(tx, 99) is None


def test_where_a_user_logged_in_is_remembered_for_ninety_days(tx: Tx) -> None:
    bob = add_user(tx, "bob")
    app = accounts.add_app_password(tx, 1, "phone", b"d", Key(b"s", b"k"))
    accounts.logged_in(tx, 1, app, "192.0.2.1")
    accounts.logged_in(tx, bob, None, "192.0.2.2")
    assert accounts.get(tx, ALICE).last_login_at == tx.now
    assert accounts.app_passwords(tx, 1)[0].last_used_from == "192.0.2.1"
    assert accounts.is_good_address(tx, "192.0.2.1")
    assert accounts.is_good_address(tx, "192.0.2.1", 1)
    assert not accounts.is_good_address(tx, "192.0.2.1", bob)
    assert not accounts.is_good_address(tx, "192.0.2.9")
    assert accounts.forget_addresses(tx, tx.now, 10) == 0
    tx.now += LIMITS.good_address * 1000
    accounts.logged_in(tx, bob, None, "192.0.2.2")
    assert not accounts.is_good_address(tx, "192.0.2.1")
    assert accounts.forget_addresses(tx, tx.now, 10) == 1
    assert tx.all("select network from good_address") == [("192.0.2.2",)]


@pytest.mark.parametrize(
    "quota,used,size,default,fits",
    [
        (None, 0, 10, 0, True),
        (None, 90, 10, 100, True),
        (None, 91, 10, 100, False),
        (100, 90, 10, 5, True),
        (100, 91, 10, 5000, False),
        (0, 10**12, 10, 5, True),
    ],
)
def test_room(tx: Tx, quota: int | None, used: int, size: int, default: int, fits: bool) -> None:
    accounts.change(tx, 1, quota=quota)
    tx.run("update account set used = ?", used)
    if fits:
        accounts.check_room(tx, 1, size, default)
    else:
        with pytest.raises(OverQuota):
            accounts.check_room(tx, 1, size, default)
    with pytest.raises(Missing):
        accounts.check_room(tx, 99, size, default)


def test_forwards(tx: Tx) -> None:
    accounts.add_forward(tx, 1, address("a@far.example"))
    with pytest.raises(Exists):
        accounts.add_forward(tx, 1, address("a@far.example"))
    accounts.set_forwards(tx, 1, [address("b@far.example"), address("c@far.example")], keep=False)
    assert [f.address for f in accounts.forwards(tx, 1)] == ["b@far.example", "c@far.example"]
    assert not accounts.get(tx, ALICE).forward_keep
    accounts.remove_forward(tx, 1, address("b@far.example"))
    with pytest.raises(Missing):
        accounts.remove_forward(tx, 1, address("b@far.example"))
    assert [f.enabled for f in accounts.forwards(tx, 1)] == [True]


def test_a_user_goes_with_all_that_is_his(tx: Tx) -> None:
    accounts.add_app_password(tx, 1, "phone", b"d", Key(b"s", b"k"))
    accounts.add_forward(tx, 1, address("a@far.example"))
    accounts.logged_in(tx, 1, None, "192.0.2.1")
    mailboxes.subscribe(tx, 1, "nowhere", True)
    mailboxes.remove_empty(tx, mailboxes.create(tx, 1, "Old"))
    accounts.remove(tx, 1)
    for table in ("account", "app_password", "forward", "good_address", "mailbox", "subscription", "mailbox_tombstone"):
        assert tx.value(f"select count(*) from {table}") == 0, table  # noqa: S608
    again = accounts.add(tx, ALICE, None)
    assert again > 1, "an id is never used twice"


# ------------------------------------------------------------------------------------------------ domains and aliases


def test_domains(tx: Tx) -> None:
    with pytest.raises(Exists):
        domains.add(tx, "example.org")
    domains.add(tx, "b.org", alias_of="example.org")
    assert [d.name for d in domains.everyone(tx)] == ["b.org", "example.org"]
    assert domains.get(tx, "b.org").alias_of == domains.get(tx, "example.org").id
    assert domains.by_id(tx, 1).name == "example.org"
    with pytest.raises(Missing):
        domains.by_id(tx, 99)
    with pytest.raises(Missing, match="mailctl domain add nowhere.org"):
        domains.change(tx, "nowhere.org", enabled=0)
    with pytest.raises(Missing):
        domains.add(tx, "c.org", alias_of="nowhere.org")
    with pytest.raises(Invalid, match="no colour"):
        domains.change(tx, "b.org", colour="red")
    with pytest.raises(Invalid, match="alias domain itself"):
        domains.change(tx, "b.org", alias_of="b.org")
    assert domains.inhabitants(tx, 1) == (1, 0)
    with pytest.raises(Invalid, match="1 users"):
        domains.remove(tx, "example.org")
    accounts.remove(tx, 1)
    aliases.add(tx, address("x@example.org"), [address("y@far.example")])
    with pytest.raises(Invalid, match="1 aliases"):
        domains.remove(tx, "example.org")
    aliases.remove(tx, address("x@example.org"))
    with pytest.raises(Invalid, match="1 alias domains"):
        domains.remove(tx, "example.org")
    domains.remove(tx, "b.org")
    tx.changes.settings = False
    domains.remove(tx, "example.org")
    assert tx.changes.settings
    assert domains.everyone(tx) == []


def test_aliases(tx: Tx) -> None:
    team = address("Team@example.org")
    aliases.add(tx, team, [ALICE, Address("x", "far.example"), ALICE], note="n", expires_at=5)
    assert tx.changes.settings
    found = aliases.get(tx, address("tEAM@example.org"))
    assert (found.address, found.targets, found.note, found.expires_at, found.enabled) == (
        team, ("alice@example.org", "x@far.example"), "n", 5, True
    )  # fmt: skip
    with pytest.raises(Exists, match="alias set"):
        aliases.add(tx, team, [ALICE])
    with pytest.raises(Invalid, match="at least one"), undone(tx):
        aliases.add(tx, address("empty@example.org"), [])
    aliases.change(tx, team, targets=[ALICE], enabled=0, note="", expires_at=None)
    assert aliases.get(tx, team).targets == ("alice@example.org",)
    assert [a.enabled for a in aliases.everyone(tx, "example.org")] == [False]
    assert aliases.everyone(tx, "other.org") == []
    with pytest.raises(Invalid, match="no colour"):
        aliases.change(tx, team, colour="red")
    aliases.remove(tx, team)
    with pytest.raises(Missing, match="mailctl alias list"):
        aliases.remove(tx, team)
    assert tx.value("select count(*) from alias_target") == 0


def test_a_login_of_somebody_who_was_removed_meanwhile_is_not_remembered(tx: Tx) -> None:
    """The record is written behind the answer; a foreign key that failed was a traceback in the log."""
    accounts.logged_in(tx, 4711, None, "192.0.2.0/24")
    assert not accounts.is_good_address(tx, "192.0.2.0/24")
