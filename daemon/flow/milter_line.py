"""The connection to a milter: packets out, packets in, each answer in its time. What is said, `milter` knows; that all
filters together are done in time, `engines` sees to."""

from __future__ import annotations

import asyncio
from typing import cast

from daemon.config import Socket
from daemon.flow.opinions import Broken, Patience
from daemon.limits import LIMITS
from daemon.wire import milter as wire
from daemon.wire.stream import Stream, WireError

_ENDED = "it closed the connection in the middle"


async def dial(where: Socket, patience: Patience) -> Line:
    """Raises `Broken`, `OSError`."""
    loop = asyncio.get_running_loop()

    def make() -> Line:
        return Line(patience)

    try:
        async with asyncio.timeout(LIMITS.filter_connect):
            if where.at is None:
                return (await loop.create_unix_connection(make, where.path))[1]
            return (await loop.create_connection(make, where.at.host, where.at.port))[1]
    except TimeoutError:
        raise Broken(f"no connection within {LIMITS.filter_connect} s") from None


class Line(asyncio.Protocol):
    """Made by `dial`. It is known at once when a filter speaks unasked."""

    def __init__(self, patience: Patience) -> None:
        self._stream = Stream()
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._no_room = False  # the transport asked us to stop writing
        self._full = False  # we asked it to stop reading
        self._packets = 0

    # -- what the transport tells --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._stream.feed(data)
        if len(self._stream) > LIMITS.milter_packet + 4 and self._transport is not None:
            self._full = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._stream.feed_eof()
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.feed_eof()
        self._no_room = False
        self._wake()

    def pause_writing(self) -> None:
        self._no_room = True

    def resume_writing(self) -> None:
        self._no_room = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- what is said, and heard ---------------------------------------------------------------------------------------

    def say(self, packets: bytes) -> None:
        """Raises `Broken` when something was said that nobody asked for."""
        if len(self._stream):
            raise Broken("it speaks without being asked")
        if self._stream.eof or self._transport is None:
            raise Broken(_ENDED)
        self._transport.write(packets)

    def leave(self) -> None:
        """Say goodbye; whether anybody still listens is the same. Raises `Broken` when more was said than a verdict."""
        if len(self._stream):
            raise Broken("it goes on after its verdict")
        if self._transport is not None:
            self._transport.write(wire.QUIT)

    async def room(self) -> None:
        """Until what was said is mostly on its way. Raises `Broken`."""
        late = self._late()
        while self._no_room:
            await self._news(late)

    async def reply(self) -> wire.Reply:
        """The next packet. Raises `Broken`."""
        self._packets += 1
        if self._packets > LIMITS.milter_packets:
            raise Broken(f"over {LIMITS.milter_packets} packets about one message")
        reading, late = wire.reply(self._stream, LIMITS.milter_packet), self._late()
        try:
            while True:
                next(reading)
                if self._full and self._transport is not None:
                    self._full = False
                    self._transport.resume_reading()
                await self._news(late)
        except StopIteration as done:
            return cast(wire.Reply, done.value)
        except WireError as error:
            ended = self._stream.eof and not isinstance(error, wire.BadPacket)
            raise Broken(_ENDED if ended else str(error)) from None

    def _late(self) -> float:
        return self._loop.time() + self._patience.answer

    async def _news(self, late: float) -> None:
        """Until the transport tells something. Raises `Broken` at the time `late`."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(late, self._expire, waiter)  # a fifth of what asyncio.timeout costs
        try:
            await waiter
        finally:
            timer.cancel()

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(Broken(f"no answer within {self._patience.answer:g} s"))

    def close(self) -> None:
        """What is said is still sent, if it is taken at once."""
        if self._transport is not None:
            (self._transport.abort if self._no_room else self._transport.close)()
