"""What is known of words before a user has taught anything: how often each is in ham and in spam.

A table of `SLOTS` slots of three octets: a check of the token's number (0: nobody here), how often it is in ham and
how often in spam, each as a step of a logarithmic scale. `python -m daemon.trust.learn FOLDER` makes one from labelled
mail. The one that is shipped (`prior.bin`) was learnt from public English mail of 2002.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log
from pathlib import Path

SHIPPED = Path(__file__).with_name("prior.bin")
SLOTS = 262139  # a prime
_SCALE = 32  # steps to a factor of e
RATES = (0.0, *(exp((step - 255) / _SCALE) for step in range(1, 256)))
"""The share of messages each step stands for."""

EMPTY = bytes(3 * SLOTS)
"""The prior that knows nothing."""


@lru_cache(maxsize=2)
def load(path: Path = SHIPPED) -> bytes:
    """A prior's table, read once. `OSError`, or `ValueError` for a file that is none."""
    table = path.read_bytes()
    if len(table) != 3 * SLOTS:
        raise ValueError(f"{path} is not a table of words: {len(table)} octets")
    return table


def slot(number: int) -> tuple[int, int]:
    """Where a token's entry begins, and its check (1 to 255)."""
    return number % SLOTS * 3, number // SLOTS % 255 + 1


def step(rate: float) -> int:
    """The step of the scale next to a rate; 0 for none at all."""
    return max(1, min(255, round(255 + _SCALE * log(rate)))) if rate > 0 else 0


def build(rates: dict[int, tuple[float, float]]) -> bytes:
    """A table from rates (ham, spam) by token. Of two tokens in one slot, the one met more often stays."""
    table = bytearray(EMPTY)
    for number, (ham, spam) in sorted(rates.items(), key=lambda item: sum(item[1])):
        place, check = slot(number)
        table[place : place + 3] = check, step(ham), step(spam)
    return bytes(table)
