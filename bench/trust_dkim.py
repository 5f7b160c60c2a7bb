"""What signatures cost: `python -m bench.trust_dkim`. CPU time of one process with the keys known, median of rounds."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

from daemon.resolver import Answer
from daemon.trust import arc, dkim
from daemon.trust.canonical import body_hashes
from daemon.trust.results import Signature
from daemon.trust.sign import Key, generate, public_record, sign

ROUNDS = 9
SECONDS = 0.2  # of a round
SIZES = {"5 KB": 5_000, "10 KB": 10_000, "200 KB": 200_000, "10 MB": 10_000_000}
KEYS = {
    "rsa": Key("example.org", "rsa", "rsa-sha256", generate("rsa-sha256")),
    "ed25519": Key("example.org", "ed25519", "ed25519-sha256", generate("ed25519-sha256")),
}
NOW = 1_700_000_000
HEADER = (
    b"Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id 1;\r\n"
    b"\tFri, 11 Jul 2025 21:01:54 -0700 \r\nFrom: Joe Six <joe@example.org>\r\nTo: Suzie Q <suzie@example.net>\r\n"
    b"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <2025071@example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    b"User-Agent: bench\r\n\r\n"
)
LINES = {
    "as usual": b"We lost the game. Are you hungry yet? A line has some sixty octets\r\n",
    "with odd blanks": b"We lost the game.  Are you hungry yet?  A line has some sixty octets \r\n",
}


class Known:
    """A resolver that knows the key."""

    def __init__(self, key: Key) -> None:
        self._record = public_record(key).encode()

    async def ask(self, name: str, kind: str) -> Answer:
        return Answer(name, kind, (self._record,))


def message(size: int, line: bytes) -> bytes:
    return HEADER + line * (size // len(line))


def cost(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    work()
    count, rounds = 1, list[float]()
    while len(rounds) < ROUNDS:
        began = time.process_time()
        for _ in range(count):
            work()
        took = time.process_time() - began
        if took < SECONDS / 2:
            count *= 2
        else:
            rounds.append(took / count)
    return statistics.median(rounds)


def tell(what: str, size: str, seconds: float) -> None:
    print(f"{what:36s} {size:>7s} {seconds * 1000:10.3f} ms {1 / seconds:12,.0f} /s", flush=True)


def measure(loop: asyncio.AbstractEventLoop, size: str, octets: int) -> None:
    for kind, line in LINES.items():
        data = message(octets, line)
        body = partial(body_hashes, data, len(HEADER), len(data))
        tell(f"body hash, relaxed, {kind}", size, cost(partial(body, relaxed=True)))
        tell(f"body hash, simple, {kind}", size, cost(partial(body, relaxed=False)))
    data = message(octets, LINES["as usual"])
    for key in KEYS.values():
        known, signed = Known(key), sign(data, [key], now=NOW) + data

        def verify(known: Known = known, signed: bytes = signed) -> tuple[Signature, ...]:
            return loop.run_until_complete(dkim.verify(known, signed, now=NOW))

        assert [signature.result for signature in verify()] == ["pass"]
        tell(f"sign, {key.algorithm}", size, cost(partial(sign, data, [key], now=NOW)))
        tell(f"verify, {key.algorithm}", size, cost(verify))
    tell("ARC of a message without", size, cost(lambda: loop.run_until_complete(arc.verify(known, data, now=NOW))))


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f}")
    loop = asyncio.new_event_loop()
    for size, octets in SIZES.items():
        measure(loop, size, octets)
    loop.close()


if __name__ == "__main__":
    main()
