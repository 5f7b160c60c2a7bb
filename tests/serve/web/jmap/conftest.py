"""A desk for each test that wants one; a web site with users for those that ask over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import argon2
import pytest

from daemon import passwords
from daemon.config import DataDir
from daemon.mail.address import parse_address
from daemon.store import accounts
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD
from tests.serve.web.jmap.desk import Desk
from tests.store.stage import open_store


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(DataDir(tmp_path / "desk"))
    yield Desk(store)
    store.close()


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
