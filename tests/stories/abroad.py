"""A server of ours and the rest of the world: a name server, and hosts on loopback addresses that take mail.

    async with abroad(tmp_path, {ALICE: PASSWORD}) as world:
        sink = await world.host("mx.there.example")            # at an address of its own, with an A record
        world.dns.add("there.example. MX 10 mx.there.example.")
        trace = await world.submit(ALICE, "x@there.example")
        await sink.wait(1)

All hosts, ours too, listen on one port, as on 25 out there. What blocks is done in threads: sinks go on answering.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from daemon.admin import queue as desk
from daemon.admin.queue import Entry, Wanted
from daemon.store.db import Store
from tests.instruments.dns_server import DNSServer
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.sink import ALL, Sink
from tests.instruments.until import PATIENCE, soon
from tests.mailctl.conftest import Ctl

HOST, DOMAIN = "mx.example.test", "example.test"
ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", "wonderland"
SETTINGS = {"limits.exempt_networks": "127.0.0.0/8", "queue.retry": "1s", "queue.warn_after": "0s"}
_numbers = itertools.count(1)


class World:
    """Made by `abroad`. `server` is ours; `store` is a look into what it keeps."""

    def __init__(self, server: Server, dns: DNSServer, users: Mapping[str, str]) -> None:
        self.server = server
        self.dns = dns
        self.users = users
        self.port = server.ports["smtp"]
        self.store = Store.open(server.data)
        self._ctl = Ctl(server.data.path)
        self._addresses = itertools.count(2)
        self._hosts = AsyncExitStack()

    # -- who else is there ---------------------------------------------------------------------------------------------

    def address(self) -> str:
        """One that nobody has."""
        return f"127.0.0.{next(self._addresses)}"

    async def host(self, name: str, offers: Sequence[str] = ALL, *, address: str = "", **more: Any) -> Sink:
        """A host that takes mail, and its address record."""
        sink = Sink(tuple(offers), host=address or self.address(), port=self.port, **more)
        self.dns.add(f"{name}. {'AAAA' if ':' in sink.host else 'A'} {sink.host}")
        return await self._hosts.enter_async_context(sink)

    async def domain(self, name: str, offers: Sequence[str] = ALL, **more: Any) -> Sink:
        """A domain with one host."""
        self.dns.add(f"{name}. MX 10 mx.{name}.")
        return await self.host(f"mx.{name}", offers, **more)

    # -- what people do ------------------------------------------------------------------------------------------------

    async def submit(
        self, sender: str, *to: str, subject: str = "", text: str | bytes = "Hello.\r\n", mail: str = "", rcpt: str = ""
    ) -> str:
        """One of our users sends; the trace. `mail` and `rcpt` are parameters of these commands."""
        return await asyncio.to_thread(self._submit, sender, to, subject, text, mail, rcpt)

    def _submit(
        self, sender: str, to: Sequence[str], subject: str, text: str | bytes, mail: str, rcpt: str
    ) -> str:  # fmt: skip
        with Peer(self.server.ports["submission"]) as peer:
            secret = base64.b64encode(f"\0{sender}\0{self.users[sender]}".encode()).decode()
            peer.says("EHLO laptop.example.test", "220", "250")
            peer.says(f"AUTH PLAIN {secret}", "235")
            return send(peer, sender, to, letter(sender, subject, text), mail, rcpt)

    async def arrive(self, sender: str, *to: str, data: bytes = b"", subject: str = "") -> str:
        """A message comes from outside; the trace."""

        def work() -> str:
            with Peer(self.port) as peer:
                peer.says("EHLO mx.outside.example", "220", "250")
                return send(
                    peer, sender, to, data or letter(sender or "postmaster@outside.example", subject, "Hi.\r\n")
                )

        return await asyncio.to_thread(work)

    async def inbox(self, user: str, box: str = "INBOX") -> list[bytes]:
        """The messages in a mailbox, over IMAP."""

        def work() -> list[bytes]:
            with Peer(self.server.ports["imap"]) as peer:
                peer.line()
                peer.command(f"LOGIN {user} {self.users[user]}")
                peer.command(f"EXAMINE {box}")
                return [response[1] for response in peer.command("FETCH 1:* (BODY.PEEK[])") if len(response) > 1]

        return await asyncio.to_thread(work)

    async def notice(self, user: str, about: str) -> bytes:
        """The one message in a user's INBOX with this in it, once it is there."""
        async with asyncio.timeout(PATIENCE):
            while not (found := [message for message in await self.inbox(user) if about.encode() in message]):
                await asyncio.sleep(0.02)
        assert len(found) == 1, f"{len(found)} notices about {about}"
        return found[0]

    async def mailctl(self, *words: str, input: str | None = None) -> str:
        return await asyncio.to_thread(self._ctl.ok, *words, input=input)

    async def configure(self, key: str, value: str) -> None:
        """Change a setting, and wait until the server goes by it."""
        line = re.compile(rf"event=settings-changed keys=\S*\b{re.escape(key)}\b")
        same = (await self.mailctl("config", "get", key)).strip() == value
        before = len(line.findall(self.server.log()))
        await self.mailctl("config", "set", key, value)
        await self.settled(lambda: same or len(line.findall(self.server.log())) > before)

    async def story(self, trace: str) -> list[dict[str, Any]]:
        """What `mailctl trace` tells of a message, step by step."""
        (told,) = [json.loads(line) for line in (await self.mailctl("trace", trace, "--json")).splitlines()]
        return list(told["steps"])

    # -- looking and waiting -------------------------------------------------------------------------------------------

    def queued(self, to: str = "") -> list[Entry]:
        return desk.entries(self.store, Wanted(recipient=to or None))

    async def settled(self, true: Callable[[], object], patience: float = 20) -> None:
        await soon(true, lambda: f"{self.queued()}\n{self.server.log()[-3000:]}", patience)

    async def gone(self, to: str = "") -> None:
        """Until nothing for that address is in the queue any more."""
        await self.settled(lambda: not self.queued(to))

    async def tried(self, to: str, times: int = 1) -> Entry:
        """Until it was tried so often; the entry."""
        await self.settled(lambda: any(entry.attempts >= times for entry in self.queued(to)))
        return self.queued(to)[0]

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def stop(self) -> int:
        return await asyncio.to_thread(self.server.stop)

    async def kill(self) -> None:
        await asyncio.to_thread(self.server.kill)

    async def close(self) -> None:
        await self.kill()
        await self._hosts.aclose()
        self.store.close()


