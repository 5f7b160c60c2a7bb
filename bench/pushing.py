"""The row of pushes: mail offered at a steady rate, and how long after the dot an idling client hears of it.

Offered load: message i is sent at its own moment, whether or not the earlier ones were answered, so a server that
stalls is charged for everything it delays.
"""

from __future__ import annotations

import re
import selectors
import threading
import time
from typing import Any

from bench.row import Field, Figures, Row, percentile
from bench.suite import Server

OFFERED = 20  # messages a second
MAILBOXES = 10  # that idle, in turn
SENDERS = 4  # connections
PATIENCE = 5.0  # seconds after the last dot; what was not pushed by then counts as that late
_EXISTS = re.compile(rb"\* (\d+) EXISTS")


class _Idlers:
    """Clients in IDLE, read by one thread; `seen[mailbox]` are the moments at which EXISTS named a further message."""

    def __init__(self, field: Field, server: Server) -> None:
        self.connections: list[Any] = []
        self.base: list[int] = []
        self.seen: list[list[float]] = [[] for _ in range(MAILBOXES)]
        for user in range(MAILBOXES):
            connection = field.suite.imap(server, user)
            answer = connection.cmd("SELECT INBOX", True)
            self.base.append(int(_EXISTS.findall(answer)[-1]))
            connection.k.sendall(b"i IDLE\r\n")
            connection.wait("i", "plus")
            self.connections.append(connection)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, connection in enumerate(self.connections):
                selector.register(connection.k, selectors.EVENT_READ, number)
            rest = [b""] * MAILBOXES
            while not self._stop.is_set():
                for key, _ in selector.select(0.2):
                    number = key.data
                    data = rest[number] + self.connections[number].k.recv(65536)
                    moment = time.perf_counter()
                    lines, _, rest[number] = data.rpartition(b"\n")
                    for found in _EXISTS.findall(lines):
                        more = int(found) - self.base[number] - len(self.seen[number])
                        self.seen[number] += [moment] * more

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self.connections:
            connection.k.sendall(b"DONE\r\n")
            connection.wait("i")
            if self.seen:
                connection.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)")
                connection.cmd("EXPUNGE")
            connection.close()


def _send(field: Field, server: Server, mine: range, start: float, dots: list[float], faults: list[str]) -> None:
    """Message numbers `mine`, each at its moment; the moment of its dot goes into `dots`."""
    try:
        peer = field.suite.module.Smtp(server)
        for number in mine:
            wait = start + number / OFFERED - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            peer.c("MAIL FROM:<sender@example.org>")
            peer.c(f"RCPT TO:<{server['rcpt'] % (number % MAILBOXES)}>")
            peer.c("DATA")
            dots[number] = time.perf_counter()
            peer.c(
                f"From: a@example.org\r\nTo: b@example.org\r\nSubject: push {number}\r\n"
                f"Message-ID: <{number}.{start}@push.example.org>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n"
                + "hello again\r\n" * 150
                + "."
            )
        peer.close()
    except Exception as error:  # said by the row, not lost in a thread
        faults.append(repr(error))


def pushed(field: Field, server: Server, row: Row) -> Figures:
    """Three times as long as the other cases: a p99 needs some hundreds of messages."""
    total = int(OFFERED * field.seconds * 3)
    idlers = _Idlers(field, server)
    try:
        dots = [0.0] * total
        faults: list[str] = []
        field.mark()
        start = time.perf_counter() + 0.5
        senders = [
            threading.Thread(
                target=_send, args=(field, server, range(n, total, SENDERS), start, dots, faults), daemon=True
            )
            for n in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if faults:
            raise RuntimeError(faults[0])
        due = [len(range(user, total, MAILBOXES)) for user in range(MAILBOXES)]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(len(idlers.seen[u]) < due[u] for u in range(MAILBOXES)):
            time.sleep(0.05)
        field.mark()
        late = []
        missed = 0
        for user in range(MAILBOXES):
            sent = sorted(dots[user::MAILBOXES])
            heard = idlers.seen[user]
            late += [moment - dot for dot, moment in zip(sent, heard, strict=False)]
            missed += len(sent) - len(heard)
        late += [PATIENCE] * missed
    finally:
        idlers.close()
    return {
        "p99": percentile(late, 0.99) * 1000,
        "p50": percentile(late, 0.50) * 1000,
        "missed": missed,
        "count": total,
        "seconds": total / OFFERED,
    }
