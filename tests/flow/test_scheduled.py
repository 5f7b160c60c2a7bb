"""Messages that users send over the web: asked as over SMTP, at once or at their time, once in any case."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from daemon.flow import email_submission, scheduled
from daemon.flow.email_submission import BadEnvelope, Submitter
from daemon.flow.scheduled import Scheduled
from daemon.flow.submit import NotTaken
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, identities, messages, submissions, web_changes
from daemon.store.blobs import Place
from daemon.store.check import check
from daemon.store.errors import Invalid, Missing
from daemon.store.submissions import New, Settled, Settlement
from daemon.store.tx import Tx
from daemon.wire import jmap
from tests.flow.house import House
from tests.store import stage

LETTER = (
    b"From: Ann <ann@here.example>\r\nTo: bob@here.example, Far <far@there.example>\r\nBcc: secret@there.example\r\n"
    b"Subject: hello\r\n\r\nHello.\r\n"
)
ENVELOPE = {
    "mailFrom": {"email": "ann@here.example", "parameters": None},
    "rcptTo": [{"email": "bob@here.example", "parameters": None}, {"email": "far@there.example"}],
}


def ann(house: House) -> int:
    return house.store.peek(accounts.get, parse_address("ann@here.example")).id


def draft(house: House, data: bytes = LETTER) -> tuple[int, Place, int]:
    """A message among Ann's drafts: its blob, where it lies, its number."""
    placed = stage.deliver(house.store, ann(house), data, "Drafts")
    rows = house.store.read_now(
        messages.fetch, placed.mailbox_id, ((placed.uid, placed.uid),), ("blob_id", "segment_id", "offset", "length")
    )
    return rows[0][0], Place(*rows[0][1:]), placed.email_id


def later(house: House, seconds: int = 60, data: bytes = LETTER, envelope: dict[str, Any] | None = None) -> int:
    """One of Ann's that waits."""
    blob, _, email = draft(house, data)
    at = house.clock.now + seconds * 1000
    return house.store.write_now(submissions.put, New(ann(house), 1, email, 1, blob, envelope or ENVELOPE, at))


def shown(house: House, number: int) -> submissions.Submission:
    found = house.store.peek(submissions.find, ann(house), number)
    assert found is not None
    return found


def asked(given: dict[str, Any]) -> email_submission.Asked:
    return email_submission.read(given, jmap.read_utc_date)


async def test_what_is_sent_goes_the_road_of_all_mail(house: House) -> None:
    """Bob has it, the queue has it for far away, and nobody learns of the Bcc; the draft still has it."""
    blob, place, email = draft(house)
    new = New(ann(house), 1, email, 1, blob, ENVELOPE, house.clock.now)
    road = Submitter(house.store, lambda: house.config)
    receipt = await road.send(ann(house), asked(ENVELOPE).envelope, place, Settlement(new=new))
    (mail,) = house.inbox("bob@here.example")
    assert b"Subject: hello" in mail and b"Message-ID: <" in mail and b"Date: " in mail
    assert b"secret@" not in mail and b"secret@" in house.store.bytes_of(place)
    (row,) = house.queued()
    assert row.recipient == "far@there.example"
    one = house.store.peek(submissions.of_trace, receipt.trace)
    assert one is not None and one.state == "final" and one.trace == receipt.trace
    assert list(check(house.store)) == []


async def test_a_message_waits_for_its_time_and_goes_once(house: House) -> None:
    number = later(house)
    worker = Scheduled(house.store, lambda: house.config)
    assert await worker.round() == 0 and shown(house, number).state == "pending" and not house.queued()
    assert list(check(house.store)) == []
    house.clock.now += 60_000
    assert await worker.round() == 1 and await worker.round() == 0
    assert shown(house, number).state == "final" and len(house.inbox("bob@here.example")) == 1
    assert list(check(house.store)) == []


async def test_two_who_send_it_at_once_send_it_once(house: House) -> None:
    number = later(house, 0)
    workers = [Scheduled(house.store, lambda: house.config) for _ in range(3)]
    assert await asyncio.gather(*(worker.round() for worker in workers)) == [1, 1, 1]  # over, whoever ended it
    assert len(house.inbox("bob@here.example")) == 1 and len(house.queued()) == 1
    assert shown(house, number).state == "final"


