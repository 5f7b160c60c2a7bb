"""Files that users uploaded, until a message is made of them or a day has gone by (RFC 8620 §6).

Each is one of the holders of its blob. There is a ceiling on what waits of one user: beyond it the oldest make room,
but none that is younger than an hour.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store import blobs
from daemon.store.blobs import Place
from daemon.store.errors import OverQuota
from daemon.store.spool import Body
from daemon.store.tx import Tx


class Upload(NamedTuple):
    """`id` is the name of its blob for the client."""

    id: str
    place: Place
    type: str
    size: int


def put(tx: Tx, account_id: int, body: Body, type: str) -> str:
    """Keep a body that is in a segment by now; its id. Raises `OverQuota`."""
    _make_room(tx, account_id, body.size)
    name = "f" + secrets.token_hex(16)
    tx.run(
        "insert into upload (id, account_id, blob_id, type, size, created_at) values (?, ?, ?, ?, ?, ?)",
        name, account_id, blobs.keep(tx, body), type, body.size, tx.now,
    )  # fmt: skip
    return name


def check_room(tx: Tx, account_id: int, size: int) -> None:
    """Whether an upload of that size would be taken, asked before it is read. Raises `OverQuota`."""
    kept = tx.one(
        "select count(*), coalesce(sum(size), 0) from upload where account_id = ? and created_at > ?",
        account_id, tx.now - LIMITS.upload_kept * 1000,
    ) or (0, 0)  # fmt: skip
    if kept[0] >= LIMITS.uploads or kept[1] + size > LIMITS.uploads_storage:
        raise OverQuota("too much was uploaded within an hour: use it, or wait")


def _make_room(tx: Tx, account_id: int, size: int) -> None:
    check_room(tx, account_id, size)
    rows = tx.all("select id, size from upload where account_id = ? order by created_at, id", account_id)
    count, octets = len(rows) + 1, sum(row[1] for row in rows) + size
    for name, old in rows:
        if count <= LIMITS.uploads and octets <= LIMITS.uploads_storage:
            return
        _drop(tx, "id = ?", name)
        count, octets = count - 1, octets - old


def find(tx: Tx, account_id: int, name: str) -> Upload | None:
    """This user's upload of that id."""
    row = tx.one(
        "select u.id, b.segment_id, b.offset, b.length, u.type, u.size from upload u join blob b on b.id = u.blob_id"
        " where u.id = ? and u.account_id = ?",
        name, account_id,
    )  # fmt: skip
    return None if row is None else Upload(row[0], Place(*row[1:4]), row[4], row[5])


def forget(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` uploads older than that; how many went."""
    return _drop(tx, "id in (select id from upload where created_at < ? order by created_at limit ?)", before, limit)


def forget_user(tx: Tx, account_id: int) -> None:
    _drop(tx, "account_id = ?", account_id)


def _drop(tx: Tx, condition: str, *params: object) -> int:
    gone = tx.all(f"delete from upload where {condition} returning blob_id", *params)
    blobs.release(tx, (row[0] for row in gone))
    return len(gone)
