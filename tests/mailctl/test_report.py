"""`mailctl report`: who sends as us, what failed, and how it goes on."""

from __future__ import annotations

import pytest

from daemon.store import reports
from daemon.store.reports import DAY, Head, Row, Session
from tests.mailctl.conftest import Ctl


@pytest.fixture
def told(town: Ctl) -> Ctl:
    """Two days of reports about example.org."""
    store = town.store()
    try:
        today = store.clock() // DAY * DAY
        for back, good, bad in ((2, 100, 0), (1, 40, 20)):
            begin = today - back * DAY
            head = Head("dmarc", "example.org", "google.com", f"d{back}", begin, begin + DAY - 1, {"p": "none"})
            proofs = {"dkim": [["example.org", "pass", "s1"]], "spf": [["bounce.example.net", "pass"]]}
            rows = [
                Row("192.0.2.1", good, "pass", "pass", "fail", "example.org", "bounce.example.net", proofs),
                Row("198.51.100.66", bad or 1, "reject", "fail", "fail", "example.org", "evil\x1b[31m.example", {}),
            ]
            assert store.write_now(reports.add, head, rows) == "kept"
            sessions = [
                Session("example.org", "sts", "", good, "", "mx.example.org", ""),
                Session("example.org", "sts", "certificate-expired", 3, "192.0.2.1", "mx.example.org", "over"),
            ]
            assert store.write_now(reports.add, head._replace(kind="tls", org=f"Org {back}"), sessions) == "kept"
    finally:
        store.close()
    return town


def test_dmarc_in_one_document(told: Ctl) -> None:
    found = told.json("report", "dmarc")
    assert set(found) == {"since_at", "reports", "reporters", "domains", "sources", "days"}
    assert (found["reports"], found["reporters"]) == (2, 1)
    assert found["domains"] == [
        {"domain": "example.org", "messages": 161, "failed": 21, "quarantined": 0, "rejected": 21}
    ]
    first, second = found["sources"]
    assert (first["ip"], first["messages"], first["failed"], first["no_dkim"], first["no_spf"]) == (
        "192.0.2.1", 140, 0, 0, 140,
    )  # fmt: skip
    assert first["signers"] == ["example.org"] and first["paths"] == ["bounce.example.net"]
    assert (second["ip"], second["failed"]) == ("198.51.100.66", 21)
    assert [(day["total"], day["failed"]) for day in found["days"]] == [(101, 1), (60, 20)]
    assert found["days"][0]["at"].endswith("T00:00:00.000Z")


def test_tls_in_one_document(told: Ctl) -> None:
    found = told.json("report", "tls", "--domain", "example.org")
    assert (found["reports"], found["reporters"]) == (2, 2)
    assert found["policies"] == [{"domain": "example.org", "policy": "sts", "sessions": 146, "failed": 6}]
    assert [(f["result"], f["reporter"], f["sessions"], f["text"]) for f in found["failures"]] == [
        ("certificate-expired", "Org 1", 3, "over"), ("certificate-expired", "Org 2", 3, "over"),
    ]  # fmt: skip


def test_for_people_with_a_trend(told: Ctl) -> None:
    text = told.ok("report", "dmarc")
    assert "2 reports of 1 organisation" in text and "198.51.100.66" in text and "bounce.example.net" in text
    bars = [line for line in text.splitlines() if "##" in line]
    assert len(bars) == 2 and "x" in bars[1] and "60 (20 failed)" in bars[1]
    assert "certificate-expired" in told.ok("report", "tls")


def test_filters(told: Ctl) -> None:
    assert told.json("report", "dmarc", "--since", "2d")["domains"][0]["messages"] in (60, 161)
    assert told.json("report", "dmarc", "--since", "1h")["reports"] == 0
    assert len(told.json("report", "dmarc", "--limit", "1")["sources"]) == 1
    assert "not a domain" in told.fails(65, "report", "dmarc", "--domain", "a b")
    told.fails(1, "report", "tls", "--domain", "stranger.example")
    told.fails(65, "report", "tls", "--since", "soon")


def test_without_reports_it_says_how_they_are_asked_for(town: Ctl) -> None:
    done = town("report", "dmarc")
    assert done.exit_code == 0 and "mailctl dns records" in done.stderr
    assert town.json("report", "tls") | {"since_at": ""} == {
        "since_at": "", "reports": 0, "reporters": 0, "policies": [], "failures": [], "days": [],
    }  # fmt: skip
