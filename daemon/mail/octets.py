"""Work on long runs of octets a piece at a time: during one call into the interpreter's own code no other thread runs,
and a message of 50 MB must not hold up who is served beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.mail.header import Data

PIECE = 1 << 20


def find(data: Data, needle: bytes, start: int, end: int) -> int:
    """As `data.find` does: where `needle` is found first between two offsets, -1 without it."""
    while end - start > PIECE:
        hit = data.find(needle, start, start + PIECE)
        if hit >= 0:
            return hit
        start += PIECE - len(needle) + 1
    return data.find(needle, start, end)
