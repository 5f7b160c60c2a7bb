"""The web door of a server on loopback, and plain octets to try it with."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.config import Config, DataDir
from daemon.serve.listen import Doors, Service, bind
from daemon.serve.login import Door
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.serve.web import door
from daemon.serve.web.door import Visit, Web
from daemon.store import acme, domains
from daemon.store.db import Store


class Site:
    """`listen.http` and `listen.https` over a store with the domain example.org."""

    def __init__(self, path: Path) -> None:
        self.settings = {
            "hostname": "mail.example.org",
            "listen.http": "127.0.0.1:0",
            "listen.https": "127.0.0.1:0",
            "listen.admin": "127.0.0.1:0",
            "listen.metrics": "127.0.0.1:0",
        }
        self.store = Store.open(DataDir(path))
        self.store.attach(asyncio.get_running_loop())
        self.store.write_now(domains.add, "example.org")
        self.keyring = Keyring(self.store, self.config)
        self.bans = Bans(self.store)
        self.refusals = Refusals(self.store)
        self.doors = Doors(self.config, self.keyring, self.bans, self.refusals)
        self.door = Door(self.store, self.config, self.bans, self.refusals)
        self.web = Web(self.store, self.config, self.keyring, self.door, self.refusals, self.doors.counts)

    def config(self) -> Config:
        return Config(self.settings.items())

    def open(self) -> None:
        services = {
            "http": Service("http", Visit, self.web.serve, door.WORDS),
            "https": Service("https", Visit, self.web.serve, door.WORDS, True, self.web.context),
            "admin": Service("admin", Visit, self.web.serve, door.WORDS, True, self.web.context),
            "metrics": Service("metrics", Visit, self.web.serve, door.WORDS),
        }
        self.doors.open(services, bind(self.config(), services, {}))

    def port(self, name: str) -> int:
        return next(d.port for d in self.doors.listeners if d.name == name)

    def challenge(self, kind: str, name: str, token: str, answer: str, patience: int = 60_000) -> None:
        until = self.store.clock() + patience
        self.store.write_now(acme.put_challenge, kind, name, token, answer, until)

    async def dial(
        self, name: str = "https", host: str | None = "mta-sts.example.org", protocols: tuple[str, ...] = ()
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if name not in ("https", "admin"):
            return await asyncio.open_connection("127.0.0.1", self.port(name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return await asyncio.open_connection("127.0.0.1", self.port(name), ssl=context, server_hostname=host or "")

    async def ask(self, path: str, *, name: str = "https", host: str = "mta-sts.example.org", verb: str = "GET") -> str:
        """The whole answer to one request."""
        reader, writer = await self.dial(name)
        writer.write(f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
        await leave(writer)
        return answer

    async def close(self) -> None:
        await self.doors.drain(0)
        await self.web.close()
        await self.door.close()
        await self.refusals.flush()
        self.bans.close()
        self.keyring.close()
        self.store.close()


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "data")
    yield made
    await made.close()
