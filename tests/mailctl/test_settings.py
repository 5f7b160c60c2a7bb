"""config, ban, route, cert: how the server is set up."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from daemon.admin import pem
from daemon.config import SETTINGS
from daemon.store import certificates, routes
from tests.mailctl.conftest import Ctl


def test_every_setting_is_listed_and_described(ctl: Ctl) -> None:
    listed = ctl.lines("config", "list")
    assert [s["key"] for s in listed] == list(SETTINGS)
    for key, row in SETTINGS.items():
        described = ctl.json("config", "describe", key)
        assert (described["type"], described["effect"], described["restart"]) == (row.type, row.effect, row.restart)
    assert "Takes effect" in ctl.ok("config", "describe", "listen.smtp")


def test_a_setting_is_got_set_and_unset(ctl: Ctl) -> None:
    assert ctl.ok("config", "get", "queue.lifetime") == "5d\n"
    changed = ctl.json("config", "set", "queue.lifetime", "2d")
    assert changed == {"key": "queue.lifetime", "old": "5d", "value": "2d", "restart": False}
    assert ctl.ok("config", "get", "queue.lifetime") == "2d\n"
    assert [s["key"] for s in ctl.lines("config", "diff")] == ["queue.lifetime"]
    assert [s["key"] for s in ctl.lines("config", "list", "--changed")] == ["queue.lifetime"]
    assert ctl.json("config", "unset", "queue.lifetime")["value"] == "5d"
    assert ctl.lines("config", "diff") == []


def test_a_listener_says_that_it_needs_a_restart(ctl: Ctl) -> None:
    assert "must be restarted" in ctl.ok("config", "set", "listen.imap", "127.0.0.1:143,[::1]:143")
    assert "must be restarted" not in ctl.ok("config", "set", "listen.imap", "127.0.0.1:143,[::1]:143")
    assert ctl.json("config", "set", "listen.imap", "off")["restart"] is True


@pytest.mark.parametrize(
    "key, value",
    [
        ("queue.retry", "5x"),
        ("limits.message_size", "big"),
        ("auth.require_tls", "perhaps"),
        ("listen.smtp", "nonsense"),
        ("hostname", "not a name"),
        ("smtp.trusted_networks", "192.0.2.0/99"),
        ("tls.key", "relative/path"),
        ("smtp.bare_newline", "keep"),
    ],
)
def test_a_bad_value_changes_nothing_and_ends_with_78(ctl: Ctl, key: str, value: str) -> None:
    before = ctl.ok("config", "get", key)
    assert ctl.fails(78, "config", "set", key, value).startswith(f"{key}: ")
    assert ctl.ok("config", "get", key) == before


@pytest.mark.parametrize("verb", ["get", "unset", "describe", "history"])
def test_a_setting_that_is_not_there_ends_with_1_and_the_nearest_is_named(ctl: Ctl, verb: str) -> None:
    assert "did you mean hostname?" in ctl.fails(1, "config", verb, "hostnam")
    ctl.fails(1, "config", "set", "xyzzy", "1")


def test_changes_are_remembered_and_reverted(ctl: Ctl) -> None:
    for value in ("1d", "2d"):
        ctl.ok("config", "set", "queue.lifetime", value)
    ctl.ok("config", "set", "queue.lifetime", "2d")  # no change
    newest, first = ctl.lines("config", "history", "queue.lifetime")
    assert [(c["old"], c["new"]) for c in (first, newest)] == [(None, "1d"), ("1d", "2d")]
    assert first["who"] and first["at"].endswith("Z")
    assert "1d" in ctl.ok("config", "revert", str(newest["id"]), "--dry-run")
    assert ctl.ok("config", "get", "queue.lifetime") == "2d\n"
    ctl.ok("config", "revert", str(newest["id"]))
    assert ctl.ok("config", "get", "queue.lifetime") == "1d\n"
    ctl.ok("config", "revert", str(first["id"]))
    assert ctl.lines("config", "diff") == []
    ctl.fails(1, "config", "revert", "4711")


def test_settings_that_were_spoilt_by_hand_can_be_put_right(ctl: Ctl) -> None:
    ctl.ok("config", "set", "queue.lifetime", "2d")
    store = ctl.store()
    store.write_now(lambda tx: tx.run("update setting set value = 'nonsense'"))
    store.close()
    assert "nonsense" in ctl.lines("config", "diff")[0]["problem"]
    assert any("queue.lifetime" in problem for problem in ctl.json("status")["problems"])
    assert ctl("doctor", "--store").exit_code == 1
    ctl.ok("domain", "add", "example.org")
    assert "queue.lifetime" in ctl.fails(78, "dns", "records", "example.org")
    ctl.ok("config", "set", "queue.lifetime", "3d")
    ctl.ok("doctor", "--store")


# ---------------------------------------------------------------------------------------------------------------- bans


@pytest.mark.parametrize(
    "given, kept",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::/48", "2001:db8::/48"),
    ],
)
def test_a_network_is_banned_as_the_server_looks_for_it(ctl: Ctl, given: str, kept: str) -> None:
    assert ctl.json("ban", "add", given, "--until", "2h", "--reason", "a test")["network"] == kept
    ban = ctl.lines("ban", "list")[0]
    assert (ban["network"], ban["reason"]) == (kept, "a test")
    assert ban["until_at"] > ban["created_at"]
    ctl.ok("ban", "rm", given, "--yes")
    ctl.fails(1, "ban", "rm", given, "--yes")


def test_what_is_no_network_or_half_the_world_is_not_banned(ctl: Ctl) -> None:
    for wrong in ("nonsense", "192.0.2.256", "0.0.0.0/0", "::/0"):
        ctl.fails(65, "ban", "add", wrong)
    ctl.fails(65, "ban", "add", "192.0.2.7", "--until", "2001-01-01")
    ctl.fails(65, "ban", "add", "192.0.2.7", "--until", "soon")


def test_all_bans_are_lifted_only_when_all_is_said(ctl: Ctl) -> None:
    for network in ("192.0.2.1", "192.0.2.2"):
        ctl.ok("ban", "add", network)
    ctl.fails(64, "ban", "rm", "--yes")
    ctl.ok("ban", "rm", "--all", "--dry-run")
    assert len(ctl.lines("ban", "list")) == 2
    ctl.ok("ban", "rm", "--all", "--yes")
    assert ctl.lines("ban", "list") == []


# -------------------------------------------------------------------------------------------------------------- routes


def test_a_route_is_for_a_sender_a_recipient_or_all_mail(ctl: Ctl) -> None:
    ctl.ok("route", "add", "--default", "relay.example")
    ctl.ok("route", "add", "--to", "partner.example", "mx.partner.example:2525", "--tls", "starttls")
    made = ctl.json(
        "route",
        "add",
        "--from",
        "example.org",
        "relay.example",
        "--username",
        "u",
        "--password-stdin",
        input="secret\n",
    )
    assert "password" not in made and (made["port"], made["username"]) == (587, "u")
    assert [(r["kind"], r["pattern"], r["port"]) for r in ctl.lines("route", "list")] == [
        ("default", "*", 25), ("recipient", "partner.example", 2525), ("sender", "example.org", 587),
    ]  # fmt: skip
    assert "secret" not in ctl.ok("route", "list")
    store = ctl.store()
    assert store.read_now(routes.get, made["id"]).password == "secret"
    store.close()
    ctl.fails(65, "route", "add", "--default", "other.example")
    ctl.ok("route", "rm", str(made["id"]), "--yes")
    ctl.fails(1, "route", "rm", str(made["id"]), "--yes")
    ctl.fails(65, "route", "rm", "first", "--yes")
    ctl.ok("route", "rm", "--all", "--yes")
    assert ctl.lines("route", "list") == []


@pytest.mark.parametrize(
    "code, args",
    [
        (64, ["relay.example"]),
        (64, ["--default", "--from", "a.example", "relay.example"]),
        (64, ["--default", "relay.example", "--username", "u"]),
        (64, ["--default", "relay.example", "--tls", "perhaps"]),
        (65, ["--to", "not a domain", "relay.example"]),
        (65, ["--default", "relay.example:99999"]),
    ],
)
def test_a_route_that_cannot_be_is_not_made(ctl: Ctl, code: int, args: list[str]) -> None:
    ctl.fails(code, "route", "add", *args)
    assert ctl.lines("route", "list") == []


# -------------------------------------------------------------------------------------------------------- certificates


@pytest.fixture(scope="module")
def issued() -> trustme.LeafCert:
    return trustme.CA().issue_cert("mail.example.org", "example.org")


def test_a_certificate_is_imported_with_its_key(ctl: Ctl, issued: trustme.LeafCert, tmp_path: Path) -> None:
    chain, key, both = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "both.pem"
    chain.write_bytes(b"comment\n" + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    both.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    made = ctl.json("cert", "import", str(chain), "--key", str(key))
    assert set(made["names"]) == {"mail.example.org", "example.org"}
    assert made["source"] == "imported" and "private_key" not in made
    ctl.ok("cert", "import", str(both))
    listed = ctl.lines("cert", "list")
    assert len(listed) == 1, "a newer one takes the place of an older one with the same names"
    number = str(listed[0]["id"])
    assert "PRIVATE" not in ctl.ok("cert", "show", number) + ctl.ok("cert", "show", number, "--pem")
    assert ctl.ok("cert", "show", number, "--pem").startswith("-----BEGIN CERTIFICATE-----")
    store = ctl.store()
    pem.examine(*(lambda c: (c.chain, c.private_key))(store.read_now(certificates.everyone)[0]))
    store.close()
    ctl.fails(1, "cert", "show", "4711")


def test_a_certificate_that_cannot_be_used_never_gets_in(ctl: Ctl, issued: trustme.LeafCert, tmp_path: Path) -> None:
    other = trustme.CA().issue_cert("mail.example.org")
    chain, key, text = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "text"
    chain.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(other.private_key_pem.bytes())
    text.write_text("nothing of the kind")
    assert "not the one" in ctl.fails(65, "cert", "import", str(chain), "--key", str(key))
    assert "--key" in ctl.fails(65, "cert", "import", str(chain))
    assert "no PEM certificate" in ctl.fails(65, "cert", "import", str(text), "--key", str(key))
    ctl.fails(65, "cert", "import", str(tmp_path / "nothing"), "--key", str(key))
    assert ctl.lines("cert", "list") == []


def test_the_list_says_when_files_go_before_the_store(ctl: Ctl) -> None:
    ctl.ok("config", "set", "tls.certificate", "/etc/mail.pem")
    assert "/etc/mail.pem" in ctl("cert", "list").stderr
