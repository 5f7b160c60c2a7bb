"""What a TLS client says first, as far as a server may want to know before it answers: name and protocols.

Python's `ssl` tells the name a client asks for before it tells which protocols the client offers, too late to choose a
certificate by them. TLS-ALPN-01 (RFC 8737 §3) chooses by both.
"""

from __future__ import annotations

from typing import NamedTuple

LONGEST = 16 * 1024  # octets of a hello looked at: one record (RFC 8446 §5.1)
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN = 0, 16


class Hello(NamedTuple):
    """`name` is the host asked for, in lower case, '' when none was; `protocols` those offered (ALPN)."""

    name: str
    protocols: tuple[bytes, ...]


class NoHello(ValueError):
    """These octets are no ClientHello."""


def read(data: bytes) -> Hello | None:
    """The hello that `data`, the first octets of a connection, begins with; None while it is not all there.

    A hello in several records is not put together: nobody who validates sends one. Raises `NoHello`.
    """
    if len(data) < 6:
        return None
    if data[0] != _HANDSHAKE or data[1] != 3 or data[5] != _CLIENT_HELLO:
        raise NoHello("not a ClientHello")
    end = 5 + int.from_bytes(data[3:5])
    if end > LONGEST:
        raise NoHello("too long")
    if len(data) < end:
        return None
    try:
        return _hello(_Octets(data[9:end]))
    except (IndexError, UnicodeDecodeError):
        raise NoHello("cut off") from None


class _Octets:
    """Fields one after the other, each with its length before it. `IndexError` when one is cut off."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def take(self, count: int) -> bytes:
        if count > len(self.left):
            raise IndexError
        found, self.left = self.left[:count], self.left[count:]
        return found

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets))

    def field(self, octets: int) -> _Octets:
        """What follows its length, which is a number of so many octets."""
        return _Octets(self.take(self.number(octets)))


def _hello(body: _Octets) -> Hello:
    """RFC 8446 §4.1.2; the handshake's head has been taken off."""
    body.take(2 + 32)  # version and random
    body.field(1)  # session
    body.field(2)  # ciphers
    body.field(1)  # compression
    name, protocols = "", list[bytes]()
    extensions = body.field(2) if body.left else body
    while extensions.left:
        kind, value = extensions.number(2), extensions.field(2)
        if kind == _SERVER_NAME:  # RFC 6066 §3
            names = value.field(2)
            while names.left:
                what, text = names.number(1), names.field(2)
                if what == 0:
                    name = text.left.decode("ascii").removesuffix(".").lower()
        elif kind == _ALPN:  # RFC 7301 §3.1
            offered = value.field(2)
            while offered.left:
                protocols.append(offered.field(1).left)
    return Hello(name, tuple(protocols))
