"""A real IMAP server on loopback, over a real store with Alice and Bob."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.config import Config, DataDir
from daemon.mail.address import Address
from daemon.mail.summary import summarize
from daemon.serve import listen, tls
from daemon.serve.connection import Connection
from daemon.serve.imap.service import Imap
from daemon.serve.login import Door
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.store import accounts, blobs, domains, mailboxes, messages
from daemon.store.db import Store
from daemon.store.messages import Placed
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.dialogs import runner

ALICE, BOB = Address("alice", "example.test"), Address("bob", "example.test")
PASSWORDS = {ALICE: "wonder land", BOB: "builder"}
HELLO = b"From: A <a@example.org>\r\nTo: <alice@example.test>\r\nSubject: hello\r\n\r\nGood morning.\r\n"
DOORS = ("imap", "imaps")


class MailHouse:
    """`settings` as text; doors open at once."""

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self.store = Store.open(DataDir(path / "data"))
        self.store.reserve = 0
        self.store.attach(asyncio.get_running_loop())
        self.settings = {"hostname": "mx.example.test", "auth.require_tls": "no", "auth.scram_plus": "yes"}
        self.settings |= {f"listen.{name}": "127.0.0.1:0" for name in DOORS}
        self.set(**settings)
        self.accounts = {address: self.add_user(address, password) for address, password in PASSWORDS.items()}
        self.keyring = Keyring(self.store, lambda: self.config)
        self.bans, self.refusals = Bans(self.store), Refusals(self.store)
        self.door = Door(self.store, lambda: self.config, self.bans, self.refusals)
        self.imap = Imap(self.store, lambda: self.config, self.door, lambda: self.keyring.context, tls.end_point_of)
        self.doors = listen.Doors(lambda: self.config, self.keyring, self.bans, self.refusals)
        services = {
            name: listen.Service(name, Connection, self.imap.serve, listen.IMAP_WORDS, name == "imaps")
            for name in DOORS
        }
        bound = listen.bind(self.config, DOORS, {})
        self.ports = {name: sock.getsockname()[1] for name, sock in bound}
        self.doors.open(services, bound)

    def set(self, **settings: str) -> None:
        self.settings |= {key.replace("__", "."): value for key, value in settings.items()}
        self.config = Config(self.settings.items())

    def add_user(self, address: Address, password: str) -> int:
        def work(tx: Tx) -> int:
            if domains.find(tx, address.domain) is None:
                domains.add(tx, address.domain)
            return accounts.add(tx, address, accounts.Password(*passwords.keep(password, b"0123456789abcdef", 4096)))

        return self.store.write_now(work)

    # -- mail that comes in --------------------------------------------------------------------------------------------

    async def deliver(
        self, *contents: bytes, to: Address = ALICE, mailbox: str = "INBOX", prefix: bytes = b"", **options: Any
    ) -> list[Placed]:
        """As SMTP would: all in one write."""
        bodies = [Body.of(content) for content in contents]
        summaries = [summarize(content) for content in contents]

        def work(tx: Tx) -> list[Placed]:
            return [
                messages.put(
                    tx, self.accounts[to], mailbox, blobs.keep(tx, body, summary), body.size, prefix=prefix, **options
                )
                for body, summary in zip(bodies, summaries, strict=True)
            ]

        return await self.store.write(work, bodies=bodies)

    async def fill(self, count: int, **options: Any) -> list[Placed]:
        """`count` different small messages; message n has the subject `number n`."""
        return await self.deliver(*(HELLO.replace(b"hello", b"number %d" % n) for n in range(1, count + 1)), **options)

    def box(self, name: str = "INBOX", of: Address = ALICE) -> mailboxes.Mailbox:
        return self.store.read_now(mailboxes.get, self.accounts[of], name)

    # -- clients -------------------------------------------------------------------------------------------------------

    async def says(self, dialogue: str, *, door: str = "imap", patience: int = 5, **variables: str) -> dict[str, str]:
        """Hold a conversation as `tests.dialogs.runner` has it; the variables at its end."""
        port = self.ports[door]
        return await runner.run(dialogue, "127.0.0.1", port, variables, tls=door == "imaps", patience=patience)

    @contextlib.asynccontextmanager
    async def client(self, address: Address | None = ALICE, select: str = "") -> AsyncIterator[Client]:
        """A client that talks in commands; logged in, with a mailbox open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["imap"], limit=1 << 26)
        client = Client(reader, writer)
        try:
            assert (await reader.readline()).startswith(b"* OK ")
            if address is not None:
                await client.ok(f'LOGIN {address} "{PASSWORDS[address]}"')
            if select:
                await client.ok(f"SELECT {select}")
            yield client
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        for listener in self.doors.listeners:
            for conn in tuple(listener.connections):
                conn.abort()
        async with asyncio.timeout(20):
            await self.doors.drain()
            await self.imap.close()
            await self.door.close()
            await self.refusals.flush()
        self.bans.close()
        self.keyring.close()
        self.store.close()


class Client:
    """Talks IMAP without knowing it: commands in, lines out. Literals stay inside their line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.count = 0

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def line(self) -> bytes:
        """The next line with its literals; empty at the end."""
        line = b""
        while True:
            line += await asyncio.wait_for(self.reader.readline(), 10)
            brace = line.rfind(b"{")
            if brace < 0 or not line.endswith(b"}\r\n") or not line[brace + 1 : -3].isdigit():
                return line.removesuffix(b"\r\n")
            line += await asyncio.wait_for(self.reader.readexactly(int(line[brace + 1 : -3])), 10)

    async def command(self, text: str | bytes) -> list[bytes]:
        """All lines of the answer, the tagged one last and without its tag."""
        self.count += 1
        tag = b"t%d" % self.count
        self.send(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return await self.answer(tag)

    async def answer(self, tag: bytes) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = await self.line()
            assert line, lines
            if line.startswith(tag + b" "):
                return [*lines, line.removeprefix(tag + b" ")]
            lines.append(line)

    async def command_until_closed(self, text: str) -> bytes:
        """What is said when a command ends the connection."""
        self.send(f"last {text}\r\n".encode())
        told = b""
        while line := await self.line():
            told += line + b"\n"
        return told

    async def ok(self, text: str | bytes) -> list[bytes]:
        """The untagged lines of a command that succeeds."""
        *lines, last = await self.command(text)
        assert last.startswith(b"OK"), last
        return lines

    async def fails(self, text: str | bytes, start: bytes = b"NO") -> bytes:
        """The tagged line of a command that does not."""
        last = (await self.command(text))[-1]
        assert last.startswith(start), last
        return last


def numbers(lines: Sequence[bytes], word: bytes) -> list[int]:
    """The numbers of lines like `* 3 EXPUNGE`."""
    return [int(line.split()[1]) for line in lines if line.split()[2:3] == [word]]


@pytest.fixture
def settings() -> dict[str, str]:
    """Settings of the server; tests parametrize it."""
    return {}


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> AsyncIterator[MailHouse]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    made = MailHouse(tmp_path, settings)
    try:
        yield made
    finally:
        await made.close()
