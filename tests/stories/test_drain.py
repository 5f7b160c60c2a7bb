"""The last ten seconds: SIGTERM ends a busy server, and what it said it took is there afterwards, once.

Sessions that rest hear a goodbye, transactions under way are finished, and who does not finish is shown out when the
time is up; the exit code is 0 (traps A19).
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.limits import LIMITS
from daemon.store.check import check
from daemon.store.db import Store
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until

ALICE, PASSWORD = "alice@example.test", "wonderland"
ENVELOPE = f"MAIL FROM:<x@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode()
CLOSING = "421 4.3.2"
CUT = "drain-cut"  # what the log says when the time is up for somebody
BUSY, IDLE = 50, 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", {ALICE: PASSWORD}, {"limits.exempt_networks": "127.0.0.0/8"}) as server:
        yield server


class Sender(threading.Thread):
    """Sends one message after the other until it is shown out."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.peer = Peer(server.ports["smtp"])
        self.peer.says("EHLO client.example.org", "220", "250")
        self.acknowledged: list[str] = []
        self.unanswered = ""  # a message that was sent whole
        self.last = ""
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.last.startswith("421"):
                self.send()
        except (OSError, EOFError):
            pass
        except BaseException as fault:
            self.fault = fault
        self.peer.close()

    def send(self) -> None:
        token = f"{self.name}-{len(self.acknowledged)}"
        self.peer.send(ENVELOPE)
        for want in ("250", "250", "354"):
            self.last = self.peer.reply()
            if self.last.startswith("421"):
                return
            assert self.last.startswith(want), self.last
        self.peer.send(letter(token) + b".\r\n")
        self.unanswered = token
        self.last = self.peer.reply()
        assert self.last.startswith("250 2.0.0"), self.last
        self.acknowledged.append(token)
        self.unanswered = ""


def letter(token: str) -> bytes:
    return f"Subject: {token}\r\n\r\n{token}\r\n".encode() + b"x" * 1000 + b"\r\n"


def idling(server: Server) -> Peer:
    peer = logged_in(server)
    peer.command("SELECT INBOX")
    peer.send("t9 IDLE")
    while not (line := peer.line()).startswith(b"+ "):
        assert line.startswith(b"* "), line
    return peer


def logged_in(server: Server) -> Peer:
    peer = Peer(server.ports["imap"])
    assert peer.line().startswith(b"* OK")
    peer.command(f"LOGIN {ALICE} {PASSWORD}")
    return peer


def kept(server: Server) -> Counter[str]:
    """The subjects of what is in ALICE's INBOX, asked of a server that was started anew."""
    with server, logged_in(server) as peer:
        peer.command("SELECT INBOX")
        found = peer.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return Counter(response[1].decode().strip().removeprefix("Subject: ") for response in found)


def is_closed(server: Server, door: str) -> bool:
    """Whether nobody is let in any more."""
    try:
        socket.create_connection(("127.0.0.1", server.ports[door]), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def is_sound(server: Server) -> bool:
    store = Store.open(server.data)
    try:
        return not list(check(store))
    finally:
        store.close()


@pytest.mark.timeout(180)
def test_a_busy_server_ends_in_time_and_loses_nothing_it_took(server: Server) -> None:
    idlers = [idling(server) for _ in range(IDLE)]
    slow = Peer(server.ports["smtp"])
    slow.says(b"EHLO slow.example.org\r\n" + ENVELOPE, "220", "250", "250", "250", "354")
    slow.send(b"Subject: slow\r\n\r\nthe first half, ")
    senders = [Sender(server, f"s{number}") for number in range(BUSY)]
    for sender in senders:
        sender.start()
    until(lambda: all(sender.acknowledged for sender in senders), "everybody is at work", 60)

    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    until(lambda: is_closed(server, "smtp"), "the doors are shut")
    slow.says(b"and the second\r\n.\r\n", "250 2.0.0", CLOSING)
    assert server.stop() == 0
    assert CUT not in server.log(), "that was in time"

    for sender in senders:
        sender.join(30)
        assert not sender.is_alive() and sender.fault is None, repr(sender.fault)
        assert not sender.unanswered, "a message under way was not finished"
    for peer in idlers:
        assert peer.rest().rpartition(b"* BYE ")[1], "an IDLE that ended without a word"
        peer.close()
    slow.close()
    assert "Traceback" not in server.log(), server.log()[-3000:]
    assert is_sound(server)
    wanted = Counter(token for sender in senders for token in sender.acknowledged) + Counter(["slow"])
    assert kept(server) == wanted


@pytest.mark.timeout(120)
def test_who_does_not_finish_is_shown_out_when_the_time_is_up(server: Server) -> None:
    endless = Peer(server.ports["smtp"])
    endless.says(b"EHLO slow.example.org\r\n" + ENVELOPE, "220", "250", "250", "250", "354")
    endless.send(b"Subject: never whole\r\n\r\n")
    appending = logged_in(server)
    appending.send("t8 APPEND INBOX {100+}")
    appending.send(b"Subject: never whole\r\n\r\n")
    between = Peer(server.ports["submission"])
    between.line()
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started > LIMITS.drain - 1
    assert f"{CUT} sessions=2" in server.log()
    assert endless.rest().startswith(CLOSING.encode())
    assert appending.rest().startswith(b"* BYE ")
    assert between.rest().startswith(CLOSING.encode()), "it waited for a command: that one hears it at once"
    for peer in (endless, appending, between):
        peer.close()
    assert "Traceback" not in server.log(), server.log()[-3000:]
    assert is_sound(server)
    assert not kept(server)


def test_a_server_at_rest_ends_at_once(server: Server) -> None:
    peers = [logged_in(server), Peer(server.ports["pop3"]), Peer(server.ports["lmtp"])]
    tls = Peer(server.ports["imaps"], tls=True)
    assert tls.line().startswith(b"* OK")
    assert server.stop() == 0
    assert CUT not in server.log(), "nobody was waited for"
    assert [peer.rest().splitlines()[-1][:5] for peer in (*peers, tls)] == [b"* BYE", b"-ERR ", b"421 4", b"* BYE"]
    for peer in (*peers, tls):
        peer.close()
