"""A store in a directory of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.store.db import Store
from tests.store.stage import MEMORY, open_store


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDir]:
    """In memory where the machine has such a place: most tests are about what is kept, not about disks."""
    if not MEMORY.is_dir():
        yield DataDir(tmp_path / "data")
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield DataDir(Path(folder) / "data")


@pytest.fixture
def store(data: DataDir) -> Iterator[Store]:
    store = open_store(data)
    yield store
    store.close()
