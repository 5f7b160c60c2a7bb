"""What a signature is over: fields and body in the two canonical forms (RFC 6376 §3.4). No keys, no judgement.

A body is read once for each form, in pieces, whatever its signatures ask for. Only CRLF ends a
line here: a bare CR or LF of a body is an octet like others. Fields are found as the rest of the house finds them
(`mail.header`), so that what was signed and what is shown are the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from daemon.limits import LIMITS

if TYPE_CHECKING:
    from daemon.mail.header import Data

_BLANKS = re.compile(rb"\t[ \t]*+| [ \t]++")  # all but single spaces, which stay as they are
_LINE_ENDS = re.compile(rb"(?:\n\r)*+")  # CRLFs read backwards
_CR = 13
_ENDS = 1 << 16  # empty lines told at once


def field_simple(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.1: as it stands, with CRLF at its end. `value` is what follows the colon."""
    return name + b":" + value.removesuffix(b"\n").removesuffix(b"\r") + b"\r\n"


def field_relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2: name in lower case, unfolded, one blank for many, none around the value; CRLF."""
    line = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.strip(b" \t").lower() + b":" + _BLANKS.sub(b" ", line).strip(b" ") + b"\r\n"


def body_simple(data: Data, start: int, end: int) -> Iterator[bytes]:
    """RFC 6376 §3.4.3: empty lines at the end are one CRLF, and so is a body without anything."""
    yield from _without_last_lines(_pieces(data, start, end))
    yield b"\r\n"


def body_relaxed(data: Data, start: int, end: int) -> Iterator[bytes]:
    """RFC 6376 §3.4.4: no blanks at the ends of lines, one for many; no empty lines at the end; nothing for nothing."""
    some = False
    for piece in _without_last_lines(_with_fewer_blanks(_pieces(data, start, end))):
        some = True
        yield piece
    if some:
        yield b"\r\n"


def body_hashes(
    data: Data, start: int, end: int, *, relaxed: bool, lengths: Collection[int | None] = (None,)
) -> tuple[dict[int | None, bytes], int]:
    """SHA-256 of the canonical body up to each of `lengths` (l=; None: all of it), and how long that body is.

    A length beyond the body has no hash.
    """
    hashed, size, hashes = sha256(), 0, dict[int | None, bytes]()
    wanted = sorted((length for length in set(lengths) if length is not None), reverse=True)
    for piece in (body_relaxed if relaxed else body_simple)(data, start, end):
        while wanted and wanted[-1] <= size + len(piece):
            part = hashed.copy()
            part.update(piece[: wanted[-1] - size])
            hashes[wanted.pop()] = part.digest()
        hashed.update(piece)
        size += len(piece)
    if wanted and wanted[-1] == size == 0:
        hashes[0] = hashed.digest()  # l=0 of a body of no pieces
    hashes[None] = hashed.digest()
    return hashes, size


def _pieces(data: Data, start: int, end: int) -> Iterator[bytes]:
    """The octets from `start` to `end`, none of the pieces ending between CR and LF. Small ones: while one is worked
    on, the interpreter lets no other thread run, and the longest line is as long as a message."""
    while start < end:
        stop = min(start + LIMITS.dkim_piece, end)
        if stop < end and data[stop - 1] == _CR:
            stop -= 1
        yield bytes(data[start:stop])
        start = stop


def _with_fewer_blanks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Blanks at the end of a piece belong to the next one, where it is seen what follows; at the very end to nobody."""
    held = b""
    for piece in pieces:
        piece = held + piece
        kept = piece.rstrip(b" \t")
        held = b" " if len(kept) < len(piece) else b""
        yield _fewer_blanks(kept)


def _fewer_blanks(lines: bytes) -> bytes:
    """Runs of blanks as one, none before a line's end. Whole-text operations: a hundred times faster than lines."""
    if b"\t" in lines:
        lines = lines.replace(b"\t", b" ")
    if b"  " in lines:
        for run in (b" " * 32, b"  "):  # long runs first: a megabyte of blanks takes a few rounds
            while run in lines:
                lines = lines.replace(run, b" ")
    return lines.replace(b" \r\n", b"\r\n")


def _without_last_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Without the CRLFs that the body ends with: those at the end of a piece wait until something follows."""
    ends = 0
    for piece in pieces:
        kept = _without_line_ends(piece)
        if kept:
            for count in range(ends, 0, -_ENDS):
                yield b"\r\n" * min(count, _ENDS)
            ends = 0
            yield kept
        ends += (len(piece) - len(kept)) // 2


def _without_line_ends(piece: bytes) -> bytes:
    if not piece.endswith(b"\r\n"):
        return piece
    last = piece[len(piece.rstrip(b"\r\n")) :]
    found = _LINE_ENDS.match(last[::-1])
    return piece[: len(piece) - (found.end() if found else 0)]
