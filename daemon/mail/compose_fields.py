"""Header fields out of the values that JMAP has for them (RFC 8621 §4.1.2): each form to the octets of a field.

Nothing that is handed in can end a field or begin another: a value with a line end, where none may be, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_address
from daemon.mail.decode import encode_words
from daemon.mail.headers import format_zoned

_ADDRESSES = frozenset(
    ("from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-reply-to", "resent-to",
     "resent-cc", "resent-bcc")
)  # fmt: skip
_TEXTS = frozenset(("subject", "comments", "keywords", "list-id"))
_IDS = frozenset(("message-id", "in-reply-to", "references", "resent-message-id"))
_DATES = frozenset(("date", "resent-date"))
_URLS = frozenset(("list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"))
_ALLOWED = (
    (_ADDRESSES, ("addresses", "groupedaddresses")),
    (_TEXTS, ("text",)),
    (_IDS, ("messageids",)),
    (_DATES, ("date",)),
    (_URLS, ("urls",)),
)
_PROPERTY = re.compile(r"header:([!-9;-~]{1,200}?)(?::as([A-Za-z]{1,20}))?(:all)?")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_FOLDED = re.compile(r"\r\n[ \t]+(?=[^ \t\r\n])")
_BREAKS = re.compile(r"[\r\n\0\ud800-\udfff]")
_ID = re.compile(r"[^\s<>\0-\x1f\x7f\ud800-\udfff]{1,900}")
_URL = re.compile(r"[!-;=?-~]{1,2000}")
_WIDTH = 76
_LINE = 998  # octets of a line; RFC 5322 §2.1.1


class BadValue(ValueError):
    """A value that no field can have; the message says why."""


class Asked(NamedTuple):
    """A property `header:Name:asForm:all`. `name` as it was written."""

    name: str
    form: str
    all: bool


def asked(prop: str) -> Asked | None:
    """What a property asks for; None when it is no header property, or one in a form that the field has not."""
    found = _PROPERTY.fullmatch(prop)
    if found is None:
        return None
    form = (found[2] or "Raw").lower()
    if form not in FORMS or not _may(found[1].lower(), form):
        return None
    return Asked(found[1], form, found[3] is not None)


def _may(name: str, form: str) -> bool:
    """RFC 8621 §4.1.2: fields that an RFC defines have one form beside Raw, all others any."""
    for names, forms in _ALLOWED:
        if name in names:
            return form == "raw" or form in forms
    return True


def field(name: str, form: str, value: Any) -> bytes:
    """One field with its line end. Raises `BadValue`."""
    line = FORMS[form](name, value)
    if any(len(each) > _LINE for each in line.split(b"\r\n")):
        raise BadValue("is too long for a line of a message")
    return line + b"\r\n"


def fold(name: str, words: Sequence[str], between: str = " ") -> bytes:
    """Words behind a name, on as many lines as they need."""
    lines, line = [], f"{name}:"
    for place, word in enumerate(words):
        piece = word + (between.rstrip() if place + 1 < len(words) else "")
        if len(line) + 1 + len(piece) > _WIDTH and line.strip() and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += " " + piece
    return "\r\n".join([*lines, line]).encode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------------------- forms


def _raw(name: str, value: Any) -> bytes:
    """As the client wrote it: the octets behind the colon."""
    if not isinstance(value, str):
        raise BadValue("is no text")
    if _BREAKS.search(_FOLDED.sub(" ", value)):
        raise BadValue("has line ends that are no folds, or characters that no header may have")
    return f"{name}:{value}".encode()


def _text(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise BadValue("is no text")
    text = " ".join(value.split()) if _BREAKS.search(value) else value.strip()
    if not text:
        return f"{name}: ".encode()
    if text.isascii() and text.isprintable() and "=?" not in text and len(max(text.split(), key=len)) < 900:
        return fold(name, text.split(" "))
    return fold(name, _words(text))


def _words(text: str) -> list[str]:
    """All of it as encoded words, whatever is in it: what looks like one is not one for the reader (RFC 2047 §5)."""
    if text.isascii() and text.isprintable():
        text += "\u200b"  # no reader shows it, and what is not ASCII is encoded as a whole
    return encode_words(text).split(" ")


def _addresses(name: str, value: Any) -> bytes:
    return fold(name, [_mailbox(each) for each in _list(value, LIMITS.compose_addresses)], ", ")


def _grouped(name: str, value: Any) -> bytes:
    found, count = [], 0
    for group in _list(value, LIMITS.compose_addresses):
        if not isinstance(group, Mapping) or not set(group) <= {"name", "addresses"}:
            raise BadValue("is no list of groups of addresses")
        inside = [_mailbox(each) for each in _list(group.get("addresses"), LIMITS.compose_addresses)]
        count += len(inside)
        if count > LIMITS.compose_addresses:
            raise BadValue(f"names more than {LIMITS.compose_addresses} addresses")
        title = group.get("name")
        if title is None:
            found += inside
        else:
            found.append(f"{_phrase(title)}: {', '.join(inside)};" if inside else f"{_phrase(title)}:;")
    return fold(name, found, ", ")


def _mailbox(value: Any) -> str:
    if not isinstance(value, Mapping) or not set(value) <= {"name", "email"}:
        raise BadValue("is no list of addresses")
    title, email = value.get("name"), value.get("email")
    if not isinstance(email, str):
        raise BadValue("has an address without `email`")
    try:
        address = str(parse_address(email.strip()))
    except BadAddress as error:
        raise BadValue(f"has {email[:80]!r}, which is no address: {error.reason}") from None
    return f"{_phrase(title)} <{address}>" if title else address


def _phrase(value: Any) -> str:
    """A display name (RFC 5322 §3.2.5): as it is, in quotes, or encoded."""
    if not isinstance(value, str) or len(value) > LIMITS.compose_name:
        raise BadValue(f"has a name that is no text of up to {LIMITS.compose_name} characters")
    text = " ".join(value.split())
    if text.isascii() and text.isprintable() and "=?" not in text:
        if _PLAIN_PHRASE.fullmatch(text):
            return text
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "\r\n ".join(_words(text))


def _ids(name: str, value: Any) -> bytes:
    ids = _list(value, LIMITS.compose_ids)
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
        raise BadValue("has what is no message id (without angle brackets)")
    return fold(name, [f"<{each}>" for each in ids])


def _urls(name: str, value: Any) -> bytes:
    urls = _list(value, LIMITS.compose_ids)
    if not all(isinstance(each, str) and _URL.fullmatch(each) for each in urls):
        raise BadValue("has what is no URL")
    return fold(name, [f"<{each}>" for each in urls], ", ")


def _date(name: str, value: Any) -> bytes:
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise BadValue("is no date such as 2026-11-28T10:00:00+01:00") from None
    if at.tzinfo is None or not 1900 <= at.year <= 9999:
        raise BadValue("is a date without a zone, or of no time that mail knows")
    return f"{name}: {format_zoned(at)}".encode()


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise BadValue("is no list")
    if len(value) > most:
        raise BadValue(f"has more than {most} entries")
    return value


FORMS: Mapping[str, Callable[[str, Any], bytes]] = {
    "raw": _raw, "text": _text, "addresses": _addresses, "groupedaddresses": _grouped, "messageids": _ids,
    "date": _date, "urls": _urls,
}  # fmt: skip
"""The forms of RFC 8621 §4.1.2, in lower case."""
