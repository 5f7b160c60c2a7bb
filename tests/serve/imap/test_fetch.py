"""FETCH: every item, every section, from one message to many."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re

import pytest

from daemon.serve.imap import fetch, octets
from daemon.store import messages
from tests.serve.imap.conftest import HELLO, MailHouse, numbers
from tests.serve.imap.test_traps import SELECT

MIXED = (
    b"From: A <a@example.org>\r\nTo: b@example.org\r\nSubject: mixed\r\nReceived: one\r\nReceived: two\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n'
    b"--b\r\nContent-Type: message/rfc822\r\nX-Of: part\r\n\r\nSubject: inner\r\nFrom: c@example.org\r\n\r\n"
    b"inner text\r\n--b--\r\n"
)
PREFIX = b"Return-Path: <x@example.org>\r\nReceived: by us\r\n"
WHOLE = PREFIX + MIXED


def bodies(lines: list[bytes]) -> dict[bytes, bytes | None]:
    """Sections of one FETCH answer by their names."""
    found: dict[bytes, bytes | None] = {}
    line = lines[0]
    at = 0
    while match := re.compile(rb"(BODY\[[^]]*\](?:<\d+>)?|RFC822(?:\.\w+)?) (?:NIL|\{(\d+)\}\r\n)").search(line, at):
        size = int(match[2]) if match[2] is not None else 0
        found[match[1]] = None if match[2] is None else line[match.end() : match.end() + size]
        at = match.end() + size
    return found


async def test_sections_are_slices_of_prefix_and_original(house: MailHouse) -> None:
    await house.deliver(MIXED, prefix=PREFIX)
    header, _, body = MIXED.partition(b"\r\n\r\n")
    inner = b"Subject: inner\r\nFrom: c@example.org\r\n\r\n"
    async with house.client(select="INBOX") as client:
        asked = (
            "BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2]"
            " BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME] BODY.PEEK[2.1] BODY.PEEK[3]"
            " BODY.PEEK[1.TEXT] BODY.PEEK[]<10.20>"
            " BODY.PEEK[]<99999.5> BODY.PEEK[TEXT]<0.8> BODY.PEEK[HEADER.FIELDS (received)]"
            " BODY.PEEK[HEADER.FIELDS.NOT (RECEIVED CONTENT-TYPE RETURN-PATH)] BODY.PEEK[HEADER.FIELDS (SUBJECT)]<3.6>"
            " BODY.PEEK[2.HEADER.FIELDS (From)] RFC822.HEADER"
        )
        found = bodies(await client.ok(f"FETCH 1 ({asked})"))
        assert found == {
            b"BODY[]": WHOLE,
            b"BODY[HEADER]": PREFIX + header + b"\r\n\r\n",
            b"BODY[TEXT]": body,
            b"BODY[1]": b"first",
            b"BODY[1.MIME]": b"Content-Type: text/plain\r\n\r\n",
            b"BODY[2]": inner + b"inner text",
            b"BODY[2.HEADER]": inner,
            b"BODY[2.TEXT]": b"inner text",
            b"BODY[2.MIME]": b"Content-Type: message/rfc822\r\nX-Of: part\r\n\r\n",
            b"BODY[2.1]": b"inner text",
            b"BODY[3]": None,
            b"BODY[1.TEXT]": None,
            b"BODY[]<10>": WHOLE[10:30],
            b"BODY[]<99999>": b"",
            b"BODY[TEXT]<0>": body[:8],
            b"BODY[HEADER.FIELDS (RECEIVED)]": b"Received: by us\r\nReceived: one\r\nReceived: two\r\n\r\n",
            b"BODY[HEADER.FIELDS.NOT (RECEIVED CONTENT-TYPE RETURN-PATH)]": (
                b"From: A <a@example.org>\r\nTo: b@example.org\r\nSubject: mixed\r\n\r\n"
            ),
            b"BODY[HEADER.FIELDS (SUBJECT)]<3>": b"ject: ",
            b"BODY[2.HEADER.FIELDS (FROM)]": b"From: c@example.org\r\n\r\n",
            b"RFC822.HEADER": PREFIX + header + b"\r\n\r\n",
        }
        (line,) = await client.ok("FETCH 1 RFC822.SIZE")
        assert line == b"* 1 FETCH (RFC822.SIZE %d)" % len(WHOLE)


@pytest.mark.parametrize("size", [0, 300_000])
async def test_sections_of_a_long_message_are_sent_in_pieces(house: MailHouse, size: int) -> None:
    filler = os.urandom(size).hex().encode()
    message = HELLO.replace(
        b"Good morning.\r\n", b"\r\n".join(filler[at : at + 76] for at in range(0, len(filler), 76))
    )
    await house.deliver(message, prefix=PREFIX)
    async with house.client(select="INBOX") as client:
        for asked, want in [
            ("BODY.PEEK[]", {b"BODY[]": PREFIX + message}),
            ("RFC822.TEXT BODY.PEEK[HEADER]", {
                b"RFC822.TEXT": message.partition(b"\r\n\r\n")[2],
                b"BODY[HEADER]": PREFIX + message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
            }),
            ("BODY.PEEK[]<5.10> BODY.PEEK[1] BODY.PEEK[9]", {
                b"BODY[]<5>": (PREFIX + message)[5:15],
                b"BODY[1]": message.partition(b"\r\n\r\n")[2],
                b"BODY[9]": None,
            }),
            ("BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]", {
                b"BODY[HEADER.FIELDS (SUBJECT)]": b"Subject: hello\r\n\r\n",
                b"BODY[TEXT]": message.partition(b"\r\n\r\n")[2],
            }),
        ]:  # fmt: skip
            assert bodies(await client.ok(f"FETCH 1 ({asked})")) == want


async def test_many_messages_come_byte_for_byte_and_in_order(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octets, "_PIECE", 5000)
    monkeypatch.setattr(fetch, "_ROWS", 17)
    contents = [HELLO + b"%d " % n * (n % 50) for n in range(100)] + [HELLO + b"x" * 9000]
    await house.deliver(*contents, prefix=PREFIX)
    await house.store.write(messages.remove, house.box().id, [(10, 12), (50, 50)])
    left = [content for n, content in enumerate(contents, 1) if n not in (10, 11, 12, 50)]
    async with house.client(select="INBOX") as client:
        lines = await client.ok("FETCH 1:* (UID BODY.PEEK[])")
        assert [bodies([line])[b"BODY[]"] for line in lines] == [PREFIX + content for content in left]
        assert numbers(lines, b"FETCH") == list(range(1, 98))
        lines = await client.ok("UID FETCH 3,7:14,90:* (BODY.PEEK[TEXT]<0.4> FLAGS)")
        assert len(lines) == 1 + 5 + 12 and all(b"BODY[TEXT]<0> {4}\r\nGood" in line for line in lines)


async def test_reading_makes_seen_in_one_write_and_says_so(house: MailHouse) -> None:
    await house.fill(3)
    await house.says(
        SELECT
        + r"""
