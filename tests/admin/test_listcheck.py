"""The doctor tries the lists in the DNS that mail is judged by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.admin import doctor, listcheck
from daemon.admin.findings import Facts, Finding
from daemon.config import Config, DataDir
from daemon.store.db import Store
from tests.instruments.dns_server import DNSServer

ZONE = """
2.0.0.127.bl.test. A 127.0.0.2
2.0.0.127.all.test. A 127.0.0.2
1.0.0.127.all.test. A 127.0.0.2
2.0.0.127.shut.test. A 127.255.255.254
test.uri.test. A 127.0.0.2
"""
LISTS = ("spam.blocklists", "spam.domain_lists", "spam.link_lists", "spam.welcome_lists", "spam.welcome_domains")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(DataDir(tmp_path / "data"))
    yield opened
    opened.close()


async def check(store: Store, at: str, *rows: tuple[str, str]) -> list[Finding]:
    quiet = [(key, "") for key in LISTS]
    return await listcheck.check(Facts(store, Config([("dns.servers", at), *quiet, *rows]), 0, False, ()))


async def test_lists_that_lie_or_are_silent_are_found(store: Store) -> None:
    assert doctor.CHECKS["lists"] is listcheck.check
    async with DNSServer(ZONE) as server:
        server.trouble["2.0.0.127.broken.test"] = "SERVFAIL"
        rows = [("spam.blocklists", "bl.test all.test shut.test broken.test"), ("spam.link_lists", "uri.test bl.test")]
        found = await check(
            store, server.at, *rows, ("spam.welcome_lists", "gone.test"), ("spam.domain_lists", "uri.test")
        )
    told = {f.subject: f.text for f in found if f.reason == "list-silent"}
    assert set(told) == {"all.test", "shut.test", "broken.test", "gone.test"}
    assert "everything" in told["all.test"] and "127.255.255.254" in told["shut.test"]
    assert "SERVFAIL" in told["broken.test"] and "own test entry" in told["gone.test"]
    assert all(f.level == "warning" and f.remedy for f in found if f.reason == "list-silent")
    assert (found[-1].level, found[-1].reason) == ("ok", "lists-answer") and found[-1].text.endswith(
        ": bl.test, uri.test"
    )


def test_lists_that_are_not_asked_are_not_missed(store: Store) -> None:
    for row in (("trust.check", "no"), ("spam.check", "no"), ("spam.blocklists", "")):
        (found,) = asyncio.run(check(store, "127.0.0.1:9", row))
        assert (found.level, found.reason) == ("ok", "lists-unasked")
