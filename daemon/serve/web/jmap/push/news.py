"""Who is told what, of all commits: the types whose objects changed, and their states (RFC 8620 §7.1).

A commit is heard of on the loop the moment it is done, whoever made it. An `Ear` gathers what its owner was not told
yet, one state a type: who reads slowly hears less often, and never costs more. A state that is read after a commit may
be that of a later one already: so each ear remembers what it was told of each type, and nothing is told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from daemon import log
from daemon.limits import LIMITS
from daemon.store import states
from daemon.store.db import Store, StoreError
from daemon.store.states import State
from daemon.store.tx import Changes

MAIL = ("Email", "Mailbox", "Thread")  # what follows from a change in a mailbox
DELIVERY = "EmailDelivery"  # RFC 8621 §1.5: only when a message came
OTHERS = ("Identity", "EmailSubmission", "VacationResponse", "Quota")
_MAIL = frozenset(MAIL)
_NONE = State(0, 0)


class TooMany(Exception):
    """This user has as many ears open as he may."""


class Ear:
    """One who listens to an account. `types` None: to all of them. `recheck`: rights or credentials of the account may
    be others now, and whoever listens should prove again who he is."""

    __slots__ = ("account_id", "types", "rings", "recheck", "_news", "_newest", "_changed", "_told")

    def __init__(self, news: News, account_id: int, types: frozenset[str] | None) -> None:
        self.account_id = account_id
        self.types = types
        self.rings = asyncio.Event()
        self.recheck = False
        self._news = news
        self._newest = 0
        self._changed: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def begin(self, newest: int) -> None:
        """He was told of nothing yet, and knows messages up to this one."""
        self._newest = newest
        self._changed.clear()
        self._told.clear()

    def hear(self, said: Mapping[str, str], newest: int) -> None:
        """The states of types, and the last message that came."""
        if newest > self._newest:  # less: the newest one was deleted
            said = {**said, DELIVERY: str(newest)}
        self._newest = max(self._newest, newest)
        for name, state in said.items():
            if (self.types is None or name in self.types) and self._told.get(name) != state:
                self._changed[name] = self._told[name] = state
                self.rings.set()

    def take(self) -> dict[str, str]:
        """What is new since it was asked last."""
        changed, self._changed = self._changed, {}
        self.rings.clear()
        return changed

    def close(self) -> None:
        self._news.leave(self)


class News:
    """One per process. `more`: the names of further types that a change of unknown nature may be about; `most`:
    ears of one account."""

    def __init__(self, store: Store, more: Iterable[str] = (), most: int = LIMITS.push_streams) -> None:
        self._store = store
        self._most = most
        self._more = frozenset(more)
        self._types = (*MAIL, *OTHERS, *self._more)
        self._ears: dict[int, set[Ear]] = {}
        self._deaf: Callable[[], None] = store.listen(self._changed)

    def listen(self, account_id: int, types: frozenset[str] | None, since: State | None = None) -> Ear:
        """Told from now on; with `since`, first of what may have changed from then on. Raises `TooMany`."""
        mine = self._ears.setdefault(account_id, set())
        if len(mine) >= self._most:
            raise TooMany
        ear = Ear(self, account_id, types)
        mine.add(ear)
        self.catch_up(ear, since)
        return ear

    def catch_up(self, ear: Ear, since: State | None) -> None:
        """Tell him what may have changed from then on; None: nothing of what was."""
        now = self.state(ear.account_id)
        ear.begin((now if since is None else since).newest)
        same = since is None or since.modseq == now.modseq
        ear.hear({} if same else self._said(ear.account_id, now, self._types), now.newest)

    def leave(self, ear: Ear) -> None:
        mine = self._ears.get(ear.account_id)
        if mine is not None:
            mine.discard(ear)
            if not mine:
                del self._ears[ear.account_id]

    def state(self, account_id: int) -> State:
        return self._store.peek(states.of, (account_id,)).get(account_id, _NONE)

    def close(self) -> None:
        self._deaf()

    # -- what is heard -------------------------------------------------------------------------------------------------

    def _changed(self, changes: Changes) -> None:
        if not self._ears:
            return
        try:
            self._tell(changes)
        except StoreError as error:
            log.trouble("push-not-told", error=error)

    def _tell(self, changes: Changes) -> None:
        about: dict[int, set[str]] = {}
        for account_id, name in changes.objects:
            about.setdefault(account_id, set()).add(name)
        if changes.mailboxes:
            for account_id in self._store.peek(states.owners, changes.mailboxes):
                about.setdefault(account_id, set()).update(MAIL)
        for account_id in changes.accounts & self._ears.keys():
            self._recheck(account_id)
        if changes.everything:
            for account_id in self._ears:
                about.setdefault(account_id, set()).update(self._types)
                self._recheck(account_id)
        mine = about.keys() & self._ears.keys()
        for account_id, now in self._store.peek(states.of, mine).items() if mine else ():
            said = self._said(account_id, now, about[account_id])
            for ear in self._ears[account_id]:
                ear.hear(said, now.newest)

    def _said(self, account_id: int, now: State, types: Iterable[str]) -> dict[str, str]:
        """The states of these types: of some it is known when they changed last, if ever; all others go with the
        account."""
        names = set(types)
        last = {} if names <= _MAIL else self._store.peek(states.of_types, account_id)
        return {name: str(last.get(name, now.modseq)) for name in names if name in last or name not in self._more}

    def _recheck(self, account_id: int) -> None:
        for ear in self._ears[account_id]:
            ear.recheck = True
            ear.rings.set()
