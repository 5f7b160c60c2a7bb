"""Messages as JMAP sees them: one of an account, in one or more mailboxes, with keywords of its own (RFC 8621 §4).

The store has memberships (`messages`), each with its flags. So a change of keywords goes to all of them, `$seen` is
what all have, and any other keyword what one has; `\\Deleted` is none, and stays each membership's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.store import blobs, events, keywords, mailboxes, messages, spam
from daemon.store.blobs import Place
from daemon.store.errors import Invalid, Missing
from daemon.store.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from daemon.store.spool import Body
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from daemon.mail.summary import Summary

BITS = {"$seen": SEEN, "$answered": ANSWERED, "$flagged": FLAGGED, "$draft": DRAFT}
"""Keywords that are system flags for IMAP (RFC 8621 §4.1.1)."""


class Membership(NamedTuple):
    mailbox_id: int
    uid: int
    flags: int
    keywords: int


class Stored(NamedTuple):
    """Where a message lies: what we put before it, and its bytes."""

    id: int
    thread_id: int
    blob_id: int
    prefix: bytes
    place: Place


class Placing(NamedTuple):
    """Where a new message goes: mailboxes, flags and keywords, the time it is as from."""

    mailboxes: tuple[int, ...]
    flags: int
    keywords: tuple[str, ...]
    received_at: int


class Kept(NamedTuple):
    id: int
    thread_id: int
    size: int


class Change(NamedTuple):
    """What is to become of a message. `keywords` and `mailboxes`: which to have, and which not; with `only_…` no others
    than those that are to be had."""

    keywords: Mapping[str, bool] | None = None
    only_keywords: bool = False
    mailboxes: Mapping[int, bool] | None = None
    only_mailboxes: bool = False


class TooMany(Invalid):
    """`type` is what JMAP calls it: tooManyKeywords, tooManyMailboxes."""

    def __init__(self, type: str, text: str) -> None:
        super().__init__(text)
        self.type = type

    def __reduce__(self) -> tuple[type[TooMany], tuple[str, str]]:
        return TooMany, (self.type, str(self))


def find(tx: Tx, account_id: int, email_id: int) -> Stored | None:
    """This user's message."""
    row = tx.one(
        "select e.id, e.thread_id, e.blob_id, e.prefix, b.segment_id, b.offset, b.length from email e"
        " join blob b on b.id = e.blob_id where e.id = ? and e.account_id = ?",
        email_id, account_id,
    )  # fmt: skip
    return None if row is None else Stored(row[0], row[1], row[2], row[3], Place(*row[4:7]))


def put(tx: Tx, account_id: int, body: Body, summary: Summary, placing: Placing, quota: int, unscanned: str) -> Kept:
    """A client's own message into its mailboxes. Raises `Invalid`, `OverQuota`."""
    first, *rest = [own_mailbox(tx, account_id, number) for number in dict.fromkeys(placing.mailboxes)]
    trace = new_trace(tx)
    placed = messages.put(
        tx, account_id, first.id, blobs.keep(tx, body, summary), body.size, flags=placing.flags,
        keyword_names=placing.keywords, received_at=placing.received_at, trace=trace, default_quota=quota,
    )  # fmt: skip
    for box in rest:
        messages.copy(tx, first.id, ((placed.uid, placed.uid),), box.id)
    events.record(
        tx, trace, "appended", message_id=summary.message_id or None, account=account_id, mailbox=first.name,
        uid=placed.uid, size=body.size, unscanned=unscanned or None,
    )  # fmt: skip
    role = mailboxes.role(tx, first)
    spam.appended(tx, account_id, role, placed.email_id, placing.keywords, summary.message_id)
    thread: int = tx.value("select thread_id from email where id = ?", placed.email_id)
    return Kept(placed.email_id, thread, body.size)


def memberships(tx: Tx, account_id: int, email_id: int) -> list[Membership]:
    """Where a message of this user is; nowhere: there is no such message."""
    rows = tx.all(
        "select m.mailbox_id, m.uid, m.flags, m.keywords from membership m join email e on e.id = m.email_id"
        " where m.email_id = ? and e.account_id = ? order by m.mailbox_id, m.uid",
        email_id, account_id,
    )  # fmt: skip
    return [Membership(*row) for row in rows]


def split(names: Iterable[str]) -> tuple[int, list[str]]:
    """Keywords of JMAP as bits and keywords of the store."""
    bits, words = 0, []
    for name in names:
        bit = BITS.get(name.lower(), 0)
        bits |= bit
        if not bit:
            words.append(name)
    return bits, words


def change(tx: Tx, account_id: int, email_id: int, wanted: Change, trace: str) -> None:
    """Do it, or nothing of it (the caller's savepoint). Raises `Missing`, `Invalid`, `TooMany`."""
    here = memberships(tx, account_id, email_id)
    if not here:
        raise Missing("there is no such message")
    trace = _trace(tx, email_id) or trace
    if wanted.mailboxes is not None:
        here = _move(tx, account_id, email_id, here, wanted.mailboxes, wanted.only_mailboxes, trace)
    if wanted.keywords is not None:
        _label(tx, here, wanted.keywords, wanted.only_keywords)


