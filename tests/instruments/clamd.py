"""A clamd that says what a test wants it to say; it knows no code of the server.

    async with Clamd() as scanner:
        scanner.setting        # as in virus.scanner
        scanner.seen           # the messages it was shown

`answer` is what it says to INSTREAM: octets, or DROP (closes the connection), STALL (says nothing any more). By itself
it finds EICAR. `early` has it answer before it has heard the message, and hear no more.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import struct
from pathlib import Path
from types import TracebackType

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
DROP, STALL = b"drop", b"stall"


def _has_eicar(message: bytes) -> bool:
    """As it is, or in base64 with the beginning of a line."""
    return EICAR in message or base64.b64encode(EICAR)[:88] in message.replace(b"\r\n", b"")


class Clamd:
    def __init__(self, answer: bytes | None = None, *, early: bool = False, path: Path | None = None) -> None:
        self.answer = answer
        self.early = early
        self.path = path
        self.port = 0
        self.seen: list[bytes] = []
        self.connections = self.now = self.most = 0
        self.wait: asyncio.Event | None = None
        self.version = b"ClamAV 1.4.6/27500/Mon Nov 23 09:00:00 2026"
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def setting(self) -> str:
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Clamd:
        if self.path is not None:
            self._server = await asyncio.start_unix_server(self._connected, self.path)
        else:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self.now -= 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = await reader.readuntil(b"\0")
        if command == b"zVERSION\0":
            writer.write(self.version + b"\0")
            return
        assert command == b"zINSTREAM\0", command
        message = b""
        while not self.early:
            (size,) = struct.unpack("!I", await reader.readexactly(4))
            if not size:
                break
            message += await reader.readexactly(size)
        self.seen.append(message)
        if self.wait is not None:
            await self.wait.wait()
        answer = self.answer
        if answer is None:
            answer = b"stream: Eicar-Test-Signature FOUND\0" if _has_eicar(message) else b"stream: OK\0"
        if answer == STALL:
            await asyncio.Event().wait()
        elif answer != DROP:
            writer.write(answer)
            await writer.drain()
