"""Threads for password hashing: a bounded queue of two lanes; strangers who guess never stand before users."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from daemon.limits import LIMITS

T = TypeVar("T")
_NICE = 5  # hashing gives way to the loop when both want the processor


class Busy(Exception):
    """The lane is full; nothing was done."""


class Hashers:
    """`LIMITS.login_workers` threads. Used from the loop only."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LIMITS.login_workers, "login", initializer=_step_back)
        self._running = 0
        self._users: deque[_Job] = deque()
        self._strangers: deque[_Job] = deque()

    @property
    def waiting(self) -> int:
        return self._running + len(self._users) + len(self._strangers)

    async def run(self, work: Callable[..., T], *args: Any, stranger: bool) -> T:
        """`work(*args)` in a thread. Raises `Busy`. Strangers have half of the queue, and come after everybody else."""
        if self.waiting >= (LIMITS.login_queue // 2 if stranger else LIMITS.login_queue):
            raise Busy
        loop = asyncio.get_running_loop()
        job = _Job(work, args, loop)
        (self._strangers if stranger else self._users).append(job)
        self._next()
        answer: T = await job.answer
        return answer

    def close(self) -> None:
        """What waits is cancelled; what runs is not waited for."""
        for job in (*self._users, *self._strangers):
            job.answer.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        while self._running < LIMITS.login_workers and (self._users or self._strangers):
            job = (self._users or self._strangers).popleft()
            if not job.answer.cancelled():
                self._running += 1
                self._pool.submit(job.run, self._done)

    def _done(self) -> None:
        self._running -= 1
        self._next()


class _Job:
    __slots__ = ("work", "args", "loop", "answer")

    def __init__(self, work: Callable[..., Any], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.args = args
        self.loop = loop
        self.answer: asyncio.Future[Any] = loop.create_future()

    def run(self, done: Callable[[], None]) -> None:
        """In the thread."""
        value = error = None
        try:
            value = self.work(*self.args)
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(self._settle, value, error, done)

    def _settle(self, value: Any, error: Exception | None, done: Callable[[], None]) -> None:
        done()
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(value)


def _step_back() -> None:
    """Linux: niceness is a thread's own."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