async def test_what_is_undone_in_time_never_goes(house: House) -> None:
    number = later(house)
    house.store.write_now(submissions.cancel, ann(house), number)
    house.clock.now += 60_000
    assert await Scheduled(house.store, lambda: house.config).round() == 0
    assert not house.inbox("bob@here.example") and shown(house, number).state == "canceled"
    with pytest.raises(Settled):
        house.store.write_now(submissions.cancel, ann(house), number)
    assert list(check(house.store)) == []


async def test_the_worker_sleeps_until_one_is_due_and_wakes_when_one_comes(house: House) -> None:
    house.store.attach(asyncio.get_running_loop())
    worker = Scheduled(house.store, lambda: house.config)
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    blob, _, email = draft(house)
    await house.store.write(submissions.put, New(ann(house), 1, email, 1, blob, ENVELOPE, house.clock.now))
    async with asyncio.timeout(20):
        while not house.inbox("bob@here.example"):
            await asyncio.sleep(0.01)
    task.cancel()
    later(house, 30)
    assert worker._pause() == 30.0
    later(house, 5)
    assert worker._pause() == 5.0


async def test_the_draft_may_go_while_its_message_waits(house: House) -> None:
    number = later(house)
    box = stage.box_id(house.store, ann(house), "Drafts")
    house.store.write_now(messages.remove, box)
    house.clock.now += 60_000
    assert await Scheduled(house.store, lambda: house.config).round() == 1
    assert len(house.inbox("bob@here.example")) == 1 and shown(house, number).state == "final"
    assert list(check(house.store)) == []


async def test_who_may_not_send_any_more_is_told_and_nothing_goes(house: House) -> None:
    """Bob is nobody any more when the time comes: Ann reads why in a letter."""
    envelope = {**ENVELOPE, "rcptTo": [{"email": "bob@here.example"}]}
    number = later(house, envelope=envelope)
    bob = house.store.peek(accounts.get, parse_address("bob@here.example")).id
    house.store.write_now(lambda tx: accounts.change(tx, bob, enabled=0))
    house.clock.now += 60_000
    assert await Scheduled(house.store, lambda: house.config).round() == 1
    (letter,) = house.inbox("ann@here.example")
    assert b"could not be sent" in letter and b"bob@here.example" in letter and b"mailbox is disabled" in letter
    one = shown(house, number)
    assert one.state == "final" and one.trace is None and "disabled" in (one.refusal or "")
    assert list(check(house.store)) == []


async def test_a_user_who_is_disabled_sends_nothing(house: House) -> None:
    number = later(house)
    me = ann(house)
    house.store.write_now(lambda tx: accounts.change(tx, me, enabled=0))
    house.clock.now += 60_000
    assert await Scheduled(house.store, lambda: house.config).round() == 1
    assert not house.inbox("bob@here.example") and not house.queued() and shown(house, number).state == "final"


async def test_what_cannot_go_for_now_goes_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = later(house, 0)
    worker = Scheduled(house.store, lambda: house.config)

    async def busy(*_: object, **__: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Submitter, "send", busy)
        assert await worker.round() == 0
    assert shown(house, number).state == "pending" and await worker.round() == 0
    house.clock.now += LIMITS.submission_rest * 1000
    assert await worker.round() == 1 and len(house.inbox("bob@here.example")) == 1


async def test_many_go_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled, "LIMITS", dataclasses.replace(LIMITS, submission_batch=2))
    for _ in range(5):
        later(house, 0)
    assert await Scheduled(house.store, lambda: house.config).round() == 5
    assert len(house.inbox("bob@here.example")) == 5


async def test_what_a_stolen_password_sends_is_held_over_this_road_too(house: House) -> None:
    house.config = type(house.config)([*house.config.rows.items(), ("allowance.messages_per_hour", "1")])
    for _ in range(2):
        later(house, 0)
    await Scheduled(house.store, lambda: house.config).round()
    assert sorted(row.state for row in house.queued()) == ["due", "held"]
    assert house.store.peek(Tx.value, "select count(*) from incident") == 1


