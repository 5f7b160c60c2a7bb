"""/healthz and /metrics: whether all is well, and how much of what there is."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections import Counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.admin import people
from daemon.limits import LIMITS
from daemon.serve.web import health, metrics
from daemon.store import events, meters
from daemon.store.db import StoreBusy
from daemon.store.tx import Tx
from tests.serve.web.conftest import Site
from tests.serve.web.test_app import status


def beats(site: Site) -> int:
    return site.store.read_now(Tx.value, "select coalesce(max(value), 0) from counter where name = 'heartbeat'") or 0


async def scrape(site: Site) -> dict[tuple[str, str], float]:
    """By name and labels in their order of the alphabet."""
    answer = await site.ask("/metrics", name="metrics")
    assert status(answer) == 200 and "\r\nContent-Type: text/plain; version=" in answer
    found = {}
    for family in text_string_to_metric_families(answer.partition("\r\n\r\n")[2]):
        assert family.documentation, family.name
        for sample in family.samples:
            found[sample.name, " ".join(v for _, v in sorted(sample.labels.items()))] = sample.value
    return found


# -- /healthz ----------------------------------------------------------------------------------------------------------


async def test_a_healthy_server_has_really_written(site: Site) -> None:
    site.open()
    assert beats(site) == 0
    answer = await site.ask("/healthz", host="mail.example.org")
    assert status(answer) == 200 and answer.endswith("\r\n\r\nok\n") and beats(site) == 1
    assert status(await site.ask("/healthz", name="metrics")) == 200, "for who asks in the clear"
    assert status(await site.ask("/healthz", name="http")) == 308


async def test_asking_often_costs_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()
    answers = await asyncio.gather(*(site.ask("/healthz") for _ in range(20)))
    assert {status(a) for a in answers} == {200} and beats(site) == 1
    monkeypatch.setattr(health, "LIMITS", dataclasses.replace(LIMITS, health_memory=0))
    assert site.web._health is not None
    site.web._health._until = 0.0
    assert status(await site.ask("/healthz")) == 200 and beats(site) == 2


async def test_who_cannot_write_is_not_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()

    async def busy(*args: Any) -> int:
        raise StoreBusy("the secret reason")

    async def never(*args: Any) -> int:
        return await asyncio.get_running_loop().create_future()

    async def old(*args: Any) -> int:
        return 10**9  # a reader that does not see what was written

    for write in (busy, never, old):
        checked = health.Health(site.store)
        with monkeypatch.context() as patched:
            patched.setattr(health, "LIMITS", dataclasses.replace(LIMITS, health_patience=0.1))
            patched.setattr(site.store, "write", write)
            if write is old:
                site.store.write_now(meters.beat)
            assert not await checked.good()
    monkeypatch.setattr(site.store, "write", busy)
    answer = await site.ask("/healthz")
    assert status(answer) == 503 and answer.endswith("\r\n\r\nnot ok\n") and "secret" not in answer


# -- /metrics ----------------------------------------------------------------------------------------------------------


async def test_numbers_of_what_there_is_and_of_what_happened(site: Site) -> None:
    people.add(site.store, "ann@example.org", None)
    site.store.write_now(events.record, "t" * 16, "accepted")
    site.open()
    first = await scrape(site)
    assert first["mailctl_users", ""] == 1 and first["mailctl_domains", ""] == 1
    assert first["mailctl_queue_recipients", "due"] == 0 and first["mailctl_connections", ""] >= 1
    assert first["mailctl_disk_bytes", "database"] > 0 and first["mailctl_disk_bytes", "free"] > 0
    assert first["process_resident_memory_bytes", ""] > 0

    def happen(tx: Tx) -> None:
        events.record(tx, "u" * 16, "accepted", peer="192.0.2.1", sender="secret@stranger.example")
        events.record(tx, "u" * 16, "judged", "spam-likely", action="junk")
        events.record(tx, "v" * 16, "sent")
        events.record(tx, "v" * 16, "sent")

    site.store.write_now(happen)
    site.refusals.add("192.0.2.1", "unknown-recipient")
    second = await scrape(site)
    assert second["mailctl_events_total", "accepted "] - first.get(("mailctl_events_total", "accepted "), 0) == 1
    assert second["mailctl_events_total", "sent "] == 2
    assert second["mailctl_verdicts_total", "junk spam-likely"] == 1
    assert second["mailctl_refusals_total", "unknown-recipient"] == 1
    third = await scrape(site)
    assert third["mailctl_events_total", "sent "] == 2, "counted once"
    text = await site.ask("/metrics", name="metrics")
    assert "stranger.example" not in text and "192.0.2.1" not in text and "ann@" not in text
    names = set(re.findall(r"^([a-z_]+)", text.partition("\r\n\r\n")[2], re.MULTILINE))
    assert all(name.startswith(("mailctl_", "process_")) for name in names), names


async def test_numbers_are_on_their_own_listener_alone(site: Site) -> None:
    site.open()
    assert status(await site.ask("/metrics")) == 404
    assert status(await site.ask("/metrics", name="http")) == 308
    for path in ("/", "/login", "/jmap/api", "/metrics/x"):
        assert status(await site.ask(path, name="metrics")) == 404, path


async def test_a_store_that_cannot_be_read_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()
    await scrape(site)

    async def busy(*args: Any) -> Any:
        raise StoreBusy("busy")

    monkeypatch.setattr(site.store, "read", busy)
    assert status(await site.ask("/metrics", name="metrics")) == 503


def test_labels_are_bounded() -> None:
    totals: Counter[tuple[str, str]] = Counter()
    for n in range(3 * LIMITS.metric_labels):
        metrics._add(totals, (f"kind{n}", "reason"), 1)
    assert len(totals) <= 2 * LIMITS.metric_labels + 1 and totals.total() == 3 * LIMITS.metric_labels
