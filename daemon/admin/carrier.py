"""A mail server of a few lines, for the self-test: it takes one message from the queue, as a server far away would.

It listens on a free port of loopback while the self-test runs, and knows nothing but what the queue's client says.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from daemon.limits import MIB

_LARGEST = MIB
_LINE = 4096
_PATIENCE = 10  # seconds for each line
_ANSWERS = {"EHLO": b"250 far.invalid", "HELO": b"250 far.invalid", "MAIL": b"250 2.1.0 ok", "RCPT": b"250 2.1.5 ok"}


class Carrier:
    """`with Carrier() as far:` listens on `far.port`; `far.wait(seconds)` is the message, None when none came."""

    def __init__(self) -> None:
        self.heard: list[str] = []  # commands, for who must be told what went wrong
        self._message: bytes | None = None
        self._came = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def wait(self, patience: float) -> bytes | None:
        """With CRLF, as it was sent."""
        self._came.wait(patience)
        return self._message

    def __enter__(self) -> Carrier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._socket.close()
        self._thread.join(_PATIENCE)

    def _serve(self) -> None:
        while self._message is None:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), peer:
                peer.settimeout(_PATIENCE)
                self._talk(peer)

    def _talk(self, peer: socket.socket) -> None:
        with peer.makefile("rb") as lines:
            peer.sendall(b"220 far.invalid ESMTP\r\n")
            while line := lines.readline(_LINE):
                self.heard.append(line.decode("utf-8", "replace").strip())
                word = line[:4].decode("ascii", "replace").upper()
                if word == "DATA":
                    peer.sendall(b"354 go on\r\n")
                    message = self._content(lines.readline)
                    if message is None:
                        return
                    peer.sendall(b"250 2.0.0 taken\r\n")
                    self._message = message
                    self._came.set()
                    return  # the queue keeps its sessions open for a while, and need not keep us
                elif word == "QUIT":
                    peer.sendall(b"221 2.0.0 bye\r\n")
                    return
                else:
                    peer.sendall(_ANSWERS.get(word, b"500 5.5.1 not here") + b"\r\n")

    @staticmethod
    def _content(readline: object) -> bytes | None:
        assert callable(readline)
        found = bytearray()
        while (line := readline(_LARGEST)) != b".\r\n":
            found += line[1:] if line.startswith(b".") else line
            if not line or len(found) > _LARGEST:
                return None
        return bytes(found)
