from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from tests.flow.house import Clock, House


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, clock: Clock) -> Iterator[House]:
    house = House(DataDir(tmp_path / "data"), clock)
    yield house
    house.close()
