"""Mail that carries a report: ours by the letter of the RFCs, others' with their habits."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

import pytest

from daemon.limits import LIMITS
from daemon.mail import report
from daemon.mail.report import Found, Letter

NAME = "mail.example.com!example.org!1794873600!1794959999!ab12.xml.gz"
LETTER = Letter(
    "dmarc", "postmaster@example.com", "reports@example.org", "example.org", "example.com",
    "20261117.example.org.ab12", NAME, b"\x1f\x8b packed" * 50, "A report about mail from example.org.",
)  # fmt: skip
TLS = Letter(
    "tls", "postmaster@example.com", "tls@example.org", "example.org", "example.com", "20261117.tls.example.org.cd34",
    NAME.replace("xml", "json"), b"\x1f\x8b packed", "About TLS.",
)  # fmt: skip


@pytest.mark.parametrize("letter", [LETTER, TLS])
def test_what_we_write_is_found_again(letter: Letter) -> None:
    data = report.write(letter, hostname="mail.example.com", now=1_795_000_000)
    assert list(report.find(data)) == [Found(letter.kind, letter.content)]
    assert report.is_report(data)
    assert max(map(len, data.splitlines())) < 998 and data.isascii() and b"\n" not in data.replace(b"\r\n", b"")


def test_a_dmarc_report_has_subject_name_and_marks_of_the_rfc() -> None:
    data = report.write(LETTER, hostname="mail.example.com", now=1_795_000_000)
    mail = message_from_bytes(data, policy=policy.default)
    assert re.fullmatch(
        r"Report Domain: example\.org Submitter: example\.com Report-ID: <20261117\.example\.org\.ab12>",
        mail["Subject"],
    )
    assert mail["Auto-Submitted"] == "auto-generated"
    text, attached = mail.iter_parts()
    assert attached.get_content_type() == "application/gzip" and attached.get_filename() == NAME
    assert attached.get_content() == LETTER.content
    assert text.get_content().strip() == LETTER.text


def test_a_report_about_tls_has_the_types_of_its_rfc() -> None:
    mail = message_from_bytes(report.write(TLS, hostname="h.example", now=1_795_000_000), policy=policy.default)
    assert mail["TLS-Report-Domain"] == "example.org" and mail["TLS-Report-Submitter"] == "example.com"
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "application/tlsrpt+gzip"]


def mail(head: str, body: str = "eHg=") -> bytes:
    return f"{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    "head, kinds",
    [
        (f'Content-Type: application/octet-stream; name="{NAME}"', ["dmarc"]),  # Microsoft
        (f"Content-Type: application/zip\r\nContent-Disposition: attachment; filename={NAME[:-7]}.zip", ["dmarc"]),
        (f"Content-Type: text/xml\r\nContent-Disposition: attachment; filename*=utf-8''{NAME}", ["dmarc"]),
        (f"Content-Type: application/gzip\r\nContent-Disposition: attachment;\r\n filename=\"{NAME}\"", ["dmarc"]),
        ("Subject: Report Domain: x Submitter: y\r\nContent-Type: application/gzip; name=r.xml.gz", ["dmarc"]),
        ("Subject: [Preview] Report Domain: x\r\nContent-Type: application/zip; name=r.zip", ["dmarc"]),
        ("Subject: hello\r\nContent-Type: application/gzip; name=r.xml.gz", []),
        ("Subject: Report Domain: x\r\nContent-Type: image/png; name=r.png", []),
        (f"Content-Type: image/png; name={NAME}", []),
        ("Content-Type: application/tlsrpt+gzip", ["tls"]),
        ("Content-Type: application/TLSRPT+json", ["tls"]),
        ("Content-Type: text/plain", []),
    ],
)  # fmt: skip
def test_reports_of_others_are_known_by_type_name_and_subject(head: str, kinds: list[str]) -> None:
    assert [(found.kind, found.content) for found in report.find(mail(head))] == [(kind, b"xx") for kind in kinds]


def test_an_attachment_that_is_far_too_long_for_a_report_is_not_looked_at() -> None:
    part = b"Content-Type: application/tlsrpt+gzip\r\n\r\n"
    assert list(report.find(part + b"x" * 2 * LIMITS.report_packed)) != []
    assert list(report.find(part + b"x" * (2 * LIMITS.report_packed + 1))) == []


def test_a_bounce_that_returns_a_report_is_none() -> None:
    inner = report.write(LETTER, hostname="h.example", now=1_795_000_000)
    assert list(report.find(b"Subject: failed\r\nContent-Type: message/rfc822\r\n\r\n" + inner)) == []


@pytest.mark.parametrize(
    "head, want",
    [
        (b"Subject: Report domain: example.org", True),
        (b"Subject: =?utf-8?q?Report_Domain:_x?=", True),
        (b"TLS-Report-Domain: x", True),
        (b'Content-Type: multipart/report; report-type="tlsrpt"', True),
        (b"Subject: a report domain: x", False),
        (b"", False),
    ],
)
def test_a_report_is_known_by_its_header(head: bytes, want: bool) -> None:
    assert report.is_report(head + b"\r\n\r\nTLS-Report-Domain: in the body\r\n") is want
