"""SEARCH: every key, alone and joined."""

from __future__ import annotations

import asyncio

import pytest

from daemon.flow.indexing import Indexing
from daemon.serve.imap import find
from daemon.store import fulltext, messages
from tests.serve.imap.conftest import ALICE, HELLO, MailHouse

DAY = 86_400_000
OLD = 1_000_000_000_000  # 9-Sep-2001 01:46:40 UTC


def mail(subject: str, text: str = "plain words", **fields: str) -> bytes:
    head = {"From": "Änne <anne@example.org>", "To": "bob@example.net", "Subject": subject, **fields}
    return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items()).encode() + (
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n"
    )


@pytest.fixture
async def five(house: MailHouse) -> MailHouse:
    """1: old and read; 2: flagged, with a keyword; 3: sent long ago; 4: base64 and Cc; 5: large, answered."""
    await house.deliver(mail("First of all"), flags=1, received_at=OLD)
    await house.deliver(
        mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?= second", "ÜBER alles"), flags=4, keyword_names=["Work"], received_at=OLD + DAY
    )
    await house.deliver(
        mail("third", Date="Sun, 9 Sep 2001 23:30:00 -0500", Message_ID="<third@x>", X_Tag="Some Thing")
    )
    await house.deliver(
        b"From: c@example.org\r\nCc: team@example.org\r\nBcc: boss@example.org\r\nSubject: fourth\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHRyZWFzdXJl\r\n"
    )
    await house.deliver(mail("fifth", "x" * 5000), flags=2 | 16, prefix=b"Return-Path: <p@relay>\r\n")
    return house


CASES: list[tuple[bytes, list[int]]] = [
    (b'ALL', [1, 2, 3, 4, 5]), (b'SEEN', [1]), (b'UNSEEN', [2, 3, 4, 5]), (b'FLAGGED', [2]), (b'ANSWERED DRAFT', [5]),
    (b'UNANSWERED UNDRAFT', [1, 2, 3, 4]), (b'DELETED', []), (b'UNDELETED', [1, 2, 3, 4, 5]), (b'KEYWORD work', [2]),
    (b'UNKEYWORD Work', [1, 3, 4, 5]), (b'KEYWORD other', []), (b'RECENT', [1, 2, 3, 4, 5]), (b'NEW', [2, 3, 4, 5]),
    (b'OLD', []), (b'1:2', [1, 2]), (b'UID 4:*', [4, 5]), (b'*', [5]), (b'7:9', []), (b'NOT 2', [1, 3, 4, 5]),
    (b'SUBJECT first', [1]), (b'SUBJECT {6+}\r\nGR\xc3\x9c\xc3\x9f', [2]), (b'SUBJECT nothing', []),
    (b'SUBJECT ""', [1, 2, 3, 4, 5]), (b'FROM anne', [1, 2, 3, 5]), (b'FROM {5+}\r\n\xc3\x84NNE', [1, 2, 3, 5]),
    (b'TO bob', [1, 2, 3, 5]), (b'CC team', [4]), (b'BCC boss', [4]), (b'HEADER Message-ID third@x', [3]),
    (b'HEADER X-Tag "some thing"', [3]), (b'HEADER X-Tag ""', [3]), (b'HEADER Return-Path relay', [5]),
    (b'HEADER subject FOURTH', [4]), (b'HEADER Cc ""', [4]), (b'BODY treasure', [4]),
    (b'BODY {5+}\r\n\xc3\xbcber', [2]), (b'BODY fourth', []), (b'TEXT fourth', [4]), (b'TEXT p@relay', [5]),
    (b'BODY x', [5]), (b'BEFORE 10-Sep-2001', [1]), (b'ON 10-Sep-2001', [2]), (b'SINCE 10-Sep-2001', [2, 3, 4, 5]),
    (b'NOT SINCE 10-Sep-2001', [1]), (b'SENTON 9-Sep-2001', [3]), (b'SENTBEFORE 10-Sep-2001', [3]),
    (b'SENTSINCE 10-Sep-2001', []), (b'SENTSINCE 9-Sep-2001', [3]), (b'LARGER 5000', [5]),
    (b'SMALLER 5000', [1, 2, 3, 4]), (b'YOUNGER 3600', [3, 4, 5]), (b'OLDER 3600', [1, 2]),
    (b'OR SEEN FLAGGED', [1, 2]), (b'OR (FROM anne SUBJECT third) CC team', [3, 4]),
    (b'NOT OR SEEN BODY treasure', [2, 3, 5]), (b'NOT (SUBJECT third) UNSEEN NOT TEXT xxxx', [2, 4]),
    (b'CHARSET UTF-8 SUBJECT {5+}\r\n\xc3\xbc\xc3\x9fe', [2]), (b'CHARSET US-ASCII SUBJECT third', [3]),
    (b'OR OR OR 1 2 3 BODY treasure', [1, 2, 3, 4]),
]  # fmt: skip


