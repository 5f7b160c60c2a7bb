"""Bad input (D13): the answer is clear, memory and other sessions stay as they are."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from tests.serve.imap.conftest import Client, MailHouse


def resident() -> int:
    """Octets of memory this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def rest(client: Client) -> bytes:
    """All that comes until the server closes."""
    told = b""
    try:
        while piece := await asyncio.wait_for(client.reader.read(65536), 5):
            told += piece
    except ConnectionError:
        pass
    return told


async def pour(client: Client, piece: bytes, times: int) -> None:
    """Send for as long as the server takes it."""
    try:
        for _ in range(times):
            client.send(piece)
            await asyncio.wait_for(client.writer.drain(), 5)
    except (ConnectionError, TimeoutError):
        pass


@pytest.mark.parametrize("logged_in", [False, True])
async def test_d13_a_literal_of_four_gigabytes(house: MailHouse, logged_in: bool) -> None:
    before = resident()
    async with house.client(None) as client:
        if logged_in:
            await client.ok('LOGIN alice@example.test "wonder land"')
        client.send(b"A {4294967295+}\r\n")
        await pour(client, b"x" * 100_000, 100)
        told = await rest(client)
        assert told.startswith(b"A BAD ") and b"* BYE " in told
    assert resident() - before < 20 << 20


async def test_d13_a_million_parentheses(house: MailHouse) -> None:
    before = resident()
    for address in (None, next(iter(house.accounts))):
        async with house.client(address) as client:
            client.send(b"A NOOP " + b"(" * 1_000_000)
            await pour(client, b"", 1)
            client.send(b"\r\nB NOOP\r\n")
            told = await asyncio.wait_for(client.reader.readline(), 5)
            assert told.startswith(b"A BAD ")
    assert resident() - before < 20 << 20


async def test_d13_an_endless_line(house: MailHouse) -> None:
    before = resident()
    async with house.client(None) as client:
        client.send(b"A ")
        await pour(client, b"x" * 100_000, 100)
        told = await rest(client)
        assert told.startswith(b"A BAD ") and b"* BYE" in told
    assert resident() - before < 20 << 20


async def test_d13_limits_of_words_depth_ranges_and_patterns(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:
        await client.fails("SEARCH " + "(" * 60 + "ALL" + ")" * 60, b"BAD")
        await client.fails("SEARCH " + "NOT SEEN " * 3000 + "ALL", b"BAD")
        await client.fails("FETCH " + ",".join(["1"] * 20_000) + " UID", b"BAD")
        await client.fails('LIST "" (' + "x " * 60 + "x)", b"BAD")
        await client.fails(b"STATUS {70000}", b"BAD")
        await client.ok("SEARCH " + "OR SEEN " * 40 + "ALL")
        await client.ok("SEARCH " + "OR 1 " * 1000 + "1")
        await client.ok("NOOP")


async def test_before_login_no_literals_but_for_logging_in(house: MailHouse) -> None:
    async with house.client(None) as client:
        await client.fails("NOOP {1}", b"BAD")
        await client.fails("LOGIN {16385}", b"BAD")
        await client.ok(b"LOGIN {18+}\r\nalice@example.test {11+}\r\nwonder land")


async def test_too_many_errors_in_a_row(house: MailHouse) -> None:
    async with house.client() as client:
        for _ in range(LIMITS.imap_errors):
            await client.fails("NONSENSE", b"BAD")
        await client.ok("NOOP")
        for _ in range(LIMITS.imap_errors):
            client.send(b"x\r\n")
            assert (await client.line()).startswith(b"* BAD")
        client.send(b"\r\n")
        told = await rest(client)
        assert told.startswith(b"* BAD") and b"* BYE too many errors" in told


async def test_one_octet_at_a_time_is_not_for_ever(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.session.LIMITS", replace(LIMITS, imap_patience_before_login=0.2))  # type: ignore[arg-type]
    async with house.client(None) as client:

        async def drip() -> None:
            while True:
                client.send(b"x")
                await asyncio.sleep(0.02)

        drip_on = asyncio.create_task(drip())
        assert b"* BYE" in await rest(client)
        drip_on.cancel()


async def test_half_closed_sockets_get_their_answers(house: MailHouse) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        client.send(b"a FETCH 1:* (UID BODY.PEEK[])\r\nb NOOP\r\n")
        client.writer.write_eof()
        told = await rest(client)
        assert told.count(b" FETCH (") == 3 and told.endswith(b"b OK NOOP completed\r\n")


async def test_garbage_is_answered_or_the_connection_ends(house: MailHouse) -> None:
    async with house.client(None) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n")
        client.send(b"GET / HTTP/1.1\r\n\r\n\xff\xfe\r\nx LOGOUT\r\n")
        assert b"x OK LOGOUT" in await rest(client)


async def test_commands_have_their_states(house: MailHouse) -> None:
    async with house.client(None) as client:
        for command in ("SELECT INBOX", 'LIST "" *', "FETCH 1 UID", "IDLE", "APPEND INBOX", "COMPRESS DEFLATE"):
            await client.fails(command, b"BAD")
        await client.ok('LOGIN alice@example.test "wonder land"')
        for command in ("FETCH 1 UID", "STORE 1 FLAGS ()", "EXPUNGE", "CLOSE", "CHECK", "UID SEARCH ALL", "LOGIN a b"):
            await client.fails(command, b"BAD")


async def test_many_long_sections_of_one_message_are_not_held_at_once(house: MailHouse) -> None:
    await house.deliver(b"Subject: long\r\n\r\n" + b"x" * 250_000)
    before = resident()
    async with house.client(select="INBOX") as client:
        sections = " ".join(f"BODY.PEEK[TEXT]<{n}.240000>" for n in range(190))
        client.send(f"a FETCH 1 ({sections})\r\n".encode())
        total = 0
        while total < 190 * 240_000:
            total += len(await asyncio.wait_for(client.reader.read(1 << 20), 5))
        assert resident() - before < 20 << 20
        client.send(b"b NOOP\r\n")
        assert (await client.answer(b"b"))[-1].startswith(b"OK")
