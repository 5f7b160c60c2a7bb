"""What a signature is over: fields and body in the two canonical forms (RFC 6376 §3.4). No keys, no judgement.

A body is read once for each form, in pieces that end with a line, whatever its signatures ask for. Only CRLF ends a
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
_LOOK_BACK = 1024  # octets looked at first for the end of a body; doubled while there are only blanks


def field_simple(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.1: as it stands, with CRLF at its end. `value` is what follows the colon."""
    return name + b":" + value.removesuffix(b"\n").removesuffix(b"\r") + b"\r\n"


def field_relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2: name in lower case, unfolded, one blank for many, none around the value; CRLF."""
    line = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.strip(b" \t").lower() + b":" + _BLANKS.sub(b" ", line).strip(b" ") + b"\r\n"


def body_simple(data: Data, start: int, end: int) -> Iterator[bytes]:
    """RFC 6376 §3.4.3: empty lines at the end are one CRLF, and so is a body without anything."""
    last = _last(data, start, end, b"\r\n")
    yield from _lines(data, start, last)
    yield _without_empty_lines(bytes(data[last:end])) + b"\r\n"


def body_relaxed(data: Data, start: int, end: int) -> Iterator[bytes]:
    """RFC 6376 §3.4.4: no blanks at the ends of lines, one for many; no empty lines at the end; nothing for nothing."""
    last = _last(data, start, end, b" \t\r\n")
    for lines in _lines(data, start, last):
        yield _fewer_blanks(lines)
    rest = _without_empty_lines(_fewer_blanks(bytes(data[last:end])).rstrip(b" "))
    if rest or last > start:
        yield rest + b"\r\n"


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


def _fewer_blanks(lines: bytes) -> bytes:
    """Runs of blanks as one, none before a line's end. Whole-text operations: a hundred times faster than lines."""
    if b"\t" in lines:
        lines = lines.replace(b"\t", b" ")
    if b"  " in lines:
        for run in (b" " * 32, b"  "):  # long runs first: a megabyte of blanks takes a few rounds
            while run in lines:
                lines = lines.replace(run, b" ")
    return lines.replace(b" \r\n", b"\r\n")


def _last(data: Data, start: int, end: int, blanks: bytes) -> int:
    """Where the octets of `blanks` begin that the body ends with."""
    step = _LOOK_BACK
    while end > start:
        begin = max(start, end - step)
        kept = len(data[begin:end].rstrip(blanks))
        if kept:
            return begin + kept
        end, step = begin, step * 2
    return start


def _without_empty_lines(rest: bytes) -> bytes:
    """`rest` (blanks and line ends only) without the CRLFs it ends with."""
    if rest == b"\r\n":
        return b""
    found = _LINE_ENDS.match(rest[::-1])
    return rest[: len(rest) - (found.end() if found else 0)]


def _lines(data: Data, start: int, end: int) -> Iterator[bytes]:
    """The octets from `start` to `end` in pieces of whole lines, none much over `LIMITS.dkim_piece` but for a line."""
    while end - start > LIMITS.dkim_piece:
        cut = data.rfind(b"\r\n", start, start + LIMITS.dkim_piece)
        if cut < 0:
            cut = data.find(b"\r\n", start + LIMITS.dkim_piece - 1, end)
            if cut < 0:
                break
        yield bytes(data[start : cut + 2])
        start = cut + 2
    if end > start:
        yield bytes(data[start:end])
