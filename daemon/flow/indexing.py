"""The worker behind the full-text index: messages are read for their terms, and terms written down in blocks.

It is always behind, and nobody waits for it: searches read themselves what is in no block yet. What it reads and writes
it does a little at a time with rests between, long ones while others write. What is read and not yet in a block when
the server ends is read again. Small blocks of new mail are joined to larger ones, so that there are few.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, TypeVarTuple

from daemon import log
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.mail import words
from daemon.store import fulltext
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.fulltext import HALVES, Block, Waiting
from daemon.store.inverted import Packed, Postings
from daemon.store.search import texts
from daemon.store.segments import SegmentDamaged
from daemon.store.tx import Changes, Tx

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_REST = 0.25  # of the time that a step took, when nobody else writes
_REST_BUSY = 8.0
_PARTS = 8  # pieces written, or taken away, in one transaction


class Making:
    """A block as it is made: emails, and what stands in each half of them."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.halves = {half: Postings() for half in HALVES}

    @property
    def weight(self) -> int:
        return sum(postings.size + 8 * len(postings.of) for postings in self.halves.values())

    @property
    def full(self) -> bool:
        return len(self.ids) >= LIMITS.fulltext_block or self.weight >= LIMITS.fulltext_weight

    def add(self, email_id: int, *terms: set[str] | None) -> None:
        for half, own in zip(HALVES, terms, strict=True):
            self.halves[half].add(len(self.ids), own)
        self.ids.append(email_id)

    def pack(self) -> dict[str, Packed]:
        return {half: postings.pack() for half, postings in self.halves.items()}


