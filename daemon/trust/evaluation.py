"""How good scores are, given what the messages really were: for `mailctl spam eval` and the bench.

`scored` everywhere: pairs of a score (higher: rather spam) and whether it is spam. Scores that are equal cannot be
told apart by any threshold, and are never counted as if they could.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Scored = Sequence[tuple[float, bool]]


class Confusion(NamedTuple):
    """What a threshold does: spam caught and missed, ham junked and kept."""

    caught: int
    missed: int
    junked: int
    kept: int

    @property
    def precision(self) -> float:
        """Of what is called spam, the share that is; 1 where nothing is."""
        called = self.caught + self.junked
        return self.caught / called if called else 1.0

    @property
    def recall(self) -> float:
        """Of the spam, the share that is called so; 1 where there is none."""
        spam = self.caught + self.missed
        return self.caught / spam if spam else 1.0

    @property
    def false_positives(self) -> float:
        """Of the ham, the share that is called spam; 0 where there is none."""
        ham = self.junked + self.kept
        return self.junked / ham if ham else 0.0


def confusion(scored: Scored, threshold: float) -> Confusion:
    """What comes of calling spam whatever scores `threshold` or more."""
    spam = [score >= threshold for score, is_spam in scored if is_spam]
    ham = [score >= threshold for score, is_spam in scored if not is_spam]
    return Confusion(sum(spam), len(spam) - sum(spam), sum(ham), len(ham) - sum(ham))


def area(scored: Scored) -> float:
    """The area under the ROC curve: how often a spam scores above a ham, equal scores being half. 0.5 without both."""
    ham_below = 0
    twice = 0
    spam_all = sum(is_spam for _, is_spam in scored)
    ham_all = len(scored) - spam_all
    for ham, spam in _steps(scored):
        twice += spam * (2 * ham_below + ham)
        ham_below += ham
    return twice / (2 * spam_all * ham_all) if spam_all and ham_all else 0.5


def recall_at(scored: Scored, false_positives: float) -> float:
    """The largest share of spam that a threshold catches while at most that share of ham is junked."""
    spam_all = sum(is_spam for _, is_spam in scored)
    ham_left = int((len(scored) - spam_all) * false_positives)
    caught = 0
    for ham, spam in reversed(_steps(scored)):
        ham_left -= ham
        if ham_left < 0:
            break
        caught += spam
    return caught / spam_all if spam_all else 1.0


def _steps(scored: Scored) -> list[tuple[int, int]]:
    """Ham and spam of each score, from the lowest."""
    steps: dict[float, list[int]] = {}
    for score, is_spam in scored:
        steps.setdefault(score, [0, 0])[is_spam] += 1
    return [(ham, spam) for _, (ham, spam) in sorted(steps.items())]
