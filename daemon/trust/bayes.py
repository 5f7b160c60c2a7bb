"""How likely the words of a message are spam: a user's own counts over a shared prior.

A model is a table of counts: in how many ham and in how many spam messages a token was. Learning adds one to each
token of a message, unlearning takes it away again, and the table is as it was (trap D8). The prior counts as
`PRIOR_MESSAGES` of each kind that the user has learnt already.

Each token has a weight: the logarithm of how much more often it is in spam than in ham, made small where it is in
both or was seen seldom. Weights are summed for three voices apart, the header, the words, and pairs of words, and
each sum is divided by the root of how many spoke: a long text cannot shout down a telling header, nor words stuffed
into a message the ones it is about.

A user who has shown only his spam has shown nothing of his ham: what all his mail has in common (his name, his hosts)
must not become a sign of spam. Of the header's tokens the prior knows only the general ones; of the others each is
taken to be in as much mail of the other kind as a look at so few messages may have missed. Words it does not know
are rare in anybody's mail, and believed sooner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nlargest
from math import log, sqrt
from typing import NamedTuple

from daemon.mail.tokens import ids
from daemon.trust import prior as priors
from daemon.trust.explain import explain
from daemon.trust.results import Content

PRIOR_MESSAGES = 100
UNSEEN = 0.01  # messages that a token is taken to be in beyond those it was in
SELDOM = 1.0  # messages: a token seen in so many has half its weight
EVEN = 0.4  # a difference of shares below this weighs nothing: its eighth power is under a thousandth
WORD_MISSED = 0.001  # of a look that missed something of the ham: the share that a word unknown to the prior has
VOICES = (1.0, 0.5, 0.3)  # of the header, of words, of pairs of words
SLOPE = 0.75  # from their sum to the natural logarithm of the odds; fitted on collections that were not learnt from
SHOWN = 8
_NOBODY = (0, 0)
_HEADER = {mark: 0 for mark in (b"s:", b"f:", b"a:", b"h:", b"i:", b"r:", b"d:", b"x:", b"b:", b"o:")}


class Counts(NamedTuple):
    """Messages learnt from, and for each token's number in how many (ham, spam) messages it was."""

    ham: int
    spam: int
    tokens: Mapping[int, tuple[int, int]]


NOTHING = Counts(0, 0, {})


def judge(tokens: Sequence[bytes], counts: Counts | None, table: bytes | None = None) -> Content:
    """What the tokens of one message say. By the prior alone where `counts` is None; `table` is the prior (else the
    one shipped)."""
    found = _weigh(tokens, counts or NOTHING, priors.load() if table is None else table)
    sums = [0.0, 0.0, 0.0]
    spoke = [0, 0, 0]
    for weight, voice, _ in found:
        sums[voice] += weight
        spoke[voice] += 1
    scale = [SLOPE * share / sqrt(n or 1) for share, n in zip(VOICES, spoke, strict=True)]
    logit = sum(map(float.__mul__, scale, sums))
    shares = nlargest(SHOWN, [(abs(weight * scale[voice]), weight, token) for weight, voice, token in found])
    top = tuple([(explain(token), share if weight > 0 else -share) for share, weight, token in shares])
    return Content(logit, len(found), top)


def _weigh(tokens: Sequence[bytes], counts: Counts, table: bytes) -> list[tuple[float, int, bytes]]:
    """Of each token that was met before how it alone speaks for spam (above 0) or for ham, and in which voice."""
    learnt, rates, slots = counts.tokens, priors.RATES, priors.SLOTS
    known = 0 if table is priors.EMPTY else PRIOR_MESSAGES
    missed_ham = 1 / (1 + counts.ham) ** 2
    missed_spam = 1 / (1 + counts.spam) ** 2
    missed_word = missed_ham * WORD_MISSED
    general = (known + counts.ham or 1, known + counts.spam or 1)
    own = (counts.ham or 1, counts.spam or 1)
    found = []
    for token, number in zip(tokens, ids(tokens), strict=True):
        ham: float
        spam: float
        ham, spam = learnt.get(number, _NOBODY)
        of_ham, of_spam = general
        voice = _HEADER.get(token[:2], 2 if b" " in token and token[1:2] != b":" else 1)
        place = number % slots * 3
        if table[place] == number // slots % 255 + 1:
            ham += known * rates[table[place + 1]]
            spam += known * rates[table[place + 2]]
            in_ham, in_spam = ham / of_ham, spam / of_spam
        elif not ham and not spam:
            continue
        elif voice:
            in_ham, in_spam = ham / of_ham, spam / of_spam
            if in_spam > in_ham:
                in_ham = min(in_spam, in_ham + missed_word)
        else:
            of_ham, of_spam = own
            in_ham, in_spam = ham / of_ham, spam / of_spam
            if in_spam > in_ham:
                in_ham = min(in_spam, in_ham + missed_ham)
            else:
                in_spam = min(in_ham, in_spam + missed_spam)
        difference = (in_spam - in_ham) / (in_spam + in_ham)
        weight = 0.0
        if not -EVEN < difference < EVEN:
            seen = ham + spam
            ratio = (spam + UNSEEN) * of_ham / ((ham + UNSEEN) * of_spam)
            weight = difference**8 * seen / (seen + SELDOM) * log(ratio)
        found.append((weight, voice, token))
    return found
