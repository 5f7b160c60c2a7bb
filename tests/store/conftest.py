"""A store in a directory of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.store.db import Store
from tests.store.stage import open_store


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


@pytest.fixture
def store(data: DataDir) -> Iterator[Store]:
    store = open_store(data)
    yield store
    store.close()