C: a FETCH 1 (BODY[TEXT]<0.4>)
S: * 1 FETCH (FLAGS (\Recent \Seen) BODY[TEXT]<0> {4}
S: Good)
S: a OK …
C: b FETCH 1 (BODY[TEXT]<0.4>)
S: * 1 FETCH (BODY[TEXT]<0> {4}
S: Good)
S: b OK …
C: c FETCH 1:2 (FLAGS RFC822.HEADER)
S: * 1 FETCH (FLAGS (\Recent \Seen) RFC822.HEADER {72}
S* )
S: * 2 FETCH (FLAGS (\Recent) RFC822.HEADER {72}
S* )
S: c OK …
C: d FETCH 2:3 (RFC822.TEXT MODSEQ UID)
S: * 2 FETCH (MODSEQ ({{m:[0-9]+}}) UID 2 FLAGS (\Recent \Seen) RFC822.TEXT {15}
S* )
S: * 3 FETCH (MODSEQ ({{m}}) UID 3 FLAGS (\Recent \Seen) RFC822.TEXT {15}
S* )
S: d OK …
C: e STORE 3 -FLAGS.SILENT (\Seen)
S: * 3 FETCH (MODSEQ ({{n:[0-9]+}}))
S: e OK …
C: f FETCH 3 BODY[TEXT]<0.1>
S: * 3 FETCH (FLAGS (\Recent \Seen) MODSEQ ({{o:[0-9]+}}) BODY[TEXT]<0> {1}
S: G)
S: f OK …
"""
    )
    assert house.box().unseen == 0


async def test_macros_and_columns(house: MailHouse) -> None:
    await house.deliver(MIXED, received_at=1_000_000_000_000)
    async with house.client(select="INBOX") as client:
        (fast,) = await client.ok("FETCH 1 FAST")
        assert fast == b'* 1 FETCH (FLAGS (\\Recent) INTERNALDATE " 9-Sep-2001 01:46:40 +0000" RFC822.SIZE %d)' % len(
            MIXED
        )
        (full,) = await client.ok("FETCH 1 FULL")
        assert full.startswith(fast[:-1] + b" ENVELOPE (NIL ") and b' BODY (("text" "plain"' in full
        (rows,) = await client.ok("UID FETCH 1 (BODYSTRUCTURE MODSEQ)")
        assert re.fullmatch(rb"\* 1 FETCH \(UID 1 BODYSTRUCTURE \(.*\) MODSEQ \(\d+\)\)", rows)


async def test_changedsince_tells_what_changed(house: MailHouse) -> None:
    await house.fill(5)
    modseq = house.box().modseq
    await house.store.write(messages.set_flags, house.box().id, [(2, 2), (4, 4)], "+", 4)
    async with house.client(select="INBOX") as client:
        lines = await client.ok(f"UID FETCH 1:3 (FLAGS) (CHANGEDSINCE {modseq})")
        assert lines == [b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged) MODSEQ (%d))" % (modseq + 1)]
        lines = await client.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})")
        assert numbers(lines, b"FETCH") == [2, 4]
        assert await client.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq + 9})") == []


async def test_a_message_that_is_gone_for_others_is_missing_or_told_as_it_was(house: MailHouse) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        await house.store.write(messages.remove, house.box().id, [(2, 2)])
        *lines, last = await client.command("FETCH 1:3 (UID RFC822.SIZE)")
        assert numbers(lines, b"FETCH") == [1, 3] and last.startswith(b"NO [EXPUNGEISSUED]")
        assert len(await client.ok("FETCH 1:3 (UID FLAGS)")) == 3
        *lines, last = await client.command("UID FETCH 1:3 (BODY.PEEK[])")
        assert last.startswith(b"OK [EXPUNGEISSUED]") and numbers(lines, b"EXPUNGE") == [2]


def spoil(house: MailHouse, uid: int) -> None:
    """Cut the segment inside a message."""
    (row,) = house.store.read_now(messages.fetch, house.box().id, [(uid, uid)], ("segment_id", "offset", "length"))
    path = house.store.data.segments / f"{row[0]:08d}.seg"
    os.truncate(path, row[1] + row[2] // 2)


async def test_a_damaged_message_harms_no_other(house: MailHouse) -> None:
    await house.fill(5)
    spoil(house, 5)
    async with house.client(select="INBOX") as client:
        *lines, last = await client.command("FETCH 1:* (UID BODY.PEEK[])")
        assert numbers(lines, b"FETCH") == [1, 2, 3, 4] and last.startswith(b"NO [CORRUPTION] 1 ")
        *_, last = await client.command("FETCH 5 BODY.PEEK[TEXT]")
        assert last.startswith(b"NO [CORRUPTION]")
        assert await client.ok("SEARCH TEXT morning") == [b"* SEARCH 1 2 3 4"]


async def test_damage_in_the_middle_of_a_literal_ends_the_connection(house: MailHouse) -> None:
    await house.deliver(HELLO + b"x" * 1_000_000)
    spoil(house, 1)
    async with house.client(select="INBOX") as client:
        client.send(b"x FETCH 1 BODY.PEEK[]\r\n")
        told = b""
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(client.reader.read(1 << 20), 5):
                told += piece
        assert len(told) < 1_000_000 and b"x OK" not in told and b"x NO" not in told
    async with house.client(select="INBOX") as client:
        await client.ok("FETCH 1 ENVELOPE")


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(house: MailHouse) -> None:
    await house.deliver(*(HELLO + b"%d" % n + b"y" * 60_000 for n in range(100)))
    async with house.client(select="INBOX") as client:
        client.send(b"x FETCH 1:* (UID BODY.PEEK[])\r\n")
        await client.reader.readexactly(100_000)
    async with asyncio.timeout(5):
        for listener in house.doors.listeners:
            await asyncio.gather(*listener.tasks)


async def test_fetch_of_flags_of_very_many(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_LINES", 10)
    await house.fill(35, keyword_names=["word"])
    async with house.client(select="INBOX") as client:
        lines = await client.ok("FETCH 1:* (FLAGS UID)")
        assert lines[34] == b"* 35 FETCH (FLAGS (\\Recent word) UID 35)" and len(lines) == 35
        assert numbers(await client.ok("FETCH 3:5,12,30:35 FLAGS"), b"FETCH") == [3, 4, 5, 12, *range(30, 36)]
        assert numbers(await client.ok("FETCH 3:15 UID"), b"FETCH") == list(range(3, 16))
