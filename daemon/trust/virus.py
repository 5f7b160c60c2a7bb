"""The virus scanner: ClamAV's clamd is shown a message over its socket (clamd(8), INSTREAM) and says what is in it.

Nothing here raises but `alive`: a scanner that is not there, hangs, dies or says what makes no sense is a `Scan` with
the result `error` and a reason, and what comes of the mail is a setting. A message that is larger than it looks at is
`too-large`. Not many are scanned at a time: the others wait, and their time runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, Any

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
_CLEAN = "stream: OK"
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
    if answer == _CLEAN:
        return Scan("clean")
    if found := _FOUND.fullmatch(answer):
        return Scan("infected", _UNSAFE.sub("?", found[1])[: LIMITS.virus_name])
    if answer.startswith(_TOO_LARGE):
        return Scan("too-large", reason="the scanner takes less (its StreamMaxLength)")
    raise Silent(f"it says {_UNSAFE.sub(' ', answer)[: LIMITS.virus_name]!r}")


async def _ask(where: Socket, command: bytes, data: Data = b"") -> str:
    """One connection for one question: an answer can never be taken for another's. Raises `Silent`, `OSError`."""
    with await _connected(where) as line:
        hearing = asyncio.create_task(_answer(line))
        telling = asyncio.create_task(_tell(line, command, data))
        try:  # it may answer before it has heard all, and hear no more of it
            await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
            failed = telling.exception() if telling.done() else None
            if failed is not None:
                await asyncio.wait((hearing,), timeout=_MOMENT)
                if not hearing.done():
                    raise failed
            said = await hearing
            if said == _CLEAN and not (telling.done() and telling.exception() is None):
                raise Silent("it says OK to what it has not heard")
            return said
        finally:
            for task in (hearing, telling):
                task.cancel()
            await asyncio.gather(hearing, telling, return_exceptions=True)


async def _connected(where: Socket) -> socket.socket:
    """A bare socket: a stream would forget what it has not read yet when it cannot write any more."""
    if where.at is None:
        return await _reached(socket.AF_UNIX, where.path)
    loop = asyncio.get_running_loop()
    *others, last = await loop.getaddrinfo(where.at.host, where.at.port, type=socket.SOCK_STREAM)
    for family, _, _, _, address in others:
        with contextlib.suppress(OSError):  # a name may have an address that it does not listen at
            return await _reached(family, address)
    return await _reached(last[0], last[4])


async def _reached(family: int, address: Any) -> socket.socket:
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, address)
    except BaseException:
        line.close()
        raise
    return line


async def _tell(line: socket.socket, command: bytes, data: Data) -> None:
    """No faster than it is read: only a piece of a long message waits in memory."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(line, command)
    for at in range(0, len(data), _PIECE):
        piece = data[at : at + _PIECE]
        await loop.sock_sendall(line, struct.pack("!I", len(piece)) + piece)
    if data:
        await loop.sock_sendall(line, _END)


async def _answer(line: socket.socket) -> str:
    loop, most = asyncio.get_running_loop(), LIMITS.virus_answer
    answer = b""
    while b"\0" not in answer:
        piece = await loop.sock_recv(line, most + 1 - len(answer))
        if not piece:
            raise Silent("its answer is cut" if answer else "it ends the connection without an answer")
        answer += piece
        if len(answer) > most:
            raise Silent(f"its answer is over {most} octets")
    return answer.partition(b"\0")[0].decode("utf-8", "replace").strip()


def _words(error: Exception) -> str:
    """The system's own words: asyncio puts the address where they stood."""
    number = getattr(error, "errno", None)
    said = os.strerror(number).lower() if isinstance(number, int) and number > 0 else str(error)
    return said[: LIMITS.virus_name] or type(error).__name__
