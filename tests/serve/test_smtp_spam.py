"""Port 25 and the filter: each recipient has his verdict, the sender one answer, and header, trace and log agree.

What is found out is set here by words in the message (`tests/trust` has the real checks).
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import trace as telling
from daemon.flow import checks, judging
from daemon.flow.checks import Part
from daemon.flow.knowledge import Known
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, events
from daemon.trust import bayes
from daemon.trust.results import Content, Listing, Lists, Personal
from daemon.trust.rules import GTUBE
from daemon.trust.weights import LOGIT_OF_JUNK
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.trust.answers import Answers

FORGED = b"X-Spam-Status: No, score=-99\r\n required=5.0\r\nx-spam-flag: NO\r\nX-Spam-Reasons: none\r\n"
THEIRS = b"X-Spam-Level: ***\r\n"


def _words(tokens: Sequence[bytes], counts: object, numbers: object = None) -> Content:
    """Pills are spam, a picnic is none."""
    there = b" ".join(tokens)
    if b"pills" in there:
        return Content(2 * LOGIT_OF_JUNK, 2, (("pills", 9.0), ("“ünsafe” in the subject", 3.0), ("hello", -0.5)))
    return Content(-LOGIT_OF_JUNK, 1, (("picnic", -3.0),)) if b"picnic" in there else Content()


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(bayes, "judge", _words)
    office = PostOffice(tmp_path, Answers(), trust__check="no")
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    await office.close()


def letter(text: str, more: bytes = b"") -> bytes:
    return more + f"From: Some One <one@far.example>\r\nMessage-ID: <1@far.example>\r\n\r\n{text}\r\n".encode()


async def gives(office: PostOffice, message: bytes, *want: str, to: str = ALICE) -> str:
    async with office.greeted() as c:
        return await c.gives(message, *want, to=to)


def knows(office: PostOffice, monkeypatch: pytest.MonkeyPatch, **what: Personal) -> None:
    """What alice, bob... know of whatever comes."""
    ids = {office.store.peek(accounts.get, parse_address(f"{n}@example.test")).id: v for n, v in what.items()}
    anyone = Personal()
    monkeypatch.setattr(judging, "know", lambda tx, who, _: Known(anyone, {**dict.fromkeys(who, anyone), **ids}))


def fields(mail: bytes) -> dict[bytes, bytes]:
    unfolded = re.sub(rb"\r\n[ \t]", b" ", mail.partition(b"\r\n\r\n")[0])
    return dict(line.split(b": ", 1) for line in unfolded.split(b"\r\n") if line.startswith(b"X-Spam"))


async def test_spam_goes_to_junk_and_says_why(office: PostOffice, caplog: Any) -> None:
    caplog.set_level("INFO")
    trace = (await gives(office, letter("cheap pills"))).split()[2]
    assert office.mail_of(ALICE) == []
    (mail,) = office.mail_of(ALICE, "Junk")
    assert fields(mail) == {
        b"X-Spam-Status": b"Yes, score=7.5 required=5.0 reason=spam",
        b"X-Spam-Reasons": b'the words look like spam (+7.2: pills, "?nsafe" in the subject),'
        b" nobody here has heard of its author before (+0.3)",
        b"X-Spam-Flag": b"YES",
    }
    assert office.story(trace) == [("accepted", "smtp"), ("judged", "spam"), ("delivered", "")]
    (story,) = telling.stories(office.store, trace)
    assert story.steps[1].text == (
        f"to Junk for {ALICE}: 7.5 points, limit 5.0:"
        " the words look like spam (+7.2: pills, “ünsafe” in the subject),"
        " nobody here has heard of its author before (+0.3)"
    )
    assert "verdict=junk why=spam score=7.5" in caplog.text


async def test_other_mail_does_not(office: PostOffice) -> None:
    trace = (await gives(office, letter("a picnic"))).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert fields(mail)[b"X-Spam-Status"] == b"No, score=-2.7 required=5.0 reason=clean"
    assert b"X-Spam-Flag" not in fields(mail)
    assert office.story(trace)[1] == ("judged", "clean")
    (story,) = telling.stories(office.store, trace)
    assert story.steps[1].text.startswith(f"let in for {ALICE}: -2.7 points, limit 5.0: the words look like wanted")


@pytest.mark.parametrize("size", [10, LIMITS.parse_inline + 10])
async def test_what_others_wrote_in_our_name_is_taken_out(office: PostOffice, size: int) -> None:
    rest = letter("a picnic" + "\r\n" * (size // 2))
    await gives(office, FORGED + THEIRS + rest)
    assert office.content_of(ALICE) == [THEIRS + rest]
    assert office.mail_of(ALICE)[0].count(b"X-Spam-Status") == 1


@pytest.mark.parametrize("packed", [False, True])
async def test_the_test_string_is_refused_or_junked(office: PostOffice, packed: bool) -> None:
    body = b"x" * 7 + GTUBE + b"\r\n"
    head = b"From: <one@far.example>\r\nMessage-ID: <1@far.example>\r\n"
    test = head + b"\r\n" + body
    if packed:
        test = head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n")
    reply = await gives(office, test, "550 5.7.1")
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    assert "score is that of spam beyond doubt" in reply
    assert office.story(trace) == [
        ("judged", "spam-certain"), ("refused", "spam-certain"), ("held", "quarantine")
    ]  # fmt: skip
    office.set(spam__refuse="0")
    await gives(office, test)
    assert len(office.mail_of(ALICE, "Junk")) == 1


async def test_each_recipient_has_his_own_verdict(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(office, monkeypatch, alice=Personal(Content(12.0)), bob=Personal(Content(-12.0)))
    trace = (await gives(office, letter("for both"), to=f"{ALICE} {BOB}")).split()[2]
    assert (len(office.mail_of(ALICE)), len(office.mail_of(ALICE, "Junk"))) == (0, 1)
    assert (len(office.mail_of(BOB)), len(office.mail_of(BOB, "Junk"))) == (1, 0)
    assert [(e.reason, e.recipient) for e in story(office, trace) if e.kind == "judged"] == [
        ("spam", ALICE), ("clean", BOB),
    ]  # fmt: skip
    found = telling.stories(office.store, recipient="bob@example.test")
    assert [s.trace for s in found] == [trace]


async def test_it_is_refused_when_all_refuse_it_and_else_junk_for_who_does(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(office, monkeypatch, alice=Personal(blocked="far.example"))
    trace = (await gives(office, letter("for both"), to=f"{ALICE} {BOB}")).split()[2]
    assert len(office.mail_of(ALICE, "Junk")) == len(office.mail_of(BOB)) == 1
    (told,) = [step.text for step in telling.stories(office.store, trace)[0].steps if step.reason == "blocked"]
    assert told == f"to Junk for {ALICE}: a local list blocks its sender; 0.0 points, limit 5.0"
    reply = await gives(office, letter("for alice"), "550 5.7.1")
    assert "a local list blocks its sender (trace " in reply


async def test_a_thousand_recipients_cost_as_much_as_one(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(judging.verdict, "judge", lambda *a, _judge=judging.verdict.judge: made.append(a) or _judge(*a))
    names = [f"u{n}@example.test" for n in range(60)]
    for name in names:
        office.add_user(name)
    trace = (await gives(office, letter("cheap pills"), to=" ".join(names))).split()[2]
    assert len(made) == 1 and all(len(office.mail_of(name, "Junk")) == 1 for name in names)
    (event,) = [e for e in story(office, trace) if e.kind == "judged"]
    assert len(event.detail["for"]) == LIMITS.judge_named and event.detail["more"] == 60 - LIMITS.judge_named
    assert event.recipient is None


async def test_junk_is_not_forwarded_and_an_alias_says_so(office: PostOffice) -> None:
    office.add_alias("out@example.test", "a@far.example")
    reply = await gives(office, letter("cheap pills"), "550 5.7.1", to="out@example.test")
    assert "looks like spam, and such mail is not forwarded" in reply and office.queued() == []
    await gives(office, letter("a picnic"), to="out@example.test")
    assert [row[1] for row in office.queued()] == ["a@far.example"]


async def test_a_check_that_fails_or_hangs_says_nothing_and_is_seen(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level("INFO")

    async def breaks(case: Any) -> Lists:
        raise ValueError("a fault of ours")

    async def hangs(case: Any) -> Lists:
        await asyncio.Event().wait()
        return Lists((Listing("zen.example", "127.0.0.1", "address"),))

    for ask, said in ((breaks, "event=check-fault"), (hangs, "check=lists")):
        part = Part("lists", lambda case: True, ask, 0.05, Lists(silent=("zen.example",)))
        monkeypatch.setattr(checks, "PARTS", (part,))
        trace = (await gives(office, letter("a picnic"))).split()[2]
        assert said in caplog.text and office.story(trace)[1] == ("judged", "clean")
    part = Part("lists", lambda case: True, hangs, 60, Lists())
    monkeypatch.setattr(checks, "PARTS", (part,))
    monkeypatch.setattr(judging, "LIMITS", dataclasses.replace(LIMITS, judge_patience=0.05))
    await gives(office, letter("a picnic"))
    assert len(office.mail_of(ALICE)) == 3, "all checks together have a limit too"


async def test_words_that_cannot_be_read_say_nothing_and_that_is_seen(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_read", lambda data: 1 // 0)
    trace = (await gives(office, letter("cheap pills"))).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert b"the words look" not in mail
    (story,) = telling.stories(office.store, trace)
    assert "no answer from the classifier" in story.steps[1].text


async def test_a_switch_turns_it_off_and_lmtp_is_not_asked(office: PostOffice) -> None:
    async with office.greeted("lmtp") as c:
        await c.gives(letter("cheap pills"))
    office.set(spam__check="no")
    trace = (await gives(office, letter("cheap pills"))).split()[2]
    assert office.story(trace) == [("accepted", "smtp"), ("delivered", "")]
    assert [fields(mail) for mail in office.mail_of(ALICE)] == [{}, {}]


def story(office: PostOffice, trace: str) -> list[events.Event]:
    return office.store.read_now(events.of_trace, trace)
