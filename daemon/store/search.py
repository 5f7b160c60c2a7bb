"""Which messages of a mailbox fit a condition: on columns read out at delivery, on header fields, on decoded text.

`matching` answers one condition for the messages it is asked about; how conditions are joined, and which messages are
worth asking about, is the caller's business. What costs little comes out of rows; fields and text are read from the
message itself, so ask for few messages at a time then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.mail.decode import header_text
from daemon.mail.header import split_fields
from daemon.mail.message import Part, scan, unpack
from daemon.mail.text import search_headers, search_text
from daemon.store import messages
from daemon.store.blobs import Place
from daemon.store.db import Store
from daemon.store.messages import Ranges
from daemon.store.segments import SegmentDamaged

_WHOLE = 1 << 20  # octets of a message read at once; of a longer one only what is looked at


@dataclass(frozen=True, slots=True)
class Contains:
    """A decoded text column (`subject`, `from_text`, ...) contains `text`, which is in lower case."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """A number column is at least `low` and below `high`; without a number it never fits."""

    column: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A header field called `name` contains `text`, which is in lower case; any such field if that is empty."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """The decoded text of the body, with `headers` also of the header, contains `text`, which is in lower case."""

    text: str
    headers: bool = False


Condition = Contains | Between | Field | Text


def matching(store: Store, mailbox_id: int, uids: Ranges, condition: Condition) -> list[int]:
    """The UIDs among `uids` of messages that fit, in order. For a thread that may wait."""
    match condition:
        case Contains(column, text):
            rows = store.read_now(messages.fetch, mailbox_id, uids, ("uid", column))
            if column == "subject":  # the one that is kept as it was written
                return [uid for uid, value in rows if text in value.lower()]
            return [uid for uid, value in rows if text in value]
        case Between(column, low, high):
            rows = store.read_now(messages.fetch, mailbox_id, uids, ("uid", column))
            least = float("-inf") if low is None else low
            end = float("inf") if high is None else high
            return [uid for uid, value in rows if value is not None and least <= value < end]
    rows = store.read_now(
        messages.fetch, mailbox_id, uids, ("uid", "prefix", "segment_id", "offset", "length", "parts")
    )
    found = []
    for uid, prefix, *place, parts in rows:
        data = _Octets(store, *place)
        try:
            if _fits(data, prefix, unpack(parts), condition):
                found.append(uid)
        except SegmentDamaged:
            continue  # what cannot be read is not found; FETCH tells why
    return found


def _fits(data: _Octets, prefix: bytes, root: Part, condition: Field | Text) -> bool:
    if isinstance(condition, Field):
        name = condition.name.lower().encode("ascii", "replace")
        return any(
            field.lower() == name and (not condition.text or condition.text in header_text(value).lower())
            for field, value in split_fields(prefix + data[root.header : root.body])
        )
    if condition.headers and condition.text in prefix.decode("utf-8", "replace").lower():
        return True
    return condition.text in search_text(_source(data), root, headers=condition.headers)


def texts(store: Store, place: Place, prefix: bytes, parts: bytes) -> tuple[str, str]:
    """All that conditions look in, for the full-text index: what stands in headers, and in the body. Raises
    `SegmentDamaged`."""
    source = _source(_Octets(store, *place))
    root = unpack(parts) if parts else scan(source[0 : place.length]).root
    head = [prefix.decode("utf-8", "replace").lower(), search_headers(source, root)]
    if b"=?" in prefix or not prefix.isascii():
        head += (header_text(value).lower() for _, value in split_fields(prefix))
    return "\n".join(head), search_text(source, root)


def _source(data: _Octets) -> Any:
    return data if data.length > _WHOLE else data[0 : data.length]


class _Octets:
    """The bytes of a message, read only where they are sliced."""

    __slots__ = ("store", "segment", "offset", "length")

    def __init__(self, store: Store, segment: int, offset: int, length: int) -> None:
        self.store = store
        self.segment = segment
        self.offset = offset
        self.length = length

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.length)
        return self.store.segments.read(self.segment, self.offset + start, stop - start) if stop > start else b""
