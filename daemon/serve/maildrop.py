"""What a POP3 session sees of INBOX: a snapshot taken at login, by message numbers that do not change (RFC 1939 §5).

Several sessions may look at once, and IMAP may take a message away meanwhile: then it is gone (`letter` says None), and
no number means another message. Marks are kept here until `update`; a session that ends otherwise changes nothing.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.store import events, mailboxes, messages
from daemon.store.db import Store
from daemon.store.keywords import SEEN
from daemon.store.messages import Ranges
from daemon.store.segments import SegmentDamaged
from daemon.store.tx import Tx

_SMALL = 256 * 1024  # octets of a message that is read whole
_STEP = LIMITS.step


@dataclass(slots=True)
class Letter:
    """A message to send: its prefix, where the rest lies, and both in `data` when it is small."""

    prefix: bytes
    segment: int
    offset: int
    length: int
    data: bytes | memoryview | None = None


class Maildrop:
    """Messages are known here by `index`, the number less one."""

    __slots__ = (
        "account_id",
        "mailbox_id",
        "uidvalidity",
        "uids",
        "sizes",
        "deleted",
        "_read",
        "_store",
        "_ahead",
        "_last",
    )

    def __init__(
        self, store: Store, account_id: int, mailbox_id: int, uidvalidity: int, uids: array[int], sizes: array[int]
    ) -> None:
        self.account_id = account_id
        self.mailbox_id = mailbox_id
        self.uidvalidity = uidvalidity
        self.uids = uids
        self.sizes = sizes
        self.deleted: set[int] = set()
        self._read: set[int] = set()
        self._store = store
        self._ahead: dict[int, Letter] = {}
        self._last = -1

    @classmethod
    async def open(cls, store: Store, account_id: int) -> Maildrop:
        """The messages in INBOX now. Raises `Missing`, `StoreError`."""
        mailbox_id, uidvalidity, uids, sizes = await store.read(_snapshot, account_id)
        return cls(store, account_id, mailbox_id, uidvalidity, uids, sizes)

    def __len__(self) -> int:
        return len(self.uids)

    def present(self) -> Iterator[int]:
        """Indexes of what is not marked as deleted."""
        return (index for index in range(len(self.uids)) if index not in self.deleted)

    def total(self) -> tuple[int, int]:
        """Number and octets of what is not marked as deleted."""
        gone = sum(self.sizes[index] for index in self.deleted)
        return len(self.uids) - len(self.deleted), sum(self.sizes) - gone

    def unique_id(self, index: int) -> str:
        """Never used for another message, and the same in every session (traps POP1)."""
        return f"{self.uidvalidity}.{self.uids[index]}"

    def reset(self) -> None:
        self.deleted.clear()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def letter(self, index: int, *, more: bool, keep: bool = False) -> Letter | None:
        """The message, or None when it is gone.

        `more`: further ones are asked for already. A client that takes them in order finds the next ones read.
        `keep`: for TOP, which is no delivery and mostly followed by RETR of the same.
        """
        found = self._ahead.get(index) if keep else self._ahead.pop(index, None)
        if found is None:
            ahead = more or index == self._last + 1
            wanted = self._next(index) if ahead else [index]
            self._ahead = await self._store.read(self._letters, wanted)
            found = self._ahead.get(index) if keep else self._ahead.pop(index, None)
        self._last = index
        if found is not None and not keep:
            self._read.add(index)
        return found

    async def piece(self, letter: Letter, at: int, length: int) -> bytes:
        """Octets of a long message, after its prefix. Raises `SegmentDamaged`."""
        return await self._store.aside(self._store.segments.read, letter.segment, letter.offset + at, length)

    def _next(self, index: int) -> list[int]:
        wanted, room = [index], LIMITS.pop3_ahead_bytes - self.sizes[index]
        for other in range(index + 1, min(index + LIMITS.pop3_ahead, len(self.uids))):
            if other in self.deleted:
                continue
            room -= self.sizes[other]
            if room < 0:
                break
            wanted.append(other)
        return wanted

    def _letters(self, tx: Tx, wanted: Sequence[int]) -> dict[int, Letter]:
        """In a reader thread: rows and bytes of those that are there still."""
        by_uid = {self.uids[index]: index for index in wanted}
        rows = messages.fetch(
            tx, self.mailbox_id, messages.to_ranges(list(by_uid)), ("uid", "prefix", "segment_id", "offset", "length")
        )
        found = {by_uid[uid]: Letter(*where) for uid, *where in rows}
        small = {index: letter for index, letter in found.items() if len(letter.prefix) + letter.length <= _SMALL}
        try:
            read = self._store.segments.read_many(
                [letter.segment for letter in small.values()],
                [letter.offset for letter in small.values()],
                [letter.offset + letter.length for letter in small.values()],
            )
        except SegmentDamaged:
            if len(wanted) == 1:
                raise
            return self._letters(tx, wanted[:1])  # the others are told of when they are asked for
        for letter, data in zip(small.values(), read, strict=True):
            letter.data = letter.prefix + data if letter.prefix else data
        return found

    # -- the end -------------------------------------------------------------------------------------------------------

    async def update(self, peer: str) -> int:
        """QUIT: remove what is marked, mark what was fetched as seen; how many went. Raises `StoreError`."""
        uids = [self.uids[index] for index in sorted(self.deleted)]
        seen = [self.uids[index] for index in sorted(self._read - self.deleted)]
        gone = 0
        for at in range(0, len(uids), _STEP):
            ranges = messages.to_ranges(uids[at : at + _STEP])
            gone += await self._store.write(_remove, self.account_id, self.mailbox_id, ranges, peer)
        for at in range(0, len(seen), _STEP):
            await self._store.write(_mark_seen, self.mailbox_id, messages.to_ranges(seen[at : at + _STEP]))
        return gone


def _snapshot(tx: Tx, account_id: int) -> tuple[int, int, array[int], array[int]]:
    box = mailboxes.get(tx, account_id, mailboxes.INBOX)
    rows = messages.fetch(tx, box.id, messages.ALL, ("uid", "size"))
    uids, sizes = array("I", (row[0] for row in rows)), array("Q", (row[1] for row in rows))
    return box.id, box.uidvalidity, uids, sizes


def _remove(tx: Tx, account_id: int, mailbox_id: int, ranges: Ranges, peer: str) -> int:
    if mailboxes.by_id(tx, mailbox_id) is None:
        return 0
    trace = events.new_trace(tx.now, os.urandom)
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:  # one message: its own road
        rows = messages.fetch(tx, mailbox_id, ranges, ("trace",))
        trace = (rows and rows[0][0]) or trace
    gone = messages.remove(tx, mailbox_id, ranges)
    if gone:
        named = ",".join(f"{a}:{b}" if a != b else f"{a}" for a, b in messages.to_ranges(gone))[:1000]
        events.record(
            tx, trace, "expunged", "pop3", peer=peer, account=account_id, mailbox=mailboxes.INBOX, count=len(gone),
            uids=named,
        )  # fmt: skip
    return len(gone)


def _mark_seen(tx: Tx, mailbox_id: int, ranges: Ranges) -> None:
    if mailboxes.by_id(tx, mailbox_id) is not None:
        messages.set_flags(tx, mailbox_id, ranges, "+", SEEN)
