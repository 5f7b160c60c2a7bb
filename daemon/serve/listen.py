"""The doors: sockets, who may come in, and how everybody is shown out.

`bind` makes the sockets (as root, before privileges are dropped, or takes systemd's), `Doors` accepts on them. A
connection passes, in this order: the accept with back-off when descriptors run out, the PROXY header of a trusted
proxy, bans, the counts, the TLS handshake of an implicit-TLS door; then its service talks. A refusal is said in the
protocol's own words and summed in the trace.

How it can fail: `CannotListen`, one sentence that names the setting; the process ends with it (exit 78).
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from daemon import log
from daemon.config import BadSetting, Config, HostPort, contains
from daemon.limits import LIMITS
from daemon.serve.connection import Connection, Draining, Owner, plain_address
from daemon.serve.inlet import Inlet
from daemon.serve.proxy import BadProxyHeader, proxied_peer
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans, network_of
from daemon.serve.tls import Keyring
from daemon.wire.stream import EndOfStream

_OUT_OF_FILES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_M_MMAP_THRESHOLD = -3  # mallopt(3)
_AT_ONCE = 64  # connections accepted before the loop does something else
_PORTS = {
    25: "smtp", 587: "submission", 465: "submissions", 24: "lmtp", 143: "imap", 993: "imaps", 110: "pop3", 995: "pop3s",
    4190: "managesieve", 80: "http", 443: "https",
}  # fmt: skip

TOO_MANY = "too many connections, try again later"
BANNED = "too many failed logins from your address, try again later"
STOPPING = "the server is being stopped, try again soon"


class CannotListen(BadSetting):
    """A door cannot be opened; the message is one sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Service:
    """What stands behind the door of setting `listen.NAME`.

    `make` gives a new connection, `serve` talks with the peer until all is said. `words` is how the protocol says no
    before anything else was said, with `{}` for the text. `context` chooses the TLS of one connection of an
    implicit-TLS door; without it that is the keyring's.
    """

    name: str
    make: Callable[[Owner], Connection]
    serve: Callable[[Any], Awaitable[None]]
    words: str
    implicit_tls: bool = False
    context: Callable[[socket.socket], Awaitable[ssl.SSLContext]] | None = None

    def say(self, text: str) -> bytes:
        return self.words.format(text).encode() + b"\r\n"


SMTP_WORDS = "421 4.3.2 {}"
IMAP_WORDS = "* BYE [UNAVAILABLE] {}"  # RFC 5530 §3
POP3_WORDS = "-ERR [SYS/TEMP] {}"  # RFC 3206 §4
MANAGESIEVE_WORDS = 'BYE (TRYLATER) "{}"'  # RFC 5804 §1.3

Bound = list[tuple[str, socket.socket]]
"""Names of services with their sockets, listening."""


# -- sockets -----------------------------------------------------------------------------------------------------------


def bind(config: Config, names: Iterable[str], environ: MutableMapping[str, str] = os.environ) -> Bound:
    """Sockets for all these services, listening; those that systemd handed over are used. Raises `CannotListen`."""
    bound = inherited(environ)
    given = {name for name, _ in bound}
    try:
        for name in names:
            if name not in given:
                for place in config[f"listen.{name}"]:
                    bound += [(name, sock) for sock in _listen_at(name, place)]
    except BaseException:
        for _, sock in bound:
            sock.close()
        raise
    return bound


def inherited(environ: MutableMapping[str, str]) -> Bound:
    """Sockets handed over by systemd (sd_listen_fds(3)), named by FileDescriptorName= or known by their port."""
    if environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return []
    count, names = environ.pop("LISTEN_FDS", "0"), environ.pop("LISTEN_FDNAMES", "").split(":")
    bound: Bound = []
    for place in range(int(count) if count.isdigit() else 0):
        sock = socket.socket(fileno=3 + place)
        name = names[place] if place < len(names) else ""
        if name not in _PORTS.values():
            port = sock.getsockname()[1] if sock.family in (socket.AF_INET, socket.AF_INET6) else 0
            name = _PORTS.get(port, "")
        if not name:
            sock.close()
            raise CannotListen("a socket of systemd fits no door; name it in FileDescriptorName= (smtp, imaps, ...)")
        os.set_inheritable(sock.fileno(), False)
        sock.setblocking(False)
        bound.append((name, sock))
    return bound


