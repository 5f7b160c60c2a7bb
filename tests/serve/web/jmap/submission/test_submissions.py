"""EmailSubmission/* and Identity/* (RFC 8621 §6, §7): sending, undoing, sending later."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from daemon.flow import email_submission
from daemon.flow.scheduled import Scheduled
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import aliases, identities, queue, submissions, web_changes
from daemon.store.check import check
from daemon.store.queue import Outcome
from tests.flow.house import House
from tests.serve.web.jmap.writing import Client


async def identity(ann: Client) -> str:
    return str((await ann.ask("Identity/get"))["list"][0]["id"])


async def compose(ann: Client, *to: str, bcc: tuple[str, ...] = (), author: str = "ann@here.example") -> dict[str, Any]:
    """What a composer saves: a draft in Drafts."""
    boxes = await ann.boxes()
    return {
        "mailboxIds": {boxes["drafts"]: True},
        "keywords": {"$draft": True, "$seen": True},
        "from": [{"name": "Ann", "email": author}],
        "to": [{"email": each} for each in to],
        "bcc": [{"email": each} for each in bcc],
        "subject": "hello",
        "textBody": [{"partId": "1", "type": "text/plain"}],
        "bodyValues": {"1": {"value": "Hello.\n"}},
    }


async def send(ann: Client, draft: dict[str, Any], envelope: dict[str, Any] | None = None) -> dict[str, Any]:
    """Draft and submission in one request, as the webmail does it; the submission's part of the answer."""
    boxes, own = await ann.boxes(), await identity(ann)
    submission = {"identityId": own, "emailId": "#d", **({"envelope": envelope} if envelope else {})}
    patch = {f"mailboxIds/{boxes['drafts']}": None, f"mailboxIds/{boxes['sent']}": True, "keywords/$draft": None}
    answers = await ann.request(
        ("Email/set", {"create": {"d": draft}}),
        ("EmailSubmission/set", {"create": {"s": submission}, "onSuccessUpdateEmail": {"#s": patch}}),
    )
    assert answers[0][1]["created"], answers[0]
    return {
        "email": answers[0][1]["created"]["d"]["id"],
        "set": answers[1][1],
        "more": answers[2] if len(answers) > 2 else None,
    }


def held(seconds: int, *to: str) -> dict[str, Any]:
    return {
        "mailFrom": {"email": "ann@here.example", "parameters": {"HOLDFOR": str(seconds)}},
        "rcptTo": [{"email": each, "parameters": None} for each in to],
    }


async def test_a_message_is_sent_and_its_draft_becomes_the_sent_copy(ann: Client, home: House) -> None:
    """RFC 8621 §7.5.1: the second answer under the same mark is the Email/set that was meant."""
    draft = await compose(ann, "bob@here.example", "far@there.example", bcc=("secret@there.example",))
    done = await send(ann, draft)
    told, boxes = done["set"]["created"]["s"], await ann.boxes()
    assert told["undoStatus"] == "final" and told["sendAt"] == "2027-01-15T08:00:00Z" and told["threadId"][0] == "t"
    assert {r["email"] for r in told["envelope"]["rcptTo"]} == {
        "bob@here.example", "far@there.example", "secret@there.example"
    }  # fmt: skip
    assert done["more"] == ("Email/set", done["more"][1]) and done["more"][1]["updated"] == {done["email"]: None}
    found = (await ann.ask("Email/get", ids=[done["email"]], properties=["mailboxIds", "keywords", "bcc", "blobId"]))[
        "list"
    ][0]
    assert found["mailboxIds"] == {boxes["sent"]: True} and found["keywords"] == {"$seen": True}
    assert found["bcc"] == [{"name": None, "email": "secret@there.example"}]  # the sender may see whom he wrote to
    (mail,) = home.inbox("bob@here.example")
    assert b"secret" not in mail and b"Received: by mx.here.example" in mail
    assert {row.recipient for row in home.queued()} == {"far@there.example", "secret@there.example"}
    assert list(check(home.store)) == []


async def test_what_became_of_each_recipient_is_told(ann: Client, home: House) -> None:
    done = await send(ann, await compose(ann, "bob@here.example", "far@there.example"))
    number, state = done["set"]["created"]["s"]["id"], done["set"]["newState"]

    async def status() -> dict[str, Any]:
        found = await ann.ask("EmailSubmission/get", ids=[number], properties=["deliveryStatus"])
        return dict(found["list"][0]["deliveryStatus"])

    first = await status()
    assert first["bob@here.example"]["delivered"] == "yes" and first["far@there.example"]["delivered"] == "queued"
    (row,) = home.queued()

    def sent(tx: Any) -> None:
        claimed = queue.claim(tx, queue.Wish(10, 10, 60_000)).recipients[0]
        queue.settle(tx, [Outcome.of(claimed, "sent", "", "250 2.0.0 took it", "mx.there.example")])

    home.store.write_now(sent)
    assert (await status())["far@there.example"] == {
        "smtpReply": "250 2.0.0 took it", "delivered": "unknown", "displayed": "unknown"
    }  # fmt: skip
    changes = await ann.ask("EmailSubmission/changes", sinceState=state)
    assert changes["updated"] == [number] and not changes["created"]


