"""`python -m bench.trust`: the CPU of each check of one message, with all that the DNS says already in the cache.

A row of `ROWS` is a title, what it does with the house's own resolver, and the result it must have: a check that fails
early is fast and measures nothing. The records are served on loopback and asked for once, before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bench.trust_dkim import KEYS, LINES, message
from daemon.resolver import DNS
from daemon.trust import arc, dkim, iprev, spf
from daemon.trust.results import Signature
from daemon.trust.sign import Key, public_record, sign
from tests.instruments.dns_server import DNSServer

IP = "192.0.2.25"
BATCH = 100  # checks between two looks at the clock
ZONE = """
25.2.0.192.in-addr.arpa. PTR mail.example.org.
mail.example.org. A 192.0.2.25
example.org. TXT "v=spf1 mx ip4:198.51.100.0/24 -all"
example.org. MX 10 mail.example.org.
large.example. TXT "v=spf1 include:_spf.large.example ~all"
_spf.large.example. TXT "v=spf1 include:_1.large.example include:_2.large.example include:_3.large.example ~all"
_1.large.example. TXT "v=spf1 ip4:198.51.100.0/25 ip4:203.0.113.0/26 ip4:203.0.113.64/26 ip4:203.0.113.128/25 ~all"
_2.large.example. TXT "v=spf1 ip6:2001:db8:1::/48 ip6:2001:db8:2::/48 ip6:2001:db8:3::/48 ip6:2001:db8:4::/48 ~all"
_3.large.example. TXT "v=spf1 ip4:198.51.100.128/26 ip4:198.51.100.192/26 ip4:192.0.2.0/27 ~all"
macro.example. TXT "v=spf1 ptr:example.net exists:%{ir}.%{l1r-}._ip.%{d2} -all exp=_why.%{d2}"
_why.macro.example. TXT "%{s} may not send from %{c}, see https://%{d}/?s=%{S}"
full.example. TXT "v=spf1 a:mail.example.org mx:example.org a:a.full.example mx:b.full.example redirect=c.full.example"
a.full.example. A 198.51.100.1
b.full.example. MX 10 a.full.example.
c.full.example. TXT "v=spf1 exists:%{i}.x.full.example a:a.full.example a:a.full.example a:a.full.example ip4:192.0.2.9"
"""


_PLAIN = message(10_000, LINES["as usual"])


class Row(NamedTuple):
    title: str
    check: Callable[[DNS], Awaitable[object]]
    result: str


def _spf(sender: str, ip: str = IP) -> Callable[[DNS], Awaitable[object]]:
    return lambda dns: spf.check_host(dns, ip, "mail.example.org", sender, now=time.time(), receiver="mx.example.net")


def _key_record(key: Key) -> str:
    record = public_record(key)
    return f'{key.selector}._domainkey.{key.domain}. TXT "{record[:200]}" "{record[200:]}"\n'


def _dkim(*keys: Key) -> Callable[[DNS], Awaitable[object]]:
    """The first signature of a message of 10 KB with one of each key."""
    data = message(10_000, LINES["as usual"])
    data = sign(data, keys, now=time.time()) + data

    async def first(dns: DNS) -> Signature:
        return (await dkim.verify(dns, data, now=time.time()))[0]

    return first


ROWS = [
    Row("iprev", lambda dns: iprev.check(dns, IP), "pass"),
    Row("SPF: mx of the domain", _spf("me@example.org"), "pass"),
    Row("SPF: four records, the last one decides", _spf("me@large.example"), "pass"),
    Row("SPF: ptr, exists, explained fail", _spf("strong-bad@macro.example"), "fail"),
    Row("SPF: nine terms ask, none of them early", _spf("me@full.example", "203.0.113.9"), "neutral"),
    Row("DKIM: RSA-2048, 10 KB", _dkim(KEYS["rsa"]), "pass"),
    Row("DKIM: Ed25519, 10 KB", _dkim(KEYS["ed25519"]), "pass"),
    Row("DKIM: both, 10 KB", _dkim(*KEYS.values()), "pass"),
    Row("ARC: a message of 10 KB without a chain", lambda dns: arc.verify(dns, _PLAIN, now=time.time()), "none"),
]


def _measure(loop: asyncio.AbstractEventLoop, dns: DNS, row: Row, seconds: float) -> list[float]:
    """CPU microseconds of one check, for each batch."""

    async def batch() -> None:
        for _ in range(BATCH):
            await row.check(dns)

    got = loop.run_until_complete(_once(dns, row))
    if got != row.result:
        raise SystemExit(f"{row.title}: {got}, not {row.result}")
    figures, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(figures) < 5:
        began = time.process_time()
        loop.run_until_complete(batch())
        figures.append((time.process_time() - began) / BATCH * 1e6)
    return figures


async def _once(dns: DNS, row: Row) -> str:
    async with DNSServer(ZONE + "".join(map(_key_record, KEYS.values()))) as server:
        dns.use([server.server])
        return str(getattr(await row.check(dns), "result", ""))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trust", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="what a row lasts (2)")
    seconds = parser.parse_args().seconds
    print(
        f"| {'CPU of one check, in microseconds':42s} | median | slowest tenth |\n|{'-' * 44}|-------:|--------------:|"
    )
    with asyncio.Runner() as runner:
        loop, dns = runner.get_loop(), DNS()
        for row in ROWS:
            figures = _measure(loop, dns, row, seconds)
            tenth = statistics.quantiles(figures, n=10)[-1]
            print(f"| {row.title:42s} | {statistics.median(figures):6.0f} | {tenth:13.0f} |", flush=True)


if __name__ == "__main__":
    main()
