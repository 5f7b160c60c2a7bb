"""Where the octets of a blob are, whatever it is: `f…` is an upload, all others are in stored messages (`octets`)."""

from __future__ import annotations

from typing import NamedTuple

from daemon.mail import object_ids
from daemon.serve.web.jmap import octets
from daemon.serve.web.jmap.octets import Blob, Lazy
from daemon.store import email_sets, uploads
from daemon.store.db import Store
from daemon.store.segments import SegmentDamaged


class Found(NamedTuple):
    """All octets; `email_id` and `thread_id` of the message they are of."""

    data: bytes
    type: str
    email_id: int | None = None
    thread_id: int | None = None


def blob(store: Store, account_id: int, name: str) -> Blob | None:
    """This user's blob of that id, to be read in stretches. For a thread that may wait."""
    upload = store.peek(uploads.find, account_id, name)
    if upload is not None:
        return Blob(upload.type, upload.size, b"", Lazy(store, upload.place))
    return octets.find(store, account_id, name)


async def find(store: Store, account_id: int, name: str) -> Found | None:
    """All of it at once."""
    return await store.aside(_find, store, account_id, name)


def _find(store: Store, account_id: int, name: str) -> Found | None:
    try:
        there = blob(store, account_id, name)
        if there is None:
            return None
        data = there.read(0, there.size)
    except SegmentDamaged:
        return None
    number = object_ids.number(object_ids.EMAIL, name.partition(".")[0])
    stored = None if number is None else store.peek(email_sets.find, account_id, number)
    if stored is None:
        return Found(data, there.type)
    return Found(data, there.type, stored.id, stored.thread_id)
