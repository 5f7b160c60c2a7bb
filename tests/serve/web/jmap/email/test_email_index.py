"""Email/query finds the same with the full-text index as without it, and reads no message that the index is sure of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from daemon.flow.indexing import Indexing
from daemon.serve.web.jmap.email import email_filter
from daemon.store import email_find
from daemon.store.find import Term
from daemon.store.tx import Tx
from tests.serve.web.jmap.desk import Desk

FILTERS: tuple[tuple[dict[str, Any], list[int]], ...] = (
    ({"text": "inner"}, [0, 1]),
    ({"body": "NNER"}, [0]),
    ({"body": "dinner harbour"}, [0]),
    ({"body": '"at the harbour"'}, [0]),
    ({"body": "港で"}, [1]),
    ({"subject": "dinn"}, [0, 1]),
    ({"from": "ann@remote"}, [0, 1, 2]),
    ({"from": "nobody"}, []),
    ({"header": ["X-Tag", "ome"]}, [2]),
    ({"header": ["X-Tag"]}, [2]),
    ({"header": ["X-Tag", "harbour"]}, []),
    ({"body": "report.p"}, [2]),
    ({"operator": "NOT", "conditions": [{"body": "dinner"}]}, [1, 2]),
    ({"operator": "OR", "conditions": [{"body": "港"}, {"hasAttachment": True}]}, [1, 2]),
    ({"operator": "NOT", "conditions": [{"header": ["X-Tag", "some"]}]}, [0, 1]),
    ({"operator": "NOT", "conditions": [{"from": "ann"}, {"body": "harbour"}]}, []),
    ({"operator": "OR", "conditions": [{"subject": "third"}, {"after": "1970-01-01T00:00:03Z"}]}, [0, 2]),
    ({"body": "港で", "subject": "dinner", "before": "1970-01-01T00:00:03Z"}, [1]),
    ({"from": "ann", "hasAttachment": False}, [0, 1]),
    ({"text": '"dinner on thursday"'}, [0, 1]),
    ({"operator": "AND", "conditions": [{"text": "dinner"}, {"operator": "NOT", "conditions": [{"body": "港"}]}]}, [0]),
)
ATTACHED = (
    b"From: ann@remote.example\r\nSubject: third\r\nX-Tag: some thing\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\n"
    b"Content-Disposition: attachment; filename=Report.pdf\r\n\r\nx\r\n--b--\r\n"
)


@pytest.mark.parametrize("within", [None, "INBOX"])
async def test_filters_find_the_same_by_the_index(desk: Desk, within: str | None) -> None:
    ids = [
        desk.put("Dinner on Thursday", body="Shall we have dinner at the Harbour?", received_at=3000),
        desk.put("Re: Dinner on Thursday", body="また港で会いましょう", received_at=2000),
        desk.raw(ATTACHED, received_at=1000),
    ]
    desk.store.attach(asyncio.get_running_loop())
    for indexed in (False, True):
        if indexed:
            await Indexing(desk.store, tail=1, rest=0).round()
            desk.raw(b"Subject: late\r\n\r\nunrelated\r\n", received_at=500)  # which the index does not have yet
        for filter, want in FILTERS:
            asked = filter
            if within is not None:
                asked = {"operator": "AND", "conditions": [{"inMailbox": desk.box(within)}, filter]}
            found = (await desk.one("Email/query", filter=asked, calculateTotal=True))["ids"]
            assert [one for one in found if one in ids] == [ids[at] for at in want], filter
            assert len(found) == len(want) + (indexed and "NOT" in str(filter.get("operator"))), filter


async def test_what_the_index_is_sure_of_is_not_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.put(f"number {number}", body="harbour") for number in range(3)]
    desk.store.attach(asyncio.get_running_loop())
    await Indexing(desk.store, tail=1, rest=0).round()

    def read(looking: email_filter.Looking) -> str:
        raise AssertionError("a message was read")

    monkeypatch.setattr(email_filter.Looking, "body", read)
    found = (await desk.one("Email/query", filter={"body": "arbou"}))["ids"]
    assert sorted(found) == sorted(ids)
    assert (await desk.one("Email/query", filter={"body": "nowhere"}))["ids"] == []


async def test_sql_is_asked_about_what_the_index_leaves_open(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.put(f"number {number}", body="harbour") for number in range(3)]
    ids.append(desk.put("the harbour"))
    desk.put("neither")
    desk.raw(b"Subject: other\r\nX-Place: harbour\r\n\r\nHello.\r\n")
    desk.store.attach(asyncio.get_running_loop())
    await Indexing(desk.store, tail=1, rest=0).round()
    asked: list[int] = []
    answers = email_find.answers

    def recorded(tx: Tx, emails: Sequence[int], terms: Sequence[Term]) -> dict[Term, set[int]]:
        asked.extend(emails)
        return answers(tx, emails, terms)

    monkeypatch.setattr(email_find, "answers", recorded)
    found = (await desk.one("Email/query", filter={"text": "harbour"}, calculateTotal=True))["ids"]
    assert sorted(found) == sorted(ids)
    assert sorted(asked) == [int(ids[3][1:]), int(ids[3][1:]) + 2]
