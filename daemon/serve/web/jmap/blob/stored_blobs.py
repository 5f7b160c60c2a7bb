"""Blobs that are, or are in, stored messages: their ids and their octets (RFC 8620 §6, RFC 8621 §4.1.4).

`e12-raw` is all of a message as a client sees it, `e12-2-1` part 2.1 of it without its transfer encoding: an id has no
dots (RFC 8620 §1.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.mail import bodies, object_ids
from daemon.mail.decode import decode_transfer
from daemon.mail.message import scan, unpack
from daemon.store import emails
from daemon.store.blobs import Place
from daemon.store.db import Store

_BLOB = re.compile(r"(e[0-9]{1,18})-(raw|[1-9][0-9]{0,3}(?:-[1-9][0-9]{0,3}){0,60})")


def whole(email_id: int) -> str:
    return f"e{email_id}-raw"


def of_part(email_id: int, number: str) -> str:
    return f"e{email_id}-{dashed(number)}"


def dashed(number: str) -> str:
    """A part's number as an id has it."""
    return number.replace(".", "-")


def dotted(number: str) -> str:
    return number.replace("-", ".")


class Lazy:
    """The bytes of a message behind our prefix, read only where they are sliced."""

    __slots__ = ("_store", "_place", "length")

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self.length = place.length

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.length)
        segment, offset, _ = self._place
        return self._store.segments.read(segment, offset + start, stop - start) if stop > start else b""


@dataclass(frozen=True, slots=True)
class Blob:
    """Octets with a type, of which any stretch can be read. For a thread that may wait."""

    type: str
    size: int
    prefix: bytes
    data: Lazy | bytes
    start: int = 0

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` octets from `offset`."""
        end = min(offset + length, self.size)
        before = self.prefix[offset:end]
        at = max(offset - len(self.prefix), 0)
        rest = max(end - len(self.prefix), at)
        return before + bytes(self.data[self.start + at : self.start + rest])


def find(store: Store, account_id: int, blob_id: str) -> Blob | None:
    """A blob of this account's messages; None when there is none. For a thread that may wait."""
    found = _BLOB.fullmatch(blob_id)
    number = object_ids.number(object_ids.EMAIL, found[1]) if found else None
    row = store.read_now(emails.rows, account_id, [number]).get(number) if number is not None else None
    if found is None or row is None:
        return None
    data = Lazy(store, row.place)
    if found[2] == "raw":
        return Blob("message/rfc822", row.size, row.prefix, data)
    root = unpack(row.parts) if row.parts else scan(data[0 : data.length]).root
    part = next((part for at, part in bodies.numbered(root) if at == dotted(found[2])), None)
    if part is None:
        return None
    if part.encoding in ("base64", "quoted-printable"):
        decoded = decode_transfer(data[part.body : part.end], part.encoding)
        return Blob(part.media, len(decoded), b"", decoded)
    return Blob(part.media, part.size, b"", data, part.body)
