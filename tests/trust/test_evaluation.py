"""Figures about scores, against what can be counted by hand."""

from __future__ import annotations

import pytest

from daemon.trust.evaluation import Confusion, Scored, area, confusion, recall_at

GOOD = [(0.1, False), (0.2, False), (0.7, True), (0.9, True)]
MIXED = [(0.1, False), (0.3, True), (0.5, False), (0.9, True)]
TIED = [(0.5, False), (0.5, True)]


@pytest.mark.parametrize("scored,want", [(GOOD, 1.0), (MIXED, 0.75), (TIED, 0.5), ([], 0.5), ([(1.0, True)], 0.5)])
def test_the_area_is_how_often_spam_is_above_ham(scored: Scored, want: float) -> None:
    assert area(scored) == want


@pytest.mark.parametrize(
    "scored,allowed,want",
    [
        (GOOD, 0, 1.0),
        (MIXED, 0, 0.5),
        (MIXED, 0.5, 1.0),
        (MIXED, 0.49, 0.5),
        (TIED, 0, 0.0),  # no threshold parts them
        (TIED, 1, 1.0),
        ([(0.5, False)], 0, 1.0),
    ],
)
def test_recall_at_so_many_false_positives(scored: Scored, allowed: float, want: float) -> None:
    assert recall_at(scored, allowed) == want


def test_a_threshold_has_a_confusion() -> None:
    found = confusion(MIXED, 0.5)
    assert found == Confusion(caught=1, missed=1, junked=1, kept=1)
    assert (found.precision, found.recall, found.false_positives) == (0.5, 0.5, 0.5)
    nothing = confusion([], 0.5)
    assert (nothing.precision, nothing.recall, nothing.false_positives) == (1.0, 1.0, 0.0)
