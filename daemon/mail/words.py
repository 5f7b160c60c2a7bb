"""What the full-text index knows a text by, and where in it a piece of such a text can stand.

A text is a row of runs: letters and digits together, or characters of a script that puts no spaces between its words.
Which class a character is of depends on itself alone, so a run inside of a sought text is a whole run of every text
that contains it, and only its first and last run may be the end and the beginning of longer ones. That is all that the
index is asked; it may name texts that do not contain what is sought, and never leaves out one that does.

What stands for a run among the terms:

* a word: itself, when it is of letters only and not long, or short;
* other runs of letters and digits (signatures, identifiers): all groups of three that follow each other, marked, since
  nobody would ever see such a run twice;
* a run without spaces (Chinese, Japanese, Korean, Thai and others): all pairs that follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.limits import LIMITS

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u19e0-\u19ff\u3005-\u3007\u3040-\u318f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{_UNSPACED}]+|[^\\W_{_UNSPACED}]+")
_SPACED_RUNS = re.compile(f"[^\\W_{_UNSPACED}]+").findall
_UNSPACED_RUNS = re.compile(f"[{_UNSPACED}]+").findall
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]").match
_ASCII = {n: " " for n in range(128) if not chr(n).isalnum()}
_LETTERS = 24  # the longest word of letters that is a term itself
_MIXED = 8  # the same when there are digits in it
_STRETCH = 4096  # characters of a run that are cut up before the terms are counted
MARK = "\t"  # before a group of three; sorts before all else


def terms(text: str) -> set[str] | None:
    """The terms of a text, which is in lower case; None when there are more than `LIMITS.fulltext_terms`."""
    runs = set(text.translate(_ASCII).split() if text.isascii() else _SPACED_RUNS(text))
    found = {run for run in runs if len(run) <= _MIXED or (len(run) <= _LETTERS and run.isalpha())}  # as `is_word`
    more = [(threes, stretch) for run in runs - found for stretch in _stretches(run, 2)]
    if not text.isascii():
        more += [(pairs, stretch) for run in set(_UNSPACED_RUNS(text)) for stretch in _stretches(run, 1)]
    for cut, stretch in more:
        if len(found) > LIMITS.fulltext_terms:
            break
        found |= cut(stretch)
    return found if len(found) <= LIMITS.fulltext_terms else None


def _stretches(run: str, shared: int) -> Iterator[str]:
    """A run a little at a time, each time with the last characters of what was before."""
    for at in range(0, max(len(run) - shared, 1), _STRETCH):
        yield run[at : at + _STRETCH + shared]


def is_word(run: str) -> bool:
    """Whether a run of letters and digits is a term itself."""
    return len(run) <= _MIXED or (len(run) <= _LETTERS and run.isalpha())


def pairs(run: str) -> set[str]:
    return {run[at : at + 2] for at in range(len(run) - 1)} or {run}


def threes(run: str) -> set[str]:
    return {MARK + run[at : at + 3] for at in range(len(run) - 2)}


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a sought text. `begins`, `ends`: the run of the text begins, or ends, where the piece does."""

    text: str
    begins: bool
    ends: bool
    unspaced: bool


def pieces(sought: str) -> list[Piece]:
    """The runs of a sought text in lower case, the most telling first; of a text without any (`--`), none."""
    found = [
        Piece(run[0], run.start() > 0, run.end() < len(sought), bool(_IS_UNSPACED(run[0])))
        for run in _RUN.finditer(sought)
    ]
    return sorted(found, key=lambda piece: -len(piece.text) - 8 * (piece.begins and piece.ends))
