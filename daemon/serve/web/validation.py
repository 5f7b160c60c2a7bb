"""TLS-ALPN-01 (RFC 8737): a connection that offers the protocol `acme-tls/1` alone, for a name whose challenge waits,
is shown the certificate that answers the challenge. All others, at the same time and for the same name, see ours.

Python's `ssl` chooses a certificate before it knows what the client offers, so the client's first words are looked at
before TLS begins; only while a challenge waits.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from daemon.admin import pem
from daemon.serve import tls
from daemon.store import acme
from daemon.store.db import Store
from daemon.wire import client_hello

PROTOCOL = "acme-tls/1"
_KIND = "tls-alpn-01"
_LOOK = 0.02  # seconds between two looks at a hello that is not all there


async def context(store: Store, sock: socket.socket) -> ssl.SSLContext | None:
    """The context that answers a challenge, if this connection asks for it. The caller sets the time limit."""
    if not store.peek(acme.validates, _KIND):
        return None
    hello = await _first_words(sock)
    if hello is None or hello.protocols != (PROTOCOL.encode(),):
        return None
    answer = store.peek(acme.answer_for, _KIND, hello.name)
    if answer is None:
        return None
    pair = pem.validation(hello.name, answer, store.clock())
    return tls.context_for(pair.chain, pair.private_key, PROTOCOL)


def was_meant(connection: ssl.SSLObject) -> bool:
    """Whether the handshake was all that was wanted (RFC 8737 §3: then the connection is closed)."""
    return connection.selected_alpn_protocol() == PROTOCOL


async def _first_words(sock: socket.socket) -> client_hello.Hello | None:
    """The hello, left in the socket for TLS to read; None when it is none, or the peer has gone."""
    while True:
        try:
            data = sock.recv(client_hello.LONGEST, socket.MSG_PEEK)
            if not data:
                return None
            hello = client_hello.read(data)
            if hello is not None:
                return hello
        except client_hello.NoHello:
            return None
        except BlockingIOError:
            pass
        await asyncio.sleep(_LOOK)
