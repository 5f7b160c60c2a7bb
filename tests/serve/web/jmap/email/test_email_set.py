"""Email/set, /import, /copy: messages are made, change, go. As RFC 8621 §4.6–4.8 has it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap import capabilities, sets
from daemon.serve.web.jmap.email import email_make, email_set
from daemon.store import email_sets, messages, uploads
from daemon.store.check import check
from daemon.store.keywords import DELETED, SEEN
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.serve.web.jmap.writing import Client
from tests.store import stage


def upload(ann: Client, data: bytes, type: str = "image/png") -> str:
    with Body.of(data) as body:
        return ann.store.write_now(uploads.put, ann.account_id, body, type, bodies=[body])


async def made(ann: Client, **more: Any) -> dict[str, Any]:
    """A message of Ann's, among her drafts if nothing else is said."""
    boxes = await ann.boxes()
    given = {"mailboxIds": {boxes["drafts"]: True}, **more}
    answer = await ann.ask("Email/set", create={"k1": given})
    assert answer["notCreated"] is None, answer
    return dict(answer["created"]["k1"])


async def why_not(ann: Client, **given: Any) -> dict[str, Any]:
    boxes = await ann.boxes()
    answer = await ann.ask("Email/set", create={"k1": {"mailboxIds": {boxes["drafts"]: True}, **given}})
    assert answer["created"] is None and answer["newState"] == answer["oldState"]
    return dict(answer["notCreated"]["k1"])


async def shown(ann: Client, email: str, *properties: str, **more: Any) -> dict[str, Any]:
    found = await ann.ask("Email/get", ids=[email], properties=list(properties) or None, **more)
    return dict(found["list"][0]) if found["list"] else {}


async def test_a_draft_is_made_of_its_parts(ann: Client) -> None:
    """The example of RFC 8621 §4.6, with a picture."""
    picture = upload(ann, b"\x89PNG" * 100)
    boxes = await ann.boxes()
    told = await made(
        ann,
        keywords={"$seen": True, "$draft": True, "work": True},
        **{"from": [{"name": "Joe Bloggs", "email": "ann@here.example"}]},
        subject="World domination",
        receivedAt="2018-07-10T01:03:11Z",
        sentAt="2018-07-10T11:03:11+10:00",
        bodyStructure={
            "type": "multipart/alternative",
            "subParts": [
                {"partId": "a49d", "type": "text/html"},
                {"partId": "bd48", "type": "text/plain"},
                {"blobId": picture, "type": "image/png", "name": "a.png"},
            ],
        },
        bodyValues={"bd48": {"value": "I have the most brilliant plan.\n"}, "a49d": {"value": "<b>I have…</b>"}},
    )
    assert set(told) == {"id", "blobId", "threadId", "size"}
    found = await shown(ann, told["id"], fetchAllBodyValues=True)
    assert found["keywords"] == {"$seen": True, "$draft": True, "work": True}
    assert found["mailboxIds"] == {boxes["drafts"]: True} and found["size"] == told["size"]
    assert (found["blobId"], found["threadId"]) == (told["blobId"], told["threadId"])
    assert found["receivedAt"] == "2018-07-10T01:03:11Z" and found["sentAt"] == "2018-07-10T11:03:11+10:00"
    assert found["subject"] == "World domination" and found["from"] == [
        {"name": "Joe Bloggs", "email": "ann@here.example"}
    ]
    assert found["messageId"] and found["attachments"][0]["name"] == "a.png"
    assert [v["value"] for v in found["bodyValues"].values()] == [
        "<b>I have…</b>",
        "I have the most brilliant plan.\n",
    ]
    assert list(check(ann.store)) == []


