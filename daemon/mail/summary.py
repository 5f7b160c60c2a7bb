"""What the store keeps of a message's content: found once, at delivery, with one call.

`summarize` never raises, whatever the bytes. Everything in it can be made again from the message.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import decode_words, header_text, unfold
from daemon.mail.header import named
from daemon.mail.mailboxes import mailboxes
from daemon.mail.message import Message, pack, scan
from daemon.mail.structure import structure
from daemon.mail.text import has_attachment, preview

if TYPE_CHECKING:
    from daemon.mail.header import Data

_ID = re.compile(rb"<([^<>\s]{1,998})>")
_WORD = re.compile(rb"[^\s<>]{1,998}")
_DATE = re.compile(
    rb"(?:[A-Za-z]{2,9}[,.]? *)?([0-9]{1,2})[ -]([A-Za-z]{3})[a-z]*\.?[ -]([0-9]{2,4}),? +"
    rb"([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2})(?:\.[0-9]+)?)?(?: *([+-][0-9]{4}|[A-Za-z]{1,5}))?"
)
_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_ZONES = {
    b"EST": -300,
    b"EDT": -240,
    b"CST": -360,
    b"CDT": -300,
    b"MST": -420,
    b"MDT": -360,
    b"PST": -480,
    b"PDT": -420,
}
_EPOCH = date(1970, 1, 1).toordinal()
_COMMENT = re.compile(rb"\([^()]*\)")

# RFC 5256 §2.1 and §5: subj-leader, subj-trailer and the like, on a subject that is lower-case and has single blanks.
_TRAILER = re.compile(r"(?: |\(fwd\))+\Z")
_LEADER = re.compile(r"(?:\[[^\[\]]*\] ?)*(?:re|fwd?) ?(?:\[[^\[\]]*\] ?)?:")
_BLOB = re.compile(r"\[[^\[\]]*\] ?")
_SUBJECT_LOOKED_AT = 2000  # characters; longer ones differ before that or not at all


class Sent(NamedTuple):
    """A Date field: seconds since 1970, and the day as written there, in days since 1970 (SEARCH SENTON and its like
    disregard time and zone)."""

    at: int
    day: int


class Summary(NamedTuple):
    """What the store keeps of the content. Texts are decoded; `*_text` are in lower case, for SEARCH."""

    envelope: bytes
    bodystructure: bytes
    body: bytes
    parts: bytes  # the tree, packed
    message_id: str
    references: tuple[str, ...]
    base_subject: str
    subject: str
    from_name: str
    from_address: str
    sent_at: int | None
    sent_day: int | None
    preview: str
    has_attachment: bool
    from_text: str
    to_text: str
    cc_text: str
    bcc_text: str
    subject_text: str


def summarize(data: Data) -> Summary:
    """Everything the store keeps of one message's content."""
    message = scan(data)
    told = structure(message)
    named = message.root.fields
    subject = header_text(named.get(b"subject", b""))
    name, address = author(message)
    sent = sent_at(message)
    texts = _address_texts(message)
    return Summary(
        envelope=told.envelope,
        bodystructure=told.bodystructure,
        body=told.body,
        parts=pack(message.root),
        message_id=message_id(message),
        references=references(message),
        base_subject=base_subject(subject),
        subject=subject,
        from_name=name,
        from_address=address,
        sent_at=sent.at if sent else None,
        sent_day=sent.day if sent else None,
        preview=preview(message),
        has_attachment=has_attachment(message.root),
        from_text=texts[b"from"],
        to_text=texts[b"to"],
        cc_text=texts[b"cc"],
        bcc_text=texts[b"bcc"],
        subject_text=subject.lower(),
    )


def _address_texts(message: Message) -> dict[bytes, str]:
    """From, To, Cc, Bcc for search: here every field of a name counts, as a reader of the raw mail would find it."""
    found: dict[bytes, list[bytes]] = {b"from": [], b"to": [], b"cc": [], b"bcc": []}
    for name, value in message.fields:
        if len(name) <= 4 and (lower := name.lower()) in found:
            found[lower].append(value)
    return {
        name: header_text(values[0] if len(values) == 1 else b",".join(values)).lower() if values else ""
        for name, values in found.items()
    }


def author(message: Message) -> tuple[str, str]:
    """Name and address of the first mailbox in From, decoded; "" for what is missing."""
    value = message.first(b"from")
    for mailbox in mailboxes(value) if value is not None else ():
        if mailbox.local is not None:
            return decode_words(mailbox.name or ""), mailbox.address
    return "", ""


