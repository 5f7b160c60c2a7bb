"""What is known of words before a user has taught anything: how often each is in ham and in spam.

A table of `SLOTS` slots: of each a check of two octets (0: nobody here), how often its token is in ham, and how often
in spam, both as steps of a logarithmic scale; all checks come first, then all of ham, then all of spam. Slot and check
are the token's CRC-32: of all hashes that stay the same for ever the quickest. `python -m daemon.trust.learn FOLDER`
makes one from labelled mail. The one that is shipped (`prior.bin`) was learnt from public English mail of 2002.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp, log
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

SHIPPED = Path(__file__).with_name("prior.bin")
_BITS = 18  # of the number say the slot, the others are the check
SLOTS = 1 << _BITS
_SCALE = 32  # steps to a factor of e
RATES = (0.0, *(exp((step - 255) / _SCALE) for step in range(1, 256)))
"""The share of messages each step stands for."""


class Table(NamedTuple):
    """The checks and the steps by slot."""

    checks: array[int]
    ham: bytes
    spam: bytes

    def met(self, tokens: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """Those of the tokens that it knows, each with its slot."""
        checks, most = self.checks, SLOTS - 1
        numbers = map(crc32, tokens)
        return [
            (token, slot)
            for token, number in zip(tokens, numbers, strict=True)
            if checks[slot := number & most] == (number >> _BITS) + 1
        ]


EMPTY = Table(array("H", bytes(2 * SLOTS)), bytes(SLOTS), bytes(SLOTS))
"""The prior that knows nothing."""


@lru_cache(maxsize=2)
def load(path: Path = SHIPPED) -> Table:
    """A prior, read once. `OSError`, or `ValueError` for a file that is none."""
    return read(path.read_bytes(), str(path))


def read(octets: bytes, name: str = "this") -> Table:
    """The table of a file's octets. `ValueError` when they are none."""
    if len(octets) != 4 * SLOTS:
        raise ValueError(f"{name} is not a table of words: {len(octets)} octets")
    return Table(_little(array("H", octets[: 2 * SLOTS])), octets[2 * SLOTS : 3 * SLOTS], octets[3 * SLOTS :])


def _little(checks: array[int]) -> array[int]:
    """Between this machine's order of octets and that of the file."""
    if sys.byteorder == "big":
        checks = checks[:]
        checks.byteswap()
    return checks


def step(rate: float) -> int:
    """The step of the scale next to a rate; 0 for none at all."""
    return max(1, min(255, round(255 + _SCALE * log(rate)))) if rate > 0 else 0


def build(rates: Mapping[bytes, tuple[float, float]]) -> bytes:
    """A table's octets from rates (ham, spam) by token. Of two tokens in one slot, the one met more often stays."""
    checks, in_ham, in_spam = EMPTY.checks[:], bytearray(SLOTS), bytearray(SLOTS)
    for token, (ham, spam) in sorted(rates.items(), key=lambda item: sum(item[1])):
        number = crc32(token)
        slot = number & SLOTS - 1
        checks[slot], in_ham[slot], in_spam[slot] = (number >> _BITS) + 1, step(ham), step(spam)
    return b"".join((_little(checks), in_ham, in_spam))
