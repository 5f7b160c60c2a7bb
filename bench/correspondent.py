"""Somebody whose mail has every proof: his domain, his messages (signed before any clock starts), his name server."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from bench.suite import NoSuite
from daemon.trust import sign

HELO = "mx.example.org"
SENDER = "ann@example.org"
ADDRESS = "127.53.0.1"  # of the name server: port 53, because resolv.conf knows no other
ZONE = """
1.0.0.127.in-addr.arpa. PTR mx.example.org.
mx.example.org. A 127.0.0.1
mx.example.org. TXT "v=spf1 a -all"
example.org. MX 10 mx.example.org.
example.org. TXT "v=spf1 mx -all"
_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:reports@example.org"
"""
_WORDS = "a the of mail server message quick brown fox report budget meeting schedule please thanks regards".split()
_WARES = "pills casino winner lottery viagra refinance cheap replica enlarge bonus click unsubscribe".split()
_PATIENCE = 10.0  # seconds for the name server to start
_UNBOUND = """
server:
  directory: "{here}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  interface: {address}
  access-control: 127.0.0.0/8 allow
  local-zone: "." static
  local-zone: "org." static
  local-zone: "127.in-addr.arpa." static
  local-data: "org. SOA ns.example.org. hostmaster.example.org. 1 3600 600 86400 3600"
  local-data: "127.in-addr.arpa. SOA ns.example.org. hostmaster.example.org. 1 3600 600 86400 3600"
"""


def key(algorithm: sign.Algorithm) -> sign.Key:
    """A new one, of a name that no cache knows from another run."""
    selector = f"{algorithm.partition('-')[0]}{time.time_ns()}"
    return sign.Key("example.org", selector, algorithm, sign.generate(algorithm))


def zone(keys: Sequence[sign.Key]) -> str:
    """All records, a line each."""

    def strings(text: str) -> str:
        return " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))

    return ZONE + "\n".join(f"{k.selector}._domainkey.example.org. TXT {strings(sign.public_record(k))}" for k in keys)


def letter(keys: Sequence[sign.Key], number: int = 0, size: int = 10_000) -> bytes:
    """A message like no other, signed with every key, as it looks after one relay."""
    chance, lines, length = random.Random(number), list[str](), 0
    while length < size:
        lines.append(" ".join(chance.choices(_WORDS, k=11)))
        length += len(lines[-1]) + 2
    mail = (
        f"From: Ann <{SENDER}>\r\nTo: User <u0@bench.test>\r\nSubject: report {number} about the budget\r\n"
        f"Message-ID: <{number}.{time.time():.6f}@example.org>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n".join(lines) + "\r\n"
    ).encode()
    road = (
        "Received: from client.example.org (client.example.org [192.0.2.7])\r\n"
        f"\tby {HELO} with ESMTPS id {number:x};\r\n\tSat, 28 Nov 2026 10:00:01 +0000\r\n"
    ).encode()
    return road + sign.sign(mail, keys, now=time.time()) + mail


def lesson(spam: bool, number: int) -> bytes:
    """A message for a filter to learn from: of Ann's words, or of others."""
    chance = random.Random(f"{spam} {number}")
    words = chance.choices(_WARES if spam else _WORDS, k=200) + [f"word{chance.randrange(10**6)}" for _ in range(20)]
    sender = f"shop{number}@example.net" if spam else SENDER
    return (
        f"From: <{sender}>\r\nTo: User <u0@bench.test>\r\nSubject: {' '.join(words[:5])}\r\n"
        f"Message-ID: <{number}.{spam}@{sender.partition('@')[2]}>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n"
        f"\r\n{chr(10).join(words)}\r\n"
    ).encode()


@contextlib.contextmanager
def name_server(records: str) -> Iterator[int]:
    """Unbound at `ADDRESS`, which knows these records and nothing else; its process."""
    if shutil.which("unbound") is None:
        raise NoSuite("Debian's unbound is not there: it is the name server that both sides ask")
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as here:
        data = "".join(f"  local-data: '{line}'\n" for line in records.splitlines() if line)
        (Path(here) / "unbound.conf").write_text(_UNBOUND.format(here=here, address=ADDRESS) + data)
        with (Path(here) / "log").open("w+") as log:
            process = subprocess.Popen(["unbound", "-d", "-p", "-c", f"{here}/unbound.conf"], stdout=log, stderr=log)
            try:
                until = time.monotonic() + _PATIENCE
                while not _answers():
                    if process.poll() is not None or time.monotonic() > until:
                        log.seek(0)
                        raise NoSuite(f"the name server at {ADDRESS} does not start: {log.read()[-500:]}")
                yield process.pid
            finally:
                process.terminate()
                process.wait()


def _answers() -> bool:
    try:
        dns.query.udp(dns.message.make_query("example.org", "MX"), ADDRESS, timeout=0.3)
    except (dns.exception.Timeout, OSError):
        time.sleep(0.1)
        return False
    return True
