"""The doctor asks the other filters whether they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.admin import doctor, enginecheck
from daemon.admin.findings import Facts, Finding
from daemon.config import Config, DataDir
from daemon.store.db import Store
from tests.flow.test_rspamd import Rspamd
from tests.instruments.milter import STALL, Milter, packet


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(DataDir(tmp_path / "data"))
    yield opened
    opened.close()


async def check(store: Store, milters: str, rspamd: str = "", on_error: str = "defer") -> list[Finding]:
    rows = [("filter.milters", milters), ("filter.rspamd", rspamd), ("filter.on_error", on_error)]
    return await enginecheck.check(Facts(store, Config(rows), 0, False, ()))


async def test_filters_that_answer(store: Store) -> None:
    async with Milter() as one, Rspamd(b"pong\r\n") as two:
        found = await check(store, one.setting, two.url)
        assert [(f.level, f.reason, f.subject) for f in found] == [
            ("ok", "filter-answers", two.url), ("ok", "filter-answers", one.setting),
        ]  # fmt: skip
        assert "pong" in found[0].text and "version 6" in found[1].text
    assert one.order == "OQ"


async def test_filters_that_do_not(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(enginecheck, "_PATIENCE", 0.1)
    async with Milter({"O": [STALL]}) as hangs, Milter({"O": [packet("c")]}) as odd, Rspamd(None) as silent:
        found = await check(store, f"unix:{tmp_path}/none {hangs.setting} {odd.setting}", silent.url)
        assert {f.reason for f in found} == {"filter-silent"} and all(f.level == "error" and f.remedy for f in found)
        words = [f.text.partition(";")[0] for f in found]
        assert "no such file or directory" in words and "no answer within 0.1 s" in words
        assert all("try again" in f.text for f in found)
        (tagged,) = await check(store, odd.setting, on_error="accept-tagged")
        assert "without its opinion" in tagged.text


def test_without_filters_nothing_is_missing(store: Store) -> None:
    assert doctor.CHECKS["filters"] is enginecheck.check
    (found,) = asyncio.run(check(store, ""))
    assert (found.level, found.reason) == ("ok", "filters-none")
