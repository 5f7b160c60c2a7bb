"""What the recipients of a message know of it: whom it reaches here, and what each of them has taught and noted.

One view of the store for all of them. Who knows nothing of his own shares the knowledge of everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.flow.envelope import Envelope
from daemon.store import addresses
from daemon.store.tx import Tx
from daemon.trust import bayes
from daemon.trust.bayes import Counts
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


def personal(tx: Tx, accounts: Sequence[int], words: tuple[bytes, ...], anyone: Personal) -> dict[int, Personal]:
    """What each account knows."""
    return dict.fromkeys(accounts, anyone)


def content(words: tuple[bytes, ...], counts: Counts | None) -> Personal:
    """What the words of a message say to one who has trained the filter by `counts`, or to anyone."""
    return Personal(content=bayes.judge(words, counts))
