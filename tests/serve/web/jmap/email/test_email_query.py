"""Email/query and Email/queryChanges (RFC 8621 §4.4, §4.5), by examples and against a naive reading of the filter."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap.email import email_query, query_lists
from daemon.store import email_find, keywords, messages
from daemon.store.tx import Tx
from tests.serve.web.jmap.desk import Desk

BASE = 1_700_000_000_000


def letter(subject: str, author: str, body: str, **fields: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"From: {author}\r\nSubject: {subject}\r\n{more}\r\n{body}\r\n".encode()


FILE = (
    b"From: Carl <carl@c.example>\r\nSubject: plan\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/html\r\n\r\n<p>Gr\xc3\xbc\xc3\x9fe aus <b>K\xc3\xb6ln</b></p>\r\n--b\r\n"
    b"Content-Type: application/pdf; name=Budget.pdf\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n"
)


@pytest.fixture
def mail(desk: Desk) -> dict[str, str]:
    """Some messages, by a name; the later in the list, the newer."""
    sent: list[tuple[str, bytes, dict[str, Any]]] = [
        ("a", letter("Dinner", "Ann <ann@a.example>", "At noon?", To="bob@b.example", Message_ID="<a@x>"), {}),
        ("b", letter("Re: Dinner", "Bob <bob@b.example>", "Yes, at the harbour.", References="<a@x>"), {"flags": 1}),
        ("c", letter("Invoice 7", "Carl <carl@c.example>", "x" * 3000, Cc="ann@a.example"), {"flags": 5}),
        ("d", letter("日本の旅", "Ann <ann@a.example>", "京都へ行きたい"), {"keyword_names": ["Work"]}),
        ("e", FILE, {}),
        ("f", letter("Old", "Zoe <zoe@z.example>", "gone", Bcc="x@x.example"), {"mailbox": "Trash", "flags": 16}),
    ]
    return {n: desk.raw(d, received_at=BASE + at * 1000, **more) for at, (n, d, more) in enumerate(sent)}


FOUND: list[tuple[Any, str]] = [
    (None, "f e d c b a"),
    ({}, "f e d c b a"),
    ({"inMailbox": "INBOX"}, "e d c b a"),
    ({"inMailboxOtherThan": ["INBOX"]}, "f"),
    ({"inMailboxOtherThan": []}, "f e d c b a"),
    ({"before": "2023-11-14T22:13:22Z"}, "b a"),
    ({"after": "2023-11-14T22:13:24Z"}, "f e"),
    ({"minSize": 3000}, "c"),
    ({"maxSize": 3000}, "f e d b a"),
    ({"hasKeyword": "$seen"}, "c b"),
    ({"notKeyword": "$seen"}, "f e d a"),
    ({"hasKeyword": "WORK"}, "d"),
    ({"hasKeyword": "$flagged", "inMailbox": "INBOX"}, "c"),
    ({"hasKeyword": "$draft"}, "f"),
    ({"allInThreadHaveKeyword": "$seen"}, "c"),
    ({"someInThreadHaveKeyword": "$seen"}, "c b a"),
    ({"noneInThreadHaveKeyword": "$seen"}, "f e d"),
    ({"hasAttachment": True}, "e"),
    ({"hasAttachment": False, "inMailbox": "INBOX"}, "d c b a"),
    ({"from": "ANN"}, "d a"),
    ({"from": "ann@a"}, "d a"),
    ({"to": "bob"}, "a"),
    ({"cc": "ann"}, "c"),
    ({"bcc": "x@x"}, "f"),
    ({"subject": "dinner"}, "b a"),
    ({"subject": "re: dinner"}, "b"),
    ({"subject": "本の"}, "d"),
    ({"body": "harbour"}, "b"),
    ({"body": "the harb"}, "b"),
    ({"body": '"at the harb"'}, "b"),
    ({"body": '"the at"'}, ""),
    ({"body": "grüße köln"}, "e"),
    ({"body": "budget.pdf"}, "e"),
    ({"body": "京都"}, "d"),
    ({"text": "ann noon"}, "a"),
    ({"text": "dinner"}, "b a"),
    ({"text": "旅"}, "d"),
    ({"header": ["Bcc"]}, "f"),
    ({"header": ["references", "A@X"]}, "b"),
    ({"header": ["X-None", ""]}, ""),
    ({"operator": "OR", "conditions": [{"from": "zoe"}, {"body": "noon"}]}, "f a"),
    ({"operator": "AND", "conditions": [{"inMailbox": "INBOX"}, {"from": "carl"}, {"body": "köln"}]}, "e"),
    ({"operator": "NOT", "conditions": [{"inMailbox": "INBOX"}, {"from": "zoe"}]}, ""),
    ({"operator": "NOT", "conditions": [{"body": "noon"}, {"from": "carl"}]}, "f d b"),
    ({"operator": "NOT", "conditions": []}, "f e d c b a"),
    ({"operator": "OR", "conditions": []}, ""),
    ({"inMailbox": "m999"}, ""),
    ({"inMailbox": "nonsense"}, ""),
]


def with_ids(desk: Desk, filter: Any) -> Any:
    if isinstance(filter, dict):
        return {name: with_ids(desk, value) for name, value in filter.items()}
    if isinstance(filter, list):
        return [with_ids(desk, value) for value in filter]
    return desk.box() if filter == "INBOX" else filter


@pytest.mark.parametrize(("filter", "names"), FOUND, ids=[str(f) for f, _ in FOUND])
async def test_filters(desk: Desk, mail: dict[str, str], filter: Any, names: str) -> None:
    answer = await desk.one("Email/query", filter=with_ids(desk, filter), calculateTotal=True)
    assert answer["ids"] == [mail[name] for name in names.split()]
    assert answer["total"] == len(names.split())


SORTED = [
    ([{"property": "receivedAt"}], "a b c d e f"),
    ([{"property": "size", "isAscending": False}], "c e a b d f"),
    ([{"property": "from"}], "a d b c e f"),
    ([{"property": "from", "isAscending": False}, {"property": "receivedAt"}], "f c e b a d"),
    ([{"property": "subject"}, {"property": "receivedAt"}], "a b c f e d"),
    ([{"property": "hasKeyword", "keyword": "$seen"}, {"property": "receivedAt"}], "a d e f b c"),
    ([{"property": "someInThreadHaveKeyword", "keyword": "$seen", "isAscending": False}], "a b c d e f"),
    ([{"property": "allInThreadHaveKeyword", "keyword": "$seen", "isAscending": False}], "c a b d e f"),
    ([{"property": "to", "isAscending": False}, {"property": "sentAt"}], "a b c d e f"),
]


@pytest.mark.parametrize(("sort", "names"), SORTED, ids=[n for _, n in SORTED])
async def test_sorts(desk: Desk, mail: dict[str, str], sort: list[dict[str, Any]], names: str) -> None:
    by_id = {email: name for name, email in mail.items()}
    sort = [*sort, {"property": "receivedAt"}]
    found = (await desk.one("Email/query", sort=sort))["ids"]
    assert " ".join(by_id[each] for each in found) == names


async def test_pages(desk: Desk) -> None:
    ids = [desk.put(f"Number {n}", received_at=BASE + n) for n in range(6)][::-1]
    inbox = {"inMailbox": desk.box()}
    for arguments, part, position in (
        ({"position": 2, "limit": 2}, ids[2:4], 2),
        ({"position": -2}, ids[4:], 4),
        ({"position": -9, "limit": 1}, ids[:1], 0),
        ({"position": 9}, [], 9),
        ({"anchor": ids[3], "limit": 2}, ids[3:5], 3),
        ({"anchor": ids[3], "anchorOffset": -2, "limit": 2}, ids[1:3], 1),
        ({"anchor": ids[0], "anchorOffset": -2, "limit": 2}, ids[:2], 0),
        ({"limit": 0}, [], 0),
    ):
        for filter in (inbox, None):
            answer = await desk.one("Email/query", filter=filter, calculateTotal=True, **arguments)
            assert (answer["ids"], answer["position"], answer["total"]) == (part, position, 6)
    assert "total" not in await desk.one("Email/query", limit=1)


async def test_conversations_are_told_once(desk: Desk) -> None:
    one = desk.put("One")
    two = desk.put("Two")
    answer = desk.put("Re: One", answers="<One@remote.example>")
    inbox = {"inMailbox": desk.box()}
    for filter in (inbox, None):
        found = await desk.one("Email/query", filter=filter, collapseThreads=True, calculateTotal=True)
        assert (found["ids"], found["total"]) == ([answer, two], 2)
    desk.store.write_now(messages.copy, desk.number(), [(1, 1)], desk.number())  # the same message twice here
    assert (await desk.one("Email/query", filter=inbox, calculateTotal=True))["ids"] == [answer, two, one]
    assert (await desk.one("Email/query", filter=inbox, calculateTotal=True))["total"] == 3


def changed(before: list[str], answer: dict[str, Any]) -> list[str]:
    """What a client does with the answer of a /queryChanges (RFC 8620 §5.6)."""
    ids = [each for each in before if each not in answer["removed"]]
    for each in answer["added"]:
        ids.insert(each["index"], each["id"])
    return ids


FILTERS: list[Any] = [
    {"inMailbox": "INBOX"},
    {"notKeyword": "$seen"},
    {"someInThreadHaveKeyword": "$flagged"},
    None,
    {"operator": "NOT", "conditions": [{"inMailbox": "INBOX"}]},
]


@pytest.mark.parametrize("collapse", [False, True])
async def test_what_changes_in_a_list(desk: Desk, collapse: bool) -> None:
    """Whatever happens, the list that a client keeps up by /queryChanges is the list it would get."""
    chance = random.Random(7)
    inbox, archive = desk.number(), desk.number("Archive")
    asked = [{"filter": with_ids(desk, filter), "collapseThreads": collapse} for filter in FILTERS]
    kept = [((await desk.one("Email/query", **each))["queryState"], list[str]()) for each in asked]
    names: list[str] = []
    for turn in range(40):
        for _ in range(chance.randint(1, 3)):
            box = chance.choice((inbox, archive))
            uid = chance.randint(1, 12)
            match chance.randint(0, 4):
                case 0 | 1:
                    refs = f"<{chance.choice(names)}@remote.example>" if names and chance.random() < 0.7 else ""
                    body = f"From: a@a.example\r\nSubject: X\r\nMessage-ID: <n{turn}x{len(names)}@remote.example>\r\n"
                    names.append(f"n{turn}x{len(names)}")
                    desk.raw(f"{body}References: {refs}\r\n\r\nx".encode(), received_at=BASE + chance.randint(0, 9000))
                case 2:
                    desk.store.write_now(messages.move, box, [(uid, uid + 2)], inbox + archive - box)
                case 3:
                    flag = chance.choice((keywords.SEEN, keywords.FLAGGED))
                    desk.store.write_now(messages.set_flags, box, [(uid, uid + 2)], chance.choice("+-"), flag)
                case _:
                    desk.store.write_now(messages.remove, box, [(uid, uid)])
        for at, each in enumerate(asked):
            state, before = kept[at]
            answer = await desk.one("Email/queryChanges", sinceQueryState=state, calculateTotal=True, **each)
            now = await desk.one("Email/query", calculateTotal=True, **each)
            assert changed(before, answer) == now["ids"]
            assert answer["total"] == now["total"] == len(now["ids"])
            kept[at] = answer["newQueryState"], now["ids"]


async def test_changes_of_a_list_that_nobody_knows(desk: Desk) -> None:
    state = (await desk.one("Email/query"))["queryState"]
    for n in range(3):
        desk.put(f"Number {n}")
    assert (await desk.one("Email/queryChanges", sinceQueryState="x")) == {"error": "cannotCalculateChanges"}
    assert (await desk.one("Email/queryChanges", sinceQueryState=state, maxChanges=2)) == {"error": "tooManyChanges"}


async def test_a_list_is_kept_while_it_is_true(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.web.jmap.email.email_query.LIMITS", replace(LIMITS, jmap_quick=2))
    ids = [desk.put(f"Number {n}", received_at=BASE + n) for n in range(6)][::-1]
    looked = []
    fitting = email_query._fitting

    def counted(*args: Any) -> Any:
        looked.append(args[2])
        return fitting(*args)

    monkeypatch.setattr(email_query, "_fitting", counted)
    inbox = {"inMailbox": desk.box()}
    for position in (4, 2, 0):
        page = await desk.one("Email/query", filter=inbox, position=position, limit=2, calculateTotal=True)
        assert (page["ids"], page["total"]) == (ids[position : position + 2], 6)
    assert len(looked) == 1
    ids.insert(0, desk.put("New", received_at=BASE + 9))
    page = await desk.one("Email/query", filter=inbox, position=4, limit=2)
    assert page["ids"] == ids[4:6] and len(looked) == 2
    assert (await desk.one("Email/query", filter=inbox, collapseThreads=True, position=4))["ids"] == ids[4:]
    assert len(looked) == 3
    assert (await Desk(desk.store, "bob").one("Email/query", position=4))["ids"] == []


def test_lists_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_lists, "LIMITS", replace(LIMITS, jmap_kept=1000))
    lists = query_lists.Lists()
    for key, count in (("a", 300), ("b", 300), ("c", 1001), ("a", 300), ("d", 300)):
        if key == "d":
            assert lists.get("a") is not None  # asked for lately
        lists.keep(key, array("q", range(count)))
    assert [key for key in "abcd" if lists.get(key) is not None] == ["a", "d"]
    found_nothing = [f"nothing has {number}" for number in range(100)]
    for key in (*found_nothing, "long" * 1000):
        lists.keep(key, array("q"))
    kept = [key for key in (*found_nothing, "long" * 1000) if lists.get(key) is not None]
    assert 0 < len(kept) < 10, "what finds nothing takes room all the same"


async def test_the_emails_of_a_mailbox_are_counted_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    count_in = email_find.count_in

    def count(tx: Tx, mailbox_id: int) -> int:
        counted.append(mailbox_id)
        return count_in(tx, mailbox_id)

    monkeypatch.setattr(email_find, "count_in", count)

    async def total() -> tuple[int, int]:
        found = await desk.one("Email/query", filter={"inMailbox": desk.box()}, limit=1, calculateTotal=True)
        return found["total"], len(counted)

    for number in range(2):
        desk.put(f"Number {number}")
    assert await total() == await total() == (2, 1)
    desk.store.write_now(messages.copy, desk.number(), messages.ALL, desk.number())
    assert await total() == (2, 2)
    desk.put("New")
    assert await total() == (3, 3)
    desk.store.write_now(messages.remove, desk.number(), [(1, 1)])
    assert await total() == await total() == (3, 4)
    desk.store.write_now(messages.remove, desk.number(), [(3, 3)])
    assert await total() == (2, 5)


def test_counts_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_lists, "LIMITS", replace(LIMITS, jmap_counts=2))
    lists = query_lists.Lists()
    made: list[int] = []

    def count(mailbox: int) -> int:
        made.append(mailbox)
        return 5

    for mailbox in (1, 2, 1, 3, 1, 2):
        assert lists.count(mailbox, "version", partial(count, mailbox)) == 5
    assert made == [1, 2, 3, 2]
