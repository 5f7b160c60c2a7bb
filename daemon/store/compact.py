"""Keeping house: the disk gets back what mail no longer needs, in steps so small that delivery never waits.

The life of bytes nobody refers to: freed (`blob.freed_at`) → after a grace the row is forgotten, the bytes are dead →
a sealed segment that is mostly dead is rewritten: what lives is appended anew by the writer, like new mail, and the row
moves if it still points to the old place → the emptied segment's row goes → after another grace, longer than any open
view, its file. A kill between any two of these loses nothing: at worst bytes lie there twice, or a file without a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from daemon import log
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.store import (
    accounts,
    acme,
    allowance,
    bans,
    blobs,
    changes,
    correspondents,
    events,
    greylist,
    incidents,
    messages,
    quarantine,
    queue,
    sieve,
    standing,
    submissions,
    threads,
    tls_memory,
    uploads,
    web_changes,
    web_sessions,
)
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.quarantine import Bounds, Ending
from daemon.store.segments import HEAD, Appender, SegmentDamaged, number_of, path_of
from daemon.store.spool import Body
from daemon.store.tx import Tx

T = TypeVar("T")

_REST = 1.0  # seconds of rest for each second of work: others' writes go between two steps


@dataclass(frozen=True, slots=True)
class Live:
    """A blob that is needed, and where it lies."""

    id: int
    sha256: bytes
    segment: int
    offset: int
    length: int


async def keep_house(store: Store, config: Callable[[], Config], stop: asyncio.Event) -> None:
    """Rounds of small steps until `stop` is set or the store is broken. `config()` gives the settings as they are."""
    house = Janitor(store, config, stop)
    while not stop.is_set() and not store.broken:
        for work in house.works:
            try:
                await work()
            except StoreError as error:
                log.trouble("janitor", work=work.__name__, reason=str(error))
            except Exception as error:  # one fault must not end the keeping of the house
                log.fault("janitor", error, work=work.__name__)
        await _wait(stop, LIMITS.house_round)


class Janitor:
    """One round is each of `works` once. Every step is a write of its own, with a rest after it."""

    def __init__(self, store: Store, config: Callable[[], Config], stop: asyncio.Event) -> None:
        self.store = store
        self.config = config
        self.stop = stop
        self.mailbox = 0  # the last one whose tombstones were looked at
        self.account = 0  # the last one whose emails that went were looked at
        self.key: int | None = None  # the last key of a thread that was looked at
        self.damaged: set[int] = set()  # segments that cannot be emptied: told once, left alone
        self.works: tuple[Callable[[], Awaitable[None]], ...] = (
            self.forget_blobs, self.rewrite_segments, self.remove_files, self.forget_events, self.forget_refusals,
            self.forget_tombstones, self.forget_emails, self.sweep_threads, self.forget_bans,
            self.forget_addresses, self.forget_destinations,
            self.forget_orders, self.forget_tls, self.forget_senders, self.forget_greylist, self.end_quarantine,
            self.forget_allowances, self.forget_incidents, self.forget_rules, self.forget_web_sessions,
            self.forget_web_mail,
        )  # fmt: skip

    async def forget_blobs(self) -> None:
        # a blob takes its content along, pages of it: fewer in a step
        await self._in_steps(blobs.forget, self.store.clock() - LIMITS.blob_grace * 1000, LIMITS.step // 3 or 1)

    async def forget_events(self) -> None:
        await self._in_steps(events.forget, self.store.clock() - self.config()["trace.retention"] * 1000)

    async def forget_orders(self) -> None:
        await self._in_steps(acme.forget_orders, self.store.clock() - self.config()["trace.retention"] * 1000)

    async def forget_refusals(self) -> None:
        before = await self.store.read(events.refusals_to_forget)
        if before:
            await self._in_steps(events.forget_refusals, before)

    async def forget_tombstones(self) -> None:
        """A round looks at some mailboxes, the next one at the next."""
        keep, boxes = LIMITS.tombstones, LIMITS.step
        self.mailbox, found = await self.store.read(messages.old_tombstones, self.mailbox, keep, boxes)
        for where in found:
            await self._in_steps(messages.forget_tombstones, where)

    async def forget_emails(self) -> None:
        """The same of accounts, for JMAP."""
        keep, accounts = LIMITS.tombstones, LIMITS.step
        self.account, found = await self.store.read(changes.to_forget, self.account, keep, accounts)
        for where in found:
            await self._in_steps(changes.forget, where)

    async def sweep_threads(self) -> None:
        """A round looks at some keys of conversations, the next one at the next."""
        first = -(1 << 63) if self.key is None else self.key
        self.key = await self.store.write(threads.sweep, first, LIMITS.step)

    async def forget_bans(self) -> None:
        await self.store.write(bans.forget)

    async def forget_addresses(self) -> None:
        await self._in_steps(accounts.forget_addresses, self.store.clock() - LIMITS.good_address * 1000)

    async def forget_destinations(self) -> None:
        before = self.store.clock() - self.config()["trace.retention"] * 1000
        await self._in_steps(queue.forget_destinations, before)

    async def forget_tls(self) -> None:
        await self._in_steps(tls_memory.forget, self.store.clock())

    async def forget_senders(self) -> None:
        await self._in_steps(_forget_senders, None)

    async def forget_greylist(self) -> None:
        await self._in_steps(_forget_greylist, None)

    async def end_quarantine(self) -> None:
        config = self.config()
        before = self.store.clock() - config["quarantine.keep"] * 1000
        limits = Bounds(config["quarantine.user_limit"], config["quarantine.limit"])
        await self._in_steps(quarantine.expire, Ending(before, limits))

    async def forget_allowances(self) -> None:
        await self._in_steps(_forget_allowances, None)

    async def forget_rules(self) -> None:
        await self._in_steps(_forget_rules, None)

    async def forget_web_mail(self) -> None:
        await self._in_steps(uploads.forget, self.store.clock() - LIMITS.upload_memory * 1000)
        await self._in_steps(_forget_submissions, None)
        await self._in_steps(_forget_web_changes, None)

    async def forget_web_sessions(self) -> None:
        await self._in_steps(_forget_web_sessions, None)

    async def forget_incidents(self) -> None:
        await self._in_steps(incidents.forget, self.store.clock() - self.config()["trace.retention"] * 1000)

    async def rewrite_segments(self) -> None:
        """Empty the segments that are mostly dead, and drop those that are empty."""
        for segment in await self.store.read(wasteful):
            if segment in self.damaged:
                continue
            await self._empty(segment)
            if self.stop.is_set():
                return
            path = path_of(self.store.data.segments, segment)
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # the grace of the file begins now: before its row goes, should we be killed between
            if await self.store.write(drop, segment):
                log.event("segment-dropped", segment=segment)

    async def remove_files(self) -> None:
        for segment in await self.store.aside(remove_files, self.store):
            log.event("segment-removed", segment=segment)

    async def _empty(self, segment: int) -> None:
        """Move what lives in a segment to where new mail goes."""
        after = 0
        while not self.stop.is_set():
            began = time.monotonic()
            some = await self.store.read(living, segment, after, LIMITS.compact_step)
            if not some:
                return
            after = some[-1].id
            found = await self.store.aside(copies, self.store, some)
            if len(found) < len(some):
                self.damaged.add(segment)
            try:
                await self.store.write(move, found, bodies=[body for _, body in found], into_reserve=True)
            finally:
                for _, body in found:
                    body.close()
            await self._rest(began)

    async def _in_steps(self, work: Callable[[Tx, T, int], int], argument: T, rows: int = 0) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            if await self.store.write(work, argument, rows or LIMITS.step) == 0:
                return
            await self._rest(began)

    async def _rest(self, began: float) -> None:
        await _wait(self.stop, (time.monotonic() - began) * _REST)


def _forget_senders(tx: Tx, _: None, rows: int) -> int:
    return standing.forget(tx, rows) + correspondents.forget(tx, rows)


def _forget_greylist(tx: Tx, _: None, rows: int) -> int:
    return greylist.forget(tx, rows)


def _forget_allowances(tx: Tx, _: None, rows: int) -> int:
    return allowance.forget(tx, rows)


def _forget_rules(tx: Tx, _: None, rows: int) -> int:
    return sieve.forget(tx, rows)


def _forget_submissions(tx: Tx, _: None, rows: int) -> int:
    return submissions.forget(tx, rows)


def _forget_web_changes(tx: Tx, _: None, rows: int) -> int:
    return web_changes.forget(tx, rows)


def _forget_web_sessions(tx: Tx, _: None, rows: int) -> int:
    return web_sessions.forget(tx, rows)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


# ------------------------------------------------------------------------------------------------------------ segments


def wasteful(tx: Tx) -> list[int]:
    """Sealed segments that are mostly dead, or to which no row points at all."""
    rows = tx.all(
        "select id from segment where sealed and (dead * 2 > size"
        " or not exists (select 1 from blob where segment_id = segment.id)) order by id"
    )
    return [r[0] for r in rows]


def living(tx: Tx, segment: int, after: int, octets: int) -> list[Live]:
    """Blobs of a segment that something refers to, by id beyond `after`: at least one, and about `octets` together."""
    found: list[Live] = []
    for row in tx.all(
        "select id, sha256, segment_id, offset, length from blob where segment_id = ? and id > ? and refs > 0"
        " order by id limit ?",
        segment, after, LIMITS.step,
    ):  # fmt: skip
        found.append(Live(*row))
        octets -= row[4]
        if octets <= 0:
            break
    return found


def copies(store: Store, wanted: Sequence[Live]) -> list[tuple[Live, Body]]:
    """Their bytes, checked. What is damaged is left where it is: the checker tells of it, and the segment stays."""
    found: list[tuple[Live, Body]] = []
    for blob in wanted:
        body = Body(store.data.spool)
        try:
            store.segments.verify_head(blob.segment, blob.offset, blob.length, blob.sha256)
            for at in range(blob.offset, blob.offset + blob.length, 1 << 20):
                size = min(1 << 20, blob.offset + blob.length - at)
                body.write(store.segments.read(blob.segment, at, size))
            if body.sha256 != blob.sha256:
                raise SegmentDamaged(f"segment {blob.segment}, octet {blob.offset}: checksum differs")
        except SegmentDamaged as error:
            body.close()
            log.trouble("segment-damaged", blob=blob.id, reason=str(error))
            continue
        found.append((blob, body))
    return found


def move(tx: Tx, found: Sequence[tuple[Live, Body]]) -> int:
    """Point rows to the new place of their bytes, if they still point to the old one; how many did."""
    moved = 0
    for blob, body in found:
        if tx.run(
            "update blob set segment_id = ?, offset = ? where id = ? and segment_id = ? and offset = ?",
            body.segment, body.offset, blob.id, blob.segment, blob.offset,
        ):  # fmt: skip
            moved += 1
            blobs.dead(tx, blob.segment, HEAD.size + blob.length)
        else:
            blobs.dead(tx, body.segment, HEAD.size + blob.length)
    return moved


def drop(tx: Tx, segment: int) -> bool:
    """Remove the row of a sealed segment that nothing points to; whether it went."""
    return bool(
        tx.run(
            "delete from segment where id = ?1 and sealed and not exists (select 1 from blob where segment_id = ?1)",
            segment,
        )
    )


def remove_files(store: Store, grace: float = LIMITS.blob_grace) -> list[int]:
    """Delete segment files whose row is gone, `grace` seconds after it went; their numbers.

    A number that was never given out is none of ours: beside an older database lie the segments of a newer one.
    """
    files = [n for n in map(number_of, os.listdir(store.data.segments)) if n is not None]  # before the rows are read
    rows, highest = store.read_now(_numbers)
    gone: list[int] = []
    for segment in sorted(set(files) - rows):
        path = path_of(store.data.segments, segment)
        if segment > highest or path.stat().st_mtime > time.time() - grace:
            continue
        try:
            appender = Appender(store.data.segments, segment, create=False)
        except OSError:  # another process holds it
            continue
        os.unlink(path)
        appender.close()
        store.segments.forget(segment)
        gone.append(segment)
    return gone


def _numbers(tx: Tx) -> tuple[set[int], int]:
    """The segments that have rows, and the highest number ever given out."""
    rows = {r[0] for r in tx.all("select id from segment")}
    return rows, tx.value("select seq from sqlite_sequence where name = 'segment'") or 0
