"""A connection that speaks HTTP: the house's `Connection` outwards, aiohttp's protocol inwards.

What arrives before aiohttp is there waits in the stream. Deadlines of requests are aiohttp's (`app`), those of the
handshake, of the last octets and of the drain are the house's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from daemon.config import Config
from daemon.flow.judging import Judge
from daemon.serve.connection import Connection, Owner
from daemon.serve.login import Door
from daemon.serve.tls import Keyring
from daemon.serve.web import validation
from daemon.store.db import Store

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

    from daemon.serve.listen import Counts
    from daemon.serve.refusals import Refusals
    from daemon.serve.web.health import Health

STOPPING = "the server is being stopped"
WORDS = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\nRetry-After: 60\r\n\r\n{}"

PEER: ContextVar[str] = ContextVar("peer")
"""The address of who is answered; behind a trusted proxy the one it names."""


class Visit(Connection):
    """One HTTP connection."""

    __slots__ = ("farewell", "_handler", "_over")

    def __init__(self, listener: Owner) -> None:
        super().__init__(listener)
        self.farewell: Callable[[str], None] | None = None  # ends an answer that lasts, and says why
        self._handler: RequestHandler | None = None
        self._over = self.loop.create_future()

    async def talk(self, handler: RequestHandler) -> None:
        """Everything from here on is the handler's, until the connection ends."""
        if self._gone or self.transport is None:
            return
        VISIT.set(self)
        PEER.set(self.peer)
        handler.connection_made(self.transport)  # begins the task that answers: it inherits the context
        self._handler = handler
        arrived = bytes(self.stream.buffer)
        self.stream.clear()
        self._resume_reading()
        if arrived:
            handler.data_received(arrived)
        if self.stream.eof or self.listener.closing:
            self._no_more()
        await self._over

    def _no_more(self) -> None:
        """Answer the request at hand, then close. aiohttp does not close who waits for a request."""
        handler = self._handler
        if handler is None or self._gone:
            return
        self.loop.call_soon(handler.close)  # once its task has begun, or it would wait all the same
        if handler._task_handler is not None:
            handler._task_handler.add_done_callback(lambda _: self.close())

    def received(self, data: bytes | memoryview) -> None:
        if self._handler is None:
            super().received(data)
        elif not self._ending:
            self._handler.data_received(bytes(data))

    def eof_received(self) -> bool:
        self._no_more()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handler is not None and not self._gone:
            self._handler.connection_lost(exc)
        super().connection_lost(exc)
        if not self._over.done():
            self._over.set_result(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        if self._handler is not None and self._write_held:
            self._handler.resume_writing()
        super().resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Words of the house, which would stand in the middle of an answer once there is a handler."""
        if self._handler is None:
            super().write(data)

    def drain_begins(self) -> None:
        if self.farewell is not None:
            self.farewell(STOPPING)
        self._no_more()
        super().drain_begins()


VISIT: ContextVar[Visit] = ContextVar("visit")
"""The connection whose request is being answered."""


class Web:
    """What stands behind `listen.http`, `listen.https`, `listen.admin` and `listen.metrics`; one per process."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        keyring: Keyring,
        door: Door,
        refusals: Refusals,
        counts: Counts,
        judge: Judge | None = None,
    ) -> None:
        """`judge` looks at what users send."""
        self._judge = judge
        self._store = store
        self._config = config
        self._keyring = keyring
        self._door = door
        self._refusals = refusals
        self._counts = counts
        self._health: Health | None = None
        self._loading: dict[str, asyncio.Task[web.AppRunner]] = {}

    async def context(self, sock: socket.socket) -> ssl.SSLContext:
        """The TLS of one connection. Raises `TimeoutError` as the caller bounds it, `OSError`."""
        return await validation.context(self._store, sock) or self._keyring.context

    async def serve(self, conn: Any) -> None:
        if conn.ssl_object is not None and validation.was_meant(conn.ssl_object):
            return
        load = {"metrics": self._metrics, "admin": self._admin}.get(conn.listener.name, self._pages)
        if load.__name__ not in self._loading:
            self._loading[load.__name__] = asyncio.create_task(load())
        runner = await asyncio.shield(self._loading[load.__name__])
        assert runner.server is not None
        await conn.talk(runner.server())

    async def close(self) -> None:
        for loading in self._loading.values():
            runner = await loading
            await runner.cleanup()

    # Loading takes a while, and others have the loop meanwhile.

    async def _pages(self) -> web.AppRunner:
        await asyncio.to_thread(__import__, "daemon.serve.web.app")
        from daemon.serve.web import app

        return await app.runner(self._store, self._config, self._door, self._healthy(), self._judge)

    async def _admin(self) -> web.AppRunner:
        await asyncio.to_thread(__import__, "daemon.serve.web.admin.app")
        from daemon.serve.web.admin import app

        return await app.runner(self._store, self._config, self._door)

    async def _metrics(self) -> web.AppRunner:
        await asyncio.to_thread(__import__, "daemon.serve.web.metrics")
        from daemon.serve.web import frame, metrics

        sources = metrics.Sources(self._store, self._config, self._refusals, self._counts)
        return await frame.started(metrics.application(sources, self._healthy()))

    def _healthy(self) -> Health:
        from daemon.serve.web.health import Health

        if self._health is None:
            self._health = Health(self._store)
        return self._health