async def test_a_message_is_undone_while_it_waits(ann: Client, home: House) -> None:
    done = await send(ann, await compose(ann, "bob@here.example"), held(10, "bob@here.example"))
    told = done["set"]["created"]["s"]
    assert (
        told["undoStatus"] == "pending" and told["sendAt"] == "2027-01-15T08:00:10Z" and told["deliveryStatus"] is None
    )
    answer = await ann.ask("EmailSubmission/set", update={told["id"]: {"undoStatus": "canceled"}})
    assert answer["updated"] == {told["id"]: None}
    home.clock.now += 10_000
    assert await Scheduled(home.store, lambda: home.config).round() == 0 and not home.inbox("bob@here.example")
    found = (await ann.ask("EmailSubmission/get", ids=[told["id"]]))["list"][0]
    assert found["undoStatus"] == "canceled" and found["envelope"]["rcptTo"][0]["email"] == "bob@here.example"


async def test_a_message_that_went_is_not_undone(ann: Client, home: House) -> None:
    done = await send(ann, await compose(ann, "bob@here.example"), held(5, "bob@here.example"))
    number = done["set"]["created"]["s"]["id"]
    home.clock.now += 5000
    assert await Scheduled(home.store, lambda: home.config).round() == 1
    answer = await ann.ask("EmailSubmission/set", update={number: {"undoStatus": "canceled"}})
    assert answer["notUpdated"][number]["type"] == "cannotUnsend" and len(home.inbox("bob@here.example")) == 1


async def test_a_message_is_sent_at_a_time(ann: Client, home: House) -> None:
    envelope = held(0, "bob@here.example")
    envelope["mailFrom"]["parameters"] = {"HOLDUNTIL": "2027-01-16T08:00:00Z"}
    done = await send(ann, await compose(ann, "bob@here.example"), envelope)
    assert done["set"]["created"]["s"]["sendAt"] == "2027-01-16T08:00:00Z"
    home.clock.now += 86_400_000
    assert await Scheduled(home.store, lambda: home.config).round() == 1 and len(home.inbox("bob@here.example")) == 1


@pytest.mark.parametrize(
    "change,type",
    [
        ({"envelope": held(LIMITS.submission_delay + 60, "bob@here.example")}, "invalidProperties"),
        ({"envelope": {**held(0, "bob@here.example"), "mailFrom": {"email": "bob@here.example"}}}, "forbiddenMailFrom"),
        ({"envelope": held(0)}, "noRecipients"),
        ({"envelope": held(60, "nobody@here.example")}, "invalidRecipients"),
        ({"envelope": held(0, *(f"n{n}@x.example" for n in range(1001)))}, "tooManyRecipients"),
        ({"envelope": "x"}, "invalidProperties"),
        ({"identityId": "i404"}, "invalidProperties"),
        ({"identityId": None}, "invalidProperties"),
        ({"emailId": "e404"}, "invalidProperties"),
        ({"sendAt": "2027-01-15T08:00:10Z"}, "invalidProperties"),
    ],
)
async def test_what_is_not_sent(ann: Client, home: House, change: dict[str, Any], type: str) -> None:
    own = await identity(ann)
    draft = (await ann.ask("Email/set", create={"d": await compose(ann, "bob@here.example")}))["created"]["d"]["id"]
    answer = await ann.ask(
        "EmailSubmission/set",
        create={"s": {"identityId": own, "emailId": draft, **change}},
        onSuccessDestroyEmail=["#s"],
    )
    no = answer["notCreated"]["s"]
    assert no["type"] == type and no["description"] and answer["created"] is None
    if type == "tooManyRecipients":
        assert no["maxRecipients"] == 1000
    if type == "invalidRecipients":
        assert no["invalidRecipients"] == ["nobody@here.example"]
    assert (await ann.ask("Email/get", ids=[draft], properties=[]))["list"] and not home.queued()
    assert not home.inbox("bob@here.example") and list(check(home.store)) == []


