"""POP3: commands into values, replies into octets (RFC 1939, 2449, 3206, 5034, 6856).

A command line ends with CRLF; a bare LF is taken too, there is nothing to smuggle past POP3. After `TooLong` the line
is still in the stream: the caller says so and closes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from daemon.wire.stream import Reading, Stream

END = b".\r\n"
_DOT = re.compile(rb"\n\.")  # a search for it takes half as long as `in`
_EMPTY_LINE = re.compile(rb"\n\r?\n")  # whatever the line ends


class BadArgument(ValueError):
    """The command cannot be understood; the message is a phrase for `-ERR`."""


Command = tuple[bytes, bytes]
"""The verb in capitals, and the rest of the line as it came, without the space before it."""


def read_command(stream: Stream, limit: int) -> Reading[Command]:
    """The next command; any line is one, and what is none of ours is for the caller to refuse.

    Raises `TooLong` and `EndOfStream`.
    """
    verb, _, argument = (yield from stream.line(limit)).partition(b" ")
    return verb.upper(), argument


def message_number(argument: bytes, highest: int) -> int:
    """One message number from 1 to `highest`. Raises `BadArgument`."""
    text = argument.strip(b" ")
    if not text.isdigit() or len(text) > 10:  # bytes.isdigit knows ASCII digits only
        raise BadArgument("a message number is needed")
    number = int(text)
    if not 1 <= number <= highest:
        raise BadArgument("no such message")
    return number


def number_and_lines(argument: bytes, highest: int) -> tuple[int, int]:
    """The arguments of TOP. Raises `BadArgument`."""
    words = argument.split()
    if len(words) != 2 or not words[1].isdigit():
        raise BadArgument("a message number and a number of lines are needed")
    lines = int(words[1]) if len(words[1]) <= 10 else 1 << 32
    return message_number(words[0], highest), lines


def text(argument: bytes) -> str:
    """A name or password: UTF-8 (RFC 6856 §2.2), or Latin-1 as old clients send it."""
    try:
        return argument.decode("utf-8")
    except UnicodeDecodeError:
        return argument.decode("latin-1")


# -- replies -----------------------------------------------------------------------------------------------------------


def ok(words: str = "") -> bytes:
    return b"+OK " + words.encode() + b"\r\n" if words else b"+OK\r\n"


def err(words: str, code: str = "") -> bytes:
    """`code` is a response code of RFC 2449 §8 or 3206, without brackets."""
    return f"-ERR [{code}] {words}\r\n".encode() if code else f"-ERR {words}\r\n".encode()


def challenge(data: bytes) -> bytes:
    """The continuation of AUTH; `data` is base64 (RFC 5034 §4)."""
    return b"+ " + data + b"\r\n"


def multi_line(head: str, lines: Iterable[str]) -> bytes:
    """`+OK head`, the lines, and the end."""
    return b"".join((ok(head), *(line.encode() + b"\r\n" for line in lines), END))


def capabilities(*, tls: bool, may_start_tls: bool, may_log_in: bool, mechanisms: Sequence[str]) -> list[str]:
    """What CAPA lists, the same before and after login (RFC 2449 §5, traps POP2)."""
    found = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
    if may_log_in:
        found.append("USER")
    if mechanisms:
        found.append("SASL " + " ".join(mechanisms))
    if may_start_tls and not tls:
        found.append("STLS")  # RFC 2595 §4: not any more under TLS
    return [*found, "EXPIRE NEVER", "UTF8 USER", "LANG", "IMPLEMENTATION mailctl"]


# -- messages ----------------------------------------------------------------------------------------------------------


def message(head: bytes, data: bytes | memoryview) -> bytes:
    """A whole reply with a message in it: dot-stuffed, ended with CRLF if it was not (RFC 1939 §3)."""
    if _DOT.search(data):
        data = bytes(data).replace(b"\n.", b"\n..")
    dot = b"." if data[:1] == b"." else b""
    return b"".join((head, dot, data, END if data[-2:] == b"\r\n" or not data else b"\r\n.\r\n"))


class Stuffer:
    """Dot-stuffing of a message that comes in pieces."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def piece(self, data: bytes) -> bytes:
        if not data:
            return data
        dot = b"." if data[:1] == b"." and self._tail[-1:] == b"\n" else b""
        self._tail = data[-2:] if len(data) > 1 else self._tail[-1:] + data
        return dot + data.replace(b"\n.", b"\n..")

    def end(self) -> bytes:
        return END if self._tail == b"\r\n" else b"\r\n.\r\n"


class Beginning:
    """Cuts a message that comes in pieces after its header, the empty line and `lines` lines of the body (TOP)."""

    __slots__ = ("done", "_lines", "_header", "_tail")

    def __init__(self, lines: int) -> None:
        self.done = False
        self._lines = lines
        self._header = True
        self._tail = b"\n"  # a message may begin with the empty line

    def piece(self, data: bytes) -> bytes:
        """What of `data` belongs to it; `done` once nothing more does."""
        if self.done:
            return b""
        at = 0
        if self._header:
            window = self._tail + data
            empty = _EMPTY_LINE.search(window)
            if empty is None:
                self._tail = window[-2:]
                return data
            at = empty.end() - len(self._tail)
            self._header = False
        while self._lines:
            end = data.find(b"\n", at)
            if end < 0:
                return data
            at = end + 1
            self._lines -= 1
        self.done = True
        return data[:at]