def message_id(message: Message) -> str:
    """The Message-ID without angle brackets; "" when there is none."""
    value = message.first(b"message-id")
    return "" if value is None else _id(value)


def message_id_in(data: Data) -> str:
    """The same, without a look at anything else: for mail that only passes through."""
    for field in named(data, b"message-id"):
        return _id(field.value)
    return ""


def answered_in(data: Data) -> tuple[str, ...]:
    """All ids in References and In-Reply-To, without repeats; at most `LIMITS.references`, the last ones."""
    found: dict[str, None] = {}
    for field in named(data, b"references", b"in-reply-to"):
        found |= dict.fromkeys(_ids(field.value))
    return tuple(found)[-LIMITS.references :]


def _id(value: bytes) -> str:
    found = _ID.search(value, 0, LIMITS.field_value)
    if found:
        return _ascii(found[1])
    word = _WORD.search(value, 0, LIMITS.field_value)
    return _ascii(word[0]) if word else ""


def references(message: Message) -> tuple[str, ...]:
    """The ids this message answers, oldest first, without repeats: References, else the first of In-Reply-To
    (RFC 5256 §3). Of more than `LIMITS.references` the first and the last ones."""
    found = _ids(message.first(b"references"))
    if not found:
        found = _ids(message.first(b"in-reply-to"))[:1]
    if len(found) > LIMITS.references:
        found = [found[0], *found[1 - LIMITS.references :]]
    return tuple(found)


def _ids(value: bytes | None) -> list[str]:
    if value is None:
        return []
    return list(dict.fromkeys(_ascii(found) for found in _ID.findall(value, 0, LIMITS.field_value)))


def _ascii(value: bytes) -> str:
    """An id as text that the store can keep: UTF-8 stays (RFC 6532), other 8-bit and controls are replaced."""
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def sent_at(message: Message) -> Sent | None:
    """The Date field; None when it is missing or no date."""
    value = message.first(b"date")
    return parse_date(value) if value is not None else None


def parse_date(value: bytes) -> Sent | None:
    """RFC 5322 §3.3 with its obsolete zones and years, and what else is sent: no seconds, no zone, no weekday."""
    found = _date_in(value)
    if not found:
        return None
    month = _MONTHS.get(found[2].lower())
    year = int(found[3])
    if year < 1000:  # RFC 5322 §4.3
        year += 2000 if year < 50 and len(found[3]) == 2 else 1900
    hour, minute, second = int(found[4]), int(found[5]), int(found[6] or 0)
    if month is None or hour > 24 or minute > 59 or second > 60:
        return None
    try:
        day = date(year, month, int(found[1])).toordinal() - _EPOCH
    except ValueError:
        return None
    return Sent(day * 86400 + hour * 3600 + (minute - zone_minutes(found[7])) * 60 + second, day)


def zone_in(value: bytes) -> int:
    """Minutes east of Greenwich that a Date field says it was written at; 0 where it does not."""
    found = _date_in(value)
    return zone_minutes(found[7]) if found else 0


def _date_in(value: bytes) -> re.Match[bytes] | None:
    line = unfold(value[:1000])
    if b"(" in line:
        line = _COMMENT.sub(b" ", line).strip()
    return _DATE.match(line)


def zone_minutes(zone: bytes | None) -> int:
    """Minutes east of Greenwich; an unknown zone is -0000 (RFC 5322 §4.3)."""
    if zone is None:
        return 0
    if zone[0] in b"+-":
        minutes = int(zone[1:3]) * 60 + int(zone[3:5])
        return -minutes if zone[0] == 45 else minutes
    return _ZONES.get(zone.upper(), 0)


def base_subject(subject: str) -> str:
    """A decoded subject without `Re:`, `Fwd:`, list tags and the like, in lower case (RFC 5256 §2.1)."""
    text = " ".join(subject[:_SUBJECT_LOOKED_AT].lower().split())
    while True:
        text = _TRAILER.sub("", text)
        while True:
            leader = _LEADER.match(text)
            if leader:
                text = text[leader.end() :].lstrip(" ")
                continue
            blob = _BLOB.match(text)
            if not blob or blob.end() == len(text):
                break
            text = text[blob.end() :]
        if not (text.startswith("[fwd:") and text.endswith("]")):
            return text
        text = text[5:-1].strip(" ")
