"""Header fields in the forms that JMAP asks for them (RFC 8621 §4.1.2): text, addresses, message ids, dates, URLs.

`read_property` says what `header:Name:asForm:all` asks for, `value` answers it. Of several fields of one name the last
counts there, as the RFC has it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_words, header_text, unfold
from daemon.mail.mailboxes import Mailbox, all_mailboxes
from daemon.mail.summary import parse_date, zone_in

_PROPERTY = re.compile(r"header:([!-9;-~]{1,200})(?::as([A-Za-z]{1,20}))?(:all)?")
_SHORT = 256  # octets of a field that is remembered
_ID = re.compile(rb"<([^<>]{1,998})>")
_COMMENT = re.compile(rb"\([^()]*\)")
_ADDRESSES = frozenset(
    prefix + name for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
)
_TEXT = frozenset(("subject", "comments", "keywords", "list-id"))
_IDS = frozenset(("message-id", "in-reply-to", "references", "resent-message-id"))
_DATES = frozenset(("date", "resent-date"))
_URLS = frozenset(f"list-{name}" for name in ("help", "unsubscribe", "subscribe", "post", "owner", "archive"))
_RAW = frozenset(("return-path", "received"))
_KNOWN = _ADDRESSES | (_TEXT - {"list-id"}) | _IDS | _DATES | _URLS | _RAW  # of RFC 5322 and 2369

SHORT = {  # RFC 8621 §4.1.3
    "messageId": "header:Message-ID:asMessageIds",
    "inReplyTo": "header:In-Reply-To:asMessageIds",
    "references": "header:References:asMessageIds",
    "sender": "header:Sender:asAddresses",
    "from": "header:From:asAddresses",
    "to": "header:To:asAddresses",
    "cc": "header:Cc:asAddresses",
    "bcc": "header:Bcc:asAddresses",
    "replyTo": "header:Reply-To:asAddresses",
    "subject": "header:Subject:asText",
    "sentAt": "header:Date:asDate",
}


class Asked(NamedTuple):
    """A field that is asked for: its name in lower case, a key of `_FORMS`, and whether all of that name are."""

    name: bytes
    form: str
    every: bool


def read_property(name: str) -> Asked | None:
    """What a property asks for; None when it is no header property, or its form does not fit the field."""
    found = _PROPERTY.fullmatch(SHORT.get(name, name))
    if found is None:
        return None
    field, form = found[1].lower(), found[2] or "Raw"
    if form not in _FORMS or (field in _KNOWN and field not in _FORMS[form].fields and form != "Raw"):
        return None
    return Asked(field.encode(), form, found[3] is not None)


def value(asked: Asked, values: Mapping[bytes, Sequence[bytes]]) -> Any:
    """The field in its form, out of raw values by name (`header.values`): None when there is none or it cannot be read
    so; with `every` a list. It may be shared with others who ask for the same: it is not to be changed."""
    make = _FORMS[asked.form].make
    found = values.get(asked.name, ())
    if asked.every:
        return [make(raw) for raw in found]
    return make(found[-1]) if found else None


def raw(value: bytes) -> str:
    """The value as it stands, folds and the first blank too."""
    return decode_text(value.removesuffix(b"\r"), "").replace("\0", "\ufffd")


def text(value: bytes) -> str:
    return unicodedata.normalize("NFC", header_text(value))


def addresses(value: bytes) -> list[dict[str, str | None]]:
    """Those in groups too, the groups themselves left out."""
    return _remembered(value) if len(value) <= _SHORT else _addresses(value)


def _addresses(value: bytes) -> list[dict[str, str | None]]:
    return [_address(each) for each in all_mailboxes(value, LIMITS.compose_addresses) if each.host is not None]


_remembered = lru_cache(maxsize=1024)(_addresses)  # people write to people: a list has the same ones again and again


def grouped_addresses(value: bytes) -> list[dict[str, Any]]:
    """Each group with its addresses; what stands outside of groups in one without a name."""
    groups: list[dict[str, Any]] = []
    inside = False
    for each in all_mailboxes(value, LIMITS.compose_addresses):
        if each.host is None:
            inside = each.local is not None
            if inside:
                groups.append({"name": _words(each.local), "addresses": []})
            continue
        if not inside and (not groups or groups[-1]["name"] is not None):
            groups.append({"name": None, "addresses": []})
        groups[-1]["addresses"].append(_address(each))
    return groups


def message_ids(value: bytes) -> list[str] | None:
    line = unfold(value)
    found = _ID.findall(line)
    if not found:
        return None
    return [decode_text(each.strip(), "") for each in found]


def date(value: bytes) -> str | None:
    """RFC 3339, in the zone it was written in."""
    sent = parse_date(value)
    if sent is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        moment = (moment + timedelta(seconds=sent.at)).astimezone(timezone(timedelta(minutes=zone_in(value))))
    except (OverflowError, ValueError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def urls(value: bytes) -> list[str] | None:
    """RFC 2369: URLs in angle brackets, with comments between."""
    found = _ID.findall(_COMMENT.sub(b" ", unfold(value)))
    return [decode_text(re.sub(rb"\s", b"", each), "") for each in found] or None


def _address(mailbox: Mailbox) -> dict[str, str | None]:
    return {"name": _words(mailbox.name), "email": mailbox.address}


def _words(name: str | None) -> str | None:
    return unicodedata.normalize("NFC", decode_words(name)).strip() or None if name else None


class _Form(NamedTuple):
    make: Callable[[bytes], Any]
    fields: frozenset[str]


_FORMS = {
    "Raw": _Form(raw, _KNOWN),
    "Text": _Form(text, _TEXT),
    "Addresses": _Form(addresses, _ADDRESSES),
    "GroupedAddresses": _Form(grouped_addresses, _ADDRESSES),
    "MessageIds": _Form(message_ids, _IDS),
    "Date": _Form(date, _DATES),
    "URLs": _Form(urls, _URLS),
}
