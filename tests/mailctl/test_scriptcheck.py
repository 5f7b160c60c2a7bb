"""The doctor tells of scripts that cannot be run any more."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.admin import doctor, scriptcheck
from daemon.admin.findings import Facts, Finding
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.store import sieve
from daemon.store.tx import Tx
from tests.mailctl.conftest import Ctl

ALICE, BOB = "alice@example.org", "bob@example.org"


def check(town: Ctl) -> list[Finding]:
    store = town.store()
    try:
        return [*scriptcheck.check(Facts(store, Config(), store.clock(), False, ("example.org",)))]
    finally:
        store.close()


def told(town: Ctl) -> list[tuple[str, str, str]]:
    return [(each.level, each.reason, each.subject) for each in check(town)]


def spoil(town: Ctl) -> None:
    """What an older server may have kept."""
    store = town.store()

    def work(tx: Tx) -> None:
        sieve.put_global(tx, "first", "keep;\nold_command;", place="before")
        sieve.put_global(tx, "last", 'require "gone";', place="after", domain="example.org")

    store.write_now(work)
    store.close()


def test_scripts_that_run_are_one_good_finding(town: Ctl) -> None:
    assert told(town) == [("ok", "scripts-run", "scripts")]
    town.ok("sieve", "put", "--library", "part", "-", input="keep;")
    town.ok("sieve", "put", "--before", "uses", "-", input='require "include"; include :global "part"; include "his";')
    town.ok("sieve", "put", ALICE, "main", "-", "--activate", input="keep;")
    assert told(town) == [("ok", "scripts-run", "scripts")]


def test_each_that_cannot_be_run_is_told_with_its_fault_and_remedy(town: Ctl) -> None:
    town.ok("sieve", "put", ALICE, "part", "-", input="keep;")
    town.ok("sieve", "put", ALICE, "main", "-", "--activate", input='require "include";\ninclude "part";')
    town.ok("sieve", "put", BOB, "idle", "-", input="keep;")
    town.ok("sieve", "rm", ALICE, "part", "--yes")
    spoil(town)
    first, last, own = check(town)
    assert (first.level, first.reason, first.subject) == ("error", "script-global", "script first")
    assert "line 2, column 1: " in first.text and "for everybody" in first.text
    assert first.remedy and first.remedy.startswith("`mailctl sieve get --global first`")
    assert "for example.org" in last.text and last.remedy and "--domain example.org" in last.remedy
    assert (own.level, own.reason, own.subject) == ("warning", "script-own", ALICE)
    assert "'main'" in own.text and "line 2, column 9: there is no personal script 'part'" in own.text
    town.ok("sieve", "activate", ALICE, "--none")
    assert [reason for _, reason, _ in told(town)] == ["script-global", "script-global"]


def test_the_doctor_looks_at_scripts_as_long_as_it_may(town: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.CHECKS["scripts"] is scriptcheck.check
    monkeypatch.setattr(scriptcheck, "LIMITS", dataclasses.replace(LIMITS, doctor_patience=0))
    assert told(town) == [("info", "scripts-many", "scripts")]
