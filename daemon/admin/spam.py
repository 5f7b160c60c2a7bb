"""What the filter learnt: taught from files, summed up, learnt anew from a user's mailboxes.

Every verb works on the store itself, whether a server runs or not. Lessons are learnt in small steps, so that delivery
never waits long; a run that is cut off is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from daemon.admin import imports, words
from daemon.admin.imports import Source
from daemon.flow import learning
from daemon.limits import LIMITS
from daemon.store import accounts, labelled, settings, spam
from daemon.store.accounts import Account
from daemon.store.db import Store
from daemon.store.labelled import Labelled
from daemon.store.spam import HOUSE
from daemon.store.tx import Tx

Lesson = Literal["spam", "ham", "forget"]
Progress = Callable[[int], None]


@dataclass(slots=True)
class Trained:
    """What was taught. `user` None: everybody. `changed` of the `messages` were not known so before; `problems` say
    what could not be taken."""

    user: str | None
    lesson: Lesson
    messages: int = 0
    changed: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Learner:
    """What a user's lessons come to; `user` None: what everybody's mail is judged by."""

    user: str | None
    ham: int
    spam: int
    tokens: int
    waiting: int
    learnt_at: int | None


@dataclass(frozen=True, slots=True)
class Retrained:
    """`forgotten`: messages that were learnt before; `ham` and `spam`: those learnt now."""

    user: str
    forgotten: int
    ham: int
    spam: int


def train(
    store: Store,
    sources: Sequence[Source],
    lesson: Lesson,
    user: str | None = None,
    progress: Progress = lambda _: None,
) -> Trained:
    """Teach what the messages of files are, or forget what was learnt of them; of a user, or for everybody.

    Raises `Missing`, `BadData`, `OSError`; what came before stays.
    """
    account = None if user is None else _account(store, user)
    owner = HOUSE if account is None else account.id
    report = Trained(None if account is None else str(account.address), lesson)
    most = store.read_now(settings.load)["limits.message_size"]

    def read() -> Iterator[tuple[learning.Read, int]]:
        for source in sources:
            for one in imports.read(source, "", most):
                if one.problem:
                    report.problems.append(f"{source.path}: {one.where}: {one.problem}")
                else:
                    report.messages += 1
                    found = learning.read(one.data)
                    yield found, len(found[1])
                progress(one.octets)

    for step in learning.steps(read()):
        report.changed += store.write_now(_taught, owner, lesson, step)
    return report


def _taught(tx: Tx, owner: int, lesson: Lesson, step: Sequence[learning.Read]) -> int:
    if lesson == "forget":
        return sum(spam.forget(tx, owner, identity) for identity, _ in step)
    return sum(spam.learn(tx, owner, identity, lesson, tokens) for identity, tokens in step)


def stats(store: Store, user: str | None = None) -> list[Learner]:
    """Of one user; or of everybody, the house first, and of each user who taught something. Raises `Missing`."""

    def work(tx: Tx) -> list[Learner]:
        if user is not None:
            account = accounts.get(tx, words.address(user))
            return [_learner(str(account.address), spam.summed(tx, account.id))]
        names = {account.id: str(account.address) for account in accounts.everyone(tx)}
        with_lessons = [owner for owner in spam.owners(tx) if owner in names]
        found = [_learner(names[owner], spam.summed(tx, owner)) for owner in with_lessons]
        return [_learner(None, spam.summed(tx, HOUSE)), *sorted(found, key=lambda one: one.user or "")]

    return store.read_now(work)


def _learner(user: str | None, found: spam.Sum) -> Learner:
    return Learner(user, found.ham, found.spam, found.tokens, found.waiting, found.learnt_at)


def users(store: Store) -> list[str]:
    return [str(account.address) for account in store.read_now(accounts.everyone)]


def labels(store: Store, user: str, limit: int) -> list[Labelled]:
    """What `retrain` and `eval` take his mailboxes to say. Raises `Missing`."""
    return store.read_now(labelled.labelled, _account(store, user).id, limit)


def retrain(store: Store, user: str, found: Sequence[Labelled], progress: Progress = lambda _: None) -> Retrained:
    """Forget all that a user's lessons were, and learn these messages of his (`labels`). Raises `Missing`."""
    account = _account(store, user)
    forgotten = 0
    while gone := store.write_now(spam.forget_some, account.id, LIMITS.spam_step):
        forgotten += gone

    def read() -> Iterator[tuple[tuple[Labelled, learning.Read], int]]:
        for one in found:
            done = learning.read(store.bytes_of(one.place))
            progress(1)
            yield (one, done), len(done[1])

    for step in learning.steps(read()):
        store.write_now(_learnt, account.id, step)
    after = store.read_now(spam.summed, account.id)
    return Retrained(str(account.address), forgotten, after.ham, after.spam)


def _learnt(tx: Tx, owner: int, step: Sequence[tuple[Labelled, learning.Read]]) -> None:
    for one, (identity, tokens) in step:
        spam.learn(tx, owner, identity, one.class_, tokens)


def _account(store: Store, user: str) -> Account:
    return store.read_now(accounts.get, words.address(user))
