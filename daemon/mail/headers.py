"""The header fields we write: in front of mail we accept, and into mail that is submitted to us.

Time and chance are handed in. Strangers' words (a HELO, a host name) are reduced to what cannot end a field or a
comment. RFC 5321 §4.4 (trace), RFC 6409 §8 (what a submission server may add), RFC 5322 §3.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.mail.header import field_matcher
from daemon.mail.mailboxes import mailboxes

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|From |\r\n")  # how a message with a header begins, or with an empty one
_HIDDEN = field_matcher(frozenset((b"bcc", b"resent-bcc")))
_FROM = field_matcher(frozenset((b"from",)))
_DATE = field_matcher(frozenset((b"date",)))
_MESSAGE_ID = field_matcher(frozenset((b"message-id",)))


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A submitted message we cannot accept: `reason` from a short list (no-from, several-from, header-too-large) for
    trace and metrics, `text` for the reply."""

    reason: str
    text: str


NO_FROM = Incomplete("no-from", "message has no From field with an address (RFC 5322 3.6)")
SEVERAL_FROM = Incomplete("several-from", "message has more than one From field (RFC 5322 3.6)")
HEADER_TOO_LARGE = Incomplete("header-too-large", f"message header is over {LIMITS.header_bytes} octets")


def format_date(at: float) -> str:
    """Seconds since 1970 as RFC 5322 §3.3 writes it, in UTC and in English whatever the locale."""
    return _date(int(at))


@lru_cache(maxsize=4)  # many messages come in one second
def _date(at: int) -> str:
    day = datetime.fromtimestamp(at, UTC)
    return (
        f"{_DAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year:04}"
        f" {day.hour:02}:{day.minute:02}:{day.second:02} +0000"
    )


def format_zoned(at: datetime) -> str:
    """The same for a time that says its zone, which is kept: a reader may want to see the sender's clock."""
    offset = int((at.utcoffset() or timedelta()).total_seconds()) // 60
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    return (
        f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04}"
        f" {at.hour:02}:{at.minute:02}:{at.second:02} {sign}{minutes // 60:02}{minutes % 60:02}"
    )


def return_path(sender: Address | None) -> bytes:
    """RFC 5321 §4.4: the reverse path, at final delivery; `<>` for None."""
    return f"Return-Path: <{sender or ''}>\r\n".encode()


def delivered_to(address: Address) -> bytes:
    """The mailbox a copy was delivered or forwarded for, by which a loop is seen before it has many hops."""
    return f"Delivered-To: {address}\r\n".encode()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who gave us a message: what it called itself, where it is, and what DNS calls it ("" where not known)."""

    helo: str
    ip: str
    reverse: str = ""


def received(
    by: str, protocol: str, trace: str, now: float, *, peer: Peer | None = None, recipient: Address | None = None
) -> bytes:
    """The trace field of one hop (RFC 5321 §4.4). `protocol` is a registered word (ESMTPSA, LMTP; RFC 3848, 6531).

    `recipient` only where there is one: of several, each would learn of the others.
    """
    lines = []
    if peer is not None:
        literal = f"[IPv6:{peer.ip}]" if ":" in peer.ip else f"[{peer.ip}]"
        known = f"{_safe(peer.reverse)} {literal}" if peer.reverse else literal
        lines.append(f"from {_safe(peer.helo) or 'unknown'} ({known})")
    lines.append(f"by {by} with {protocol} id {trace}")
    if recipient is not None:
        lines.append(f"for <{recipient}>")
    lines[-1] += ";"
    lines.append(format_date(now))
    return ("Received: " + "\r\n\t".join(lines) + "\r\n").encode()


def _safe(word: str) -> str:
    return _UNSAFE.sub("?", word[:255])


def crlf(data: bytes) -> bytes:
    """Every line end as CRLF: a CR or LF alone is one too (RFC 5321 §2.3.8 forbids to send those)."""
    ends = data.count(b"\r\n")
    if data.count(b"\n") == ends == data.count(b"\r"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def complete(
    data: bytes, *, now: float, hostname: str, unique: str, author: Address | None = None
) -> bytes | Incomplete:
    """A submitted message as it is accepted: line ends made CRLF, Date and Message-ID added where they are missing,
    and a From that names `author` if there is none; Bcc and Resent-Bcc taken out; everything else byte for byte.
    Text without any header gets the blank line before it.
    `unique` makes the Message-ID's left side.

    Done before acceptance and before signing, never later. What is added goes on top, where no malformed line of the
    header can make it body.
    """
    data = crlf(data)
    if data and not _HEADER.match(data):
        data = b"\r\n" + data  # text alone, as scripts send it: without a blank line it would be taken for a header
    end = 0 if data.startswith(b"\r\n") else data.find(b"\r\n\r\n") + 2
    if end == 1:  # no blank line
        end = len(data)
    if end > LIMITS.header_bytes:
        return HEADER_TOO_LARGE  # or a Bcc beyond what is looked at would be told to all
    block = data[:end]
    authors = _FROM.findall(block)
    if len(authors) > 1:
        return SEVERAL_FROM
    added = b""
    if not authors and author is not None:
        added = f"From: {author}\r\n".encode()
    elif not authors or not any(mailbox.host for mailbox in mailboxes(authors[0].partition(b":")[2])):
        return NO_FROM
    if not _DATE.search(block):
        added += f"Date: {format_date(now)}\r\n".encode()
    if not _MESSAGE_ID.search(block):
        added += f"Message-ID: <{unique}@{hostname}>\r\n".encode()
    return added + _HIDDEN.sub(b"", block) + data[end:]
