"""A place that must not be asked: whoever connects to it is noted, with the first line of what he says.

with Canary() as canary:
    canary.port, canary.heard     # ["GET /ran HTTP/1.1", ...]; "" for who only connected
"""

from __future__ import annotations

import contextlib
import socket
import threading


class Canary:
    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._heard: list[list[str]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def heard(self) -> list[str]:
        return [said[0] for said in self._heard]

    def forget(self) -> None:
        self._heard = []

    def __enter__(self) -> Canary:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(peer,), daemon=True).start()

    def _hear(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            said = [""]
            self._heard.append(said)
            peer.settimeout(10)
            said[0] = peer.recv(4096).decode("latin-1").split("\r\n", 1)[0]
            peer.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
