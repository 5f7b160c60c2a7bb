"""What the store does alone, in one process: `python -m bench.store [DIR]`. Rates are of durable writes."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, compact, domains, events, messages, snapshot
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx

USERS = 50
SECONDS = 4.0


def message(number: int, size: int = 2048) -> bytes:
    head = (
        f"From: a{number}@example.org\r\nTo: u@bench.test\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@example.org>\r\nDate: Mon, 23 Nov 2026 15:00:00 +0000\r\n\r\n"
    )
    return head.encode() + b"0123456789abcdef" * ((size - len(head)) // 16) + b"\r\n"


SUMMARY = summarize(message(0))


def deliver(tx: Tx, account: int, body: Body, trace: str) -> int:
    """What one acceptance writes: bytes, message, membership, two events."""
    blob = blobs.keep(tx, body, SUMMARY)
    put = messages.put(tx, account, "INBOX", blob, body.size, prefix=b"Received: here\r\n" * 8, trace=trace)
    events.record(tx, trace, "accepted", sender="a@example.org", message_id="x@example.org", peer="127.0.0.1")
    events.record(tx, trace, "delivered", recipient="u@bench.test")
    return put.uid


def prepare(path: Path) -> tuple[Store, list[int]]:
    store = Store.open(DataDir(path))
    store.reserve = 0

    def fill(tx: Tx) -> list[int]:
        domains.add(tx, "bench.test")
        return [accounts.add(tx, Address(f"u{n}", "bench.test"), None) for n in range(USERS)]

    return store, store.write_now(fill)


async def deliveries(store: Store, users: list[int], sessions: int, size: int) -> tuple[int, float, float, float]:
    """Messages, seconds, CPU seconds, p99 of one in milliseconds."""
    end = time.monotonic() + SECONDS
    times: list[float] = []

    async def session(number: int) -> None:
        count = 0
        while time.monotonic() < end:
            count += 1
            with Body.of(message(number * 1_000_000 + count, size)) as body:
                began = time.perf_counter()
                await store.write(deliver, users[number % USERS], body, f"trace{number}-{count}", bodies=[body])
                times.append(time.perf_counter() - began)

    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(session(n) for n in range(sessions)))
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    return len(times), seconds, used, sorted(times)[len(times) * 99 // 100] * 1000


def timed(what: str, rows: int, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{what:34s} {seconds * 1000:9.1f} ms {rows / seconds:12,.0f} /s")


def bulk(store: Store, account: int, rows: int) -> None:
    def fill(tx: Tx, first: int, bodies: list[Body]) -> int:
        for body in bodies:
            where = messages.put(tx, account, "Archive", blobs.keep(tx, body, SUMMARY), body.size).mailbox_id
        return where

    source = 0

    def append() -> None:
        nonlocal source
        for first in range(0, rows, 200):
            bodies = [Body.of(message(10**9 + first + n, 600)) for n in range(200)]
            source = store.write_now(fill, first, bodies, bodies=bodies)

    timed(f"append {rows} (200 a commit)", rows, append)
    target = store.write_now(
        lambda tx: tx.value("select id from mailbox where account_id = ? and name = 'Trash'", account)
    )
    every = [(1, rows)]
    old = store.read_now(snapshot.load, source)
    timed(f"snapshot.load {rows}", rows, lambda: store.read_now(snapshot.load, source))
    timed(f"store +\\Seen {rows}", rows, lambda: store.write_now(messages.set_flags, source, every, "+", 1))
    timed(f"snapshot.advance {rows} flags", rows, lambda: store.read_now(snapshot.advance, old))
    timed(f"copy {rows}", rows, lambda: store.write_now(messages.copy, source, every, target))
    timed(f"expunge {rows} (copies)", rows, lambda: store.write_now(messages.remove, target, every))
    timed(f"expunge {rows} (last ones)", rows, lambda: store.write_now(messages.remove, source, every))
    timed(f"snapshot.advance {rows} gone", rows, lambda: store.read_now(snapshot.advance, old))


def janitor(store: Store, account: int) -> None:
    """How long the longest small step holds the writer."""
    longest = dict[str, float]()

    def step(what: str, work: Callable[[], int]) -> int:
        began = time.perf_counter()
        done = work()
        longest[what] = max(longest.get(what, 0.0), time.perf_counter() - began)
        return done

    def fill(tx: Tx, bodies: list[Body]) -> None:
        for body in bodies:
            deliver(tx, account, body, "trace")

    store.segment_size = 8 << 20
    for first in range(0, 20_000, 200):
        bodies = [Body.of(message(2 * 10**9 + first + n, 2048)) for n in range(200)]
        store.write_now(fill, bodies, bodies=bodies)
    inbox = store.read_now(
        lambda tx: tx.value("select id from mailbox where account_id = ? and name = 'INBOX'", account)
    )
    odd = [(uid, uid + 3) for uid in range(1, 20_000, 5)]
    store.write_now(messages.remove, inbox, odd)
    while step("forget blobs", lambda: store.write_now(blobs.forget, store.clock() + 1, LIMITS.step // 3)):
        pass
    for segment in store.read_now(compact.wasteful):
        after = 0
        while some := store.read_now(compact.living, segment, after, LIMITS.compact_step):
            after = some[-1].id
            found = compact.copies(store, some)
            bodies = [body for _, body in found]
            step("move live messages", partial(store.write_now, compact.move, found, bodies=bodies))
    while step("forget tombstones", lambda: store.write_now(messages.forget_tombstones, (inbox, 10**9), LIMITS.step)):
        pass
    while step("forget events", lambda: store.write_now(events.forget, store.clock() + 1, LIMITS.step)):
        pass
    for what, seconds in longest.items():
        print(f"janitor: {what:25s} {seconds * 1000:9.1f} ms the longest step")
    began = time.perf_counter()
    assert not list(check(store))
    print(f"check, deep                         {(time.perf_counter() - began) * 1000:8.0f} ms")


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else None
    path = Path(tempfile.mkdtemp(prefix="bench-store-", dir=base))
    os.chmod(path, 0o700)
    try:
        store, users = prepare(path)
        for sessions, size in ((1, 2048), (10, 2048), (50, 2048), (200, 2048), (4, 1 << 20)):
            count, seconds, cpu, p99 = asyncio.run(deliveries(store, users, sessions, size))
            print(
                f"deliver {size:8d} octets, {sessions:3d} at once {count / seconds:9,.0f} /s"
                f" {cpu / count * 1e6:7.0f} us CPU each, p99 {p99:6.1f} ms"
            )
        bulk(store, users[0], 10_000)
        bulk(store, users[1], 100_000)
        janitor(store, users[2])
        store.close()
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    finally:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
