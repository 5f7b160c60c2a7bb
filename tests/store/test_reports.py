"""Others' reports in rows: each once, about our domains only, and not for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.store import domains, reports
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.reports import DAY, Head, Row, Session
from daemon.store.tx import Tx

DAY_ONE = 1_794_873_600_000
HEAD = Head("dmarc", "example.org", "google.com", "1", DAY_ONE, DAY_ONE + DAY - 1000, {"p": "none"})
ROWS = [
    Row("192.0.2.1", 10, "none", "pass", "pass", "example.org", "example.org", {"dkim": [["example.org", "pass"]]}),
    Row("192.0.2.9", 4, "quarantine", "fail", "fail", "example.org", "x.example", {}),
    Row("192.0.2.9", 2, "reject", "fail", "fail", "example.org", "x.example", {}),
    Row("192.0.2.5", 1, "none", "fail", "pass", "sub.example.org", "example.org", {}),
]
TLS = Head("tls", "example.org", "Google Inc.", "2", DAY_ONE, DAY_ONE + DAY, [])
SESSIONS = [
    Session("example.org", "sts", "", 100, "", "mx.example.org", ""),
    Session("example.org", "sts", "certificate-expired", 3, "192.0.2.1", "mx.example.org", "too old"),
]


@pytest.fixture
def kept(store: Store) -> Store:
    store.write_now(domains.add, "example.org")
    assert store.write_now(reports.add, HEAD, ROWS) == "kept"
    assert store.write_now(reports.add, TLS, SESSIONS) == "kept"
    return store


def test_a_report_counts_once_and_only_about_us(kept: Store) -> None:
    assert kept.write_now(reports.add, HEAD, ROWS) == "known"
    assert kept.write_now(reports.add, HEAD._replace(org="other.example"), ROWS[:1]) == "kept"
    assert kept.write_now(reports.add, HEAD._replace(domain="sub.example.org", report_id="3"), []) == "kept"
    assert kept.write_now(reports.add, HEAD._replace(domain="stranger.example"), ROWS) == "not-ours"
    assert kept.write_now(reports.add, HEAD._replace(domain="org"), ROWS) == "not-ours"
    assert not list(check(kept))


def test_what_they_say_is_summed_up(kept: Store) -> None:
    def ask(work, *args):  # type: ignore[no-untyped-def]
        return kept.read_now(work, *args)

    assert ask(reports.overview, "dmarc", None, 0) == (1, 1)
    assert ask(reports.by_domain, None, 0) == [("example.org", 17, 6, 4, 2)]
    sources = [row[:6] for row in ask(reports.by_source, "example.org", 0, 10)]
    assert sources == [
        ("192.0.2.1", "example.org", 10, 0, 0, 0),
        ("192.0.2.9", "example.org", 6, 6, 6, 6),
        ("192.0.2.5", "sub.example.org", 1, 0, 1, 0),
    ]
    assert ask(reports.by_day, "dmarc", None, 0) == [(DAY_ONE, 17, 6)]
    assert ask(reports.by_day, "dmarc", "other.example", 0) == [] == ask(reports.by_day, "dmarc", None, DAY_ONE + 1)
    assert ask(reports.tls_by_domain, None, 0) == [("example.org", "sts", 103, 3)]
    assert ask(reports.tls_failures, None, 0, 10) == [
        ("certificate-expired", "mx.example.org", "Google Inc.", 3, "too old")
    ]
    assert ask(reports.by_day, "tls", None, 0) == [(DAY_ONE, 103, 3)]


def test_the_oldest_go_when_they_are_old_or_too_many(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = HEAD._replace(begin_at=DAY_ONE + DAY, end_at=DAY_ONE + 2 * DAY, report_id="newer")
    kept.write_now(reports.add, newer, ROWS)
    assert kept.write_now(reports.forget, DAY_ONE) == 0
    assert kept.write_now(reports.forget, DAY_ONE + DAY) == 1
    monkeypatch.setattr(reports, "LIMITS", replace(LIMITS, reports_kept=3))
    while kept.write_now(reports.forget, 0):
        pass
    assert kept.read_now(Tx.value, "select count(*) from report_row") == 0


def test_a_report_that_cannot_be_is_found(kept: Store) -> None:
    kept.write_now(lambda tx: tx.run("update report set end_at = 0 where kind = 'tls'"))
    assert [finding.reason for finding in check(kept)] == ["report-wrong"]
