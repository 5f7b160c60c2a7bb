"""STORE, COPY, MOVE, EXPUNGE: what changes messages that are there (RFC 3501 §6.4, RFC 4315, 6851, 7162).

What a set names is what the client knows; messages that somebody else removed meanwhile are passed over, and a set of
nothing is no error: a client that is told NO would keep its ghosts for ever (traps I4).
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.serve.imap import fetch, flags, news
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.serve.imap.happened import flagged, happened
from daemon.serve.imap.places import batches, mask_of, runs, without
from daemon.store import events, mailboxes, messages, spam
from daemon.store.keywords import DELETED
from daemon.store.mailboxes import Mailbox
from daemon.store.messages import Copied, Ranges
from daemon.store.tx import Tx
from daemon.wire import imap_commands as said
from daemon.wire import imap_reply
from daemon.wire.imap_set import Slice, format_set

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_STEP = 2000  # messages removed in one transaction, so that deliveries need not wait long
_STORE_STEP = 10_000  # messages whose flags are set in one
_TOLD = 200  # characters of a set of UIDs in an event
_DELETED = bytes(1 if state & DELETED else 0 for state in range(256))


# -- STORE -------------------------------------------------------------------------------------------------------------


async def store(session: Session, asked: said.Store, tag: str) -> Answer:
    session.check_writable()
    bits, words = flags.split(asked.flags)
    count = len(session.known)
    slices = session.slices(asked.numbers, asked.uid)
    uids: list[int] = []  # that UNCHANGEDSINCE left alone
    before, changed = session.known, list[int]()
    for group in batches(slices, _STORE_STEP):
        done = await session.service.store.write(
            messages.set_flags, session.selected.id, session.ranges(group), asked.change or "=", bits, words,
            asked.unchanged_since,
        )  # fmt: skip
        uids += done.refused
        changed += done.changed
    mask = mask_of(slices, count)
    refused = [place for place in map(session.known.position, uids) if place is not None]
    if refused:
        mask = without(mask, mask_of(runs(refused), count))
        slices = runs(place for place in range(count) if mask[place])
    if asked.silent:
        expected = _Expected(session.service.views.labels, asked.change, bits, words)
        await news.tell(
            session, gone=False, added=False, known=lambda at, old, new: bool(mask[at]) and expected(old, new)
        )
        items: tuple[str, ...] = ()
    else:
        await news.tell(session, gone=False, added=False, known=lambda at, old, new: bool(mask[at]))
        items = ("FLAGS",)
    if session.condstore:
        items += ("MODSEQ",)  # also with .SILENT: RFC 7162 §3.1.3
    if items:
        await fetch.say(session, slices, ("UID", *items) if asked.uid else items)
    await flagged(session, before, changed)
    if not refused:
        return DONE
    numbers = uids if asked.uid else [place + 1 for place in refused]
    return Answer("some had changed", imap_reply.modified(numbers))


class _Expected:
    """Whether a client knows without being told that its STORE leads from one state to another."""

    def __init__(self, labels: flags.Labels, change: str, bits: int, words: Sequence[str]) -> None:
        self.labels = labels
        self.change = change
        self.bits = bits
        self.words = {word.lower() for word in words}
        self.known: dict[tuple[int, int], bool] = {}

    def __call__(self, old: int, new: int) -> bool:
        found = self.known.get((old, new))
        if found is None:
            bits, words = self._after(old & 0xFF, {word.lower() for word in self.labels.words(old)})
            found = bits == new & 0xFF and words == {word.lower() for word in self.labels.words(new)}
            self.known[old, new] = found
        return found

    def _after(self, bits: int, words: set[str]) -> tuple[int, set[str]]:
        if self.change == "+":
            return bits | self.bits, words | self.words
        if self.change == "-":
            return bits & ~self.bits, words - self.words
        return self.bits, self.words


# -- COPY and MOVE -----------------------------------------------------------------------------------------------------


async def copy(session: Session, asked: said.Copy, tag: str) -> Answer:
    """All messages or none; their UIDs there in COPYUID (RFC 4315 §3)."""
    done = await _carry(session, asked, moving=False)
    if not done.sources:
        return DONE
    return Answer(code=imap_reply.copyuid(done.uidvalidity, done.sources, done.targets))


async def move(session: Session, asked: said.Move, tag: str) -> Answer:
    """COPY and EXPUNGE as one (RFC 6851); COPYUID is said before the EXPUNGEs (§4.3)."""
    session.check_writable()
    done = await _carry(session, asked, moving=True)
    if done.sources:
        code = imap_reply.copyuid(done.uidvalidity, done.sources, done.targets)
        session.say(imap_reply.tagged("*", "OK", "moved", code))
    return DONE


async def _carry(session: Session, asked: said.Copy | said.Move, *, moving: bool) -> Copied:
    ranges = session.ranges(session.slices(asked.numbers, asked.uid))
    server = session.service.store
    target = server.peek(mailboxes.find, session.account_id, asked.mailbox)
    if target is None:
        raise No("there is no such mailbox", "TRYCREATE")
    if not ranges:
        return Copied(target.uidvalidity, [], [])
    done = await server.write(_carried, session.selected.id, ranges, target, moving, session.conn.peer)
    await happened(session, "COPY", target.id, done.targets)
    return done


def _carried(tx: Tx, source: int, ranges: Ranges, target: Mailbox, moving: bool, peer: str) -> Copied:
    """What comes into Junk, or leaves it, is a lesson for the filter in the same transaction."""
    if mailboxes.by_id(tx, target.id) is None:
        raise No("there is no such mailbox", "TRYCREATE")
    trace = trace_of(tx, source, ranges)
    here = mailboxes.by_id(tx, source)
    done = (messages.move if moving else messages.copy)(tx, source, ranges, target.id)
    if done.sources and here is not None:
        roles = mailboxes.role(tx, here), mailboxes.role(tx, target)
        spam.carried(tx, target.account_id, roles, target.id, done.targets)
        record(tx, trace, "moved" if moving else "copied", source, done.sources, peer, to=target.name)
    return done


# -- EXPUNGE -----------------------------------------------------------------------------------------------------------


async def expunge(session: Session, asked: said.Expunge, tag: str) -> Answer:
    """What has \\Deleted; UID EXPUNGE only of those named (RFC 4315 §2.1). The news tell which went."""
    session.check_writable()
    ranges = None if asked.uids is None else session.ranges(session.slices(asked.uids, True))
    await remove_deleted(session, ranges)
    return DONE


async def remove_deleted(session: Session, ranges: Ranges | None = None) -> None:
    """Remove what has \\Deleted (of those UIDs), in steps."""
    box = session.selected
    latest = await box.current()
    marked = latest.flags().translate(_DELETED)
    places = [place for place, mark in enumerate(marked) if mark] if 1 in marked else []
    if ranges is not None:
        allowed = mask_of(_places_of(latest.uids, ranges), len(latest))
        places = [place for place in places if allowed[place]]
    for at in range(0, len(places), _STEP):
        uids = [(latest.uids[start], latest.uids[stop - 1]) for start, stop in runs(places[at : at + _STEP])]
        await session.service.store.write(_removed, box.id, uids, session.conn.peer)


def _places_of(uids: Sequence[int], ranges: Ranges) -> list[Slice]:
    return [(bisect_left(uids, first), bisect_right(uids, last)) for first, last in ranges]


def _removed(tx: Tx, mailbox_id: int, ranges: Ranges, peer: str) -> None:
    trace = trace_of(tx, mailbox_id, ranges)
    gone = messages.remove(tx, mailbox_id, ranges, only_deleted=True)
    if gone:
        record(tx, trace, "expunged", mailbox_id, gone, peer)


async def empty(session: Session, box: Mailbox) -> None:
    """Remove most of a large mailbox in steps, before it is deleted in one."""
    for _ in range(box.total // _STEP):
        await session.service.store.write(messages.remove_some, box.id, _STEP)


# -- the trace ---------------------------------------------------------------------------------------------------------


def trace_of(tx: Tx, mailbox_id: int, ranges: Ranges) -> str:
    """What a command is recorded under: the road of the message when it is one alone, else a trace of its own."""
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        rows = messages.fetch(tx, mailbox_id, ranges, ("trace",))
        if rows and rows[0][0]:
            return str(rows[0][0])
    return events.new_trace(tx.now, os.urandom)


def record(
    tx: Tx, trace: str, kind: str, mailbox_id: int, uids: Sequence[int], peer: str, *, to: str | None = None
) -> None:
    """One event a command, however many messages."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is not None:
        named = format_set(uids)[:_TOLD]
        events.record(
            tx, trace, kind, peer=peer, account=box.account_id, mailbox=box.name, to=to, count=len(uids), uids=named
        )
