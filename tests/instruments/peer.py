"""The other end of a connection, octet by octet: no client library stands between a test and what the server says."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import BinaryIO

PATIENCE = 30  # seconds of silence before a test fails
_LITERAL = re.compile(rb"\{([0-9]+)\}\Z")


def trusting() -> ssl.SSLContext:
    """Takes every certificate: a server under test makes its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Peer:
    """A connection to a port of loopback. With `tls` it is encrypted from the start."""

    def __init__(self, port: int, *, tls: bool = False, host: str = "127.0.0.1", source: str = "") -> None:
        where = (source, 0) if source else None
        self.socket: socket.socket = socket.create_connection((host, port), PATIENCE, source_address=where)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = trusting().wrap_socket(self.socket)
        self.file: BinaryIO = self.socket.makefile("rb", buffering=1 << 16)
        self.tags = 0

    def send(self, data: bytes | str) -> None:
        """Octets as they are; text as a line."""
        self.socket.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    def pour(self, data: bytes, patience: float = 0.3) -> int:
        """Send what the server takes, until it takes nothing for `patience` seconds or hangs up; how many octets."""
        left = memoryview(data)
        self.socket.settimeout(patience)
        with contextlib.suppress(OSError):
            while left:
                left = left[self.socket.send(left[: 1 << 18]) :]
        self.socket.settimeout(PATIENCE)
        return len(data) - len(left)

    def line(self) -> bytes:
        """The next line, which must end with CRLF, without it. `EOFError` when the server closed."""
        line = self.file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        assert line.endswith(b"\r\n"), line
        return line[:-2]

    def exactly(self, size: int) -> bytes:
        data = self.file.read(size)
        assert len(data) == size, f"{len(data)} octets of {size}"
        return data

    def rest(self) -> bytes:
        """What comes until the server closes; a reset counts as that."""
        try:
            return self.file.read()
        except OSError:
            return b""

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def start_tls(self) -> None:
        self.socket = trusting().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb", buffering=1 << 16)

    def reset(self) -> None:
        """Go without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- SMTP ----------------------------------------------------------------------------------------------------------

    def reply(self) -> str:
        """One reply; its lines divided by newlines."""
        lines = []
        while True:
            lines.append(self.line().decode("ascii"))
            assert re.match(r"[2-5][0-9][0-9][ -]", lines[-1]), lines
            if lines[-1][3] == " ":
                return "\n".join(lines)

    def says(self, line: bytes | str, *want: str) -> str:
        """Send; a reply for each of `want` must begin with it. The last reply."""
        self.send(line)
        last = ""
        for each in want:
            last = self.reply()
            assert last.startswith(each), f"{line[:100]!r}: {last!r}, not {each}"
        return last

    # -- IMAP ----------------------------------------------------------------------------------------------------------

    def command(self, text: str | bytes, status: str = "OK") -> list[list[bytes]]:
        """Send a command with a tag; the untagged responses to it, each as its lines and literals in turn."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.responses(tag, status)

    def responses(self, tag: bytes, status: str = "OK") -> list[list[bytes]]:
        found = []
        for response in self._untagged():
            if response[0].startswith(tag + b" "):
                assert response[0].startswith(tag + b" " + status.encode()), response
                return found
            assert response[0][:1] in b"*+", response
            found.append(response)
        raise EOFError("the server closed the connection")

    def _untagged(self) -> Iterator[list[bytes]]:
        while True:
            response = [self.line()]
            while literal := _LITERAL.search(response[-1]):
                response += (self.exactly(int(literal[1])), self.line())
            yield response

    # -- POP3 ----------------------------------------------------------------------------------------------------------

    def multi_line(self) -> tuple[bytes, bytes]:
        """The first line of a reply that must be +OK, and what follows it, dots unstuffed, each line with its CRLF."""
        first = self.line()
        assert first.startswith(b"+OK"), first
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return first, b"".join(line + b"\r\n" for line in lines)
