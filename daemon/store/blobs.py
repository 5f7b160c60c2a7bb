"""Message bytes by reference: one row for equal bytes, shared by all recipients and copies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from daemon.store.segments import HEAD
from daemon.store.spool import Body
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from daemon.mail.summary import Summary


class Place(NamedTuple):
    """Where bytes lie: what `segments.Reader.read` takes."""

    segment: int
    offset: int
    length: int


def keep(tx: Tx, body: Body, summary: Summary | None = None, holders: int = 1) -> int:
    """A row for bytes that are in a segment by now (`store.write(..., bodies=[body])`); the blob's id.

    Equal bytes get the row that is there. The caller makes `holders` rows that point to it (`messages.put`,
    `queue.enqueue`, `quarantine.keep`) in the same transaction. With a `summary` the content row is made too, if it
    is missing.
    """
    row = tx.one("select id, segment_id, offset from blob where sha256 = ?", body.sha256)
    if row is None:
        blob_id = tx.insert(
            "insert into blob (sha256, segment_id, offset, length, refs) values (?, ?, ?, ?, ?)",
            body.sha256, body.segment, body.offset, body.size, holders,
        )  # fmt: skip
    else:
        blob_id = int(row[0])
        tx.run("update blob set refs = refs + ?, freed_at = null where id = ?", holders, blob_id)
        if (body.segment, body.offset) != row[1:] and not body.counted:
            body.counted = True
            dead(tx, body.segment, HEAD.size + body.size)
        if summary is None or tx.value("select 1 from content where blob_id = ?", blob_id):
            return blob_id
    if summary is not None:
        _keep_content(tx, blob_id, summary)
    return blob_id


def unused(tx: Tx, body: Body) -> None:
    """Bytes that are in a segment by now, and that nobody wants after all."""
    if not body.counted:
        body.counted = True
        dead(tx, body.segment, HEAD.size + body.size)


def hold(tx: Tx, blob_id: int) -> None:
    """One row more that points to it."""
    tx.run("update blob set refs = refs + 1, freed_at = null where id = ?", blob_id)


def describe(tx: Tx, blob_id: int, summary: Summary) -> None:
    """Make its content row, if missing: mailboxes show nothing without."""
    if not tx.value("select 1 from content where blob_id = ?", blob_id):
        _keep_content(tx, blob_id, summary)


def release(tx: Tx, blob_ids: Iterable[int]) -> None:
    """One row less for each id given (an id may come twice). The bytes stay for a grace longer than any open view."""
    counts: dict[int, int] = {}
    for blob_id in blob_ids:
        counts[blob_id] = counts.get(blob_id, 0) + 1
    tx.many(
        "update blob set refs = refs - ?1, freed_at = case when refs = ?1 then ?2 end where id = ?3",
        [(count, tx.now, blob_id) for blob_id, count in counts.items()],
    )


def place(tx: Tx, blob_id: int) -> Place | None:
    row = tx.one("select segment_id, offset, length from blob where id = ?", blob_id)
    return None if row is None else Place(*row)


def forget(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` rows that were freed before that time; how many went. Their bytes are dead from then on.

    What a lesson is still to be learnt from stays (`spam`)."""
    gone = tx.all(
        "delete from blob where id in (select id from blob where freed_at < ? and refs = 0"
        " and not exists (select 1 from spam_lesson where blob_id = blob.id) order by freed_at limit ?)"
        " returning segment_id, length",
        before,
        limit,
    )
    sizes: dict[int, int] = {}
    for segment, length in gone:
        sizes[segment] = sizes.get(segment, 0) + HEAD.size + length
    for segment, size in sizes.items():
        dead(tx, segment, size)
    return len(gone)


def dead(tx: Tx, segment: int, size: int) -> None:
    """Records of `size` octets, heads included, have no row any more."""
    tx.run("update segment set dead = dead + ? where id = ?", size, segment)


def _keep_content(tx: Tx, blob_id: int, s: Summary) -> None:
    tx.run(
        "insert into content (blob_id, envelope, bodystructure, body, parts, message_id, reference_ids, base_subject,"
        " subject, from_text, to_text, cc_text, bcc_text, sent_at, sent_day, preview,"
        " has_attachment)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        blob_id, s.envelope, s.bodystructure, s.body, s.parts, s.message_id, " ".join(s.references), s.base_subject,
        s.subject, s.from_text, s.to_text, s.cc_text, s.bcc_text,
        None if s.sent_at is None else int(s.sent_at * 1000), s.sent_day, s.preview, int(s.has_attachment),
    )  # fmt: skip
