"""What blobs are called, and where their octets are: `f…` is an upload, `e12` a message with what we put before it,
`e12-2-1` the decoded body of its part 2.1."""

from __future__ import annotations

from typing import NamedTuple

from daemon.mail import object_ids
from daemon.mail.decode import decode_transfer
from daemon.mail.message import unpack
from daemon.mail.section import find_part
from daemon.store import email_sets, uploads
from daemon.store.db import Store
from daemon.store.segments import SegmentDamaged


class Found(NamedTuple):
    """`email_id` and `thread_id` of the message it is of."""

    data: bytes
    type: str
    email_id: int | None = None
    thread_id: int | None = None


def of_email(email_id: int) -> str:
    return f"{object_ids.EMAIL}{email_id}"


async def find(store: Store, account_id: int, name: str) -> Found | None:
    """This user's blob of that id."""
    return await store.aside(_find, store, account_id, name)


def _find(store: Store, account_id: int, name: str) -> Found | None:
    upload = store.peek(uploads.find, account_id, name)
    try:
        if upload is not None:
            return Found(store.bytes_of(upload.place), upload.type)
        return _of_message(store, account_id, name)
    except SegmentDamaged:
        return None


def _of_message(store: Store, account_id: int, name: str) -> Found | None:
    head, *path = name.split("-")
    number = object_ids.number(object_ids.EMAIL, head)
    stored = None if number is None else store.peek(email_sets.find, account_id, number)
    if stored is None or not all(each.isascii() and each.isdigit() and len(each) < 5 for each in path):
        return None
    data = store.bytes_of(stored.place)
    if not path:
        return Found(stored.prefix + data, "message/rfc822", stored.id, stored.thread_id)
    part = find_part(unpack(stored.parts), tuple(map(int, path)))
    if part is None:
        return None
    body = decode_transfer(data[part.body : part.end], part.encoding)
    return Found(body, part.media, stored.id, stored.thread_id)
