"""Lessons are learnt: the worker behind what users move to Junk and back, and what `mailctl spam train` shares with it.

A lesson is claimed, its message read and cut into tokens in a thread, and what was read is counted in transactions of
bounded size. A message that cannot be read is dropped with a line in the log and holds up no other; one that ends the
whole server is tried alone after the restart, and given up when it did so some times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from daemon import log
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.identity import identity
from daemon.store import spam
from daemon.store.db import Store
from daemon.store.spam import Learnt, Lesson

T = TypeVar("T")
Read = tuple[bytes, tuple[int, ...]]
"""What a message is known by, and the ids of its tokens."""


def read(data: bytes) -> Read:
    return identity(data), tokens.ids(tokens.tokenize(data))


def steps(items: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Items with how many tokens each has, in lists that are counted in one transaction each."""
    step: list[T] = []
    size = 0
    for item, many in items:
        step.append(item)
        size += many + 1
        if size >= LIMITS.spam_step:
            yield step
            step, size = [], 0
    if step:
        yield step


class Learning:
    """The worker. `run` goes on until it is cancelled: what is not learnt by then waits in the store."""

    def __init__(self, store: Store, *, every: float = LIMITS.spam_round) -> None:
        self._store = store
        self._every = every
        self._last = 0  # whose lessons were learnt last: the others come first now

    async def run(self) -> None:
        """Learn whatever waits, whenever a lesson is queued, and now and then."""
        await rounds(
            self._store, "learning", self._all, lambda: self._every,
            concerns=lambda changes: changes.lessons or changes.everything,
        )  # fmt: skip

    async def _all(self) -> None:
        while await self._some():
            pass

    async def _some(self) -> bool:
        """Some lessons of the user whose turn it is; whether there were any."""
        owner = self._store.peek(spam.next_learner, self._last)
        if owner is None:
            return False
        self._last = owner
        claimed = await self._store.write(spam.claim, owner, LIMITS.spam_batch)
        learnt = [one for one in [await self._read(owner, lesson) for lesson in claimed] if one is not None]
        for step in steps((one, len(one.tokens)) for one in learnt):
            await self._store.write(spam.learn_all, owner, step)
        if learnt:
            log.event("learnt", account=owner, lessons=len(learnt))
        return True

    async def _read(self, owner: int, lesson: Lesson) -> Learnt | None:
        """What is in the message of a lesson; None when it was dropped, since nobody can read it."""
        try:
            if lesson.tries >= LIMITS.spam_tries:
                raise RuntimeError(f"began {lesson.tries} times and never ended")
            data = await self._store.aside(self._store.bytes_of, lesson.place)
            return Learnt(lesson, *await self._store.aside(read, data))
        except Exception as error:
            log.trouble("lesson-dropped", account=owner, blob=lesson.blob_id, lesson=lesson.lesson, reason=repr(error))
            await self._store.write(spam.drop, owner, lesson.blob_id, lesson.lesson, lesson.source)
            return None
