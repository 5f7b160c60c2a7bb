"""Where the octets of a blob are, whatever it is: `f…` is an upload, others are in stored messages (`stored_blobs`),
and `NAME_2-1` is part 2.1 of a message that is a blob itself."""

from __future__ import annotations

from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail import bodies, object_ids
from daemon.mail.decode import decode_transfer
from daemon.mail.message import scan
from daemon.serve.web.jmap.blob import stored_blobs
from daemon.serve.web.jmap.blob.stored_blobs import Blob, Lazy
from daemon.store import email_sets, uploads
from daemon.store.db import Store
from daemon.store.segments import SegmentDamaged


class Found(NamedTuple):
    """All octets."""

    data: bytes
    type: str


class Holder(NamedTuple):
    """The message that a blob is of, if it is of one."""

    email_id: int | None = None
    thread_id: int | None = None


def blob(store: Store, account_id: int, name: str) -> Blob | None:
    """This user's blob of that id, to be read in stretches. For a thread that may wait."""
    outer, _, number = name.rpartition("_")
    if outer:
        return _inside(store, account_id, outer, number) if name.count("_") <= LIMITS.blob_depth else None
    upload = store.peek(uploads.find, account_id, name)
    if upload is not None:
        return Blob(upload.type, upload.size, b"", Lazy(store, upload.place))
    return stored_blobs.find(store, account_id, name)


def inside(name: str, number: str) -> str:
    """What the part of a blob is called that is a message."""
    return f"{name}_{stored_blobs.dashed(number)}"


def _inside(store: Store, account_id: int, outer: str, number: str) -> Blob | None:
    whole = blob(store, account_id, outer)
    if whole is None:
        return None
    data = whole.read(0, whole.size)
    part = next((part for at, part in bodies.numbered(scan(data).root) if at == stored_blobs.dotted(number)), None)
    if part is None:
        return None
    octets_ = decode_transfer(data[part.body : part.end], part.encoding)
    return Blob(part.media, len(octets_), b"", octets_)


async def find(store: Store, account_id: int, name: str) -> Found | None:
    """All of it at once."""
    return await store.aside(_find, store, account_id, name)


def _find(store: Store, account_id: int, name: str) -> Found | None:
    try:
        there = blob(store, account_id, name)
        return None if there is None else Found(there.read(0, there.size), there.type)
    except SegmentDamaged:
        return None


def holder(store: Store, account_id: int, name: str) -> Holder | None:
    """Which message a blob is of, if there is such a blob. For a thread that may wait."""
    try:
        if blob(store, account_id, name) is None:
            return None
    except SegmentDamaged:
        return None
    number = object_ids.number(object_ids.EMAIL, name.partition("-")[0])
    stored = None if number is None else store.peek(email_sets.find, account_id, number)
    return Holder() if stored is None else Holder(stored.id, stored.thread_id)
