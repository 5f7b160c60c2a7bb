"""How likely the words of a message are spam: a user's own counts over a shared prior.

A model is a table of counts: in how many ham and in how many spam messages a token was. Learning adds one to each
token of a message, unlearning takes it away again, and the table is as it was (trap D8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple

from daemon.mail.tokens import ids
from daemon.trust.results import Content


class Counts(NamedTuple):
    """Messages learnt from, and for each token's number in how many (ham, spam) messages it was."""

    ham: int
    spam: int
    tokens: Mapping[int, tuple[int, int]]


def judge(tokens: Sequence[bytes], counts: Counts | None) -> Content:
    """What the tokens of one message say, by the prior alone where `counts` is None."""
    if counts is None or not counts.ham or not counts.spam:
        return Content()
    weights = []
    known = 0
    scale = counts.spam / counts.ham
    for token, number in zip(tokens, ids(tokens), strict=True):
        found = counts.tokens.get(number)
        if found is None:
            continue
        known += 1
        weights.append((log((found[1] + 0.1 * scale) / ((found[0] + 0.1) * scale)), token))
    weights.sort(key=lambda pair: -abs(pair[0]))
    logit = sum(weight for weight, _ in weights[:150]) / 10
    return Content(logit, known, tuple((explain(token), weight / 10) for weight, token in weights[:8]))


def explain(token: bytes) -> str:
    """A token as a reader can read it."""
    return token.decode("utf-8", "replace")
