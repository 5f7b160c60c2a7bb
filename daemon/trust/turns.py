"""So many at a time, and the others wait: on each event loop for itself."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary


class Turns:
    def __init__(self, most: int) -> None:
        self._most = most
        self._doors: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def __call__(self) -> asyncio.Semaphore:
        """For `async with`."""
        return self._doors.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._most))
