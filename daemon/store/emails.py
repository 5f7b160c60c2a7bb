"""Emails as JMAP sees them: an account's messages, each once, whatever mailboxes it is in (RFC 8621 §4)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

from daemon.store import keywords
from daemon.store.blobs import Place
from daemon.store.keywords import ANSWERED, DRAFT, FLAGGED, SEEN
from daemon.store.tx import Tx

# RFC 8621 §4.1.1. The rest of the flags is IMAP's own business: \Deleted belongs to a mailbox, not to a message.
KEYWORDS = {"$seen": SEEN, "$flagged": FLAGGED, "$answered": ANSWERED, "$draft": DRAFT}


class Email(NamedTuple):
    """What rows tell of a message. `parts` is its packed tree, '' before anybody looked at its bytes."""

    id: int
    thread_id: int
    size: int
    received_at: int
    prefix: bytes
    place: Place
    blob_id: int
    parts: bytes
    preview: str
    has_attachment: bool
    created_modseq: int


class Standing(NamedTuple):
    """Where a message is and what it is marked with, all its mailboxes together."""

    mailboxes: list[int]
    keywords: list[str]


def rows(tx: Tx, account_id: int, ids: Sequence[int]) -> dict[int, Email]:
    """Those there are, by id."""
    return {
        row[0]: Email._make((*row[:5], Place(*row[5:8]), *row[8:11], bool(row[11]), row[12]))
        for row in tx.each(
            "select e.id, e.thread_id, e.size, e.received_at, e.prefix, b.segment_id, b.offset, b.length, e.blob_id,"
            " coalesce(c.parts, x''), coalesce(c.preview, ''), coalesce(c.has_attachment, 0), e.created_modseq"
            " from json_each(?) j cross join email e on e.id = j.value join blob b on b.id = e.blob_id"
            " left join content c on c.blob_id = b.id where e.account_id = ?",
            json.dumps(ids), account_id,
        )
    }  # fmt: skip


def subject(tx: Tx, blob_id: int) -> str:
    """Decoded; '' when there is none."""
    return tx.value("select subject from content where blob_id = ?", blob_id) or ""


def everyone(tx: Tx, account_id: int, limit: int) -> list[int]:
    """The ids of the first `limit` messages of an account."""
    return [r[0] for r in tx.all("select id from email where account_id = ? order by id limit ?", account_id, limit)]


def standings(tx: Tx, ids: Iterable[int]) -> dict[int, Standing]:
    """By id. A message is read when it is in all its mailboxes, and whatever else when it is in any (design.md §4)."""
    placed: dict[int, list[tuple[int, int, int]]] = {}
    for email_id, mailbox_id, bits, number in tx.each(
        "select m.email_id, m.mailbox_id, m.flags, m.keywords from json_each(?) j"
        " cross join membership m indexed by membership_email on m.email_id = j.value order by m.mailbox_id",
        json.dumps(list(ids)),
    ):
        placed.setdefault(email_id, []).append((mailbox_id, bits, number))
    known: dict[tuple[tuple[int, int], ...], list[str]] = {}  # most messages are marked as others are
    found = {}
    for email_id, places in placed.items():
        marks = tuple([(bits, number) for _, bits, number in places])
        if marks not in known:
            known[marks] = _keywords(tx, marks)
        found[email_id] = Standing(list(dict.fromkeys([box for box, _, _ in places])), known[marks])
    return found


def _keywords(tx: Tx, marks: Sequence[tuple[int, int]]) -> list[str]:
    """What flags and sets of keywords in some mailboxes come to."""
    every = reduce(and_, (bits for bits, _ in marks), SEEN)
    some = reduce(or_, (bits for bits, _ in marks), 0)
    flags = every | some & ~SEEN
    names = {name.lower() for number in {number for _, number in marks} for name in keywords.names_of(tx, number)}
    return [name for name, bit in KEYWORDS.items() if flags & bit] + sorted(names)


def members(tx: Tx, account_id: int, threads: Iterable[int]) -> dict[int, list[int]]:
    """The emails of each thread there is, the oldest first (RFC 8621 §3)."""
    found: dict[int, list[int]] = {}
    for thread_id, email_id in tx.each(
        "select e.thread_id, e.id from json_each(?) j cross join email e indexed by email_thread"
        " on e.account_id = ? and e.thread_id = j.value order by e.received_at, e.id",
        json.dumps(list(threads)), account_id,
    ):  # fmt: skip
        found.setdefault(thread_id, []).append(email_id)
    return found


def threads(tx: Tx, account_id: int, limit: int) -> list[int]:
    """The first `limit` threads of an account."""
    sql = "select distinct thread_id from email indexed by email_thread where account_id = ? order by thread_id limit ?"
    return [r[0] for r in tx.all(sql, account_id, limit)]


def threads_of(tx: Tx, ids: Iterable[int]) -> dict[int, int]:
    """The thread of each of these emails that there is."""
    sql = "select e.id, e.thread_id from json_each(?) j cross join email e on e.id = j.value"
    return {r[0]: r[1] for r in tx.all(sql, json.dumps(list(ids)))}
