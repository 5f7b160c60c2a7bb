"""Which message this is, by whatever road it came: what filters learn from it is learnt once.

A client that moves mail by APPEND adds fields, we add ours before it, files have other line ends. So the author's own
fields and the body count, and nothing else; who changes one of them has made another message.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from daemon.mail.header import header_end, split_fields
from daemon.mail.summary import message_id_in

if TYPE_CHECKING:
    from daemon.mail.header import Data

_AUTHORS = (b"from", b"date", b"subject")
_ID, _REST = 8, 16  # octets
_PIECE = 1 << 16


def identity(data: Data) -> bytes:
    """24 octets; the first 8 are those of its Message-ID."""
    end = header_end(data, 0, len(data))
    rest = blake2b(digest_size=_REST)
    first: dict[bytes, bytes] = {}
    for name, value in split_fields(bytes(data[:end])):
        first.setdefault(name.lower(), value)
    for name in _AUTHORS:
        rest.update(b" ".join(first.get(name, b"").split()) + b"\n")
    stop = _text_end(data, end)
    for at in range(end, stop, _PIECE):
        rest.update(data[at : min(at + _PIECE, stop)].translate(None, b"\r"))
    return of_id(message_id_in(data)) + rest.digest()


def of_id(message_id: str) -> bytes:
    """The first 8 octets of the identity of a message with this Message-ID (as `summary` has it)."""
    return blake2b(message_id.encode("utf-8", "surrogateescape"), digest_size=_ID).digest()


def _text_end(data: Data, start: int) -> int:
    """Where the body ends without the line ends after it, which no two formats keep alike."""
    stop = len(data)
    while stop > start:
        piece = data[max(start, stop - _PIECE) : stop]
        text = piece.rstrip(b"\r\n")
        stop -= len(piece) - len(text)
        if text:
            break
    return stop
