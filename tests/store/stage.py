"""What tests of the store begin with: an open store, users, messages, a writer that waits; and that the checker is
content."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.config import DataDir
from daemon.mail.address import Address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, domains, messages, migrate
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.messages import Placed
from daemon.store.spool import Body
from daemon.store.tx import Tx

DOMAIN = "example.org"
MEMORY = Path("/dev/shm")


class Clock:
    """Milliseconds that move when told."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def open_store(data: DataDir, clock: Callable[[], int] | None = None) -> Store:
    store = Store.open(data) if clock is None else Store.open(data, clock=clock)
    store.reserve = 0
    return store


@contextmanager
def memory(now: int = 1_800_000_000_000) -> Iterator[Tx]:
    """A database in memory, for what needs no bytes."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate.apply(connection)
        connection.execute("pragma foreign_keys = on")
        yield Tx(connection, now)
    finally:
        connection.close()


@contextmanager
def undone(tx: Tx) -> Iterator[Tx]:
    """What is done inside is undone after it."""
    tx.run("savepoint undone")
    try:
        yield tx
    finally:
        tx.run("rollback to undone")
        tx.run("release undone")


def clean(store: Store) -> None:
    assert list(check(store)) == []


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def add_user(tx: Tx, local: str = "alice", domain: str = DOMAIN, **more: Any) -> int:
    if domains.find(tx, domain) is None:
        domains.add(tx, domain)
    return accounts.add(tx, Address(local, domain), None, **more)


def message(text: str = "hello", size: int = 0) -> bytes:
    """A message that nobody else's equals, when `text` is its own; `size` octets at least."""
    head = f"From: a@example.org\r\nSubject: {text}\r\nMessage-ID: <{text}@example.org>\r\n\r\n{text}\r\n".encode()
    return head + b"x" * 76 * ((size - len(head)) // 76 + 1 if size > len(head) else 0)


def put(tx: Tx, body: Body, account: int, mailbox: str | int = "INBOX", **more: Any) -> Placed:
    """What a delivery does in its transaction."""
    blob = blobs.keep(tx, body, summarize(body.bytes()))
    return messages.put(tx, account, mailbox, blob, body.size, **more)


def deliver(store: Store, account: int, data: bytes, mailbox: str | int = "INBOX", **more: Any) -> Placed:
    """One message, committed."""
    with Body.of(data) as body:
        return store.write_now(lambda tx: put(tx, body, account, mailbox, **more), bodies=[body])


def bytes_in(store: Store, mailbox: int) -> list[bytes]:
    """What FETCH BODY[] would say for each message of a mailbox, in order of UID."""
    rows = store.read_now(messages.fetch, mailbox, messages.ALL, ("prefix", "segment_id", "offset", "length"))
    return [prefix + store.bytes_of((segment, offset, length)) for prefix, segment, offset, length in rows]


def box_id(store: Store, account: int, name: str = "INBOX") -> int:
    found = store.read_now(Tx.value, "select id from mailbox where account_id = ? and name = ?", account, name)
    assert isinstance(found, int)
    return found


@contextmanager
def held(store: Store) -> Iterator[None]:
    """The writer is busy; what is handed in meanwhile is its next group."""
    entered, go_on = threading.Event(), threading.Event()

    def wait(tx: Tx) -> None:
        entered.set()
        assert go_on.wait(30)

    thread = threading.Thread(target=store.write_now, args=(wait,))
    thread.start()
    assert entered.wait(30)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


def note(tx: Tx, key: str, value: str = "") -> str:
    """A row that a test can look for."""
    tx.run("insert into setting (key, value) values (?, ?)", key, value)
    return key


def noted(store: Store) -> list[str]:
    """The rows that are committed, seen from outside."""
    other = sqlite3.connect(store.data.database)
    try:
        return [r[0] for r in other.execute("select key from setting order by key")]
    finally:
        other.close()


def writing(store: Store, *pieces: Callable[[Tx], Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(store.write(piece)) for piece in pieces]


async def results(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
