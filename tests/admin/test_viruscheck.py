"""The doctor says what protects against viruses, and how the trials of it ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.admin import doctor, health, viruscheck
from daemon.admin.findings import Facts, Finding
from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.store import drills
from daemon.store.db import Store
from tests.instruments.clamd import Clamd

NOW = 1795651200_000  # 2026-11-26


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(DataDir(tmp_path / "data"))
    yield opened
    opened.close()


async def check(store: Store, scanner: str, now: int = NOW, running: bool = False, **more: str) -> list[Finding]:
    rows = [("virus.scanner", scanner), *((key.replace("__", "."), value) for key, value in more.items())]
    return await viruscheck.check(Facts(store, Config(rows), now, running, ()))


async def test_without_a_scanner_the_policy_alone_protects(store: Store) -> None:
    assert doctor.CHECKS["viruses"] is viruscheck.check
    (found,) = await check(store, "")
    assert (found.level, found.reason) == ("warning", "scanner-none")
    assert "only the attachment policy protects" in found.text and "GiB of memory" in (found.remedy or "")
    (found,) = await check(store, "", attachments__action="accept")
    assert "nothing protects" in found.text


async def test_a_scanner_that_answers_and_its_signatures(store: Store) -> None:
    async with Clamd() as one:
        assert [(f.level, f.reason) for f in await check(store, one.setting)] == [("ok", "scanner-answers")]
        (found,) = await check(store, one.setting, NOW + 10 * 86_400_000)
        assert (found.level, found.reason) == ("warning", "scanner-old") and "12 days" in found.text
        for version in (b"ClamAV 1.4.6", b"ClamAV 1.4.6/1/Mon Foo 23 09:00:00 2026"):
            one.version = version
            (found,) = await check(store, one.setting)
            assert found.level == "ok" and version.decode() in found.text


async def test_a_scanner_that_does_not_answer(store: Store, tmp_path: Path) -> None:
    (found,) = await check(store, f"unix:{tmp_path}/none")
    assert (found.level, found.reason) == ("error", "scanner-silent") and "try again" in found.text
    (found,) = await check(store, f"unix:{tmp_path}/none", virus__on_error="deliver")
    assert "unscanned" in found.text and "no such file" in found.text


async def test_a_scanner_that_answers_and_finds_nothing(store: Store) -> None:
    async with Clamd(b"stream: OK\0") as one:
        found = await check(store, one.setting)
        assert [(f.level, f.reason) for f in found] == [("ok", "scanner-answers"), ("error", "drill-failed")]
        assert "does not find EICAR" in found[1].text


async def test_how_the_hourly_trials_ended(store: Store) -> None:
    store.write_now(drills.note, [("scanner", False, "no EICAR"), ("content", True, "all is well")])
    assert any("no EICAR" in problem for problem in health.status(store).problems)
    now = store.clock()
    found = {f.subject: f for f in await check(store, "", now, True)}
    assert found["scanner"].reason == "drill-failed" and "no EICAR" in found["scanner"].text
    assert found["content"].reason == "drill-passed"
    late = {f.subject: f for f in await check(store, "", now + 3 * LIMITS.drill_round * 1000, True)}
    assert (late["content"].level, late["content"].reason) == ("warning", "drill-late")
    store.write_now(drills.note, [("content", True, "all is well")])
    assert not [f for f in await check(store, "") if f.subject == "scanner"]
