"""A server, its users at work, and a stranger at the door: what every story of `test_hostile` stands on."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

from daemon.store.check import check
from daemon.store.db import Store
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.vitals import MIB, Vitals

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
PASSWORD = "wonderland"
GROWTH = 30 * MIB  # what a stranger may make the server take
QUICK = 2.0  # seconds in which the others are answered, on a busy machine too
FILES = 12  # files that the server itself may have opened meanwhile: a segment, a reader's connection
SETTLED = 15  # seconds until nothing of a stranger is left
GREETINGS = {
    "smtp": b"220 ", "submission": b"220 ", "lmtp": b"220 ", "imap": b"* OK", "pop3": b"+OK",
    "managesieve": b'"IMPLEMENTATION" ',
}  # fmt: skip


class Neighbourhood:
    """The server and those who use it while a stranger comes: one session of each protocol, logged in."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.vitals = Vitals(server.pid)
        self.smtp = opened(server, "smtp")
        self.imap = opened(server, "imap")
        self.imap.command(f"LOGIN {ALICE} {PASSWORD}")
        self.pop3 = opened(server, "pop3")
        self.pop3.send(f"USER {BOB}\r\nPASS {PASSWORD}\r\n".encode())
        assert self.pop3.line().startswith(b"+OK") and self.pop3.line().startswith(b"+OK")
        self.warm_up()
        self.memory = self.sockets = self.descriptors = self.logged = 0
        self.strangers = strangers(self)

    def warm_up(self) -> None:
        """What is loaded at the first use is no stranger's doing."""
        self.deliver(b"Subject: warm\r\n\r\n" + b"x" * 2 * MIB + b"\r\n")
        self.imap.command("SELECT INBOX")
        self.imap.command("FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        self.imap.command("SEARCH BODY nothing")
        for door in ("imaps", "pop3s", "submissions"):
            with Peer(self.server.ports[door], tls=True) as peer:
                peer.line()
        self.calm()

    def calm(self) -> None:
        """Everybody is answered at once."""
        started = time.monotonic()
        self.smtp.says("NOOP", "250 ")
        self.imap.command("NOOP")
        self.pop3.send("NOOP")
        assert self.pop3.line().startswith(b"+OK")
        assert time.monotonic() - started < QUICK

    def deliver(self, message: bytes = b"Subject: x\r\n\r\nx\r\n", recipient: str = ALICE) -> None:
        self.smtp.says("EHLO home.example.org", "250")
        self.smtp.says("MAIL FROM:<home@example.org>", "250")
        self.smtp.says(f"RCPT TO:<{recipient}>", "250")
        self.smtp.says("DATA", "354")
        self.smtp.says(message + b".\r\n", "250 2.0.0")

    def subjects(self, since: int = 0) -> list[bytes]:
        """The subjects of the messages in ALICE's INBOX with a UID over `since`."""
        self.imap.command("NOOP")
        found = self.imap.command(f"UID FETCH {since + 1}:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [response[1].strip() for response in found if int(response[0].split(b"UID ")[1].split()[0]) > since]

    def last_uid(self) -> int:
        found = self.imap.command("UID FETCH * (UID)")
        return int(found[-1][0].split(b"UID ")[1].rstrip(b")")) if found else 0

    def before(self) -> None:
        """Note how things are."""
        self.calm()
        self.until(lambda: self.vitals.sockets() == self.at_peace())
        self.vitals.forget_most()
        self.memory = self.vitals.memory()
        self.sockets = self.vitals.sockets()
        self.descriptors = self.vitals.descriptors()
        self.logged = len(self.server.log())

    def at_peace(self) -> int:
        """How many sockets there are when only we are here."""
        if not self.sockets:
            self.sockets = self.vitals.sockets()
        return self.sockets

    def after(self) -> None:
        """When the stranger is gone: nothing is left of him, and nothing is broken."""
        self.calm()
        assert self.vitals.memory() - self.memory < GROWTH
        self.until(lambda: self.vitals.sockets() <= self.sockets)
        self.until(lambda: self.vitals.descriptors() <= self.descriptors + FILES)
        log = self.server.log()[self.logged :]
        assert "Traceback" not in log and "-fault" not in log, log[-3000:]
        store = Store.open(self.server.data)
        try:
            assert not list(check(store))
        finally:
            store.close()

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + SETTLED
        while not holds():
            assert time.monotonic() < end, (
                f"{self.vitals.sockets()} sockets, before {self.sockets}; {self.vitals.descriptors()} files"
            )
            threading.Event().wait(0.01)

    def close(self) -> None:
        for peer in (self.smtp, self.imap, self.pop3):
            peer.close()


class Stranger:
    """Somebody with an address of his own. What he opens is closed for him when he goes."""

    def __init__(self, home: Neighbourhood, address: str) -> None:
        self.home = home
        self.address = address
        self.peers: list[Peer] = []
        self.allowed = GROWTH

    def unharmed(self) -> None:
        """While he is here: others are answered at once, and at no moment was there much more memory in use."""
        self.home.calm()
        grown = self.home.vitals.most_memory() - self.home.memory
        assert grown < self.allowed, f"memory grew by {grown / MIB:.1f} MiB"

    def at(self, door: str, *, tls: bool = False) -> Peer:
        """Connected, nothing heard."""
        self.peers.append(Peer(self.home.server.ports[door], tls=tls, source=self.address))
        return self.peers[-1]

    def greeted(self, door: str) -> Peer:
        peer = self.at(door)
        assert peer.line().startswith(GREETINGS[door])
        while door == "managesieve" and not peer.line().startswith(b"OK"):
            pass
        return peer

    def ehlo(self, door: str = "smtp") -> Peer:
        peer = self.greeted(door)
        peer.says(f"{'LHLO' if door == 'lmtp' else 'EHLO'} stranger.example.org", "250")
        return peer

    def in_data(self) -> Peer:
        """In the middle of a transaction, asked for the message."""
        peer = self.ehlo()
        peer.says(f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode(), "250", "250", "354")
        return peer

    def logged_in(self) -> Peer:
        peer = self.greeted("imap")
        peer.command(f"LOGIN {ALICE} {PASSWORD}")
        return peer

    def keeper(self) -> Peer:
        """Logged in to keep scripts."""
        peer = self.greeted("managesieve")
        peer.send(b'AUTHENTICATE "PLAIN" "%s"\r\n' % b64encode(f"\0{CAROL}\0{PASSWORD}".encode()))
        assert peer.line().startswith(b"OK")
        return peer

    def go(self) -> None:
        for peer in self.peers:
            peer.close()
        self.peers.clear()


def opened(server: Server, door: str) -> Peer:
    peer = Peer(server.ports[door])
    assert peer.line().startswith(GREETINGS[door])
    return peer


def strangers(home: Neighbourhood) -> Iterator[Stranger]:
    """One after the other, each with an address nobody had before."""
    number = 0
    while True:
        number += 1
        yield Stranger(home, f"127.7.{number // 200}.{number % 200 + 1}")
