import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from daemon.config import DataDir
from tests.flow.house import Clock, House

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Loops:
    """The loop of production; sessions with other servers on the other one too."""
    if sys.platform != "linux":
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    loops: Loops = {"uvloop": uvloop.new_event_loop}
    return {**loops, "asyncio": asyncio.new_event_loop} if "test_send" in item.nodeid else loops


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, clock: Clock) -> Iterator[House]:
    house = House(DataDir(tmp_path / "data"), clock)
    yield house
    house.close()
