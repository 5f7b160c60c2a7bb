"""Answers to an authority's challenges while no server runs: `mailctl cert renew` must work then too.

Listens where the server would, for as long as an order takes, and answers that one question only. How it can fail:
`NotNow` when the port cannot be had.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from daemon.admin import pem
from daemon.admin.errors import NotNow
from daemon.config import Config, HostPort
from daemon.limits import LIMITS
from daemon.store import acme
from daemon.store.db import Store

_DOORS = {"http-01": "listen.http", "tls-alpn-01": "listen.https"}
_PATH = re.compile(r"/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,200})")


@contextlib.contextmanager
def standing_in(store: Store, config: Config) -> Iterator[None]:
    """Answer, until the end of the `with`. Raises as told above."""
    kind = config["acme.challenge"]
    door = _DOORS.get(kind)
    handler: type[socketserver.BaseRequestHandler] = _Http if kind == "http-01" else _Tls
    with contextlib.ExitStack() as stack:
        for place in config[door] if door else ():
            server = stack.enter_context(_Server(store, _listen(str(door), place), handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(server.shutdown)
        yield


def _listen(door: str, place: HostPort) -> socket.socket:
    both = not place.host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in place.host else socket.AF_INET
    try:
        return socket.create_server((place.host, place.port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise NotNow(
            f"no server runs here, and {door} ({place}) cannot be opened for the authority"
            f" ({str(error.strerror or error).lower()}); start the server, or become its user"
        ) from None


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, store: Store, sock: socket.socket, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(sock.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.store = store

    def handle_error(self, request: object, client_address: object) -> None:
        """A stranger's trouble is nobody's here."""


class _Http(BaseHTTPRequestHandler):
    server: _Server
    timeout = LIMITS.http_patience

    def do_GET(self) -> None:
        found = _PATH.fullmatch(self.path)
        answer = self.server.store.read_now(acme.answer_to, found[1]) if found else None
        body = (answer or "").encode()
        self.send_response_only(404 if answer is None else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


class _Tls(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """A handshake and no more (RFC 8737 §3)."""
        store = self.server.store
        context = _context(pem.self_signed(("localhost",), store.clock()))

        def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            answer = store.read_now(acme.answer_for, "tls-alpn-01", (name or "").lower())
            if name and answer is not None:
                tls.context = _context(pem.validation(name.lower(), answer, store.clock()))

        context.sni_callback = choose
        self.request.settimeout(LIMITS.http_patience)
        with contextlib.suppress(OSError), context.wrap_socket(self.request, server_side=True):
            pass


def _context(pair: pem.Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["acme-tls/1"])
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pair.chain + pair.private_key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
