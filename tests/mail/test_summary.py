"""What the store keeps: ids, threads, dates, base subjects, and the one call that finds it all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.message import scan, unpack
from daemon.mail.structure import structure
from daemon.mail.summary import (
    answered_in,
    base_subject,
    message_id,
    message_id_in,
    parse_date,
    references,
    sent_at,
    summarize,
)
from tests.mail.test_message import PIECES
from tests.mail.test_structure import FIELDS


def test_a_summary() -> None:
    data = (
        b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nFrom: =?utf-8?q?Jos=C3=A9?= <Jose@X.example>\r\nTo: A <a@x>\r\n"
        b"To: b@y\r\nCc: =?utf-8?q?=C3=89?= <c@z>\r\nSubject: Re: [list] =?utf-8?q?=C3=89t=C3=A9?=\r\n"
        b"Message-ID: <1@x>\r\nReferences: <0@x>\r\n\r\nHello.\r\n"
    )
    summary = summarize(data)
    message = scan(data)
    assert (summary.envelope, summary.bodystructure, summary.body) == structure(message)
    assert unpack(summary.parts).end == len(data)
    assert (summary.message_id, summary.references) == ("1@x", ("0@x",))
    assert (summary.subject, summary.base_subject) == ("Re: [list] Été", "été")
    assert (summary.from_name, summary.from_address) == ("José", "Jose@X.example")
    assert (summary.sent_at, summary.sent_day) == (1795424400, 20780)
    assert (summary.preview, summary.has_attachment) == ("Hello.", False)
    assert summary.from_text == "josé <jose@x.example>"
    assert summary.to_text == "a <a@x>, b@y"
    assert summary.cc_text == "é <c@z>"
    assert (summary.bcc_text, summary.subject_text) == ("", "re: [list] été")


def test_an_empty_message_has_an_empty_summary() -> None:
    summary = summarize(b"")
    assert (summary.message_id, summary.references, summary.from_address, summary.sent_at) == ("", (), "", None)


def test_the_author_is_the_first_mailbox() -> None:
    summary = summarize(b"From: team:;, x@y\n\n")
    assert (summary.from_name, summary.from_address) == ("", "team")
    assert summarize(b"From: <>\n\n").from_address == ""


@pytest.mark.parametrize(
    "value,want",
    [
        (b"<a@b>", "a@b"),
        (b"\r\n <a@b>\r\n", "a@b"),
        (b"(c) <a@b> x", "a@b"),
        (b"a@b", "a@b"),
        (b"<<<<a@b>>", "a@b"),
        (b"<a b>", "a"),
        (b"<" + b"x" * 2000 + b">", "x" * 998),
        (b"<\xff\x01>", "\ufffd\ufffd"),
        ("<é@x>".encode(), "é@x"),
        (b"", ""),
        (b"<>", ""),
    ],
)
def test_message_ids(value: bytes, want: str) -> None:
    assert message_id(scan(b"Message-ID: " + value + b"\r\n\r\n")) == want


@pytest.mark.parametrize(
    "header,want",
    [
        (b"References: <a@x> <b@x>\r\n\t<a@x><c@x>", ("a@x", "b@x", "c@x")),
        (b"In-Reply-To: your message <a@x> of <b@x>", ("a@x",)),
        (b"References: none\r\nIn-Reply-To: <a@x>", ("a@x",)),
        (b"X: y", ()),
    ],
)
def test_references(header: bytes, want: tuple[str, ...]) -> None:
    assert references(scan(header + b"\r\n\r\n")) == want


def test_references_are_bounded_to_the_first_and_the_last() -> None:
    found = references(scan(b"References: " + b" ".join(b"<%d@x>" % n for n in range(1000)) + b"\r\n\r\n"))
    assert len(found) == LIMITS.references
    assert (found[0], found[1], found[-1]) == ("0@x", "901@x", "999@x")


@pytest.mark.parametrize(
    "value,at,day",
    [
        (b"Thu, 01 Jan 1970 00:00:00 +0000", 0, 0),
        (b"Thu, 1 Jan 1970 01:00 +0100", 0, 0),
        (b"31 Dec 1969 23:00:00 -0100", 0, -1),
        (b"Thu, 01 Jan 70 00:00:00 GMT", 0, 0),
        (b"Sat, 1 Jan 00 00:00:00 UT", 946684800, 10957),
        (b"Sat, 1 Jan 100 00:00:00 Z", 946684800, 10957),
        (b"Fri, 31 Dec 1999 19:00:00 EST", 946684800, 10956),
        (b"Sat, 1 Jan 2000 00:00:60 +0000 (UTC)", 946684860, 10957),
        (b"Saturday, 1-Jan-2000 00:00:00.123", 946684800, 10957),
        (b"1 January 2000 00:00:00 XYZ", 946684800, 10957),
        (b"Sat,\r\n 1 Jan 2000 00:00:00\r\n +0000", 946684800, 10957),
        (b"Sat, 1 Jan 2000 (c) 00:00:00 +0000", 946684800, 10957),
    ],
)
def test_dates(value: bytes, at: int, day: int) -> None:
    assert parse_date(value) == (at, day)


@pytest.mark.parametrize(
    "value",
    [b"", b"yesterday", b"1 Foo 2000 00:00", b"32 Jan 2000 00:00", b"1 Jan 2000 25:00", b"1 Jan 2000 00:60",
     b"1 Jan 0 00:00", b"30 Feb 2000 00:00", b"1 Jan 2000 00:00:61"],
)  # fmt: skip
def test_what_is_no_date(value: bytes) -> None:
    assert parse_date(value) is None


def test_a_message_without_date_was_sent_at_no_time() -> None:
    assert sent_at(scan(b"\n")) is None


@pytest.mark.parametrize(
    "subject,want",
    [
        ("Hello  World", "hello world"),
        ("Re: Hello", "hello"),
        ("RE:re : FWD: Fw: hello", "hello"),
        ("Re[2]: hello", "hello"),
        ("[list] Re: [list] hello", "hello"),
        ("[list] hello", "hello"),
        ("[only]", "[only]"),
        ("Re: [only]", "[only]"),
        ("hello (fwd) (FWD) ", "hello"),
        ("[Fwd: [list] Re: hello (fwd)]", "hello"),
        ("[fwd: ]", ""),
        ("Re:", ""),
        ("ready", "ready"),
        ("", ""),
    ],
)
def test_base_subjects(subject: str, want: str) -> None:
    assert base_subject(subject) == want


@given(st.one_of(st.binary(max_size=200), st.lists(st.one_of(PIECES, FIELDS), max_size=60).map(b"".join)))
def test_any_bytes_have_a_summary_the_store_can_keep(data: bytes) -> None:
    summary = summarize(data)
    for name in summary.__slots__:
        value = getattr(summary, name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                assert text.encode() is not None


@given(st.text("re:fwd[]() x", max_size=60))
def test_a_base_subject_has_nothing_left_to_strip(subject: str) -> None:
    assert base_subject(base_subject(subject)) == base_subject(subject)


@pytest.mark.parametrize(
    "header, want",
    [
        (b"Subject: x\r\nMessage-ID: <a@b>\r\n", "a@b"),
        (b"message-id: bare\r\nMessage-ID: <second@b>\r\n", "bare"),
        (b"Subject: x\r\n", ""),
        (b"", ""),
    ],
)
def test_the_message_id_can_be_had_alone(header: bytes, want: str) -> None:
    data = header + b"\r\nMessage-ID: <body@b>\r\n"
    assert message_id_in(data) == summarize(data).message_id == want


def test_what_a_message_answers() -> None:
    many = b" ".join(b"<%d@x>" % n for n in range(300))
    data = b"References: <a@x>\r\n <b@x>\r\nin-reply-to: <b@x> <c@x>\r\n\r\nReferences: <no@x>\r\n"
    assert answered_in(data) == ("a@x", "b@x", "c@x")
    assert answered_in(b"References: " + many)[-1] == "299@x"
    assert len(answered_in(b"References: " + many)) == LIMITS.references and answered_in(b"") == ()
