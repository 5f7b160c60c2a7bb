"""Requests and answers as RFC 8620 §3 tells them: results referred to, limits, errors of requests and of calls."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from daemon.limits import LIMITS
from daemon.wire import jmap
from daemon.wire.jmap import Problem
from tests.serve.web.jmap.desk import Desk


async def test_echo(desk: Desk) -> None:
    """RFC 8620 §4.1."""
    said = {"hello": True, "high": 5}
    assert await desk.ask(("Core/echo", said)) == [("Core/echo", said, "0")]


async def test_the_first_page_of_a_mailbox_in_one_request(desk: Desk) -> None:
    """What a webmail asks first, as in RFC 8621 §4.10: a page of conversations, their emails, what a list shows."""
    one = desk.put("Dinner on Thursday")
    two = desk.put("Invoice")
    three = desk.put("Re: Dinner on Thursday", answers="<DinneronThursday@remote.example>")
    query, page, thread, listed = await desk.ask(
        (
            "Email/query",
            {
                "filter": {"inMailbox": desk.box()},
                "sort": [{"property": "receivedAt", "isAscending": False}],
                "collapseThreads": True,
                "position": 0,
                "limit": 30,
                "calculateTotal": True,
            },
        ),
        ("Email/get", {"#ids": ref("0", "Email/query", "/ids"), "properties": ["threadId"]}),
        ("Thread/get", {"#ids": ref("1", "Email/get", "/list/*/threadId")}),
        (
            "Email/get",
            {
                "#ids": ref("2", "Thread/get", "/list/*/emailIds"),
                "properties": ["threadId", "mailboxIds", "keywords", "from", "subject", "preview", "size"],
            },
        ),
    )
    assert query[1]["ids"] == [three, two] and query[1]["total"] == 2
    threads = [each["threadId"] for each in page[1]["list"]]
    assert [each["emailIds"] for each in thread[1]["list"]] == [[one, three], [two]]
    assert [each["id"] for each in thread[1]["list"]] == threads
    assert [each["subject"] for each in listed[1]["list"]] == [
        "Dinner on Thursday",
        "Re: Dinner on Thursday",
        "Invoice",
    ]
    first = listed[1]["list"][0]
    assert first["from"] == [{"name": "Ann", "email": "ann@remote.example"}]
    assert first["mailboxIds"] == {desk.box(): True} and first["keywords"] == {} and first["preview"] == "Hello."
    assert query[1]["queryState"] == page[1]["state"] == thread[1]["state"]


def ref(mark: str, name: str, path: str) -> dict[str, str]:
    return {"resultOf": mark, "name": name, "path": path}


CALL_ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("Foo/get", {}, "unknownMethod"),
    ("Email/get", {"accountId": "u999"}, "accountNotFound"),
    ("Email/get", {"ids": "e1"}, "invalidArguments"),
    ("Email/get", {"ids": ["e1"], "properties": ["colour"]}, "invalidArguments"),
    ("Email/get", {"ids": ["e1"], "nonsense": 1}, "invalidArguments"),
    ("Email/get", {"ids": [f"e{n}" for n in range(1, LIMITS.jmap_get + 2)]}, "requestTooLarge"),
    ("Email/get", {"#ids": ref("9", "Email/query", "/ids")}, "invalidResultReference"),
    ("Email/get", {"#ids": {"resultOf": "0"}}, "invalidResultReference"),
    ("Email/get", {"ids": [], "#ids": ref("0", "Email/query", "/ids")}, "invalidArguments"),
    ("Email/changes", {"sinceState": "nonsense"}, "cannotCalculateChanges"),
    ("Email/changes", {"sinceState": "1", "maxChanges": 0}, "invalidArguments"),
    ("Email/changes", {}, "invalidArguments"),
    ("Email/query", {"filter": {"colour": "red"}}, "unsupportedFilter"),
    ("Email/query", {"filter": {"minSize": "big"}}, "invalidArguments"),
    ("Email/query", {"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
    ("Email/query", {"sort": [{"property": "colour"}]}, "unsupportedSort"),
    ("Email/query", {"anchor": "e999"}, "anchorNotFound"),
    ("Email/query", {"limit": -1}, "invalidArguments"),
]


@pytest.mark.parametrize(("name", "arguments", "error"), CALL_ERRORS)
async def test_a_call_that_is_refused_is_answered_alone(
    desk: Desk, name: str, arguments: dict[str, Any], error: str
) -> None:
    before, refused, after = await desk.ask(("Core/echo", {"a": 1}), (name, arguments), ("Core/echo", {"b": 2}))
    assert (refused[0], refused[1]["type"], refused[2]) == ("error", error, "1")
    assert before[1] == {"a": 1} and after[1] == {"b": 2}


async def test_a_capability_must_be_in_use(desk: Desk) -> None:
    desk.using = ["urn:ietf:params:jmap:core"]
    assert (await desk.one("Email/get", ids=[])) == {"error": "unknownMethod"}
    desk.using = ["urn:ietf:params:jmap:core", "urn:example:unknown"]
    with pytest.raises(Problem) as caught:
        await desk.ask(("Core/echo", {}))
    assert caught.value.type == "urn:ietf:params:jmap:error:unknownCapability"


async def test_calls_in_a_request_are_counted(desk: Desk) -> None:
    with pytest.raises(Problem) as caught:
        await desk.ask(*[("Core/echo", {})] * (LIMITS.jmap_calls + 1))
    assert caught.value.type == "urn:ietf:params:jmap:error:limit" and caught.value.limit == "maxCallsInRequest"
    assert len(await desk.ask(*[("Core/echo", {})] * LIMITS.jmap_calls)) == LIMITS.jmap_calls


async def test_created_ids_are_told_to_who_asks(desk: Desk) -> None:
    assert "createdIds" not in await desk.request(("Core/echo", {}))
    assert (await desk.request(("Core/echo", {}), createdIds={"a": "e1"}))["createdIds"] == {"a": "e1"}


async def test_another_user_is_not_there(desk: Desk) -> None:
    mine = desk.put("Mine")
    other = Desk(desk.store, "bob")
    assert (await other.one("Email/get", accountId=desk.id, ids=[mine])) == {"error": "accountNotFound"}
    assert (await other.one("Email/get", ids=[mine]))["notFound"] == [mine]
    assert (await other.one("Email/query", filter={"inMailbox": desk.box()}))["ids"] == []
    thread = (await desk.one("Email/get", ids=[mine], properties=["threadId"]))["list"][0]["threadId"]
    assert (await other.one("Thread/get", ids=[thread]))["list"] == []


async def test_requests_of_one_user_at_once_are_counted(desk: Desk) -> None:
    other = Desk(desk.store, "bob")
    with ExitStack() as held:
        for _ in range(LIMITS.jmap_concurrent):
            held.enter_context(desk.api.turn(desk.visitor))
        with pytest.raises(Problem) as caught, desk.api.turn(desk.visitor):
            pass
        assert caught.value.limit == "maxConcurrentRequests"
        with desk.api.turn(other.visitor):
            pass
    with desk.api.turn(desk.visitor):
        pass


async def test_ids_told_at_once_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.put(f"Number {n}") for n in range(4)][::-1]
    monkeypatch.setattr("daemon.serve.web.jmap.core.LIMITS", replace(LIMITS, jmap_query=3))
    unbounded = await desk.one("Email/query")
    assert unbounded["ids"] == ids[:3] and unbounded["limit"] == 3
    assert (await desk.one("Email/query", limit=10))["limit"] == 3
    assert "limit" not in await desk.one("Email/query", limit=2)


async def test_filters_are_bounded(desk: Desk) -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"operator": "NOT", "conditions": [nested(depth - 1)]} if depth else {"minSize": 1}

    def wide(count: int) -> dict[str, Any]:
        return {"operator": "OR", "conditions": [{"minSize": 1}] * count}

    for good in (nested(LIMITS.jmap_filter_depth), wide(LIMITS.jmap_filter)):
        assert (await desk.one("Email/query", filter=good))["ids"] == []
    empty = {"operator": "AND", "conditions": []}
    hollow = {"operator": "OR", "conditions": [empty] * (2 * LIMITS.jmap_filter)}
    for bad in (nested(LIMITS.jmap_filter_depth + 1), wide(LIMITS.jmap_filter + 1), hollow):
        assert (await desk.one("Email/query", filter=bad)) == {"error": "invalidArguments"}


async def test_what_is_told_at_once_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(LIMITS, jmap_answer=6000)
    monkeypatch.setattr("daemon.serve.web.jmap.api.LIMITS", small)
    monkeypatch.setattr("daemon.serve.web.jmap.email.email_get.LIMITS", small)
    ids = [desk.put(f"Number {n}", body="long " * 500) for n in range(3)]
    asked = {"properties": ["bodyValues"], "fetchTextBodyValues": True}
    one, all_, more, last = await desk.ask(
        ("Email/get", {"ids": ids[:1], **asked}),
        ("Email/get", {"ids": ids, **asked}),
        ("Email/get", {"ids": ids[:2], **asked}),
        ("Email/get", {"ids": []}),
    )
    assert one[0] == more[0] == "Email/get"
    assert all_[1]["type"] == "requestTooLarge" and last[1]["type"] == "requestTooLarge"


async def test_a_long_request_is_read_beside_the_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[threading.Thread] = []

    def decode(data: bytes | str) -> Any:
        readers.append(threading.current_thread())
        return msgspec.json.decode(data)

    monkeypatch.setattr(jmap, "decode", decode)
    for text in ("short", "long" * 100_000):
        assert await desk.api.read(msgspec.json.encode([text])) == [text]
    assert readers[0] is threading.main_thread() is not readers[1]
