"""Senders let in and kept out: how an entry is written, and which of several decides."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.limits import Limits
from daemon.store import accounts, sender_lists
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx
from tests.store.stage import add_user, address, memory

ALICE, CAROL, ALL = 1, 2, sender_lists.EVERYBODY


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        yield tx


def look(tx: Tx, account: int | None = ALICE, sender: str = "bob@a.shop.example", ip: str = "192.0.2.7") -> str:
    allowed, blocked = sender_lists.look(tx, account, [address(sender)], [], ip)
    assert not (allowed and blocked)
    return f"allowed {allowed}" if allowed else f"blocked {blocked}" if blocked else ""


@pytest.mark.parametrize(
    ("text", "kind", "sender"),
    [
        ("Bob@Shop.Example", "address", "bob@shop.example"),
        ("shop.example", "domain", "shop.example"),
        ("@shop.example", "domain", "shop.example"),
        ("*.shop.example", "domain", "shop.example"),
        ("bücher.example", "domain", "xn--bcher-kva.example"),
        ("192.0.2.7", "network", "192.0.2.7/32"),
        ("192.0.2.7/24", "network", "192.0.2.0/24"),
        ("2001:db8::/32", "network", "2001:db8::/32"),
    ],
)
def test_how_an_entry_may_be_written(text: str, kind: str, sender: str) -> None:
    assert sender_lists.read(text) == (kind, sender)


@pytest.mark.parametrize("text", ["", "com", "a b@c d", "@", "[192.0.2.7]", "192.0.2.300", "x@"])
def test_what_is_no_entry(text: str) -> None:
    with pytest.raises(Invalid, match="neither an address"):
        sender_lists.read(text)


def test_nobody_is_on_an_empty_list(tx: Tx) -> None:
    assert look(tx) == ""


@pytest.mark.parametrize("entry", ["bob@a.shop.example", "a.shop.example", "shop.example", "192.0.2.7", "192.0.2.0/24"])
def test_each_kind_of_entry_is_found(tx: Tx, entry: str) -> None:
    sender_lists.put(tx, ALICE, entry, allowed=False)
    assert look(tx) == f"blocked {sender_lists.read(entry)[1]}"
    assert look(tx, CAROL) == "" and look(tx, None) == ""
    assert look(tx, sender="bob@othershop.example", ip="198.51.100.1") == ""


def test_what_counts_for_all_counts_for_each(tx: Tx) -> None:
    sender_lists.put(tx, ALL, "shop.example", allowed=False)
    assert look(tx) == look(tx, CAROL) == look(tx, None) == "blocked shop.example"


@pytest.mark.parametrize(
    ("decides", "other", "owner"),
    [
        ("bob@a.shop.example", "a.shop.example", ALICE),
        ("a.shop.example", "shop.example", ALICE),
        ("shop.example", "192.0.2.7/32", ALICE),
        ("192.0.2.7/32", "192.0.2.0/24", ALICE),
        ("192.0.2.0/24", "bob@a.shop.example", ALL),
    ],
)
def test_the_most_telling_entry_decides(tx: Tx, decides: str, other: str, owner: int) -> None:
    """The last case: one's own list comes before everybody's, whatever it says."""
    sender_lists.put(tx, ALICE, decides, allowed=True)
    sender_lists.put(tx, owner, other, allowed=False)
    assert look(tx) == f"allowed {decides}"


def test_a_domain_that_a_proof_speaks_for_counts_too(tx: Tx) -> None:
    sender_lists.put(tx, ALICE, "mailer.example", allowed=True)
    found = sender_lists.look(tx, ALICE, [address("bob@shop.example")], ["out.mailer.example"], "")
    assert found == ("mailer.example", "")


def test_an_entry_can_be_turned_and_removed(tx: Tx) -> None:
    sender_lists.put(tx, ALICE, "shop.example", allowed=False)
    sender_lists.put(tx, ALICE, "shop.example", allowed=True, note="they are nice")
    assert look(tx) == "allowed shop.example"
    assert [(e.sender, e.allowed, e.note) for e in sender_lists.everyone(tx)] == [
        ("shop.example", True, "they are nice")
    ]
    assert sender_lists.everyone(tx, ALICE, allowed=False) == []
    with pytest.raises(Missing):
        sender_lists.remove(tx, ALICE, "shop.example", allowed=False)
    assert sender_lists.remove(tx, ALICE, "@Shop.example", allowed=True) == "shop.example"
    assert look(tx) == ""


def test_a_list_is_bounded(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.store.sender_lists.LIMITS", Limits(sender_list=2))
    for number in range(2):
        sender_lists.put(tx, ALICE, f"a{number}.example", allowed=True)
    with pytest.raises(Invalid, match="takes no more"):
        sender_lists.put(tx, ALICE, "b.example", allowed=True)


def test_a_forger_cannot_make_the_question_long(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    sender_lists.put(tx, ALICE, "shop.example", allowed=False)
    monkeypatch.setattr("daemon.store.sender_lists.LIMITS", Limits(sender_names=3, sender_labels=2))
    deep = ".".join("a" * 50) + ".shop.example"
    assert sender_lists.look(tx, ALICE, [], [deep], "") == ("", "shop.example")
    many = [address(f"x@a{number}.example") for number in range(50)]
    assert sender_lists.look(tx, ALICE, many, ["shop.example"], "") == ("", "")


def test_many_networks_cost_a_message_as_much_as_one(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(500):
        sender_lists.put(tx, ALL, f"198.18.{number % 250}.{number // 250 * 16}/28", allowed=False)
    sender_lists.put(tx, ALL, "192.0.2.0/24", allowed=False)
    read = 0

    def counted(*args: Any, _of: Any = ipaddress.ip_network, **more: Any) -> Any:
        nonlocal read
        read += 1
        return _of(*args, **more)

    monkeypatch.setattr("daemon.store.sender_lists.ipaddress.ip_network", counted)
    sender_lists._around.cache_clear()
    for ip, want in (
        ("192.0.2.9", "blocked 192.0.2.0/24"), ("::ffff:192.0.2.9", "blocked 192.0.2.0/24"),
        ("198.18.7.20", "blocked 198.18.7.16/28"), ("203.0.113.1", ""), ("fe80::1%lo", ""), ("unknown", ""),
    ):  # fmt: skip
        assert look(tx, ip=ip) == want
    assert read <= 4 * 33 + 129, "an address has so many networks around it"


def test_a_user_takes_his_list_along(tx: Tx) -> None:
    sender_lists.put(tx, ALICE, "shop.example", allowed=True)
    accounts.remove(tx, ALICE)
    assert sender_lists.everyone(tx) == []
