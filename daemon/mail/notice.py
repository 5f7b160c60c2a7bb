"""Delivery status notifications: what we tell a sender about his mail, as bytes ready for the queue.

RFC 3461 (what was asked for), RFC 3464 (message/delivery-status), RFC 6522 (multipart/report), RFC 6533 (the same for
internationalised addresses). A notice goes out with the null sender and is marked as automatic (RFC 3834 §3.1.8), so
that nobody answers it; whether one is due at all (NOTIFY, null sender) is the caller's decision. Time and chance are
handed in.

Its own lines stay within 998 octets, whatever a peer said; the mail it returns is not touched.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.mail.decode import header_text
from daemon.mail.header import header_end, split_fields
from daemon.mail.headers import crlf, format_date

_WIDTH = 76
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_REPLY_LINES = 50
_REPLY_WIDTH = 500  # characters of one line of a peer's reply, at most 2,000 octets as text, cut again where it is told


@dataclass(frozen=True, slots=True)
class Original:
    """The mail a notice is about: its sender, its bytes, and what its envelope asked for (RFC 3461 §4.3, §4.4)."""

    sender: Address
    data: bytes
    envid: str = ""  # decoded from xtext; "" when none was given
    ret: str = ""  # FULL, HDRS or "": then all of it, if it is not too large
    arrived: float | None = None
    utf8: bool = False  # it came with SMTPUTF8, so its sender can read message/global (RFC 6533)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of it for one recipient, in the peer's own words where a peer said something."""

    recipient: Address
    status: str  # RFC 3463: "5.1.1"
    original: str = ""  # ORCPT, type and address, decoded from xtext: "rfc822;joe@x.example"
    host: str = ""  # the peer's name; "" when there was none
    reply: str = ""  # the peer's reply, all lines with their codes; "" when there was none
    words: str = ""  # our own explanation, a sentence
    remedy: str = ""  # what to do, a sentence
    attempted: float | None = None
    retry_until: float | None = None
    relayed: bool = False  # success only: passed to a server that sends no notices (RFC 3461 §5.2.2)


@dataclass(frozen=True, slots=True)
class Ours:
    """Our part: this server's name, who answers for it, the moment, and a word that no other notice has."""

    hostname: str
    postmaster: Address
    now: float
    unique: str


@dataclass(frozen=True, slots=True)
class _Kind:
    subject: str
    opening: str
    action: str
    returns: bool  # whether RET=FULL may have an effect: for failures only (RFC 3461 §4.3)


_FAILURE = _Kind(
    "Your message could not be delivered",
    "Your message could not be delivered to the recipients below. It is not tried again.",
    "failed",
    True,
)
_DELAY = _Kind(
    "Your message is delayed",
    "Your message could not be delivered yet to the recipients below. It is tried again by itself; you need not send "
    "it again.",
    "delayed",
    False,
)
_SUCCESS = _Kind(
    "Your message was delivered",
    "You asked to be told: your message has reached the recipients below.",
    "delivered",
    False,
)


def failure(reports: Sequence[Report], original: Original, ours: Ours) -> bytes:
    """The mail is given up for these recipients."""
    return _notice(_FAILURE, reports, original, ours)


def delay(reports: Sequence[Report], original: Original, ours: Ours) -> bytes:
    """The mail is still tried for these recipients, until `retry_until`."""
    return _notice(_DELAY, reports, original, ours)


def success(reports: Sequence[Report], original: Original, ours: Ours) -> bytes:
    """The mail was delivered, or passed on to a server that will not tell (`relayed`)."""
    return _notice(_SUCCESS, reports, original, ours)


def _notice(kind: _Kind, reports: Sequence[Report], original: Original, ours: Ours) -> bytes:
    data = crlf(original.data)
    end = header_end(data, 0, len(data))
    whole = kind.returns and original.ret != "HDRS" and len(data) <= LIMITS.notice_original
    utf8 = original.utf8
    parts = [
        _human(kind, reports, original, ours.hostname, whole),
        _machine(kind, reports, original, ours.hostname, utf8),
        _returned(data if whole else data[:end], whole, utf8),
    ]
    boundary = f"=_{ours.unique}"
    while any(boundary.encode() in part for part in parts):
        boundary += "_"
    head = [
        f"From: Mail Delivery System <{ours.postmaster}>",
        f"To: <{original.sender}>",
        f"Subject: {kind.subject}",
        f"Date: {format_date(ours.now)}",
        f"Message-ID: <{ours.unique}@{ours.hostname}>",
        *_threading(data[:end]),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={_status_type(utf8)};",  # RFC 6522 §3: the second part's subtype
        f'\tboundary="{boundary}"',
        *(() if all(part.isascii() for part in parts) else ("Content-Transfer-Encoding: 8bit",)),
        "",
        "This is a delivery status notification in MIME format.",
        "",
    ]
    mark = f"--{boundary}\r\n".encode()
    top = "\r\n".join(head).encode("utf-8", "replace")
    return top + b"".join(mark + part + b"\r\n" for part in parts) + mark[:-2] + b"--\r\n"


def _status_type(utf8: bool) -> str:
    return "global-delivery-status" if utf8 else "delivery-status"


