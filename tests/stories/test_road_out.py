"""The road out, with real servers: mail that users hand in reaches a sink in the world, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import smtplib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.instruments.dns_server import DNSServer
from tests.instruments.server import Server, free_ports
from tests.instruments.sink import Sink

TOKEN = re.compile(rb"^X-Token: (\S+)\r$", re.MULTILINE)
ZONE = """
far.example. MX 10 mx.far.example.
mx.far.example. A 127.0.0.3
a.test. MX 10 mx.a.test.
mx.a.test. A 127.0.0.1
b.test. MX 10 mx.b.test.
mx.b.test. A 127.0.0.2
"""


def mailctl(server: Server, *words: str) -> str:
    command = [sys.executable, "-m", "mailctl", "--data", str(server.data.path), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def queued(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in mailctl(server, "--json", "queue", "list").splitlines()]


def hand_in(server: Server, token: str, *to: str, user: str = "ann@a.test") -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30) as smtp:
        smtp.login(user, "secret")
        smtp.sendmail(user, to, f"From: {user}\r\nSubject: hi\r\nX-Token: {token}\r\n\r\n.dot\r\n{token}\r\n")


async def until(true: object, patience: float = 30) -> None:
    """Ask in a thread, now and then, until the answer is yes."""
    assert callable(true)
    async with asyncio.timeout(patience):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.1)


def settings(dns: DNSServer, port: int, **more: str) -> dict[str, str]:
    return {"dns.servers": dns.at, "smtp.out_port": str(port), "queue.retry": "1s", **more}


async def test_what_a_user_hands_in_reaches_the_world(tmp_path: Path) -> None:
    async with Sink(host="127.0.0.3") as sink, DNSServer(ZONE) as dns:
        server = Server(tmp_path / "a", {"ann@a.test": "secret"}, settings(dns, sink.port))
        await asyncio.to_thread(server.start)
        try:
            await asyncio.to_thread(hand_in, server, "one", "x@far.example", "y@far.example", "z@nowhere.test")
            (copy,) = await sink.wait(1)
            assert copy.recipients == ["x@far.example", "y@far.example"] and b"\r\n\r\n.dot\r\none\r\n" in copy.data
            await until(lambda: not queued(server))
            story = await asyncio.to_thread(mailctl, server, "trace", "--to", "x@far.example")
            assert "mx.far.example [127.0.0.3]" in story and "250 2.0.0 taken" in story
            inbox = await asyncio.to_thread(mailctl, server, "--json", "mail", "list", "ann@a.test")
            assert "could not be delivered" in inbox, "the one that does not exist is told about"
        finally:
            assert await asyncio.to_thread(server.stop) == 0


async def test_servers_that_forward_to_each_other_end_it_with_one_notice(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Sink(host="127.0.0.3", port=port) as sink, DNSServer(ZONE) as dns:
        servers = []
        for name, there, address in (("a", "b", "127.0.0.1"), ("b", "a", "127.0.0.2")):
            server = Server(
                tmp_path / name, {f"ann@{name}.test": "secret"},
                settings(dns, port, hostname=f"mx.{name}.test", **{"listen.smtp": f"{address}:{port}"}),
            )  # fmt: skip
            mailctl(server, "forward", "add", f"ann@{name}.test", f"ann@{there}.test")
            servers.append(server)
            await asyncio.to_thread(server.start)
        try:

            def send() -> None:
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                    smtp.sendmail("carl@far.example", "ann@a.test", "From: carl@far.example\r\n\r\nround and round\r\n")

            await asyncio.to_thread(send)
            (notice,) = await sink.wait(1, 30)
            assert (notice.sender, notice.recipients) == ("", ["carl@far.example"])
            assert b"5.4.6" in notice.data and b"round and round" in notice.data
            await until(lambda: not any(queued(server) for server in servers))
            assert len(sink.copies) == 1
        finally:
            for server in servers:
                await asyncio.to_thread(server.stop)


class Sender(threading.Thread):
    """Hands messages in until the server is gone; remembers what was acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.prefix = name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            with smtplib.SMTP("127.0.0.1", self.server.ports["submission"], timeout=30) as smtp:
                smtp.login("ann@a.test", "secret")
                for number in range(100_000):
                    token = f"{self.prefix}.{number}"
                    text = f"From: ann@a.test\r\nX-Token: {token}\r\n\r\n" + f"{token} and more\r\n" * 20
                    smtp.sendmail("ann@a.test", [f"u{number % 7}@far.example"], text)
                    self.acknowledged.append(token)


async def kill_while_sending(path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    async with Sink(host="127.0.0.3") as sink, DNSServer(ZONE) as dns:
        known = {"limits.exempt_networks": "127.0.0.0/8"}  # ann sends more than a user may in an hour
        server = Server(path / "a", {"ann@a.test": "secret"}, settings(dns, sink.port, **known))
        acknowledged: list[str] = []
        for round_ in range(kills):
            await asyncio.to_thread(server.start)
            senders = [Sender(server, f"{round_}.{i}") for i in range(3)]
            for sender in senders:
                sender.start()
            await asyncio.sleep(chance.uniform(0.2, 0.9))
            await asyncio.to_thread(server.kill)
            for sender in senders:
                await asyncio.to_thread(sender.join)
                acknowledged += sender.acknowledged
        await asyncio.to_thread(server.start)
        try:
            await until(lambda: not queued(server), 120)
        finally:
            await asyncio.to_thread(server.stop)
        found = [match[1].decode() for copy in sink.copies if (match := TOKEN.search(copy.data))]
        assert len(acknowledged) > kills * 3 and len(found) == len(sink.copies)
        assert set(acknowledged) <= set(found), "nothing acknowledged is lost"
        for copy, token in zip(sink.copies, found, strict=True):
            assert copy.data.endswith(b"\r\n\r\n" + f"{token} and more\r\n".encode() * 20), "nothing is half there"
        # At most what was under way when the server died arrives twice: a batch of results for each kill.
        twice = len(found) - len(set(found))
        assert twice <= kills * 100, f"{twice} second copies after {kills} kills"


async def test_killed_while_sending_nothing_is_lost(tmp_path: Path) -> None:
    await kill_while_sending(tmp_path, 4, 1)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_killed_while_sending_fifty_times_nothing_is_lost(tmp_path: Path) -> None:
    await kill_while_sending(tmp_path, 50, 2)
