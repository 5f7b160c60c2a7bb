"""What the full-text index knows a text by, and where in it a piece of such a text can stand.

A text is a row of runs: what stands between blanks, or characters of a script that puts none between its words. Which
class a character is of depends on itself alone, so a run inside of a sought text is a whole run of every text that
contains it, and only its first and last run may be the end and the beginning of longer ones. That is all that the index
is asked; it may name texts that do not contain what is sought, and never leaves out one that does.

What stands for a run among the terms:

* a word, with the signs around and inside of it: itself, when it is not long, and short when there are digits in it;
* other runs between blanks (links, signatures, identifiers): all groups of three characters that follow each other,
  its two edges taken for characters, all of them marked, since nobody would ever see such a run twice;
* a run without blanks (Chinese, Japanese, Korean, Thai and others): all pairs that follow each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.limits import LIMITS

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u19e0-\u19ff\u3005-\u3007\u3040-\u318f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{_UNSPACED}]+|[^\\s{_UNSPACED}]+")
_SPACED_RUNS = re.compile(f"[^\\s{_UNSPACED}]+").findall
_UNSPACED_RUNS = re.compile(f"[{_UNSPACED}]+").findall
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]").match
_DIGIT = re.compile("[0-9]").search
_SHORT = 16  # the longest word that is a term itself
_LONG = 72  # the same without digits
_STRETCH = 4096  # characters of a run that are cut up before the terms are counted
MARK = "\t"  # before a group of three; sorts before all else, and is a blank, which no run has inside
_EDGE = "\x1f"  # another one: the edge of a run


def terms(text: str) -> set[str] | None:
    """The terms of a text, which is in lower case; None when there are more than `LIMITS.fulltext_terms`."""
    unspaced = set() if text.isascii() else set(_UNSPACED_RUNS(text))
    runs = set(_SPACED_RUNS(text) if unspaced else text.split())
    found = {run for run in runs if (len(run) <= _SHORT or is_inside(run)) and run[0] > MARK}  # as `is_word`
    more = [(threes, f"{_EDGE}{run}{_EDGE}", 2) for run in runs - found] + [(pairs, run, 1) for run in unspaced]
    for cut, run, shared in more:
        for at in range(0, max(len(run) - shared, 1), _STRETCH):
            if len(found) > LIMITS.fulltext_terms:
                return None
            found |= cut(run[at : at + _STRETCH + shared])
    return found if len(found) <= LIMITS.fulltext_terms else None


def is_word(run: str) -> bool:
    """Whether a run between blanks is a term itself. One that begins with a control would come before marked terms."""
    return is_inside(run) and run[0] > MARK


def is_inside(piece: str) -> bool:
    """Whether it may be a piece of such a run."""
    return len(piece) <= _SHORT or (len(piece) <= _LONG and not _DIGIT(piece))


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

    @property
    def edged(self) -> str:
        """With the edges that the run has there."""
        return _EDGE * self.begins + self.text + _EDGE * self.ends


def pieces(sought: str) -> list[Piece]:
    """The runs of a sought text in lower case, the most telling first; of nothing but blanks, none."""
    found = [
        Piece(run[0], run.start() > 0, run.end() < len(sought), bool(_IS_UNSPACED(run[0])))
        for run in _RUN.finditer(sought)
    ]
    return sorted(found, key=lambda piece: -len(piece.text) - 8 * (piece.begins and piece.ends))
