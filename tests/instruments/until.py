"""Waiting for what must come true: the one way to wait in tests that watch other processes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30  # seconds


def until(true: Callable[[], T], what: str | Callable[[], object] = "", patience: float = PATIENCE) -> T:
    """Ask again and again, until the answer is true; that answer. Fails with `what` was waited for."""
    end = time.monotonic() + patience
    pause = 0.002
    while not (answer := true()):
        if time.monotonic() > end:
            raise AssertionError(f"in vain for {patience:g} s: {what() if callable(what) else what or true}")
        threading.Event().wait(pause)
        pause = min(pause * 1.5, 0.05)
    return answer


async def soon(true: Callable[[], T], what: str | Callable[[], object] = "", patience: float = PATIENCE) -> T:
    """`until` for a test whose own loop has work to do meanwhile (a sink, a name server)."""
    end = time.monotonic() + patience
    pause = 0.002
    while not (answer := true()):
        if time.monotonic() > end:
            raise AssertionError(f"in vain for {patience:g} s: {what() if callable(what) else what or true}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return answer
