"""250 is a receipt for mail to others, too: the daemon is killed with SIGKILL while it sends, and nothing is lost.

Hosts out there write down every copy. Between two lives of the daemon the queue is looked at: a recipient who is still
in it although his copy arrived was in flight, and gets another one, the price of never losing any. No other copy may
be there twice, nothing may be there that nobody sent, and in the end the queue is empty.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.limits import LIMITS
from daemon.store.check import check
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.sink import Sink
from tests.stories.abroad import World, abroad

CLIENTS = 8
DOMAINS = ("one.example", "two.example", "three.example", "four.example")
PASSWORD = "wonderland"
TOKEN = re.compile(rb"^Subject: (\S+)\r$", re.MULTILINE)
Delivery = tuple[str, str]
"""A message's token and one of its recipients."""


@dataclass
class Sent:
    """A message that a client handed in. `acknowledged` once it heard 250."""

    data: bytes
    recipients: list[str]
    acknowledged: bool = False


@dataclass
class Books:
    """What all clients sent, by token."""

    sent: dict[str, Sent] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        return sum(sent.acknowledged for sent in list(self.sent.values()))


class Client(threading.Thread):
    """Hands in one message after the other, until the server is gone."""

    def __init__(self, server: Server, books: Books, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.books = books
        self.random = random.Random(seed)
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            with Peer(self.server.ports["submission"]) as peer:
                secret = base64.b64encode(f"\0{self.name}@example.test\0{PASSWORD}".encode()).decode()
                peer.says(f"EHLO x\r\nAUTH PLAIN {secret}\r\n".encode(), "220", "250", "235")
                while True:
                    self.send(peer)
        except (OSError, EOFError):
            pass
        except BaseException as fault:
            self.fault = fault

    def send(self, peer: Peer) -> None:
        token = f"{self.name}-{len(self.books.sent)}-{self.random.randrange(1 << 30)}"
        to = [
            f"{token}.{n}@{domain}" for n, domain in enumerate(self.random.sample(DOMAINS, self.random.choice((1, 3))))
        ]
        head = f"From: <{self.name}@example.test>\r\nSubject: {token}\r\nMessage-ID: <{token}@example.test>\r\n"
        head += "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n"
        data = head.encode() + (b"x" * 70 + b"\r\n") * self.random.choice((2, 30, 30, 1000))
        sent = self.books.sent[token] = Sent(data, to)
        envelope = [f"MAIL FROM:<{self.name}@example.test>", *(f"RCPT TO:<{address}>" for address in to), "DATA\r\n"]
        peer.says("\r\n".join(envelope).encode(), *["250"] * (1 + len(to)), "354")
        peer.says(data + b".\r\n", "250 2.0.0")
        sent.acknowledged = True


def copies(sinks: list[Sink], books: Books) -> Counter[Delivery]:
    """How many copies each recipient has; each must be what was sent."""
    found: Counter[Delivery] = Counter()
    for sink in sinks:
        for copy in sink.copies:
            token = TOKEN.search(copy.data)
            assert token is not None, copy.data[:300]
            sent = books.sent[token[1].decode()]
            assert copy.data.endswith(b"\r\n" + sent.data) and copy.data.startswith(b"Received: "), "changed on its way"
            assert set(copy.recipients) <= set(sent.recipients), "somebody it was not for"
            found.update((token[1].decode(), recipient) for recipient in copy.recipients)
    return found


async def story(path: Path, kills: int) -> None:
    dice = random.Random(11)
    names = [f"c{number}" for number in range(CLIENTS)]
    users = {f"{name}@example.test": PASSWORD for name in names}
    books, interrupted = Books(), 0
    again = Counter[Delivery]()  # copies that came to nobody's credit: the recipient was in the queue afterwards
    async with abroad(path, users, running=False) as world:
        sinks = [await world.domain(domain) for domain in DOMAINS]
        for _ in range(kills):
            enough = books.acknowledged + 6  # before it is killed, however slow the machine
            await world.start()
            for sink in sinks:
                sink.on("RCPT", "450 4.7.1 come again", times=dice.randrange(5))
            clients = [Client(world.server, books, name, dice.randrange(1 << 30)) for name in names]
            for client in clients:
                client.start()
            await world.settled(lambda enough=enough: books.acknowledged >= enough)
            await asyncio.sleep(dice.uniform(0.3, 1.5))  # the moment is the story's chance, not a wait for luck
            await world.kill()
            for client in clients:
                await asyncio.to_thread(client.join, 60)
                assert not client.is_alive() and client.fault is None, repr(client.fault)
            await world.settled(lambda: not any(sink.open for sink in sinks))
            arrived = copies(sinks, books)
            waiting = {(token_of(entry.recipient), entry.recipient) for entry in world.queued()}
            again |= Counter(
                {delivery: arrived[delivery] for delivery in waiting}
            )  # never fewer than at the kill before
            interrupted += len(waiting)
            assert sound(world)
        await world.start()
        await world.settled(lambda: not world.queued(), patience=60)
        assert await world.stop() == 0
        assert sound(world)
        assert not await world.mailctl("mail", "list", "--json"), "somebody was told that something failed"
    judge(books, copies(sinks, books), again)
    assert interrupted > kills, "the queue was never busy: the story proved little"


def sound(world: World) -> bool:
    found = list(check(world.store))
    assert not found, found
    return True


def token_of(recipient: str) -> str:
    return recipient.partition("@")[0].rpartition(".")[0]


def judge(books: Books, arrived: Counter[Delivery], again: Counter[Delivery]) -> None:
    acknowledged = 0
    for token, sent in books.sent.items():
        deliveries = [(token, recipient) for recipient in sent.recipients]
        if not sent.acknowledged and not any(arrived[delivery] for delivery in deliveries):
            continue  # cut off before it was taken
        acknowledged += sent.acknowledged
        for delivery in deliveries:
            assert arrived[delivery] == 1 + again[delivery], f"{delivery}: {arrived[delivery]}, {sent.acknowledged=}"
    assert acknowledged > 20, "too little to prove anything"


@pytest.mark.timeout(120)
async def test_sigterm_while_it_sends_costs_not_one_second_copy(tmp_path: Path) -> None:
    """What is being sent is finished and written down; a host that hangs is left when the time is up."""
    users = {f"c{number}@example.test": PASSWORD for number in range(CLIENTS)}
    books = Books()
    async with abroad(tmp_path, users, running=False) as world:
        sinks = [await world.domain(domain) for domain in DOMAINS]
        hung = await world.domain("hung.example")
        hung.on("BDAT", "stall")
        await world.start()
        await world.submit("c0@example.test", "x@hung.example")
        await world.settled(lambda: any(c.startswith("BDAT") for session in hung.sessions for c in session.commands()))
        clients = [Client(world.server, books, f"c{number}", number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        await world.settled(lambda: sum(len(sink.copies) for sink in sinks) > 100)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await world.stop() == 0
        assert loop.time() - started < LIMITS.drain + LIMITS.linger + 3
        for client in clients:
            await asyncio.to_thread(client.join, 60)
            assert isinstance(client.fault, AssertionError | None) and "421 4.3.2" in str(client.fault or "421 4.3.2")
        (entry,) = world.queued("x@hung.example")
        assert entry.state == "due", "nobody's lease stands in the way of the next start"
        hung.behave()
        await world.start()
        await world.settled(lambda: not world.queued(), patience=60)
        assert await world.stop() == 0
        assert sound(world) and len(hung.copies) == 1
    judge(books, copies(sinks, books), Counter())


@pytest.mark.timeout(300)
async def test_nothing_acknowledged_is_lost_when_the_daemon_is_killed_while_it_sends(tmp_path: Path) -> None:
    await story(tmp_path, kills=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_nothing_acknowledged_is_lost_in_fifty_kills_while_it_sends(tmp_path: Path) -> None:
    await story(tmp_path, kills=50)
