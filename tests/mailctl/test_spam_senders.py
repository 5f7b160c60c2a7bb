"""`mailctl spam allow` and `block`: lists of senders, by hand."""

from __future__ import annotations

from tests.mailctl.conftest import Ctl

ALICE = "alice@example.org"


def test_senders_are_listed_let_in_and_taken_off(town: Ctl) -> None:
    ctl = town
    said = ctl.ok("spam", "allow", "Shop.example", "192.0.2.7/24", "--note", "they are nice")
    assert said.splitlines() == ["shop.example is let in for everybody", "192.0.2.0/24 is let in for everybody"]
    ctl.ok("spam", "allow", "bob@far.example", "--user", ALICE)
    assert [(s["sender"], s["kind"], s["user"], s["note"]) for s in ctl.lines("spam", "allow")] == [
        ("192.0.2.0/24", "network", None, "they are nice"), ("shop.example", "domain", None, "they are nice"),
        ("bob@far.example", "address", ALICE, ""),
    ]  # fmt: skip
    assert [s["sender"] for s in ctl.lines("spam", "allow", "--user", ALICE)] == ["bob@far.example"]
    assert ctl.lines("spam", "block") == []
    ctl.ok("spam", "allow", "--rm", "@shop.example", "192.0.2.0/24")
    assert [s["sender"] for s in ctl.lines("spam", "allow")] == ["bob@far.example"]


def test_the_last_word_on_a_sender_counts(ctl: Ctl) -> None:
    ctl.ok("spam", "allow", "shop.example")
    assert "kept out for everybody" in ctl.ok("spam", "block", "shop.example")
    assert ctl.lines("spam", "allow") == [] and len(ctl.lines("spam", "block")) == 1


def test_what_is_wrong_changes_nothing(town: Ctl) -> None:
    ctl = town
    assert ctl("spam", "block", "shop.example", "nonsense").exit_code == 65
    assert ctl("spam", "block", "shop.example", "--user", "nobody@example.org").exit_code == 1
    assert ctl("spam", "block", "--rm", "shop.example").exit_code == 1
    assert ctl("spam", "block", "--rm").exit_code == 64
    assert ctl.lines("spam", "block") == []
