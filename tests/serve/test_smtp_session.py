"""Dialogues over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.serve.post_office import ALICE, BOB, MESSAGE, PostOffice


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    office = PostOffice(tmp_path)
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    await office.close()


async def test_a_message_goes_into_the_mailbox(office):
    async with office.greeted() as c:
        trace = (await c.gives(MESSAGE)).split()[2]
        await c.says("QUIT", "221 2.0.0")
        assert await c.closed() == b""
    assert office.content_of(ALICE) == [MESSAGE]
    assert office.story(trace) == [("accepted", "smtp"), ("delivered", "")]