async def test_a_draft_for_ten_thousand_is_made(ann: Client) -> None:
    people = [{"name": f"Number {n}", "email": f"n{n}@many.example"} for n in range(10_000)]
    told = await made(ann, to=people, textBody=[{"partId": "1"}], bodyValues={"1": {"value": "hi"}})
    assert told["size"] > 300_000 and list(check(ann.store)) == []
    more = [{"name": "x" * 60, "email": f"n{n}@many.example"} for n in range(20_000)]
    no = await why_not(ann, to=more, textBody=[{"partId": "1"}], bodyValues={"1": {"value": "hi"}})
    assert no["type"] == "tooLarge" and "header" in no["description"] and "maxSize" not in no


@pytest.mark.parametrize(
    "given,type,more",
    [
        ({"mailboxIds": {}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {"m999": True}}, "invalidProperties", None),
        ({"mailboxIds": None}, "invalidProperties", ["mailboxIds"]),
        ({"keywords": {"$seen": False}}, "invalidProperties", ["keywords"]),
        ({"keywords": {"two words": True}}, "invalidProperties", None),
        ({"keywords": {f"k{n}": True for n in range(LIMITS.imap_keywords + 1)}}, "tooManyKeywords", None),
        ({"receivedAt": "now"}, "invalidProperties", ["receivedAt"]),
        ({"subject": 7}, "invalidProperties", ["subject"]),
        ({"blobId": "x"}, "invalidProperties", ["blobId"]),
        ({"headers": []}, "invalidProperties", ["headers"]),
        ({"to": [{"email": "x@y.example"}] * 20_001}, "invalidProperties", ["to"]),
        ({"textBody": [{"partId": "1"}]}, "invalidProperties", ["textBody/0/partId"]),
        ({"textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "y" * 30_000}}}, "tooLarge", None),
        ({"attachments": [{"blobId": "f404"}, {"blobId": "e9-raw"}]}, "blobNotFound", None),
    ],
)
async def test_what_is_no_message_is_refused(
    ann: Client, given: dict[str, Any], type: str, more: list[str] | None
) -> None:
    """RFC 8621 §4.6: each with its SetError, and nothing is kept."""
    ann.set("limits.message_size", "20000")
    no = await why_not(ann, **given)
    assert no["type"] == type and no["description"]
    if more is not None:
        assert no["properties"] == more
    if type == "blobNotFound":
        assert no["notFound"] == ["f404", "e9-raw"]
    if type == "tooLarge":
        assert no["maxSize"] == 20_000
    assert (await ann.ask("Email/get", ids=None))["list"] == []


async def test_files_are_as_large_as_is_promised(ann: Client) -> None:
    """RFC 8621 §1.3.1: maxSizeAttachmentsPerEmail."""
    ann.set("limits.message_size", "2M")
    most = capabilities._mail(ann.config, ann.visitor)["maxSizeAttachmentsPerEmail"]
    assert most > 700_000
    await made(ann, attachments=[{"blobId": upload(ann, b"\xff" * most)}])
    ann.set("limits.message_size", "1000")
    assert capabilities._mail(ann.config, ann.visitor)["maxSizeAttachmentsPerEmail"] == 0


async def test_what_others_uploaded_is_no_blob(ann: Client, bob: Client) -> None:
    """D19: nobody reaches another's octets by guessing a name."""
    theirs = upload(bob, b"secret")
    whole = (await made(bob, subject="secret"))["blobId"]
    no = await why_not(ann, attachments=[{"blobId": theirs}, {"blobId": whole}])
    assert no["notFound"] == [theirs, whole]


async def test_a_message_can_be_attached_and_parts_of_it_too(ann: Client) -> None:
    first = await made(ann, subject="inner", textBody=[{"partId": "1"}], bodyValues={"1": {"value": "deep\n"}})
    part = (await shown(ann, first["id"], "textBody"))["textBody"][0]["blobId"]
    told = await made(
        ann,
        attachments=[{"blobId": first["blobId"], "type": "message/rfc822"}, {"blobId": part, "type": "text/plain"}],
    )
    found = await shown(ann, told["id"], "attachments", "bodyStructure")
    assert [a["type"] for a in found["attachments"]] == ["message/rfc822", "text/plain"]


# -- update ------------------------------------------------------------------------------------------------------------


async def test_keywords_change_by_patch_or_as_a_whole(ann: Client) -> None:
    told = await made(ann, keywords={"$draft": True, "a": True})
    number = told["id"]
    for patch, want in (
        ({"keywords/$seen": True, "keywords/$draft": None, "keywords/b": True}, {"$seen", "a", "b"}),
        ({"keywords/A": None}, {"$seen", "b"}),
        ({"keywords": {"$flagged": True, "c~d": True}}, {"$flagged", "c~d"}),
        ({"keywords/c~0d": None}, {"$flagged"}),
        ({"keywords": {}}, set()),
    ):
        answer = await ann.ask("Email/set", update={number: patch})
        assert answer["updated"] == {number: None} and answer["newState"] != answer["oldState"], answer
        assert set((await shown(ann, number, "keywords"))["keywords"]) == want
    assert list(check(ann.store)) == []


async def test_a_message_in_two_mailboxes_is_seen_when_it_is_in_both(ann: Client) -> None:
    boxes = await ann.boxes()
    both = {boxes["inbox"]: True, boxes["archive"]: True}
    number = (await made(ann, mailboxIds=both))["id"]
    places = ann.store.peek(email_sets.memberships, ann.account_id, int(number[1:]))
    assert len(places) == 2
    ann.store.write_now(
        messages.set_flags, places[0].mailbox_id, ((places[0].uid, places[0].uid),), "+", SEEN | DELETED
    )
    assert (await shown(ann, number, "keywords"))["keywords"] == {}
    await ann.ask("Email/set", update={number: {"keywords/$seen": True, "keywords/x": True}})
    flags = {
        (one.flags, one.keywords != 0)
        for one in ann.store.peek(email_sets.memberships, ann.account_id, int(number[1:]))
    }
    assert flags == {(SEEN, True), (SEEN | DELETED, True)}  # \Deleted is its mailbox's own
    assert (await shown(ann, number, "keywords"))["keywords"] == {"$seen": True, "x": True}


async def test_messages_move_by_patch_and_keep_their_id(ann: Client) -> None:
    boxes = await ann.boxes()
    number = (await made(ann, mailboxIds={boxes["inbox"]: True}, keywords={"$flagged": True}))["id"]
    for patch, want in (
        ({f"mailboxIds/{boxes['inbox']}": None, f"mailboxIds/{boxes['archive']}": True}, {"archive"}),
        ({f"mailboxIds/{boxes['inbox']}": True}, {"inbox", "archive"}),
        ({"mailboxIds": {boxes["trash"]: True}}, {"trash"}),
    ):
        answer = await ann.ask("Email/set", update={number: patch})
        assert answer["updated"] == {number: None}, answer
        found = await shown(ann, number, "mailboxIds", "keywords")
        assert set(found["mailboxIds"]) == {boxes[role] for role in want} and found["keywords"] == {"$flagged": True}
    assert list(check(ann.store)) == []


async def test_what_leaves_a_mailbox_with_deleted_is_not_deleted_in_the_next(ann: Client) -> None:
    boxes = await ann.boxes()
    placed = stage.deliver(ann.store, ann.account_id, stage.message(), flags=DELETED)
    await ann.ask("Email/set", update={f"e{placed.email_id}": {"mailboxIds": {boxes["archive"]: True}}})
    (one,) = ann.store.peek(email_sets.memberships, ann.account_id, placed.email_id)
    assert one.flags == 0


async def test_what_is_moved_to_junk_is_a_lesson(ann: Client) -> None:
    boxes = await ann.boxes()
    placed = stage.deliver(ann.store, ann.account_id, stage.message())
    for box, lesson in (("junk", "spam"), ("inbox", "ham")):
        await ann.ask("Email/set", update={f"e{placed.email_id}": {"mailboxIds": {boxes[box]: True}}})
        assert ann.store.peek(Tx.value, "select lesson from spam_lesson") == lesson


@pytest.mark.parametrize(
    "patch,type",
    [
        ({"subject": "new"}, "invalidProperties"),
        ({"keywords/a/b": True}, "invalidPatch"),
        ({"keywords/a": "yes"}, "invalidPatch"),
        ({"keywords": {}, "keywords/a": True}, "invalidPatch"),
        ({"keywords": {"a": False}}, "invalidProperties"),
        ({"keywords/two words": True}, "invalidProperties"),
        ({f"keywords/k{n}": True for n in range(LIMITS.imap_keywords + 1)}, "tooManyKeywords"),
        ({"mailboxIds": {}}, "invalidProperties"),
        ({"mailboxIds/m404": True}, "invalidProperties"),
        ({"mailboxIds/x": True}, "invalidProperties"),
    ],
)
async def test_what_cannot_be_changed_so(ann: Client, patch: dict[str, Any], type: str) -> None:
    number = (await made(ann))["id"]
    before = await shown(ann, number)
    answer = await ann.ask("Email/set", update={number: patch, "e404": {"keywords/$seen": True}})
    assert answer["notUpdated"][number]["type"] == type and answer["updated"] is None
    assert answer["notUpdated"]["e404"]["type"] == "notFound"
    assert await shown(ann, number) == before and list(check(ann.store)) == []


async def test_one_message_that_fails_leaves_the_others(ann: Client) -> None:
    first, second = (await made(ann))["id"], (await made(ann))["id"]
    answer = await ann.ask(
        "Email/set",
        update={first: {"keywords/ok": True, "mailboxIds/m404": True}, second: {"keywords/ok": True}},
    )
    assert answer["updated"] == {second: None} and set(answer["notUpdated"]) == {first}
    assert (await shown(ann, first, "keywords"))["keywords"] == {}


async def test_many_are_changed_some_at_a_time(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_set, "_STEP", 3)
    numbers = [f"e{stage.deliver(ann.store, ann.account_id, stage.message(f'm{n}')).email_id}" for n in range(7)]
    state = (await ann.ask("Email/get", ids=[]))["state"]
    update = {number: {"keywords/x": True} for number in numbers[:5]}
    answer = await ann.ask("Email/set", update=update, destroy=numbers[5:], ifInState=state)
    assert set(answer["updated"]) == set(numbers[:5]) and answer["destroyed"] == numbers[5:]


# -- destroy, and all at once ------------------------------------------------------------------------------------------


async def test_what_is_destroyed_is_gone_everywhere(ann: Client, bob: Client) -> None:
    boxes = await ann.boxes()
    number = (await made(ann, mailboxIds={boxes["inbox"]: True, boxes["archive"]: True}))["id"]
    theirs = (await made(bob))["id"]
    answer = await ann.ask("Email/set", destroy=[number, number, theirs, "e404", "x"])
    assert answer["destroyed"] == [number]
    assert {k: v["type"] for k, v in answer["notDestroyed"].items()} == dict.fromkeys([theirs, "e404", "x"], "notFound")
    assert await shown(ann, number) == {} and await shown(bob, theirs) != {}
    changes = await ann.ask("Email/changes", sinceState=answer["oldState"])
    assert changes["destroyed"] == [number] and list(check(ann.store)) == []


async def test_a_draft_is_saved_as_one(ann: Client) -> None:
    """What a composer does: the new one comes and the old one goes in one call; never two, never none."""
    boxes = await ann.boxes()
    old = (await made(ann, subject="first"))["id"]
    new = {"mailboxIds": {boxes["drafts"]: True}, "subject": "second"}
    answer = await ann.ask("Email/set", create={"k": new}, destroy=[old])
    assert answer["destroyed"] == [old]
    assert [e["subject"] for e in (await ann.ask("Email/get", ids=None, properties=["subject"]))["list"]] == ["second"]


async def test_an_id_can_be_that_of_what_was_just_made(ann: Client) -> None:
    boxes = await ann.boxes()
    calls = (
        ("Mailbox/set", {"create": {"box": {"name": "Plans", "parentId": None}}}),
        ("Email/set", {"create": {"mail": {"mailboxIds": {"#box": True}, "subject": "x"}}}),
        ("Email/set", {"update": {"#mail": {f"mailboxIds/{boxes['archive']}": True}}}),
        ("Email/set", {"destroy": ["#mail"]}),
    )
    answers = await ann.request(*calls)
    number = answers[1][1]["created"]["mail"]["id"]
    assert answers[2][1]["updated"] == {number: None} and answers[3][1]["destroyed"] == [number]


async def test_a_state_that_is_not_this_one_stops_all_of_it(ann: Client) -> None:
    number = (await made(ann))["id"]
    state = (await ann.ask("Email/get", ids=[]))["state"]
    await ann.ask("Email/set", update={number: {"keywords/a": True}}, ifInState=state)
    assert await ann.no("Email/set", update={number: {"keywords/b": True}}, ifInState=state) == "stateMismatch"
    assert await ann.no("Email/set", create={"k": {}}, ifInState=state) == "stateMismatch"
    assert (await shown(ann, number, "keywords"))["keywords"] == {"a": True}


async def test_a_state_that_moved_between_the_look_and_the_write_stops_it_too(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An IMAP client was quicker by a hair: the write itself looks."""
    number = (await made(ann))["id"]
    state = sets.state
    box = stage.box_id(ann.store, ann.account_id, "Drafts")

    def late(call: Any) -> str:
        found = state(call)
        ann.store.write_now(messages.set_flags, box, messages.ALL, "+", SEEN)
        return found

    now = (await ann.ask("Email/get", ids=[]))["state"]
    monkeypatch.setattr(sets, "state", late)
    assert await ann.no("Email/set", update={number: {"keywords/b": True}}, ifInState=now) == "stateMismatch"
    monkeypatch.undo()
    assert (await shown(ann, number, "keywords"))["keywords"] == {"$seen": True}


@pytest.mark.parametrize(
    "arguments,type",
    [
        ({"create": []}, "invalidArguments"),
        ({"update": {"e1": 1}}, "invalidArguments"),
        ({"destroy": "e1"}, "invalidArguments"),
        ({"destroy": [1]}, "invalidArguments"),
        ({"ifInState": 1}, "invalidArguments"),
        ({"remove": []}, "invalidArguments"),
        ({"destroy": [f"e{n}" for n in range(LIMITS.jmap_set + 1)]}, "requestTooLarge"),
    ],
)
async def test_arguments_that_are_none(ann: Client, arguments: dict[str, Any], type: str) -> None:
    assert await ann.no("Email/set", **arguments) == type


# -- import, copy ------------------------------------------------------------------------------------------------------


async def test_a_message_is_imported_as_it_is(ann: Client) -> None:
    boxes = await ann.boxes()
    data = b"From: x@y.example\nSubject: bare line ends\n\nkept\n"
    blob = upload(ann, data, "message/rfc822")
    given = {"blobId": blob, "mailboxIds": {boxes["inbox"]: True}, "keywords": {"$seen": True},
             "receivedAt": "2020-02-02T02:02:02Z"}  # fmt: skip
    answer = await ann.ask("Email/import", emails={"a": given, "b": {**given, "blobId": "f404"}})
    told = answer["created"]["a"]
    assert told["size"] == len(data) and answer["notCreated"]["b"]["type"] == "blobNotFound"
    assert ann.octets(told["blobId"]) == data
    found = await shown(ann, told["id"], "receivedAt", "keywords", "subject")
    assert found["receivedAt"] == "2020-02-02T02:02:02Z" and found["subject"] == "bare line ends"
    assert list(check(ann.store)) == []


@pytest.mark.parametrize(
    "given,type",
    [
        ({"blobId": 1}, "invalidProperties"),
        ({"blobId": "f1", "size": 1}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
    ],
)
async def test_what_cannot_be_imported(ann: Client, given: dict[str, Any], type: str) -> None:
    boxes = await ann.boxes()
    answer = await ann.ask(
        "Email/import", emails={"a": {"blobId": "f1", "mailboxIds": {boxes["inbox"]: True}, **given}}
    )
    assert answer["notCreated"]["a"]["type"] == type


async def test_what_has_no_header_is_no_message(ann: Client) -> None:
    boxes = await ann.boxes()
    blob = upload(ann, b"\r\njust words")
    answer = await ann.ask("Email/import", emails={"a": {"blobId": blob, "mailboxIds": {boxes["inbox"]: True}}})
    assert answer["notCreated"]["a"]["type"] == "invalidEmail"
    assert await ann.no("Email/import", emails=[]) == "invalidArguments"


async def test_messages_are_copied_between_accounts_and_there_is_one(ann: Client, bob: Client) -> None:
    assert await ann.no("Email/copy", fromAccountId=ann.account, create={}) == "invalidArguments"
    assert await ann.no("Email/copy", fromAccountId=bob.account, create={}) == "fromAccountNotFound"
    assert await ann.no("Email/copy", create={}) == "invalidArguments"


async def test_who_has_no_room_keeps_nothing(ann: Client) -> None:
    ann.set("limits.quota", "100")
    no = await why_not(ann, subject="x" * 500)
    assert no["type"] == "overQuota" and list(check(ann.store)) == []


async def test_a_virus_is_not_kept(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users put into a mailbox is scanned, whatever the road."""
    found = type("Scan", (), {"result": "infected", "name": "EICAR", "reason": ""})
    monkeypatch.setattr(email_make.dangers, "scans", lambda config, origin: True)

    async def scanned(config: Any, data: Any) -> Any:
        return found

    monkeypatch.setattr(email_make.dangers, "scanned", scanned)
    no = await why_not(ann, subject="x")
    assert no["type"] == "forbidden" and "EICAR" in no["description"]
    found.result, found.reason = "error", "no-answer"
    ann.set("virus.on_error", "defer")
    assert (await why_not(ann, subject="x"))["type"] == "serverUnavailable"


async def test_a_message_is_in_so_many_mailboxes(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(LIMITS, email_mailboxes=2)
    monkeypatch.setattr(email_make, "LIMITS", few)
    monkeypatch.setattr(email_sets, "LIMITS", few)
    boxes = list((await ann.boxes()).values())
    assert (await why_not(ann, mailboxIds=dict.fromkeys(boxes[:3], True)))["type"] == "tooManyMailboxes"
    number = (await made(ann, mailboxIds=dict.fromkeys(boxes[:2], True)))["id"]
    answer = await ann.ask("Email/set", update={number: {f"mailboxIds/{boxes[2]}": True}})
    assert answer["notUpdated"][number]["type"] == "tooManyMailboxes"


# -- parse (RFC 8621 §4.9) ---------------------------------------------------------------------------------------------


async def test_an_attached_message_is_read_and_what_is_attached_to_it_can_be_had(ann: Client, bob: Client) -> None:
    inner = await made(
        ann, subject="inner", textBody=[{"partId": "1"}], bodyValues={"1": {"value": "deep"}},
        attachments=[{"blobId": upload(ann, b"picture"), "name": "a.png"}],
    )  # fmt: skip
    outer = await made(ann, attachments=[{"blobId": inner["blobId"], "type": "message/rfc822"}])
    (part,) = (await shown(ann, outer["id"], "attachments"))["attachments"]
    words, theirs = upload(ann, b"\r\nno message"), (await made(bob, subject="x"))["blobId"]
    ids = [part["blobId"], words, "f404", theirs]
    found = await ann.ask("Email/parse", blobIds=ids, fetchAllBodyValues=True)
    assert found["notParsable"] == [words] and found["notFound"] == ["f404", theirs]
    email = found["parsed"][part["blobId"]]
    assert email["subject"] == "inner" and email["hasAttachment"] and email["preview"] == "deep"
    assert [value["value"] for value in email["bodyValues"].values()] == ["deep"] and "id" not in email
    assert ann.octets(email["attachments"][0]["blobId"]) == b"picture"
    properties = ["id", "size", "mailboxIds", "header:Subject:asText"]
    (few,) = (await ann.ask("Email/parse", blobIds=ids[:1], properties=properties))["parsed"].values()
    assert few == {"id": None, "size": inner["size"], "mailboxIds": None, "header:Subject:asText": "inner"}
    for arguments in ({}, {"blobIds": [1]}, {"blobIds": [], "properties": ["x"]}):
        assert await ann.no("Email/parse", **arguments) == "invalidArguments"
    assert await ann.no("Email/parse", blobIds=["x"] * (LIMITS.jmap_get + 1)) == "requestTooLarge"


async def test_parts_inside_of_parts_end_somewhere(ann: Client) -> None:
    whole = (await made(ann, subject="x"))["blobId"]
    found = await ann.ask("Email/parse", blobIds=[whole + "_1" * 100, whole + "_1_9", whole + "_", "_1"])
    assert found["parsed"] is None and len(found["notFound"]) == 4


async def test_a_patch_is_no_longer_than_a_message_has_need_of(ann: Client) -> None:
    number = (await made(ann))["id"]
    patch = {f"keywords/word{n}": None for n in range(LIMITS.email_patch)}
    assert (await ann.ask("Email/set", update={number: patch}))["updated"] == {number: None}
    answer = await ann.ask("Email/set", update={number: {**patch, "keywords/more": None}})
    assert answer["notUpdated"][number]["type"] == "invalidPatch"


@pytest.mark.parametrize("value", [1, 1.0, False, 0, "true", {}, []])
async def test_a_word_is_set_by_true_and_taken_by_null(ann: Client, value: object) -> None:
    """1 is equal to True for Python, and not for JSON."""
    number = (await made(ann, keywords={"$flagged": True}))["id"]
    for path in ("keywords/$flagged", "mailboxIds/m1"):
        answer = await ann.ask("Email/set", update={number: {path: value}})
        assert answer["notUpdated"][number]["type"] == "invalidPatch"
    assert (await ann.ask("Email/get", ids=[number]))["list"][0]["keywords"] == {"$flagged": True}


async def test_what_others_change_meanwhile_is_not_passed_over(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8620 §5.3: whoever knew oldState goes on from newState, and hears of all that came in between."""
    email = (await made(ann))["id"]
    write = ann.store.write

    async def later(work: Any, *given: Any, **more: Any) -> Any:
        stage.deliver(ann.store, ann.account_id, b"Subject: news\r\n\r\nCome.\r\n")
        return await write(work, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ann.store, "write", later)
        answer = await ann.ask("Email/set", update={email: {"keywords/$seen": True}})
    assert answer["updated"] == {email: None}
    told = await ann.ask("Email/changes", sinceState=answer["newState"])
    assert len(told["created"]) == 1
    answer = await ann.ask("Email/set", update={email: {"keywords/$seen": None}})
    assert answer["newState"] == (await ann.ask("Email/get", ids=[]))["state"] != answer["oldState"]


def test_of_states_that_nobody_knows_others_may_have_changed_all(ann: Client) -> None:
    assert ann.store.peek(sets.of_mail("Email", "e"), ann.account_id, "999999") is None
