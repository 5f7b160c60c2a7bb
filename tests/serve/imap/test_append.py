"""APPEND: what is stored, and what is refused before its bytes are sent."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from daemon.admin import trace as telling
from daemon.limits import LIMITS
from daemon.store import accounts, messages
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.instruments.clamd import DROP, EICAR, STALL, Clamd
from tests.instruments.until import soon
from tests.serve.imap.conftest import ALICE, HELLO, MailHouse
from tests.serve.imap.test_traps import LOGIN, SELECT


async def test_flags_date_and_bytes_are_kept(house: MailHouse) -> None:
    message = os.urandom(3000).replace(b"\0", b"\1")
    async with house.client(select="Sent") as client:
        head = b'APPEND Sent (\\Seen \\Draft) "31-Dec-2025 23:59:59 -0100" {%d}' % len(message)
        client.send(b"a " + head + b"\r\n")
        lines = [await client.line()]
        assert lines[0].startswith(b"+ ")
        client.send(message + b"\r\n")
        await client.answer(b"a")
        (line,) = await client.ok("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])")
        assert line == (
            b'* 1 FETCH (FLAGS (\\Recent \\Seen \\Draft) INTERNALDATE " 1-Jan-2026 00:59:59 +0000" BODY[] {3000}\r\n'
            + message
            + b")"
        )


async def test_a_large_message_goes_through_a_file(house: MailHouse) -> None:
    message = HELLO + os.urandom(LIMITS.spool_memory).hex().encode()
    async with house.client(select="INBOX") as client:
        await client.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(message), message))
        (line,) = await client.ok("FETCH 1 BODY.PEEK[]")
        body = line.partition(b"\r\n")[2][:-1]
        assert hashlib.sha256(body).digest() == hashlib.sha256(message).digest()
    assert not list(house.store.data.spool.iterdir())


async def test_what_is_refused_before_it_is_sent(house: MailHouse) -> None:
    await house.store.write(lambda tx: accounts.change(tx, house.accounts[ALICE], quota=1000))
    await house.says(
        LOGIN
        + """
