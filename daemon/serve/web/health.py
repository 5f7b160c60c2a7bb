"""`GET /healthz`: whether mail can be kept and found just now. A real write is committed, and a reader sees it.

200 or 503, and nothing more: strangers may ask. They share the answer of the last second or two, so that asking often
costs nothing.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from daemon import log
from daemon.limits import LIMITS
from daemon.store import meters
from daemon.store.db import Store, StoreError

PATH = "/healthz"


class Health:
    """One per process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looking: asyncio.Task[bool] | None = None
        self._until = 0.0

    async def good(self) -> bool:
        """Whether it is, as found within `LIMITS.health_memory` seconds."""
        now = asyncio.get_running_loop().time()
        if self._looking is None or self._looking.done() and now > self._until:
            self._until = now + LIMITS.health_memory
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        try:
            async with asyncio.timeout(LIMITS.health_patience):
                written = await self._store.write(meters.beat)
                return await self._store.read(meters.last_beat) >= written
        except (StoreError, TimeoutError, OSError) as error:
            log.trouble("not-healthy", error=error or type(error).__name__)
            return False


HEALTH = web.AppKey("health", Health)


async def healthz(request: web.Request) -> web.StreamResponse:
    """`GET /healthz`."""
    if await request.app[HEALTH].good():
        return web.Response(text="ok\n")
    return web.Response(status=503, text="not ok\n", headers={"Retry-After": "10"})


ROUTES = (web.get(PATH, healthz),)