def _listen_at(name: str, place: HostPort) -> list[socket.socket]:
    """One socket for each address that HOST means; without HOST all of IPv4 and, apart, all of IPv6."""
    hosts = [place.host] if place.host else ["0.0.0.0", "::"]
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            for family, _, _, _, where in socket.getaddrinfo(
                host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                try:
                    sockets.append(_socket(family, where))
                except OSError as error:
                    if not place.host and family == socket.AF_INET6 and sockets and error.errno != errno.EADDRINUSE:
                        continue  # a machine without IPv6
                    raise
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise CannotListen(f"listen.{name}: {place}: {_why(error)}") from None
    return sockets


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another program; stop that one, or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "a port below 1024 needs root (or CAP_NET_BIND_SERVICE, or systemd's socket activation)"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "this machine does not have that address"
    return str(error.strerror or error).lower()


def _socket(family: int, where: Any) -> socket.socket:
    # IPPROTO_TCP by name: asyncio sets TCP_NODELAY only where it sees it
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(where)
        sock.listen(LIMITS.backlog)
    except OSError:
        sock.close()
        raise
    return sock


def tune() -> None:
    """As many descriptors as we may have, and asyncio's own TLS and read buffers small.

    asyncio holds 256 KiB for every TLS connection, uvloop a few; performance.md section 4.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or soft == resource.RLIM_INFINITY:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.sslproto.SSLProtocol.max_size = 16 * 1024  # type: ignore[attr-defined]
    asyncio.selector_events._SelectorTransport.max_size = 64 * 1024  # type: ignore[attr-defined]
    _keep_large_blocks_apart()


def _keep_large_blocks_apart() -> None:
    """Blocks of uvloop's TLS buffers (256 KiB, mostly untouched) come from the system, never from used heap.

    glibc raises that bound to the largest block ever freed, and one argon2 is 19 MiB: measured, an idle TLS connection
    took 50 KiB afterwards instead of 28.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 250 * 1024)


# -- who is here -------------------------------------------------------------------------------------------------------


class Counts:
    """Connections open now, in all and by stranger."""

    def __init__(self) -> None:
        self.total = 0
        self._by_network: Counter[str] = Counter()

    def enter(self, network: str) -> None:
        self.total += 1
        self._by_network[network] += 1

    def leave(self, network: str) -> None:
        self.total -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def of(self, network: str) -> int:
        return self._by_network[network]


class Doors:
    """All listeners of the process. `open`, then some day `drain`."""

    def __init__(
        self, config: Callable[[], Config], keyring: Keyring | None, bans: Bans | None, refusals: Refusals | None
    ) -> None:
        """`config` gives the settings as they are now. Without a keyring there is no implicit TLS."""
        self.config = config
        self.keyring = keyring
        self.bans = bans
        self.refusals = refusals
        self.counts = Counts()
        self.closing = False
        self.listeners: list[Listener] = []

    def open(self, services: Mapping[str, Service], bound: Bound) -> None:
        """Accept from now on."""
        for name, sock in bound:
            listener = Listener(self, services[name], sock)
            self.listeners.append(listener)
            listener.resume()

    async def drain(self, patience: float = LIMITS.drain) -> None:
        """Accept nothing more, let transactions finish for `patience` seconds, then close what is left, politely."""
        self.closing = True
        for listener in self.listeners:
            listener.stop()
        for listener in self.listeners:
            listener.drain_begins()
        left = {task for listener in self.listeners for task in listener.tasks}
        if left:
            _, left = await asyncio.wait(left, timeout=patience)
        if left:
            log.trouble("drain-cut", sessions=len(left))
        for listener in self.listeners:
            listener.show_out()
        if left:
            await asyncio.wait(left, timeout=LIMITS.linger)
        for listener in self.listeners:
            for conn in tuple(listener.connections):
                conn.abort()
        await asyncio.sleep(0)


