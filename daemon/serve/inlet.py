"""What the loop calls for a connection: its protocol, into whose one buffer everything arrives.

No object is made for what arrives. Else uvloop takes and gives back 256 KiB of memory for each read of a TLS
connection, which costs more than all the rest of a short command. A `Connection` cannot be that protocol itself: one
that is aiosmtpd's `SMTP` too is of the other kind, which is handed objects.
"""

from __future__ import annotations

import asyncio
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.serve.connection import Connection

ARRIVING = 64 * 1024  # octets read at once


class _Room(local):
    """Where octets arrive, for all connections of this thread's loop: it never waits between their arrival and the end
    of `buffer_updated`."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(ARRIVING))


_room = _Room()


class Inlet(asyncio.BufferedProtocol):
    """Passes on to its connection what the transport tells."""

    __slots__ = ("_conn", "_view")

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._view = _room.view

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._conn.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._conn.received(self._view[:nbytes])

    def eof_received(self) -> bool:
        return self._conn.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._conn.connection_lost(exc)

    def pause_writing(self) -> None:
        self._conn.pause_writing()

    def resume_writing(self) -> None:
        self._conn.resume_writing()
