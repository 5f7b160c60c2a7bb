"""A web server that says what a test wants, over TLS, byte for byte.

async with Https(serving(leaf), b"version: STSv1\\n...") as web:
    web.port, web.asked     # [("mta-sts.there.example", "/.well-known/mta-sts.txt"), ...]
    web.status = 404
    web.drip = True         # an octet now and then, for ever
"""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType


class Https:
    def __init__(self, context: ssl.SSLContext, body: bytes = b"", *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.body = body
        self.status = 200
        self.headers = {"Content-Type": "text/plain"}
        self.endless = False  # the body goes on and on
        self.drip = False
        self.asked: list[tuple[str, str]] = []
        self.sent = 0
        self._context = context
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Https:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = next(line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("host:"))
        self.asked.append((host.partition(":")[0], head.split(" ")[1]))
        length = {} if self.endless or self.drip else {"Content-Length": str(len(self.body))}
        fields = "".join(f"{name}: {value}\r\n" for name, value in {**self.headers, **length}.items())
        writer.write(f"HTTP/1.1 {self.status} so\r\n{fields}\r\n".encode() + self.body)
        await writer.drain()
        while self.endless or self.drip:
            piece = b"x: y\n" * (1 if self.drip else 13_000)
            writer.write(piece)
            self.sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0.02 if self.drip else 0)
