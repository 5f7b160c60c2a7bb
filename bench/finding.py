"""How search does on one large mailbox: `python -m bench.finding [--messages N] [--corpus DIR]`.

A mailbox is filled with mail of real words (the labelled mail of `MAILBENCH_CORPUS`, its words exchanged at random so
that no two messages are equal; without it, invented words), indexed by the worker without rests, and asked. Times are
CPU of this process, which does all that a search does but for telling the client.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.store import prepare
from daemon.config import DataDir
from daemon.flow import indexing
from daemon.mail.summary import summarize
from daemon.store import blobs, fulltext, messages, search
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx

_GROUP = 200
_WORD = re.compile(rb"\b[a-z]{4,12}\b")


def mail(count: int, corpus: str | None) -> Iterator[bytes]:
    chance = random.Random(20261128)
    if corpus:
        models = [path.read_bytes() for path in sorted(Path(corpus).glob("**/ham/*"))]
        models = [model for model in models if len(model) < 20_000]
        words = sorted({word for model in models for word in _WORD.findall(model)})
    else:
        models = []
        words = [
            "".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randrange(3, 12))).encode() for _ in range(60_000)
        ]
    for number in range(count):
        if models:
            model = chance.choice(models)
            text = _WORD.sub(lambda found: chance.choice(words) if chance.random() < 0.05 else found[0], model)
        else:
            some = (words[min(int(chance.paretovariate(0.6)), len(words) - 1)] for _ in range(300))
            text = b"From: a@example.org\r\nTo: u@bench.test\r\nSubject: a letter\r\n\r\n" + b" ".join(some)
        yield b"X-Number: n%dx\r\n" % number + text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def fill(store: Store, account: int, count: int, corpus: str | None) -> int:
    def step(tx: Tx, bodies: Sequence[Body], summaries: Sequence[object]) -> None:
        for body, summary in zip(bodies, summaries, strict=True):
            blob = blobs.keep(tx, body, summary)  # type: ignore[arg-type]
            messages.put(tx, account, "INBOX", blob, body.size, prefix=b"Return-Path: <a@example.org>\r\n")

    octets = 0
    group: list[bytes] = []
    for data in mail(count, corpus):
        group.append(data)
        octets += len(data)
        if len(group) == _GROUP:
            bodies = [Body.of(one) for one in group]
            store.write_now(step, bodies, [summarize(one) for one in group], bodies=bodies)
            group = []
    return octets


async def index(store: Store) -> tuple[float, float]:
    """CPU seconds, and the longest write in seconds."""
    store.attach(asyncio.get_running_loop())
    longest = 0.0
    write = store.write

    async def timed(work, *args, **more):  # type: ignore[no-untyped-def]
        nonlocal longest
        began = time.monotonic()
        value = await write(work, *args, **more)
        longest = max(longest, time.monotonic() - began)
        return value

    store.write = timed  # type: ignore[method-assign]
    began = time.process_time()
    await indexing.Indexing(store, rest=0).round()
    store.write = write  # type: ignore[method-assign]
    return time.process_time() - began, longest


def queries(store: Store, account: int, count: int) -> list[str]:
    """What people look for: pieces of words, words, some words together, as they stand in some of the messages."""
    chance = random.Random(7)
    rows = store.read_now(fulltext.waiting, account, 0, 10**9)
    found = []
    while len(found) < count:
        row = chance.choice(rows)
        words = re.findall(r"\w[^\s<>]+\w", search.texts(store, row.place, row.prefix, row.parts)[1])
        if len(words) < 20:
            continue
        at = chance.randrange(len(words) - 4)
        kind = len(found) % 4
        piece = words[at] if kind != 3 else words[at][1:-1]
        text = " ".join(words[at : at + 2 + chance.randrange(2)]) if kind == 2 else piece
        if len(text) >= 3:
            found.append(text)
    return found


def ask(store: Store, account: int, mailbox: int, text: str, halves: tuple[str, ...]) -> tuple[int, int, float, float]:
    """Hits, messages read, and CPU seconds: of the index, in all."""
    began = time.process_time()
    found = store.read_now(fulltext.look, account, text, halves)
    if found is None:
        return 0, 0, 0, 0
    sure = store.read_now(fulltext.uids, mailbox, found.sure)
    maybe = store.read_now(fulltext.uids, mailbox, found.maybe - found.sure)
    looked = time.process_time()
    hits = search.matching(store, mailbox, messages.to_ranges(maybe), search.Text(text.lower(), "head" in halves))
    return len(sure) + len(hits), len(maybe), looked - began, time.process_time() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--corpus", default=os.environ.get("MAILBENCH_CORPUS"))
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--keep", help="a directory to fill once and ask again")
    asked = options.parse_args()
    path = Path(asked.keep or tempfile.mkdtemp())
    fresh = not (path / "data").exists()
    store, accounts = prepare(path / "data") if fresh else (Store.open(DataDir(path / "data")), [1])
    try:
        if fresh:
            octets = fill(store, accounts[0], asked.messages, asked.corpus)
            print(f"{asked.messages:,} messages of {octets / asked.messages / 1024:.1f} KiB")
            seconds, longest = asyncio.run(index(store))
            print(f"indexed {asked.messages / seconds:,.0f}/s of CPU; the longest write took {longest * 1000:.0f} ms")
        standing = store.read_now(fulltext.standing)
        print(f"{standing.indexed:,} indexed in {standing.size / 1e6:.1f} MB")
        box = store.read_now(Tx.value, "select id from mailbox where account_id = ? and name = 'INBOX'", accounts[0])
        texts = queries(store, accounts[0], asked.queries)
        for halves in (("body",), ("head", "body")):
            results = [(ask(store, accounts[0], box, text, halves), text) for text in texts]
            for name, column in (("index", 2), ("search", 3)):
                times = sorted(result[column] * 1000 for result, _ in results)
                p95 = times[int(len(times) * 0.95)]
                spread = f"median {statistics.median(times):.0f}, p95 {p95:.0f}, worst {times[-1]:.0f} ms"
                print(f"{'+'.join(halves)} {name}: {spread}")
            for (hits, read, looked, whole), text in sorted(results, key=lambda result: -result[0][3])[:6]:
                print(f"   {text!r}: {hits} found, {read} read, {looked * 1000:.0f} of {whole * 1000:.0f} ms")
    finally:
        store.close()
        if not asked.keep:
            shutil.rmtree(path)


if __name__ == "__main__":
    main()