@pytest.mark.parametrize(
    "given,type",
    [
        ({}, "invalidProperties"),
        ({"mailFrom": {"email": "x"}, "rcptTo": []}, "invalidProperties"),
        ({"mailFrom": {"email": "ann@here.example"}, "rcptTo": ["x"]}, "invalidProperties"),
        ({"mailFrom": {"email": "ann@here.example"}, "rcptTo": [{"email": "no address"}]}, "invalidRecipients"),
        ({**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": {"RET": "NONE"}}}, "invalidProperties"),
        ({**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": {"X Y": None}}}, "invalidProperties"),
        (
            {**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": {"RET": "FULL\r\nRCPT"}}},
            "invalidProperties",
        ),
        ({**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": {"HOLDFOR": "-1"}}}, "invalidProperties"),
        ({**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": {"HOLDUNTIL": "soon"}}}, "invalidProperties"),
        ({**ENVELOPE, "mailFrom": {"email": "a@b.example", "parameters": ["RET"]}}, "invalidProperties"),
        ({**ENVELOPE, "rcptTo": [{"email": "a@b.example", "parameters": {"NOTIFY": "MAYBE"}}]}, "invalidProperties"),
    ],
)
def test_envelopes_that_are_none(given: dict[str, Any], type: str) -> None:
    with pytest.raises(BadEnvelope) as caught:
        asked(given)
    assert caught.value.type == type


def test_an_envelope_says_all_that_smtp_can() -> None:
    given = {
        "mailFrom": {"email": "ann@here.example", "parameters": {"RET": "hdrs", "ENVID": "x", "holdfor": "90"}},
        "rcptTo": [
            {"email": "jörg@bücher.example", "parameters": {"NOTIFY": "success", "ORCPT": "rfc822;a@b.example"}},
            {"email": "jörg@bücher.example"},
        ],
    }
    found = asked(given)
    assert found.hold_for == 90 and found.envelope.ret == "HDRS" and found.envelope.smtputf8
    (recipient,) = found.envelope.recipients
    assert (recipient.notify, recipient.orcpt) == ("SUCCESS", "rfc822;a@b.example")
    told = json.loads(json.dumps(email_submission.told(found.envelope)))
    assert asked(told).envelope == found.envelope
    until = {**ENVELOPE, "mailFrom": {"email": "", "parameters": {"HOLDUNTIL": "2030-01-01T00:00:00Z"}}}
    assert asked(until).hold_until == 1_893_456_000_000 and asked(until).envelope.sender is None


@pytest.mark.parametrize(
    "head,sender,recipients",
    [
        (b"From: ann@here.example\r\nTo: a@x.example, A@x.example\r\nCc: b@x.example\r\nBcc: c@x.example\r\n",
         "ann@here.example", ["a@x.example", "b@x.example", "c@x.example"]),
        (b"From: bob@here.example\r\nTo: team: a@x.example;\r\n", "own@here.example", ["a@x.example"]),
        (b"From: bob@here.example\r\nSender: ann@here.example\r\n", "ann@here.example", []),
        (b"From: a@x.example, b@x.example\r\n", None, []),
        (b"From: a@x.example\r\nTo: not an address\r\n", None, []),
        (b"To: " + b", ".join(b"n%d@x.example" % n for n in range(1000)) + b"\r\n", "own@here.example",
         [f"n{n}@x.example" for n in range(1000)]),
    ],
)  # fmt: skip
def test_an_envelope_out_of_the_header(head: bytes, sender: str | None, recipients: list[str]) -> None:
    def derive() -> email_submission.Envelope:
        own = parse_address("own@here.example")
        return email_submission.derived(head + b"\r\nx", lambda a: a.local == "ann", own)

    if sender is None:
        with pytest.raises(BadEnvelope):
            derive()
        return
    found = derive()
    assert found.reverse_path == sender and [str(r.address) for r in found.recipients] == recipients


@pytest.mark.parametrize(
    "envelope,type",
    [
        ({**ENVELOPE, "mailFrom": {"email": "bob@here.example"}}, "forbiddenMailFrom"),
        ({**ENVELOPE, "rcptTo": []}, "noRecipients"),
        ({**ENVELOPE, "rcptTo": [{"email": f"n{n}@x.example"} for n in range(1001)]}, "tooManyRecipients"),
        ({**ENVELOPE, "rcptTo": [{"email": "nobody@here.example"}, {"email": "a@x.example"}]}, "invalidRecipients"),
    ],
)
async def test_what_smtp_would_refuse_is_refused(house: House, envelope: dict[str, Any], type: str) -> None:
    _, place, _ = draft(house)
    road = Submitter(house.store, lambda: house.config)
    for work in (road.look(ann(house), asked(envelope).envelope, place),
                 road.send(ann(house), asked(envelope).envelope, place, Settlement())):  # fmt: skip
        with pytest.raises(BadEnvelope) as caught:
            await work
        assert caught.value.type == type
    if type == "invalidRecipients":
        assert caught.value.more == {"invalidRecipients": ["nobody@here.example"]}


@pytest.mark.parametrize(
    "data,reason",
    [
        (LETTER.replace(b"ann@", b"bob@"), "not-his-address"),
        (LETTER + b"x" * 2000, "too-large"),
        (b"From: ann@here.example\r\n" + LETTER, "several-from"),
    ],
)
async def test_messages_that_smtp_would_refuse_are_refused(house: House, data: bytes, reason: str) -> None:
    house.config = type(house.config)([*house.config.rows.items(), ("limits.message_size", "1500")])
    _, place, _ = draft(house, data)
    with pytest.raises(NotTaken) as caught:
        await Submitter(house.store, lambda: house.config).send(
            ann(house), asked(ENVELOPE).envelope, place, Settlement()
        )
    assert caught.value.reason == reason and not house.queued()


def test_submissions_that_wait_have_a_ceiling(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = later(house)
    monkeypatch.setattr(submissions, "LIMITS", type("L", (), {"submissions": 1, "submission_memory": 10}))
    with pytest.raises(Invalid):
        later(house)
    with pytest.raises(Invalid):
        house.store.write_now(submissions.remove, ann(house), number)
    with pytest.raises(Missing):
        house.store.write_now(submissions.cancel, ann(house), 99)
    house.store.write_now(submissions.cancel, ann(house), number)
    state = house.store.peek(web_changes.state, ann(house))
    house.clock.now += 120_000
    assert house.store.write_now(submissions.forget, 10) == 1
    changed = house.store.peek(web_changes.since, ann(house), "submission", state, 10)
    assert changed.destroyed == [number] and not changed.created and not changed.more
    assert list(check(house.store)) == []


def test_identities_begin_with_the_users_own_which_stays(house: House) -> None:
    store, me = house.store, ann(house)
    before = store.peek(web_changes.state, me)
    (own,) = store.write_now(identities.begin, me)
    assert (own.email, own.may_delete) == ("ann@here.example", False) and store.write_now(identities.begin, me) == [own]
    new = store.write_now(
        identities.create, me, identities.Identity(0, "ann+x@here.example", bcc=[{"email": "a@x.example"}])
    )
    store.write_now(identities.change, me, new, {"name": "Ann", "reply_to": None, "bcc": [{"email": "b@x.example"}]})
    found = store.peek(identities.find, me, new)
    assert found is not None and found.name == "Ann" and found.bcc == [{"email": "b@x.example"}]
    changed = store.peek(web_changes.since, me, "identity", before, 1)
    assert changed.created == [own.id] and changed.more
    rest = store.peek(web_changes.since, me, "identity", changed.until, 10)
    assert rest.created == [new] and not rest.more
    with pytest.raises(Invalid):
        store.write_now(identities.remove, me, own.id)
    store.write_now(identities.remove, me, new)
    assert store.peek(web_changes.since, me, "identity", rest.until, 10).destroyed == [new]
    assert store.peek(web_changes.since, me, "identity", before, 10).destroyed == []
    for work in (identities.remove, identities.change):
        with pytest.raises(Missing):
            store.write_now(work, me, 99, *([{}] if work is identities.change else []))
