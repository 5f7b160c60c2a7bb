"""IMAP and POP3 rows: logins, and bulk reading on one connection of a user with two big mailboxes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from bench.row import Field, Figures, Row, lasting, median, repeated, settle
from bench.suite import Server


def logins(sessions: int, *flags: str) -> Callable[[Field, Server, Row], Figures]:
    """Connect, LOGIN, LOGOUT over `sessions` connections at once; every user has logged in once before."""

    def measure(field: Field, server: Server, row: Row) -> Figures:
        figures: Figures = {}
        suite = field.suite

        def load(count: int) -> dict[str, Any]:
            return suite.mload(
                "imap", "-h", server["imap"][0], "-p", server["imap"][1], "-s", sessions, "-n", count,
                "-U", server["user"], "-w", server["password"], "-u", server["nusers"], "-t", 120, *flags,
            )  # fmt: skip

        def run(count: int) -> float:
            cpu = suite.cpu(server)
            answer = load(count)
            figures["rate"] = answer["rate"]
            figures["p99"] = answer["lat_ms"]["p99"]
            figures["cpu"] = (suite.cpu(server) - cpu) * 1000 / count
            figures["count"] = count
            figures["seconds"] = answer["secs"]
            return float(answer["secs"])

        load(2 * server["nusers"])  # the caches of hashes are warm
        lasting(field, server, row, 200, run, lambda: None)
        return figures

    return measure


def count_of(connection: Any, mailbox: str) -> int:
    found = re.search(rb"MESSAGES (\d+)", connection.cmd(f"STATUS {mailbox} (MESSAGES)", True))
    return int(found[1]) if found else 0


def fetched(mailbox: str, items: str) -> Callable[[Field, Server, Row], Figures]:
    """`FETCH 1:* items`, again and again on one connection; the first (cold) one is not counted."""
    return _answered(mailbox, f"FETCH 1:* {items}")


def searched(mailbox: str, keys: str) -> Callable[[Field, Server, Row], Figures]:
    """The same for `SEARCH keys`. Whoever keeps an index had the time that the server took to become quiet."""
    return _answered(mailbox, f"SEARCH {keys}")


def _answered(mailbox: str, command: str) -> Callable[[Field, Server, Row], Figures]:
    def measure(field: Field, server: Server, row: Row) -> Figures:
        field.suite.big_mailboxes(server, field.messages)
        connection = field.suite.imap(server)
        try:
            connection.cmd(f"SELECT {mailbox}")
            messages = count_of(connection, mailbox)
            first = connection.timed(command)
            settle(field, server)
            took = repeated(field, lambda: float(connection.timed(command)), lambda: None)
            size = connection.bytes
        finally:
            connection.close()
        return {
            "ms": median(took) * 1000,
            "rate": messages / median(took),
            "mb": size / median(took) / 1e6,
            "first": first * 1000,
            "count": len(took),
            "seconds": sum(took),
        }

    return measure


def copied(field: Field, server: Server, row: Row) -> Figures:
    """`COPY 1:*` into an empty mailbox, which is deleted between two of them."""
    field.suite.big_mailboxes(server, field.messages)
    connection = field.suite.imap(server)

    def anew() -> None:
        with contextlib.suppress(RuntimeError):
            connection.cmd("DELETE Copy1")
        connection.cmd("CREATE Copy1")

    try:
        connection.cmd("SELECT Box10k")
        anew()
        settle(field, server)
        took = repeated(field, lambda: float(connection.timed("COPY 1:* Copy1")), anew)
        connection.cmd("DELETE Copy1")
    finally:
        connection.close()
    return {"ms": median(took) * 1000, "count": len(took), "seconds": sum(took)}


def retrieved(field: Field, server: Server, row: Row) -> Figures:
    """POP3: RETR of every message of one mailbox, on one connection, as often as it takes."""
    suite = field.suite
    suite.big_mailboxes(server, field.messages)
    connection = suite.imap(server)
    if (have := count_of(connection, "INBOX")) != field.messages:
        connection.cmd("SELECT INBOX")
        if have:
            connection.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            connection.cmd("EXPUNGE")
        connection.cmd("SELECT Box10k")
        connection.cmd("COPY 1:* INBOX")
    connection.close()
    figures: Figures = {}

    def run(count: int) -> float:
        settle(field, server)
        cpu = suite.cpu(server)
        answer = suite.mload(
            "pop3", "-h", server["pop3"][0], "-p", server["pop3"][1], "-s", 1, "-n", count, "-U", server["user"],
            "-0", 0, "-u", 1, "-w", server["password"], "-R", -1, "-t", 120,
        )  # fmt: skip
        messages = count * field.messages
        figures["rate"] = messages / answer["secs"]
        figures["mb"] = answer["mb_in"] / answer["secs"]
        figures["cpu"] = (suite.cpu(server) - cpu) * 1000 / messages
        figures["count"] = messages
        figures["seconds"] = answer["secs"]
        return float(answer["secs"])

    lasting(field, server, row, 2, run, lambda: None)
    return figures
