"""A post office for tests: a real store, the SMTP doors on real sockets, and a client that talks in lines."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from daemon.config import Config, DataDir
from daemon.flow.judging import Judge
from daemon.mail.address import parse_address
from daemon.resolver import Resolver
from daemon.serve import listen, tls
from daemon.serve.login import Door
from daemon.serve.refusals import Refusals
from daemon.serve.smtp import doors as smtp_doors
from daemon.serve.smtp.post import Post
from daemon.serve.smtp.session import Smtp
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.store import accounts, aliases, domains, events, messages
from daemon.store.db import Store

ALICE, BOB = "alice@example.test", "bob@example.test"
MESSAGE = b"From: Some One <one@remote.example>\r\nTo: <alice@example.test>\r\nSubject: hello\r\n\r\nGood morning.\r\n"


class PostOffice:
    """`settings` are named with `__` for the dot. Doors open on first use. Mail is checked if there is a `resolver`."""

    def __init__(self, path: Path, resolver: Resolver | None = None, **settings: str) -> None:
        self.store = Store.open(DataDir(path / "data"))
        self.store.reserve = 0
        self.store.attach(asyncio.get_running_loop())
        self.settings = {"hostname": "mx.example.test"}
        self.settings |= {f"listen.{name}": "127.0.0.1:0" for name in smtp_doors.DOORS}
        self.set(**settings)
        self.keyring = Keyring(self.store, lambda: self.config)
        self.bans = Bans(self.store)
        self.refusals = Refusals(self.store)
        self.door = Door(self.store, lambda: self.config, self.bans, self.refusals)
        self.doors = listen.Doors(lambda: self.config, self.keyring, self.bans, self.refusals)
        judge = Judge(self.store, resolver) if resolver is not None else None
        self.post = Post(
            self.store, lambda: self.config, self.door, self.refusals, lambda: self.keyring.context,
            lambda: self.keyring.port25_context, tls.end_point_of, judge,
        )  # fmt: skip
        self.stop = asyncio.Event()
        bound = listen.bind(self.config, smtp_doors.DOORS, {})
        self.ports = {name: sock.getsockname()[1] for name, sock in bound}
        self.doors.open(
            {
                name: listen.Service(
                    name, lambda owner: smtp_doors.connection(owner, self.post), Smtp.serve, listen.SMTP_WORDS,
                    name == "submissions",
                )
                for name in smtp_doors.DOORS
            },
            bound,
        )  # fmt: skip
        self.serving = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        await self.stop.wait()
        await self.doors.drain()
        await self.door.close()
        await self.refusals.flush()
        self.bans.close()
        self.keyring.close()

    def set(self, **settings: str) -> None:
        """Change settings, named with `__` for the dot."""
        self.settings |= {key.replace("__", "."): value for key, value in settings.items()}
        self.config = Config(self.settings.items())

    def write(self, work: Any, *args: Any, **options: Any) -> Any:
        return self.store.write_now(lambda tx: work(tx, *args, **options))

    def add_user(self, address: str, password: accounts.Password | None = None, **options: Any) -> int:
        target = parse_address(address)
        if self.store.peek(domains.find, target.domain) is None:
            self.write(domains.add, target.domain)
        return int(self.write(accounts.add, target, password, **options))

    def add_alias(self, address: str, *targets: str) -> None:
        self.write(aliases.add, parse_address(address), [parse_address(t) for t in targets])

    @contextlib.asynccontextmanager
    async def client(self, name: str = "smtp") -> AsyncIterator[Client]:
        context = anyone() if name == "submissions" else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[name], ssl=context, limit=1 << 24)
        client = Client(reader, writer)
        try:
            yield client
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def greeted(self, name: str = "smtp") -> AsyncIterator[Client]:
        """A client past the greeting and EHLO."""
        async with self.client(name) as client:
            assert (await client.reply())[0].startswith("220 ")
            await client.says("LHLO client.example" if name == "lmtp" else "EHLO client.example", "250")
            yield client

    async def settled(self) -> None:
        """Every session is over."""
        for listener in self.doors.listeners:
            await asyncio.gather(*listener.tasks)

    @property
    def sessions(self) -> list[Smtp]:
        return [conn for listener in self.doors.listeners for conn in listener.connections]  # type: ignore[misc]

    def mail_of(self, address: str, mailbox: str = "INBOX") -> list[bytes]:
        """The messages in a mailbox, as they would be fetched."""

        def look(tx: Any) -> list[bytes]:
            account = accounts.get(tx, parse_address(address))
            row = tx.one("select id from mailbox where account_id = ? and name = ?", account.id, mailbox)
            columns = ("prefix", "segment_id", "offset", "length")
            rows = messages.fetch(tx, row[0], messages.ALL, columns)
            return [row[0] + self.store.segments.read(*row[1:]) for row in rows]

        return self.store.read_now(look)

    def content_of(self, address: str) -> list[bytes]:
        """The same without what we put in front."""
        return [message.split(b" +0000\r\n", 1)[1] for message in self.mail_of(address)]

    def queued(self) -> list[tuple[Any, ...]]:
        """(sender, recipient, origin, notify, orcpt, ret, envid) of all that waits to go out."""
        return self.store.read_now(
            lambda tx: tx.all(
                "select m.sender, r.address, m.origin, r.notify, r.orcpt, m.ret, m.envid from queue_message m"
                " join queue_recipient r on r.message_id = m.id order by r.id"
            )
        )

    def story(self, trace: str) -> list[tuple[str, str]]:
        return [(event.kind, event.reason) for event in self.store.read_now(events.of_trace, trace)]

    async def refused(self) -> list[dict[str, Any]]:
        await self.refusals.flush()
        return self.store.read_now(lambda tx: events.refusals(tx))

    async def close(self) -> None:
        for conn in self.sessions:
            conn.abort()
        self.stop.set()
        async with asyncio.timeout(20):
            await self.serving
        self.store.close()


def anyone() -> ssl.SSLContext:
    """A client that trusts every certificate: the server makes its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """Talks SMTP without knowing it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes | str) -> None:
        """Octets as they are; a line as text."""
        self.writer.write(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    async def reply(self) -> list[str]:
        """The lines of one reply; empty when the server closed."""
        lines = []
        async with asyncio.timeout(20):
            while line := (await self.reader.readline()).decode():
                assert line.endswith("\r\n"), line
                lines.append(line[:-2])
                if line[3] == " ":
                    break
        return lines

    async def says(self, line: bytes | str, *want: str) -> str:
        """Send a line; the replies must begin with `want`. The last line of the last one."""
        self.send(line)
        last = ""
        for each in want:
            lines = await self.reply()
            assert lines and lines[-1].startswith(each), f"{line!r}: {lines}, not {each}"
            last = lines[-1]
        return last

    async def gives(self, message: bytes, *want: str, sender: str = "one@remote.example", to: str = ALICE) -> str:
        """A whole message; the reply to its dot must begin with `want`."""
        await self.says(f"MAIL FROM:<{sender}>", "250 2.1.0")
        for recipient in to.split():
            await self.says(f"RCPT TO:<{recipient}>", "250 2.1.5")
        await self.says("DATA", "354")
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        return await self.says(stuffed + b".\r\n", *(want or ("250 2.0.0",)))

    async def start_tls(self) -> None:
        """STARTTLS, and EHLO anew."""
        await self.says("STARTTLS", "220 2.0.0")
        await self.writer.start_tls(anyone())
        await self.says("EHLO client.example", "250")

    async def closed(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(20):
            return await self.reader.read()
