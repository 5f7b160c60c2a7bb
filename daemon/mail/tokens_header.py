"""The tokens of a header: what a writer says in it, and the shape his software gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from daemon.limits import LIMITS
from daemon.mail.decode import header_text, unfold
from daemon.mail.mailboxes import Mailbox, mailboxes
from daemon.mail.message import Message

# What the receiving side writes, or what tells only whose mail this is: gives no token.
_OURS = frozenset(
    b"return-path delivered-to received x-original-to envelope-to authentication-results received-spf dkim-signature"
    b" domainkey-signature to cc bcc subject from date status x-status x-keywords content-length lines"
    b" x-bogosity".split()
)
_OURS_BEGIN = (b"x-spam-", b"arc-", b"x-uid", b"x-virus-", b"x-envelope-", b"x-mozilla-")
_VALUES = frozenset(
    (
        b"x-mailer",
        b"user-agent",
        b"precedence",
        b"x-priority",
        b"x-msmail-priority",
        b"importance",
        b"mime-version",
        b"content-type",
        b"content-transfer-encoding",
        b"x-mimeole",
        b"auto-submitted",
        b"organization",
        b"list-id",
    )
)
_ORDERED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"reply-to")
_WORD = re.compile(r"[^\W_]+(?:['.-][^\W_]+)*|[!?$%*]+")
_DIGITS = re.compile(r"[0-9]")
_LETTERS = re.compile(r"[a-z]+")
_FROM_HOST = re.compile(rb"from\s+(\S{1,255})(?:\s+\(([^()]{0,300}))?")
_HOST = re.compile(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_ZONE = re.compile(rb"([+-][0-9]{4})\s*(?:\(|\Z)")
_BOUNDARY = re.compile(rb"boundary\s*=\s*\"?([^\";\r\n]{1,70})", re.IGNORECASE)


def header_tokens(message: Message) -> Iterator[bytes]:
    """The tokens of a message's header."""
    return chain(_subject(message), _people(message), _message_id(message), _route(message), _others(message))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _subject(message: Message) -> Iterator[bytes]:
    value = message.first(b"subject")
    if value is None:
        yield b"h:no subject"
        return
    text = header_text(value)[: LIMITS.spam_subject]
    words = _WORD.findall(_DIGITS.sub("0", text))
    previous = "^"
    for word in words:
        lower = word.lower()
        yield _encode(f"s:{lower}")
        if len(word) > 2 and word.isupper():
            yield _encode(f"s:{word}")
        yield _encode(f"s:{previous} {lower}")
        previous = lower
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) > 5 and sum(map(str.isupper, letters)) * 10 > len(letters) * 8:
        yield b"h:subject in capitals"
    if "     " in text:
        yield b"h:subject with a gap"
    if not text:
        yield b"h:empty subject"
    if value.isascii() and b"=?" in value:
        yield b"h:subject encoded"
    elif not value.isascii():
        yield b"h:subject 8bit"


def _people(message: Message) -> Iterator[bytes]:
    authors = _boxes(message, b"from")
    author = authors[0].address.lower() if authors else ""
    if authors:
        box = authors[0]
        for word in _WORD.findall(_DIGITS.sub("0", box.display if box.name else ""))[:20]:
            yield _encode(f"f:{word.lower()}")
        if not box.name:
            yield b"h:from without a name"
        host = (box.host or "").lower()
        yield _encode(f"f:@{host}")
        yield _encode(f"f:{author}")
        yield _encode(f"f:.{host.rpartition('.')[2]}")
        yield _encode(f"f:like {_shape((box.local or '').lower())}")
    else:
        yield b"h:no from"
    for name in (b"to", b"cc"):
        boxes = _boxes(message, name)
        yield b"h:%s %d" % (name, len(boxes).bit_length())
        for box in boxes[:10]:
            yield _encode(f"a:{box.address.lower()}")
            yield _encode(f"a:@{box.host}".lower())
        if boxes and boxes[0].name:
            yield b"h:%s with a name" % name
        if author and any(box.address.lower() == author for box in boxes):
            yield b"h:%s is from" % name
    replies = _boxes(message, b"reply-to")
    if replies:
        same = replies[0].address.lower() == author
        yield b"h:reply-to is from" if same else b"h:reply-to differs"
        if not same:
            yield _encode(f"f:reply {(replies[0].host or '').lower()}")


def _boxes(message: Message, name: bytes) -> tuple[Mailbox, ...]:
    value = message.first(name)
    return mailboxes(value) if value is not None else ()


def _shape(text: str) -> str:
    return _LETTERS.sub("a", _DIGITS.sub("0", text))[:40]


def _message_id(message: Message) -> Iterator[bytes]:
    value = message.first(b"message-id")
    if value is None:
        yield b"h:no message-id"
        return
    left, _, right = unfold(value)[:200].decode("latin-1").lower().partition("@")
    yield _encode(f"i:{_shape(left)}")
    yield _encode(f"i:@{right.strip('>')}")


def _route(message: Message) -> Iterator[bytes]:
    hops = message.every(b"received")[: LIMITS.spam_hops]
    yield b"h:received %d" % len(hops)
    for value in hops:
        line = unfold(value).lower()
        found = _FROM_HOST.match(line)
        if not found:
            continue
        for host in _HOST.findall(found[1] + b" " + (found[2] or b""))[:4]:
            labels = host.split(b".")
            if labels[-1].isdigit():
                yield b"r:" + b".".join(labels[:2])
                yield b"r:" + b".".join(labels[:3])
                yield b"r:" + host
            else:
                yield b"r:" + b".".join(labels[-2:])
                yield b"r:" + host
        if b"." not in found[1]:
            yield b"h:helo without a dot"
    date = message.first(b"date")
    if date is None:
        yield b"h:no date"
        return
    line = unfold(date)
    zone = _ZONE.search(line)
    yield b"d:" + (zone[1] if zone else _shape(line.decode("latin-1").lower()).encode("utf-8", "replace"))
    if b"," not in line[:5]:
        yield b"d:no day"


def _others(message: Message) -> Iterator[bytes]:
    order = []
    for name, value in message.fields:
        lower = name.lower()
        if lower in _ORDERED:
            order.append(lower)
        if lower in _OURS or lower.startswith(_OURS_BEGIN):
            continue
        yield b"h:" + name
        if lower in _VALUES:
            text = header_text(_BOUNDARY.sub(b"", value))[:200].lower()
            yield _encode(f"x:{lower.decode('latin-1')} {_DIGITS.sub('0', text)}")
            for word in _WORD.findall(_DIGITS.sub("0", text))[:20]:
                yield _encode(f"x:{lower.decode('latin-1')}:{word}")
            boundary = _BOUNDARY.search(value)
            if boundary:
                yield b"b:" + _shape(boundary[1].decode("latin-1").lower()).encode("utf-8", "replace")
    yield b"o:" + b" ".join(order)
