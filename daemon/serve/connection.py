"""One TCP connection: bytes between a transport and the sans-I/O readers of `daemon/wire`.

`Connection` is what IMAP, POP3 and SMTP speak over. It knows nothing of any of them: it holds a `Stream`, drives its
readers (`take`), writes with back-pressure, keeps deadlines, and puts TLS or DEFLATE underneath. The loop calls it
through its `Inlet`.

Four sentences prevent bugs:

1. One coroutine reads and one drains at a time (the same, as a rule); anybody on the loop may `write`.
2. Octets that arrived before TLS are forgotten before the handshake (CVE-2011-0411), whoever asks for it.
3. Not more than `LIMITS.unread` octets wait unread, before or after decompression: then we stop reading.
4. Every wait has an end: arriving bytes, room to write, and the last flush each have their deadline.

How it can fail: `TimeoutError` (the peer was silent too long), `EndOfStream` from the reader (the peer closed),
`ConnectionError` (the connection is gone while writing), `ssl.SSLError` or `OSError` from `start_tls`.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from typing import Protocol, TypeVar, cast

from daemon.limits import LIMITS
from daemon.serve.inlet import Inlet
from daemon.wire.stream import EndOfStream, Reading, Stream, Want

T = TypeVar("T")

Step = Want | tuple[object]
"""How far a reading has come: what it wants, or, in a tuple, what it found at its end."""

UNBROKEN = 32  # readings answered out of the buffer before the other connections get their turn


class Owner(Protocol):
    """Who accepted the connection and wants to know of its end."""

    @property
    def name(self) -> str:
        """`imap`, `pop3s`, ...: the setting `listen.NAME` that opened the door."""

    @property
    def closing(self) -> bool:
        """The server is being stopped: no session should begin anything more."""

    def closed(self, conn: Connection) -> None:
        """The transport is gone. Called once."""


class Draining(Exception):
    """The server is being stopped, and this session has nothing unfinished: say goodbye."""


class Connection:
    """What the module says. Subclasses may override what the transport tells and must call it here."""

    __slots__ = (
        "listener", "loop", "stream", "transport", "ssl_object", "peer", "peer_port",
        "_arrived", "_reading", "_patience", "_read_by", "_arrive_by", "_drained", "_drain_by", "_close_by", "_timer",
        "_timer_at", "_resting", "_read_held", "_write_held", "_gone", "_ending", "_takes", "_deflate", "__weakref__",
    )  # fmt: skip

    def __init__(self, listener: Owner) -> None:
        self.listener = listener
        self.loop = asyncio.get_running_loop()
        self.stream = Stream()
        self.transport: asyncio.Transport | None = None
        self.ssl_object: ssl.SSLObject | None = None  # the TLS session, None in the clear
        self.peer = ""  # the address as text; of the client itself when a trusted proxy told it
        self.peer_port = 0
        self._arrived: asyncio.Future[Step] | None = None  # somebody waits for bytes
        self._reading: Reading[object] | None = None  # what he reads, which goes on by itself while they come
        self._patience = self._read_by = 0.0  # what `_arrive_by` is made of
        self._drained: asyncio.Future[None] | None = None  # somebody waits for room to write
        self._arrive_by = self._drain_by = self._close_by = 0.0  # loop time; 0: nobody waits
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._resting = False  # waiting between two transactions
        self._read_held = False  # we asked the transport to stop reading
        self._write_held = False  # the transport asked us to stop writing
        self._gone = False
        self._ending = False
        self._takes = 0
        self._deflate: Deflate | None = None

    # -- what the transport tells --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ssl_object = transport.get_extra_info("ssl_object")
        if not self.peer:  # else a PROXY header has told it
            where = transport.get_extra_info("peername")
            if isinstance(where, tuple):
                self.peer, self.peer_port = plain_address(where[0]), where[1]

    def received(self, data: bytes | memoryview) -> None:
        """`data` is to be used at once: it is overwritten by what arrives next."""
        stream = self.stream
        if self._deflate is not None:
            if not self._inflate(bytes(data)):
                return
        elif self._ending:
            return
        else:
            stream.feed(data)
            if len(stream.buffer) > LIMITS.unread:
                self._hold_reading()
        arrived, reading = self._arrived, self._reading
        if arrived is None or reading is None or arrived.done():
            self.nudge()
        else:
            self._read_on(arrived, reading)

    def _read_on(self, arrived: asyncio.Future[Step], reading: Reading[object]) -> None:
        """A reading has the octets it waits for at once, while they are in the processor's cache. Who reads is woken
        only when it wants something else."""
        try:
            step = advance(reading)
        except Exception as error:
            self._arrived = None
            arrived.set_exception(error)
            return
        if step is None and not self._read_held:
            self._arrive_by = min(self.loop.time() + self._patience, self._read_by)
            self._resting = False
            return
        self._arrived = None
        arrived.set_result(step)

    def eof_received(self) -> bool:
        """The peer will say no more. What it is owed is still sent: a half-close does not end the answer."""
        self.stream.feed_eof()
        self.nudge()
        if self._ending and self.transport is not None and not self.transport.is_closing():
            self.transport.close()
        return not self.tls  # TLS has no half-close in asyncio, and it warns when asked for one

    def connection_lost(self, exc: Exception | None) -> None:
        if self._gone:
            return
        self._gone = True
        self.stream.feed_eof()
        self.nudge()
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.listener.closed(self)

    def pause_writing(self) -> None:
        self._write_held = True

    def resume_writing(self) -> None:
        self._write_held = False
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def take(
        self, reading: Reading[T], patience: float, *, within: float | None = None, resting: bool = False
    ) -> T:
        """What `reading` finds, fetching bytes as it asks for them and saying what it wants said.

        Does not wait at all when the answer is in the buffer. Raises `TimeoutError` when the peer sends nothing for
        `patience` seconds or, if given, the whole takes longer than `within`; what the reader raises (`EndOfStream`,
        `TooLong`...) passes through. After a `TimeoutError` an unfinished `Stream.line` may simply be begun again.

        `resting` is for the wait between two transactions: raises `Draining` when the server is being stopped and
        nothing of what comes next has arrived.
        """
        end = 0.0
        resting = resting and not self.stream.buffer
        step = advance(reading)
        while not isinstance(step, tuple):
            if step is not None:
                self.write(step.data)
                await self.drain()
                step = advance(reading)
                continue
            now = self.loop.time()
            if end == 0.0:
                self._takes = 0
                end = now + within if within is not None else float("inf")
            if now >= end:
                raise TimeoutError("not complete in time")
            if resting and self.listener.closing:
                raise Draining
            self._reading, self._patience, self._read_by, self._resting = reading, patience, end, resting
            try:
                step = await self.arrival(min(patience, end - now)) or advance(reading)
            finally:
                self._reading, self._resting = None, False
            resting = resting and not self.stream.buffer
        if end == 0.0:
            self._takes += 1
            if self._takes >= UNBROKEN:
                self._takes = 0
                await asyncio.sleep(0)
        return cast(T, step[0])

    async def arrival(self, patience: float) -> Step:
        """Wait until more bytes, the peer's end or a `nudge` come; `TimeoutError` after `patience` seconds.

        A reading under way has had the bytes then: what it wants now, if there is one and it is not more of them.
        """
        if self._deflate is not None and self._inflate(b"", LIMITS.unread // 4):
            return None
        if self.stream.eof:
            raise EndOfStream("end of stream")
        self._resume_reading()
        waiting: asyncio.Future[Step] = self.loop.create_future()
        self._arrived = waiting
        self._arrive_by = self.loop.time() + patience
        self._set_timer(self._arrive_by)
        try:
            return await waiting
        finally:
            self._arrive_by = 0.0
            self._arrived = None

    def nudge(self) -> None:
        """End an `arrival` that is being waited for, so that the session looks at something else than its peer."""
        arrived, self._arrived = self._arrived, None
        if arrived is not None and not arrived.done():
            arrived.set_result(None)

    def drain_begins(self) -> None:
        """The server is being stopped: end the session if it waits between two transactions."""
        if self._resting and self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(Draining())
            self._arrived = None

    async def closed_by_peer(self) -> None:
        """Wait until the peer has closed, however long; what it sends meanwhile stays in the stream."""
        while not self.stream.eof:
            if len(self.stream.buffer) > LIMITS.unread:
                raise ConnectionError("the peer keeps talking")
            await self.arrival(float("inf"))

    def _hold_reading(self) -> None:
        if not self._read_held and self.transport is not None and not self._gone:
            self._read_held = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_held and self.transport is not None and not self._gone:
            self._read_held = False
            self.transport.resume_reading()

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now or when the peer has room. Silent when the connection is gone: `drain` tells."""
        if self._gone or self._ending or self.transport is None:
            return
        if self._deflate is None:
            self.transport.write(data)
        elif self._deflate.squeeze(data):
            self.loop.call_soon(self._flush)

    async def drain(self, patience: float = LIMITS.write_patience) -> None:
        """Wait until there is room to write more.

        Raises `ConnectionResetError` when the connection is gone, and `TimeoutError` (the connection is then
        aborted) when the peer takes nothing for `patience` seconds.
        """
        if self._deflate is not None:
            self._flush()
        while self._write_held and not self._gone:
            if self._drained is None or self._drained.done():
                self._drained = self.loop.create_future()
            self._drain_by = self.loop.time() + patience
            self._set_timer(self._drain_by)
            try:
                await self._drained
            except TimeoutError:
                self.abort()
                raise
            finally:
                self._drain_by = 0.0
        if self._gone:
            raise ConnectionResetError("the peer closed the connection")

    def close(self) -> None:
        """Send what is written, then close; abort when the peer does not take it in time."""
        if self._ending or self._gone or self.transport is None:
            return
        if self._deflate is not None:
            self._flush()
        self._ending = True
        patience = LIMITS.close_patience
        if (self.stream.buffer or self._read_held) and not self.tls and not self.stream.eof:
            # Closing a socket with unread octets sends a reset, which may overtake our last words: close our half
            # only, and read and forget until the peer closes his.
            self.stream.clear()
            self._resume_reading()
            patience = LIMITS.linger
            try:
                self.transport.write_eof()
            except OSError:  # the peer is gone already
                self.transport.abort()
        else:
            self.transport.close()
        self._close_by = self.loop.time() + patience
        self._set_timer(self._close_by)

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self._ending = True
        if self.transport is not None and not self._gone:
            self.transport.abort()

    # -- deadlines -----------------------------------------------------------------------------------------------------

    def _set_timer(self, at: float) -> None:
        """One timer a connection: left running when a wait ends early, looked at when it rings, set anew if needed."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        elif at == float("inf"):
            return
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.loop.time() + 0.001  # timers of uvloop count whole milliseconds
        if 0.0 < self._arrive_by <= now and self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(TimeoutError("the peer is silent"))
            self._arrive_by = 0.0
        if 0.0 < self._drain_by <= now and self._drained is not None and not self._drained.done():
            self._drained.set_exception(TimeoutError("the peer takes nothing"))
            self._drain_by = 0.0
        if 0.0 < self._close_by <= now:
            self._close_by = 0.0
            self.abort()
        for at in (self._arrive_by, self._drain_by, self._close_by):
            if at > 0.0:
                self._set_timer(at)

    # -- layers --------------------------------------------------------------------------------------------------------

    @property
    def tls(self) -> bool:
        return self.ssl_object is not None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS as the server from here on; what the peer sent before is forgotten (RFC 3207 §6, CVE-2011-0411).

        The go-ahead has been written by the caller. Raises `ssl.SSLError`, `ConnectionError` or `TimeoutError`; the
        connection is then closed.
        """
        if self.transport is None or self._gone:
            raise ConnectionResetError("the peer closed the connection")
        plain = self.transport
        self.stream.clear()
        self._read_held = self._write_held = False
        try:
            # Nothing is awaited between the clearing and the change of protocol inside start_tls.
            secured = await self.loop.start_tls(
                plain, Inlet(self), context, server_side=True,
                ssl_handshake_timeout=LIMITS.handshake_patience, ssl_shutdown_timeout=LIMITS.linger,
            )  # fmt: skip
        except BaseException:
            self._ending = True
            plain.abort()
            self.connection_lost(None)
            raise
        if secured is None:  # closed during the handshake
            self.connection_lost(None)
            raise ConnectionResetError("the peer closed the connection")
        self.transport = secured
        self.ssl_object = secured.get_extra_info("ssl_object")

    def compress(self) -> None:
        """DEFLATE both ways from here on (RFC 4978 §3). The go-ahead has been written by the caller."""
        waiting = bytes(self.stream.buffer)
        self.stream.clear()
        self._deflate = Deflate()
        if waiting:
            self._inflate(waiting)

    @property
    def compressed(self) -> bool:
        return self._deflate is not None

    def _inflate(self, data: bytes, least: int = 0) -> bool:
        """Decompress as much as may wait unread, `least` octets in any case; whether anything came of it."""
        layer, stream = self._deflate, self.stream
        assert layer is not None
        if self._ending:
            return False
        before = len(stream.buffer)
        try:
            stream.feed(layer.expand(data, max(least, LIMITS.unread - before)))
        except zlib.error:
            stream.feed_eof()  # nothing that follows can be understood
            self.abort()
            return True
        if layer.waiting or len(stream.buffer) >= LIMITS.unread:
            self._hold_reading()
        return len(stream.buffer) > before

    def _flush(self) -> None:
        if self._deflate is not None and self.transport is not None and not self._gone:
            data = self._deflate.flush()
            if data:
                self.transport.write(data)


