"""What is known here of a message: whom it reaches, who it comes from, and what each recipient has taught and noted.

One view of the store for all of it. Who knows nothing of his own shares the knowledge of everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from daemon.flow.envelope import Envelope, Origin
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.address import Address
from daemon.mail.summary import answered_in
from daemon.store import addresses, correspondents, sender_lists, spam, standing
from daemon.store.standing import Source
from daemon.store.tx import Tx
from daemon.trust import bayes, weights
from daemon.trust.author import addresses as authors_of
from daemon.trust.results import Content, Personal, Signals, Standing, Tally

if TYPE_CHECKING:
    from daemon.mail.header import Data


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
    """What the store is asked about a message: its words, its authors, whoever else sent it, the domains that a proof
    speaks for, the messages that it answers; and whose reputation it has. `beyond`: it is asked for others than the
    accounts, too."""

    words: tuple[bytes, ...] = ()
    authors: tuple[Address, ...] = ()
    senders: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    source: Source = Source()
    beyond: bool = True


def question(data: Data, origin: Origin, envelope: Envelope, signals: Signals, words: tuple[bytes, ...]) -> Question:
    authors = authors_of(data)
    source = Source(ip=origin.peer)
    if authors and weights.proved(signals):
        source = Source(signals.dmarc.domain, correspondents.name_of(authors[0]), origin.peer)
    return Question(
        words, authors, authors if envelope.sender is None else (*authors, envelope.sender),
        weights.proofs(signals), answered_in(data), source,
    )  # fmt: skip


class Known(NamedTuple):
    """What `anyone` knows, and each of the accounts: those who know nothing of their own share one value. `standing`
    is the reputation here of those it comes from."""

    anyone: Personal
    personal: dict[int, Personal]
    standing: Standing = Standing()


def know(tx: Tx, accounts: Sequence[int], asked: Question) -> Known:
    """What is known of a message. The words are judged anew for at most `LIMITS.judge_learners` users who trained the
    filter themselves: of a message to more than that, the others know what anyone knows."""
    repute = standing.of(tx, asked.source)
    learnt = spam.learnt(tx, accounts)
    learners = frozenset([account for account in accounts if account in learnt][: LIMITS.judge_learners])
    ids = tokens.ids(asked.words) if learnt else ()  # the prior alone asks for none
    content = Content()
    if asked.beyond or not learners.issuperset(accounts):  # else nobody asks what the house alone makes of it
        content = bayes.judge(asked.words, spam.counts(tx, spam.HOUSE, ids, learnt), numbers=ids)
    first = repute.of_author == Tally() and repute.of_domain == Tally()
    anyone = Personal(content, *_lists(tx, None, asked), first=first)
    found = {}
    for account in accounts:
        allowed, blocked = _lists(tx, account, asked)
        correspondent = any(correspondents.knows(tx, account, author) for author in asked.authors)
        found[account] = anyone._replace(
            allowed=allowed,
            blocked=blocked,
            correspondent=correspondent,
            reply=correspondents.answers(tx, account, asked.answers),
            first=anyone.first and not correspondent,
        )
        if account in learners:
            own = bayes.judge(asked.words, spam.counts(tx, account, ids, learnt), numbers=ids)
            found[account] = found[account]._replace(content=own)
    return Known(anyone, found, repute)


def _lists(tx: Tx, account: int | None, asked: Question) -> tuple[str, str]:
    return sender_lists.look(tx, account, asked.senders, asked.domains, asked.source.ip)
