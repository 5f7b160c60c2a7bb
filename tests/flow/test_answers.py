"""Vacations: who is answered, how often, and how the answer looks (RFC 5230, RFC 3834)."""

from __future__ import annotations

import asyncio

import pytest

from daemon.limits import LIMITS
from daemon.store.keywords import SEEN
from daemon.store.tx import Tx
from tests.flow.house import House
from tests.flow.ruled import ANN, BOB, CARL, MAIL, accept, boxes, marks, script, steps, text

AWAY = 'require "vacation"; vacation :days 3 "I am away.";'


async def test_a_vacation_answers_each_sender_once_in_its_time(house: House) -> None:
    script(house, ANN, AWAY)
    receipt = await accept(house, ANN)
    (row,) = house.queued()
    assert (row.sender, row.recipient) == ("", CARL) and len(boxes(house, ANN)["INBOX"]) == 1
    assert steps(house, receipt) == ["main:1 answered carl@far.example"]
    assert house.story(receipt) == ["accepted smtp", "ruled script", "delivered", "notified vacation", "queued notice"]
    receipt = await accept(house, ANN)
    assert steps(house, receipt) == ["main:1 not answered: carl@far.example was answered already"]
    await accept(house, ANN, sender="dora@far.example")
    assert len(house.queued()) == 2
    house.clock.now += 3 * 86_400_000
    await accept(house, ANN)
    assert len(house.queued()) == 3


async def test_an_answer_says_that_it_is_one(house: House) -> None:
    script(house, BOB, AWAY)
    await accept(
        house,
        BOB,
        sender=ANN,
        data=MAIL.replace(b"To: Ann <ann", b"To: <Bob+x").replace(b"Lunch", b"=?utf-8?Q?Caf=C3=A9?="),
    )
    answer = text(house, ANN)
    head, _, body = answer.partition("\r\n\r\n")
    for line in (
        "Return-Path: <>", "From: <bob@here.example>", "To: <ann@here.example>", "In-Reply-To: <m1@far.example>",
        "References: <m0@far.example>\r\n <m1@far.example>", "Auto-Submitted: auto-replied (vacation)",
        "Subject: =?UTF-8?B?QXV0bzogQ2Fmw6k=?=", "Content-Type: text/plain; charset=utf-8",
    ):  # fmt: skip
        assert f"{line}\r\n" in head + "\r\n", line
    assert body == "I am away.\r\n"


async def test_an_answer_as_its_writer_wants_it(house: House) -> None:
    house.alias("sales@here.example", ANN)
    script(
        house, ANN,
        'require ["vacation", "vacation-seconds", "fcc", "mailbox", "imap4flags"]; vacation :seconds 0 :mime'
        ' :fcc "Answers" :create :flags "\\\\Seen" :subject "Gone" :from "Sales <sales@here.example>"'
        ' :addresses "old@far.example"'
        ' "Content-Type: text/html\r\nBcc: x@y.example\r\n\r\n<p>Gone";',
    )  # fmt: skip
    for _ in range(2):
        await accept(house, ANN, data=MAIL.replace(b"To: Ann <ann@here", b"To: <old@far"), sender=BOB)
    answers = boxes(house, BOB)["INBOX"]
    assert len(answers) == len(boxes(house, ANN)["Answers"]) == 2 and marks(house, ANN, "Answers")[0] == (SEEN, "")
    answer = answers[0].decode()
    assert 'From: "Sales" <sales@here.example>\r\n' in answer and "Subject: Gone\r\n" in answer and "Bcc" not in answer
    assert answer.endswith("MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>Gone")


async def test_nobody_writes_in_another_s_name(house: House) -> None:
    script(house, ANN, 'require "vacation"; vacation :from "bob@here.example" "away";')
    await accept(house, ANN, sender=BOB)
    assert "From: <ann@here.example>" in text(house, BOB)


_LONG = b"".join(b"To: x%d@far.example\r\n" % at for at in range(LIMITS.vacation_named + 1))


