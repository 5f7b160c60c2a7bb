"""The filter is tried with the test strings: what fails is kept, in the log, and told once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.config import Config
from daemon.flow import drill
from daemon.flow.drill import Drills
from daemon.mail.address import parse_address
from daemon.store import accounts, drills, settings
from daemon.trust import attachments, rules
from tests.flow.house import House
from tests.instruments.clamd import DROP, EICAR, Clamd

ANN = "ann@here.example"


def set_(house: House, **values: str) -> Config:
    rows = {**house.config.rows, **{key.replace("__", "."): value for key, value in values.items()}}
    house.config = Config(rows.items())
    return house.config


async def test_all_that_is_switched_on_is_tried() -> None:
    async with Clamd() as scanner:
        found = await drill.look(Config([("virus.scanner", scanner.setting)]))
        assert [(name, passed) for name, passed, _ in found] == [
            ("scanner", True),
            ("content", True),
            ("attachments", True),
        ]
        assert len(scanner.seen) == 2
    assert drill.EICAR == EICAR
    off = Config([("spam.check", "no"), ("attachments.action", "accept")])
    assert await drill.look(off) == []


async def test_what_fails_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, says in (
        (b"stream: OK\0", "does not find EICAR: clean"),
        (b"stream: All.Bad FOUND\0", "does not pass a harmless message: infected (All.Bad)"),
        (DROP, "does not find EICAR: error (it ends the connection without an answer)"),
    ):
        async with Clamd(answer) as scanner:
            (name, passed, text), *_ = await drill.look(Config([("virus.scanner", scanner.setting)]))
        assert (name, passed) == ("scanner", False) and text.endswith(says)
    for met in ((), ("gtube",)):
        monkeypatch.setattr(rules, "met", lambda data, met=met: met)
        assert [passed for name, passed, _ in await drill.look(Config()) if name == "content"] == [False]
    for objected in ((), ("x",)):
        monkeypatch.setattr(attachments, "check", lambda *_, objected=objected: objected)
        assert [passed for name, passed, _ in await drill.look(Config()) if name == "attachments"] == [False]


async def test_a_failure_is_kept_and_told_once_when_it_fails_again(house: House, caplog: Any) -> None:
    caplog.set_level("INFO")
    house.store.write_now(lambda tx: accounts.change(tx, accounts.get(tx, parse_address(ANN)).id, admin=1))
    async with Clamd(b"stream: OK\0") as scanner:
        config = set_(house, virus__scanner=scanner.setting)
        trials = Drills(house.store, lambda: config)
        for round in (1, 2, 3):
            assert await trials.round()
            kept = {one.name: one for one in house.store.read_now(drills.everyone)}
            assert (kept["scanner"].failures, kept["content"].failures) == (round, 0)
            assert len(house.inbox(ANN)) == (round > 1)
        (letter,) = house.inbox(ANN)
        assert b"does not find EICAR" in letter and b"senders are told to try again" in letter
        assert caplog.text.count("event=drill-failed trial=scanner") == 1
        scanner.answer = None
        assert not await trials.round()
        assert "event=drill-passed trial=scanner" in caplog.text
        scanner.answer = DROP
        await trials.round()
        await trials.round()
        assert len(house.inbox(ANN)) == 2
    config = set_(house, virus__scanner="")
    await trials.round()
    assert {one.name for one in house.store.read_now(drills.everyone)} == {"content", "attachments"}


async def test_the_filter_is_tried_now_and_then_and_sooner_after_a_failure(house: House) -> None:
    async with Clamd() as scanner:
        config = set_(house, virus__scanner=scanner.setting)
        house.store.attach(asyncio.get_running_loop())
        task = asyncio.create_task(Drills(house.store, lambda: config, every=0.01, again=60).run())
        async with asyncio.timeout(20):
            while len(scanner.seen) < 6:
                await asyncio.sleep(0.01)
        scanner.answer = DROP
        async with asyncio.timeout(20):
            while not any(one.failures for one in house.store.read_now(drills.everyone)):
                await asyncio.sleep(0.01)
        seen = scanner.connections
        scanner.answer = None
        await house.store.write(settings.put, "virus.timeout", "10s", "test")
        async with asyncio.timeout(20):
            while scanner.connections == seen or any(one.failures for one in house.store.read_now(drills.everyone)):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
