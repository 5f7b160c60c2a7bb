"""Delivery status notifications: what people read, what machines read, and that neither can be broken into."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.mail.header import split_fields
from daemon.mail.message import scan
from daemon.mail.notice import Original, Ours, Report, delay, failure, success
from daemon.mail.structure import bodystructure
from tests.mail.grammar import check_body, read

NOW = 1795424400
JOE = Address("joe", "x.example")
BOB = Address("bob", "y.example")
MAIL = b"Message-ID: <1@x.example>\r\nFrom: joe@x.example\r\n\r\nhello\r\n"
OUR = Ours("mx.example", Address("postmaster", "example"), NOW, "U1")
REFUSED = Report(
    BOB,
    "5.1.1",
    original="rfc822;Bob@Y.example",
    host="mx.y.example",
    reply="550-5.1.1 <bob@y.example>\r\n550 5.1.1 No such user",
    words="The receiving server refused it.",
    remedy="Check the address for a spelling mistake.",
    attempted=NOW - 60,
)


def parts(data: bytes) -> list[tuple[str, bytes]]:
    root = scan(data).root
    assert root.media == "multipart/report" and len(root.parts) == 3
    check_body(read(bodystructure(scan(data))), extended=True)
    assert data[root.parts[-1].end :] == b"\r\n--=_U1--\r\n"
    return [(part.media, data[part.body : part.end]) for part in root.parts]


def status(data: bytes) -> list[list[tuple[str, str]]]:
    """The groups of fields in the machine-readable part, unfolded."""
    text = parts(data)[1][1]
    return [
        [(name.decode(), b" ".join(value.split()).decode()) for name, value in split_fields(group + b"\r\n")]
        for group in text.split(b"\r\n\r\n")
    ]


def test_a_failure_is_the_specimen() -> None:
    original = Original(JOE, MAIL, envid="E 1", ret="FULL", arrived=NOW - 3600)
    specimen = Path(__file__).parents[1] / "messages" / "failure-notice.eml"
    assert failure([REFUSED], original, OUR) == specimen.read_bytes()


def test_a_failure_says_it_to_machines() -> None:
    data = failure([REFUSED, Report(JOE, "5.4.7")], Original(JOE, MAIL, envid="E\x001"), OUR)
    assert status(data) == [
        [("Original-Envelope-Id", "E?1"), ("Reporting-MTA", "dns; mx.example")],
        [
            ("Original-Recipient", "rfc822;Bob@Y.example"),
            ("Final-Recipient", "rfc822; bob@y.example"),
            ("Action", "failed"),
            ("Status", "5.1.1"),
            ("Remote-MTA", "dns; mx.y.example"),
            ("Diagnostic-Code", "smtp; 550-5.1.1 <bob@y.example> 550 5.1.1 No such user"),
            ("Last-Attempt-Date", "Mon, 23 Nov 2026 08:59:00 +0000"),
        ],
        [("Final-Recipient", "rfc822; joe@x.example"), ("Action", "failed"), ("Status", "5.4.7")],
    ]


def test_a_delay_says_how_long_it_is_tried() -> None:
    data = delay([Report(BOB, "4.4.1", retry_until=NOW + 86400)], Original(JOE, MAIL, ret="FULL"), OUR)
    assert ("Will-Retry-Until", "Tue, 24 Nov 2026 09:00:00 +0000") in status(data)[1]
    assert ("Action", "delayed") in status(data)[1]
    kinds = parts(data)
    assert b"It is tried until Tue, 24 Nov 2026 09:00:00 +0000." in kinds[0][1]
    assert kinds[2][0] == "text/rfc822-headers"


def test_a_success_says_whether_it_was_only_passed_on() -> None:
    data = success([Report(BOB, "2.1.5"), Report(JOE, "2.1.9", relayed=True)], Original(JOE, MAIL), OUR)
    assert [dict(group)["Action"] for group in status(data)[1:]] == ["delivered", "relayed"]
    assert b"sends no such notices" in parts(data)[0][1]


def test_a_notice_is_marked_as_automatic_and_stands_beside_the_mail() -> None:
    message = scan(failure([REFUSED], Original(JOE, MAIL), OUR))
    assert message.first(b"auto-submitted") == b" auto-replied\r"
    assert message.first(b"to") == b" <joe@x.example>\r"
    assert message.first(b"message-id") == b" <U1@mx.example>\r"
    assert message.first(b"in-reply-to") == message.first(b"references") == b" <1@x.example>\r"


@pytest.mark.parametrize("header", [b"", b"Message-ID: none\r\n", b"Message-ID: <\xff\r\n b>\r\n"])
def test_a_notice_about_mail_without_an_id_stands_alone(header: bytes) -> None:
    message = scan(failure([REFUSED], Original(JOE, header + b"\r\n"), OUR))
    assert message.first(b"references") is None


@pytest.mark.parametrize(
    "ret,data,kind,returned",
    [
        ("FULL", MAIL, "message/rfc822", MAIL),
        ("", MAIL, "message/rfc822", MAIL),
        ("", b"a: b\n\n\rx", "message/rfc822", b"a: b\r\n\r\n\r\nx"),
        ("HDRS", MAIL, "text/rfc822-headers", MAIL[:-7]),
        ("FULL", MAIL + b"x" * LIMITS.notice_original, "text/rfc822-headers", MAIL[:-7]),
        ("FULL", MAIL + b"\xff\x00", "message/rfc822", MAIL + b"\xff\x00"),
    ],
)
def test_the_mail_comes_back_as_asked(ret: str, data: bytes, kind: str, returned: bytes) -> None:
    notice = failure([REFUSED], Original(JOE, data, ret=ret), OUR)
    assert parts(notice)[2] == (kind, returned)
    assert (b"Content-Transfer-Encoding: 8bit" in notice) is (not data.isascii())


def test_a_reader_of_utf8_gets_the_global_forms() -> None:
    uwe = Address("üwe", "xn--bcher-kva.example")
    reports = [Report(uwe, "5.1.1", original="utf-8;üwe@bücher.example", words="Kein Briefkasten für ihn.")]
    for ret, kind in (("FULL", "message/global"), ("HDRS", "message/global-headers")):
        notice = failure(reports, Original(uwe, "Subject: ü\r\n\r\n".encode(), ret=ret, utf8=True), OUR)
        kinds = parts(notice)
        assert [kinds[1][0], kinds[2][0]] == ["message/global-delivery-status", kind]
        assert b"report-type=global-delivery-status;" in notice
        assert dict(status(notice)[1])["Final-Recipient"] == "utf-8; üwe@xn--bcher-kva.example"
        assert dict(status(notice)[1])["Original-Recipient"] == "utf-8;üwe@bücher.example"
        assert "<üwe@bücher.example>" in kinds[0][1].decode()


def test_a_reader_of_ascii_gets_escaped_addresses() -> None:
    notice = failure([Report(Address("ü+=", "x.example"), "5.6.7")], Original(JOE, MAIL), OUR)
    assert dict(status(notice)[1])["Final-Recipient"] == "utf-8; \\x{FC}\\x{2B}\\x{3D}@x.example"


def test_a_boundary_that_the_mail_contains_is_not_used() -> None:
    notice = failure([REFUSED], Original(JOE, MAIL + b"\r\n--=_U1--\r\n--=_U1_\r\n"), OUR)
    assert scan(notice).root.parameters[-1] == (b"boundary", b"=_U1__")
    assert len(scan(notice).root.parts) == 3


@given(st.text(max_size=300), st.text("\r\n -5.1:é\x00\u2028" + chr(0xD800), max_size=100))
def test_no_words_of_a_peer_break_the_form(host: str, reply: str) -> None:
    report = Report(BOB, "5.0.0", original=reply, host=host, reply=reply, words=reply, remedy=host)
    notice = failure([report], Original(JOE, MAIL, envid=reply), OUR)
    assert len(parts(notice)) == 3
    assert max(map(len, notice.split(b"\r\n"))) <= 998
    groups = status(notice)
    assert len(groups) == 2
    assert {name for name, _ in groups[1]} <= {
        "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code"
    }  # fmt: skip


def test_an_endless_reply_is_cut() -> None:
    report = Report(BOB, "5.0.0", host="h", reply=("é" * 10_000 + "\n") * 10_000)
    notice = failure([report], Original(JOE, MAIL), OUR)
    assert len(notice) < 200_000
    assert max(map(len, notice.split(b"\r\n"))) <= 998
