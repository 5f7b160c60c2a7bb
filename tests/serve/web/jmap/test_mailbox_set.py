"""Mailbox/set (RFC 8621 §2.5): made, renamed, moved, given a role, and gone."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap import mailbox_set
from daemon.store import mailboxes
from daemon.store.check import check
from tests.serve.web.jmap.writing import Client
from tests.store import stage


async def made(ann: Client, name: str, **more: Any) -> str:
    answer = await ann.ask("Mailbox/set", create={"k": {"name": name, **more}})
    assert answer["notCreated"] is None, answer
    return str(answer["created"]["k"]["id"])


async def shown(ann: Client, box: str) -> dict[str, Any]:
    return dict((await ann.ask("Mailbox/get", ids=[box]))["list"][0])


def names(ann: Client) -> list[str]:
    return [box.name for box in ann.store.peek(mailboxes.everyone, ann.account_id)]


async def test_a_branch_is_made_in_one_call_in_any_order(ann: Client) -> None:
    create = {
        "leaf": {"name": "Leaf", "parentId": "#twig"},
        "twig": {"name": "Twig", "parentId": "#root", "isSubscribed": True},
        "root": {"name": "Root", "sortOrder": 7},
    }
    answer = await ann.ask("Mailbox/set", create=create)
    assert set(answer["created"]) == {"leaf", "twig", "root"} and "Root/Twig/Leaf" in names(ann)
    told = answer["created"]["root"]
    assert told["totalEmails"] == 0 and told["myRights"]["mayDelete"] and told["isSubscribed"] is False
    assert "name" not in told and "sortOrder" not in told
    twig = await shown(ann, answer["created"]["twig"]["id"])
    assert twig["parentId"] == told["id"] and twig["isSubscribed"] and twig["name"] == "Twig"
    assert (await shown(ann, told["id"]))["sortOrder"] == 7
    changes = await ann.ask("Mailbox/changes", sinceState=answer["oldState"])
    assert set(changes["created"]) == {made["id"] for made in answer["created"].values()}
    assert list(check(ann.store)) == []


async def test_a_circle_of_new_mailboxes_is_refused(ann: Client) -> None:
    create = {"a": {"name": "A", "parentId": "#b"}, "b": {"name": "B", "parentId": "#a"}}
    answer = await ann.ask("Mailbox/set", create=create)
    assert {no["type"] for no in answer["notCreated"].values()} == {"invalidProperties"}


async def test_a_mailbox_is_renamed_and_moved_with_all_below_it(ann: Client) -> None:
    one, two = await made(ann, "One"), await made(ann, "Two")
    below = await made(ann, "Below", parentId=one)
    placed = stage.deliver(ann.store, ann.account_id, stage.message(), "One/Below")
    for patch, want in (
        ({"name": "Uno"}, "Uno/Below"),
        ({"parentId": two}, "Two/Uno/Below"),
        ({"parentId": None, "name": "Eins"}, "Eins/Below"),
        ({"name": "Eins"}, "Eins/Below"),
    ):
        answer = await ann.ask("Mailbox/set", update={one: patch})
        assert answer["updated"] == {one: None} and want in names(ann), (answer, names(ann))
    found = await ann.ask("Email/get", ids=[f"e{placed.email_id}"], properties=["mailboxIds"])
    assert found["list"][0]["mailboxIds"] == {below: True} and list(check(ann.store)) == []


async def test_roles_orders_and_subscriptions_are_told_as_changes(ann: Client) -> None:
    boxes, box = await ann.boxes(), await made(ann, "Old mail")
    answer = await ann.ask("Mailbox/set", update={boxes["archive"]: {"role": None}})
    assert answer["updated"] == {boxes["archive"]: None}
    state = answer["newState"]
    await ann.ask("Mailbox/set", update={box: {"role": "archive", "sortOrder": 3, "isSubscribed": True}})
    found = await shown(ann, box)
    assert (found["role"], found["sortOrder"], found["isSubscribed"]) == ("archive", 3, True)
    changes = await ann.ask("Mailbox/changes", sinceState=state)
    assert changes["updated"] == [box] and changes["updatedProperties"] is None
    assert (await shown(ann, boxes["archive"]))["role"] is None


@pytest.mark.parametrize(
    "given,properties",
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "a/b"}, ["name"]),
        ({"name": 1}, ["name"]),
        ({"name": "x", "parentId": "m404"}, ["parentId"]),
        ({"name": "x", "parentId": 1}, ["parentId"]),
        ({"name": "x", "role": "inbox"}, ["role"]),
        ({"name": "x", "role": "sent"}, ["role"]),
        ({"name": "x", "role": "important"}, ["role"]),
        ({"name": "x", "role": 1}, ["role"]),
        ({"name": "x", "sortOrder": -1}, ["sortOrder"]),
        ({"name": "x", "sortOrder": True}, ["sortOrder"]),
        ({"name": "x", "isSubscribed": 1}, ["isSubscribed"]),
        ({"name": "x", "totalEmails": 1}, ["totalEmails"]),
        ({"name": "Sent"}, ["name"]),
        ({"name": "é" * (LIMITS.imap_mailbox_name // 2) + "x"}, ["name"]),
    ],
)
async def test_what_is_no_mailbox(ann: Client, given: dict[str, Any], properties: list[str]) -> None:
    before = names(ann)
    no = (await ann.ask("Mailbox/set", create={"k": given}))["notCreated"]["k"]
    assert no["type"] == "invalidProperties" and no.get("properties") == properties and names(ann) == before


async def test_a_name_is_as_long_as_is_promised(ann: Client) -> None:
    """RFC 8621 §1.3.1: maxSizeMailboxName, in octets."""
    long = "é" * (LIMITS.imap_mailbox_name // 2)
    await made(ann, long)
    assert long in names(ann)


async def test_what_cannot_become_of_a_mailbox(ann: Client, bob: Client) -> None:
    boxes, one = await ann.boxes(), await made(ann, "One")
    below, theirs = await made(ann, "Below", parentId=one), (await bob.boxes())["trash"]
    for box, patch, type in (
        (boxes["inbox"], {"name": "Post"}, "invalidProperties"),
        (boxes["inbox"], {"role": None}, "invalidProperties"),
        (one, {"parentId": below}, "invalidProperties"),
        (one, {"parentId": one}, "invalidProperties"),
        (one, {"name": "Sent"}, "invalidProperties"),
        (one, {"parentId": theirs}, "invalidProperties"),
        (one, {"name/x": "y"}, "invalidProperties"),
        (theirs, {"name": "mine"}, "notFound"),
        ("x", {"name": "mine"}, "notFound"),
    ):
        answer = await ann.ask("Mailbox/set", update={box: patch})
        assert answer["notUpdated"][box]["type"] == type, (box, patch, answer)


async def test_a_mailbox_goes_alone_when_it_is_empty(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8621 §2.5: mailboxHasChild, mailboxHasEmail, onDestroyRemoveEmails."""
    boxes, one = await ann.boxes(), await made(ann, "One")
    below = await made(ann, "Below", parentId=one)
    kept = stage.deliver(ann.store, ann.account_id, stage.message("kept"), "One/Below").email_id
    await ann.ask("Email/set", update={f"e{kept}": {f"mailboxIds/{boxes['archive']}": True}})
    gone = [stage.deliver(ann.store, ann.account_id, stage.message(f"g{n}"), "One/Below").email_id for n in range(5)]

    async def why(box: str, **more: Any) -> str:
        return str((await ann.ask("Mailbox/set", destroy=[box], **more))["notDestroyed"][box]["type"])

    assert await why(one) == "mailboxHasChild" and await why(below) == "mailboxHasEmail"
    assert await why(boxes["inbox"]) == "forbidden" and await why("m404") == "notFound"
    monkeypatch.setattr(mailbox_set, "_STEP", 2)
    answer = await ann.ask("Mailbox/set", destroy=[one, below], onDestroyRemoveEmails=True)
    assert set(answer["destroyed"]) == {one, below}
    left = await ann.ask("Email/get", ids=[f"e{n}" for n in (kept, *gone)], properties=["mailboxIds"])
    assert [e["mailboxIds"] for e in left["list"]] == [{boxes["archive"]: True}] and len(left["notFound"]) == 5
    assert await ann.no("Mailbox/set", destroy=[f"m{n}" for n in range(LIMITS.jmap_set + 1)]) == "requestTooLarge"
    assert list(check(ann.store)) == []
