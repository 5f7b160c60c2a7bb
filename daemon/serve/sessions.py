"""Who is logged in, of all protocols: one register, which ends the sessions of whom they are taken from.

A session ends when its user is removed or disabled (traps D19), or when somebody ended all of his (`mailctl session
kill`): by the news of the commit, or at its very beginning for a login that was under way then. It has a moment to say
goodbye.

`mailctl session list` reads of it in the store. It is written there in bulk, one commit a second at most, so that a
session that is over before costs nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import log
from daemon.limits import LIMITS
from daemon.store import sessions
from daemon.store.db import Store, StoreError
from daemon.store.sessions import Row
from daemon.store.tx import Changes

if TYPE_CHECKING:
    from daemon.serve.connection import Connection
    from daemon.serve.login import Identity

_EVERY = 1.0  # seconds between two commits
DISABLED = "this account is disabled"
KILLED = "this session was ended by the administrator"


@dataclass(frozen=True, slots=True)
class Live:
    """One session. `end` says goodbye, with the reason, as its protocol does, and closes."""

    row: Row
    identity: Identity
    conn: Connection
    end: Callable[[str], None]


class Sessions:
    """One for all doors of a process. Close it before the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = itertools.count(1)
        self._live: dict[int, dict[int, Live]] = {}  # by account and number
        self._came: dict[int, Row] = {}  # not yet written
        self._went: set[int] = set()  # written, and not true any more
        self._anew = True  # what is written is a predecessor's, or not known
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf: Callable[[], None] | None = store.listen(self._changed)

    async def begin(self) -> None:
        """Before the doors open: whoever is written down was a predecessor's."""
        await self._write()

    def enter(self, identity: Identity, protocol: str, conn: Connection, end: Callable[[str], None]) -> Live:
        """Somebody is logged in now. Call `leave` when his session is over, however that came."""
        account_id, now = identity.account_id, self._store.clock()
        epochs = self._store.peek(sessions.epochs, [account_id])
        row = Row(next(self._numbers), account_id, protocol, conn.peer, identity.app_password_id, now)
        live = Live(row, identity, conn, end)
        self._live.setdefault(account_id, {})[row.number] = live
        self._came[row.number] = row
        self._soon()
        self._show_out([account_id], epochs)
        return live

    def leave(self, live: Live | None) -> None:
        """The session is over; None, and one that left before, is none."""
        mine = self._live.get(live.row.account_id) if live is not None else None
        if live is None or mine is None or mine.pop(live.row.number, None) is None:
            return
        if not mine:
            del self._live[live.row.account_id]
        if self._came.pop(live.row.number, None) is None:
            self._went.add(live.row.number)
            self._soon()

    async def close(self) -> None:
        """Nobody is here any more."""
        if self._deaf is not None:
            self._deaf()
            self._deaf = None
        if self._timer is not None:
            self._timer.cancel()
        while tasks := tuple(self._tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
        if not self._anew:
            self._live.clear()
            self._anew = True
            await self._write()

    # -- who may stay --------------------------------------------------------------------------------------------------

    def _changed(self, changes: Changes) -> None:
        touched = self._live.keys() if changes.everything else changes.accounts & self._live.keys()
        if touched:
            self._run(self._look(list(touched)))

    async def _look(self, touched: list[int]) -> None:
        try:
            epochs = await self._store.read(sessions.epochs, touched)
        except StoreError as error:
            log.trouble("sessions-not-looked-at", error=error)
        else:
            self._show_out(touched, epochs)

    def _show_out(self, account_ids: Iterable[int], epochs: Mapping[int, int]) -> None:
        """End the sessions of another epoch than their user's is; who may not be logged in at all has none."""
        for account_id in account_ids:
            epoch = epochs.get(account_id)
            over = [one for one in self._live.get(account_id, {}).values() if one.identity.epoch != epoch]
            if not over:
                continue
            for live in over:
                self.leave(live)
                live.end(DISABLED if epoch is None else KILLED)
                live.conn.loop.call_later(LIMITS.linger, live.conn.abort)  # if it is busy, or nobody listens
            reason = "disabled" if epoch is None else "killed"
            log.event("sessions-ended", user=over[0].identity.address, reason=reason, sessions=len(over))

    # -- what is written -----------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._run(self._write())

    async def _write(self) -> None:
        """What is new, in the order of the calls. What the store cannot take is written whole with the next change."""
        anew, self._anew = self._anew, False
        rows = [live.row for mine in self._live.values() for live in mine.values()] if anew else self._came.values()
        came, went = list(rows), list(self._went)
        self._came.clear()
        self._went.clear()
        if not (came or went or anew):
            return
        try:
            await self._store.write(sessions.note, came, went, anew)
        except StoreError as error:
            self._anew = True
            log.trouble("sessions-not-written", error=error)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
