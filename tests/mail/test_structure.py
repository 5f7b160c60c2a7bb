"""ENVELOPE and BODYSTRUCTURE: exact answers for known mail, the strict grammar for any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.message import scan
from daemon.mail.structure import body, bodystructure, envelope, structure
from tests.mail.grammar import check_body, check_envelope, read
from tests.mail.test_message import PIECES, multipart

JOE = b'(("Joe" NIL "joe" "x.example"))'


def told(header: bytes) -> bytes:
    return envelope(scan(header + b"\r\n\r\n"))


def test_an_envelope() -> None:
    header = (
        b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: a\r\n b\r\nFrom: Joe <joe@x.example>\r\nTo: a@x, b@y\r\n"
        b"Cc: c@z\r\nBcc: d@z\r\nIn-Reply-To: <1@x>\r\nMessage-ID: <2@x>"
    )
    assert told(header) == (
        b'("Mon, 23 Nov 2026 10:00:00 +0000" "a b" ' + b" ".join([JOE] * 3)
        + b' ((NIL NIL "a" "x")(NIL NIL "b" "y")) ((NIL NIL "c" "z")) ((NIL NIL "d" "z")) "<1@x>" "<2@x>")'
    )  # fmt: skip


def test_sender_and_reply_to_are_their_own_where_they_are() -> None:
    header = b"From: Joe <joe@x.example>\r\nSender: s@x\r\nReply-To: r@x"
    assert told(header) == b"(NIL NIL " + JOE + b' ((NIL NIL "s" "x")) ((NIL NIL "r" "x")) NIL NIL NIL NIL NIL)'
    header = b"From: Joe <joe@x.example>\r\nSender:\r\nReply-To: "
    assert told(header) == b"(NIL NIL " + b" ".join([JOE] * 3) + b" NIL NIL NIL NIL NIL)"


def test_mail_without_from_has_nil_lists_in_a_whole_envelope() -> None:
    assert told(b"X: y") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    "value,want",
    [
        (b'say "hi" \\', b'"say \\"hi\\" \\\\"'),
        (b"", b'""'),
        (b"a\x00b", b'"a b"'),
        (b"=?utf-8?q?caf=C3=A9?=", b'"=?utf-8?q?caf=C3=A9?="'),
        ("café".encode(), b'"=?UTF-8?B?Y2Fmw6k=?="'),
        (b"caf\xe9", b'"=?UTF-8?B?Y2Fmw6k=?="'),
        ("=?utf-8?q?c?= é".encode(), b'"=?UTF-8?B?YyDDqQ==?="'),
    ],
)
def test_a_subject_is_seven_bit_on_one_line(value: bytes, want: bytes) -> None:
    assert told(b"Subject: " + value).split(b" NIL ")[0].removeprefix(b"(NIL ") == want


@pytest.mark.parametrize(
    "value,want",
    [
        ("é <é@bücher.example>".encode(), b'(("=?UTF-8?B?w6k=?=" NIL "=?UTF-8?B?w6k=?=" "xn--bcher-kva.example"))'),
        ("<a@b\u00fc..x>".encode(), b'((NIL NIL "a" "=?UTF-8?B?YsO8Li54?="))'),
        (b"team: a@x;", b'((NIL NIL "team" NIL)(NIL NIL "a" "x")(NIL NIL NIL NIL))'),
        (b'"a \\"b\\"" <"q \\" r"@x>', b'(("a \\"b\\"" NIL "q \\" r" "x"))'),
        (b"nobody", b'((NIL NIL "nobody" ""))'),
    ],
)
def test_addresses_are_seven_bit(value: bytes, want: bytes) -> None:
    assert told(b"To: " + value) == b"(NIL NIL NIL NIL NIL " + want + b" NIL NIL NIL NIL)"


def test_a_plain_message_has_the_default_charset() -> None:
    message = scan(b"Subject: x\r\n\r\none\r\ntwo\r\n")
    assert bodystructure(message) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2 NIL NIL NIL NIL)'
    assert body(message) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2)'


def test_all_fields_of_a_part_are_told() -> None:
    header = (
        b'Content-Type: application/pdf; name="a b.pdf"\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: <1@x>\r\n'
        b"Content-Description: my file\r\nContent-MD5: abc=\r\nContent-Disposition: Attachment; filename=x; size=1\r\n"
        b"Content-Language: en, de\r\nContent-Location: http://x/\r\n\r\nAAAA"
    )
    assert bodystructure(scan(header)) == (
        b'("application" "pdf" ("name" "a b.pdf") "<1@x>" "my file" "base64" 4 "abc=" '
        b'("attachment" ("filename" "x" "size" "1")) ("en" "de") "http://x/")'
    )


@pytest.mark.parametrize(
    "header,want",
    [
        (b"Content-Language: en", b'NIL NIL "en" NIL)'),
        (b"Content-Language: ,", b"NIL NIL NIL NIL)"),
        (b"Content-Disposition: inline", b'NIL ("inline" NIL) NIL NIL)'),
        (b"Content-Disposition: ;", b"NIL NIL NIL NIL)"),
        (b"Content-Disposition: inline; filename*1=a", b'NIL ("inline" NIL) NIL NIL)'),
    ],
)
def test_extension_data(header: bytes, want: bytes) -> None:
    assert bodystructure(scan(header + b"\n\n")).endswith(b' "7bit" 0 0 ' + want)


@pytest.mark.parametrize(
    "value,want",
    [
        (b"name=\"=?utf-8?q?=C3=A9?=\"", b'"name" "=?utf-8?q?=C3=A9?="'),
        (b"name*=utf-8''%C3%A9%20x", b"\"name*\" \"utf-8''%C3%A9%20x\""),
        (b"name*0=long; name*1=\"er.txt\"", b'"name" "longer.txt"'),
        ("name=\"é\"".encode(), b"\"name*\" \"utf-8''%C3%A9\""),
        (b"name=\"\xe9\"; x=\"y z\"", b"\"name*\" \"utf-8''%C3%A9\" \"x\" \"y z\""),
        (b"name=\"a \\\"b\\\"\"", b'"name" "a \\"b\\""'),
    ],
)  # fmt: skip
def test_parameters_are_seven_bit(value: bytes, want: bytes) -> None:
    message = scan(b"Content-Type: application/x; " + value + b"\n\n")
    assert body(message) == b'("application" "x" (' + want + b') NIL NIL "7bit" 0)'


def test_a_multipart_and_a_message_inside() -> None:
    inner = b"From: Joe <joe@x.example>\r\n\r\nhi\r\n"
    data = multipart(b"b", b"\r\none", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    message = scan(data)
    author = b" ".join([JOE] * 3)
    text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d'
    assert body(message) == (
        b"(" + text % (3, 0) + b')("message" "rfc822" NIL NIL NIL "7bit" 33 (NIL NIL ' + author
        + b" NIL NIL NIL NIL NIL) " + text % (4, 1) + b') 3) "mixed")'
    )  # fmt: skip
    assert bodystructure(message) == (
        b"(" + text % (3, 0) + b' NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 33 (NIL NIL ' + author
        + b" NIL NIL NIL NIL NIL) " + text % (4, 1)
        + b' NIL NIL NIL NIL) 3 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)'
    )  # fmt: skip
    assert structure(message) == (envelope(message), bodystructure(message), body(message))


def test_what_is_told_in_all_is_bounded() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\nTo: a@x\r\nX: y\r\n\r\n"
    header = b"Content-Description: " + b"x" * LIMITS.field_value + b"\r\nContent-Type: text/plain; a=b\r\n\r\n"
    data = multipart(b"b", *[header] * 20, inner)
    answer = bodystructure(scan(data))
    assert len(answer) < LIMITS.structure_values + LIMITS.field_value + 4000
    check_body(read(answer), extended=True)


FIELDS = st.sampled_from(
    [
        b"From: ", b"To: ", b"Subject: ", b"Content-Type: ", b"Content-Disposition: ", b"Content-Language: ",
        b"Content-ID: ", b"text/plain", b"multipart/mixed; boundary=b", b"attachment", b"; filename*=utf-8''%e9",
        b"; name=\"", b"\"", b"\\", b"<", b">", b"@", b"(", b")", b",", b";", b"*0=", b"'", b"%", b"joe", b"\xc3\xa9",
        b"=?utf-8?b?AAAA?=", b"=?utf-7?q?+2AA-?=",
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(st.one_of(PIECES, FIELDS), max_size=60).map(b"".join)))
def test_any_bytes_are_told_in_the_strict_grammar(data: bytes) -> None:
    found = structure(scan(data))
    check_envelope(read(found.envelope))
    check_body(read(found.bodystructure), extended=True)
    check_body(read(found.body), extended=False)
