"""Work that is done in rounds: now and then, and at once when what it goes by was changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from daemon import log
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.tx import Changes


def settings_changed(changes: Changes) -> bool:
    return changes.settings or changes.everything


async def rounds(
    store: Store,
    name: str,
    work: Callable[[], Awaitable[object]],
    every: Callable[[], float],
    *,
    concerns: Callable[[Changes], bool] = settings_changed,
    rest: float = 0.0,
) -> None:
    """Until the store is broken, or the task is cancelled. One fault ends no other round: it goes to the log under
    `name`. `every`: seconds until the next round, asked after each; `concerns`: which changes are a reason for one at
    once; `rest`: seconds between two in any case."""
    wake = asyncio.Event()

    def changed(changes: Changes) -> None:
        if concerns(changes):
            wake.set()

    deaf = store.listen(changed)
    try:
        while not store.broken:
            wake.clear()
            try:
                await work()
            except StoreError as error:
                log.trouble(name, reason=str(error))
            except Exception as error:
                log.fault(name, error)
            await asyncio.sleep(rest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every()):  # wait_for of Python 3.11 may lose a cancellation
                    await wake.wait()
    finally:
        deaf()
