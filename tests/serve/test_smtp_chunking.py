"""BDAT, with its own state machine (RFC 3030): CVE-2026-40684 and its kin live between BDAT and everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.serve.post_office import ALICE, MESSAGE, PostOffice


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    office = PostOffice(tmp_path)
    office.add_user(ALICE)
    yield office
    await office.close()


async def begin(c, *extra):
    await c.says("MAIL FROM:<a@remote.example>", "250")
    await c.says(f"RCPT TO:<{ALICE}>", "250")


async def test_a_message_in_one_chunk(office):
    async with office.greeted() as c:
        await begin(c)
        await c.says(b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE, "250 2.0.0")
        await c.says("NOOP", "250")
    assert office.content_of(ALICE) == [MESSAGE]


async def test_a_message_in_many_chunks_dots_and_all(office):
    message = MESSAGE + b".\r\n..\r\n.x\r\nend"
    async with office.greeted() as c:
        await begin(c)
        for at in range(0, len(message), 7):
            piece = message[at : at + 7]
            await c.says(b"BDAT %d\r\n" % len(piece) + piece, f"250 2.0.0 {len(piece)} octets")
        await c.says("BDAT 0 LAST", "250 2.0.0")
    assert office.content_of(ALICE) == [message]


async def test_everything_in_one_packet(office):
    async with office.greeted() as c:
        c.send(
            f"MAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nBDAT {len(MESSAGE)}\r\n".encode()
            + MESSAGE + b"BDAT 2 LAST\r\n\r\nNOOP\r\nQUIT\r\n"
        )  # fmt: skip
        said = (await c.closed()).split(b"\r\n")
    assert [line[:9] for line in said] == [
        b"250 2.1.0", b"250 2.1.5", b"250 2.0.0", b"250 2.0.0", b"250 2.0.0", b"221 2.0.0", b"",
    ]  # fmt: skip
    assert office.content_of(ALICE) == [MESSAGE + b"\r\n"]


async def test_chunks_and_data_do_not_mix(office):
    async with office.greeted() as c:
        await begin(c)
        await c.says(b"BDAT 4\r\nabcd", "250")
        for line in ("DATA", "MAIL FROM:<>", f"RCPT TO:<{ALICE}>", "STARTTLS", "AUTH PLAIN"):
            await c.says(line, "503 5.5.1")
        for line in ("NOOP", "VRFY x", "HELP"):
            await c.says(line, "2")
        await c.says(b"BDAT 2 LAST\r\n\r\n", "250 2.0.0")
    assert office.content_of(ALICE) == [b"abcd\r\n"]


async def test_rset_and_ehlo_throw_the_chunks_away(office):
    async with office.greeted() as c:
        for line in ("RSET", "EHLO again"):
            await begin(c)
            await c.says(b"BDAT 4\r\nabcd", "250")
            await c.says(line, "250")
            await c.says(b"BDAT 4 LAST\r\nabcd", "554 5.5.1")
    assert office.mail_of(ALICE) == []


@pytest.mark.parametrize("argument", ["", "LAST", "-1", "x", "1 LAST LAST", "99999999999999999999"])
async def test_a_chunk_whose_size_cannot_be_read_ends_the_connection(office, argument):
    async with office.greeted() as c:
        await begin(c)
        c.send(f"BDAT {argument}\r\nMAIL FROM:<evil@x.example>")
        assert (await c.closed()) == b"501 5.5.4 Syntax: BDAT octets [LAST]\r\n"


async def test_a_huge_chunk_is_refused_before_it_is_read(office):
    async with office.greeted() as c:
        await begin(c)
        c.send("BDAT 999999999999")
        assert (await c.closed()).startswith(b"552 5.3.4")


async def test_octets_of_a_refused_chunk_are_never_commands(office):
    evil = b"RSET\r\nMAIL FROM:<evil@x.example>\r\n"
    async with office.greeted() as c:
        await c.says(b"BDAT %d\r\n" % len(evil) + evil, "554 5.5.1")
        await c.says("MAIL FROM:<a@remote.example>", "250")
        await c.says("RCPT TO:<nobody@example.test>", "550 5.1.1")
        await c.says(b"BDAT %d\r\n" % len(evil) + evil, "554 5.5.1")
        await c.says(b"BDAT %d LAST\r\n" % len(evil) + evil, "554 5.5.1")
        await begin(c)


async def test_after_a_chunk_over_the_limit_the_rest_is_thrown_away(office):
    office.set(limits__message_size="100")
    async with office.greeted() as c:
        await begin(c)
        await c.says(b"BDAT 60\r\n" + b"x" * 60, "250")
        await c.says(b"BDAT 60\r\n" + b"x" * 60, "552 5.3.4")
        await c.says(b"BDAT 60\r\n" + b"x" * 60, "503 5.5.1")
        await c.says("DATA", "503 5.5.1")
        await c.says(b"BDAT 60 LAST\r\n" + b"x" * 60, "503 5.5.1")
        await begin(c)
        await c.says(b"BDAT 120 LAST\r\n" + b"x" * 120, "552 5.3.4")
        await begin(c)
        await c.says(b"BDAT 4 LAST\r\nab\r\n", "250")
    assert office.content_of(ALICE) == [b"ab\r\n"]


async def test_bare_newlines_are_found_at_the_seams_of_chunks(office):
    async with office.greeted() as c:
        await begin(c)
        await c.says(b"BDAT 2\r\na\r", "250")
        await c.says(b"BDAT 4 LAST\r\n\nb\r\n", "250 2.0.0")
        await begin(c)
        await c.says(b"BDAT 2\r\na\r", "250")
        await c.says(b"BDAT 2 LAST\r\nb\n", "550 5.6.11")
        await begin(c)
        await c.says(b"BDAT 2 LAST\r\na\r", "550 5.6.11")


async def test_a_chunk_cut_off_is_no_message(office):
    async with office.greeted() as c:
        await begin(c)
        c.send(b"BDAT 100 LAST\r\n" + MESSAGE[:50])
        c.writer.write_eof()
        assert await c.closed() == b""
    await office.settled()
    assert office.mail_of(ALICE) == []
