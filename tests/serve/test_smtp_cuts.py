"""The same octets get the same answers however the network cuts them, and no words get a fault out of us."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.serve.connection import Connection
from daemon.serve.smtp import doors
from tests.serve.post_office import ALICE, BOB, MESSAGE, PostOffice

WORDS = [
    b"EHLO me\r\n", b"HELO me\r\n", b"LHLO me\r\n", b"NOOP\r\n", b"RSET\r\n", b"VRFY x\r\n", b"HELP\r\n", b"\r\n",
    b"MAIL FROM:<a@remote.example>\r\n", b"MAIL FROM:<> SIZE=3000000000\r\n", b"mail from:<b@c.example>\r\n",
    f"RCPT TO:<{ALICE}>\r\n".encode(), f"RCPT TO:<{BOB}> NOTIFY=NEVER\r\n".encode(), b"RCPT TO:<x@example.test>\r\n",
    b"DATA\r\n", b"DATA\r\n" + MESSAGE + b".\r\n", b"DATA\r\n.\r\n", b"DATA\r\n..\r\n\n.\n.\r\n", b"x\r\n.\r\n",
    b"BDAT 5\r\nabc\r\n", b"BDAT 0 LAST\r\n", b"BDAT 8 LAST\r\nRSET\r\n\r\n", b"BDAT x\r\n", b"NOOP\n",
    b"NOOP \xff\0\r\n", b"NOOP " + b"y" * 4200 + b"\r\n", b"AUTH PLAIN x\r\n", b"QUIT\r\n",
]  # fmt: skip


class Door:
    closing = False

    def __init__(self, name: str) -> None:
        self.name = name

    def closed(self, conn: Connection) -> None:
        pass


class Wire:
    """A transport that remembers what it was given."""

    def __init__(self) -> None:
        self.said = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 2525) if name == "peername" else default

    def write(self, data: bytes) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    abort = pause_reading = resume_reading = write_eof = close


async def answers(office: PostOffice, door: str, pieces: list[bytes]) -> bytes:
    """What is said to these packets and the end after them; traces and references made the same."""
    conn = doors.connection(Door(door), office.post)
    wire = Wire()
    conn.connection_made(wire)  # type: ignore[arg-type]
    talking = asyncio.create_task(conn.serve())
    for piece in pieces:
        await asyncio.sleep(0)
        conn.received(piece)
    conn.eof_received()
    await talking
    conn.connection_lost(None)
    return re.sub(rb"2\.0\.0 [0-9a-z]{16}", b"2.0.0 TRACE", wire.said)


@pytest.mark.parametrize("door", ["smtp", "lmtp", "submission"])
@pytest.mark.parametrize("seed", range(8))
async def test_a_dialogue_is_the_same_at_every_cut(tmp_path: Path, door: str, seed: int) -> None:
    dice = random.Random(f"{door}{seed}")
    office = PostOffice(tmp_path, **{"smtp.bare_newline": dice.choice(["refuse", "normalize"])})
    for name in (ALICE, BOB):
        office.add_user(name)
    try:
        for _ in range(4):
            start = b"LHLO me\r\n" if door == "lmtp" else b"EHLO me\r\n"
            talk = start + b"".join(dice.choices(WORDS, k=dice.randint(3, 14)))
            whole = await answers(office, door, [talk])
            assert b" (ref " not in whole, whole
            for line in whole.split(b"\r\n")[:-1]:
                assert re.match(rb"[2-5]\d\d[ -]", line), whole
            for _ in range(3):
                places = sorted(dice.sample(range(len(talk)), min(len(talk), dice.randint(1, 40))))
                pieces = [talk[a:b] for a, b in zip([0, *places], [*places, len(talk)], strict=True)]
                assert await answers(office, door, pieces) == whole
            assert await answers(office, door, [talk[n : n + 1] for n in range(len(talk))]) == whole
    finally:
        await office.close()
