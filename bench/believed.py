"""Incoming mail judged by its proofs: every message is signed, its sender's SPF and DMARC records are asked for.

`python -m bench.believed` is the CPU of all checks of one message of 10 KB with a warm DNS cache, verdict and field
included, in one process. The rows of the bench send such messages to a server, ours or the peers' with their filters.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.correspondent import ADDRESS, HELO, SENDER, key, letter, name_server, zone
from bench.delivering import arriving
from bench.row import Field, Figures, Row
from bench.suite import Server
from daemon.mail.address import parse_address
from daemon.resolver import DNS
from daemon.trust import authres
from daemon.trust.examine import examine
from daemon.trust.verdict import Policy, authentic
from tests.instruments.dns_server import DNSServer

MESSAGES = 500  # different ones, sent in turn
_ASKED = {"dns.servers": ADDRESS, "smtp.trusted_networks": ""}  # or loopback's mail would not be judged


@dataclass(frozen=True)
class Judged:
    """What both sides do to every message: settings of ours, and what the last message's header must show for it."""

    settings: Mapping[str, str]
    proofs: Mapping[str, re.Pattern[bytes]]  # each in one of the fields that the server put on top


BELIEVED = Judged(
    _ASKED | {"spam.check": "no"},
    {  # policyd-spf has a field of its own
        "spf=pass": re.compile(rb"received-spf: pass|authentication-results: [^;]+;.*\bspf=pass"),
        "dkim=pass": re.compile(rb"authentication-results: [^;]+;.*\bdkim=pass"),
        "dmarc=pass": re.compile(rb"authentication-results: [^;]+;.*\bdmarc=pass"),
    },
)
FILTERED = Judged(
    _ASKED,
    BELIEVED.proofs
    | {"verdict of the words": re.compile(rb"x-spam-reasons: .*\bwords\b|x-spamd-result: .*\bbayes_ham")},
)

signing_key = functools.cache(key)  # the same in all rounds: the servers have it in their caches


@functools.cache
def _letters() -> list[bytes]:
    return [letter([signing_key("rsa-sha256")], number) for number in range(MESSAGES)]


def judged(by: Judged, sessions: int) -> Callable[[Field, Server, Row], Figures]:
    """Signed messages over `sessions` connections, until IMAP shows all; the last one must show every proof.

    The name server belongs to whom it serves: its CPU counts.
    """

    def measure(field: Field, server: Server, row: Row) -> Figures:
        with (
            tempfile.TemporaryDirectory(prefix="bench-mail-") as folder,
            name_server(zone([signing_key("rsa-sha256")])) as pid,
        ):
            for number, mail in enumerate(_letters()):
                (Path(folder) / f"{number:04d}").write_bytes(mail)
            asked = server | {"pids": [*server.get("pids", ()), pid]}

            def send(count: int) -> float:
                return count / float(_send(server, sessions, count, folder)["seconds"])

            def look(count: int) -> None:
                _proven(by, field, server, (count - 1) % server["nusers"])

            return arriving(field, asked, row, 200, send, look)

    return measure


def _send(server: Server, sessions: int, count: int, folder: str) -> dict[str, Any]:
    host, port = server["smtp"]
    command = [sys.executable, "-m", "bench.sending", host, port, sessions, count, server["nusers"], folder]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _proven(by: Judged, field: Field, server: Server, user: int) -> None:
    """Raises `RuntimeError` unless the last message of this user shows every proof."""
    connection = field.suite.imap(server, user)
    try:
        connection.cmd("SELECT INBOX")
        header: bytes = connection.cmd("FETCH * BODY.PEEK[HEADER]", True)
    finally:
        connection.close()
    told = re.sub(rb"\r\n[ \t]+", b" ", header).lower().split(b"\r\n")
    for name, proof in by.proofs.items():
        if not any(map(proof.match, told)):
            raise RuntimeError(f"{server['name']} did not find {name}: {header[:600]!r}")


async def checking(server: DNSServer, mail: bytes, seconds: float) -> list[float]:
    """CPU milliseconds of judging one message, for each batch of ten."""
    dns, figures, end = DNS([server.server]), list[float](), 0.0
    while time.monotonic() < end or len(figures) < 5:
        began = time.process_time()
        for _ in range(10):
            signals = await examine(
                dns, ip="127.0.0.1", helo=HELO, sender=SENDER, data=mail, now=int(time.time()), receiver="mx.bench.test"
            )
            verdict = authentic(signals, Policy())
            authres.header("mx.bench.test", signals, mail_from=parse_address(SENDER), helo=HELO, ip="127.0.0.1")
            authres.forged(mail, "mx.bench.test")
        if verdict.reason != "dmarc-pass" or not signals.dmarc.dkim_aligned or not signals.dmarc.spf_aligned:
            raise SystemExit(f"this measures nothing: {signals}")
        if end:
            figures.append((time.process_time() - began) * 100)
        end = end or time.monotonic() + seconds  # the first batch fills the cache
    return figures


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.believed", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="what a figure is measured for (3)")
    given = parser.parse_args()
    keys = [key("rsa-sha256"), key("ed25519-sha256")]
    async with DNSServer(zone(keys), ttl=3600) as server:
        for title, some in (("RSA", keys[:1]), ("RSA and Ed25519", keys)):
            figures = await checking(server, letter(some), given.seconds)
            print(f"all checks, 10 KB, signed with {title}: {statistics.median(figures):.2f} ms CPU", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
