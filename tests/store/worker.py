"""A process that writes until it is killed.

Each session has an account of its own and does one thing after the other; it says what it begins (`begin SESSION JSON`)
and when it was acknowledged (`done SESSION`). Meanwhile the janitor's work goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from daemon.config import DataDir
from daemon.mail.address import Address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, compact, messages, queue
from daemon.store.db import Store
from daemon.store.errors import StoreBusy
from daemon.store.keywords import DELETED, FLAGGED
from daemon.store.queue import NewMessage, NewRecipient
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.store.stage import DOMAIN, box_id, message, open_store

BOXES = ("INBOX", "Archive", "Trash")
QUEUE = "queue"
State = Counter[tuple[str, str, int]]
"""How often (place, token, flags) is there; the place is a mailbox, or the queue."""
Say = Callable[[str], None]


def size_of(token: str) -> int:
    """Every token has a length of its own: small, middling, and some that go through a spool file."""
    return (300, 2000, 2000, 20_000, 150_000)[sum(token.encode()) % 5]


def bytes_of(token: str) -> bytes:
    return message(token, size_of(token))


def after(state: State, step: dict[str, Any]) -> State:
    """What a step makes of a state."""
    new = State(state)
    match step:
        case {"do": "deliver", "token": token}:
            new[("INBOX", token, 0)] += 1
            new[("Archive", token, FLAGGED)] += 1
            new[(QUEUE, token, 0)] += 1
        case {"do": "append", "token": token, "to": to}:
            new[(to, token, 0)] += 1
        case {"do": "copy" | "move" as do, "of": source, "to": to}:
            there = [(key, count) for key, count in state.items() if key[0] == source]
            for (_, token, flags), count in there:
                new[(to, token, flags)] += count
                if do == "move":
                    del new[(source, token, flags)]
        case {"do": "flag", "of": source}:
            for key in state:
                if key[0] == source:
                    del new[key]
            for (place, token, _), count in state.items():
                if place == source:
                    new[(place, token, FLAGGED | DELETED)] += count
        case {"do": "expunge", "of": source}:
            for key in state:
                if key[0] == source and key[2] & DELETED:
                    del new[key]
        case {"do": "remove", "of": source}:
            for key in state:
                if key[0] == source:
                    del new[key]
        case {"do": "settle"}:
            for key in state:
                if key[0] == QUEUE:
                    del new[key]
    return new


class Session:
    def __init__(self, store: Store, name: str, dice: random.Random, say: Say) -> None:
        self.store = store
        self.say = say
        self.name = name
        self.dice = dice
        found = store.read_now(accounts.find, Address(name, DOMAIN))
        assert found is not None
        self.account = found.id
        self.boxes = {box: box_id(store, found.id, box) for box in BOXES}
        self.count = 0

    async def work(self) -> None:
        while True:
            await self.step()

    async def step(self) -> None:
        source, to = self.dice.sample(BOXES, 2)
        self.count += 1
        token = f"{self.name}-{os.getpid()}-{self.count}"
        do = self.dice.choice(
            ("deliver", "deliver", "append", "append", "append", "copy", "move", "flag", "expunge", "remove", "settle")
        )
        if self.store.peek(Tx.value, "select total from mailbox where id = ?", self.boxes[source]) > 100:
            do = "remove"  # copies of copies would grow without end
        self.say(f"begin {self.name} {json.dumps({'do': do, 'token': token, 'of': source, 'to': to})}")
        while True:
            try:
                await self.act(do, token, self.boxes[source], self.boxes[to])
                break
            except StoreBusy:  # the other process holds the database; nothing was written
                continue
        self.say(f"done {self.name}")

    async def act(self, do: str, token: str, source: int, to: int) -> None:
        write = self.store.write
        if do in ("deliver", "append"):
            with Body(self.store.data.spool, in_memory=100_000) as body:
                body.write(bytes_of(token))
                if do == "append":
                    await write(self.append, body, to, bodies=[body])
                else:
                    await write(self.deliver, body, token, bodies=[body])
        elif do in ("copy", "move"):
            await write(messages.copy if do == "copy" else messages.move, source, messages.ALL, to)
        elif do == "flag":
            await write(messages.set_flags, source, messages.ALL, "=", FLAGGED | DELETED)
        elif do == "expunge":
            await write(lambda tx: messages.remove(tx, source, only_deleted=True))
        elif do == "remove":
            await write(messages.remove, source)
        else:
            await write(self.settle)

    def append(self, tx: Tx, body: Body, to: int) -> None:
        blob = blobs.keep(tx, body, summarize(body.bytes()))
        messages.put(tx, self.account, to, blob, body.size)

    def deliver(self, tx: Tx, body: Body, token: str) -> None:
        """Two mailboxes and the queue, as one."""
        blob = blobs.keep(tx, body, summarize(body.bytes()), holders=3)
        messages.put(tx, self.account, "INBOX", blob, body.size, prefix=b"Received: x\r\n", trace=token)
        messages.put(tx, self.account, "Archive", blob, body.size, flags=FLAGGED)
        mail = NewMessage(token, f"{self.name}@{DOMAIN}", "submission", b"Q: 1\r\n", body.size + 6, lifetime=10**9)
        queue.enqueue(tx, mail, blob, [NewRecipient("a@far.example"), NewRecipient("b@far.example")])

    def settle(self, tx: Tx) -> None:
        rows = tx.all(
            "select r.id from queue_recipient r join queue_message m on m.id = r.message_id where m.sender = ?",
            f"{self.name}@{DOMAIN}",
        )
        queue.remove(tx, [row[0] for row in rows])


async def keep_house(store: Store) -> None:
    """The janitor's steps without their graces and rests."""
    while True:
        try:
            await store.write(lambda tx: blobs.forget(tx, tx.now + 1, 20))
            for segment in await store.read(compact.wasteful):
                found = await store.aside(compact.copies, store, await store.read(compact.living, segment, 0, 200_000))
                await store.write(compact.move, found, bodies=[body for _, body in found])
                await store.write(compact.drop, segment)
        except StoreBusy:
            continue


async def work(path: str, seed: int, names: list[str], say: Say) -> None:
    store = open_store(DataDir(Path(path)))
    store.segment_size = 300_000
    dice = random.Random(seed)
    sessions = [Session(store, name, random.Random(dice.random()), say) for name in names]
    await asyncio.gather(keep_house(store), *(session.work() for session in sessions))


def run(path: str, seed: int, names: list[str], pipe: Connection) -> None:
    """In a process of its own, until it is killed."""
    asyncio.run(work(path, seed, names, lambda text: pipe.send_bytes(text.encode())))
