"""AddressBook and ContactCard: the people a user knows, as a client sees and sets them."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap import contacts as room
from daemon.serve.web.jmap.contacts import BOOK, METHODS
from daemon.store import contacts
from daemon.store.tx import Tx
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import BOB, Caller
from tests.store.stage import address, clean

ANN = {"name": {"full": "Ann"}, "emails": {"e1": {"address": "ann@a.example"}}, "x.example/y": [1]}


@pytest.fixture
def alice(house: Site) -> Caller:
    return Caller(house, METHODS)


async def made(alice: Caller, **cards: dict[str, Any]) -> list[str]:
    done = await alice("ContactCard/set", create=cards)
    assert done["notCreated"] is None
    return [done["created"][key]["id"] for key in cards]


async def test_there_is_one_address_book(alice: Caller) -> None:
    (book,) = (await alice("AddressBook/get"))["list"]
    assert (book["id"], book["isDefault"]) == (BOOK, True)
    changes = await alice("AddressBook/changes", sinceState=(await alice("AddressBook/get"))["state"])
    assert changes["created"] == changes["updated"] == changes["destroyed"] == []
    assert await alice.error("AddressBook/changes", sinceState="9") == "cannotCalculateChanges"


async def test_a_card_is_kept_as_it_was_said(house: Site, alice: Caller) -> None:
    done = await alice("ContactCard/set", create={"a": {**ANN, "addressBookIds": {BOOK: True}}})
    fresh = done["created"]["a"]
    assert fresh["uid"].startswith("urn:uuid:") and fresh["version"] == "1.0"
    (card,) = (await alice("ContactCard/get", ids=[fresh["id"], "c99", "x"]))["list"]
    assert {**card, **ANN} == card and card["addressBookIds"] == {BOOK: True}
    assert (await alice("ContactCard/get", ids=[fresh["id"], "c99", "x"]))["notFound"] == ["c99", "x"]
    (some,) = (await alice("ContactCard/get", properties=["name", "strange"]))["list"]
    assert some == {"id": fresh["id"], "name": {"full": "Ann"}}
    other = Caller(house, METHODS, BOB)
    assert (await other("ContactCard/get", ids=[fresh["id"]]))["notFound"] == [fresh["id"]]
    clean(house.store)


async def test_a_card_is_patched(alice: Caller) -> None:
    (ann,) = await made(alice, a=ANN)
    before = (await alice("ContactCard/get"))["state"]
    patch = {
        "emails/e2": {"address": "a@b.example"},
        "name/full": "Ann B",
        "x.example~1y": None,
        "notes": {"n": {"note": "/~"}},
    }
    done = await alice("ContactCard/set", ifInState=before, update={ann: patch})
    assert done["notUpdated"] is None and done["oldState"] == before != done["newState"]
    (card,) = (await alice("ContactCard/get"))["list"]
    assert (card["name"]["full"], set(card["emails"])) == ("Ann B", {"e1", "e2"})
    assert "x.example/y" not in card and card["notes"] == {"n": {"note": "/~"}}
    assert (await alice("ContactCard/changes", sinceState=before))["updated"] == [ann]


@pytest.mark.parametrize(
    "patch, error, properties",
    [
        ({"emails/e1/address": "nobody"}, "invalidProperties", ["emails"]),
        ({"phones/p/number": "1"}, "invalidPatch", None),
        ({"name/full/x": "1"}, "invalidPatch", None),
        ({"id": "c9"}, "invalidProperties", ["id"]),
        ({"created": "2026-01-01T00:00:00Z"}, "invalidProperties", ["created"]),
        ({"addressBookIds": {"b2": True}}, "invalidProperties", ["addressBookIds"]),
        ({"uid": "theirs"}, "invalidProperties", ["uid"]),
        ({"uid": None}, "invalidProperties", ["uid"]),
    ],
)
async def test_patches_that_are_refused(
    alice: Caller, patch: dict[str, Any], error: str, properties: list[str] | None
) -> None:
    ann, _ = await made(alice, a=ANN, b={"uid": "theirs"})
    refused = (await alice("ContactCard/set", update={ann: patch}))["notUpdated"][ann]
    assert (refused["type"], refused.get("properties")) == (error, properties)


async def test_cards_go(alice: Caller) -> None:
    (ann,) = await made(alice, a=ANN)
    state = (await alice("ContactCard/get"))["state"]
    done = await alice("ContactCard/set", destroy=[ann, "c99"], update={"c98": {"uid": "x"}})
    assert done["destroyed"] == [ann] and done["notDestroyed"]["c99"]["type"] == "notFound"
    assert done["notUpdated"]["c98"]["type"] == "notFound"
    changes = await alice("ContactCard/changes", sinceState=state, maxChanges=1)
    assert (changes["destroyed"], changes["hasMoreChanges"]) == ([ann], False)
    for arguments, error in (
        ({"sinceState": "99999"}, "cannotCalculateChanges"),
        ({"sinceState": "x"}, "cannotCalculateChanges"),
        ({"sinceState": 1}, "invalidArguments"),
        ({"sinceState": state, "maxChanges": 0}, "invalidArguments"),
    ):
        assert await alice.error("ContactCard/changes", **arguments) == error


async def test_all_cards_are_told_at_once_only_of_a_small_book(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made_ids = await made(alice, a={}, b={}, c={})
    monkeypatch.setattr(room, "LIMITS", dataclasses.replace(LIMITS, owner_objects=2))
    assert await alice.error("ContactCard/get") == "requestTooLarge"
    assert len((await alice("ContactCard/get", ids=made_ids[:2]))["list"]) == 2


def _wrote(tx: Tx, account_id: int) -> None:
    contacts.collect(tx, account_id, [(address("bob@b.example"), "Bob")])


async def test_cards_are_looked_for(house: Site, alice: Caller) -> None:
    ann, eve = await made(alice, a=ANN, b={"name": {"full": "Éve"}})
    await house.store.write(_wrote, alice.visitor.account_id)
    everybody = await alice("ContactCard/query", calculateTotal=True)
    bob = everybody["ids"][0]
    assert everybody["ids"] == [bob, ann, eve] and everybody["total"] == 3, "who was written to stands first"
    for filter, found in (
        ({"text": "eve"}, [eve]),
        ({"text": "a.example", "inAddressBook": BOOK}, [ann]),
        ({"inAddressBook": "b2"}, []),
        ({"email": "BOB@"}, [bob]),
        ({"createdAfter": "2000-01-01T00:00:00Z", "name": "b"}, [bob]),
        ({"updatedBefore": "2000-01-01T00:00:00Z"}, []),
    ):
        assert (await alice("ContactCard/query", filter=filter))["ids"] == found, filter
    by_name = {"sort": [{"property": "name/given", "isAscending": False}]}
    assert (await alice("ContactCard/query", **by_name))["ids"] == [eve, bob, ann]
    for window, found in (
        ({"position": 1, "limit": 1}, [bob]),
        ({"position": -1}, [ann]),
        ({"anchor": bob, "anchorOffset": 1}, [ann]),
        ({"anchor": eve, "anchorOffset": -5, "limit": 2}, [eve, bob]),
    ):
        assert (await alice("ContactCard/query", **by_name, **window))["ids"] == found, window
    assert (await alice("ContactCard/query"))["limit"] == LIMITS.jmap_query
    for arguments, error in (
        ({"filter": {"phone": "1"}}, "unsupportedFilter"),
        ({"filter": {"text": 1}}, "unsupportedFilter"),
        ({"filter": {"createdAfter": "yesterday"}}, "unsupportedFilter"),
        ({"filter": "x"}, "invalidArguments"),
        ({"sort": [{"property": "uid"}]}, "unsupportedSort"),
        ({"sort": "name"}, "invalidArguments"),
        ({"anchor": "c99"}, "anchorNotFound"),
        ({"limit": -1}, "invalidArguments"),
        ({"position": "1"}, "invalidArguments"),
    ):
        assert await alice.error("ContactCard/query", **arguments) == error
    assert await alice.error("ContactCard/queryChanges", sinceQueryState="1") == "cannotCalculateChanges"


async def test_two_who_change_a_card_at_a_time_both_change_it(house: Site, alice: Caller) -> None:
    (ann,) = await made(alice, a=ANN)
    await asyncio.gather(
        alice("ContactCard/set", update={ann: {"name/full": "Ann B"}}),
        alice("ContactCard/set", update={ann: {"emails/e2": {"address": "a@b.example"}}}),
    )
    (card,) = (await alice("ContactCard/get", ids=[ann]))["list"]
    assert (card["name"]["full"], set(card["emails"])) == ("Ann B", {"e1", "e2"})
    clean(house.store)


async def test_what_another_client_writes_meanwhile_is_not_passed_over(
    house: Site, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = await made(alice, a=ANN)
    write, uid = house.store.write, iter(("urn:uuid:1", "urn:uuid:2"))

    async def later(work: Any, *given: Any, **more: Any) -> Any:
        house.store.write_now(contacts.add, alice.visitor.account_id, {**ANN, "uid": next(uid)})
        return await write(work, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "write", later)
        answer = await alice("ContactCard/set", update={ann: {"name/full": "Ann B"}})
    assert len((await alice("ContactCard/changes", sinceState=answer["newState"]))["created"]) == 1
