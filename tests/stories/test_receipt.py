"""250 is a receipt: clients work, the daemon is killed with SIGKILL at random, and nothing acknowledged is ever lost.

Each client has a mailbox of its own and knows what must be in it: after an acknowledged step exactly the state after
it, after a step that was cut off either the state before or the state after, never anything between.
"""

from __future__ import annotations

import contextlib
import imaplib
import random
import re
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.instruments.server import Server

CLIENTS = 20
BOXES = ("INBOX", "Archive", "Trash")
TOKEN = re.compile(rb"^X-Token: (\S+)\r$", re.MULTILINE)
State = Counter[tuple[str, str]]
"""How often each (mailbox, token) is there."""


def message(token: str, size: int) -> bytes:
    lines = [f"line {number} of {token} " + "x" * 50 for number in range(size // 70 + 1)]
    head = f"From: <a@example.org>\r\nTo: <b@example.org>\r\nSubject: {token}\r\nX-Token: {token}\r\n\r\n"
    return (head + "\r\n".join(lines) + "\r\n").encode()


class Client(threading.Thread):
    """Sends, appends, copies, moves and expunges until the server is gone."""

    def __init__(self, server: Server, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.random = random.Random(seed)
        self.possible: list[State] = [Counter()]
        self.acknowledged = 0
        self.count = 0
        self.sizes: dict[str, int] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.work()
        except (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.abort):
            pass  # the server was killed: what was under way may or may not have happened
        except BaseException as error:
            self.error = error

    def work(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=60) as smtp, self.imap() as imap:
            smtp.ehlo("client.example.org")
            while True:
                step = self.random.choice((self.send, self.send, self.append, self.copy, self.move, self.expunge))
                step(smtp, imap)

    @contextlib.contextmanager
    def imap(self):  # type: ignore[no-untyped-def]
        imap = imaplib.IMAP4("127.0.0.1", self.server.ports["imap"], timeout=60)
        try:
            imap.login(f"{self.name}@example.test", "secret")
            yield imap
        finally:
            with contextlib.suppress(OSError):
                imap.shutdown()

    def step(self, after: State, act: Callable[[], object]) -> None:
        """Do it; both states are possible until it is acknowledged."""
        before = self.possible[0]
        self.possible = [before, after]
        act()
        self.possible = [after]
        self.acknowledged += 1

    def new_message(self) -> tuple[str, bytes]:
        self.count += 1
        token = f"{self.name}-{self.count}"
        data = message(token, self.random.choice((100, 2000, 2000, 30000)))
        self.sizes[token] = len(data)
        return token, data

    def send(self, smtp: smtplib.SMTP, imap: imaplib.IMAP4) -> None:
        token, data = self.new_message()
        after = self.possible[0] + Counter({("INBOX", token): 1})
        self.step(after, lambda: smtp.sendmail("a@example.org", [f"{self.name}@example.test"], data))

    def append(self, smtp: smtplib.SMTP, imap: imaplib.IMAP4) -> None:
        token, data = self.new_message()
        box = self.random.choice(BOXES)
        self.step(self.possible[0] + Counter({(box, token): 1}), lambda: ok(imap.append(box, "", "", data)))

    def copy(self, smtp: smtplib.SMTP, imap: imaplib.IMAP4) -> None:
        self.carry(imap, "COPY")

    def move(self, smtp: smtplib.SMTP, imap: imaplib.IMAP4) -> None:
        self.carry(imap, "MOVE")

    def carry(self, imap: imaplib.IMAP4, verb: str) -> None:
        source, target = self.random.sample(BOXES, 2)
        there = State({k: n for k, n in self.possible[0].items() if k[0] == source})
        if not there:
            return
        ok(imap.select(source))
        after = self.possible[0] + Counter({(target, token): n for (_, token), n in there.items()})
        if verb == "MOVE":
            after = after - there
        self.step(after, lambda: ok(imap._simple_command(verb, "1:*", target)))

    def expunge(self, smtp: smtplib.SMTP, imap: imaplib.IMAP4) -> None:
        box = self.random.choice(BOXES)
        there = State({k: n for k, n in self.possible[0].items() if k[0] == box})
        if not there:
            return
        ok(imap.select(box))
        ok(imap.store("1:*", "+FLAGS.SILENT", "\\Deleted"))
        self.step(self.possible[0] - there, lambda: ok(imap.expunge()))

    def verify(self) -> None:
        """What is there now is one of what may be there, whole; go on from it."""
        found: State = Counter()
        with self.imap() as imap:
            for box in BOXES:
                ok(imap.select(box))
                for part in ok(imap.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])"))[1]:
                    if not isinstance(part, tuple):
                        continue
                    data = part[1]
                    token = TOKEN.search(data)
                    assert token is not None, f"{self.name}: a message without its token: {data[:200]!r}"
                    name = token[1].decode()
                    assert data[-self.sizes[name] :].startswith(b"From: <a@example.org>"), "half a message"
                    assert f"RFC822.SIZE {len(data)}".encode() in part[0]
                    found[(box, name)] += 1
                imap.store("1:*", "-FLAGS.SILENT", "\\Deleted")  # an EXPUNGE that was cut off had marked them
        assert found in self.possible, (
            f"{self.name}: {found - self.possible[0]} too much, {self.possible[0] - found} lost"
        )
        self.possible = [found]


def ok(answer: tuple[str, list[object]]) -> tuple[str, list[object]]:
    if answer[0] != "OK":
        raise AssertionError(answer)
    return answer


def check_store(server: Server) -> None:
    command = [sys.executable, "-m", "mailctl", "--data", str(server.data.path), "doctor", "--store"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def story(path: Path, kills: int) -> None:
    names = [f"c{number}" for number in range(CLIENTS)]
    server = Server(
        path / "data", {f"{name}@example.test": "secret" for name in names}, {"limits.exempt_networks": "127.0.0.0/8"}
    )
    dice = random.Random(7)
    states: dict[str, Client] = {}
    acknowledged = 0
    for round_number in range(kills):
        server.start()
        clients = [Client(server, name, dice.randrange(1 << 30)) for name in names]
        for client in clients:
            if client.name in states:
                old = states[client.name]
                client.possible, client.count, client.sizes = old.possible, old.count, old.sizes
                client.verify()
        if round_number:
            check_store(server)
        for client in clients:
            client.start()
        threading.Event().wait(
            dice.uniform(0.2, 1.5)
        )  # the moment of the kill is the test's chance, not a wait for luck
        server.kill()
        for client in clients:
            client.join(60)
            assert not client.is_alive(), "a client hangs after the server's end"
            assert client.error is None, repr(client.error)
            acknowledged += client.acknowledged
            states[client.name] = client
    with server:
        for client in states.values():
            client.verify()
        check_store(server)
    assert acknowledged > kills * CLIENTS, "the clients got little done: the test proved little"


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_the_daemon_is_killed(tmp_path: Path) -> None:
    story(tmp_path, kills=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    story(tmp_path, kills=50)