class Deflate:
    """Raw DEFLATE in both directions (RFC 1951), bounded in memory.

    Outbound with a window of 8 KiB: 64 KiB of state a connection where zlib's default takes 256.
    """

    __slots__ = ("waiting", "_in", "_out", "_squeezed")

    def __init__(self) -> None:
        self._in = zlib.decompressobj(-15)
        self._out = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -13, 6)
        self.waiting = b""  # compressed octets that had no room
        self._squeezed: list[bytes] | None = None

    def expand(self, data: bytes, room: int) -> bytes:
        """At most `room` octets out of what waits and `data`; raises `zlib.error`."""
        data = self.waiting + data if self.waiting else data
        if room <= 0:
            self.waiting = data
            return b""
        found = self._in.decompress(data, room)
        self.waiting = self._in.unconsumed_tail
        return found

    def squeeze(self, data: bytes | bytearray | memoryview) -> bool:
        """Compress; whether these are the first octets since the last `flush`."""
        first = self._squeezed is None
        if self._squeezed is None:
            self._squeezed = []
        self._squeezed.append(self._out.compress(data))
        return first

    def flush(self) -> bytes:
        """Everything squeezed so far, so that the peer can read all of it."""
        if self._squeezed is None:
            return b""
        found = b"".join(self._squeezed) + self._out.flush(zlib.Z_SYNC_FLUSH)
        self._squeezed = None
        return found


def advance(reading: Reading[object]) -> Step:
    """Go on with what has arrived; what the reading raises passes through."""
    try:
        return next(reading)
    except StopIteration as end:
        return (end.value,)


def plain_address(host: str) -> str:
    """`host` as one would write it: an IPv4 address that came through an IPv6 socket without its prefix."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host.partition("%")[0]
