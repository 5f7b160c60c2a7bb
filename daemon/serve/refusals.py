"""Strangers that were refused, written down in bulk: one row an hour for the same refusal, one commit a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from daemon.store import events
from daemon.store.db import Store, StoreError
from daemon.store.tx import Tx

_EVERY = 1.0  # seconds between two commits
_KINDS = 1000  # different refusals held; beyond, the peer is `*`

Refusal = tuple[str, str, str, str]  # peer, reason, sender, recipient


class Refusals:
    """Adds up refusals in memory and hands them to the store now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.totals: Counter[str] = Counter()  # by reason, since the process began
        self._pending: dict[Refusal, tuple[int, str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def add(self, peer: str, reason: str, *, sender: str = "", recipient: str = "", reply: str = "") -> None:
        """Count one. `sender` is what the peer said it is: reverse-path or login name. Call on the loop."""
        self.totals[reason] += 1
        key = (peer, reason, sender[:320], recipient[:320])
        if key not in self._pending and len(self._pending) >= _KINDS:
            key = ("*", reason, "", "")
        count, _ = self._pending.get(key, (0, ""))
        self._pending[key] = (count + 1, reply)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._begin)

    async def flush(self) -> None:
        """Write what is pending now. What the store cannot take is lost: it was only a count."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await self._writing
        pending, self._pending = self._pending, {}
        if pending:
            with contextlib.suppress(StoreError):
                await self._store.write(_record, pending)

    def _begin(self) -> None:
        self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())
        else:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._begin)

    async def _write(self) -> None:
        pending, self._pending = self._pending, {}
        with contextlib.suppress(StoreError):
            await self._store.write(_record, pending)


def _record(tx: Tx, pending: dict[Refusal, tuple[int, str]]) -> None:
    for (peer, reason, sender, recipient), (count, reply) in pending.items():
        events.refuse(tx, peer, reason, sender, recipient, reply, count)
