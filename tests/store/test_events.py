"""What happened to each message; and that strangers cannot fill the disk with it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from daemon.store import bans, certificates, events
from daemon.store.errors import Missing
from daemon.store.events import New
from daemon.store.tx import Tx
from tests.store.stage import memory

HOUR = 3_600_000


class Small:
    """Limits that a test reaches."""

    refusals_per_hour = 5
    refusals = 8
    step = LIMITS.step


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory(now=500_000 * HOUR) as tx:
        yield tx


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMITS", Small)


def test_traces_sort_by_time_and_are_read_without_doubt() -> None:
    traces = [events.new_trace(now, os.urandom) for now in range(1_800_000_000_000, 1_800_000_000_500)]
    assert traces == sorted(traces)
    assert len(set(traces)) == 500
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{16}", t) for t in traces)
    assert events.new_trace(5, lambda n: b"\xff" * n) != events.new_trace(5, lambda n: b"\x00" * n)


def test_a_story_is_told_in_its_order(tx: Tx) -> None:
    events.record(tx, "t1", "accepted", sender="a@x.org", message_id="m1", peer="192.0.2.1", size=5, helo=None)
    tx.now += 1
    events.record_all(tx, [New("t1", "queued", recipient="B@y.org"), New("t2", "queued", detail={"n": "é", "x": None})])
    story = events.of_trace(tx, "t1")
    assert [(e.kind, e.detail) for e in story] == [("accepted", {"size": 5}), ("queued", {})]
    assert events.of_trace(tx, "t2")[0].detail == {"n": "é"}
    assert all(e.kind in events.KINDS for e in story)


def test_traces_are_found_by_what_is_known(tx: Tx) -> None:
    for number in range(5):
        events.record(tx, f"t{number}", "accepted", sender=f"From{number}@x.org", message_id=f"m{number}@x")
        events.record(tx, f"t{number}", "delivered", sender=f"From{number}@x.org", recipient="to@y.org")
        tx.now += HOUR
    assert events.find(tx, message_id="<m3@x>") == ["t3"]
    assert events.find(tx, sender="from2@") == ["t2"]
    assert events.find(tx, recipient="TO@", limit=2) == ["t4", "t3"]
    assert events.find(tx, recipient="to@", since=tx.now - HOUR) == ["t4"]
    assert events.find(tx, sender="from2@", recipient="nobody") == []


def test_refusals_of_strangers_are_summed_by_the_hour(tx: Tx) -> None:
    for times in (1, 1, 3):
        events.refuse(tx, "192.0.2.1", "unknown-user", "a@x.org", "b@y.org", f"550 {times}", times)
    tx.now += HOUR
    events.refuse(tx, "192.0.2.1", "unknown-user", "a@x.org", "b@y.org", "550")
    rows = events.refusals(tx)
    assert [(r["count"], r["reply"]) for r in rows] == [(1, "550"), (5, "550 3")]
    assert rows[1]["first_at"] == tx.now - HOUR
    assert events.refusals(tx, sender="A@", recipient="b@", since=tx.now, limit=1) == rows[:1]
    assert events.refusals(tx, sender="c@") == []


@pytest.mark.usefixtures("small")
def test_beyond_the_cap_of_an_hour_only_sums_are_kept(tx: Tx) -> None:
    for number in range(50):
        events.refuse(tx, f"192.0.2.{number}", "unknown-user", f"s{number}@x", "r", "550")
        events.refuse(tx, f"192.0.2.{number}", "banned", "", "", "421")
    events.refuse(tx, "192.0.2.0", "unknown-user", "s0@x", "r", "550")
    rows = events.refusals(tx)
    assert len(rows) == 5 + 2
    assert sum(r["count"] for r in rows) == 101
    assert {r["reason"] for r in rows if r["peer"] == "*"} == {"unknown-user", "banned"}


def test_what_a_stranger_says_is_cut(tx: Tx) -> None:
    long = "x" * 10_000
    events.refuse(tx, "192.0.2.1", "unknown-user", long, long, long)
    events.refuse(tx, "192.0.2.1", "unknown-user", long + "y", long, long)
    (row,) = events.refusals(tx)
    assert row["count"] == 2
    assert max(len(str(v)) for v in row.values()) == 254


@pytest.mark.usefixtures("small")
def test_in_all_so_many_refusals_are_kept(tx: Tx) -> None:
    for _ in range(10):
        for number in range(3):
            events.refuse(tx, f"192.0.2.{number}", "banned", "", "", "421")
        tx.now += HOUR
    before = events.refusals_to_forget(tx)
    while events.forget_refusals(tx, before, 2):
        pass
    left = events.refusals(tx)
    assert 5 <= len(left) <= 8
    assert min(int(str(r["first_at"])) for r in left) == tx.now - len(left) // 3 * HOUR
    assert events.refusals_to_forget(tx) == 0


def test_old_events_are_forgotten_in_steps(tx: Tx) -> None:
    for number in range(10):
        events.record(tx, f"t{number}", "accepted")
        events.refuse(tx, "192.0.2.1", "banned", "", "", "421")
        tx.now += HOUR
    before = tx.now - 4 * HOUR
    assert [events.forget(tx, before, 4), events.forget(tx, before, 4), events.forget(tx, before, 4)] == [8, 4, 0]
    assert events.find(tx) == ["t9", "t8", "t7", "t6"]
    assert len(events.refusals(tx)) == 4


# -------------------------------------------------------------------------------------------- bans and certificates


def test_a_ban_is_never_made_shorter_by_another(tx: Tx) -> None:
    bans.add(tx, "192.0.2.1", "failures", tx.now + 100)
    bans.add(tx, "192.0.2.1", "again", tx.now + 50)
    bans.add(tx, "192.0.2.2", "for good", None)
    bans.add(tx, "192.0.2.2", "failures", tx.now + 100)
    bans.add(tx, "192.0.2.3", "failures", tx.now + 100)
    bans.add(tx, "192.0.2.3", "for good", None)
    assert [(b.reason, b.until_at) for b in bans.in_force(tx)] == [
        ("failures", tx.now + 100), ("for good", None), ("for good", None)
    ]  # fmt: skip
    bans.add(tx, "192.0.2.1", "longer", tx.now + 200)
    tx.now += 150
    assert len(bans.in_force(tx)) == 3
    assert bans.forget(tx) == 0
    tx.now += 50
    assert len(bans.in_force(tx)) == 2
    assert bans.forget(tx) == 1
    tx.changes.settings = False
    bans.remove(tx, "192.0.2.2")
    assert tx.changes.settings
    with pytest.raises(Missing):
        bans.remove(tx, "192.0.2.2")


def test_certificates(tx: Tx) -> None:
    old = certificates.add(tx, ("a.org", "b.org"), "chain", "key", "self-signed", 1, 2)
    new = certificates.add(tx, ("a.org", "b.org"), "chain2", "key2", "self-signed", 1, 2)
    other = certificates.add(tx, ("a.org",), "chain3", "key3", "imported", 1, 2)
    assert [c.id for c in certificates.everyone(tx)] == [other, new]
    assert certificates.get(tx, new).names == ("a.org", "b.org")
    with pytest.raises(Missing):
        certificates.get(tx, old)
    certificates.remove(tx, new)
    with pytest.raises(Missing):
        certificates.remove(tx, new)
    assert tx.changes.settings
