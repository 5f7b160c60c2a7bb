"""The worker that has certificates renewed: when it looks, what it starts, and what becomes of that."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.serve import renewal
from daemon.store import acme, settings
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.until import soon

HOST = "mail.example.org"


class Office:
    """A store whose certificates are due, and a program in place of `mailctl` that writes down what it was told."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store.open(DataDir(path / "data"))
        self.store.attach(asyncio.get_running_loop())
        self.stop = asyncio.Event()
        self.calls = path / "calls"
        self._program = path / "program"
        self._patch = monkeypatch
        self.store.write_now(settings.put, "hostname", HOST, "test")
        monkeypatch.setattr(renewal, "_SETTLE", 0.05)
        self.does("exit 0")

    def does(self, script: str) -> None:
        self._program.write_text(f'#!/bin/sh\necho "$@" >> {self.calls}\n{script}\n')
        self._program.chmod(stat.S_IRWXU)
        self._patch.setattr(renewal, "sys", SimpleNamespace(executable=str(self._program)))

    def tighten(self, **values: float) -> None:
        self._patch.setattr(renewal, "LIMITS", dataclasses.replace(LIMITS, **values))

    def agree(self) -> None:
        self.store.write_now(settings.put, "acme.agree", "yes", "test")

    def fail(self) -> None:
        def work(tx: Tx) -> None:
            acme.fail_order(tx, acme.begin_order(tx, "https://ca.example/", (HOST,)), "no")

        self.store.write_now(work)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    office = Office(tmp_path, monkeypatch)
    working = asyncio.create_task(renewal.keep_renewed(office.store, office.stop))
    await asyncio.sleep(0)
    yield office
    office.stop.set()
    async with asyncio.timeout(10):
        await working
    office.store.close()


async def test_nothing_is_started_before_the_terms_are_agreed_to_and_at_once_after(office: Office) -> None:
    office.store.write_now(settings.put, "acme.email", "a@example.org", "test")
    await asyncio.sleep(0.2)
    assert office.called() == []
    office.does(f"echo '{json.dumps({'names': [HOST], 'state': 'renewed', 'until_at': 'then', 'text': ''})}'")
    office.agree()
    await soon(office.called)
    assert office.called()[0].endswith(f"--data {office.store.data.path} --json cert renew --due {HOST}")


async def test_what_failed_waits(office: Office) -> None:
    office.fail()
    office.agree()
    await asyncio.sleep(0.3)
    assert office.called() == []


def test_what_was_said_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    refused = {"names": [HOST], "state": "refused", "until_at": None, "text": "port 80 is closed"}
    renewal._tell(json.dumps(refused) + "\n", "mailctl: error: port 80 is closed")
    renewal._tell("", "mailctl: error: the store is busy")
    renewal._tell(json.dumps({**refused, "state": "good"}), "")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert f'names={HOST} reason=refused text="port 80 is closed"' in caplog.text
    assert "the store is busy" in caplog.text


async def test_looks_come_round_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.tighten(acme_round=0.05)
    office.agree()
    await soon(lambda: len(office.called()) >= 3)  # nothing came of it, and nothing was written down


async def test_a_process_that_hangs_is_ended(office: Office) -> None:
    office.tighten(acme_process=0.2, acme_round=0.05)
    office.does("exec sleep 1000")
    office.agree()
    await soon(lambda: len(office.called()) >= 2)


async def test_a_process_ends_with_the_server(office: Office) -> None:
    office.does("exec sleep 1000")
    office.agree()
    await soon(office.called)  # the fixture waits for the worker's end


async def test_nonsense_ends_nothing(office: Office) -> None:
    office.tighten(acme_round=0.05)
    office.does("echo nonsense")
    office.agree()
    await soon(lambda: len(office.called()) >= 2)


async def test_the_authority_is_asked_when_its_time_comes(office: Office) -> None:
    def certified(tx: Tx) -> None:
        names, month = ((HOST,), ("mta-sts.example.org",)), 30 * 86_400_000
        for number, one in enumerate(names):
            made = acme.fulfil_order(tx, 1, one, "chain", f"key {number}", tx.now, tx.now + 3 * month)
            acme.put_off(tx, [made], tx.now if number == 0 else tx.now + month)

    office.store.write_now(settings.put, "acme.names", HOST, "test")
    office.store.write_now(certified)
    office.agree()
    await soon(office.called)
    assert office.called()[0].endswith(f"cert renew --due {HOST}")
