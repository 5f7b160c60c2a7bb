"""`python -m bench.believed`: what it costs to judge incoming mail, without the load suite.

First the CPU of all checks of one signed message of 10 KB with a warm DNS cache, verdict and field included; then a
server of ours that takes such messages on port 25 from a few sessions: unjudged, by their proofs, by the filter too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.subject import PORTS, prepare
from daemon.config import DataDir
from daemon.mail.address import parse_address
from daemon.resolver import DNS
from daemon.store import settings
from daemon.store.db import Store
from daemon.trust import authres, sign
from daemon.trust.examine import examine
from daemon.trust.verdict import Policy, authentic
from tests.instruments.dns_server import DNSServer

PREFIX = 227
SENDER = "ann@good.example"
ZONE = """
1.0.0.127.in-addr.arpa. PTR mx.good.example.
mx.good.example. A 127.0.0.1
good.example. TXT "v=spf1 mx -all"
good.example. MX 10 mx.good.example.
_dmarc.good.example. TXT "v=DMARC1; p=reject; rua=mailto:reports@good.example"
"""


def letter(keys: list[sign.Key], size: int = 10_000) -> bytes:
    body = b"A line of a letter, neither long nor short, as people write them.\r\n" * (size // 67)
    mail = b"From: Ann <ann@good.example>\r\nTo: u0@bench.test\r\nSubject: hello\r\nMessage-ID: <1@good.example>\r\n"
    mail += b"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + body
    return sign.sign(mail, keys, now=time.time()) + mail


def zone(keys: list[sign.Key]) -> str:
    def strings(text: str) -> str:
        return " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))

    return ZONE + "\n".join(f"{k.selector}._domainkey.good.example. TXT {strings(sign.public_record(k))}" for k in keys)


async def checking(server: DNSServer, mail: bytes, seconds: float) -> list[float]:
    """CPU milliseconds of judging one message, for each batch of ten."""
    dns, figures, end = DNS([server.server]), list[float](), 0.0
    while time.monotonic() < end or len(figures) < 5:
        began = time.process_time()
        for _ in range(10):
            signals = await examine(
                dns, ip="127.0.0.1", helo="mx.good.example", sender=SENDER, data=mail, now=int(time.time()),
                receiver="mx.bench.test",
            )  # fmt: skip
            verdict = authentic(signals, Policy())
            authres.header(
                "mx.bench.test", signals, mail_from=parse_address(SENDER), helo="mx.good.example", ip="127.0.0.1"
            )
            authres.forged(mail, "mx.bench.test")
        if verdict.reason != "dmarc-pass" or not signals.dmarc.dkim_aligned or not signals.dmarc.spf_aligned:
            raise SystemExit(f"this measures nothing: {signals}")
        if end:
            figures.append((time.process_time() - began) * 100)
        end = end or time.monotonic() + seconds  # the first batch fills the cache
    return figures


def sessions(port: int, mail: bytes, count: int) -> None:
    """One client: `count` messages over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:

        def says(data: bytes, want: bytes) -> None:
            sock.sendall(data)
            while (line := replies.readline())[3:4] == b"-":
                pass
            if not line.startswith(want):
                raise SystemExit(f"{data[:40]!r}: {line!r}")

        says(b"", b"220")
        says(b"EHLO mx.good.example\r\n", b"250")
        for number in range(count):
            says(f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
            says(f"RCPT TO:<u{number % 100}@bench.test>\r\n".encode(), b"250")
            says(b"DATA\r\n", b"354")
            says(mail + b".\r\n", b"250 2.0.0")


def cpu(root: int) -> float:
    """CPU seconds of a process and all below it so far, those that ended and were waited for too."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], used[pid] = int(fields[1]), sum(map(int, fields[11:15])) / tick

    def ours(pid: int) -> bool:
        while pid != root and pid in parents:
            pid = parents[pid]
        return pid == root

    return sum(seconds for pid, seconds in used.items() if ours(pid))


def load(port: int, mail: bytes, clients: int, count: int, pid: int) -> tuple[float, float]:
    """Messages a second, and CPU milliseconds of `pid` and what it started for one."""
    sessions(port, mail, 20)  # the cache is warm
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        pool.starmap(sessions, [(port, mail, 1)] * clients)
        before, began = cpu(pid), time.monotonic()
        pool.starmap(sessions, [(port, mail, count // clients)] * clients, chunksize=1)
        took = time.monotonic() - began
    return count / took, (cpu(pid) - before) * 1000 / count


def taking(path: Path, dns: str, mail: bytes, asked: str, clients: int, count: int) -> tuple[float, float]:
    """Messages a second, and CPU milliseconds of the server for one."""
    data = path / asked.replace(" ", "-")
    prepare(data, PREFIX)
    store = Store.open(DataDir(data))
    checks = [("trust.check", "proofs" in asked), ("spam.check", "filter" in asked)]
    switches = [(key, "yes" if on else "no") for key, on in checks]
    for key, value in (*switches, ("dns.servers", dns), ("smtp.trusted_networks", "")):
        store.write_now(lambda tx, key=key, value=value: settings.put(tx, key, value, "bench"))
    store.close()
    command = [sys.executable, "-m", "bench.subject", str(data), str(PREFIX)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("our server did not start")
        return load(PREFIX * 100 + PORTS["smtp"], mail, clients, count, process.pid)
    finally:
        process.terminate()
        process.communicate()


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.believed", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="what the first figure is measured for (3)")
    parser.add_argument("--messages", type=int, default=3000, help="for the second (3000)")
    parser.add_argument("--sessions", type=int, default=10, help="at once (10)")
    given = parser.parse_args()
    algorithms: list[sign.Algorithm] = ["rsa-sha256", "ed25519-sha256"]
    keys = [sign.Key("good.example", f"s{n}", a, sign.generate(a)) for n, a in enumerate(algorithms)]
    async with DNSServer(zone(keys), ttl=3600) as server:
        for title, some in (("RSA", keys[:1]), ("RSA and Ed25519", keys)):
            figures = await checking(server, letter(some), given.seconds)
            print(f"all checks, 10 KB, signed with {title}: {statistics.median(figures):.2f} ms CPU", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as path:
            for asked in ("nothing", "proofs", "proofs and filter"):
                rate, each = await asyncio.to_thread(
                    taking, Path(path), server.at, letter(keys), asked, given.sessions, given.messages
                )  # fmt: skip
                print(f"10 KB delivered, asked: {asked}: {rate:.0f} msg/s, {each:.2f} ms CPU each", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
