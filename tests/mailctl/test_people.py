"""user, domain, alias, forward, address: who is here, and where mail for an address goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon import passwords
from daemon.mail.address import parse_address
from daemon.store import accounts, factors, sessions, web_sessions
from daemon.store.sessions import Row
from daemon.store.tx import Tx
from tests.mailctl.conftest import Ctl, message


def test_a_user_is_added_with_a_password_from_standard_input_a_file_or_not_at_all(ctl: Ctl, tmp_path: Path) -> None:
    ctl.ok("domain", "add", "example.org")
    secret = tmp_path / "secret"
    secret.write_text("from the file\nsecond line\n")
    ctl.ok("user", "add", "a@example.org", "--password-stdin", input="from stdin\r\n")
    ctl.ok("user", "add", "b@example.org", "--password-file", str(secret))
    ctl.ok("user", "add", "c@example.org", "--no-password")
    store = ctl.store()
    found = [
        store.read_now(accounts.credentials, parse_address(f"{name}@example.org")).password_hash  # type: ignore[union-attr]
        for name in "abc"
    ]
    store.close()
    assert found[0] is not None and passwords.verify("from stdin", found[0])
    assert found[1] is not None and passwords.verify("from the file", found[1])
    assert found[2] is None


def test_nobody_is_asked_for_a_password_without_a_terminal(town: Ctl) -> None:
    assert "--password-stdin" in town.fails(64, "user", "add", "carol@example.org")
    assert "two sources" in town.fails(
        64, "user", "add", "carol@example.org", "--password-stdin", "--password-file", "x", input="x\n"
    )
    assert "the password is empty" in town.fails(
        65, "user", "passwd", "bob@example.org", "--password-stdin", input="\n"
    )
    assert "octets" in town.fails(65, "user", "passwd", "bob@example.org", "--password-stdin", input="x" * 3000)


def test_a_user_is_shown_with_documented_keys(town: Ctl) -> None:
    town.ok("user", "set", "alice@example.org", "--quota", "1.5G")
    shown = town.json("user", "show", "ALICE@Example.org")
    assert shown == {
        "address": "alice@example.org", "display_name": "Alice", "enabled": True, "admin": True,
        "quota": 1610612736, "room": 1610612736, "used": 0, "messages": 0, "forwards": [], "keep": True,
        "allowance": 1, "app_passwords": 0, "created_at": shown["created_at"], "last_login_at": None,
    }  # fmt: skip
    assert shown["created_at"].endswith("Z")
    text = town.ok("user", "show", "alice@example.org")
    assert "Alice" in text and "1.5 GiB" in text


def test_a_quota_is_a_size_none_or_the_default(town: Ctl) -> None:
    town.ok("config", "set", "limits.quota", "2G")
    for word, want in (("none", (0, 0)), ("default", (None, 2 << 30)), ("10M", (10 << 20, 10 << 20))):
        changed = town.json("user", "set", "bob@example.org", "--quota", word)
        assert (changed["quota"], changed["room"]) == want
    assert "is not a size" in town.fails(65, "user", "set", "bob@example.org", "--quota", "much")
    assert "nothing to set" in town.fails(64, "user", "set", "bob@example.org")


def test_users_are_listed_by_domain(town: Ctl) -> None:
    town.ok("domain", "add", "example.net")
    town.ok("user", "add", "zoe@example.net", "--no-password")
    assert [u["address"] for u in town.lines("user", "list", "--domain", "example.net")] == ["zoe@example.net"]
    town.fails(1, "user", "list", "--domain", "example.com")


def test_a_user_who_is_disabled_gets_no_mail_until_enabled(town: Ctl) -> None:
    town.ok("user", "disable", "bob@example.org")
    assert town("address", "test", "bob@example.org").exit_code == 1
    assert town.json("user", "show", "bob@example.org")["enabled"] is False
    town.ok("user", "enable", "bob@example.org")
    town.ok("address", "test", "bob@example.org")


def test_a_user_goes_with_all_his_mail_when_that_was_confirmed(town: Ctl, letter: Path) -> None:
    for _ in range(3):
        letter.write_bytes(message(number=_))
        town.ok("mail", "deliver", str(letter), "--to", "bob@example.org")
    town.ok("alias", "add", "info@example.org", "bob@example.org")
    assert "--yes" in town.fails(64, "user", "rm", "bob@example.org")
    dry = town.ok("user", "rm", "bob@example.org", "--dry-run")
    assert "3 messages" in dry and "info@example.org" in dry
    assert town.json("user", "rm", "bob@example.org", "--dry-run")["dry_run"] is True
    assert town.json("user", "show", "bob@example.org")["messages"] == 3
    gone = town.json("user", "rm", "bob@example.org", "--yes")
    assert (gone["messages"], gone["mailboxes"], gone["aliases"]) == (3, 6, ["info@example.org"])
    town.fails(1, "user", "show", "bob@example.org")
    assert town.lines("mail", "list") == []
    town.ok("doctor", "--store")


def test_users_to_remove_are_read_from_standard_input(town: Ctl) -> None:
    town.ok("user", "rm", "-", "--yes", input="bob@example.org\nalice@example.org bob@example.org\n")
    assert town.lines("user", "list") == []


def test_an_app_password_is_shown_once_and_can_be_taken_away(town: Ctl) -> None:
    made = town.json(
        "user", "app-password", "add", "alice@example.org", "phone", "--scope", "imap", "--scope", "smtp",
        "--expires", "90d",
    )  # fmt: skip
    assert len(made["password"]) == 20 and made["scopes"] == ["imap", "smtp"]
    listed = town.lines("user", "app-password", "list", "alice@example.org")
    assert [(p["name"], p["password"]) for p in listed] == [("phone", None)]
    assert made["password"] not in town.ok("user", "app-password", "list", "alice@example.org")
    assert "already" in town.fails(65, "user", "app-password", "add", "alice@example.org", "phone")
    assert "scope" in town.fails(65, "user", "app-password", "add", "alice@example.org", "x", "--scope", "ftp")
    assert "past" in town.fails(65, "user", "app-password", "add", "alice@example.org", "x", "--expires", "2001-01-01")
    town.ok("user", "app-password", "rm", "alice@example.org", "phone", "--yes")
    town.fails(1, "user", "app-password", "rm", "alice@example.org", "phone", "--yes")


def test_an_app_password_logs_in_and_the_password_goes_on(town: Ctl) -> None:
    town.ok("user", "passwd", "bob@example.org", "--password-stdin", input="first\n")
    made = town.json("user", "app-password", "add", "bob@example.org", "phone")
    town.ok("user", "passwd", "bob@example.org", "--password-stdin", input="second\n")
    store = town.store()
    kept = store.read_now(accounts.credentials, parse_address("bob@example.org"))
    assert kept is not None
    found = store.read_now(accounts.app_password_by_digest, kept.account_id, passwords.digest(made["password"]))
    store.close()
    assert found is not None and found.name == "phone"
    assert len(kept.keys) == 2, "one SCRAM key for the password, one for the app password, under one salt"


@pytest.mark.parametrize("name", ["", " ", "two\nlines"])
def test_an_app_password_has_a_name_of_one_line(town: Ctl, name: str) -> None:
    town.fails(65, "user", "app-password", "add", "bob@example.org", name)


# ------------------------------------------------------------------------------------------------------------- domains


def test_a_domain_is_kept_in_a_labels_and_shown_in_letters(ctl: Ctl) -> None:
    made = ctl.json("domain", "add", "Bücher.example")
    assert (made["name"], made["display"]) == ("xn--bcher-kva.example", "bücher.example")
    assert "bücher.example" in ctl.ok("domain", "list")
    assert ctl.json("domain", "show", "XN--BCHER-KVA.example")["display"] == "bücher.example"
    assert "there already" in ctl.fails(65, "domain", "add", "bücher.example")
    for wrong in ("", "a b.example", "[127.0.0.1]", "a..b", "a@b.example"):
        ctl.fails(65, "domain", "add", wrong)


def test_a_domain_has_a_catch_all_separators_and_a_limit(town: Ctl) -> None:
    changed = town.json(
        "domain", "set", "example.org", "--catch-all", "bob@example.org", "--separators", "+-", "--max-users", "2"
    )
    assert (changed["catch_all"], changed["separators"], changed["max_users"]) == (["bob@example.org"], "+-", 2)
    assert town.json("address", "test", "anything@example.org")["mailboxes"] == ["bob@example.org"]
    assert town.json("address", "test", "alice-tag@example.org")["mailboxes"] == ["alice@example.org"]
    assert "2 users" in town.fails(65, "user", "add", "carol@example.org", "--no-password")
    changed = town.json("domain", "set", "example.org", "--no-catch-all", "--max-users", "0")
    assert (changed["catch_all"], changed["max_users"]) == ([], None)
    assert town("address", "test", "anything@example.org").exit_code == 1
    assert "separate" in town.fails(65, "domain", "set", "example.org", "--separators", "a")
    town.fails(64, "domain", "set", "example.org")
    town.fails(64, "domain", "set", "example.org", "--catch-all", "bob@example.org", "--no-catch-all")


def test_an_alias_domain_stands_for_another_until_it_does_not(town: Ctl) -> None:
    town.ok("domain", "add", "example.net", "--alias-of", "example.org")
    assert town.json("address", "test", "bob@example.net")["mailboxes"] == ["bob@example.org"]
    assert town.json("domain", "show", "example.net")["alias_of"] == "example.org"
    town.ok("user", "rm", "alice@example.org", "--yes")
    town.ok("domain", "add", "empty.example")
    town.ok("domain", "add", "stands.example", "--alias-of", "empty.example")
    assert "alias domains" in town.fails(65, "domain", "rm", "empty.example", "--yes")
    town.ok("domain", "set", "example.net", "--alias-of", "")
    assert town("address", "test", "bob@example.net").exit_code == 1
    town.fails(1, "domain", "add", "example.com", "--alias-of", "nowhere.example")


def test_a_domain_goes_only_when_it_is_empty(town: Ctl) -> None:
    assert "2 users" in town.fails(65, "domain", "rm", "example.org", "--yes")
    assert "2 users" in town.ok("domain", "rm", "example.org", "--dry-run")
    town.ok("user", "rm", "alice@example.org", "bob@example.org", "--yes")
    town.ok("domain", "rm", "example.org", "--yes")
    assert town.lines("domain", "list") == []
    town.fails(1, "domain", "rm", "example.org", "--yes")


def test_a_disabled_domain_takes_nothing(town: Ctl) -> None:
    town.ok("domain", "disable", "example.org")
    assert town("address", "test", "bob@example.org").exit_code == 1
    town.ok("domain", "enable", "example.org")
    town.ok("address", "test", "bob@example.org")


# ------------------------------------------------------------------------------------------------------------- aliases


def test_an_alias_has_targets_a_note_and_a_term(town: Ctl) -> None:
    made = town.json(
        "alias",
        "add",
        "shop-x7@example.org",
        "alice@example.org",
        "x@else.example",
        "--note",
        "shop",
        "--expires",
        "90d",
    )
    assert made["targets"] == ["alice@example.org", "x@else.example"]
    assert made["note"] == "shop" and made["expires_at"] > made["created_at"] and made["expired"] is False
    changed = town.json(
        "alias", "set", "shop-x7@example.org", "--add", "bob@example.org", "--remove", "X@else.example",
        "--expires", "never", "--note", "",
    )  # fmt: skip
    assert changed["targets"] == ["alice@example.org", "bob@example.org"]
    assert (changed["expires_at"], changed["note"]) == (None, "")
    assert town.json("alias", "set", "shop-x7@example.org", "--target", "bob@example.org")["targets"] == [
        "bob@example.org"
    ]
    town.fails(1, "alias", "set", "shop-x7@example.org", "--remove", "nobody@else.example")
    town.fails(65, "alias", "set", "shop-x7@example.org", "--remove", "bob@example.org")
    town.fails(64, "alias", "set", "shop-x7@example.org")


def test_an_alias_that_has_expired_is_refused_and_says_so(town: Ctl) -> None:
    town.ok("alias", "add", "old@example.org", "alice@example.org", "--expires", "2001-01-01")
    assert town.json("alias", "show", "old@example.org")["expired"] is True
    assert "expired" in town.ok("alias", "list")
    assert "has expired" in town("address", "test", "old@example.org").stdout


def test_an_alias_that_is_disabled_is_refused_at_once(town: Ctl) -> None:
    town.ok("alias", "add", "info@example.org", "alice@example.org")
    town.ok("address", "test", "info@example.org")
    town.ok("alias", "disable", "info@example.org")
    assert town("address", "test", "info@example.org").exit_code == 1
    town.ok("alias", "enable", "info@example.org")
    town.ok("address", "test", "info@example.org")


def test_aliases_are_found_by_what_they_lead_to(town: Ctl) -> None:
    town.ok("alias", "add", "info@example.org", "alice@example.org")
    town.ok("alias", "add", "sales@example.org", "bob@example.org", "alice@example.org")
    town.ok("alias", "add", "*@example.org", "bob@example.org")
    assert [a["address"] for a in town.lines("alias", "list", "--to", "bob@example.org")] == [
        "*@example.org", "sales@example.org",
    ]  # fmt: skip
    assert town.json("domain", "show", "example.org")["catch_all"] == ["bob@example.org"]


@pytest.mark.parametrize(
    "code, alias, target",
    [
        (65, "bob@example.org", "alice@example.org"),
        (1, "info@example.com", "alice@example.org"),
        (65, "info", "alice@example.org"),
        (65, "info@example.org", "alice"),
        (65, "taken@example.org", "alice@example.org"),
    ],
)
def test_an_alias_that_cannot_be_is_not_made(town: Ctl, code: int, alias: str, target: str) -> None:
    town.ok("alias", "add", "taken@example.org", "alice@example.org")
    town.fails(code, "alias", "add", alias, target)


# ------------------------------------------------------------------------------------------------------------ forwards


def test_mail_is_forwarded_with_and_without_a_kept_copy(town: Ctl) -> None:
    town.ok("forward", "add", "bob@example.org", "bob@home.example", "--no-keep")
    found = town.json("address", "test", "bob@example.org")
    assert found["mailboxes"] == []
    assert [(o["address"], o["via"]) for o in found["onward"]] == [("bob@home.example", "bob@example.org")]
    town.ok("forward", "set", "bob@example.org", "--keep")
    assert town.json("address", "test", "bob@example.org")["mailboxes"] == ["bob@example.org"]
    town.ok("forward", "set", "bob@example.org", "one@home.example", "two@home.example")
    listed = town.lines("forward", "list", "bob@example.org")
    assert [f["address"] for f in listed] == ["one@home.example", "two@home.example"]
    assert town.lines("forward", "list", "--user", "bob@example.org") == listed == town.lines("forward", "list")


def test_forwarding_ends_for_one_address_or_for_all(town: Ctl) -> None:
    town.ok("forward", "add", "bob@example.org", "one@home.example", "two@home.example")
    town.fails(64, "forward", "rm", "bob@example.org", "--yes")
    assert town.json("forward", "rm", "bob@example.org", "one@home.example", "--yes")["removed"] == ["one@home.example"]
    town.fails(1, "forward", "rm", "bob@example.org", "one@home.example", "--yes")
    assert "two@home.example" in town.ok("forward", "rm", "bob@example.org", "--all", "--dry-run")
    town.ok("forward", "rm", "bob@example.org", "--all", "--yes")
    assert town.lines("forward", "list") == []


def test_a_user_cannot_be_forwarded_to_himself(town: Ctl) -> None:
    town.fails(65, "forward", "add", "bob@example.org", "BOB@example.org")
    town.fails(65, "forward", "set", "bob@example.org", "bob@example.org")
    town.fails(64, "forward", "set", "bob@example.org")
    town.fails(1, "forward", "add", "nobody@example.org", "x@home.example")


# ------------------------------------------------------------------------------------------------------------- address


def test_the_resolver_says_each_step_and_the_refusal(town: Ctl) -> None:
    refused = town("address", "test", "nobody@example.org", "--json")
    assert refused.exit_code == 1
    found = json.loads(refused.stdout)
    assert found["refusal"] == {"code": 550, "enhanced": "5.1.1", "reason": "unknown-user", "text": "no such user here"}
    assert (found["accepted"], found["ours"]) == (False, True)
    assert "550 5.1.1" in town("address", "test", "nobody@example.org").stdout


def test_a_stranger_may_not_relay_but_our_user_may(town: Ctl) -> None:
    assert town("address", "test", "x@else.example").exit_code == 1
    assert town("address", "test", "x@else.example", "--from", "stranger@far.example").exit_code == 1
    town.ok("route", "add", "--from", "example.org", "relay.example:2525")
    found = town.json("address", "test", "x@else.example", "--from", "bob+tag@example.org")
    assert found["onward"] == [{"address": "x@else.example", "via": "bob@example.org", "route": "relay.example:2525"}]


def test_a_user_whose_mail_is_forwarded_may_still_send(town: Ctl) -> None:
    town.ok("forward", "add", "bob@example.org", "bob@home.example", "--no-keep")
    town.ok("address", "test", "x@else.example", "--from", "bob@example.org")


def test_postmaster_without_a_domain_reaches_the_administrator(town: Ctl) -> None:
    assert town.json("address", "test", "postmaster")["mailboxes"] == ["alice@example.org"]
    assert "is not an address" in town.fails(65, "address", "test", "nobody")


# ---------------------------------------------------------------------------------------------------------- two-factor


def test_two_factor_is_shown_and_turned_off(town: Ctl) -> None:
    def enrol(tx: Tx) -> None:
        factors.put_secret(tx, 2, b"sealed")
        factors.confirm(tx, 2, b"sealed", 1)
        factors.turn_on(tx, 2)
        factors.set_recovery_codes(tx, 2, [bytes(32)])
        web_sessions.begin(tx, 2, bytes(32), "totp", "192.0.2.1", "Lynx/1", epoch=0, idle=60, age=60)

    store = town.store()
    store.write_now(enrol)
    store.close()
    on = town.json("user", "two-factor", "bob@example.org")
    assert on == on | {"user": "bob@example.org", "program": True, "passkeys": 0, "recovery_codes": 1}
    assert on["since_at"] and "on, since" in town.ok("user", "two-factor", "bob@example.org")
    assert "Two-factor" in town.ok("user", "show", "bob@example.org")
    assert "Two-factor" not in town.ok("user", "show", "alice@example.org")
    (session,) = town.lines("session", "list")
    assert (session["protocol"], session["agent"], session["peer"]) == ("web", "Lynx/1", "192.0.2.1")
    town.fails(64, "user", "two-factor", "bob@example.org", "off")
    town.fails(64, "user", "two-factor", "bob@example.org", "on")
    town.fails(1, "user", "two-factor", "nobody@example.org", "off", "--yes")
    dry = town.ok("user", "two-factor", "bob@example.org", "off", "--dry-run")
    assert "an authenticator program, 0 passkeys, 1 recovery code" in dry
    town.ok("user", "two-factor", "bob@example.org", "off", "--yes")
    assert town.json("user", "two-factor", "bob@example.org")["since_at"] is None
    assert town.lines("session", "list") == [] and "off" in town.ok("user", "two-factor", "bob@example.org")


# ------------------------------------------------------------------------------------------------------------ sessions


def test_an_allowance_is_set_and_shown(town: Ctl) -> None:
    for text, want, says in (("10", 10, "10 times what"), ("none", 0, "without limit"), ("default", 1, "")):
        assert town.json("user", "set", "bob@example.org", "--allowance", text)["allowance"] == want
        assert says in town.ok("user", "show", "bob@example.org")
    for text in ("0", "-1", "1.5", "much", "123456", ""):
        town.fails(65, "user", "set", "bob@example.org", "--allowance", text)


def test_sessions_of_a_server_that_does_not_run_are_none_and_can_be_ended(town: Ctl) -> None:
    store = town.store()
    store.write_now(sessions.note, [Row(1, 2, "imap", "192.0.2.1", None, 1)], [])
    store.close()
    assert town.lines("session", "list") == []
    for name in ("phone", "desk"):
        town.ok("user", "app-password", "add", "bob@example.org", name)
    town.fails(64, "session", "kill", "bob@example.org")
    town.fails(1, "session", "kill", "bob@example.org", "nobody@example.org", "--yes")
    town.fails(1, "session", "list", "--user", "nobody@example.org")
    assert "revoked: desk, phone" in town.ok("session", "kill", "bob@example.org", "--dry-run")
    kept = town.json("session", "kill", "bob@example.org", "--keep-app-passwords", "--yes")
    assert kept == {"user": "bob@example.org", "sessions": 0, "app_passwords": []}
    assert len(town.lines("user", "app-password", "list", "bob@example.org")) == 2
    said = town.ok("session", "kill", "-", "--yes", input="alice@example.org bob@example.org")
    assert "ended 0 sessions of bob@example.org; app passwords revoked: desk, phone" in said
    assert town.lines("user", "app-password", "list", "bob@example.org") == []