class Listener:
    """One listening socket; the `Owner` of its connections."""

    def __init__(self, doors: Doors, service: Service, sock: socket.socket) -> None:
        self.doors = doors
        self.service = service
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.connections: dict[Connection, str] = {}  # with the network they are counted under
        self.tasks: set[asyncio.Task[None]] = set()
        self._coming: set[asyncio.Task[None]] = set()  # not yet through PROXY header and handshake
        self._pause: asyncio.TimerHandle | None = None
        self._open = True

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def closing(self) -> bool:
        return self.doors.closing

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def resume(self) -> None:
        self._pause = None
        if self._open:
            self.loop.add_reader(self.sock.fileno(), self._ready)

    def stop(self) -> None:
        """Accept nothing more."""
        if self._open:
            self._open = False
            if self._pause is not None:
                self._pause.cancel()
            self.loop.remove_reader(self.sock.fileno())
            self.sock.close()

    def drain_begins(self) -> None:
        """Tell those who wait between two transactions, and those who are not in yet."""
        for conn in tuple(self.connections):
            conn.drain_begins()
        for task in tuple(self._coming):
            task.cancel()

    def show_out(self) -> None:
        """Say goodbye for the sessions that did not finish in time, and end them."""
        for conn in tuple(self.connections):
            conn.write(self.service.say(STOPPING))
            conn.close()
        for task in tuple(self.tasks):
            task.cancel()

    def closed(self, conn: Connection) -> None:
        network = self.connections.pop(conn, None)
        if network is not None:
            self.doors.counts.leave(network)

    # -- coming in -----------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, where = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    return  # the network's trouble with one who is gone already; accept(2)
                # The connection stays in the queue and the socket readable: without a pause the loop would spin (D12)
                log.trouble("accept-paused", door=self.name, error=error.strerror)
                self.loop.remove_reader(self.sock.fileno())
                self._pause = self.loop.call_later(LIMITS.accept_pause, self.resume)
                return
            self._admit(sock, where)

    def _admit(self, sock: socket.socket, where: Any) -> None:
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, port = (plain_address(where[0]), where[1]) if isinstance(where, tuple) else ("", 0)
        proxied = contains(self.doors.config()["proxy.trusted"], peer)
        network = "" if proxied else self._enter(sock, peer)
        if network is None:
            return
        task = self.loop.create_task(self._host(sock, peer, port, network))
        self.tasks.add(task)
        self._coming.add(task)
        task.add_done_callback(self._gone)

    def _enter(self, sock: socket.socket, peer: str) -> str | None:
        """Count the stranger in; None when he was refused."""
        doors, network = self.doors, network_of(peer)
        config = doors.config()
        text = reason = ""
        if not contains(config["limits.exempt_networks"], peer):
            if doors.bans is not None and doors.bans.reason(peer):
                reason, text = "banned", BANNED
            elif doors.counts.total >= config["limits.connections"]:
                reason, text = "too-many-connections", TOO_MANY
            elif doors.counts.of(network) >= config["limits.connections_per_address"]:
                reason, text = "too-many-connections-from-address", TOO_MANY
        if reason:
            if not self.service.implicit_tls:
                with suppress(OSError):
                    sock.send(self.service.say(text))
            sock.close()
            self._refused(peer, reason, text)
            return None
        doors.counts.enter(network)
        return network

    async def _host(self, sock: socket.socket, peer: str, port: int, network: str | None) -> None:
        """One visit, from the accepted socket to the last word."""
        if not network:
            try:
                async with asyncio.timeout(LIMITS.proxy_patience):
                    peer, port = await proxied_peer(sock, peer, port)
            except BaseException as error:
                sock.close()
                if not isinstance(error, (BadProxyHeader, OSError, TimeoutError)):
                    raise
                self._refused(peer, "proxy-header", str(error) or "silence")
                return
            network = self._enter(sock, peer)
            if network is None:
                return
        conn = self.service.make(self)
        conn.peer, conn.peer_port = peer, port
        self.connections[conn] = network
        try:
            await self._connect(conn, sock)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self.closed(conn)
            sock.close()
            self._refused(peer, "tls-failed", getattr(error, "reason", None) or str(error) or type(error).__name__)
            return
        except BaseException:
            self.closed(conn)
            raise
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._coming.discard(task)
        try:
            await self.service.serve(conn)
        except (EndOfStream, ConnectionError, TimeoutError, Draining):
            pass  # the peer went, or had to
        except Exception as error:  # a session ends its own; this one took nobody with it
            log.fault("session-fault", error, door=self.name, ip=peer)
        finally:
            conn.close()

    async def _connect(self, conn: Connection, sock: socket.socket) -> None:
        if not self.service.implicit_tls:
            await self.loop.connect_accepted_socket(lambda: Inlet(conn), sock)
            return
        context = await self._context(sock)
        await self.loop.connect_accepted_socket(
            lambda: Inlet(conn), sock, ssl=context,
            ssl_handshake_timeout=LIMITS.handshake_patience, ssl_shutdown_timeout=LIMITS.linger,
        )  # fmt: skip

    async def _context(self, sock: socket.socket) -> ssl.SSLContext:
        if self.service.context is not None:
            async with asyncio.timeout(LIMITS.handshake_patience):
                return await self.service.context(sock)
        assert self.doors.keyring is not None
        return self.doors.keyring.context

    def _gone(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._coming.discard(task)

    def _refused(self, peer: str, reason: str, reply: str) -> None:
        if self.doors.refusals is not None:
            self.doors.refusals.add(peer, reason, sender=self.name, reply=reply)
