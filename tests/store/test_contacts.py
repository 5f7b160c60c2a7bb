"""People a user knows: put in, changed, looked for, collected, and what changed since."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.store import contacts, states
from daemon.store.contacts import Wanted
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx
from tests.store.stage import add_user, address, memory


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx)
        yield tx


def card(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    emails = {f"e{number}": {"address": each} for number, each in enumerate(addresses)}
    return {"uid": f"uid-{name}", "name": {"full": name}, "emails": emails, **more}


def names(tx: Tx, *asked: Any, **more: Any) -> list[str]:
    there = {each.id: each.card["uid"].removeprefix("uid-") for each in contacts.get(tx, 1)}
    return [there[each] for each in contacts.find(tx, 1, *asked, **more)]


def test_a_contact_is_put_in_changed_and_removed(tx: Tx) -> None:
    made = contacts.add(tx, 1, card("Ann", "ann@a.example", **{"x.example/y": [1, {"z": None}]}))
    (there,) = contacts.get(tx, 1, [made, made + 1])
    assert there.card["x.example/y"] == [1, {"z": None}], "what nobody knows is kept"
    contacts.change(tx, 1, made, card("Ann B", "ann@b.example"))
    assert names(tx, Wanted(email="b.example")) == ["Ann B"] and names(tx, Wanted(email="a.example")) == []
    contacts.remove(tx, 1, made)
    assert contacts.get(tx, 1) == []
    for work in (contacts.remove, lambda *it: contacts.change(*it, card("X"))):
        with pytest.raises(Missing):
            work(tx, 1, made)
    assert contacts.wrong(tx, 9) == []


def test_nobody_sees_anothers(tx: Tx) -> None:
    add_user(tx, "bob")
    made = contacts.add(tx, 1, card("Ann"))
    assert contacts.get(tx, 2) == contacts.get(tx, 2, [made]) == contacts.find(tx, 2, Wanted()) == []
    with pytest.raises(Missing):
        contacts.remove(tx, 2, made)


def test_a_uid_is_there_once(tx: Tx) -> None:
    contacts.add(tx, 1, card("Ann"))
    other = contacts.add(tx, 1, card("Bob"))
    with pytest.raises(Exists):
        contacts.add(tx, 1, card("Ann"))
    with pytest.raises(Exists):
        contacts.change(tx, 1, other, card("Ann"))


@pytest.mark.parametrize(
    "wanted, found",
    [
        (Wanted(), ["Ann", "Bob", "Zoë"]),
        (Wanted(text="ZOE"), ["Zoë"]),
        (Wanted(text="a.example"), ["Ann", "Bob"]),
        (Wanted(text="oslo"), ["Bob"]),
        (Wanted(name="b"), ["Bob"]),
        (Wanted(email="ANN@"), ["Ann"]),
        (Wanted(kind="org"), ["Zoë"]),
        (Wanted(uid="uid-Bob"), ["Bob"]),
        (Wanted(created_after=1_800_000_000_000), ["Ann", "Bob", "Zoë"]),
        (Wanted(created_before=1_800_000_000_000), []),
        (Wanted(updated_after=1_800_000_000_001), []),
        (Wanted(updated_before=1_800_000_000_001, text="%"), []),
    ],
)
def test_who_is_found(tx: Tx, wanted: Wanted, found: list[str]) -> None:
    contacts.add(tx, 1, card("Zoë", kind="org"))
    contacts.add(tx, 1, card("Ann", "ann@a.example"))
    contacts.add(tx, 1, card("Bob", "bob@a.example", notes={"n": {"note": "Oslo"}}))
    assert names(tx, wanted) == found
    assert names(tx, wanted, "name", True) == found[::-1]


def test_who_is_written_to_comes_in_and_to_the_front(tx: Tx) -> None:
    contacts.add(tx, 1, card("Ann", "ann@a.example"))
    before = states.of_type(tx, 1, contacts.TYPE)
    contacts.collect(tx, 1, [(address("bob@b.example"), ""), (address("Ann@a.example"), "Other")])
    assert [each.card.get("name") for each in contacts.get(tx, 1)] == [{"full": "Ann"}, None], "hers is her own word"
    contacts.collect(tx, 1, [(address("BOB@b.example"), "Bob\r\n  B\u2028.")])
    (_, bob) = contacts.get(tx, 1)
    assert bob.card["name"] == {"full": "Bob B ."} and bob.card["emails"] == {"e1": {"address": "bob@b.example"}}
    assert contacts.find(tx, 1, Wanted())[0] == bob.id
    assert contacts.since(tx, 1, before, 9) == contacts.Changed(
        [bob.id], [], [], states.of_type(tx, 1, "ContactCard"), False
    )
    contacts.collect(tx, 1, [(address("bob@b.example"), "Robert")])
    assert contacts.get(tx, 1)[1].card["name"] == {"full": "Bob B ."}


def test_names_that_are_collected_are_made_harmless(tx: Tx) -> None:
    contacts.collect(tx, 1, [(address("bob@b.example"), "B\0o\x9fb\u2028\ud800 " + "x" * 999)])
    (bob,) = contacts.get(tx, 1)
    assert bob.card["name"]["full"] == ("B o b " + "x" * 999)[: LIMITS.contact_name]


def test_what_changed_since(tx: Tx) -> None:
    begin = states.of_type(tx, 1, contacts.TYPE)
    ann, bob, eve = (contacts.add(tx, 1, card(name)) for name in ("Ann", "Bob", "Eve"))
    middle = states.of_type(tx, 1, contacts.TYPE)
    contacts.change(tx, 1, ann, card("Ann", "ann@a.example"))
    contacts.remove(tx, 1, bob)
    end = states.of_type(tx, 1, contacts.TYPE)
    assert contacts.since(tx, 1, middle, 9) == contacts.Changed([], [ann], [bob], end, False)
    assert contacts.since(tx, 1, begin, 9) == contacts.Changed([eve, ann], [], [], end, False)
    first = contacts.since(tx, 1, middle, 1)
    assert first is not None and (first.updated, first.more) == ([ann], True)
    assert contacts.since(tx, 1, first.until, 9) == contacts.Changed([], [], [bob], end, False)
    assert contacts.since(tx, 1, end + 1, 9) is None, "that was no state of ours"


def test_an_address_book_has_its_limits(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "LIMITS", dataclasses.replace(LIMITS, contacts=2, contact_card=200))
    made = [contacts.add(tx, 1, card(name)) for name in "ab"]
    with pytest.raises(Invalid, match="at most 2"):
        contacts.add(tx, 1, card("c"))
    contacts.collect(tx, 1, [(address("c@c.example"), "")])
    assert len(contacts.get(tx, 1)) == 2
    with pytest.raises(Invalid, match="octets"):
        contacts.change(tx, 1, made[0], card("a", notes={"n": {"note": "x" * 200}}))
    with pytest.raises(Invalid, match="Unicode"):
        contacts.change(tx, 1, made[0], card("a", title="\ud800"))
    state = states.of_type(tx, 1, contacts.TYPE)
    for _ in range(3):
        contacts.remove(tx, 1, contacts.add(tx, 1, card("c")) if not made else made.pop())
    assert contacts.since(tx, 1, state, 9) is None, "the oldest is forgotten"
    assert tx.value("select count(*) from contact_tombstone") == 2


def test_what_is_wrong_is_found(tx: Tx) -> None:
    add_user(tx, "bob")
    made = contacts.add(tx, 1, card("Ann", "ann@a.example"))
    tx.run("update contact set modseq = 99 where id = ?", made)
    tx.run("update contact_address set account_id = 2")
    tx.run("update object_state set modseq = 98")
    assert {subject.partition(" ")[0] for subject, _ in contacts.wrong(tx, 9)} == {"contact", "the"}
    assert len(contacts.wrong(tx, 9)) == 3 and len(contacts.wrong(tx, 1)) == 1
