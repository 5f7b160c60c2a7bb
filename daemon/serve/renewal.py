"""Certificates are renewed before they end: a look now and then, and `mailctl cert renew` for what is due, or to ask
the authority when it will be.

That is a process of its own: the library that speaks with the authority blocks, has no time limit for a whole order and
need not stay in the server's memory for the two months until it is needed again. What it fetched comes back as any
change of the store by another process does, and every listener shows it from the next connection on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import daemon
from daemon import log
from daemon.admin import acme
from daemon.config import BadSetting
from daemon.limits import LIMITS
from daemon.store.db import Store, StoreError
from daemon.store.tx import Changes

_SETTLE = 2.0  # seconds after a change of settings: they come several in a row


async def keep_renewed(store: Store, stop: asyncio.Event) -> None:
    """Renew what is due until `stop` is set or the store is broken."""
    news = asyncio.Event()

    def changed(changes: Changes) -> None:
        if changes.settings or changes.everything:
            news.set()

    forget = store.listen(changed)
    try:
        while not stop.is_set() and not store.broken:
            pause: float = LIMITS.acme_round
            news.clear()  # before the look: what comes during it is seen after it
            try:
                pause = await _round(store, stop)
            except (BadSetting, StoreError, OSError, ValueError) as error:
                log.trouble("certificates-not-looked-at", error=error)
            await _either(stop, news, pause)
            if news.is_set():
                await _either(stop, stop, _SETTLE)
    finally:
        forget()


async def _round(store: Store, stop: asyncio.Event) -> float:
    """Fetch what is due; the seconds until something may be due again."""
    plans = await store.read(acme.plans)
    due = [plan.names[0] for plan in plans if plan.is_up(store.clock())]
    if due:
        await _fetch(store, due, stop)
        plans = await store.read(acme.plans)
    soonest = min((plan.next_at - store.clock() for plan in plans), default=0) / 1000
    return min(max(soonest, _SETTLE), LIMITS.acme_round) if plans else LIMITS.acme_round


async def mailctl(store: Store, *words: str) -> asyncio.subprocess.Process:
    """A `mailctl` of its own, begun, over the same data; it tells in JSON."""
    environ = {**os.environ, "PYTHONPATH": str(Path(daemon.__file__).parents[1])}
    environ.pop("NOTIFY_SOCKET", None)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "mailctl", "--data", str(store.data.path), "--json", *words,
        env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _fetch(store: Store, names: list[str], stop: asyncio.Event) -> None:
    """`mailctl cert renew`, ended when it takes too long or the server stops."""
    process = await mailctl(store, "cert", "renew", "--due", *names)
    told = asyncio.create_task(process.communicate())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((told, stopped), timeout=LIMITS.acme_process, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not told.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    out, errors = await told
    _tell(out.decode(errors="replace"), errors.decode(errors="replace"))


def _tell(out: str, errors: str) -> None:
    said = [json.loads(line) for line in out.splitlines()]
    for one in said:
        names = " ".join(one["names"])
        if one["state"] == "renewed":
            log.event("certificate-renewed", names=names, until=one["until_at"])
        elif one["state"] != "good":
            log.trouble("certificate-not-renewed", names=names, reason=one["state"], text=one["text"])
    if errors and not said:
        log.trouble("certificate-not-renewed", text=errors.strip().splitlines()[-1])


async def _either(one: asyncio.Event, other: asyncio.Event, patience: float) -> None:
    """Until one of them is set, or `patience` seconds are over."""
    waits = [asyncio.create_task(event.wait()) for event in {one, other}]
    await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
