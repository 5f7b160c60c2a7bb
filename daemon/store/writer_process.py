"""The process that writes for a server (`remote`): the same `Writer`, one group for each frame.

Started with a socket and the data directory. It ends with its server, at once where the system can tell it of the
death, and after the group under way in any case.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from daemon import log
from daemon.config import DataDir
from daemon.store.db import Store
from daemon.store.letters import Broken, Frames, pack
from daemon.store.remote import ENDING, READY, answer_of
from daemon.store.spool import Body
from daemon.store.tx import Changes
from daemon.store.writer import Piece, Writer

_PR_SET_PDEATHSIG = 1


class Hand:
    """What the server asks, done."""

    def __init__(self, sock: socket.socket, data: DataDir) -> None:
        self._sock = sock
        self._frames = Frames(sock)
        self._store = Store(data)
        pool = ThreadPoolExecutor(1, "checkpoint")
        self._writer = Writer(self._store, pool, self._answered, ending=lambda: self._say(ENDING))

    def run(self) -> None:
        """Until the server says no more. Raises `OSError` and `Broken` when it is gone."""
        self._say(READY)
        while self._frames.hear():
            while (frame := self._frames.next()) is not None:
                self._writer.take(self._asked(*frame))
        self._writer.finish()

    def _asked(self, said: Any, bodies: list[Body]) -> list[Piece]:
        self._store.reserve, self._store.segment_size, asked = said
        pieces: list[Piece] = []
        for work, args, count, into_reserve, plan in asked:
            piece = Piece(work, args, bodies[:count], None, into_reserve, plan)
            del bodies[:count]
            piece.hold()
            for body in piece.bodies:
                body.close()  # it is gone with the last hold
            pieces.append(piece)
        return pieces

    def _answered(self, pieces: list[Piece], changes: Changes) -> None:
        self._say(([answer_of(piece) for piece in pieces], changes, self._store.broken))

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
