"""One world for all stories of a module: each has domains of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stories.abroad import ALICE, BOB, PASSWORD, World, abroad


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with abroad(tmp_path_factory.mktemp("abroad"), {ALICE: PASSWORD, BOB: PASSWORD}) as world:
        yield world