C: a APPEND INBOX {99999999999}
S: a NO [TOOBIG] …
C: b APPEND INBOX {1001}
S: b NO [OVERQUOTA] …
C: c APPEND INBOX {4+}
C> abcd
C:
S: c OK [APPENDUID …
C: d APPEND INBOX {1000+}
C> {{thousand}}
C:
S: d NO [OVERQUOTA] …
C: e APPEND Nowhere {4+}
C> abcd
C:
S: e NO [TRYCREATE] …
C: f APPEND INBOX {0+}
C:
S: f NO …
C: g APPEND INBOX "no date" {4+}
C> abcd
C:
S: g BAD …
C: h APPEND INBOX (\\Strange) {4+}
C> abcd
C:
S: h BAD …
C: i APPEND INBOX {4+}
C> abcd
C:  {4+}
C> abcd
C:
S: i BAD …
C: j NOOP
S: j OK …
""",
        thousand="x" * 1000,
    )
    assert house.box().total == 1


async def test_a_full_disk_refuses_mail_and_nothing_else(house: MailHouse) -> None:
    await house.fill(2)
    house.store.reserve = 1 << 60
    await house.says(
        SELECT
        + r"""
C: a APPEND INBOX {4}
S: a NO [UNAVAILABLE] …
C: b FETCH 1 BODY[TEXT]<0.4>
S: * 1 FETCH (FLAGS (\Recent \Seen) BODY[TEXT]<0> {4}
S: Good)
S: b OK …
C: c STORE 1 +FLAGS.SILENT (\Deleted)
S: c OK …
C: d EXPUNGE
S: * 1 EXPUNGE
S: d OK …
C: e COPY 1 Archive
S: e OK …
"""
    )


async def test_the_disk_that_fills_meanwhile(house: MailHouse) -> None:
    async with house.client() as client:
        client.send(b"a APPEND INBOX {4}\r\n")
        assert (await client.line()).startswith(b"+ ")
        house.store.reserve = 1 << 60
        client.send(b"abcd\r\n")
        assert (await client.line()).startswith(b"a NO [UNAVAILABLE]")
        house.store.reserve = 0
        await client.ok(b"APPEND INBOX {4+}\r\nabcd")


async def test_a_spool_that_fails_does_not_lose_the_place(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    async with house.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr(Body, "write", full)
            await client.fails(b"APPEND INBOX {70000+}\r\n" + b"x" * 70_000, b"NO [UNAVAILABLE]")
        await client.ok(b"APPEND INBOX {4+}\r\nabcd")
    assert house.box().total == 1


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(house: MailHouse) -> None:
    async with house.client() as client:
        client.send(b"a APPEND INBOX {5000000}\r\n")
        assert (await client.line()).startswith(b"+ ")
        client.send(b"x" * 2_000_000)
        await client.writer.drain()
        client.writer.write_eof()
        assert await client.reader.read() == b""
    assert not list(house.store.data.spool.iterdir())
    assert house.box().total == 0


async def test_appended_twice_is_kept_once_and_counted_twice(house: MailHouse) -> None:
    async with house.client(select="INBOX") as client:
        for _ in range(2):
            await client.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(HELLO), HELLO))
    rows = house.store.read_now(messages.fetch, house.box().id, messages.ALL, ("blob_id", "email_id"))
    assert rows[0][0] == rows[1][0] and rows[0][1] != rows[1][1]
    assert house.box().size == 2 * len(HELLO)


@pytest.mark.parametrize("settings", [{"limits.message_size": "1K", "limits.quota": "2K"}])
async def test_settings_are_the_limits(house: MailHouse) -> None:
    async with house.client() as client:
        (line,) = await client.ok("CAPABILITY")
        assert b" APPENDLIMIT=1024" in line
        await client.fails("APPEND INBOX {1025}", b"NO [TOOBIG]")
        await client.ok(b"APPEND INBOX {1024+}\r\n" + b"x" * 1024)
        await client.ok(b"APPEND INBOX {1024+}\r\n" + b"y" * 1024)
        await client.fails("APPEND INBOX {1}", b"NO [OVERQUOTA]")
        house.set(limits__message_size="2K", limits__quota="1G")
        (line,) = await client.ok("CAPABILITY")
        assert b" APPENDLIMIT=2048" in line
        await client.ok(b"APPEND INBOX {2048+}\r\n" + b"x" * 2048)


# -- viruses -----------------------------------------------------------------------------------------------------------

LETTER = b"Message-ID: <1@far.example>\r\nSubject: x\r\n\r\nhello\r\n"
BAD = LETTER + EICAR + b"\r\n"


def appended(data: bytes, mailbox: str = "INBOX") -> bytes:
    return b"APPEND %s {%d+}\r\n%b" % (mailbox.encode(), len(data), data)


def story(house: MailHouse) -> str:
    """What the trace has of the last message."""
    told, *_ = telling.stories(house.store, "1@far.example")
    return told.steps[0].text


async def test_a_virus_is_not_put_into_a_mailbox(house: MailHouse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    large = BAD + b"x" * LIMITS.spool_memory
    async with Clamd() as scanner, house.client() as client:
        house.set(virus__scanner=scanner.setting)
        said = await client.fails(appended(BAD), b"NO [CANNOT]")
        assert b"the virus scanner found Eicar-Test-Signature in it: it is not kept" in said
        await client.fails(appended(large, "Sent"), b"NO [CANNOT]")
        await client.ok(appended(LETTER))
        assert scanner.seen == [BAD, large, LETTER], "as they came"
    assert (house.box().total, house.box("Sent").total) == (1, 0)
    assert not house.store.read_now(
        Tx.value, "select count(*) from blob where sha256 <> ?", hashlib.sha256(LETTER).digest()
    )
    assert "event=refused" in caplog.text and "reason=virus" in caplog.text and f"user={ALICE}" in caplog.text
    told = [step.text for one in telling.stories(house.store, "1@far.example") for step in one.steps]
    assert f"refused, into INBOX of {ALICE}: virus (the virus scanner found Eicar-Test-Signature in it)" in told
    assert not list(house.store.data.spool.iterdir())


@pytest.mark.parametrize("answer,why", [(DROP, "without an answer"), (STALL, "within 1 s"), (b"?\0", "it says")])
async def test_a_scanner_that_cannot_say_about_an_append(
    house: MailHouse, answer: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Clamd(answer) as scanner, house.client() as client:
        house.set(virus__scanner=scanner.setting, virus__timeout="1s")
        said = await client.fails(appended(LETTER), b"NO [UNAVAILABLE]")
        assert why.encode() in said and b"try again later" in said and house.box().total == 0
        house.set(virus__on_error="deliver")
        await client.ok(appended(LETTER))
    assert "not looked into for viruses: " in story(house) and why in story(house)
    assert caplog.text.count("event=unscanned") == 2


async def test_what_is_too_large_for_the_scanner_is_kept_and_told(house: MailHouse) -> None:
    async with Clamd() as scanner, house.client() as client:
        house.set(virus__scanner=scanner.setting, virus__size="100")
        await client.ok(appended(LETTER + b"x\r\n" * 100))
        assert "it has over 100 octets" in story(house) and scanner.seen == []


async def test_the_setting_for_what_users_hand_in_is_for_appends_too(house: MailHouse) -> None:
    async with Clamd() as scanner, house.client() as client:
        house.set(virus__scanner=scanner.setting, virus__outgoing="no")
        await client.ok(appended(BAD))
        assert scanner.connections == 0 and house.box().total == 1


async def test_others_are_served_while_the_scanner_thinks(house: MailHouse) -> None:
    async with Clamd() as scanner, house.client() as one, house.client() as other:
        scanner.wait = asyncio.Event()
        house.set(virus__scanner=scanner.setting)
        one.send(b"a " + appended(LETTER) + b"\r\n")
        await soon(lambda: scanner.seen)
        await other.ok("NOOP")
        assert house.box().total == 0, "nothing is kept before it is known"
        scanner.wait.set()
        await one.answer(b"a")
    assert house.box().total == 1
