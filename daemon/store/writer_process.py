"""The process that writes for a server (`remote`): the same `Writer`, one group for each time it looks around.

Started with a socket and the data directory. It ends with its server, at once where the system can tell it of the
death, and after the group under way in any case.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from daemon import log
from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.store.db import Store
from daemon.store.letters import Broken, Frames, pack
from daemon.store.remote import READY, answer_of
from daemon.store.tx import Changes
from daemon.store.writer import Piece, Writer

_PR_SET_PDEATHSIG = 1


class Hand:
    """What the server asks, done."""

    def __init__(self, sock: socket.socket, data: DataDir) -> None:
        self._sock = sock
        self._frames = Frames(sock)
        self._store = Store(data)
        self._writer = Writer(self._store, ThreadPoolExecutor(1, "checkpoint"), self._answered)
        self._numbers: list[int] = []

    def run(self) -> None:
        """Until the server says no more. Raises `OSError` and `Broken` when it is gone."""
        self._say(READY)
        while self._frames.hear():
            while pieces := self._asked():
                self._writer.take(pieces)
        self._writer.finish()

    def _asked(self) -> list[Piece]:
        """All that has come by now."""
        pieces: list[Piece] = []
        self._numbers = []
        while len(pieces) < LIMITS.write_group:
            frame = self._frames.next()
            if frame is None:
                if pieces and self._more_waits() and self._frames.hear():
                    continue
                break
            (self._store.reserve, self._store.segment_size, asked), bodies = frame
            for number, work, args, count, into_reserve in asked:
                piece = Piece(work, args, bodies[:count], None, into_reserve)
                del bodies[:count]
                piece.hold()
                for body in piece.bodies:
                    body.close()  # it is gone with the last hold
                pieces.append(piece)
                self._numbers.append(number)
        return pieces

    def _more_waits(self) -> bool:
        return bool(select.select([self._sock], [], [], 0)[0])

    def _answered(self, pieces: list[Piece], changes: Changes) -> None:
        answers = [answer_of(number, piece) for number, piece in zip(self._numbers, pieces, strict=True)]
        self._say((answers, changes, self._store.broken))

    def _say(self, value: object) -> None:
        frame, _ = pack(value)
        self._sock.sendall(frame)


def _die_with(parent: int) -> None:
    """Killed with the server, whatever kills it: as if they were one."""
    with suppress(OSError, AttributeError):  # not on this system: the end of the socket remains
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> int:
    fd, parent, data = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    _die_with(parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # told to all of a group: the server ends us
        signal.signal(number, signal.SIG_IGN)
    log.start()
    try:
        Hand(socket.socket(fileno=fd), DataDir(data)).run()
    except (OSError, Broken) as error:
        log.trouble("writer-ended", error=error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
