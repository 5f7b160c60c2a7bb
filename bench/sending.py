"""`python -m bench.sending HOST PORT SESSIONS COUNT USERS FOLDER`: sends messages that no generator can make, because
they are signed.

Each session sends the messages of FOLDER in turn, each to another of the USERS at bench.test, until COUNT are taken;
like the suite's generator it waits for every answer. Says as JSON how long that took, and its own CPU seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

from bench.correspondent import HELO, SENDER

Step = tuple[bytes, bytes]  # what to say, and how the answer must begin


def steps(messages: list[bytes], numbers: Iterator[int], users: int) -> Iterator[Step]:
    """One session; `numbers` is shared by all."""
    yield b"", b"220"
    yield f"EHLO {HELO}\r\n".encode(), b"250"
    for number in numbers:
        yield f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250"
        yield f"RCPT TO:<u{number % users}@bench.test>\r\n".encode(), b"250"
        yield b"DATA\r\n", b"354"
        yield messages[number % len(messages)] + b".\r\n", b"250"
    yield b"QUIT\r\n", b"221"


class Session(asyncio.Protocol):
    """`done` has no result, or the reason why the session ended before its last step."""

    def __init__(self, steps: Iterator[Step]) -> None:
        self.steps = steps
        self.done = asyncio.get_running_loop().create_future()
        self.said, self.wanted = next(steps)
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b"\r\n"):
            return
        last = self.answer.splitlines()[-1]
        if last[3:4] == b"-":
            return
        self.answer = b""
        if not last.startswith(self.wanted):
            return self._end(f"{self.said[:40]!r} was answered {last!r}")
        self.said, self.wanted = next(self.steps, (b"", b""))
        if not self.wanted:
            return self._end()
        self.transport.write(self.said)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"the connection broke: {error}")

    def _end(self, trouble: str = "") -> None:
        if self.done.done():
            return
        self.transport.close()
        if trouble:
            self.done.set_exception(RuntimeError(trouble))
        else:
            self.done.set_result(None)


async def send(host: str, port: int, sessions: int, count: int, users: int, messages: list[bytes]) -> float:
    """The seconds it took. Raises `OSError` and `RuntimeError`."""
    loop, numbers, began = asyncio.get_running_loop(), iter(range(count)), time.perf_counter()
    made = [
        loop.create_connection(lambda: Session(steps(messages, numbers, users)), host, port) for _ in range(sessions)
    ]
    async with asyncio.timeout(120):
        await asyncio.gather(*(session.done for _, session in await asyncio.gather(*made)))
    return time.perf_counter() - began


def main() -> int:
    host, port, sessions, count, users, folder = sys.argv[1:]
    messages = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    try:
        took = uvloop.run(send(host, int(port), int(sessions), int(count), int(users), messages))
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"seconds": took, "cpu": time.process_time()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
