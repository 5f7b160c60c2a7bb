"""What we prepend to mail and complete in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.mail.headers import (
    HEADER_TOO_LARGE,
    NO_FROM,
    SEVERAL_FROM,
    Peer,
    complete,
    crlf,
    delivered_to,
    format_date,
    received,
    return_path,
)
from daemon.mail.summary import parse_date

NOW = 1795424400.7
JOE = Address("joe", "x.example")


def test_a_date_is_in_english_and_utc() -> None:
    assert format_date(NOW) == "Mon, 23 Nov 2026 09:00:00 +0000"
    assert format_date(0) == "Thu, 1 Jan 1970 00:00:00 +0000"


@given(st.integers(-(10**10), 10**11))
def test_a_date_written_is_the_date_read(at: int) -> None:
    found = parse_date(format_date(at).encode())
    assert found is not None and found.at == at


def test_a_return_path() -> None:
    assert return_path(JOE) == b"Return-Path: <joe@x.example>\r\n"
    assert return_path(None) == b"Return-Path: <>\r\n"
    assert return_path(Address("é", "x.example")) == "Return-Path: <é@x.example>\r\n".encode()


def test_delivered_to() -> None:
    assert delivered_to(Address("a b", "x.example")) == b'Delivered-To: "a b"@x.example\r\n'


def test_received_tells_who_gave_it_to_whom() -> None:
    field = received("mx.example", "ESMTPS", "T1", NOW, peer=Peer("h.example", "192.0.2.1", "r.example"), recipient=JOE)
    assert field == (
        b"Received: from h.example (r.example [192.0.2.1])\r\n\tby mx.example with ESMTPS id T1\r\n"
        b"\tfor <joe@x.example>;\r\n\tMon, 23 Nov 2026 09:00:00 +0000\r\n"
    )
    field = received("mx.example", "LMTP", "T1", NOW, peer=Peer("[2001:db8::1]", "2001:db8::1"))
    assert field == (
        b"Received: from [2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby mx.example with LMTP id T1;\r\n"
        b"\tMon, 23 Nov 2026 09:00:00 +0000\r\n"
    )
    field = received("mx.example", "local", "T1", NOW)
    assert field == b"Received: by mx.example with local id T1;\r\n\tMon, 23 Nov 2026 09:00:00 +0000\r\n"


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_helo_ends_the_field_or_its_comment(helo: str, reverse: str) -> None:
    field = received("mx.example", "SMTP", "T1", NOW, peer=Peer(helo, "192.0.2.1", reverse))
    assert re.fullmatch(rb"Received: from [!-~]+ \([ -'*-~]+\)\r\n\tby [ -~]+;\r\n\t[ -~]+\r\n", field)
    assert max(map(len, field.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    "data,want",
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb\rc\r\n", b"a\r\nb\r\nc\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n"),
        (b"a\n\r", b"a\r\n\r\n"),
        (b"", b""),
    ],
)
def test_line_ends(data: bytes, want: bytes) -> None:
    assert crlf(data) == want


@given(st.binary(max_size=50).map(lambda data: data.replace(b"a", b"\r").replace(b"b", b"\n")))
def test_no_line_end_is_bare(data: bytes) -> None:
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", crlf(data))


def completed(data: bytes) -> object:
    return complete(data, now=NOW, hostname="mx.example", unique="U1")


WHOLE = b"Date: x\r\nMessage-ID: <1@x>\r\nFrom: a@x\r\n"
ADDED = b"Date: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-ID: <U1@mx.example>\r\n"


@pytest.mark.parametrize(
    "data,want",
    [
        (WHOLE + b"\r\nbody\r\n", WHOLE + b"\r\nbody\r\n"),
        (b"From: a@x\r\n\r\nDate: in body\r\n", ADDED + b"From: a@x\r\n\r\nDate: in body\r\n"),
        (b"From: a@x\r\ndate: x\r\n\r\n", ADDED[39:] + b"From: a@x\r\ndate: x\r\n\r\n"),
        (b"From: a@x", ADDED + b"From: a@x"),
        (WHOLE + b"Bcc: b@y,\r\n\tc@z\r\nTo: d@x\r\n\r\nBcc: body", WHOLE + b"To: d@x\r\n\r\nBcc: body"),
        (WHOLE + b"RESENT-BCC : b@y\r\nBcc:\r\nbcc: c@z\r\n\r\n", WHOLE + b"\r\n"),
        (WHOLE + b"X-Bcc: b@y\r\n\r\n", WHOLE + b"X-Bcc: b@y\r\n\r\n"),
        (WHOLE.replace(b"\r\n", b"\n") + b"Bcc: b@y\n\nbody\n", WHOLE + b"\r\nbody\r\n"),
        (WHOLE + b"Subject: \xff\x00 \r\n\r\n\x00", WHOLE + b"Subject: \xff\x00 \r\n\r\n\x00"),
        (b"\r\nFrom: a@x\r\n", NO_FROM),
        (b"Subject: x\r\n\r\n", NO_FROM),
        (b"From:\r\n\r\n", NO_FROM),
        (b"From: joe\r\n\r\n", NO_FROM),
        (b"", NO_FROM),
        (b"From: a@x\r\nfrom: b@x\r\n\r\n", SEVERAL_FROM),
        (WHOLE + b"X: y\r\n" * (LIMITS.header_bytes // 6), HEADER_TOO_LARGE),
    ],
)
def test_a_submitted_message_is_completed(data: bytes, want: object) -> None:
    assert completed(data) == want


@pytest.mark.parametrize(
    "data,want",
    [
        (b"Subject: x\r\n\r\n", b"From: joe@x.example\r\n" + ADDED + b"Subject: x\r\n\r\n"),
        (b"", b"From: joe@x.example\r\n" + ADDED),
        (b"Hello there,\r\nJoe: x\r\n", b"From: joe@x.example\r\n" + ADDED + b"\r\nHello there,\r\nJoe: x\r\n"),
        (b"\r\nHello\r\n", b"From: joe@x.example\r\n" + ADDED + b"\r\nHello\r\n"),
        (
            b"From joe Mon Nov 23\r\nDate: x\r\n\r\n",
            b"From: joe@x.example\r\n" + ADDED[39:] + b"From joe Mon Nov 23\r\nDate: x\r\n\r\n",
        ),
        (b"From: joe\r\n\r\n", NO_FROM),
        (WHOLE + b"\r\n", WHOLE + b"\r\n"),
    ],
)
def test_an_author_is_named_only_where_nobody_is(data: bytes, want: object) -> None:
    assert complete(data, now=NOW, hostname="mx.example", unique="U1", author=JOE) == want


@given(st.binary(max_size=100))
def test_a_completed_message_is_complete(body: bytes) -> None:
    once = completed(b"From: a@x\r\nBcc: b@x\r\n" + body)
    if isinstance(once, bytes):
        assert completed(once) == once
