"""A desk for each test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from tests.flow.house import Clock, House
from tests.serve.web.jmap.desk import Desk
from tests.serve.web.jmap.writing import Client
from tests.store.stage import MEMORY, open_store


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(DataDir(tmp_path / "desk"))
    yield Desk(store)
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, clock: Clock) -> Iterator[House]:
    """Ann and Bob, in memory where the machine has such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        house = House(DataDir(Path(folder) / "house"), clock)
        yield house
        house.close()


@pytest.fixture
async def ann(house: House) -> AsyncIterator[Client]:
    client = Client(house.store, house.config, "ann@here.example")
    yield client
    await client.close()


@pytest.fixture
async def bob(house: House) -> AsyncIterator[Client]:
    client = Client(house.store, house.config, "bob@here.example")
    yield client
    await client.close()
