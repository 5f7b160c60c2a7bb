"""A message on its way out: whole lines only, dots doubled (RFC 5321 §4.5.2). In bulk, never line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ANY_END = re.compile(rb"\r\n|\r|\n")


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets with every CR and LF part of a CRLF, and a CRLF at the end; no piece ends between the two.

    RFC 5321 §2.3.8: a bare CR or LF MUST NOT be sent: the next host might see the end of a message in it (SMTP
    smuggling, CVE-2023-51764 and relatives). Ours have none since our doors refuse or mend them; this is the last lock.
    """
    held, last = b"", b""
    for piece in pieces:
        if held:
            piece, held = held + piece, b""
        if piece.endswith(b"\r"):
            piece, held = piece[:-1], b"\r"
        if not piece:
            continue
        if not piece.count(b"\n") == piece.count(b"\r\n") == piece.count(b"\r"):
            piece = _ANY_END.sub(b"\r\n", piece)
        last = piece
        yield piece
    if held or (last and not last.endswith(b"\r\n")):
        yield b"\r\n"


def stuffed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """What `whole_lines` gave with a dot before each line that begins with one. The final dot is the caller's."""
    at_start = True
    for piece in lines:
        doubled = piece.replace(b"\r\n.", b"\r\n..")
        if at_start and piece.startswith(b"."):
            doubled = b"." + doubled
        at_start = piece.endswith(b"\r\n")
        yield doubled
