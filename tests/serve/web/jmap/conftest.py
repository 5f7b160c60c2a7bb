"""A desk for each test that wants one; a web site with users for those that ask over HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import argon2
import pytest

from daemon import passwords
from daemon.config import DataDir
from daemon.mail.address import parse_address
from daemon.store import accounts
from tests.flow.house import Clock, House
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD
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
def home(tmp_path: Path, clock: Clock) -> Iterator[House]:
    """Ann and Bob, in memory where the machine has such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        home = House(DataDir(Path(folder) / "home"), clock)
        yield home
        home.close()


@pytest.fixture
async def ann(home: House) -> AsyncIterator[Client]:
    client = Client(home.store, home.config, "ann@here.example")
    yield client
    await client.close()


@pytest.fixture
async def bob(home: House) -> AsyncIterator[Client]:
    client = Client(home.store, home.config, "bob@here.example")
    yield client
    await client.close()


@pytest.fixture
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()


@pytest.fixture
async def house(site: Site, _quick_hashes: None) -> AsyncIterator[Site]:
    kept = accounts.Password(*passwords.keep(PASSWORD))
    for name in (ALICE, BOB):
        site.store.write_now(accounts.add, parse_address(name), kept)
    site.store.reserve = 0
    site.open()
    yield site
