"""How good the filter is for one user: his own labelled mail judged by what the filter knows now, before a threshold
is changed.

Each message is judged as if it had never been learnt (cross-validation, leaving one out): what it added to the sums,
his or everybody's, is taken off first. Points are those of the words alone; proofs, lists and repute come on top when
mail really arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.mail import tokens
from daemon.mail.identity import identity
from daemon.store import accounts, settings, spam
from daemon.store.db import Store
from daemon.store.labelled import Labelled
from daemon.store.spam import HOUSE
from daemon.store.tx import Tx
from daemon.trust import bayes, weights
from daemon.trust.bayes import Counts

Progress = Callable[[int], None]
THRESHOLDS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
_SHOWN = 20  # mistakes told


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a value of `spam.junk` does: spam that goes to Junk and that does not, ham that goes there. `recall` is the
    share of spam that goes to Junk, `precision` the share of spam in what goes there; None of nothing."""

    threshold: float
    caught: int
    missed: int
    false_positives: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """Ham that would go to Junk. `id` is its number (`mailctl mail show`)."""

    id: int
    subject: str
    score: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`outcome` is that of the threshold asked for, `others` of more of them; `mistakes` at it, the worst first."""

    user: str
    ham: int
    spam: int
    outcome: Outcome
    others: tuple[Outcome, ...]
    mistakes: tuple[Mistake, ...]


def threshold(store: Store) -> float:
    """The present value of spam.junk."""
    points: float = store.read_now(settings.load)["spam.junk"]
    return points


def evaluate(
    store: Store, user: str, found: Sequence[Labelled], threshold: float, progress: Progress = lambda _: None
) -> Evaluation:
    """Judge his mail (`spam.labels`). Raises `Missing`."""
    account = store.read_now(accounts.get, words.address(user))
    judged: list[tuple[Labelled, float]] = []
    for one in found:
        data = store.bytes_of(one.place)
        cut = tokens.tokenize(data)
        counts = store.read_now(_as_if_never_learnt, account.id, identity(data), tokens.ids(cut))
        judged.append((one, weights.of_logit(bayes.judge(cut, counts).logit)))
        progress(1)
    wrong = [(one, score) for one, score in judged if one.class_ == "ham" and score >= threshold]
    wrong.sort(key=lambda pair: -pair[1])
    return Evaluation(
        str(account.address),
        sum(one.class_ == "ham" for one, _ in judged),
        sum(one.class_ == "spam" for one, _ in judged),
        _outcome(judged, threshold),
        tuple(_outcome(judged, each) for each in THRESHOLDS),
        tuple(Mistake(one.email_id, one.subject, round(score, 1)) for one, score in wrong[:_SHOWN]),
    )


def _outcome(judged: Sequence[tuple[Labelled, float]], threshold: float) -> Outcome:
    junked = [one.class_ for one, score in judged if score >= threshold]
    caught, wrong = junked.count("spam"), junked.count("ham")
    missed = sum(one.class_ == "spam" for one, _ in judged) - caught
    recall = round(caught / (caught + missed), 4) if caught + missed else None
    precision = round(caught / (caught + wrong), 4) if caught + wrong else None
    return Outcome(threshold, caught, missed, wrong, recall, precision)


def _as_if_never_learnt(tx: Tx, account_id: int, mail: bytes, ids: Sequence[int]) -> Counts | None:
    """What the message is judged by, without what was learnt of itself."""
    counts = spam.counts(tx, account_id, ids)
    for owner in (HOUSE, account_id):
        known = spam.trained_as(tx, owner, mail)
        if known is None or counts is None:
            continue
        class_, learnt = known
        ham, junk = (1, 0) if class_ == "ham" else (0, 1)
        rest = dict(counts.tokens)
        for token in rest.keys() & set(learnt):
            rest[token] = (rest[token][0] - ham, rest[token][1] - junk)
        counts = Counts(counts.ham - ham, counts.spam - junk, {t: n for t, n in rest.items() if any(n)})
    return counts if counts is not None and (counts.ham or counts.spam) else None
