"""A real server in a process of its own, as a user would start it, on free ports of loopback."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from daemon import passwords
from daemon.config import DataDir
from daemon.flow import signing
from daemon.mail.address import parse_address
from daemon.store import accounts, dkim_keys, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

PROTOCOLS = (
    "smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "managesieve", "http", "https",
    "admin", "metrics",
)  # fmt: skip
NO_DNS = "127.0.0.1:1"  # nobody answers there: unless a test has its own DNS, no name of the world is looked up
PATIENCE = 30  # seconds for a start or a stop before the test fails
_QUIET = (10_000, 32_000)  # below what systems give to outgoing connections
_chance = random.SystemRandom()
_pair = cache(signing.make)  # the keys of all domains: made once, each takes its time


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that no outgoing connection gets while a server is down in between."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", _chance.randrange(*_QUIET)))
                found.append(int(sock.getsockname()[1]))
    return found


class Server:
    """`users` maps addresses to passwords; their domains are made. `config` are settings as text."""

    def __init__(self, path: Path, users: Mapping[str, str], config: Mapping[str, str] | None = None) -> None:
        self.data = DataDir(path)
        self.users = dict(users)
        self.ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        self.process: subprocess.Popen[bytes] | None = None
        self.errors = path.parent / f"{path.name}.log"
        quiet = {"hostname": "mx.example.test", "auth.require_tls": "no", "dns.servers": NO_DNS, "trust.check": "no"}
        quiet["spam.check"] = "no"
        self._prepare({**quiet, **(config or {})})

    def _prepare(self, config: Mapping[str, str]) -> None:
        store = Store.open(self.data)

        def fill(tx: Tx) -> None:
            for key, port in self.ports.items():
                settings.put(tx, f"listen.{key}", f"127.0.0.1:{port}", "test")
            for key, value in config.items():
                settings.put(tx, key, value, "test")
            for text, password in self.users.items():
                address = parse_address(text)
                if domains.find(tx, address.domain) is None:
                    domains.add(tx, address.domain)
                    for key in dkim_keys.add(tx, address.domain, _pair()):
                        dkim_keys.note(tx, key.id, True)  # seen already: no name server is asked at the start
                accounts.add(tx, address, accounts.Password(*passwords.keep(password)))

        store.write_now(fill)
        store.close()

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def start(self, *prefix: str) -> None:
        """Start and wait for `ready`; `prefix` is a command to run it under (strace)."""
        command = [*prefix, sys.executable, "-m", "mailctl", "--data", str(self.data.path), "serve"]
        with self.errors.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        assert self.process.stdout is not None
        end = time.monotonic() + PATIENCE
        said = b""
        while b"ready\n" not in said:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                self.kill()
                raise AssertionError(f"the server did not get ready: {said!r}\n{self.log()[-3000:]}")
            said += piece

    def stop(self) -> int:
        """SIGTERM, and wait for the drain; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        if self.process is not None:
            self.process.kill()
            self._wait()

    def kill_writer(self) -> None:
        """SIGKILL for the process that writes: the server sees it and ends."""
        children = Path(f"/proc/{self.pid}/task").glob("*/children")
        for child in [int(each) for listed in children for each in listed.read_text().split()]:
            os.kill(child, signal.SIGKILL)
        self._wait()

    def _wait(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end within {PATIENCE} s\n{self.log()[-3000:]}") from None
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def log(self) -> str:
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()
