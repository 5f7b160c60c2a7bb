"""The connection under every protocol, over real sockets, on asyncio and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP

from daemon.limits import LIMITS
from daemon.serve import connection
from daemon.serve.connection import Connection, Deflate, Draining, plain_address
from daemon.serve.inlet import Inlet
from daemon.wire.stream import EndOfStream, Reading, Send, TooLong

Serve = Callable[[Connection], Awaitable[None]]


class House:
    """Listens on loopback; `serve` runs for each connection, and what it raised is kept."""

    def __init__(self) -> None:
        self.name = "test"
        self.closing = False
        self.serve: Serve = hold
        self.made: asyncio.Queue[Connection] = asyncio.Queue()
        self.ended: asyncio.Queue[BaseException | None] = asyncio.Queue()
        self.gone = 0
        self.tls: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def closed(self, conn: Connection) -> None:
        self.gone += 1

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._make, "127.0.0.1", 0, ssl=tls)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def _make(self) -> Inlet:
        house = self

        class Visited(Connection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                house.made.put_nowait(self)
                task = self.loop.create_task(house._host(self))
                house._tasks.add(task)
                task.add_done_callback(house._tasks.discard)

        return Inlet(Visited(self))

    async def _host(self, conn: Connection) -> None:
        error: BaseException | None = None
        try:
            await self.serve(conn)
        except Exception as caught:
            error = caught
        conn.close()
        self.ended.put_nowait(error)

    async def dial(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def end(self) -> BaseException | None:
        async with asyncio.timeout(10):
            return await self.ended.get()

    async def all_gone(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.gone < count:
                await asyncio.sleep(0)

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        while not self.made.empty():
            self.made.get_nowait().abort()
        while self._tasks:
            await asyncio.sleep(0)


async def hold(conn: Connection) -> None:
    await conn.closed_by_peer()


async def echo(conn: Connection) -> None:
    """Lines come back; STLS, DEFLATE and QUIT do what they say."""
    while True:
        line = await conn.take(conn.stream.line(1000), 5)
        if line == b"QUIT":
            return
        conn.write(b"<" + line + b">\r\n")
        await conn.drain()
        if line == b"DEFLATE":
            conn.compress()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    if house._server is not None:
        await house.shut()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_lines_are_answered_whole_and_in_pieces(house: House) -> None:
    house.serve = echo
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"one\r\ntwo\r\nthr")
    assert await reader.readline() == b"<one>\r\n"
    assert await reader.readline() == b"<two>\r\n"
    writer.write(b"ee\r\nQUIT\r\n")
    assert await reader.readline() == b"<three>\r\n"
    assert await reader.read() == b""
    assert await house.end() is None
    await finish(writer)
    await house.all_gone()


async def test_peer_and_clear_text_are_known(house: House) -> None:
    await house.open()
    _, writer = await house.dial()
    conn = await house.made.get()
    assert conn.peer == "127.0.0.1"
    assert conn.peer_port == writer.get_extra_info("sockname")[1]
    assert not conn.tls and conn.ssl_object is None and not conn.compressed
    await finish(writer)


@pytest.mark.parametrize(
    "host, plain",
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("fe80::1%eth0", "fe80::1")],
)
def test_addresses_are_written_plainly(host: str, plain: str) -> None:
    assert plain_address(host) == plain


async def test_what_is_in_the_buffer_is_answered_without_waiting(house: House) -> None:
    waited = 0

    async def serve(conn: Connection) -> None:
        nonlocal waited
        await conn.take(conn.stream.exactly(1), 5)
        while len(conn.stream.buffer) < 300:
            await conn.arrival(5)
        taking = conn.take(conn.stream.line(100), 5)
        try:
            taking.send(None)
        except StopIteration as answer:
            assert answer.value == b"x" * 98
        else:
            waited += 1

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    writer.write(b"!" + (b"x" * 98 + b"\r\n") * 3)
    assert await house.end() is None
    assert waited == 0
    await finish(writer)


async def test_others_get_their_turn_while_one_pipelines(house: House) -> None:
    turns = 0

    async def serve(conn: Connection) -> None:
        nonlocal turns
        while len(conn.stream.buffer) < 8000:
            await conn.arrival(5)
        done = False

        async def count() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.ensure_future(count())
        for _ in range(1000):
            await conn.take(conn.stream.line(100), 5)
        done = True
        await other

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    writer.write(b"NOOP..\r\n" * 1000)
    assert await house.end() is None
    assert turns >= 20
    await finish(writer)


async def test_a_reader_that_wants_something_said_is_heard(house: House) -> None:
    def literal(conn: Connection) -> Reading[bytes]:
        line = yield from conn.stream.line(100)
        yield Send(b"+ go on\r\n")
        return line + (yield from conn.stream.exactly(5))

    async def serve(conn: Connection) -> None:
        conn.write(await conn.take(literal(conn), 5))

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"first \r\n")
    assert await reader.readline() == b"+ go on\r\n"
    writer.write(b"hello")
    assert await reader.read() == b"first hello"
    await finish(writer)


async def test_silence_ends_a_wait_and_the_line_can_be_begun_again(house: House) -> None:
    times = 0

    async def serve(conn: Connection) -> None:
        nonlocal times
        with pytest.raises(TimeoutError):
            await conn.take(conn.stream.line(100), 0.05)
        times += 1
        conn.write(b"still here\r\n")
        conn.write(await conn.take(conn.stream.line(100), 5))

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"half ")
    assert await reader.readline() == b"still here\r\n"
    writer.write(b"a line\r\n")
    assert await reader.read() == b"half a line"
    assert times == 1 and await house.end() is None
    await finish(writer)


async def test_an_octet_now_and_then_does_not_prolong_a_whole_reading(house: House) -> None:
    async def serve(conn: Connection) -> None:
        await conn.take(conn.stream.line(1 << 22), 5, within=0.1)

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    drip = asyncio.ensure_future(_drip(writer))
    assert isinstance(await house.end(), TimeoutError)
    assert await reader.read() == b""
    drip.cancel()
    await finish(writer)


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(0)


async def test_a_longer_wait_after_a_short_one_and_the_other_way_round(house: House) -> None:
    waits: list[str] = []

    async def serve(conn: Connection) -> None:
        await conn.take(conn.stream.line(100), 60)
        await conn.take(conn.stream.line(100), 0.2)
        waits.append("both")
        try:
            await conn.take(conn.stream.line(100), 0.05)
        except TimeoutError:
            waits.append("silent")
        conn.write(b"late\r\n")
        await conn.take(conn.stream.line(100), 60)
        waits.append("long")

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"1\r\n")
    await asyncio.sleep(0)
    writer.write(b"2\r\n")
    assert await reader.readline() == b"late\r\n"
    writer.write(b"3\r\n")
    assert await house.end() is None
    assert waits == ["both", "silent", "long"]
    await finish(writer)


async def test_an_endless_line_is_refused_and_its_memory_bounded(house: House) -> None:
    async def serve(conn: Connection) -> None:
        try:
            await conn.take(conn.stream.line(1000), 5)
        except TooLong:
            conn.write(b"too long\r\n")

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    for _ in range(64):
        writer.write(b"x" * 65536)
    assert await reader.readline() == b"too long\r\n"
    conn = await house.made.get()
    assert len(conn.stream.buffer) <= LIMITS.unread + 256 * 1024
    await finish(writer)
    await house.all_gone()


async def test_we_stop_reading_when_much_waits_unread_and_go_on_later(house: House) -> None:
    go = asyncio.Event()
    seen = 0

    async def serve(conn: Connection) -> None:
        nonlocal seen
        await go.wait()
        while True:
            seen += len(await conn.take(conn.stream.line(2000), 5)) + 2

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    conn = await house.made.get()
    size = 64 * 1024 * 1024
    sent = asyncio.ensure_future(_pour(writer, size))
    async with asyncio.timeout(10):
        while not conn._read_held:
            await asyncio.sleep(0)
    held = len(conn.stream.buffer)
    assert held <= LIMITS.unread + 256 * 1024  # one read of the loop more
    assert not sent.done()
    go.set()
    await sent
    assert isinstance(await house.end(), EndOfStream)
    assert seen == size


async def _pour(writer: asyncio.StreamWriter, size: int) -> None:
    piece = (b"x" * 1022 + b"\r\n") * 1024
    for _ in range(size // len(piece)):
        writer.write(piece)
        await writer.drain()
    await finish(writer)


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_a_half_close_does_not_cut_what_is_being_answered(house: House) -> None:
    go = asyncio.Event()

    async def serve(conn: Connection) -> None:
        line = await conn.take(conn.stream.line(100), 5)
        await go.wait()
        conn.write(b"<" + line + b">" * 200_000)
        await conn.drain()
        with pytest.raises(EndOfStream):
            await conn.take(conn.stream.line(100), 5)

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"question\r\n")
    writer.write_eof()
    conn = await house.made.get()
    async with asyncio.timeout(5):
        while not conn.stream.eof:
            await asyncio.sleep(0)
    go.set()
    assert len(await reader.read()) == 200_009
    assert await house.end() is None
    await finish(writer)
    await house.all_gone()


async def test_a_peer_that_vanishes_ends_reading_and_writing(house: House) -> None:
    async def serve(conn: Connection) -> None:
        with pytest.raises(EndOfStream):
            await conn.take(conn.stream.line(100), 5)
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionResetError):
                while True:
                    conn.write(b"x" * 65536)
                    await conn.drain()
                    await asyncio.sleep(0)
        conn.write(b"to nobody")
        with pytest.raises(ConnectionResetError):
            await conn.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        conn.abort()

    house.serve = serve
    await house.open()
    sock = socket.create_connection(("127.0.0.1", house.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await house.made.get()
    sock.close()  # a reset
    assert await house.end() is None
    await house.all_gone()


async def test_waiting_for_the_peers_end(house: House) -> None:
    await house.open()
    _, writer = await house.dial()
    writer.write(b"something\r\n")
    await finish(writer)
    assert await house.end() is None
    _, writer = await house.dial()
    writer.write(b"x" * (LIMITS.unread * 4))
    assert isinstance(await house.end(), ConnectionError)
    await finish(writer)


async def test_a_peer_that_takes_nothing_is_cut_off_after_a_while(house: House) -> None:
    async def serve(conn: Connection) -> None:
        while True:
            conn.write(b"x" * 1_000_000)
            await conn.drain(0.1)

    house.serve = serve
    await house.open()
    reader, writer = await house.dial(limit=1024)
    assert isinstance(await house.end(), TimeoutError)
    await house.all_gone()
    await finish(writer)


async def test_last_words_reach_a_peer_that_is_still_talking(house: House) -> None:
    """Closing with unread octets would send a reset, and the peer might never see the goodbye."""

    async def serve(conn: Connection) -> None:
        while len(conn.stream.buffer) <= LIMITS.unread:
            await conn.arrival(5)
        conn.write(b"goodbye\r\n")

    house.serve = serve
    await house.open()
    sock = socket.create_connection(("127.0.0.1", house.port))
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    sending = asyncio.ensure_future(loop.sock_sendall(sock, b"x" * (4 * LIMITS.unread)))
    assert await house.end() is None
    async with asyncio.timeout(5):
        await sending
        assert await loop.sock_recv(sock, 100) == b"goodbye\r\n"
        assert await loop.sock_recv(sock, 100) == b""
    assert house.gone == 0  # it waits for the peer's own close
    sock.close()
    await house.all_gone()


async def test_a_peer_that_never_closes_is_cut_after_the_linger(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(monkeypatch, linger=0, close_patience=0)

    async def serve(conn: Connection) -> None:
        await conn.take(conn.stream.exactly(1), 5)

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"xyz")
    await house.all_gone()
    await finish(writer)


def _change(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    import dataclasses

    monkeypatch.setattr(connection, "LIMITS", dataclasses.replace(LIMITS, **values))


async def test_closing_twice_and_writing_afterwards_do_no_harm(house: House) -> None:
    async def serve(conn: Connection) -> None:
        conn.write(b"bye\r\n")
        conn.close()
        conn.write(b"more\r\n")
        conn.close()

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    assert await reader.read() == b"bye\r\n"
    await finish(writer)
    await house.all_gone()
    assert house.gone == 1


async def test_a_nudge_wakes_a_session_that_waits(house: House) -> None:
    async def serve(conn: Connection) -> None:
        conn.write(b"waiting\r\n")
        await conn.arrival(5)
        conn.write(b"woken\r\n")

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    assert await reader.readline() == b"waiting\r\n"
    conn = await house.made.get()
    conn.nudge()
    conn.nudge()
    assert await reader.read() == b"woken\r\n"
    await finish(writer)


async def test_a_session_that_rests_is_told_of_the_drain_and_one_at_work_is_not(house: House) -> None:
    async def serve(conn: Connection) -> None:
        line = await conn.take(conn.stream.line(100), 5)
        conn.write(line + b" done\r\n")
        try:
            await conn.take(conn.stream.line(100), 5, resting=True)
        except Draining:
            conn.write(b"goodbye\r\n")

    house.serve = serve
    await house.open()
    resting, rest_writer = await house.dial()
    rester = await house.made.get()
    rest_writer.write(b"first\r\n")
    assert await resting.readline() == b"first done\r\n"
    working, work_writer = await house.dial()
    worker = await house.made.get()
    work_writer.write(b"half")
    while worker.stream.buffer != b"half":
        await asyncio.sleep(0)
    house.closing = True
    rester.drain_begins()
    worker.drain_begins()
    assert await resting.read() == b"goodbye\r\n"
    work_writer.write(b" done\r\n")
    assert await working.read() == b"half done done\r\ngoodbye\r\n"
    await finish(rest_writer)
    await finish(work_writer)


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_s4_what_came_before_tls_is_forgotten(
    house: House, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """CVE-2011-0411: `STLS\\r\\nINJECTED` in one packet."""
    heard: list[bytes] = []

    async def serve(conn: Connection) -> None:
        while True:
            line = await conn.take(conn.stream.line(100), 5)
            heard.append(line)
            conn.write(b"<" + line + b">\r\n")
            if line == b"STLS":
                await conn.start_tls(contexts[0])
                assert conn.tls and conn.ssl_object is not None

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"STLS\r\nINJECTED\r\nhalf of")
    assert await reader.readline() == b"<STLS>\r\n"
    await writer.start_tls(contexts[1], server_hostname="localhost")
    writer.write(b"after\r\n")
    assert await reader.readline() == b"<after>\r\n"
    writer.close()
    assert isinstance(await house.end(), EndOfStream)
    assert heard == [b"STLS", b"after"]
    await house.all_gone()


async def test_tls_from_the_start(house: House, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    house.serve = echo
    await house.open(contexts[0])
    reader, writer = await house.dial(ssl=contexts[1], server_hostname="localhost")
    conn = await house.made.get()
    assert conn.tls
    writer.write(b"x" * 500 + b"\r\nQUIT\r\n")
    assert len(await reader.read()) == 504
    await finish(writer)
    await house.all_gone()


async def test_a_handshake_that_fails_ends_the_connection(
    house: House, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def serve(conn: Connection) -> None:
        conn.write(b"go\r\n")
        await conn.start_tls(contexts[0])

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    assert await reader.readline() == b"go\r\n"
    writer.write(b"this is no ClientHello, and long enough to be seen as none\r\n")
    error = await house.end()
    assert isinstance(error, OSError)  # ssl.SSLError, or the reset that follows
    await house.all_gone()
    await finish(writer)
    _, writer = await house.dial()
    await house.made.get()
    await finish(writer)  # gone in the middle of it
    assert isinstance(await house.end(), OSError)
    await house.all_gone(2)


async def test_a_handshake_has_its_time(
    house: House, contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(monkeypatch, handshake_patience=0.1)

    async def serve(conn: Connection) -> None:
        await conn.start_tls(contexts[0])

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    assert isinstance(await house.end(), OSError | TimeoutError)
    await house.all_gone()
    await finish(writer)


# -- DEFLATE -----------------------------------------------------------------------------------------------------------


async def test_deflate_both_ways(house: House) -> None:
    house.serve = echo
    await house.open()
    reader, writer = await house.dial()
    writer.write(b"DEFLATE\r\n")
    assert await reader.readline() == b"<DEFLATE>\r\n"
    out = zlib.compressobj(9, zlib.DEFLATED, -15)
    back = zlib.decompressobj(-15)
    for line in (b"a", b"b" * 900, b"c"):
        writer.write(out.compress(line + b"\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += back.decompress(await reader.read(1000))
        assert answer == b"<" + line + b">\r\n"
    assert (await house.made.get()).compressed
    await finish(writer)


async def test_what_is_written_without_a_drain_goes_out_too(house: House) -> None:
    async def serve(conn: Connection) -> None:
        conn.compress()
        conn.write(b"one ")
        conn.write(b"two\r\n")
        await conn.closed_by_peer()

    house.serve = serve
    await house.open()
    reader, writer = await house.dial()
    back = zlib.decompressobj(-15)
    assert back.decompress(await reader.read(1000)) == b"one two\r\n"
    await finish(writer)


async def test_a_zip_bomb_takes_no_more_memory_than_anything_else(house: House) -> None:
    out = zlib.compressobj(9, zlib.DEFLATED, -15)
    size = 64 * 1024 * 1024
    bomb = out.compress((b"x" * 1022 + b"\r\n") * (size // 1024)) + out.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 300_000
    most = seen = 0

    async def serve(conn: Connection) -> None:
        nonlocal most, seen
        conn.compress()
        await conn.arrival(5)
        while seen < size:
            most = max(most, len(conn.stream.buffer))
            seen += len(await conn.take(conn.stream.line(2000), 5)) + 2

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    writer.write(bomb)
    assert await house.end() is None
    assert seen == size and most <= LIMITS.unread
    await finish(writer)


async def test_a_long_literal_passes_through_deflate(house: House) -> None:
    out = zlib.compressobj(9, zlib.DEFLATED, -15)
    size = 3 * LIMITS.unread

    async def serve(conn: Connection) -> None:
        conn.compress()
        literal = await conn.take(conn.stream.exactly(size), 5)
        assert literal == b"y" * size

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    writer.write(out.compress(b"y" * size) + out.flush(zlib.Z_SYNC_FLUSH))
    assert await house.end() is None
    await finish(writer)


async def test_what_is_no_deflate_ends_the_connection(house: House) -> None:
    async def serve(conn: Connection) -> None:
        await conn.take(conn.stream.line(100), 5)
        conn.compress()  # a line in clear text is in the buffer already
        await conn.take(conn.stream.line(100), 5)

    house.serve = serve
    await house.open()
    _, writer = await house.dial()
    writer.write(b"COMPRESS DEFLATE\r\n\xff\xff\xff in clear\r\n")
    assert isinstance(await house.end(), EndOfStream)
    await house.all_gone()
    await finish(writer)


def test_deflate_gives_nothing_without_room() -> None:
    layer = Deflate()
    out = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = out.compress(b"hello") + out.flush(zlib.Z_SYNC_FLUSH)
    assert layer.expand(data, 0) == b""
    assert layer.waiting == data
    assert layer.expand(b"", 2) == b"he"
    assert layer.expand(b"", 100) == b"llo"
    assert layer.flush() == b""


# -- as a base ---------------------------------------------------------------------------------------------------------


async def test_aiosmtpd_can_be_inherited_beside_it(house: House) -> None:
    class Both(Connection, SMTP):  # type: ignore[misc]
        def __init__(self, owner: House) -> None:
            Connection.__init__(self, owner)

    both = Both(house)
    both.transport = None
    both.session = None
    assert isinstance(both, asyncio.StreamReaderProtocol)
    assert both.stream.buffer == b""


async def test_memory_of_an_idle_connection_is_a_few_kib(house: House) -> None:
    """Protocol, stream, timer, task and the coroutine that waits; the transport is the loop's."""
    import tracemalloc

    async def serve(conn: Connection) -> None:
        await conn.take(conn.stream.line(1000), 1800)

    house.serve = serve
    await house.open()
    count = 200
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    writers = [(await house.dial())[1] for _ in range(count)]
    while house.made.qsize() < count:
        await asyncio.sleep(0)
    each = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    for writer in writers:
        writer.transport.abort()
    await house.all_gone(count)
    assert each < 16 * 1024  # with the client's side in the same process
