"""What the recipients of a message know of it: whom it reaches here, and what each of them has taught and noted.

One view of the store for all of them. Who knows nothing of his own shares the knowledge of everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.flow.envelope import Envelope
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.store import addresses, spam
from daemon.store.tx import Tx
from daemon.trust import bayes
from daemon.trust.results import Personal


class Parties(NamedTuple):
    """`accounts`: whose mailboxes, or forwards, a message reaches. `ways`: each recipient of the envelope with each
    account he leads to, and None for an alias that leads elsewhere."""

    accounts: tuple[int, ...] = ()
    ways: tuple[tuple[str, int | None], ...] = ()


def parties(tx: Tx, envelope: Envelope) -> Parties:
    """Whom it reaches."""
    accounts: dict[int, None] = {}
    ways: dict[tuple[str, int | None], None] = {}
    for recipient in envelope.recipients:
        found = recipient.resolution or addresses.resolve(tx, recipient.address)
        for account in (*(each.account_id for each in found.locals), *(each.account_id for each in found.onward)):
            ways[str(recipient.address), account] = None
            if account is not None:
                accounts[account] = None
    return Parties(tuple(accounts), tuple(ways))


class Question(NamedTuple):
    """What the store is asked about a message: its `words`."""

    words: tuple[bytes, ...] = ()


class Known(NamedTuple):
    """What `anyone` knows, and each of the accounts: those who know nothing of their own share one value."""

    anyone: Personal
    personal: dict[int, Personal]


def know(tx: Tx, accounts: Sequence[int], asked: Question) -> Known:
    """What is known of a message. The words are judged anew for at most `LIMITS.judge_learners` users who trained the
    filter themselves: of a message to more than that, the others know what anyone knows."""
    ids = tokens.ids(asked.words)
    anyone = Personal(content=bayes.judge(asked.words, spam.counts(tx, spam.HOUSE, ids)))
    found = dict.fromkeys(accounts, anyone)
    for account in spam.learners(tx, accounts)[: LIMITS.judge_learners]:
        found[account] = anyone._replace(content=bayes.judge(asked.words, spam.counts(tx, account, ids)))
    return Known(anyone, found)
