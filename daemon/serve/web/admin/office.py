"""Where verbs of the administration page are done, and what becomes of one that takes longer than an answer may.

A verb has a thread, which may wait. Its answer is waited for so long; then the page is told a number instead, by which
it asks again. The verb goes on meanwhile, also when nobody asks any more: what it does is done as a whole. Its end is
kept for a while, for whoever began it, and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from daemon import log
from daemon.admin import errors, house
from daemon.limits import LIMITS
from daemon.serve import renewal
from daemon.serve.web.admin.verb import Verb
from daemon.store.db import Store

_ENDINGS: dict[int, type[Exception]] = {  # of a `mailctl` that told nothing but that
    errors.FAILED: errors.Missing,
    errors.DATA: errors.BadData,
    errors.UNAVAILABLE: errors.Unavailable,
    errors.TEMPORARY: errors.NotNow,
    errors.CONFIGURATION: errors.BadSetting,
}


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
        self._store = store
        self._own: Store | None = None
        self._threads = ThreadPoolExecutor(LIMITS.admin_threads, "admin")
        self._opening = asyncio.Lock()
        self._alone = asyncio.Lock()
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
        future: asyncio.Future[Any]
        if verb.apart:
            future = asyncio.create_task(self._apart(verb, asked))
        else:
            future = loop.run_in_executor(self._threads, verb.do, self._own, asked, who)
        job = Job(name, owner, future)
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

    async def _apart(self, verb: Verb, asked: Any) -> list[Any]:
        """The lines a `mailctl` told, one at a time. Raises what it ended with where it told none, `NotNow`."""
        async with self._alone:
            process = await renewal.mailctl(self._store, *verb.run(asked))
            try:
                async with asyncio.timeout(LIMITS.acme_process):
                    out, said = await process.communicate()
            except TimeoutError:
                raise errors.NotNow(f"it was not done within {LIMITS.acme_process} s, and was ended") from None
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        told = [msgspec.json.decode(line) for line in out.splitlines()]
        if process.returncode and not told:
            words = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise _ENDINGS.get(process.returncode, RuntimeError)(words.removeprefix("mailctl: error: "))
        return told

    def _open(self) -> Store:
        return house.open_store(self._store.data.path, create=False)

    async def close(self, app: web.Application) -> None:
        """Verbs that go on are waited for; those that wait are not begun, those apart are ended."""
        apart = [job.future for job in self._jobs.values() if isinstance(job.future, asyncio.Task)]
        for task in apart:
            task.cancel()
        await asyncio.gather(*apart, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        if self._own is not None:
            await asyncio.to_thread(self._own.close)