def destroy(tx: Tx, account_id: int, email_id: int, trace: str) -> None:
    """Out of all mailboxes. Raises `Missing`."""
    here = memberships(tx, account_id, email_id)
    if not here:
        raise Missing("there is no such message")
    trace = _trace(tx, email_id) or trace
    for one in here:
        messages.remove(tx, one.mailbox_id, ((one.uid, one.uid),))
        _tell(tx, trace, "expunged", one)


def new_trace(tx: Tx) -> str:
    """What a call of a method is recorded under."""
    return events.new_trace(tx.now, os.urandom)


def own_mailbox(tx: Tx, account_id: int, mailbox_id: int) -> mailboxes.Mailbox:
    """Raises `Invalid`."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None or box.account_id != account_id:
        raise Invalid("a mailbox of it is not there")
    return box


def _move(
    tx: Tx, account_id: int, email_id: int, here: list[Membership], wanted: Mapping[int, bool], only: bool, trace: str
) -> list[Membership]:
    there = {one.mailbox_id for one in here}
    goal = {number for number, yes in wanted.items() if yes} | (set() if only else there)
    goal -= {number for number, yes in wanted.items() if not yes}
    if not goal:
        raise Invalid("a message is in one mailbox at least")
    if len(goal) > LIMITS.email_mailboxes:
        raise TooMany("tooManyMailboxes", f"a message is in at most {LIMITS.email_mailboxes} mailboxes")
    boxes = {number: own_mailbox(tx, account_id, number) for number in goal | there}
    roles = {number: mailboxes.role(tx, box) for number, box in boxes.items()}
    gone, new = sorted(there - goal), sorted(goal - there)
    source = next((one for one in here if one.mailbox_id in gone), here[0])
    for number in new:
        done = messages.copy(tx, source.mailbox_id, ((source.uid, source.uid),), number)
        if source.flags & DELETED:  # that is its other mailbox's business
            messages.set_flags(tx, number, messages.to_ranges(done.targets), "-", DELETED)
        spam.carried(tx, account_id, (roles[source.mailbox_id], roles[number]), number, done.targets)
        _tell(tx, trace, "moved" if gone else "copied", source, boxes[number].name)
    if gone and not new:  # out of Junk, and it was elsewhere already
        left = next(one for one in here if one.mailbox_id in goal)
        spam.carried(tx, account_id, (roles[gone[0]], roles[left.mailbox_id]), left.mailbox_id, [left.uid])
    for one in here:
        if one.mailbox_id in gone:
            messages.remove(tx, one.mailbox_id, ((one.uid, one.uid),))
            if not new:
                _tell(tx, trace, "expunged", one)
    return memberships(tx, account_id, email_id)


def _label(tx: Tx, here: list[Membership], wanted: Mapping[str, bool], only: bool) -> None:
    on_bits, on_words = split(name for name, yes in wanted.items() if yes)
    off_bits, off_words = split(name for name, yes in wanted.items() if not yes)
    if len(on_words) > LIMITS.imap_keywords:
        raise TooMany("tooManyKeywords", f"a message has at most {LIMITS.imap_keywords} keywords")
    for one in here:
        minus_bits, minus_words = off_bits, list(off_words)
        had = keywords.names_of(tx, one.keywords)
        if only:
            kept = {word.lower() for word in on_words}
            minus_bits = sum(BITS.values()) & ~on_bits
            minus_words = [word for word in had if word.lower() not in kept]
        remaining = {word.lower() for word in had} - {word.lower() for word in minus_words}
        if len(remaining | {word.lower() for word in on_words}) > LIMITS.imap_keywords:
            raise TooMany("tooManyKeywords", f"a message has at most {LIMITS.imap_keywords} keywords")
        ranges = ((one.uid, one.uid),)
        if minus_bits & one.flags or {w.lower() for w in minus_words} & {w.lower() for w in had}:
            messages.set_flags(tx, one.mailbox_id, ranges, "-", minus_bits, minus_words)
        if on_bits & ~one.flags or {w.lower() for w in on_words} - remaining:
            messages.set_flags(tx, one.mailbox_id, ranges, "+", on_bits, on_words)


def _trace(tx: Tx, email_id: int) -> str | None:
    """The road a message came by, in whose story it is told what became of it."""
    trace: str | None = tx.value("select trace from email where id = ?", email_id)
    return trace


def _tell(tx: Tx, trace: str, kind: str, one: Membership, to: str | None = None) -> None:
    box = mailboxes.by_id(tx, one.mailbox_id)
    if box is not None:
        events.record(tx, trace, kind, account=box.account_id, mailbox=box.name, to=to, count=1, uids=str(one.uid))