@pytest.mark.parametrize("batch", [2, 1000])
async def test_every_key(five: MailHouse, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(find, "_ROWS", batch)
    monkeypatch.setattr(find, "_READ", batch)
    monkeypatch.setattr(find, "_AT_ONCE", 0 if batch == 2 else 1000)
    monkeypatch.setattr(find, "_SLICE", 0.0 if batch == 2 else 1.0)
    async with five.client(select="INBOX") as client:
        for keys, want in CASES:
            lines = await client.ok(b"SEARCH " + keys)
            assert lines == [b"* SEARCH" + b"".join(b" %d" % n for n in want)], keys


@pytest.mark.parametrize("late", [0, 2])
async def test_every_key_by_the_index(five: MailHouse, monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    monkeypatch.setattr(find, "_FEW", 0)
    if late:  # the last ones came after the index was made
        rows = await five.store.read(fulltext.waiting, five.accounts[ALICE], 0, 5 - late)
        monkeypatch.setattr(
            fulltext, "waiting", lambda tx, account, after, limit: [r for r in rows if r.email_id > after]
        )
    await Indexing(five.store, tail=1, rest=0).round()
    assert (await five.store.read(fulltext.standing)).indexed == 5 - late
    async with five.client(select="INBOX") as client:
        for keys, want in CASES:
            lines = await client.ok(b"SEARCH " + keys)
            assert lines == [b"* SEARCH" + b"".join(b" %d" % n for n in want)], keys


async def test_charsets(five: MailHouse) -> None:
    async with five.client(select="INBOX") as client:
        assert b"[BADCHARSET (" in await client.fails("SEARCH CHARSET X-NONE SUBJECT x")
        await client.fails(b"SEARCH CHARSET US-ASCII SUBJECT {2+}\r\n\xc3\xbc", b"BAD")
        await client.fails("SEARCH NONSENSE", b"BAD")
        await client.fails("SEARCH", b"BAD")


async def test_uids_and_extended_answers(five: MailHouse) -> None:
    await five.store.write(messages.remove, five.box().id, [(1, 1), (3, 3)])
    async with five.client(select="INBOX") as client:
        assert await client.ok("UID SEARCH ALL") == [b"* SEARCH 2 4 5"]
        assert await client.ok("SEARCH UID 4") == [b"* SEARCH 2"]
        (line,) = await client.ok("UID SEARCH RETURN (MIN MAX ALL COUNT) UNSEEN")
        assert line.endswith(b" UID MIN 2 MAX 5 ALL 2,4:5 COUNT 3")
        (line,) = await client.ok("SEARCH RETURN (COUNT) DELETED")
        assert line.endswith(b") COUNT 0")


async def test_modseq(five: MailHouse) -> None:
    start = five.box().modseq
    await five.store.write(messages.set_flags, five.box().id, [(4, 4)], "+", 4)
    await five.store.write(messages.set_flags, five.box().id, [(2, 2)], "+", 1)
    async with five.client(select="INBOX") as client:
        assert await client.ok(f"SEARCH MODSEQ {start + 1}") == [b"* SEARCH 2 4 (MODSEQ %d)" % (start + 2)]
        assert await client.ok(f'SEARCH MODSEQ "/flags/\\\\Seen" all {start + 1} FLAGGED') == [
            b"* SEARCH 2 4 (MODSEQ %d)" % (start + 2)
        ]
        (line,) = await client.ok(f"SEARCH RETURN (MAX) MODSEQ {start + 1}")
        assert line.endswith(b" MAX 4 MODSEQ %d" % (start + 1))
        assert await client.ok(f"SEARCH MODSEQ {start + 9}") == [b"* SEARCH"]


async def test_a_search_sees_what_others_changed_but_not_what_the_client_was_not_told(house: MailHouse) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        await house.store.write(messages.set_flags, house.box().id, [(2, 2)], "+", 4)
        await house.fill(1)
        lines = await client.ok("SEARCH FLAGGED")
        assert lines[:2] == [b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged))", b"* SEARCH 2"]
        assert b"* 4 EXISTS" in lines
        assert (await client.ok("SEARCH ALL"))[0] == b"* SEARCH 1 2 3 4"


async def test_a_long_search_ends_with_its_client(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_READ", 1)
    monkeypatch.setattr(find, "_SLICE", 0.0)
    await house.deliver(*(HELLO + b"%d" % n for n in range(300)))
    async with house.client(select="INBOX") as client:
        client.send(b"x SEARCH TEXT absent\r\n")
        await client.writer.drain()
    async with asyncio.timeout(5):
        for listener in house.doors.listeners:
            await asyncio.gather(*listener.tasks)
