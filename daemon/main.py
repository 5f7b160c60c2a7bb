"""Order of waking and sleeping: store, settings, sockets, privileges, doors, queue, janitor; signals; drain.

How a start can fail, each with one sentence and an exit code (`admin.errors`): the database is foreign or damaged, a
setting is bad, a certificate cannot be used, a port is taken, another server has the data directory (78); the store is
busy (75). An I/O error of the store while serving ends the process (75): nothing may be acknowledged any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from daemon import log, passwords
from daemon.config import SETTINGS, BadSetting, Config, DataDir
from daemon.limits import LIMITS
from daemon.serve import listen
from daemon.serve.house import House
from daemon.store import settings
from daemon.store.db import Store, StoreError
from daemon.store.tx import Changes

EXIT_TEMPORARY = 75
_USER = "mailctl"  # whom a server that was started as root becomes, if there is such a user
DOORS = tuple(key.removeprefix("listen.") for key in SETTINGS if key.startswith("listen."))
Say = Callable[[str], None]


class AlreadyServed(BadSetting):
    """Another server has the data directory."""


def run(data: DataDir, *, say: Say = print, step_down: bool = True) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, or 75 when the store broke meanwhile.

    `say` gets the one line `ready` when every listener accepts. `step_down`: root becomes the server's user. Raises
    `AlreadyServed`, `BadSetting` (a bad row, a taken port, no certificate), `StoreError`, `OSError`.
    """
    log.start()
    listen.tune()
    os.umask(0o077)
    passwords.self_test()
    with _alone(data):
        store = Store.open(data)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                return runner.run(_serve(store, say, step_down))
        finally:
            store.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "linux":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


@contextlib.contextmanager
def _alone(data: DataDir) -> Iterator[None]:
    """One server a data directory."""
    data.make()
    with open(os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServed(f"another server serves from {data.path}; stop that one first") from None
        yield


async def _serve(store: Store, say: Say, step_down: bool) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    settled = Settings(store)
    bound = listen.bind(settled.current(), DOORS)
    if step_down and os.geteuid() == 0:
        _become(_USER, store.data)
    store.attach(loop)
    doorbell = await _answer_the_door(store)
    house = House(store, settled.current)
    if sys.platform == "linux":
        await store.hire()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, house.reload_certificates)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_look_now_and_then(store, stop))
            group.create_task(house.serve(bound, stop, lambda: _ready(say, step_down)))
    finally:
        _notify("STOPPING=1")
        doorbell.close()
    return EXIT_TEMPORARY if store.broken else 0


class Settings:
    """The settings as they are now: read anew when one changed, kept as they were while a row is bad."""

    def __init__(self, store: Store) -> None:
        """Raises `BadSetting`."""
        self._store = store
        self._config = store.read_now(settings.load)
        self._apply()
        store.listen(self._changed)

    def current(self) -> Config:
        return self._config

    def _changed(self, changes: Changes) -> None:
        if not (changes.settings or changes.everything):
            return
        try:
            config = self._store.peek(settings.load)
        except (BadSetting, StoreError) as error:
            log.trouble("setting-ignored", error=error)
            return
        if config.rows != self._config.rows:
            changed = sorted(key for key, _ in config.rows.items() ^ self._config.rows.items())
            self._config = config
            self._apply()
            log.event("settings-changed", keys=",".join(dict.fromkeys(changed)))

    def _apply(self) -> None:
        self._store.reserve = self._config["store.reserve"]


class _Bell(asyncio.DatagramProtocol):
    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._ring()


class _Closing(Protocol):
    def close(self) -> None: ...


async def _answer_the_door(store: Store) -> _Closing:
    """The doorbell: `mailctl` rings it after a commit. Without it the look now and then is what remains."""
    path = store.data.doorbell
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind(str(path))
    except OSError as error:  # a path over 107 octets
        log.trouble("no-doorbell", error=error)
        return sock
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Bell(store.check_others), sock=sock
    )
    return transport


async def _look_now_and_then(store: Store, stop: asyncio.Event) -> None:
    """The net below the doorbell; and the end of a server whose store is broken."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LIMITS.look)
        store.check_others()
        if store.broken:
            log.trouble("store-broken", data=store.data.path)
            stop.set()


def _become(name: str, data: DataDir) -> None:
    """Root only binds the ports: then the server becomes its own user, if there is one, who owns the data."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return
    for folder, _, files in os.walk(data.path):
        os.chown(folder, user.pw_uid, user.pw_gid)
        for file in files:
            os.chown(os.path.join(folder, file), user.pw_uid, user.pw_gid, follow_symlinks=False)
    os.initgroups(name, user.pw_gid)  # its other groups too: ssl-cert reads the keys that tls.key may name
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _ready(say: Say, step_down: bool) -> None:
    if step_down and os.geteuid() == 0:
        log.event("still-root", remedy=f"make a system user {_USER!r}, whom the server becomes once it has its ports")
    say("ready")
    _notify("READY=1")


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3))."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode(), "\0" + where[1:] if where[0] == "@" else where)
