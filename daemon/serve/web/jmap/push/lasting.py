"""Answers that last: a stream of events, a socket. Each is a session as one of IMAP is, listed and ended like those.

It ends when the client goes, when the server is being stopped, when its user's sessions are ended, and when the proof
of who asks is no longer one (a browser that was signed out elsewhere).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from aiohttp import web

from daemon.limits import LIMITS
from daemon.serve.sessions import Sessions
from daemon.serve.web import door, visitors
from daemon.serve.web.jmap.push.news import Ear, News, TooMany
from daemon.serve.web.visitors import Visitor
from daemon.store.db import Store
from daemon.store.states import State

SIGNED_OUT = "signed out"


class Push(NamedTuple):
    """What lasting answers share, one per process."""

    store: Store
    news: News
    sessions: Sessions


PUSH = web.AppKey("push", Push)


class Lasting:
    """`over` says why it must end now, '' while it need not; `ear.rings` wakes whoever waits for either."""

    def __init__(self, push: Push, visitor: Visitor, ear: Ear) -> None:
        self.ear = ear
        self.over = ""
        self._push = push
        self._visitor = visitor
        self._looked = time.monotonic()

    def end(self, why: str) -> None:
        self.over = self.over or why
        self.ear.rings.set()

    def look(self) -> str:
        """Why it must end now, '' while it need not: before anything is told. Whether he who listens is still signed in
        is asked anew when something about the account changed; and now and then, for a session also ends by its age,
        which is no news."""
        if self.ear.recheck or time.monotonic() - self._looked >= LIMITS.push_quiet:
            self.ear.recheck = False
            self._looked = time.monotonic()
            if not visitors.is_here(self._push.store, self._visitor):
                self.end(SIGNED_OUT)
        return self.over


@contextmanager
def lasting(
    push: Push, visitor: Visitor, types: frozenset[str] | None, since: State | None = None
) -> Iterator[Lasting]:
    """One for this visitor, on the connection of this task, told of these types. Raises `HTTPTooManyRequests`."""
    visit = door.VISIT.get()
    try:
        ear = push.news.listen(visitor.account_id, types, since)
    except TooMany:
        raise visitors.problem(web.HTTPTooManyRequests, "too many streams of events for one user") from None
    made = Lasting(push, visitor, ear)
    live = None
    try:
        live = push.sessions.enter(visitor.identity, visitors.SERVICE, visit, made.end)
        visit.farewell = made.end
        if visit.listener.closing:
            made.end(door.STOPPING)
        yield made
    finally:
        visit.farewell = None
        push.sessions.leave(live)
        ear.close()
