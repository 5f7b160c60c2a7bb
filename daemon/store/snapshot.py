"""Immutable generations of a mailbox: UIDs and states in arrays, shared by all sessions that look at it.

A change makes a new generation; a session keeps its own until it has told its client, or sequence numbers would point
at the wrong mail (RFC 3501 §7.4.1). Loading 100,000 messages takes tens of milliseconds, a step costs what changed.

UIDs only grow, so that a later generation is an earlier one without what went, and with more behind it: `compare`
needs no record of what happened in between.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from daemon.store import mailboxes
from daemon.store.errors import Missing
from daemon.store.tx import Tx

_BLOCK = 4096  # states compared at once
_FEW = 256  # lost messages that are searched one by one


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

    def flags(self) -> bytes:
        """The system flags of all messages, one octet each."""
        return self.states.tobytes()[_LOW :: self.states.itemsize]


_LOW = 0 if array("I", [1]).tobytes()[0] else array("I").itemsize - 1


def load(tx: Tx, mailbox_id: int) -> Snapshot:
    """The mailbox as this transaction sees it. Raises `Missing`."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None:
        raise Missing("the mailbox is gone")
    uids, states = array("I"), array("I")
    rows = tx.all("select uid, flags | (keywords << 8) from membership where mailbox_id = ? order by uid", mailbox_id)
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
    if box.modseq < old.modseq or old.modseq < box.tombstone_floor:  # restored, or what went is not known any more
        return load(tx, old.mailbox_id)
    rows = tx.all(
        "select uid, flags | (keywords << 8) from membership indexed by membership_modseq"  # or `order by` means a scan
        " where mailbox_id = ? and modseq > ? order by uid",
        old.mailbox_id,
        old.modseq,
    )
    gone = tx.all("select uid from tombstone where mailbox_id = ? and modseq > ?", old.mailbox_id, old.modseq)
    uids, states = old.uids, old.states
    if gone:
        places = [at for at in map(old.position, sorted(r[0] for r in gone)) if at is not None]
        uids, states = _without(uids, places), _without(states, places)
    if uids is old.uids:
        uids, states = uids[:], states[:]
    last = uids[-1] if uids else 0
    for uid, state in rows:
        if uid > last:
            uids.append(uid)
            states.append(state)
        else:
            states[bisect_left(uids, uid)] = state
    return Snapshot(old.mailbox_id, box.uidvalidity, box.uidnext, box.modseq, box.unseen, uids, states)


# ----------------------------------------------------------------------------------------- from one to a later one


@dataclass(frozen=True, slots=True)
class News:
    """What a later generation has otherwise. All numbers are positions in the earlier one, ascending.

    `gone` are no more, `changed` have other flags or keywords, `added` is how many came.
    """

    gone: Sequence[int] = ()
    changed: Sequence[int] = ()
    added: int = 0


def compare(old: Snapshot, new: Snapshot) -> News:
    """What changed from `old` to `new`. Raises `Missing` when `new` does not follow `old` (a restore)."""
    split = bisect_left(new.uids, old.uidnext)
    lost = len(old.uids) - split
    gone = _gone(old.uids, new.uids, lost, split) if lost > 0 else []
    if (_without(old.uids, gone) if gone else old.uids) != (new.uids[:split] if split < len(new.uids) else new.uids):
        raise Missing("the mailbox was replaced")
    before = _without(old.states, gone) if gone else old.states
    after = new.states if split == len(new.states) else new.states[:split]
    changed = _differing(before, after)
    if gone and changed:
        changed = _shifted(changed, gone)
    return News(gone, changed, len(new.uids) - split)


def blend(old: Snapshot, new: Snapshot, news: News, *, gone: bool, added: bool) -> Snapshot:
    """What a client knows that was told all of `news` but what went (`gone` false) or what came (`added` false)."""
    gone = gone or not news.gone
    added = added or not news.added
    if gone and added:
        return new
    uids, states = old.uids, old.states
    if news.changed:
        states = states[:]
        shift = _Shift(news.gone)
        for at in news.changed:
            states[at] = new.states[shift.down(at)]
    if gone and news.gone:
        uids, states = _without(uids, news.gone), _without(states, news.gone)
    if added and news.added:
        uids, states = uids + new.uids[-news.added :], states + new.states[-news.added :]
    return replace(new, uids=uids, states=states, uidnext=new.uidnext if added else old.uidnext)


class _Shift:
    """Positions before and after some went; asked in ascending order."""

    __slots__ = ("gone", "passed")

    def __init__(self, gone: Sequence[int]) -> None:
        self.gone = gone
        self.passed = 0

    def down(self, at: int) -> int:
        """Where the message at `at` stands after they went."""
        while self.passed < len(self.gone) and self.gone[self.passed] < at:
            self.passed += 1
        return at - self.passed


def after(positions: Iterable[int], gone: Sequence[int]) -> list[int]:
    """Where messages at ascending `positions`, none of them gone, stand when `gone` went."""
    if not gone:
        return list(positions)
    shift = _Shift(gone)
    return [shift.down(at) for at in positions]


def _gone(old: array[int], new: array[int], lost: int, split: int) -> list[int]:
    """Positions in `old` of the `lost` ones that are not among the first `split` of `new`."""
    if lost > _FEW:
        kept = set(new[:split])
        return [at for at, uid in enumerate(old) if uid not in kept]
    places: list[int] = []
    start = 0
    for found in range(lost):  # up to the next lost one the two run alike, `found` places apart; then never again
        low, high = start, split + found
        while low < high:
            middle = (low + high) // 2
            if old[middle] == new[middle - found]:
                low = middle + 1
            else:
                high = middle
        places.append(low)
        start = low + 1
    return places


def _without(values: array[int], places: Collection[int]) -> array[int]:
    """`values` less those at the ascending `places`."""
    out = array(values.typecode)
    start = 0
    for at in places:
        out += values[start:at]
        start = at + 1
    out += values[start:]
    return out


def _differing(one: array[int], other: array[int]) -> list[int]:
    """Where two arrays of one length differ; quick where they do not."""
    if one == other:
        return []
    found: list[int] = []
    waiting = [(at, min(at + _BLOCK, len(one))) for at in range(0, len(one), _BLOCK)]
    waiting.reverse()
    while waiting:
        start, stop = waiting.pop()
        a, b = one[start:stop], other[start:stop]
        if a == b:
            continue
        if stop - start <= 32:
            found += [at for at, x, y in zip(range(start, stop), a, b, strict=True) if x != y]
            continue
        step = (stop - start + 7) // 8
        waiting += [(at, min(at + step, stop)) for at in range(start, stop, step)][::-1]
    return found


def _shifted(positions: list[int], gone: Sequence[int]) -> list[int]:
    """Positions counted without `gone` as positions counted with them."""
    out: list[int] = []
    passed = 0
    for at in positions:
        while passed < len(gone) and gone[passed] <= at + passed:
            passed += 1
        out.append(at + passed)
    return out
