"""Evidence for reports: counted by what is alike, capped so that strangers cannot fill the disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.store import evidence, hand_ins
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.evidence import DAY, Counted, Judged
from daemon.store.tx import Tx

RECORD = "v=DMARC1; p=reject; rua=mailto:reports@example.org"
ONE = Judged(
    "example.org", RECORD, "192.0.2.1", "example.org", "bounce.example.net", ("bounce.example.net", "pass"), False,
    (("example.org", "s1", "pass"), ("other.example", "x", "fail")), True, "pass",
)  # fmt: skip


def number(store: Store, table: str) -> int:
    found: int = store.read_now(Tx.value, f"select count(*) from {table}")  # noqa: S608 - a name of the tests
    return found


def today(store: Store) -> int:
    return store.clock() // DAY


def test_messages_that_are_alike_are_one_row(store: Store) -> None:
    other = ONE._replace(source_ip="2001:db8::1", disposition="reject", override="local_policy")
    for judged in (ONE, ONE, other, ONE):
        store.write_now(evidence.count, judged)
    record, counted = store.read_now(evidence.of, today(store), "example.org")
    assert record == RECORD
    assert counted == [Counted(ONE, 3), Counted(other, 1)]
    assert not list(check(store))


def test_only_who_asks_for_reports_is_counted_and_the_last_record_is_kept(store: Store) -> None:
    store.write_now(evidence.count, ONE._replace(record="v=DMARC1; p=none"))
    assert number(store, "dmarc_policy") == 0
    store.write_now(evidence.count, ONE)
    changed = RECORD.replace("reject", "none")
    store.write_now(evidence.count, ONE._replace(record=changed))
    record, counted = store.read_now(evidence.of, today(store), "example.org")
    assert record == changed and [one.messages for one in counted] == [2]


@pytest.mark.parametrize("limit", ["evidence_rows", "evidence_day"])
def test_beyond_the_limits_messages_are_counted_without_their_facts(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(evidence, "LIMITS", replace(LIMITS, **{limit: 5}))
    for host in range(20):
        store.write_now(evidence.count, ONE._replace(source_ip=f"192.0.2.{host}"))
    store.write_now(evidence.count, ONE._replace(source_ip="192.0.2.0"))  # a known one still counts as what it is
    _, counted = store.read_now(evidence.of, today(store), "example.org")
    assert number(store, "dmarc_evidence") == 6
    assert [one.messages for one in counted if one.judged is None] == [15]
    assert sum(one.messages for one in counted) == 21
    assert not list(check(store))


def test_domains_of_a_day_are_bounded_and_long_facts_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "LIMITS", replace(LIMITS, evidence_domains=3, evidence_signatures=2))
    for host in range(10):
        store.write_now(evidence.count, ONE._replace(policy_domain=f"d{host}.example"))
    assert number(store, "dmarc_policy") == 3
    many = tuple((f"{n}.example", "s" * 10_000, "fail") for n in range(500))
    store.write_now(evidence.count, ONE._replace(policy_domain="d0.example", dkim=many, record=RECORD + "x" * 10_000))
    assert store.read_now(Tx.value, "select max(length(facts)) from dmarc_evidence") < 2000
    assert store.read_now(Tx.value, "select max(length(record)) from dmarc_policy") < 3000


def test_a_day_is_due_when_it_is_over_and_done_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_now(evidence.count, ONE)
    day = today(store)
    assert store.read_now(evidence.due, "dmarc", 10) == [] == store.read_now(evidence.due, "tls", 10)
    now = store.clock()
    store.clock = lambda: now + DAY
    assert store.read_now(evidence.due, "dmarc", 10) == [(day, "example.org")]
    assert store.write_now(evidence.done, "dmarc", day, "example.org", ["mailto:x@example.org"])
    assert not store.write_now(evidence.done, "dmarc", day, "example.org", [])
    assert store.read_now(evidence.due, "dmarc", 10) == []


def test_old_evidence_goes(store: Store) -> None:
    store.write_now(evidence.count, ONE)
    store.write_now(evidence.done, "dmarc", today(store), "example.org", [])
    assert store.write_now(evidence.forget, store.clock(), 10) == 0
    assert store.write_now(evidence.forget, store.clock() + 2 * DAY, 10) == 2
    assert [number(store, table) for table in ("dmarc_evidence", "dmarc_policy", "report_sent")] == [0, 0, 0]


def test_a_hand_in_belongs_to_a_report(store: Store) -> None:
    day = today(store)
    assert store.write_now(evidence.done, "tls", day, "example.org", ["mailto:x@example.org", "https://example.org/"])
    assert not store.write_now(evidence.done, "tls", day, "example.org", ["https://other.example/"])
    assert [one.uri for one in store.write_now(hand_ins.take, 10)] == ["https://example.org/"]
    assert not list(check(store))
    store.write_now(Tx.run, "update report_hand_in set domain = 'other.example'")
    assert [finding.reason for finding in check(store)] == ["report-wrong"]
    store.write_now(evidence.forget, store.clock() + 2 * DAY, 10)
    assert number(store, "report_hand_in") == 0


def test_wrong_counts_are_found(store: Store) -> None:
    store.write_now(evidence.count, ONE)

    def spoil(tx: Tx) -> Any:
        return tx.run("update dmarc_policy set rows = 7")

    store.write_now(spoil)
    assert [finding.reason for finding in check(store)] == ["evidence-wrong"]
