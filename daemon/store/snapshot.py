"""Immutable generations of a mailbox: UIDs and states in arrays, shared by all sessions that look at it.

A change makes a new generation; a session keeps its own until it has told its client, or sequence numbers would point
at the wrong mail (RFC 3501 §7.4.1). Loading 100,000 messages takes tens of milliseconds, a step costs what changed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from daemon.store import mailboxes
from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """`uids` is sorted; `states[i]` is `flags | keywords << 8` of the message `uids[i]`."""

    mailbox_id: int
    uidvalidity: int
    uidnext: int
    modseq: int
    unseen: int
    uids: array[int]
    states: array[int]

    def __len__(self) -> int:
        return len(self.uids)

    def position(self, uid: int) -> int | None:
        """Where `uid` is (sequence number minus one); None when it is not there."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None


def load(tx: Tx, mailbox_id: int) -> Snapshot:
    """The mailbox as this transaction sees it. Raises `Missing`."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None:
        raise Missing("the mailbox is gone")
    uids, states = array("I"), array("I")
    rows = tx.all("select uid, flags | keywords << 8 from membership where mailbox_id = ? order by uid", mailbox_id)
    if rows:
        first, second = zip(*rows, strict=True)
        uids, states = array("I", first), array("I", second)
    return Snapshot(mailbox_id, box.uidvalidity, box.uidnext, box.modseq, box.unseen, uids, states)


def advance(tx: Tx, old: Snapshot) -> Snapshot:
    """The next generation; `old` itself when nothing changed. Raises `Missing` when the mailbox is gone."""
    box = mailboxes.by_id(tx, old.mailbox_id)
    if box is None:
        raise Missing("the mailbox is gone")
    if box.modseq == old.modseq and box.uidvalidity == old.uidvalidity:
        return old
    if box.uidvalidity != old.uidvalidity:
        return load(tx, old.mailbox_id)
    rows = tx.all(
        "select uid, flags | keywords << 8 from membership where mailbox_id = ? and modseq > ? order by uid",
        old.mailbox_id,
        old.modseq,
    )
    gone = tx.all("select uid from tombstone where mailbox_id = ? and modseq > ?", old.mailbox_id, old.modseq)
    uids, states = old.uids[:], old.states[:]
    if gone:
        lost = {r[0] for r in gone}
        kept = [i for i, uid in enumerate(uids) if uid not in lost]
        uids = array("I", [uids[i] for i in kept])
        states = array("I", [states[i] for i in kept])
    for uid, state in rows:
        if not uids or uid > uids[-1]:
            uids.append(uid)
            states.append(state)
            continue
        at = bisect_left(uids, uid)
        if uids[at] == uid:
            states[at] = state
        else:
            uids.insert(at, uid)
            states.insert(at, state)
    return Snapshot(old.mailbox_id, box.uidvalidity, box.uidnext, box.modseq, box.unseen, uids, states)
