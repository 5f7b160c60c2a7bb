"""Every method, given in every place whatever another user has: it answers as if there were no such thing anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from daemon.limits import LIMITS
from daemon.serve.web.door import PEER
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.store import push
from daemon.store.push import Maker, Place
from tests.flow.house import House
from tests.serve.web.jmap.writing import Client

METHODS = sorted(name for each in CAPABILITIES for name in each.methods if name not in ("Core/echo", "Password/set"))
_LETTER = {"1": {"value": "words of my own"}}
_DRAFT = {"bodyStructure": {"partId": "1", "type": "text/plain"}, "bodyValues": _LETTER}
_ENVELOPE = {"mailFrom": {"email": "ann@here.example"}, "rcptTo": [{"email": "x@y.example"}]}
Arguments = dict[str, Any]
PLACES: tuple[Callable[[str], Arguments], ...] = (
    lambda id: {"accountId": id, "ids": None},
    lambda id: {"accountId": id, "fromAccountId": id, "create": {}},
    lambda id: {"fromAccountId": id, "create": {"a": {"id": "e1"}}},
    lambda id: {"ids": [id]},
    lambda id: {"blobIds": [id]},
    lambda id: {"id": id},
    lambda id: {"emailIds": [id], "filter": {"text": "secret"}},
    lambda id: {"typeNames": ["Email", "Mailbox", "Thread"], "ids": [id]},
    lambda id: {"anchor": id},
    lambda id: {"filter": {"inMailbox": id}},
    lambda id: {"filter": {"inMailboxOtherThan": [id]}},
    lambda id: {"filter": {"parentId": id}},
    lambda id: {"filter": {"identityIds": [id]}},
    lambda id: {"filter": {"emailIds": [id], "threadIds": [id]}},
    lambda id: {"filter": {"inAddressBook": id}},
    lambda id: {"sinceQueryState": "0", "upToId": id},
    lambda id: {"destroy": [id]},
    lambda id: {"destroy": [id], "onSuccessDestroyEmail": [id]},
    lambda id: {"update": {id: {}}},
    lambda id: {"update": {id: {"name": "Mine"}}},
    lambda id: {"update": {id: {"keywords/$seen": True}}},
    lambda id: {"update": {id: {"undoStatus": "canceled"}}, "onSuccessUpdateEmail": {id: {"keywords/$seen": True}}},
    lambda id: {"update": {id: {"allowed": True}}},
    lambda id: {"update": {id: {"verificationCode": "x"}}},
    lambda id: {"create": {"a": {"name": "Mine", "parentId": id}}},
    lambda id: {"create": {"a": {**_DRAFT, "mailboxIds": {id: True}}}},
    lambda id: {"create": {"a": {"mailboxIds": {"m1": True}, "textBody": [{"blobId": id, "type": "text/plain"}]}}},
    lambda id: {"create": {"a": {"identityId": id, "emailId": id}}},
    lambda id: {"create": {"a": {"identityId": "IDENTITY", "emailId": id, "envelope": _ENVELOPE}}},
    lambda id: {"create": {"a": {"data": [{"blobId": id}]}}},
    lambda id: {"emails": {"a": {"blobId": id, "mailboxIds": {"MAILBOX": True}}}},
    lambda id: {"emails": {"a": {"blobId": "UPLOAD", "mailboxIds": {id: True}}}},
    lambda id: {"update": {"EMAIL": {f"mailboxIds/{id}": True}}},
    lambda id: {"update": {"EMAIL": {"mailboxIds": {id: True}}}},
    lambda id: {"update": {"MAILBOX": {"parentId": id}}},
)  # fmt: skip


async def _belongings(user: Client, name: str) -> dict[str, str]:
    """One of each kind of thing that a user can have, by what it is."""

    async def made(type: str, **value: Any) -> dict[str, Any]:
        answer = await user.ask(f"{type}/set", create={"a": value})
        assert answer["created"], answer
        found: dict[str, Any] = answer["created"]["a"]
        return found

    box = (await made("Mailbox", name="Secret"))["id"]
    head = {"subject": "secret", "from": [{"email": name}], "to": [{"email": "x@y.example"}]}
    email = await made("Email", **head, **_DRAFT, mailboxIds={box: True})
    identity = (await user.ask("Identity/get"))["list"][0]["id"]
    held = {"email": name, "parameters": {"HOLDFOR": "3600"}}
    sending = {"mailFrom": held, "rcptTo": [{"email": "x@y.example"}]}
    rule = {"field": "from", "match": "is", "values": [f"boss-of-{name}"]}
    upload = (await user.ask("Blob/upload", create={"a": {"data": [{"data:asText": "A: b\n\nc\n"}]}}))["created"]["a"]
    device = user.store.write_now(
        push.add,
        user.account_id,
        Maker(),
        "tablet",
        Place("https://push.y.example/x", None, None),
        None,
        "code",
        4_000_000_000_000,
    )
    return {
        "mailbox": box,
        "email": email["id"],
        "thread": email["threadId"],
        "message": email["blobId"],
        "part": email["id"] + ".1",
        "inside": email["blobId"] + "_1",
        "upload": upload["id"],
        "identity": identity,
        "submission": (await made("EmailSubmission", identityId=identity, emailId=email["id"], envelope=sending))["id"],
        "contact": (await made("ContactCard", emails={"a": {"address": f"friend-of-{name}"}}))["id"],
        "sender": (await made("SenderEntry", sender=f"foe-of-{name}", allowed=False))["id"],
        "rule": (await made("Rule", conditions=[rule], keywords={"$flagged": True}))["id"],
        "device": f"s{device}",
        "account": user.account,
    }


def _nobodys(id: str) -> str:
    """An id of the same form that nobody has."""
    return re.sub("[0-9]+", lambda found: "9" * max(len(found[0]), 9), id, count=1)


async def test_what_others_have_is_not_there(ann: Client, bob: Client, home: House) -> None:
    PEER.set("192.0.2.1")
    mine = await _belongings(ann, "ann@here.example")
    await bob.ask("Mailbox/set", create={name: {"name": name} for name in "abc"})  # some ids are counted by account
    theirs = await _belongings(bob, "bob@here.example")
    assert not {*mine.values()} & {*theirs.values()}
    before = await _all(bob)
    cells = 0
    for method in METHODS:
        calls = [(method, _filled(place, id, mine), id) for id in theirs.values() for place in PLACES]
        for at in range(0, len(calls), LIMITS.jmap_calls // 2):
            some = calls[at : at + LIMITS.jmap_calls // 2]
            own = [(name, arguments) for name, arguments, _ in some]
            ghosts = [(name, json.loads(_swapped(json.dumps(arguments), id))) for name, arguments, id in some]
            for (_, asked, id), real, ghost in zip(
                some, await ann.request(*own), await ann.request(*ghosts), strict=True
            ):
                told = json.dumps(real)
                assert _swapped(_same(told), id) == _same(json.dumps(ghost)), f"{method} {asked}"
                assert "serverFail" not in told and "boss-of-bob" not in told, f"{method} {asked}: {told}"
                cells += 1
    assert cells == len(METHODS) * len(theirs) * len(PLACES)
    assert await _all(bob) == before, "and nothing of theirs was changed"


def _filled(place: Callable[[str], Arguments], id: str, mine: dict[str, str]) -> Arguments:
    text = json.dumps(place(id))
    for name, own in mine.items():
        text = text.replace(name.upper(), own)
    found: Arguments = json.loads(text)
    return found


def _swapped(text: str, id: str) -> str:
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(id)}(?![A-Za-z0-9])", _nobodys(id), text)


def _same(text: str) -> str:
    """Without states and what new things of one's own are called, which tell of one's own account only."""
    text = re.sub(r'"(oldState|newState|state|queryState|oldQueryState|newQueryState)": "[0-9.]*"', "", text)
    return re.sub(r'urn:uuid:[0-9a-f-]{36}|"id": "[cm][0-9]+"|"(created|updated)": "[0-9T:.Z-]+"', "", text)


async def _all(user: Client) -> list[Any]:
    names = [name for name in METHODS if name.endswith("/get") and name not in ("Blob/get", "SearchSnippet/get")]
    skipped = ("Thread/get", "Session/get")
    return [await user.ask(name) for name in names if name not in skipped and not name.startswith("PushSub")]
