"""Writes that wait for company: one commit for several, and never lost for it."""

import asyncio
import time

import pytest

from daemon.store.db import Store
from daemon.store.errors import StoreBroken
from daemon.store.tx import Tx

LONG = 30.0  # seconds: longer than any test


def count(tx: Tx) -> int:
    """One more; how many there were."""
    tx.run("update counter set value = value + 1 where name = 'uidvalidity'")
    value: int = tx.value("select value from counter where name = 'uidvalidity'")
    return value


async def test_who_is_in_a_hurry_takes_the_patient_along(store: Store) -> None:
    patient = asyncio.create_task(store.write(count, patience=LONG))
    await asyncio.sleep(0)
    assert store.peek(lambda tx: tx.value("select value from counter where name = 'uidvalidity'")) == 0
    hurried = await store.write(count)
    assert {hurried, await patient} == {1, 2}


async def test_alone_it_goes_when_its_patience_ends(store: Store) -> None:
    began = time.monotonic()
    first = asyncio.create_task(store.write(count, patience=LONG))
    await asyncio.sleep(0)
    assert await store.write(count, patience=0.05) == 2, "the least patient one decides for all"
    assert await first == 1 and 0.04 < time.monotonic() - began < LONG


async def test_closing_does_not_forget_it(store: Store) -> None:
    waiting = asyncio.create_task(store.write(count, patience=LONG))
    await asyncio.sleep(0)
    store.close()
    assert await waiting == 1


async def test_a_broken_store_tells_it(store: Store) -> None:
    waiting = asyncio.create_task(store.write(count, patience=0.01))
    await asyncio.sleep(0)
    store.broken = True
    with pytest.raises(StoreBroken):
        await waiting
