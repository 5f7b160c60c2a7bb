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
from functools import lru_cache
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
_HEADER = {mark: 0 for mark in (b"s:", b"f:", b"a:", b"h:", b"i:", b"r:", b"d:", b"x:", b"b:", b"o:")}


class Counts(NamedTuple):
    """Messages learnt from, and for each token's number in how many (ham, spam) messages it was."""

    ham: int
    spam: int
    tokens: Mapping[int, tuple[int, int]]


NOTHING = Counts(0, 0, {})


def judge(
    tokens: Sequence[bytes],
    counts: Counts | None,
    table: priors.Table | None = None,
    numbers: Sequence[int] | None = None,
) -> Content:
    """What the tokens of one message say. By the prior alone where `counts` is None; `table` is the prior (else the
    one shipped); `numbers` are those of the tokens where they are known already."""
    table = table or priors.load()
    if counts is None or not counts.tokens:
        weighed = _by_prior(tokens, counts or NOTHING, table)
    else:
        weighed = _by_counts(tokens, ids(tokens) if numbers is None else numbers, counts, table)
    voices: tuple[list[tuple[float, bytes]], ...] = ([], [], [])
    voice_of = _HEADER.get
    for one in weighed:
        token = one[1]
        voice = voice_of(token[:2], 1)
        if voice and b" " in token and token[1:2] != b":":
            voice = 2
        voices[voice].append(one)
    scales = [SLOPE * share / sqrt(len(voice) or 1) for share, voice in zip(VOICES, voices, strict=True)]
    logit = sum([scale * sum([weight for weight, _ in voice]) for scale, voice in zip(scales, voices, strict=True)])
    return Content(logit, sum(map(len, voices)), _told(voices, scales))


def _told(voices: Sequence[Sequence[tuple[float, bytes]]], scales: Sequence[float]) -> tuple[tuple[str, float], ...]:
    """The tokens that weigh most, in words."""
    shares = [
        (abs(weight * scale), weight, token)
        for scale, voice in zip(scales, voices, strict=True)
        for weight, token in voice
    ]
    most = nlargest(SHOWN, shares)
    return tuple([(explain(token), share if weight > 0 else -share) for share, weight, token in most])


def _by_prior(tokens: Sequence[bytes], counts: Counts, table: priors.Table) -> list[tuple[float, bytes]]:
    """How each token that the prior knows speaks for spam (above 0) or for ham: what most mail is judged by."""
    ham, spam = table.ham, table.spam
    of_ham, of_spam = PRIOR_MESSAGES + counts.ham, PRIOR_MESSAGES + counts.spam
    return [(_step_weight(ham[slot], spam[slot], of_ham, of_spam), token) for token, slot in table.met(tokens)]


@lru_cache(maxsize=1 << 14)  # some thousand pairs of steps are all there are in a prior
def _step_weight(ham: int, spam: int, of_ham: int, of_spam: int) -> float:
    """The weight of a token that is in the prior alone, by its steps there."""
    rates = priors.RATES
    return _weight(PRIOR_MESSAGES * rates[ham], PRIOR_MESSAGES * rates[spam], of_ham, of_spam)


def _by_counts(
    tokens: Sequence[bytes], numbers: Sequence[int], counts: Counts, table: priors.Table
) -> list[tuple[float, bytes]]:
    """The same of each token that the prior or the counts know."""
    known = 0 if table is priors.EMPTY else PRIOR_MESSAGES
    of_ham, of_spam = known + counts.ham or 1, known + counts.spam or 1
    missed_ham, missed_spam = 1 / (1 + counts.ham) ** 2, 1 / (1 + counts.spam) ** 2
    own = (counts.ham or 1, counts.spam or 1, missed_ham, missed_spam)
    general = (of_ham, of_spam, missed_ham * WORD_MISSED, 0.0)
    of_header: dict[tuple[int, int], float] = {}  # most tokens were met once or twice: their weights are known soon
    of_words: dict[tuple[int, int], float] = {}
    slot_of, met, rates = dict(table.met(tokens)).get, counts.tokens.get, priors.RATES
    found = []
    for token, number in zip(tokens, numbers, strict=True):
        pair, slot = met(number), slot_of(token)
        if slot is not None:
            ham, spam = table.ham[slot], table.spam[slot]
            if pair is None:
                weight = _step_weight(ham, spam, of_ham, of_spam)
            else:
                weight = _weight(pair[0] + known * rates[ham], pair[1] + known * rates[spam], of_ham, of_spam)
        elif pair is None:
            continue
        else:
            of_word = token[:2] not in _HEADER
            weights = of_words if of_word else of_header
            if pair not in weights:
                weights[pair] = _weight(*pair, *(general if of_word else own))
            weight = weights[pair]
        found.append((weight, token))
    return found


def _weight(
    ham: float, spam: float, of_ham: float, of_spam: float, missed_ham: float = 0.0, missed_spam: float = 0.0
) -> float:
    """What so many messages of each kind say of a token. `missed_…`: the share of each kind that it may be in besides,
    which never makes a sign of one kind a sign of the other."""
    in_ham = ham / of_ham
    in_spam = spam / of_spam
    if in_spam > in_ham:
        if missed_ham:
            in_ham = min(in_spam, in_ham + missed_ham)
    elif missed_spam:
        in_spam = min(in_ham, in_spam + missed_spam)
    both = in_ham + in_spam
    difference = (in_spam - in_ham) / both if both else 0.0
    if -EVEN < difference < EVEN:
        return 0.0
    fourth = difference * difference * difference * difference
    seen = ham + spam
    return fourth * fourth * seen / (seen + SELDOM) * log((spam + UNSEEN) * of_ham / ((ham + UNSEEN) * of_spam))
