"""ClamAV's own scanner is asked over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from daemon.config import Config
from daemon.flow import drill
from daemon.trust import virus
from daemon.trust.results import Scan
from tests.instruments import filters
from tests.instruments.clamd import EICAR
from tests.instruments.filters import VIRUS, Filters
from tests.trust.test_attachments import mail, zipped


@pytest.fixture(scope="module")
def clamd() -> Iterator[Filters]:
    with filters.clamd() as running:
        yield running


async def scan(running: Filters, data: bytes) -> Scan:
    where = Config([("virus.scanner", running.url)])["virus.scanner"]
    return await virus.scan(where, data, most=10**8, patience=20)


async def test_it_finds_what_it_has_a_signature_of(clamd: Filters) -> None:
    assert await scan(clamd, mail(b"hello")) == Scan("clean")
    assert await scan(clamd, mail(VIRUS)) == Scan("infected", "Test.Virus.UNOFFICIAL")
    assert (await scan(clamd, mail(zipped({"a.txt": VIRUS}), "a.zip"))).result == "infected"
    assert (await scan(clamd, mail(EICAR))).result == "infected"


async def test_its_own_limit_is_told_as_such(clamd: Filters) -> None:
    for size in (1 << 21, 1 << 24):
        found = await scan(clamd, b"x" * size)
        assert found == Scan("too-large", reason="the scanner takes less (its StreamMaxLength)")


async def test_many_at_once(clamd: Filters) -> None:
    found = await asyncio.gather(*(scan(clamd, mail(VIRUS if n % 3 == 0 else b"%d" % n)) for n in range(60)))
    assert [each.result for each in found] == ["infected" if n % 3 == 0 else "clean" for n in range(60)]


async def test_the_trial_passes_and_its_version_is_told(clamd: Filters) -> None:
    config = Config([("virus.scanner", clamd.url)])
    (name, passed, text), *_ = await drill.look(config)
    assert (name, passed) == ("scanner", True) and "Test.Eicar" in text
    assert (await virus.alive(config["virus.scanner"], 5)).startswith("ClamAV ")
