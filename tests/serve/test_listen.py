"""The doors: sockets, counts, PROXY headers, TLS from the start, and the way out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.serve import listen
from daemon.serve.connection import Connection, Draining
from daemon.serve.listen import POP3_WORDS, CannotListen, Doors, Service, bind, inherited
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.store import bans, events
from daemon.store.db import Store


class House:
    """One plain door and one with TLS, on loopback, over a store of its own."""

    def __init__(self, path: Path) -> None:
        self.settings = {
            "hostname": "mail.example.org",
            "listen.pop3": "127.0.0.1:0",
            "listen.pop3s": "127.0.0.1:0",
        }
        self.store = Store.open(DataDir(path))
        self.store.attach(asyncio.get_running_loop())
        self.keyring = Keyring(self.store, self.config)
        self.bans = Bans(self.store)
        self.refusals = Refusals(self.store)
        self.doors = Doors(self.config, self.keyring, self.bans, self.refusals)
        self.begun: asyncio.Queue[Connection] = asyncio.Queue()
        self.slow = asyncio.Event()
        self.working = asyncio.Event()

    def config(self) -> Config:
        return Config(self.settings.items())

    def open(self) -> None:
        services = {
            name: Service(name, Connection, self.serve, POP3_WORDS, name == "pop3s") for name in ("pop3", "pop3s")
        }
        self.doors.open(services, bind(self.config(), services, {}))

    async def serve(self, conn: Connection) -> None:
        self.begun.put_nowait(conn)
        conn.write(f"+OK {conn.peer}\r\n".encode())
        while True:
            try:
                line = await conn.take(conn.stream.line(100), 30, resting=True)
            except Draining:
                conn.write(b"-ERR bye\r\n")
                return
            if line == b"SLOW":
                self.working.set()
                await self.slow.wait()
            if line == b"CRASH":
                raise RuntimeError("a fault of ours")
            conn.write(b"+OK " + line + b"\r\n")

    def port(self, name: str = "pop3") -> int:
        return next(d.port for d in self.doors.listeners if d.name == name)

    async def dial(self, name: str = "pop3", **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port(name), **options)

    async def quiet(self) -> None:
        """Until nobody is counted any more."""
        async with asyncio.timeout(10):
            while self.doors.counts.total or any(d.connections or d.tasks for d in self.doors.listeners):
                await asyncio.sleep(0)

    async def reasons(self) -> dict[str, str]:
        """Refusals: reason and peer."""
        await self.refusals.flush()
        return {row["reason"]: row["peer"] for row in self.store.peek(events.refusals)}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "data")
    yield house
    house.slow.set()
    await house.doors.drain(0.5)
    await house.refusals.flush()
    house.bans.close()
    house.keyring.close()
    house.store.close()


def _change(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    monkeypatch.setattr(listen, "LIMITS", dataclasses.replace(LIMITS, **values))


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


# -- coming in ---------------------------------------------------------------------------------------------------------


async def test_a_visit_is_counted_from_the_accept_to_the_end(house: House) -> None:
    house.open()
    reader, writer = await house.dial()
    assert await reader.readline() == b"+OK 127.0.0.1\r\n"
    assert house.doors.counts.total == 1 and house.doors.counts.of("127.0.0.1") == 1
    writer.write(b"hello\r\n")
    assert await reader.readline() == b"+OK hello\r\n"
    conn = await house.begun.get()
    sock = conn.transport.get_extra_info("socket") if conn.transport else None
    assert sock is not None and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await leave(writer)
    await house.quiet()


async def test_too_many_connections_are_refused_in_the_protocols_words(house: House) -> None:
    house.settings["limits.connections_per_address"] = "2"
    house.open()
    kept = [await house.dial() for _ in range(2)]
    for reader, _ in kept:
        await reader.readline()
    reader, writer = await house.dial()
    assert await reader.read() == b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    await leave(writer)
    house.settings["limits.exempt_networks"] = "127.0.0.0/8"
    reader, writer = await house.dial()
    assert (await reader.readline()).startswith(b"+OK")
    await leave(writer)
    del house.settings["limits.exempt_networks"], house.settings["limits.connections_per_address"]
    house.settings["limits.connections"] = "1"
    reader, writer = await house.dial()
    assert (await reader.read()).startswith(b"-ERR [SYS/TEMP]")
    await leave(writer)
    for _, writer in kept:
        await leave(writer)
    await house.quiet()
    reader, writer = await house.dial()
    assert (await reader.readline()).startswith(b"+OK")
    await leave(writer)
    assert (await house.reasons()).keys() == {"too-many-connections", "too-many-connections-from-address"}


async def test_the_banned_are_shown_out_and_let_in_when_the_ban_is_gone(house: House) -> None:
    house.open()
    await house.store.write(bans.add, "127.0.0.1", "by hand", None)
    reader, writer = await house.dial()
    assert (await reader.read()).startswith(b"-ERR [SYS/TEMP] too many failed logins")
    await leave(writer)
    client = ssl.create_default_context()
    with pytest.raises(OSError):
        await house.dial("pop3s", ssl=client, server_hostname="mail.example.org")
    await house.store.write(bans.remove, "127.0.0.1")
    reader, writer = await house.dial()
    assert (await reader.readline()).startswith(b"+OK")
    await leave(writer)
    assert "banned" in await house.reasons()


async def test_tls_from_the_start(house: House) -> None:
    house.open()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    reader, writer = await house.dial("pop3s", ssl=client, server_hostname="mail.example.org")
    assert await reader.readline() == b"+OK 127.0.0.1\r\n"
    assert (await house.begun.get()).tls
    await leave(writer)
    await house.quiet()


async def test_a_handshake_that_fails_frees_its_place(house: House) -> None:
    house.open()
    open_after: list[int] = []
    for what in (b"EHLO this is no TLS at all\r\n" * 10, b"", b"\x16\x03\x01") * 5:
        _, writer = await house.dial("pop3s")
        while not house.doors.counts.total:
            await asyncio.sleep(0)
        writer.write(what)
        await leave(writer)
        await house.quiet()
        await house.refusals.flush()
        open_after.append(len(os.listdir("/proc/self/fd")))
    assert open_after[-1] <= open_after[2]
    assert "tls-failed" in await house.reasons()


async def test_a_fault_in_one_session_takes_nobody_with_it(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.open()
    reader, writer = await house.dial()
    other, other_writer = await house.dial()
    writer.write(b"CRASH\r\n")
    assert await reader.read() == b"+OK 127.0.0.1\r\n"
    other_writer.write(b"still\r\n")
    assert await other.readline() + await other.readline() == b"+OK 127.0.0.1\r\n+OK still\r\n"
    await leave(writer)
    await leave(other_writer)
    await house.quiet()


async def test_d12_out_of_descriptors_we_pause_and_do_not_spin(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(monkeypatch, accept_pause=0.05)
    house.open()
    door = house.doors.listeners[0]
    tries = 0

    class Exhausted:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def accept(self) -> Any:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return self._sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    monkeypatch.setattr(door, "sock", Exhausted(door.sock))
    reader, writer = await house.dial()
    assert (await reader.readline()).startswith(b"+OK")
    assert 3 <= tries <= 5
    await leave(writer)


async def test_a_peer_that_was_gone_before_the_accept_is_no_trouble(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open()
    door = house.doors.listeners[0]
    errors = iter([OSError(errno.ECONNABORTED, "gone"), OSError(errno.EPROTO, "gone")])

    class Aborted:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def accept(self) -> Any:
            for error in errors:
                raise error
            return self._sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    monkeypatch.setattr(door, "sock", Aborted(door.sock))
    reader, writer = await house.dial()
    assert (await reader.readline()).startswith(b"+OK")
    await leave(writer)


# -- PROXY -------------------------------------------------------------------------------------------------------------

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT_V2 = V2 + b"\x21\x11" + struct.pack("!H4s4sHH", 12, b"\xcb\x00\x71\x09", b"\x7f\x00\x00\x01", 4711, 110)


@pytest.mark.parametrize(
    "header, peer",
    [
        (b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 110\r\n", b"203.0.113.9"),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 110\r\n", b"2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
        (CLIENT_V2, b"203.0.113.9"),
        (V2 + b"\x20\x00\x00\x00", b"127.0.0.1"),  # LOCAL: the proxy itself
    ],
)
async def test_a_trusted_proxy_says_who_the_client_is(house: House, header: bytes, peer: bytes) -> None:
    house.settings["proxy.trusted"] = "127.0.0.1"
    house.open()
    reader, writer = await house.dial()
    writer.write(header + b"first\r\n")  # the command behind it must not be lost
    assert await reader.readline() == b"+OK " + peer + b"\r\n"
    assert await reader.readline() == b"+OK first\r\n"
    assert house.doors.counts.total == 1
    await leave(writer)
    await house.quiet()


async def test_the_header_comes_before_tls(house: House) -> None:
    house.settings["proxy.trusted"] = "127.0.0.1"
    house.open()
    sock = socket.create_connection(("127.0.0.1", house.port("pop3s")))
    sock.sendall(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 995\r\n")
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(sock=sock, ssl=client, server_hostname="mail.example.org")
    assert await reader.readline() == b"+OK 203.0.113.9\r\n"
    await leave(writer)
    await house.quiet()


@pytest.mark.parametrize(
    "header",
    [
        b"USER alice\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        V2 + b"\x21\x11\xff\xff" + b"x" * 100,
        b"PRO",
    ],
)
async def test_a_broken_header_ends_the_connection(house: House, header: bytes) -> None:
    house.settings["proxy.trusted"] = "127.0.0.1"
    house.open()
    reader, writer = await house.dial()
    writer.write(header)
    writer.write_eof()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    await leave(writer)
    await house.quiet()
    assert "proxy-header" in await house.reasons()


async def test_a_proxy_that_says_nothing_has_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(monkeypatch, proxy_patience=0.05)
    house.settings["proxy.trusted"] = "127.0.0.1"
    house.open()
    reader, writer = await house.dial()
    assert await reader.read() == b""
    await leave(writer)


async def test_counts_and_bans_are_the_clients_not_the_proxys(house: House) -> None:
    house.settings |= {"proxy.trusted": "127.0.0.1", "limits.connections_per_address": "1"}
    house.open()
    await house.store.write(bans.add, "203.0.113.66", "by hand", None)
    kept = []
    for last, answer in (("9", b"+OK"), ("10", b"+OK"), ("9", b"-ERR"), ("66", b"-ERR")):
        reader, writer = await house.dial()
        writer.write(f"PROXY TCP4 203.0.113.{last} 127.0.0.1 4711 110\r\n".encode())
        assert (await reader.readline()).startswith(answer)
        kept.append(writer)
    for writer in kept:
        await leave(writer)
    await house.quiet()


async def test_a_stranger_cannot_say_who_he_is(house: House) -> None:
    house.settings["proxy.trusted"] = "192.0.2.0/24"
    house.open()
    reader, writer = await house.dial()
    writer.write(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 110\r\n")
    assert await reader.readline() == b"+OK 127.0.0.1\r\n"
    assert await reader.readline() == b"+OK PROXY TCP4 203.0.113.9 127.0.0.1 4711 110\r\n"
    await leave(writer)


# -- the way out -------------------------------------------------------------------------------------------------------


async def test_the_drain_lets_the_idle_go_and_the_busy_finish(house: House) -> None:
    house.settings["proxy.trusted"] = "127.0.0.2"
    house.open()
    idle, idle_writer = await house.dial()
    busy, busy_writer = await house.dial()
    await idle.readline()
    await busy.readline()
    busy_writer.write(b"SLOW\r\n")
    await house.working.wait()
    half = socket.create_connection(("127.0.0.1", house.port("pop3s")))  # a handshake that never begins
    while house.doors.counts.total < 3:
        await asyncio.sleep(0)
    draining = asyncio.ensure_future(house.doors.drain())
    assert await idle.read() == b"-ERR bye\r\n"
    with pytest.raises(OSError):
        await house.dial()
    assert not draining.done()
    house.slow.set()
    assert await busy.read() == b"+OK SLOW\r\n-ERR bye\r\n"
    async with asyncio.timeout(5):
        await draining
    half.close()
    for writer in (idle_writer, busy_writer):
        await leave(writer)
    await house.quiet()


async def test_the_drain_ends_who_takes_too_long_with_a_word(house: House) -> None:
    house.open()
    busy, writer = await house.dial()
    await busy.readline()
    writer.write(b"SLOW\r\n")
    await house.working.wait()
    async with asyncio.timeout(5):
        await house.doors.drain(0.05)
    assert await busy.read() == b"-ERR [SYS/TEMP] the server is being stopped, try again soon\r\n"
    await leave(writer)
    await house.quiet()


# -- sockets -----------------------------------------------------------------------------------------------------------


def test_a_busy_port_is_one_clear_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(CannotListen) as caught:
            bind(Config([("listen.pop3", f"127.0.0.1:0,{where}")]), ["pop3"], {})
    assert str(caught.value).startswith(f"listen.pop3: {where}: the port is taken")


@pytest.mark.parametrize(
    "place, sentence",
    [("192.0.2.77:0", "does not have that address"), ("no-such-host.invalid:0", "does not have that address")],
)
def test_an_address_of_somebody_else_is_one_clear_sentence(place: str, sentence: str) -> None:
    with pytest.raises(CannotListen, match=sentence):
        bind(Config([("listen.pop3", place)]), ["pop3"], {})


@pytest.mark.parametrize("number, sentence", [(errno.EACCES, "needs root"), (errno.EIO, "input/output")])
def test_other_errors_too(number: int, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(family: int, where: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(listen, "_socket", refuse)
    with pytest.raises(CannotListen, match=sentence):
        bind(Config([("listen.pop3", "127.0.0.1:110")]), ["pop3"], {})


def test_no_host_means_all_of_ipv4_and_all_of_ipv6() -> None:
    bound = bind(Config([("listen.pop3", ":0"), ("listen.imap", "off")]), ["pop3", "imap"], {})
    try:
        assert {name for name, _ in bound} == {"pop3"}
        families = [sock.family for _, sock in bound]
        assert families[0] == socket.AF_INET
        for _, sock in bound:
            assert sock.proto == socket.IPPROTO_TCP
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            if sock.family == socket.AF_INET6:
                assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    finally:
        for _, sock in bound:
            sock.close()


def test_many_who_come_at_once_are_held_until_we_accept() -> None:
    [(_, sock)] = bind(Config([("listen.pop3", "127.0.0.1:0")]), ["pop3"], {})
    with contextlib.ExitStack() as stack:
        stack.enter_context(sock)
        for _ in range(200):  # more than the 128 that listen(2) gives by itself
            stack.enter_context(socket.create_connection(sock.getsockname(), 5))
    assert LIMITS.backlog > 200


def test_a_machine_without_ipv6_is_served_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = listen._socket

    def no_six(family: int, where: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        return real(family, where)

    monkeypatch.setattr(listen, "_socket", no_six)
    [(_, sock)] = bind(Config([("listen.pop3", ":0")]), ["pop3"], {})
    assert sock.family == socket.AF_INET
    sock.close()


def test_systemds_sockets_are_taken_by_name_or_port() -> None:
    """In a child, where descriptors 3 and 4 are free to be anything."""
    import subprocess
    import sys

    code = """
import os, socket, sys
socks = []
for _ in range(2):
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); socks.append(s)
for place, s in enumerate(socks):
    os.dup2(s.detach(), 10 + place)
os.dup2(10, 3); os.dup2(11, 4)
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve import listen
env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "imap:pop3.socket"}
listen._PORTS[socket.socket(fileno=os.dup(4)).getsockname()[1]] = "pop3"
bound = listen.bind(Config(), ["imap", "pop3"], env)
assert [name for name, _ in bound] == ["imap", "pop3"], bound
assert not env and not any(s.getblocking() or s.get_inheritable() for _, s in bound)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def test_sockets_for_another_process_are_left_alone() -> None:
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "3"}) == []
    assert inherited({}) == []


def test_tuning_raises_the_limit_of_descriptors_and_shrinks_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: asked.append(limits))
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", 256 * 1024)  # type: ignore[attr-defined]
    monkeypatch.setattr(asyncio.selector_events._SelectorTransport, "max_size", 256 * 1024)  # type: ignore[attr-defined]
    listen.tune()
    assert asked == [(4096, 4096)]
    assert asyncio.sslproto.SSLProtocol.max_size == 16 * 1024  # type: ignore[attr-defined]
