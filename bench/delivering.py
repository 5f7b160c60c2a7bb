"""SMTP rows: delivered to the mailbox, and relayed to a sink. Each case lasts as long as the bench is told to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.row import Field, Figures, Row, lasting, settle
from bench.subject import SINK
from bench.suite import Server

LIMIT = 300.0  # seconds for the last message to arrive
SINK_PATIENCE = 60.0  # seconds for another bench to give the sink's port back


def delivered(sessions: int, each: int, size: int, *flags: str) -> Callable[[Field, Server, Row], Figures]:
    """Messages of `size` octets over `sessions` connections, `each` per connection (0: many), until IMAP shows all."""

    def measure(field: Field, server: Server, row: Row) -> Figures:
        send = generated(field, server, sessions, each, size, *flags)
        return arriving(field, server, row, max(20, 200_000 // size), send)

    return measure


def generated(
    field: Field, server: Server, sessions: int, each: int, size: int, *flags: str
) -> Callable[[int], float]:  # fmt: skip
    """For `arriving`: sends messages of the generator, numbered from 0 in their subjects."""

    def send(count: int) -> float:
        answer = field.suite.mload(
            "smtp", "-h", server["smtp"][0], "-p", server["smtp"][1], "-s", sessions, "-k", each, "-l", size,
            "-n", count, "-u", server["nusers"], "-r", server["rcpt"], "-f", "sender@example.org", "-t", LIMIT,
            *flags,
        )  # fmt: skip
        return float(answer["rate"])

    return send


def arriving(
    field: Field,
    server: Server,
    row: Row,
    first: int,
    send: Callable[[int], float],
    look: Callable[[int], None] = lambda _: None,
    counter: Any = None,
) -> Figures:
    """Figures of `send(count)`, which says how many a second were accepted, until IMAP shows all in the mailboxes.

    The messages go to the users in turn. Once there they may be looked at. `first` is what is tried before it is known
    how many are enough; so much warms the server up, too. `counter`: the suite's, which counts in INBOX, or another.
    """
    suite, users = field.suite, server["nusers"]
    counter = counter or suite.module.Counter(server, users)
    figures: Figures = {}

    def run(count: int) -> float:
        settle(field, server)
        cpu, began = suite.cpu(server), time.perf_counter()
        figures["accepted"] = send(count)
        _arrived(counter, [count // users + (number < count % users) for number in range(users)])
        took = time.perf_counter() - began
        time.sleep(0.3)  # what is still being logged and closed belongs to the messages
        figures["rate"] = count / took
        figures["cpu"] = (suite.cpu(server) - cpu) * 1000 / count
        figures["count"] = count
        figures["seconds"] = took
        return took

    try:
        counter.purge()
        look(lasting(field, server, row, first, run, counter.purge))
        counter.purge()
    finally:
        counter.close()
    return figures


def _arrived(counter: Any, expected: list[int]) -> None:
    """Until every mailbox has its messages. One mailbox is asked at a time, so that asking costs next to nothing."""
    until = time.monotonic() + LIMIT
    for number, connection in enumerate(counter.c):
        while counter.one(connection) < counter.base[number] + expected[number]:
            if time.monotonic() > until:
                raise RuntimeError(f"mailbox {number} lacks messages after {LIMIT:g} s")
            time.sleep(0.02)
    counter.base = [base + more for base, more in zip(counter.base, expected, strict=True)]


@contextlib.contextmanager
def _sink(field: Field) -> Iterator[Callable[[], int]]:
    """A sink that counts what it took."""
    handle, name = tempfile.mkstemp(prefix="bench-sink-")
    os.close(handle)
    count = Path(name)
    command = [field.suite.generator, "sink", "-p", str(SINK), "-t", str(3 * LIMIT), "-m", name]
    until = time.monotonic() + SINK_PATIENCE
    while True:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.5)
        if process.poll() is None:
            break
        if time.monotonic() > until:
            raise RuntimeError(f"the sink's port {SINK} is taken")
    try:
        yield lambda: int(count.read_text() or 0)
    finally:
        process.kill()
        process.wait()
        for path in (count, Path(name + ".tmp")):
            path.unlink(missing_ok=True)


def relayed(sessions: int) -> Callable[[Field, Server, Row], Figures]:
    """Messages for another host, until the sink has them all."""

    def measure(field: Field, server: Server, row: Row) -> Figures:
        suite = field.suite
        figures: Figures = {}

        with _sink(field) as received:

            def run(count: int) -> float:
                settle(field, server)
                start, cpu, began = received(), suite.cpu(server), time.perf_counter()
                answer = suite.mload(
                    "smtp", "-h", server["smtp"][0], "-p", server["smtp"][1], "-s", sessions, "-k", 0, "-l", 2048,
                    "-n", count, "-u", 100, "-r", server["relay_rcpt"], "-f", "sender@example.org", "-t", LIMIT,
                )  # fmt: skip
                patience = time.monotonic() + 30 + count / 50
                while received() - start < count:
                    if time.monotonic() > patience:
                        raise RuntimeError(f"{received() - start} of {count} messages reached the sink")
                    time.sleep(0.01)
                took = time.perf_counter() - began
                time.sleep(0.3)
                figures["rate"] = count / took
                figures["cpu"] = (suite.cpu(server) - cpu) * 1000 / count
                figures["accepted"] = answer["rate"]
                figures["count"] = count
                figures["seconds"] = took
                return took

            lasting(field, server, row, 50, run, lambda: None)
        return figures

    return measure
