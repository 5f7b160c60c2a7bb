"""The virus scanner: ClamAV's clamd is shown a message over its socket (clamd(8), INSTREAM) and says what is in it.

Nothing here raises but `alive`: a scanner that is not there, hangs, dies or says what makes no sense is a `Scan` with
the result `error` and a reason, and what comes of the mail is a setting. A message that is larger than it looks at is
`too-large`. Not many are scanned at a time: the others wait, and their time runs.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from daemon.config import Socket
from daemon.limits import LIMITS
from daemon.trust.results import Scan
from daemon.trust.turns import Turns

if TYPE_CHECKING:
    from daemon.mail.header import Data

_PIECE = 1 << 16  # octets of one chunk
_MOMENT = 1.0  # seconds for an answer that may be under way when it hears no more
_END = struct.pack("!I", 0)
_FOUND = re.compile(r"stream: (.+) FOUND")
_TOO_LARGE = "INSTREAM size limit exceeded"
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/()+-]")
_turns = Turns(LIMITS.virus_at_once)


class Silent(Exception):
    """It did not say what was asked; the message is for people."""


async def scan(where: Socket, data: Data, *, most: int, patience: float) -> Scan:
    """What it finds in a message of at most `most` octets, within `patience` seconds."""
    if len(data) > most:
        return Scan("too-large", reason=f"it has over {most} octets")
    try:
        async with asyncio.timeout(patience), _turns():
            return _read(await _ask(where, b"zINSTREAM\0", data))
    except TimeoutError:
        return Scan("error", reason=f"no answer within {patience:g} s")
    except (Silent, OSError) as error:
        return Scan("error", reason=_words(error))


async def alive(where: Socket, patience: float) -> str:
    """Its version and that of its signatures, in its own words. Raises `Silent`."""
    try:
        async with asyncio.timeout(patience):
            return (await _ask(where, b"zVERSION\0"))[: LIMITS.filter_words]
    except TimeoutError:
        raise Silent(f"no answer within {patience:g} s") from None
    except OSError as error:
        raise Silent(_words(error)) from None


def _read(answer: str) -> Scan:
    if answer == "stream: OK":
        return Scan("clean")
    if found := _FOUND.fullmatch(answer):
        return Scan("infected", _UNSAFE.sub("?", found[1])[: LIMITS.virus_name])
    if answer.startswith(_TOO_LARGE):
        return Scan("too-large", reason="the scanner takes less (its StreamMaxLength)")
    raise Silent(f"it says {_UNSAFE.sub(' ', answer)[: LIMITS.virus_name]!r}")


async def _ask(where: Socket, command: bytes, data: Data = b"") -> str:
    """One connection for one question: an answer can never be taken for another's. Raises `Silent`, `OSError`."""
    async with _line(where) as (reader, writer):
        hearing = asyncio.create_task(_answer(reader))
        telling = asyncio.create_task(_tell(writer, command, data))
        try:  # it may answer before it has heard all, and hear no more of it
            await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
            failed = telling.exception() if telling.done() else None
            if failed is not None:
                await asyncio.wait((hearing,), timeout=_MOMENT)
                if not hearing.done():
                    raise failed
            return await hearing
        finally:
            for task in (hearing, telling):
                task.cancel()
            await asyncio.gather(hearing, telling, return_exceptions=True)


@asynccontextmanager
async def _line(where: Socket) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    most = LIMITS.virus_answer
    if where.at is None:
        reader, writer = await asyncio.open_unix_connection(where.path, limit=most)
    else:
        reader, writer = await asyncio.open_connection(where.at.host, where.at.port, limit=most)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _tell(writer: asyncio.StreamWriter, command: bytes, data: Data) -> None:
    """No faster than it is read: only a piece or two of a long message wait in memory."""
    writer.write(command)
    if data:
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            writer.write(struct.pack("!I", len(piece)) + piece)
            await writer.drain()
        writer.write(_END)
    await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace").strip()
    except asyncio.IncompleteReadError as error:
        raise Silent("it ends the connection without an answer" if not error.partial else "its answer is cut") from None
    except asyncio.LimitOverrunError:
        raise Silent(f"its answer is over {LIMITS.virus_answer} octets") from None


def _words(error: Exception) -> str:
    """The system's own words: asyncio puts the address where they stood."""
    number = getattr(error, "errno", None)
    said = os.strerror(number).lower() if isinstance(number, int) and number > 0 else str(error)
    return said[: LIMITS.virus_name] or type(error).__name__
