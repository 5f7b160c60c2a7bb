"""Rows of lists and searches by JMAP, beside IMAP asked for the same."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Literal

from bench.clients import PAGE, Imap, Jmap
from bench.reading import count_of
from bench.row import Field, Figures, Row, median, percentile, repeated, settle
from bench.suite import Server
from daemon.limits import LIMITS

# Ten times `field.messages`, no two equal: of copies an index reads each once, and conversations are full of them.
DIFFERENT = "Many"
INDEXING = 1800.0  # seconds the full-text index has to catch up
# Words that nearly all messages have, that few have, that none has; phrases, pieces of words.
SOUGHT = (
    "invoice", "xylophone", "project deadline", "quartet is here", "kup ser", "zzyzx", "meeting", "lophone", "release",
    "the xylophone quartet", "person", "budget team", "ystem", "contract schedule delivery", "nowhere to be found",
    "air",
)  # fmt: skip


def _timed(work: Callable[[], int], wanted: int) -> float:
    """Seconds of one page; one that is not full measured nothing."""
    began = time.perf_counter()
    came = work()
    took = time.perf_counter() - began
    if came != wanted:
        raise RuntimeError(f"a page of {came} instead of {wanted} messages")
    return took


def paged(field: Field, server: Server, row: Row) -> Figures:
    """Pages of 50, one after the other through Box10k; each message as a list shows it. The peers have IMAP alone."""
    field.suite.big_mailboxes(server, field.messages)
    imap = Imap(field, server, "Box10k")
    jmap = Jmap(server) if "https" in server else None
    pages = max(1, field.messages // PAGE)
    figures: Figures = {}

    def run(name: str, page: Callable[[int], int]) -> None:
        turn = iter(range(1_000_000_000))
        _timed(lambda: page(0), min(PAGE, field.messages))
        settle(field, server)
        cpu = field.suite.cpu(server)
        took = repeated(field, lambda: _timed(lambda: page(next(turn) % pages * PAGE), PAGE), lambda: None)
        count = len(took) * PAGE
        figures[name] = count / sum(took)
        figures[f"{name}_cpu"] = (field.suite.cpu(server) - cpu) * 1000 / count
        figures["count"], figures["seconds"] = count, sum(took)

    try:
        run("imap", lambda position: imap.page("ALL", position))
        if jmap is not None:
            condition = {"inMailbox": jmap.mailbox("Box10k")}
            run("rate", lambda position: jmap.page(condition, position))
        else:
            figures["rate"], figures["rate_cpu"] = figures["imap"], figures["imap_cpu"]
    finally:
        imap.close()
        if jmap is not None:
            jmap.close()
    return figures


def first_page(field: Field, server: Server, row: Row) -> Figures:
    """The newest 50 of 100,000, as the webmail asks for them (the peers: by IMAP); the first time is told apart."""
    different(field, server)
    if "https" not in server:
        imap = Imap(field, server, DIFFERENT)
        return _answers(field, server, lambda: _timed(lambda: imap.page("ALL"), PAGE), imap.close)
    jmap = Jmap(server)
    condition = {"inMailbox": jmap.mailbox(DIFFERENT)}
    return _answers(field, server, lambda: _timed(lambda: jmap.conversations(condition), PAGE), jmap.close)


def _answers(field: Field, server: Server, once: Callable[[], float], close: Callable[[], None]) -> Figures:
    try:
        first = once()
        settle(field, server)
        took = repeated(field, once, lambda: None)
    finally:
        close()
    return {
        "p95": percentile(took, 0.95) * 1000, "ms": median(took) * 1000, "first": first * 1000,
        "count": len(took), "seconds": sum(took),
    }  # fmt: skip


def found(by: Literal["jmap", "imap"]) -> Callable[[Field, Server, Row], Figures]:
    """`SOUGHT` in turn, in a mailbox of ten times `field.messages` different messages, once the index has caught up.

    `jmap`: the newest 50 of what has the text anywhere, who has no JMAP is asked by SEARCH TEXT and FETCH. `imap`: UID
    SEARCH BODY, which tells all numbers. Something in the mailbox changes before each, so that nobody has the answer
    ready: ours keeps the list of a query for those who scroll.
    """

    def measure(field: Field, server: Server, row: Row) -> Figures:
        different(field, server)
        jmap = Jmap(server) if by == "jmap" and "https" in server else None
        imap = Imap(field, server, DIFFERENT)
        condition = {"inMailbox": jmap.mailbox(DIFFERENT)} if jmap is not None else {}

        signs = itertools.cycle("+-")

        def ask(text: str) -> float:
            imap.connection.cmd(f"UID STORE 1 {next(signs)}FLAGS.SILENT (\\Flagged)")
            began = time.perf_counter()
            if jmap is not None:
                jmap.page({**condition, "text": text})
            elif by == "jmap":
                imap.page(f'TEXT "{text}"')
            else:
                imap.connection.cmd(f'UID SEARCH BODY "{text}"')
            return time.perf_counter() - began

        try:
            first = ask(SOUGHT[0])
            settle(field, server)
            took = _in_turn(field, SOUGHT, ask)
        finally:
            imap.close()
            if jmap is not None:
                jmap.close()
        return {
            "p95": percentile(took, 0.95) * 1000, "ms": median(took) * 1000, "worst": max(took) * 1000,
            "first": first * 1000, "count": len(took), "seconds": sum(took),
        }  # fmt: skip

    return measure


def _in_turn(field: Field, texts: Sequence[str], ask: Callable[[str], float]) -> list[float]:
    """Each text equally often, and all as often as it takes."""
    took: list[float] = []
    field.mark()
    while sum(took) < field.seconds:
        took += [ask(text) for text in texts]
    field.mark()
    return took


def different(field: Field, server: Server) -> None:
    """The mailbox `DIFFERENT`, made once for a server; and whoever keeps an index has caught up with it."""
    connection = field.suite.imap(server)
    wanted = field.messages * 10
    message: Callable[[int, int], bytes] = field.suite.module.corpus.message
    try:
        with contextlib.suppress(RuntimeError):
            connection.cmd(f"CREATE {DIFFERENT}")
        for first in range(count_of(connection, DIFFERENT), wanted, 100):
            made = [message(number, 6) for number in range(first, min(wanted, first + 100))]
            connection.append(DIFFERENT, [one.replace(b".bench@", b".many@") for one in made])  # answers to each other
    finally:
        connection.close()
    until = time.monotonic() + INDEXING
    while "data" in server and _waiting(server) >= LIMITS.fulltext_tail:
        if time.monotonic() > until:
            raise RuntimeError("the full-text index did not catch up")
        time.sleep(1.0)
    settle(field, server)


def _waiting(server: Server) -> int:
    """Messages of user 0 that our index does not have yet, as `mailctl` tells."""
    verb = ["mail", "index", "--user", server["user"] % 0, "--json"]
    command = [sys.executable, "-m", "mailctl", "--data", server["data"], *verb]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return int(said["messages"]) - int(said["indexed"])