async def test_more_recipients_than_go_are_not_even_read(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An envelope of a hundred thousand holds up nobody."""
    monkeypatch.setattr(email_submission, "parse_address", None)
    envelope = held(0, *(f"n{n}@x.example" for n in range(1001)))
    draft = (await ann.ask("Email/set", create={"d": await compose(ann, "bob@here.example")}))["created"]["d"]["id"]
    sending = {"identityId": await identity(ann), "emailId": draft, "envelope": envelope}
    answer = await ann.ask("EmailSubmission/set", create={"s": sending})
    assert answer["notCreated"]["s"]["type"] == "tooManyRecipients"


async def test_nobody_writes_as_another(ann: Client, home: House) -> None:
    done = await send(ann, await compose(ann, "bob@here.example", author="bob@here.example"))
    assert done["set"]["notCreated"]["s"]["type"] == "forbiddenFrom" and done["more"] is None


async def test_a_draft_that_is_no_mail_is_told_as_such(ann: Client) -> None:
    draft = await compose(ann, "bob@here.example")
    draft["from"] = [{"email": "ann@here.example"}, {"email": "bob@here.example"}]
    assert (await send(ann, draft))["set"]["notCreated"]["s"]["type"] == "invalidProperties"


async def test_the_draft_goes_when_that_was_asked_for(ann: Client, home: House) -> None:
    own = await identity(ann)
    draft = (await ann.ask("Email/set", create={"d": await compose(ann, "bob@here.example")}))["created"]["d"]["id"]
    answers = await ann.request((
        "EmailSubmission/set",
        {"create": {"s": {"identityId": own, "emailId": draft}}, "onSuccessDestroyEmail": ["#s"]},
    ))  # fmt: skip
    assert answers[1][0] == "Email/set" and answers[1][1]["destroyed"] == [draft]
    assert len(home.inbox("bob@here.example")) == 1 and list(check(home.store)) == []


async def test_submissions_are_found(ann: Client, home: House) -> None:
    own = await identity(ann)
    numbers = []
    for seconds in (30, 0, 90):
        done = await send(ann, await compose(ann, "bob@here.example"), held(seconds, "bob@here.example"))
        numbers.append(done["set"]["created"]["s"]["id"])

    async def query(**arguments: Any) -> list[str]:
        return list((await ann.ask("EmailSubmission/query", **arguments))["ids"])

    first, second, third = numbers
    by_time = [{"property": "sentAt", "isAscending": False}]
    assert await query() == numbers and await query(sort=by_time) == [third, first, second]
    assert await query(filter={"undoStatus": "pending"}) == [first, third]
    assert await query(filter={"undoStatus": "pending", "identityIds": [own]}, position=1) == [third]
    assert await query(filter={"identityIds": ["i9"]}) == []
    assert await query(filter={"before": "2027-01-15T08:00:30Z"}) == [second]
    assert await query(filter={"after": "2027-01-15T08:00:30Z"}, limit=1) == [first]
    no_pending = {"operator": "NOT", "conditions": [{"undoStatus": "pending"}]}
    assert await query(filter=no_pending) == [second]
    both = {"operator": "OR", "conditions": [no_pending, {"undoStatus": "pending"}]}
    assert await query(filter={"operator": "AND", "conditions": [both]}, anchor=second, anchorOffset=1) == [third]
    for arguments, type in (
        ({"filter": {"subject": "x"}}, "unsupportedFilter"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": [{}] * (LIMITS.jmap_filter + 1)}}, "invalidArguments"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"filter": {"emailIds": "e1"}}, "invalidArguments"),
        ({"sort": [{"property": "sentAt", "isAscending": 1}]}, "invalidArguments"),
        ({"sort": [{"property": "size"}]}, "unsupportedSort"),
        ({"anchor": "s404"}, "anchorNotFound"),
        ({"limit": "x"}, "invalidArguments"),
        ({"x": 1}, "invalidArguments"),
    ):
        assert await ann.no("EmailSubmission/query", **arguments) == type  # type: ignore[arg-type]
    assert await ann.no("EmailSubmission/queryChanges", sinceQueryState="1") == "cannotCalculateChanges"
    answer = await ann.ask("EmailSubmission/set", destroy=[first, second, "s404"])
    assert answer["destroyed"] == [second]
    assert {k: v["type"] for k, v in answer["notDestroyed"].items()} == {first: "forbidden", "s404": "notFound"}
    answer = await ann.ask("EmailSubmission/set", update={first: {"sendAt": "x"}, "s404": {"undoStatus": "canceled"}})
    assert {k: v["type"] for k, v in answer["notUpdated"].items()} == {first: "invalidProperties", "s404": "notFound"}


async def test_what_happens_while_it_is_read_is_told_later(
    ann: Client, home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §5.1: of what a client holds with a state, no change is lost behind it."""
    done = await send(ann, await compose(ann, "bob@here.example"), held(10, "bob@here.example"))
    number, read = done["set"]["created"]["s"]["id"], home.store.read

    async def slow(*work: Any) -> Any:
        found = await read(*work)
        home.store.write_now(submissions.cancel, ann.account_id, int(number[1:]))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(home.store, "read", slow)
        found = await ann.ask("EmailSubmission/get", ids=[number])
    assert found["list"][0]["undoStatus"] == "pending"
    later = await ann.ask("EmailSubmission/changes", sinceState=found["state"])
    assert later["updated"] == [number]


async def test_no_change_falls_between_the_changes_and_their_state(
    ann: Client, home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = []
    for _ in range(2):
        done = await send(ann, await compose(ann, "bob@here.example"), held(10, "bob@here.example"))
        numbers.append(done["set"]["created"]["s"]["id"])
    first, second = numbers
    before = (await ann.ask("EmailSubmission/set", update={first: {"undoStatus": "canceled"}}))["oldState"]
    state, looks = web_changes.state, list[int]()

    def late(tx: Any, account_id: int) -> int:
        looks.append(account_id)
        if len(looks) == 2:  # the changes are read, and their state is asked for
            home.store.write_now(submissions.cancel, ann.account_id, int(second[1:]))
        return state(tx, account_id)

    with monkeypatch.context() as patch:
        patch.setattr(web_changes, "state", late)
        found = await ann.ask("EmailSubmission/changes", sinceState=before)
    later = await ann.ask("EmailSubmission/changes", sinceState=found["newState"])
    assert {*found["updated"], *later["updated"]} == {first, second}


# -- identities --------------------------------------------------------------------------------------------------------


async def test_identities_as_they_are_set(ann: Client, home: House) -> None:
    home.store.write_now(
        lambda tx: aliases.add(tx, parse_address("team@here.example"), [parse_address("ann@here.example")])
    )
    (own,) = (await ann.ask("Identity/get"))["list"]
    assert own["email"] == "ann@here.example" and own["mayDelete"] is False and own["bcc"] is None
    given = {
        "email": "team@here.example",
        "name": "The team",
        "textSignature": "-- \nTeam",
        "replyTo": [{"email": "ann@here.example"}],
    }
    answer = await ann.ask("Identity/set", create={"k": given})
    number = answer["created"]["k"]["id"]
    changed = {
        "name": "Team",
        "htmlSignature": "<i>Team</i>",
        "replyTo": None,
        "bcc": [{"name": "x", "email": "a@b.example"}],
    }
    await ann.ask("Identity/set", update={number: changed})
    found = (await ann.ask("Identity/get", ids=[number]))["list"][0]
    assert found == {**given, **changed, "id": number, "mayDelete": True}
    changes = await ann.ask("Identity/changes", sinceState=answer["oldState"])
    assert changes["created"] == [number] and changes["destroyed"] == []
    answer = await ann.ask("Identity/set", destroy=[number, own["id"], "i404"])
    assert answer["destroyed"] == [number]
    assert {k: v["type"] for k, v in answer["notDestroyed"].items()} == {own["id"]: "forbidden", "i404": "notFound"}
    for state in ("x", "999999", ""):
        assert await ann.no("Identity/changes", sinceState=state) == "cannotCalculateChanges"
    assert await ann.no("Identity/changes", sinceState=1) == "invalidArguments"
    assert list(check(home.store)) == []


async def test_a_user_has_so_many_identities(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "LIMITS", dataclasses.replace(LIMITS, identities=2))
    await identity(ann)
    create = {"a": {"email": "ann+a@here.example"}, "b": {"email": "ann+b@here.example"}}
    answer = await ann.ask("Identity/set", create=create)
    assert set(answer["created"]) == {"a"} and "at most 2" in answer["notCreated"]["b"]["description"]


@pytest.mark.parametrize(
    "given,type",
    [
        ({"email": "bob@here.example"}, "forbiddenFrom"),
        ({"email": "no address"}, "invalidProperties"),
        ({}, "invalidProperties"),
        ({"email": "ann@here.example", "name": 1}, "invalidProperties"),
        ({"email": "ann@here.example", "name": "two\nlines"}, "invalidProperties"),
        ({"email": "ann@here.example", "bcc": "x"}, "invalidProperties"),
        ({"email": "ann@here.example", "bcc": [{"email": "x"}]}, "invalidProperties"),
        ({"email": "ann@here.example", "bcc": [{"email": "x@y.example", "name": 1}]}, "invalidProperties"),
        ({"email": "ann@here.example", "textSignature": "x" * (LIMITS.identity_text + 1)}, "invalidProperties"),
        ({"email": "ann@here.example", "mayDelete": True}, "invalidProperties"),
    ],
)
async def test_what_is_no_identity(ann: Client, given: dict[str, Any], type: str) -> None:
    assert (await ann.ask("Identity/set", create={"k": given}))["notCreated"]["k"]["type"] == type
    own = await identity(ann)
    answer = await ann.ask("Identity/set", update={own: {"email": "x@here.example"}, "i404": {"name": "x"}})
    assert {k: v["type"] for k, v in answer["notUpdated"].items()} == {own: "invalidProperties", "i404": "notFound"}