def letter(sender: str, subject: str = "", text: str | bytes = "Hello.\r\n") -> bytes:
    number = next(_numbers)
    head = (
        f"From: <{sender}>\r\nTo: undisclosed-recipients:;\r\nSubject: {subject or f'letter {number}'}\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@laptop.example.test>\r\n"
    )
    if not str(text).isascii() or isinstance(text, bytes):
        head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return head.encode() + b"\r\n" + (text.encode() if isinstance(text, str) else text)


def send(peer: Peer, sender: str, to: Sequence[str], data: bytes, mail: str = "", rcpt: str = "") -> str:
    """One transaction; the trace that the answer names."""
    peer.says(f"MAIL FROM:<{sender}> {mail}".rstrip(), "250")
    for address in to:
        peer.says(f"RCPT TO:<{address}> {rcpt}".rstrip(), "250")
    peer.says("DATA", "354")
    return peer.says(data + b".\r\n", "250 2.0.0").split()[2]


@asynccontextmanager
async def abroad(
    path: Path, users: Mapping[str, str], config: Mapping[str, str] | None = None, *, running: bool = True
) -> AsyncIterator[World]:
    """The world, with our server running."""
    async with DNSServer(f"{HOST}. A 127.0.0.1\n{DOMAIN}. MX 10 {HOST}.", ttl=1) as dns:
        server = Server(path / "data", users, {**SETTINGS, "dns.servers": dns.at, **(config or {})})
        world = World(server, dns, users)
        await world.mailctl("config", "set", "smtp.out_port", str(world.port))
        try:
            if running:
                await world.start()
            yield world
        finally:
            await world.close()
        assert "Traceback" not in server.log(), server.log()[-5000:]
