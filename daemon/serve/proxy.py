"""The PROXY header of a trusted proxy, v1 and v2: who the client really is. Read before anything else, TLS too.

Parsing is aiosmtpd's; what is given here is a reader that takes from the socket not one octet more than the header.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from aiosmtpd.proxy_protocol import V2_CMD, get_proxy

_V1 = 107  # octets with CRLF; the protocol's own limit
_V2 = 4096  # octets of addresses and TLVs; 64 KiB are allowed, nobody sends more than some hundred


class BadProxyHeader(Exception):
    """A trusted proxy sent none, or one that cannot be read."""


async def proxied_peer(sock: socket.socket, peer: str, port: int) -> tuple[str, int]:
    """Address and port of the client; the proxy's own when it speaks for itself (LOCAL, UNKNOWN).

    Raises `BadProxyHeader` and `OSError`. The caller sets the time limit.
    """
    try:
        data = await get_proxy(_Reader(sock))  # type: ignore[arg-type]
    except (EOFError, ValueError) as error:
        raise BadProxyHeader(str(error) or "no PROXY header") from None
    if not data.valid:
        raise BadProxyHeader(data.error or "PROXY header not understood")
    if data.command == V2_CMD.LOCAL or data.src_addr is None or not data.src_port:
        return peer, port
    return str(getattr(data.src_addr, "ipv4_mapped", None) or data.src_addr), int(data.src_port)


class _Reader:
    """What `get_proxy` asks of a stream, octet by octet where the length is not known."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._left = _V2

    async def read(self, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise ValueError("PROXY header too long")
        return await self._loop.sock_recv(self._sock, count)

    async def readexactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = await self.read(count - len(found))
            if not piece:
                raise EOFError("the proxy closed the connection")
            found += piece
        return found

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            if len(found) >= _V1:
                raise ValueError("PROXY header too long")
            found += await self.readexactly(1)
        return found
