"""A milter that says what a test wants it to say, and keeps what it heard; it knows no code of the server.

    async with Milter({"E": [header("X-Spam-Flag", "YES"), CONTINUE]}) as milter:
        ...
        milter.heard      # [("C", b"..."), ("H", b"..."), ...], macros as ("D", ...)

Answers are lists of packets for the letter of a command; any other is told to continue. `DROP` closes the connection,
`STALL` says nothing any more. What is no packet is sent as it is.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

DROP, STALL = b"drop", b"stall"
PATIENCE = 5  # seconds


def packet(kind: str, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + kind.encode() + data


def options(actions: int = 0x1FF, steps: int = 0, version: int = 6, more: bytes = b"") -> bytes:
    return packet("O", struct.pack("!III", version, actions, steps) + more)


def header(name: str, value: str, kind: str = "h", number: int | None = None) -> bytes:
    """`h` adds; `i` inserts and `m` changes at a number."""
    return packet(kind, (b"" if number is None else struct.pack("!I", number)) + f"{name}\0{value}\0".encode("latin-1"))


def text(kind: str, words: str) -> bytes:
    return packet(kind, words.encode() + b"\0")


CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = map(packet, "cartd")


class Milter:
    def __init__(
        self, answers: Mapping[str, Sequence[bytes]] | None = None, *, greeting: bytes | None = None,
        mute: str = "", path: Path | None = None, host: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self.answers = answers or {}
        self.greeting = options() if greeting is None else greeting
        self.mute = mute
        self.path = path
        self.host = host
        self.port = 0
        self.heard: list[tuple[str, bytes]] = []
        self.connections = 0
        self.offered: tuple[int, ...] = ()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def setting(self) -> str:
        """As in filter.milters."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"inet6:[{self.host}]:{self.port}" if ":" in self.host else f"inet:{self.host}:{self.port}"

    def told(self, kind: str) -> list[bytes]:
        return [data for one, data in self.heard if one == kind]

    @property
    def order(self) -> str:
        """The letters of what it heard, without macros."""
        return "".join(kind for kind, _ in self.heard if kind != "D")

    def macros(self, command: str) -> dict[str, str]:
        """Those of the last time it heard that command."""
        (*_, data) = [data for data in self.told("D") if data[:1] == command.encode()]
        words = data[1:].decode().split("\0")
        return dict(zip(words[::2], words[1::2], strict=False))

    def answer(self, kind: str, data: bytes) -> Sequence[bytes]:
        return self.answers.get(kind, [CONTINUE])

    async def __aenter__(self) -> Milter:
        if self.path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
        else:
            self._server = await asyncio.start_server(self._serve, self.host, 0)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE)  # what was said last is still to be heard
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(4))
            data = await reader.readexactly(size)
            kind, data = data[:1].decode(), data[1:]
            self.heard.append((kind, data))
            if kind == "Q":
                return
            if kind == "O":
                self.offered = struct.unpack("!III", data)
                answer: Sequence[bytes] = self.answers.get("O", [self.greeting])
            elif kind in "DA" or kind in self.mute:
                continue
            else:
                answer = self.answer(kind, data)
            for words in answer:
                if words == DROP:
                    return
                if words == STALL:
                    while await reader.read(65536):
                        pass
                    return
                writer.write(words)
            await writer.drain()
