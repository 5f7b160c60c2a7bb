"""Where verbs of the administration page are done, and what becomes of one that takes longer than an answer may.

A verb has a thread, which may wait. Its answer is waited for so long; then the page is told a number instead, by which
it asks again. The verb goes on meanwhile, also when nobody asks any more: what it does is done as a whole. Its end is
kept for a while, for whoever began it, and logged.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from daemon import log
from daemon.admin import errors, house
from daemon.limits import LIMITS
from daemon.serve.web.admin.verb import Verb
from daemon.store.db import Store


@dataclass
class Job:
    """A verb that was begun. `owner`: the account that began it."""

    name: str
    owner: int
    future: asyncio.Future[Any]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    late: bool = False

    async def is_done(self) -> bool:
        """Whether it ends while an answer may wait for it."""
        await asyncio.wait((self.future,), timeout=LIMITS.admin_wait)
        self.late = self.late or not self.future.done()
        return self.future.done()

    def end(self, future: asyncio.Future[Any]) -> None:
        self.ended = time.monotonic()
        if future.cancelled():
            return
        error = future.exception()  # looked at: nobody may ask for it any more
        if self.late:
            said = "done" if error is None else errors.sentence(error) or type(error).__name__
            log.event("admin-verb-ended", verb=self.name, seconds=round(self.ended - self.begun), answer=said)


class Office:
    """Threads over a store of their own, as `mailctl` beside the server has one.

    Verbs write in steps that only this process knows; the server's own store writes in another one.
    """

    def __init__(self, store: Store) -> None:
        self._data = store.data
        self._own: Store | None = None
        self._threads = ThreadPoolExecutor(LIMITS.admin_threads, "admin")
        self._opening = asyncio.Lock()
        self._jobs: dict[str, Job] = {}

    async def begin(self, name: str, verb: Verb, asked: Any, who: str, owner: int) -> Job | None:
        """The verb, begun, or about to be when a thread is free; None when as many as may wait do so."""
        loop = asyncio.get_running_loop()
        async with self._opening:
            if self._own is None:
                self._own = await loop.run_in_executor(self._threads, self._open)
        self._forget_old()
        if len(self._jobs) >= LIMITS.admin_jobs:
            return None
        job = Job(name, owner, loop.run_in_executor(self._threads, verb.do, self._own, asked, who))
        job.future.add_done_callback(job.end)
        self._jobs[job.id] = job
        return job

    def job(self, number: str, owner: int) -> Job | None:
        """One that this account began, as long as its end was not told."""
        job = self._jobs.get(number)
        return job if job is not None and job.owner == owner else None

    def told(self, job: Job) -> None:
        """Its end was told."""
        self._jobs.pop(job.id, None)

    def _forget_old(self) -> None:
        """Ends that nobody asked for: those of some time ago, and the oldest where there is no room."""
        ended = sorted((job.ended, number) for number, job in self._jobs.items() if job.ended is not None)
        room = LIMITS.admin_jobs - 1
        for at, number in ended:
            if at < time.monotonic() - LIMITS.admin_job_memory or len(self._jobs) > room:
                del self._jobs[number]

    def _open(self) -> Store:
        return house.open_store(self._data.path, create=False)

    async def close(self, app: web.Application) -> None:
        """Verbs that go on are waited for; those that wait are not begun."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        if self._own is not None:
            await asyncio.to_thread(self._own.close)
