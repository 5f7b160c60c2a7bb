"""One connection to another server: bytes between a transport and the readers of `wire.smtp_client`.

The reader is stepped in the transport's own callbacks: a task wakes up once a transaction, not once a reply. Two
sentences prevent bugs:

1. Silence is the lack of a whole reply, or of room to write, for as long as the step may take; octets that trickle do
   not count. It is thrown into the reader, which knows what to make of it.
2. Once the connection is gone, what the reader wants to send goes nowhere, and it reads what was said before the end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from daemon.limits import LIMITS
from daemon.wire.smtp_client import Client, PeerSilent
from daemon.wire.stream import Reading, Stream

T = TypeVar("T")

_UNASKED = 64 * 1024  # octets a peer may say while nobody listens


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds each step may take. Tests are less patient."""

    connect: float = LIMITS.connect_patience
    stagger: float = LIMITS.connect_stagger
    handshake: float = LIMITS.handshake_patience
    greeting: float = LIMITS.out_greeting_patience
    command: float = LIMITS.out_command_patience
    content: float = LIMITS.out_content_patience
    end: float = LIMITS.out_end_patience
    quit: float = 5

    def of(self, step: str) -> float:
        match step:
            case "greeting":
                return self.greeting
            case "content":
                return self.content
            case "end":
                return self.end
        return self.command


class Peer(asyncio.Protocol):
    """Made by `dial`. `client` holds what is known of the other side."""

    def __init__(self, name: str, patience: Patience) -> None:
        self.loop = asyncio.get_running_loop()
        self.stream = Stream()
        self.client = Client(self.stream, name, line_limit=LIMITS.reply_line, lines_limit=LIMITS.reply_lines)
        self.address = ""
        self.local = ""  # our own
        self.transport: asyncio.Transport | None = None
        self.session: ssl.SSLObject | None = None
        self._patience = patience
        self._reading: Reading[Any] | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._no_room = False  # the transport asked us to stop writing
        self._stopped = False  # the reader waits for room
        self._since = 0.0  # of the last whole reply, or room
        self._heard = 0
        self._timer: asyncio.TimerHandle | None = None

    # -- what the transport tells --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.session = transport.get_extra_info("ssl_object")
        where = transport.get_extra_info("peername")
        if where and not self.address:
            self.address = where[0]
            self.local = (transport.get_extra_info("sockname") or ("",))[0]

    def data_received(self, data: bytes) -> None:
        self.stream.feed(data)
        if self._reading is not None and not self._stopped:
            self._step()
        elif len(self.stream) > _UNASKED:
            self.abort()

    def eof_received(self) -> bool:
        self._ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._ended()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        self._no_room = True

    def resume_writing(self) -> None:
        self._no_room = False
        self._since = self.loop.time()
        if self._stopped:
            self._stopped = False
            self._step()

    # -- driving -------------------------------------------------------------------------------------------------------

    async def take(self, reading: Reading[T]) -> T:
        """Drive `reading` to its end; its answer or its exception. One at a time."""
        self._reading = reading
        answer: asyncio.Future[T] = self.loop.create_future()
        self._answer = answer
        self._since = self.loop.time()
        if self._timer is None:
            self._watch()
        self._step()
        try:
            return await answer
        finally:
            self._reading = self._answer = None

    def _step(self, error: Exception | None = None) -> None:
        reading, answer = self._reading, self._answer
        if reading is None or answer is None or answer.done():
            return
        try:
            want = next(reading) if error is None else reading.throw(error)
            while want is not None:
                if self.transport is not None and not self.stream.eof:
                    self.transport.write(want.data)
                    if self._no_room:
                        self._stopped = True
                        return
                want = next(reading)
        except StopIteration as end:
            answer.set_result(end.value)
        except Exception as problem:
            answer.set_exception(problem)
        if self.client.heard != self._heard:
            self._heard = self.client.heard
            self._since = self.loop.time()

    def _ended(self) -> None:
        self.stream.feed_eof()
        self._stopped = False
        self._step()

    def _watch(self) -> None:
        """Look at the clock as seldom as the shortest patience allows, not at every write."""
        p = self._patience
        shortest = min(p.greeting, p.command, p.content, p.end)
        self._timer = self.loop.call_later(shortest, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._reading is None or self.transport is None:
            return
        left = self._since + self._patience.of("content" if self._stopped else self.client.step) - self.loop.time()
        if left > 0.001:
            self._timer = self.loop.call_later(left, self._look)
        elif self._stopped:
            self.client.broken = "takes what we send too slowly"
            self.abort()
        else:
            self._step(PeerSilent("silent"))

    # -- ends and TLS --------------------------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """The handshake, after 220 to STARTTLS. After an `OSError` (`ssl.SSLError` is one) the connection is gone."""
        transport = self.transport
        if transport is None:
            raise ConnectionResetError("connection lost before the handshake")
        self.stream.clear()  # RFC 3207 §4.2, CVE-2011-0411: nothing said in the clear counts
        new = await self.loop.start_tls(
            transport, self, context, server_hostname=host, ssl_handshake_timeout=self._patience.handshake
        )
        if new is None:
            raise ConnectionResetError("connection lost in the handshake")
        self.transport = new
        self.session = new.get_extra_info("ssl_object")

    async def close(self) -> None:
        """QUIT, with little patience, and away."""
        if self.transport is not None and self.client.usable:
            try:
                async with asyncio.timeout(self._patience.quit):
                    await self.take(self.client.quit())
            except Exception:  # whatever it says to a goodbye
                self.abort()
        self.abort()

    def abort(self) -> None:
        """Away at once."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        self._ended()


async def dial(
    addresses: Sequence[str],
    port: int,
    name: str,
    patience: Patience,
    *,
    local: Mapping[int, str] | None = None,
    context: ssl.SSLContext | None = None,
    host: str = "",
) -> Peer:
    """Connect to one of `addresses`, in their order; the next is tried beside one that is slow (RFC 8305).

    `local` maps 4 and 6 to our own address to come from. With `context` TLS begins at once, for `host`. Raises
    `OSError` with the last address's trouble, `TimeoutError` (one too) when none answered in time.
    """
    loop = asyncio.get_running_loop()
    waiting = list(addresses)
    trying: set[asyncio.Task[Peer]] = set()
    problem: OSError = TimeoutError(f"no connection within {patience.connect:g} s")
    end = loop.time() + patience.connect
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_connect(waiting.pop(0), port, name, patience, local, context, host)))
            left = end - loop.time()
            done, trying = await asyncio.wait(
                trying, timeout=min(left, patience.stagger) if waiting else left, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    trying |= done - {task}
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                problem = error
            if not done and loop.time() >= end:
                break
        raise problem
    finally:
        for task in trying:
            task.add_done_callback(_not_needed)
            task.cancel()


async def _connect(
    address: str,
    port: int,
    name: str,
    patience: Patience,
    local: Mapping[int, str] | None,
    context: ssl.SSLContext | None,
    host: str,
) -> Peer:
    ours = (local or {}).get(6 if ":" in address else 4)
    _, peer = await asyncio.get_running_loop().create_connection(
        lambda: Peer(name, patience), address, port, ssl=context, server_hostname=host if context else None,
        ssl_handshake_timeout=patience.handshake if context else None, local_addr=(ours, 0) if ours else None,
    )  # fmt: skip
    return peer


def _not_needed(task: asyncio.Task[Peer]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
