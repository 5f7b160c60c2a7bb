"""An acknowledgement is a receipt: processes that write are killed with SIGKILL, and nothing acknowledged is lost,
nothing is there twice, nothing is there by half. And it is not the kernel's memory that saves us: the bytes and the log
are synced before each acknowledgement (traps D1, D3).
"""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.mail.address import Address
from daemon.store import accounts, messages
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments import syscalls
from tests.store import worker
from tests.store.stage import DOMAIN, add_user, box_id, clean, open_store
from tests.store.worker import BOXES, QUEUE, State, after, bytes_of

PROCESSES = 2
SESSIONS = [f"s{number}" for number in range(8)]


class Account:
    """What a session's account may hold: one state after an acknowledgement, two while a step is under way."""

    def __init__(self) -> None:
        self.possible = [State()]
        self.acknowledged = 0

    def hear(self, line: str) -> None:
        what, _, step = line.partition(" ")
        if what == "begin":
            self.possible = [self.possible[0], after(self.possible[0], json.loads(step.partition(" ")[2]))]
        else:
            self.possible = self.possible[1:]
            self.acknowledged += 1

    def settle(self, found: State) -> None:
        assert found in self.possible, (
            f"acknowledged and lost: {self.possible[0] - found}, too much: {found - self.possible[-1]}"
        )
        self.possible = [found]


def found_in(store: Store, name: str) -> State:
    """What an account really holds; every message is compared octet for octet."""
    state = State()
    account = store.read_now(accounts.find, Address(name, DOMAIN))
    assert account is not None
    columns = ("flags", "prefix", "size", "segment_id", "offset", "length")
    for box in BOXES:
        for row in store.read_now(messages.fetch, box_id(store, account.id, box), messages.ALL, columns):
            state[(box, token_of(store, *row[1:]), row[0])] += 1
    for prefix, size, segment, offset, length, recipients in store.read_now(
        Tx.all,
        "select q.prefix, q.size, b.segment_id, b.offset, b.length,"
        " (select count(*) from queue_recipient where message_id = q.id)"
        " from queue_message q join blob b on b.id = q.blob_id where q.sender = ?",
        f"{name}@{DOMAIN}",
    ):
        assert recipients == 2 and prefix == b"Q: 1\r\n"
        state[(QUEUE, token_of(store, prefix, size, segment, offset, length), 0)] += 1
    return state


def token_of(store: Store, prefix: bytes, size: int, segment: int, offset: int, length: int) -> str:
    data = store.bytes_of((segment, offset, length))
    token = data.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
    assert data == bytes_of(token), "half a message"
    assert size == len(prefix) + len(data)
    return token


def round_of(path: Path, dice: random.Random, known: dict[str, Account]) -> None:
    """Start the processes, kill each after some lines, and hear the rest of what they said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.worker"])
    pipes: dict[Connection, tuple[BaseProcess, int]] = {}
    for number in range(PROCESSES):
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=worker.run, args=(str(path), dice.randrange(1 << 30), SESSIONS[number::PROCESSES], there)
        )
        process.start()
        there.close()
        pipes[here] = process, dice.randrange(5, 250)
    try:
        listen(pipes, known)
    finally:
        for pipe, (process, _) in pipes.items():  # a failure leaves nobody behind
            process.kill()
            process.join()
            pipe.close()


def listen(pipes: dict[Connection, tuple[BaseProcess, int]], known: dict[str, Account]) -> None:
    heard = dict.fromkeys(pipes, 0)
    while pipes:
        ready = wait(list(pipes), timeout=60)
        assert ready, "the writers hang"
        for pipe in ready:
            assert isinstance(pipe, Connection)
            process, limit = pipes[pipe]
            try:
                line = pipe.recv_bytes().decode()
            except (EOFError, OSError):
                process.join()
                assert process.exitcode == -signal.SIGKILL
                pipe.close()
                del pipes[pipe]
                continue
            known[line.split(" ", 2)[1]].hear(line)
            heard[pipe] += 1
            if heard[pipe] == limit:
                process.kill()


def story(path: Path, kills: int, seed: int) -> int:
    """So many kills; how much was acknowledged."""
    dice = random.Random(seed)
    store = open_store(DataDir(path))
    for name in SESSIONS:
        store.write_now(lambda tx, n: add_user(tx, n), name)
    store.close()
    known = {name: Account() for name in SESSIONS}
    for _ in range(kills // PROCESSES):
        round_of(path, dice, known)
        store = open_store(DataDir(path))
        try:
            clean(store)
            for name, account in known.items():
                account.settle(found_in(store, name))
        finally:
            store.close()
    return sum(account.acknowledged for account in known.values())


def test_nothing_acknowledged_is_lost_when_writers_are_killed(tmp_path: Path) -> None:
    assert story(tmp_path / "data", kills=20, seed=1) > 500


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_nothing_acknowledged_is_lost_in_a_thousand_kills(tmp_path: Path) -> None:
    assert story(tmp_path / "data", kills=1000, seed=2) > 10_000


# ------------------------------------------------------------------------------------------------- before the receipt

TRACED = """
import asyncio, os, sys
from pathlib import Path
from daemon.config import DataDir
from daemon.store import messages
from tests.store.stage import add_user, box_id, deliver, message, open_store

store = open_store(DataDir(Path(sys.argv[1])))
store.segment_size = 60_000
account = store.write_now(add_user)
box = box_id(store, account)
for number in range(30):
    deliver(store, account, message(str(number), 200_000 if number % 10 == 5 else 3000))
    os.write(1, b"bytes %d" % number)
for number in range(1, 11):
    store.write_now(messages.set_flags, box, [(number, number)], "+", 1)
    os.write(1, b"rows %d" % number)
    store.write_now(messages.remove, box, [(number, number)])
    os.write(1, b"rows %d" % -number)
os.write(1, b"closing")
store.close()
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[syscalls.Call]]:
    path = tmp_path_factory.mktemp("traced")
    log = path / "log"
    subprocess.run(
        [*syscalls.prefix(log), sys.executable, "-c", TRACED, str(path / "data")], check=True, capture_output=True
    )
    yield syscalls.read(log)


def test_bytes_and_then_the_log_are_synced_before_each_acknowledgement(calls: list[syscalls.Call]) -> None:
    acks = [c for c in calls if c.data.startswith(b"bytes")]
    assert len(acks) == 30
    syscalls.check_receipts(calls, acks)


def test_rows_are_synced_before_each_acknowledgement(calls: list[syscalls.Call]) -> None:
    acks = [c for c in calls if c.data.startswith((b"bytes", b"rows"))]
    assert len(acks) == 50
    syscalls.check_receipts(calls, acks, files=("-wal",))


def test_the_name_of_each_segment_is_synced_before_anything_in_it_is_acknowledged(calls: list[syscalls.Call]) -> None:
    acks = [c.began for c in calls if c.data.startswith(b"bytes")]
    first_writes: dict[str, int] = {}
    for call in calls:
        if call.path.endswith(".seg") and call.name in syscalls.WRITING:
            first_writes.setdefault(call.path, call.began)
    assert len(first_writes) == 4
    for segment, began in first_writes.items():
        since = max((ack for ack in acks if ack < began), default=-1)
        acknowledged = next(ack for ack in acks if ack > began)
        assert any(
            c.name == "fsync" and c.path == str(Path(segment).parent) and c.result == 0
            and since < c.began and c.ended < acknowledged
            for c in calls
        ), segment  # fmt: skip
