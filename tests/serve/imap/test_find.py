"""SEARCH: every key, alone and joined."""

from __future__ import annotations

import pytest

from daemon.serve.imap import find
from daemon.store import messages
from tests.serve.imap.conftest import HELLO, MailHouse

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


CASES = [
    ("ALL", [1, 2, 3, 4, 5]),
    ("SEEN", [1]), ("UNSEEN", [2, 3, 4, 5]), ("FLAGGED", [2]), ("ANSWERED DRAFT", [5]), ("UNANSWERED UNDRAFT", [1, 2, 3, 4]),
    ("DELETED", []), ("UNDELETED", [1, 2, 3, 4, 5]), ("KEYWORD work", [2]), ("UNKEYWORD Work", [1, 3, 4, 5]),
    ("KEYWORD other", []), ("RECENT", [1, 2, 3, 4, 5]), ("NEW", [2, 3, 4, 5]), ("OLD", []),
    ("1:2", [1, 2]), ("UID 4:*", [4, 5]), ("*", [5]), ("7:9", []), ("NOT 2", [1, 3, 4, 5]),
    ("SUBJECT first", [1]), ("SUBJECT {6+}\r\nGR\xc3\x9c\xc3\x9f", [2]), ("SUBJECT nothing", []), ('SUBJECT ""', [1, 2, 3, 4, 5]),
    ("FROM anne", [1, 2, 3, 5]), ("FROM {5+}\r\n\xc3\x84NNE", [1, 2, 3, 5]), ("TO bob", [1, 2, 3, 5]), ("CC team", [4]),
    ("BCC boss", [4]), ("HEADER Message-ID third@x", [3]), ("HEADER X-Tag \"some thing\"", [3]), ('HEADER X-Tag ""', [3]),
    ("HEADER Return-Path relay", [5]), ("HEADER subject FOURTH", [4]), ('HEADER Cc ""', [4]),
    ("BODY treasure", [4]), ("BODY {4+}\r\n\xc3\xbcber".replace("{4+}", "{5+}"), [2]), ("BODY fourth", []), ("TEXT fourth", [4]),
    ("TEXT p@relay", [5]), ("BODY x", [5]),
    ("BEFORE 10-Sep-2001", [1]), ("ON 10-Sep-2001", [2]), ("SINCE 10-Sep-2001", [2, 3, 4, 5]), ("NOT SINCE 10-Sep-2001", [1]),
    ("SENTON 9-Sep-2001", [3]), ("SENTBEFORE 10-Sep-2001", [3]), ("SENTSINCE 10-Sep-2001", []), ("SENTSINCE 9-Sep-2001", [3]),
    ("LARGER 5000", [5]), ("SMALLER 5000", [1, 2, 3, 4]), ("YOUNGER 3600", [3, 4, 5]), ("OLDER 3600", [1, 2]),
    ("OR SEEN FLAGGED", [1, 2]), ("OR (FROM anne SUBJECT third) CC team", [3, 4]), ("NOT OR SEEN BODY treasure", [2, 3, 5]),
    ("NOT (SUBJECT third) UNSEEN NOT TEXT xxxx", [2, 4]), ("CHARSET UTF-8 SUBJECT {5+}\r\n\xc3\xbc\xc3\x9fe", [2]),
    ("CHARSET US-ASCII SUBJECT third", [3]), ("OR OR OR 1 2 3 BODY treasure", [1, 2, 3, 4]),
]  # fmt: skip


@pytest.mark.parametrize("batch", [2, 1000])
async def test_every_key(five: MailHouse, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(find, "_ROWS", batch)
    monkeypatch.setattr(find, "_READ", batch)
    monkeypatch.setattr(find, "_SLICE", 0.0 if batch == 2 else 1.0)
    async with five.client(select="INBOX") as client:
        for keys, want in CASES:
            lines = await client.ok(b"SEARCH " + keys.encode("latin-1"))
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
    import asyncio

    monkeypatch.setattr(find, "_READ", 1)
    monkeypatch.setattr(find, "_SLICE", 0.0)
    await house.deliver(*(HELLO + b"%d" % n for n in range(300)))
    async with house.client(select="INBOX") as client:
        client.send(b"x SEARCH TEXT absent\r\n")
        await client.writer.drain()
    async with asyncio.timeout(5):
        for listener in house.doors.listeners:
            await asyncio.gather(*listener.tasks)