class Indexing:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(
        self, store: Store, *, every: float = LIMITS.fulltext_round, tail: int = LIMITS.fulltext_tail, rest: float = 1.0
    ) -> None:
        self._store = store
        self.every = every
        self._tail = max(tail, 1)
        self._rest = rest
        self._seen = 0  # the highest email that was looked at
        self._ghosts_at = 0.0  # when to look next for what is gone
        self._commits = 0
        self._now = time.monotonic

    async def run(self) -> None:
        """Index what is there, then what comes."""
        await self._store.write(fulltext.abandon)
        deaf = self._store.listen(self._heard)
        try:
            await rounds(
                self._store, "indexing", self.round, lambda: self.every,
                concerns=lambda changes: bool(changes.mailboxes or changes.accounts or changes.everything),
                rest=self._rest,
            )  # fmt: skip
        finally:
            deaf()

    def _heard(self, changes: Changes) -> None:
        self._commits += 1

    async def round(self) -> None:
        """All accounts that have enough new mail; now and then also what is gone."""
        accounts, seen = await self._store.read(fulltext.arrived, self._seen)
        again = await self._store.read(fulltext.unbegun, self._tail)
        for account in sorted({*accounts, *again}):
            try:
                await self.index(account)
            except StoreError:
                raise
            except Exception as error:  # his searches read his mail; the others' indexes are made
                log.fault("indexing", error, account=account)
        self._seen = seen
        if self._now() >= self._ghosts_at:
            self._ghosts_at = self._now() + LIMITS.fulltext_ghosts
            for account in await self._store.read(fulltext.accounts):
                await self.exorcise(account)
        await self._sweep()

    async def index(self, account: int) -> None:
        """Bring the index of an account up to its newest mail, or nearly so."""
        began, count = self._now(), 0
        while True:
            up_to, behind = await self._store.read(fulltext.behind, account, self._tail)
            if behind < self._tail:
                break
            made = await self._block(account, up_to)
            if not made:
                break
            count += made
            await self._sweep()
        if count >= LIMITS.fulltext_block:
            log.event("indexed", account=account, messages=count, seconds=round(self._now() - began, 1))

    async def exorcise(self, account: int) -> None:
        """Make blocks anew that have too many emails that are gone, without them."""
        for block_id in await self._store.read(fulltext.haunted, account):
            found = [block for block in await self._store.read(fulltext.blocks, account) if block.id == block_id]
            if found:
                up_to, _ = await self._store.read(fulltext.behind, account, 0)
                making = await self._gently(self._store.read_long, _joined, account, found, Making())
                await self._keep(account, making, found, up_to, up_to)
                await self._sweep()

    async def _block(self, account: int, up_to: int) -> int:
        """One more block, of new mail and of small blocks before it; how many new messages, 0 when none was made."""
        making, last = Making(), up_to
        while not making.full:
            rows = await self._store.read(fulltext.waiting, account, last, LIMITS.fulltext_batch)
            if not rows:
                break
            await self._gently(self._store.aside, self._add, making, rows)
            last = rows[-1].email_id
        count = len(making.ids)
        if not count:
            return 0
        small = _small(await self._store.read(fulltext.blocks, account), making)
        if small:
            making = await self._gently(self._store.read_long, _joined, account, small, making)
        return count if await self._keep(account, making, small, up_to, last) else 0

    def _add(self, making: Making, rows: Sequence[Waiting]) -> None:
        for row in rows:
            making.add(row.email_id, *self._terms(row))

    def _terms(self, row: Waiting) -> tuple[set[str] | None, set[str] | None]:
        try:
            head, body = texts(self._store, row.place, row.prefix, row.parts)
        except SegmentDamaged:
            return None, None  # whoever searches may try it: it may be whole again by then
        except Exception as error:
            log.fault("indexing", error, email=row.email_id)
            return None, None
        return words.terms(head), words.terms(body)

    async def _keep(self, account: int, making: Making, instead_of: Sequence[Block], before: int, up_to: int) -> bool:
        """Write a block in steps; whether it is used now."""
        weight = making.weight
        packed = await self._gently(self._store.aside, making.pack)
        last = up_to if before != up_to else max(block.last_email for block in instead_of)
        block = await self._store.write(fulltext.begin, account, making.ids, last, weight)
        for name, half in packed.items():
            terms = (half.vocabulary, half.marked, half.steps, half.offsets)
            await self._gently(self._store.write, fulltext.add_half, block, name, *terms)
            size = LIMITS.fulltext_part
            parts = [half.numbers[at : at + size] for at in range(0, len(half.numbers), size)]
            for first in range(0, len(parts), _PARTS):
                some = parts[first : first + _PARTS]
                await self._gently(self._store.write, fulltext.add_numbers, block, name, first, some)
        old = [block.id for block in instead_of]
        return await self._store.write(fulltext.finish, account, block, old, before, up_to)

    async def _sweep(self) -> None:
        while await self._gently(self._store.write, fulltext.sweep, _PARTS):
            pass

    async def _gently(self, run: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Do one step, and rest after it."""
        commits, began = self._commits, self._now()
        value = await run(*args)
        rest = _REST if self._commits == commits else _REST_BUSY
        await asyncio.sleep(min(rest * (self._now() - began), 1.0) if self._rest else 0)
        return value


def _small(blocks: Sequence[Block], making: Making) -> list[Block]:
    """The last blocks that are not much larger than what comes behind them, and fit in with it."""
    emails, weight = len(making.ids), making.weight
    found: list[Block] = []
    for block in reversed(blocks):
        if (
            block.emails > 2 * emails
            or block.emails + emails > LIMITS.fulltext_block
            or block.weight + weight > LIMITS.fulltext_weight
        ):
            break
        found.insert(0, block)
        emails, weight = emails + block.emails, weight + block.weight
    return found


def _joined(tx: Tx, account: int, blocks: Sequence[Block], making: Making) -> Making:
    """Blocks, and what comes behind them, as one, without the emails that are gone."""
    joined = Making()
    for block in blocks:
        living = fulltext.living(tx, account, block.first_email, block.last_email)
        first = len(joined.ids)
        joined.ids += (email for email in block.ids if email in living)
        places = iter(range(first, len(joined.ids)))
        numbers = [next(places) if email in living else None for email in block.ids]
        for name, postings in joined.halves.items():
            postings.add_half(fulltext.half_of(tx, block.id, name), numbers)
    first = len(joined.ids)
    joined.ids += making.ids
    for name, postings in joined.halves.items():
        postings.add_behind(making.halves[name], first)
    return joined
