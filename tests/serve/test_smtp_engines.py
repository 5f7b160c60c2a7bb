"""Port 25, submission and other filters: what they say and change counts, is told, and what they do wrong is seen."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon import passwords
from daemon.admin import trace as telling
from daemon.flow import judging
from daemon.limits import LIMITS
from daemon.store import accounts
from tests.instruments.milter import CONTINUE, DISCARD, DROP, REJECT, TEMPFAIL, Milter, header, packet, text
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.trust.answers import Answers

MAIL = b"From: <one@far.example>\r\nMessage-ID: <1@far.example>\r\n\r\nGood morning.\r\n"
FORGED = b"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99 required=5\r\n"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    office = PostOffice(tmp_path, Answers(), trust__check="no")
    office.add_user(ALICE, accounts.Password(*passwords.keep("secret")))
    office.add_user(BOB)
    yield office
    await office.close()


async def gives(office: PostOffice, *want: str, message: bytes = MAIL, to: str = ALICE, **answers: Any) -> str:
    """Hand a message in while a filter answers like that; the reply to the dot."""
    async with Milter(answers) as one:
        office.set(filter__milters=one.setting)
        async with office.greeted() as c:
            reply = await c.gives(message, *want, to=to)
        office.heard = one.heard  # type: ignore[attr-defined]
    return reply


def told(office: PostOffice, trace: str) -> list[str]:
    (story,) = telling.stories(office.store, trace)
    return [step.text for step in story.steps]


async def test_a_filter_that_refuses_has_the_last_word_with_its_own_words(office: PostOffice) -> None:
    assert await gives(office, "550 5.7.9 We do not like you", E=[text("y", "550 5.7.9 We do not like you")])
    reply = await gives(office, "550 5.7.1", E=[REJECT])
    assert "another filter refuses it (inet:127.0.0.1" in reply
    assert office.mail_of(ALICE) == []
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    assert office.story(trace) == [("judged", "engine-refuse"), ("refused", "engine-refuse"), ("held", "quarantine")]


async def test_a_virus_that_a_filter_only_marks_is_refused_all_the_same(office: PostOffice) -> None:
    says = [header("X-Virus-Status", "Infected (Eicar-Test)"), CONTINUE]
    reply = await gives(office, "550 5.7.1", E=says)
    assert "the virus scanner found something in it (Eicar-Test)" in reply
    assert office.mail_of(ALICE) == office.mail_of(ALICE, "Junk") == []


async def test_a_filter_that_wants_it_later_is_obeyed(office: PostOffice) -> None:
    await gives(office, "451 4.7.1", E=[TEMPFAIL])
    assert office.mail_of(ALICE) == []


async def test_what_a_filter_calls_spam_goes_to_junk_and_its_fields_are_not_beside_ours(office: PostOffice) -> None:
    says = [header("X-Spam-Flag", "YES"), header("X-Spam-Status", "Yes, score=9.1 required=5.0 tests=VILE"), CONTINUE]
    trace = (await gives(office, message=FORGED + MAIL, E=says)).split()[2]
    assert not [data for kind, data in office.heard if data.startswith(b"X-Spam")], "forged ones are not shown to it"  # type: ignore[attr-defined]
    (mail,) = office.mail_of(ALICE, "Junk")
    assert mail.count(b"X-Spam-Status: ") == mail.count(b"X-Spam-Flag: ") == 1
    unfolded = mail.replace(b"\r\n\t", b" ")
    assert b"reason=engine-junk" in mail and b"takes it for spam (+5.0: its score is 9.1)" in unfolded
    assert "to Junk for alice@example.test: another filter takes it for spam; " in told(office, trace)[1]


async def test_header_and_envelope_changes_count(office: PostOffice) -> None:
    envelope = [text("+", f"<{BOB}>"), text("-", f"<{ALICE}>")]
    await gives(office, E=[header("X-Seen", "yes"), *envelope, packet("b", b"other\r\n"), CONTINUE])
    assert office.mail_of(ALICE) == []
    (mail,) = office.content_of(BOB)
    assert mail == MAIL.replace(b"\r\n\r\nGood morning.", b"\r\nX-Seen: yes\r\n\r\nother")


async def test_a_filter_may_add_a_recipient_elsewhere_and_nobody_else_may(office: PostOffice) -> None:
    """It is ours: an archive, or who keeps watch. What is junk is forwarded to nobody all the same."""
    adds = [text("+", "<archive@else.example>"), CONTINUE]
    trace = (await gives(office, E=adds)).split()[2]
    assert office.content_of(ALICE) == [MAIL]
    assert office.queued() == [("one@remote.example", "archive@else.example", "filter", "NEVER", None, None, None)]
    assert any(
        "queued for archive@else.example, because another filter added him" in step for step in told(office, trace)
    )
    async with office.greeted() as c:
        await c.says("MAIL FROM:<one@remote.example>", "250")
        await c.says("RCPT TO:<archive@else.example>", "550 5.7.1")
    await gives(office, E=[header("X-Spam-Flag", "YES"), *adds])
    assert len(office.mail_of(ALICE, "Junk")) == 1 and len(office.queued()) == 1


async def test_one_recipient_is_refused_by_a_filter(office: PostOffice) -> None:
    class Picky(Milter):
        def answer(self, kind: str, data: bytes) -> Any:
            return [REJECT] if kind == "R" and b"alice" in data else [CONTINUE]

    async with Picky() as one, office.greeted() as c:
        office.set(filter__milters=one.setting)
        trace = (await c.gives(MAIL, to=f"{ALICE} {BOB}")).split()[2]
    assert (len(office.mail_of(ALICE)), len(office.mail_of(BOB))) == (0, 1)
    assert [k for k, _ in office.story(trace)] == ["accepted", "judged", "delivered", "failed", "notified", "queued"]


async def test_what_a_filter_wants_dropped_is_dropped_and_told(office: PostOffice) -> None:
    trace = (await gives(office, E=[DISCARD])).split()[2]
    assert office.mail_of(ALICE) == []
    assert office.story(trace)[-1] == ("dropped", "engine-discard")
    assert told(office, trace)[-1] == f"dropped for {ALICE}: another filter wants that"


async def test_a_filter_that_dies_is_seen_and_the_setting_says_what_comes_of_it(office: PostOffice) -> None:
    trace = (await gives(office, E=[DROP])).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert b"X-Filter-Error: inet:127.0.0.1:" in mail
    assert "no answer from inet:127.0.0.1:" in told(office, trace)[1]
    office.set(filter__on_error="defer")
    reply = await gives(office, "451 4.7.1", E=[DROP])
    assert "another filter could not be asked for now" in reply and len(office.mail_of(ALICE)) == 1


async def test_a_filter_alone_needs_no_other_check(office: PostOffice) -> None:
    office.set(spam__check="no")
    trace = (await gives(office, E=[header("X-Spam-Flag", "YES"), CONTINUE])).split()[2]
    (mail,) = office.mail_of(ALICE, "Junk")
    assert b"X-Spam-Flag: YES" in mail and b"X-Spam-Status" not in mail
    assert told(office, trace)[1] == f"to Junk for {ALICE}: another filter takes it for spam"


async def test_what_a_user_hands_in_is_shown_to_them_when_asked_for(office: PostOffice) -> None:
    letter = b"From: <alice@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <2@x>\r\n\r\nhi\r\n"
    async with Milter({"E": [header("X-Signed", "yes"), header("X-Spam-Flag", "YES"), CONTINUE]}) as one:
        office.set(filter__milters=one.setting, auth__require_tls="no")
        for outgoing, seen in (("no", 0), ("yes", 1)):
            office.set(filter__outgoing=outgoing)
            async with office.greeted("submission") as c:
                secret = base64.b64encode(b"\0alice@example.test\0secret").decode()
                await c.says(f"AUTH PLAIN {secret}", "235")
                await c.gives(letter, sender=ALICE, to=f"{BOB} x@far.example")
            assert one.connections == seen
    first, second = office.content_of(BOB)
    assert b"X-Signed" not in first and b"X-Signed: yes\r\n" in second, "what a user writes is no junk"
    assert [row[1] for row in office.queued()] == ["x@far.example"] * 2


async def test_filters_are_told_the_name_that_leads_back_to_the_peer(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "LIMITS", dataclasses.replace(LIMITS, filter_name=0.05))
    dns = office.post.judge.resolver  # type: ignore[union-attr]
    assert isinstance(dns, Answers)
    pointer = "1.0.0.127.in-addr.arpa"
    async with Milter() as one:
        office.set(filter__milters=one.setting)

        async def told() -> tuple[bytes, dict[str, str]]:
            async with office.greeted() as c:
                await c.gives(MAIL)
            return one.told("C")[-1], one.macros("C")

        connect, macros = await told()
        assert connect.startswith(b"[127.0.0.1]\x004") and macros["_"] == "[127.0.0.1]", "it has none"
        dns.add(pointer, "PTR", "mx.far.example")
        assert (await told())[0].startswith(b"[127.0.0.1]\0"), "anybody may say that of his address"
        dns.add("mx.far.example", "A", "127.0.0.1")
        connect, macros = await told()
        assert connect.startswith(b"mx.far.example\x004") and macros["_"] == "mx.far.example [127.0.0.1]"
        assert macros["{client_name}"] == macros["{client_ptr}"] == "mx.far.example"
        dns.trouble[pointer] = "hang"
        assert (await told())[0].startswith(b"[127.0.0.1]\0"), "nobody waits long for it"