def _threading(header: bytes) -> list[str]:
    """In-Reply-To and References with the original's id, so that the notice is shown beside it."""
    for name, value in split_fields(header):
        if name.lower() == b"message-id":
            found = re.search(r"<[!-;=?-~]{1,900}>", header_text(value))
            return [f"In-Reply-To: {found[0]}", f"References: {found[0]}"] if found else []
    return []


def _human(kind: _Kind, reports: Sequence[Report], original: Original, hostname: str, whole: bool) -> bytes:
    lines = [f"This is the mail server {hostname}.", "", *_wrap(kind.opening)]
    for report in reports:
        lines += ["", *_told(report)]
    lines += ["", "Your message is attached." if whole else "The header of your message is attached."]
    text = "\r\n".join(lines) + "\r\n"
    return _text_part(text)


def _told(report: Report) -> list[str]:
    """One recipient for people: who, what the peer said, what it means."""
    lines = [f"<{_clean(report.recipient.display)}>"]
    if report.relayed:
        lines += _wrap("It was passed on to a server that sends no such notices; this is the last you hear of it.", 4)
    if report.words:
        lines += _wrap(_clean(report.words), 4)
    if report.reply:
        lines.append(f"    The server {_clean(report.host)} said:" if report.host else "    The server said:")
        for line in _reply(report.reply):
            lines += ["        " + line[at : at + 200] for at in range(0, len(line), 200)]
    if report.remedy:
        lines += _wrap(_clean(report.remedy), 4)
    if report.retry_until is not None:
        lines.append(f"    It is tried until {format_date(report.retry_until)}.")
    return lines


def _machine(kind: _Kind, reports: Sequence[Report], original: Original, hostname: str, utf8: bool) -> bytes:
    """message/delivery-status (RFC 3464 §2), message/global-delivery-status where the sender reads it."""
    fields = []
    if original.envid:
        fields.append(f"Original-Envelope-Id: {_ascii(original.envid)}")
    fields.append(f"Reporting-MTA: dns; {hostname}")
    if original.arrived is not None:
        fields.append(f"Arrival-Date: {format_date(original.arrived)}")
    for report in reports:
        fields += ["", *_recipient(kind, report, utf8)]
    text = "\r\n".join(fields) + "\r\n"
    encoding = "" if text.isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    return f"Content-Type: message/{_status_type(utf8)}\r\n{encoding}\r\n{text}".encode()


def _recipient(kind: _Kind, report: Report, utf8: bool) -> list[str]:
    """The fields of one recipient (RFC 3464 §2.3), in its order."""
    fields = []
    if report.original:
        fields.append(f"Original-Recipient: {_fitting(report.original, utf8)}")
    address = str(report.recipient)
    # RFC 6533 §3: a utf-8 address where the reader knows it; in 7-bit fields the escaped form of unitext.
    fields.append(f"Final-Recipient: {'rfc822' if address.isascii() else 'utf-8'}; {_fitting(address, utf8)}")
    fields.append(f"Action: {'relayed' if report.relayed else kind.action}")
    fields.append(f"Status: {report.status}")
    if report.host:
        fields.append(f"Remote-MTA: dns; {_ascii(report.host)}")
    if report.reply:
        said = [_ascii(line[at : at + 200]) for line in _reply(report.reply) for at in range(0, len(line), 200)]
        fields.append("Diagnostic-Code: smtp; " + "\r\n\t".join(line for line in said if line.strip()))
    if report.attempted is not None:
        fields.append(f"Last-Attempt-Date: {format_date(report.attempted)}")
    if report.retry_until is not None:
        fields.append(f"Will-Retry-Until: {format_date(report.retry_until)}")
    return fields


def _returned(data: bytes, whole: bool, utf8: bool) -> bytes:
    """The mail itself or its header, as it was."""
    if whole:
        kind = "message/global" if utf8 else "message/rfc822"
    else:
        kind = "message/global-headers" if utf8 else "text/rfc822-headers"
    encoding = b"" if data.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return f"Content-Type: {kind}\r\n".encode() + encoding + b"\r\n" + data


def _text_part(text: str) -> bytes:
    charset = "us-ascii" if text.isascii() else "utf-8"
    encoding = "" if text.isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    return f"Content-Type: text/plain; charset={charset}\r\n{encoding}\r\n{text}".encode()


def _wrap(text: str, indent: int = 0) -> list[str]:
    blank = " " * indent
    return textwrap.wrap(text, _WIDTH, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False)


def _reply(reply: str) -> list[str]:
    """A peer's reply in lines that can be told: bounded in number and length, no controls."""
    return [_clean(line[:_REPLY_WIDTH]) for line in reply.splitlines()[:_REPLY_LINES]]


def _clean(text: str) -> str:
    return _CONTROL.sub("?", text)


def _ascii(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:900]


def _fitting(text: str, utf8: bool) -> str:
    """An address in a status field: raw where UTF-8 is read, else as `\\x{41}` (RFC 6533 §3, utf-8-addr-xtext)."""
    if utf8 or text.isascii():
        return _clean(text)[:900]
    return "".join(
        character if "!" <= character <= "~" and character not in "\\+=" else f"\\x{{{ord(character):X}}}"
        for character in text
    )[:900]
