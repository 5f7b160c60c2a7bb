"""A desk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from tests.serve.web.jmap.desk import Desk
from tests.store.stage import open_store


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(DataDir(tmp_path / "desk"))
    yield Desk(store)
    store.close()