@pytest.mark.parametrize(
    "sender,change,why",
    [
        ("", (b"", b""), "it has no sender"),
        ("owner-x@far.example", (b"", b""), "is no person"),
        ("x-request@far.example", (b"", b""), "is no person"),
        ("MAILER-DAEMON@far.example", (b"", b""), "is no person"),
        ("no-reply@far.example", (b"", b""), "is no person"),
        (CARL, (b"From", b"List-Id: <x>\r\nFrom"), "List-Id"),
        (CARL, (b"From", b"List-Unsubscribe: <x>\r\nFrom"), "List-Unsubscribe"),
        (CARL, (b"From", b"Precedence: Bulk\r\nFrom"), "Precedence"),
        (CARL, (b"From", b"Precedence: junk\r\nFrom"), "Precedence"),
        (CARL, (b"From", b"Auto-Submitted: auto-generated; x\r\nFrom"), "Auto-Submitted"),
        (CARL, (b"From", b"X-Auto-Response-Suppress: DR, OOF\r\nFrom"), "X-Auto-Response-Suppress"),
        ("ann@here.example", (b"", b""), "he wrote it himself"),
        ("ann+x@here.example", (b"", b""), "he wrote it himself"),
        (CARL, (b"ann@here", b"team@here"), "none of his addresses"),
        (CARL, (b"ann@here", b"bob@here"), "none of his addresses"),
        (CARL, (b"To: Ann <ann@here.example>\r\n", _LONG), "too many recipients"),
        ("nobody@here.example", (b"", b""), "cannot be reached"),
    ],
)  # fmt: skip
async def test_whom_a_vacation_never_answers(house: House, sender: str, change: tuple[bytes, bytes], why: str) -> None:
    house.alias("team@here.example", ANN, BOB)
    script(house, ANN, AWAY)
    receipt = await accept(house, ANN, sender=sender, data=MAIL.replace(*change, 1))
    (step,) = steps(house, receipt)
    assert why in step and house.queued() == [] and len(boxes(house, ANN)["INBOX"]) == 1


@pytest.mark.parametrize("field", [b"Auto-Submitted: no", b"Precedence: first-class", b"Resent-To: ann@here.example"])
async def test_whom_it_does_answer(house: House, field: bytes) -> None:
    script(house, ANN, AWAY)
    to = b"ann@here" if field[:1] != b"R" else b"x@here"
    await accept(house, ANN, data=field + b"\r\n" + MAIL.replace(b"ann@here", to))
    assert len(house.queued()) == 1


async def test_his_other_addresses_are_named_by_the_script(house: House) -> None:
    script(house, ANN, 'require "vacation"; vacation :addresses ["ann@home.example"] "away";')
    mail = MAIL.replace(b"ann@here", b"ann@home")
    await accept(house, ANN, data=mail)
    assert len(house.queued()) == 1
    (step,) = steps(house, await accept(house, ANN, sender="ann@home.example", data=mail))
    assert "he wrote it himself" in step and len(house.queued()) == 1


async def test_two_at_once_are_answered_once(house: House) -> None:
    script(house, ANN, AWAY)
    mails = [MAIL.replace(b"m1@", b"n%d@" % number) for number in range(10)]  # the same bytes would be kept once
    receipts = await asyncio.gather(*(accept(house, ANN, data=mail) for mail in mails))
    assert all(receipt.taken for receipt in receipts)
    assert len(house.queued()) == 1 and len(boxes(house, ANN)["INBOX"]) == 10
    assert house.store.read_now(Tx.value, "select sum(dead) from segment") > 0  # the answers that were not given


async def test_two_on_vacation_do_not_answer_each_other(house: House) -> None:
    script(house, ANN, AWAY)
    script(house, BOB, AWAY)
    await accept(house, ANN, sender=BOB)
    assert len(boxes(house, BOB)["INBOX"]) == 1 and len(boxes(house, ANN)["INBOX"]) == 1


async def test_a_long_line_of_an_answer_is_encoded(house: House) -> None:
    script(house, ANN, f'require "vacation"; vacation "{"é" * 2000}";')
    await accept(house, ANN, sender=BOB)
    answer = boxes(house, BOB)["INBOX"][0]
    assert b"Content-Transfer-Encoding: quoted-printable" in answer and max(map(len, answer.split(b"\r\n"))) < 100


async def test_what_a_script_says_to_others_stays_in_its_place(house: House) -> None:
    """Neither a script nor a message writes fields into what goes out, and no NUL goes anywhere."""
    crlf = "${hex: 0d 0a}Bcc: x@far.example${hex: 0d 0a 0d 0a}"
    script(
        house, ANN,
        'require ["vacation", "enotify", "variables", "encoded-character"];\n'
        f'if header :matches "subject" "*" {{ set "s" "${{1}}{crlf}"; }}\n'
        f'vacation :from "\\"A{crlf}\\" <ann@here.example>" :subject "${{s}}" "${{s}}${{hex: 00}}";\n'
        f'notify :from "\\"A{crlf}\\" <ann@here.example>" :message "${{s}}"'
        ' "mailto:dora@far.example?subject=a%0d%0aBcc:%20x@far.example&bcc=x@far.example&auto-submitted=no";',
    )  # fmt: skip
    await accept(house, ANN, data=MAIL.replace(b"Lunch", b"=?utf-8?Q?a=0D=0ABcc:_x@far.example=00?="))
    rows = house.queued()
    assert sorted(row.recipient for row in rows) == [CARL, "dora@far.example"]
    places = house.store.read_now(
        Tx.all, "select segment_id, offset, length from blob where id in (select blob_id from queue_message)"
    )
    assert len(places) == 2
    for place in places:
        data = house.store.segments.read(*place)
        head, _, body = data.partition(b"\r\n\r\n")
        names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] != b" "]
        assert b"bcc" not in names and names.count(b"subject") == names.count(b"auto-submitted") == 1
        assert b"\0" not in data and b"x@far.example" in body
