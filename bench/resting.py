"""Memory rows: a server that nobody talks to, and one that many idle clients are connected to."""

from __future__ import annotations

import threading
import time
from typing import Any

from bench.row import Field, Figures, Row, settle
from bench.suite import Server

PEERS_IDLE = 500  # a peer has a process a connection; so many are enough to know what one costs
OPENERS = 4


def alone(field: Field, server: Server, row: Row) -> Figures:
    settle(field, server)
    resident, proportional, processes = field.suite.memory(server)
    return {"rss": resident, "pss": proportional, "processes": processes}


def idling(field: Field, server: Server, row: Row) -> Figures:
    """Each connection is logged in, has INBOX selected and is in IDLE."""
    goal = min(field.idle, PEERS_IDLE) if server["name"].startswith("pd-") else field.idle
    settle(field, server)
    _, before, _ = field.suite.memory(server)
    held: list[Any] = []
    faults: list[str] = []

    def open_some(first: int) -> None:
        try:
            for number in range(first, goal, OPENERS):
                source = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
                connection = field.suite.imap(server, number % server["nusers"], source)
                connection.cmd("SELECT INBOX")
                connection.k.sendall(b"i IDLE\r\n")
                connection.wait("i", "plus")
                connection.buf = None
                held.append(connection)
        except Exception as error:  # said by the row, not lost in a thread
            faults.append(repr(error))

    field.mark()
    began = time.perf_counter()
    try:
        openers = [threading.Thread(target=open_some, args=(n,), daemon=True) for n in range(OPENERS)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
        took = time.perf_counter() - began
        if faults:
            raise RuntimeError(f"{len(held)} of {goal} connected: {faults[0]}")
        settle(field, server)
        resident, proportional, _ = field.suite.memory(server)
        cpu = field.suite.cpu(server)
        time.sleep(field.seconds)
        cpu = field.suite.cpu(server) - cpu
        field.mark()
    finally:
        for connection in held:
            connection.k.close()
    return {
        "each": (proportional - before) * 1024 / goal,
        "rss": resident,
        "pss": proportional,
        "core": cpu / field.seconds * 100,
        "count": goal,
        "seconds": took + field.seconds,
    }
