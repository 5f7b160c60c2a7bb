"""What aiosmtpd does wrong, and we do not: every row of its list, over real sockets with a real store (A1-A23)."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiosmtpd.smtp
import argon2
import pytest

from daemon import passwords
from daemon.limits import LIMITS
from daemon.serve.smtp import auth, content, envelope, mx, session, submission
from daemon.store import accounts
from daemon.store.db import Store, StoreBroken, StoreBusy, StoreFull
from tests.serve.post_office import ALICE, BOB, MESSAGE, Client, PostOffice

PASSWORD = "open sesame"
FILES = (auth, content, envelope, session, submission)


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    office = PostOffice(tmp_path)
    office.add_user(ALICE, accounts.Password(*passwords.keep(PASSWORD)))
    office.add_user(BOB)
    yield office
    await office.close()
    passwords._nobody.cache_clear()


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Other ceilings for this test."""

    def change(**values: Any) -> None:
        changed = dataclasses.replace(LIMITS, **values)
        for module in FILES:
            monkeypatch.setattr(module, "LIMITS", changed, raising=False)

    return change


def plain(login: str = ALICE, password: str = PASSWORD) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


# -- A1, A2: long lines, large messages


@pytest.mark.parametrize("length", [998, 999, 1001, 2000, 60_000])
async def test_a1_long_lines_are_stored_octet_for_octet(office, length):
    message = MESSAGE + b"x" * length + b"\r\nend\r\n"
    async with office.greeted() as c:
        await c.gives(message)
    assert office.content_of(ALICE) == [message]


async def test_a1_one_line_of_ten_megabytes_is_stored(office):
    message = MESSAGE + b"x" * 10_000_000 + b"\r\n"
    async with office.greeted() as c:
        await c.gives(message)
    assert office.content_of(ALICE) == [message]


async def test_a2_large_uploads_do_not_keep_others_waiting(office):
    office.set(limits__exempt_networks="127.0.0.0/8")
    upload = MESSAGE + b"a line of a large message, one of very many\r\n" * 250_000
    answered = 0

    async def ask(done: asyncio.Event) -> None:
        nonlocal answered
        async with office.greeted() as c:
            while not done.is_set():
                await c.says("NOOP", "250 2.0.0")
                answered += 1

    async def give() -> None:
        async with office.greeted() as c:
            await c.gives(upload)

    done = asyncio.Event()
    asking = asyncio.create_task(ask(done))
    await asyncio.gather(give(), give(), give(), give())
    done.set()
    await asking
    assert answered > 100  # a stock aiosmtpd lets through about one a message
    assert len(office.mail_of(ALICE)) == 4


# -- A3: patience


async def test_a3_a_silent_client_is_told_and_let_go(office, limits):
    limits(smtp_command_patience=0.05)
    async with office.client() as c:
        await c.reply()
        assert await c.closed() == b"421 4.4.2 Nothing heard for too long\r\n"


async def test_a3_silence_inside_data_is_told_and_nothing_is_stored(office, limits):
    limits(smtp_data_patience=0.05)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("DATA", "354")
        c.send(b"Subject: half\r\n")
        assert await c.closed() == b"421 4.4.2 Nothing heard for too long\r\n"
    assert office.mail_of(ALICE) == []


class Clock:
    """The loop's time, which the test can move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.ahead = 0.0
        real = self.loop.time
        monkeypatch.setattr(self.loop, "time", lambda: real() + self.ahead)

    async def give(self, office: PostOffice, c: Client, octets: bytes, seconds: float) -> None:
        """Let the server read these, then let time pass."""
        [conn] = office.sessions
        known = conn.envelope.incoming.content.size + len(conn.stream)
        c.send(octets)
        while office.sessions and conn.envelope.incoming.content.size + len(conn.stream) == known:
            await asyncio.sleep(0)
        self.ahead += seconds


async def test_a3_an_upload_longer_than_the_patience_is_taken_while_it_moves(office, monkeypatch):
    clock = Clock(monkeypatch)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("DATA", "354")
        for _ in range(5):
            await clock.give(office, c, b"x" * 40_000 + b"\r\n", LIMITS.smtp_data_patience - 10)
        await c.says(b"x" * 40_000 + b"\r\n.\r\n", "250 2.0.0")


@pytest.mark.parametrize("command", ["DATA", "BDAT 100000 LAST"])
async def test_a3_a_trickle_is_given_up(office, monkeypatch, command):
    clock = Clock(monkeypatch)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        c.send(command)
        if command == "DATA":
            await c.reply()
        else:
            c.send(b"x")
        while not office.sessions[0].envelope.incoming:
            await asyncio.sleep(0)
        for _ in range(3):
            await clock.give(office, c, b"x\r\n", 40)
        c.send(b"y\r\n")
        assert (await c.closed()).startswith(b"421 4.4.2 The message comes too slowly\r\n")


async def test_a3_work_after_the_dot_that_takes_too_long_is_answered_in_time(office, limits, monkeypatch):
    limits(smtp_accept_patience=0.05)

    async def scan(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(mx.receive, "accept", scan)
    async with office.greeted() as c:
        await c.gives(MESSAGE, "451 4.3.0")
        await c.says("NOOP", "250")


# -- A4: a peer that hangs up


@pytest.mark.parametrize("cut", range(6))
async def test_a4_a_client_killed_around_the_dot_leaves_one_message_or_none(office, cut):
    tail = b"x\r\n.\r\n"
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("DATA", "354")
        c.send(MESSAGE + tail[: cut + 1])
        await c.writer.drain()
        c.writer.transport.abort()
    await office.settled()
    assert len(office.mail_of(ALICE)) in ((0, 1) if cut == 5 else (0,))


async def test_a4_a_commit_under_way_is_not_undone_by_a_peer_that_hangs_up(office, monkeypatch):
    writing, go_on = asyncio.Event(), asyncio.Event()
    write = Store.plan_and_write

    async def slow(self: Store, *args: Any, **options: Any) -> Any:
        writing.set()
        await go_on.wait()
        return await write(self, *args, **options)

    monkeypatch.setattr(Store, "plan_and_write", slow)
    async with office.greeted() as c:
        giving = asyncio.create_task(c.gives(MESSAGE))
        await writing.wait()
        giving.cancel()
        c.writer.transport.abort()
    go_on.set()
    await office.settled()
    assert office.content_of(ALICE) == [MESSAGE]


async def test_a4_a_client_that_closes_its_half_gets_all_its_answers(office):
    async with office.client() as c:
        c.send(f"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode() + MESSAGE + b".\r\nQUIT\r\n")
        c.writer.write_eof()
        said = (await c.closed()).decode().splitlines()
    assert [line[:3] for line in said if line[3] == " "] == ["220", "250", "250", "250", "354", "250", "221"]
    assert office.content_of(ALICE) == [MESSAGE]


# -- A5: faults of ours


FAULTS = [sqlite3.OperationalError("database is locked"), OSError(5, "secret path"), MemoryError(), RuntimeError("boo"),
          StoreBusy("busy"), StoreBroken("broken"), KeyError("x")]  # fmt: skip


@pytest.mark.parametrize("error", FAULTS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("where", ["handle_RCPT", "handle_DATA", "has_room", "plan_and_write", "Body.write"])
async def test_a5_a_fault_of_ours_is_temporary_untold_and_logged(office, monkeypatch, caplog, error, where):
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    async def later(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        match where:
            case "handle_RCPT" | "handle_DATA":
                session._hooks.cache_clear()
                patch.setattr(mx.Mx, where, later)
            case "has_room":
                patch.setattr(Store, "has_room", fails)
            case "plan_and_write":
                patch.setattr(Store, "plan_and_write", later)
            case _:
                if not isinstance(error, (OSError, MemoryError)):
                    return  # a sink fails in these two ways
                patch.setattr(content.Body, "write", fails)
        async with office.greeted() as c:
            c.send(f"MAIL FROM:<a@remote.example>\r\nRCPT TO:<{ALICE}>\r\nDATA")
            replies = [await c.reply() for _ in range(3)]
            if replies[2][0].startswith("354"):
                c.send(MESSAGE + b".\r\n")
                replies.append(await c.reply())
            codes = [reply[-1] for reply in replies]
            failed = [code for code in codes if code.startswith("451 4.3.0 Temporary failure (ref ")]
            assert len(failed) == 1 and failed[0] != codes[-1] or failed == codes[-1:], codes
            reference = failed[0].rstrip(")").split()[-1]
            await c.says("RSET", "250")
    session._hooks.cache_clear()
    logged = caplog.text
    assert reference in logged and "Traceback" in logged
    assert not any(word in str(codes) for word in ("locked", "secret", "boo", "Error"))
    async with office.greeted() as c:
        await c.gives(MESSAGE)  # the peer's queue tries again
    assert office.content_of(ALICE) == [MESSAGE]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), StoreFull("full")], ids=["ENOSPC", "StoreFull"])
@pytest.mark.parametrize("where", ["Body.write", "plan_and_write"])
async def test_a5_a_full_disk_is_452(office, monkeypatch, error, where):
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    async def later(*_: Any, **__: Any) -> Any:
        raise error

    if where == "plan_and_write":
        monkeypatch.setattr(Store, "plan_and_write", later)
    elif isinstance(error, OSError):
        monkeypatch.setattr(content.Body, "write", fails)
    else:
        return
    async with office.greeted() as c:
        await c.gives(MESSAGE, "452 4.3.1")
        await c.says("NOOP", "250")


async def test_a5_a_message_has_memory_errors_only_where_they_happen(office, monkeypatch):
    """A disk that fails in the middle of a large message does not lose the place in the dialogue."""
    write = content.Body.write
    calls = 0

    def fails(self: Any, data: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left")
        return write(self, data)

    monkeypatch.setattr(content.Body, "write", fails)
    async with office.greeted() as c:
        await c.gives(MESSAGE + b"MAIL FROM:<x@y.example>\r\n" * 20_000, "452 4.3.1")
        await c.gives(MESSAGE)


# -- A6 to A9: AUTH


async def keywords(c: Client) -> dict[str, str]:
    c.send("EHLO me")
    lines = await c.reply()
    return {line[4:].partition(" ")[0]: line[4:].partition(" ")[2] for line in lines[1:]}


async def test_a6_ehlo_says_at_each_door_what_is_true_there(office):
    for door, before, after in (
        ("smtp", ("STARTTLS", None), (None, None)),
        ("submission", ("STARTTLS", None), (None, "AUTH")),
        ("submissions", (None, "AUTH"), None),
    ):
        async with office.client(door) as c:
            await c.reply()
            found = await keywords(c)
            assert ("STARTTLS" in found, "AUTH" in found) == (before[0] is not None, before[1] is not None), door
            assert found["SIZE"] == str(50 << 20)
            if after is not None:
                await c.start_tls()
                found = await keywords(c)
                assert ("STARTTLS" in found, "AUTH" in found) == (False, after[1] is not None), door


async def test_a6_a_user_logs_in_over_implicit_tls(office):
    async with office.greeted("submissions") as c:
        await c.says(f"AUTH PLAIN {plain()}", "235 2.7.0")


async def test_a6_no_password_in_the_clear(office):
    async with office.greeted("submission") as c:
        await c.says(f"AUTH PLAIN {plain()}", "538 5.7.11")
        await c.says("MAIL FROM:<alice@example.test>", "530 5.7.0 Encryption comes first")
    async with office.greeted("smtp") as c:
        await c.says(f"AUTH PLAIN {plain()}", "502 5.5.1")


async def test_a6_a_setting_admits_passwords_in_the_clear(office):
    office.set(auth__require_tls="no")
    async with office.greeted("submission") as c:
        await c.says("MAIL FROM:<alice@example.test>", "530 5.7.0 Authentication required")
        await c.says(f"AUTH PLAIN {plain()}", "235 2.7.0")


@pytest.mark.parametrize("line", ["auth plain {}", "Auth Plain  {}", "AUTH pLaIn\t{}"])
async def test_a7_mechanisms_in_any_case(office, line):
    async with office.greeted("submissions") as c:
        await c.says(line.format(plain()).replace("\t", " "), "235 2.7.0")


async def test_a7_unknown_mechanisms_are_504(office):
    async with office.greeted("submissions") as c:
        await c.says("AUTH CRAM-MD5", "504 5.5.4")
        await c.says("AUTH", "501 5.5.4")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_a8_login_prompts_are_the_words_clients_compare(office):
    async with office.greeted("submissions") as c:
        assert await c.says("AUTH LOGIN", "334") == "334 " + b64("Username:")
        assert await c.says(b64(ALICE), "334") == "334 " + b64("Password:")
        await c.says(b64(PASSWORD), "235 2.7.0")


async def test_a8_login_with_the_name_on_the_command_line(office):
    async with office.greeted("submissions") as c:
        assert await c.says(f"AUTH LOGIN {b64(ALICE)}", "334") == "334 " + b64("Password:")
        await c.says(b64(PASSWORD), "235 2.7.0")
        await c.says("AUTH LOGIN", "503 5.5.1")


async def test_a8_plain_with_an_empty_challenge_and_cancelled(office):
    async with office.greeted("submissions") as c:
        assert await c.says("AUTH PLAIN", "334") == "334 "
        await c.says("*", "501 5.7.0")
        await c.says("AUTH PLAIN", "334")
        await c.says("?not base64?", "501 5.5.2")
        await c.says("AUTH PLAIN", "334")
        await c.says(plain(), "235 2.7.0")


async def test_a9_long_sasl_lines_are_read(office):
    token = base64.b64encode(b"n,a=user@example.test,\x01auth=Bearer " + b"x" * 4000 + b"\x01\x01").decode()
    long_wrong = plain(password="x" * 4000)
    async with office.greeted("submissions") as c:
        await c.says(f"AUTH OAUTHBEARER {token}", "504 5.5.4")
        await c.says("AUTH PLAIN", "334")
        await c.says(long_wrong, "535 5.7.8")
        c.send(f"AUTH PLAIN {long_wrong}")
        assert (await c.closed()).startswith(b"421 4.7.0")


async def test_a9_an_endless_sasl_line_ends_the_connection(office):
    async with office.greeted("submissions") as c:
        await c.says("AUTH PLAIN", "334")
        c.send(b"A" * 20_000)
        assert await c.closed() == b"500 5.5.6 The line is too long\r\n"


# -- A10, A11: limits are each connection's own


async def test_a10_what_one_connection_does_changes_nothing_for_another(office):
    before = dict(aiosmtpd.smtp.SMTP.command_size_limits)
    async with office.greeted() as one, office.greeted() as other:
        for _ in range(10):
            await one.says("EHLO again", "250")
        for c in (one, other):
            await c.says("MAIL FROM:<a@b.example> " + "X" * 4100, "500 5.5.6")
            await c.says(f"MAIL FROM:<a@b.example> ENVID={'X' * 100} SIZE=1", "250")
    assert dict(aiosmtpd.smtp.SMTP.command_size_limits) == before


async def test_a11_errors_have_a_budget(office):
    async with office.greeted() as c:
        for _ in range(LIMITS.smtp_errors):
            await c.says("FROBNICATE", "500 5.5.1")
        c.send("FROBNICATE")
        assert await c.closed() == b"421 4.7.0 Too many errors\r\n"


async def test_a11_unknown_recipients_have_a_budget_and_are_summed(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<spy@remote.example>", "250")
        for number in range(LIMITS.smtp_recipients_unknown):
            await c.says(f"RCPT TO:<guess{number}@example.test>", "550 5.1.1")
        c.send("RCPT TO:<another@example.test>")
        assert await c.closed() == b"421 4.7.0 Too many unknown recipients\r\n"
    rows = await office.refused()
    assert {row["reason"] for row in rows} == {"unknown-user"} and len(rows) == LIMITS.smtp_recipients_unknown + 1
    assert rows[0]["sender"] == "spy@remote.example" and rows[0]["peer"] == "127.0.0.1"


async def test_a11_failed_logins_have_a_budget(office):
    async with office.greeted("submissions") as c:
        for _ in range(LIMITS.smtp_auth_failures - 1):
            await c.says(f"AUTH PLAIN {plain(password='wrong')}", "535 5.7.8")
        c.send(f"AUTH PLAIN {plain(password='wrong')}")
        assert await c.closed() == b"421 4.7.0 Too many failed logins\r\n"


async def test_a11_recipients_have_a_limit(office):
    office.set(limits__recipients="3")
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        for _ in range(3):
            await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says(f"RCPT TO:<{BOB}>", "452 4.5.3")
        await c.says("DATA", "354")
        await c.says(MESSAGE + b".\r\n", "250")
    assert len(office.mail_of(ALICE)) == 1


async def test_a11_messages_and_time_have_a_limit(office, limits):
    limits(smtp_messages=2)
    async with office.greeted() as c:
        await c.gives(MESSAGE)
        await c.gives(MESSAGE)
        c.send("MAIL FROM:<>")
        assert await c.closed() == b"421 4.7.0 Enough messages for one connection; come again\r\n"
    limits(smtp_session=-1)
    async with office.client() as c:
        await c.reply()
        c.send("NOOP")
        assert await c.closed() == b"421 4.7.0 This session took long enough; come again\r\n"


async def test_a11_a_client_may_not_pass_the_time_for_ever(office):
    async with office.greeted() as c:
        await c.gives(MESSAGE)
        for number in range(LIMITS.smtp_idle_commands):
            await c.says("RSET" if number % 2 else "NOOP", "250")
        c.send("NOOP")
        assert await c.closed() == b"421 4.7.0 Too many commands without a message\r\n"


async def test_a11_a_session_that_is_over_time_may_finish_its_message(office, limits):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        [conn] = office.sessions
        conn._until = 0.0
        limits(smtp_command_patience=1 << 30)
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        limits()
        c.send("DATA")
        assert await c.closed() == b"421 4.7.0 This session took long enough; come again\r\n"


async def test_a11_exempt_networks_have_no_budgets(office, limits):
    office.set(limits__exempt_networks="127.0.0.0/8")
    limits(smtp_messages=1, smtp_session=-1)
    async with office.greeted() as c:
        for _ in range(LIMITS.smtp_errors + 2):
            await c.says("FROBNICATE", "500 5.5.1")
        await c.gives(MESSAGE)
        await c.gives(MESSAGE)


# -- A12: hashing


async def test_a12_a_password_that_is_hashed_keeps_nobody_waiting(office, monkeypatch):
    hashing, go_on = asyncio.Event(), asyncio.Event()
    hashed = type(office.door)._hash

    async def slow(self: Any, *args: Any) -> Any:
        hashing.set()
        await go_on.wait()
        return await hashed(self, *args)

    monkeypatch.setattr(type(office.door), "_hash", slow)
    async with office.greeted("submissions") as c, office.greeted() as other:
        c.send(f"AUTH PLAIN {plain()}")
        await hashing.wait()
        await other.gives(MESSAGE)
        go_on.set()
        assert (await c.reply())[0].startswith("235")


# -- A13 to A15, A18: the envelope


async def test_a13_the_null_sender_is_nobody(office):
    async with office.greeted() as c:
        trace = (await c.gives(MESSAGE, sender="")).split()[2]
    [mail] = office.mail_of(ALICE)
    assert mail.startswith(b"Return-Path: <>\r\n")
    assert office.story(trace) == [("accepted", "smtp"), ("delivered", "")]


@pytest.mark.parametrize(
    "line,want",
    [
        ("MAIL FROM:<a@b.example> AUTH=<> RET=HDRS ENVID=Case+2BKept SIZE=100 BODY=8BITMIME", "250 2.1.0"),
        ("mail from: <a@b.example> size=100", "250 2.1.0"),
        ("MAIL FROM:<a@b.example> BODY=BINARYMIME", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> REQUIRETLS", "530 5.7.10"),
        ("MAIL FROM:<a@b.example> MT-PRIORITY=3", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> AUTH=someone+2Belse@b.example", "250 2.1.0"),
        ("MAIL FROM:<a@b.example> X-UNKNOWN", "555 5.5.4"),
        ("mAiL fRoM:<a@b.example> ret=full body=8bitmime", "250 2.1.0"),
        ("MAIL FROM:<a@b.example", "501 5.5.4"),
        ("MAIL FROM:a@b.example", "501 5.5.4"),
        ("MAIL FROM:<u @ x.example>", "501 5.5.4"),
        ("MAIL FROM:<u@x@y.example>", "501 5.1.7"),
        ("MAIL FROM:<(comment)u@x.example>", "501 5.1.7"),
        ("MAIL FROM:<@route.example:u@x.example>", "250 2.1.0"),
        ("MAIL FROM:<no-domain>", "501 5.1.7"),
        ("MAIL FROM:<" + "x" * 1200 + "@b.example>", "501 5.1.7"),
        ("MAIL FROM:<ä@b.example>", "553 5.6.7"),
        ("MAIL FROM:<ä@b.example> SMTPUTF8", "250 2.1.0"),
        ("MAIL FROM:<a@b\u2028.example> SMTPUTF8", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> SIZE=99999999999", "552 5.3.4"),
        ("MAIL", "501 5.5.4"),
    ],
)
async def test_a14_and_s7_mail_as_it_is_said(office, line, want):
    async with office.greeted() as c:
        await c.says(line, want)


@pytest.mark.parametrize(
    "path,want",
    [
        ("<postmaster>", "250 2.1.5"),
        ("<Postmaster@example.test>", "250 2.1.5"),
        ("<ALICE@EXAMPLE.TEST>", "250 2.1.5"),
        ("<alice+tag@example.test>", "250 2.1.5"),
        ('<"alice"@example.test>', "250 2.1.5"),
        ('<"alice smith"@example.test>', "550 5.1.1"),
        ("<a..b@example.test>", "550 5.1.1"),
        ("<a.@example.test>", "550 5.1.1"),
        ("<" + "x" * 200 + "@example.test>", "550 5.1.1"),
        ("<alice@[IPv6:2001:db8::1]>", "550 5.7.1"),
        ("<alice@elsewhere.example>", "550 5.7.1"),
        ("<alice>", "501 5.1.3"),
        ("<>", "501 5.1.3"),
        ("<alice@example.test> NOTIFY=NEVER ORCPT=rfc822;a@b.example", "250 2.1.5"),
        ("<alice@example.test> SIZE=3", "555 5.5.4"),
        ("<älice@example.test>", "553 5.6.7"),
    ],
)
async def test_a18_and_s8_rcpt_as_it_is_said(office, path, want):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@b.example>", "250")
        await c.says(f"RCPT TO:{path}", want)


async def test_a15_ehlo_names_what_we_keep(office):
    async with office.client() as c:
        await c.reply()
        found = await keywords(c)
    assert found == {
        "PIPELINING": "", "SIZE": str(50 << 20), "8BITMIME": "", "SMTPUTF8": "", "ENHANCEDSTATUSCODES": "", "DSN": "",
        "CHUNKING": "", "LIMITS": "RCPTMAX=1000 MAILMAX=1000", "STARTTLS": "",
    }  # fmt: skip


@pytest.mark.parametrize("door", ["smtp", "submission", "submissions"])
async def test_requiretls_is_named_and_taken_under_tls_only(office, door):
    """RFC 8689 §3: and is kept with the message."""
    async with office.client(door) as c:
        await c.reply()
        if door != "submissions":
            assert "REQUIRETLS" not in await keywords(c)
            if door == "smtp":
                await c.says("MAIL FROM:<a@b.example> REQUIRETLS", "530 5.7.10")
            await c.start_tls()
        assert (await keywords(c))["REQUIRETLS"] == ""
        if door == "smtp":
            await c.says("MAIL FROM:<a@b.example> REQUIRETLS", "250")
            return
        await c.says(f"AUTH PLAIN {plain()}", "235 2.7.0")
        await c.says(f"MAIL FROM:<{ALICE}> REQUIRETLS", "250")
        await c.says("RCPT TO:<x@far.example>", "250")
        await c.says("DATA", "354")
        await c.says(f"From: {ALICE}\r\n\r\nHi.\r\n.", "250 2.0.0")
    kept = office.store.read_now(lambda tx: tx.all("select tls from queue_message"))
    assert kept == [("required",)]


async def test_a15_every_reply_has_an_enhanced_code(office):
    lines = [
        "NOOP", "RSET", "RSET x", "HELP", "HELP MAIL", "VRFY alice", "VRFY", "EXPN list", "ETRN x", "", "  NOOP", "\0",
        "LHLO x", "AUTH PLAIN", "DATA", "RCPT TO:<x@y.example>", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>",
        "DATA now", "DATA", "STARTTLS x", "QUIT now",
    ]  # fmt: skip
    async with office.greeted() as c:
        for line in lines:
            c.send(line)
            for reply in await c.reply():
                code, enhanced = reply[:3], reply[4:].split()[0]
                assert enhanced[0] == code[0] and len(enhanced.split(".")) == 3, (line, reply)


async def test_a15_pipelined_commands_are_answered_together(office):
    async with office.greeted() as c:
        c.send(f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{ALICE}>\r\nRCPT TO:<nobody@example.test>\r\nDATA")
        packet = await c.reader.read(65536)
        assert [line[:9] for line in packet.split(b"\r\n")] == [
            b"250 2.1.0", b"250 2.1.5", b"550 5.1.1", b"354 Go ah", b"",
        ]  # fmt: skip
        await c.says(MESSAGE + b".\r\nNOOP\r\nQUIT\r\n", "250 2.0.0", "250 2.0.0", "221 2.0.0")


# -- A16, A17: octets


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"a\r\r\nb", b"\n\n"])
async def test_a16_bare_newlines_are_refused_with_the_cause(office, bare):
    async with office.greeted() as c:
        said = await c.gives(MESSAGE + bare + b"\r\n", "550 5.6.11")
        assert "bare CR or LF" in said
        await c.gives(MESSAGE)
    assert office.content_of(ALICE) == [MESSAGE]
    assert [row["reason"] for row in await office.refused()] == ["bare-newline"]


async def test_a16_nul_is_refused(office):
    async with office.greeted() as c:
        await c.gives(MESSAGE + b"a\0b\r\n", "550 5.6.0")


async def test_a16_a_command_must_end_with_crlf(office):
    async with office.greeted() as c:
        await c.says(b"NOOP\n", "500 5.5.2")
        await c.says("NOOP", "250")


async def test_a16_settings_and_peers_that_may_send_bare_newlines(office):
    for settings in ({"smtp__bare_newline": "normalize"},
                     {"smtp__bare_newline": "refuse", "smtp__bare_newline_exempt": "127.0.0.1"}):  # fmt: skip
        office.set(**settings)
        async with office.greeted() as c:
            await c.says(b"NOOP\n", "250")
            await c.gives(MESSAGE + b"a\nb\rc\0d\r\n")
    assert office.content_of(ALICE) == [MESSAGE + b"a\r\nb\r\ncd\r\n"] * 2


@pytest.mark.parametrize("octets", [b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xf5\x80\x80\x80"])
async def test_a17_addresses_are_utf8_or_refused(office, octets):
    async with office.greeted() as c:
        await c.says(b"MAIL FROM:<" + octets + b"@b.example> SMTPUTF8\r\n", "553 5.6.7")
        await c.says("MAIL FROM:<a@b.example> SMTPUTF8", "250")
        await c.says(b"RCPT TO:<" + octets + b"@example.test>\r\n", "553 5.6.7")
        await c.says(b"RCPT TO:<a\x01b@example.test>\r\n", "501 5.5.4")


async def test_a17_mail_to_an_internationalised_address_arrives(office):
    office.add_user("grün@example.test")
    async with office.greeted() as c:
        await c.says("MAIL FROM:<älter@remote.example> SMTPUTF8", "250")
        await c.says("RCPT TO:<GRÜN@example.test>", "250")
        await c.says("DATA", "354")
        await c.says(MESSAGE + b".\r\n", "250")
    [mail] = office.mail_of("grün@example.test")
    assert "with UTF8SMTP id" in mail.decode() and "Return-Path: <älter@remote.example>" in mail.decode()


# -- A19: stopping


async def test_a19_fifty_busy_sessions_are_drained_and_nothing_is_lost(office):
    async def give(number: int) -> bool:
        message = MESSAGE + b"number %d\r\n" % number
        async with office.greeted() as c:
            await c.says("MAIL FROM:<>", "250")
            await c.says(f"RCPT TO:<{ALICE}>", "250")
            await c.says("DATA", "354")
            ready.append(number)
            if len(ready) == 50:
                all_ready.set()
            await stopped.wait()
            last = await c.says(message + b".\r\n", "250 2.0.0")
            assert (await c.closed()).startswith(b"421 4.3.2")
            return last.startswith("250")

    ready: list[int] = []
    all_ready, stopped = asyncio.Event(), asyncio.Event()
    async with office.greeted() as idle, asyncio.timeout(10):
        giving = [asyncio.create_task(give(number)) for number in range(50)]
        await all_ready.wait()
        office.stop.set()
        assert (await idle.closed()).startswith(b"421 4.3.2")
        stopped.set()
        assert all(await asyncio.gather(*giving))
        await office.serving
    found = sorted(office.content_of(ALICE))
    assert found == sorted(MESSAGE + b"number %d\r\n" % number for number in range(50))


# -- A20 to A23


async def test_a20_nothing_is_done_after_421(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<spy@remote.example>", "250")
        for number in range(LIMITS.smtp_recipients_unknown):
            await c.says(f"RCPT TO:<guess{number}@example.test>", "550")
        c.send(f"RCPT TO:<x@example.test>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode() + MESSAGE + b".\r\nQUIT\r\n")
        assert await c.closed() == b"421 4.7.0 Too many unknown recipients\r\n"
    assert office.mail_of(ALICE) == []


async def test_a21_nothing_tells_what_we_are_made_of(office):
    async with office.client() as c:
        assert await c.reply() == ["220 mx.example.test ESMTP"]
        await c.says("HELO me", "250 mx.example.test")
        assert "MAIL" not in await c.says("HELP", "214 2.0.0")
        await c.says("VRFY alice", "252 2.1.5")
        await c.says("VRFY nobody", "252 2.1.5")
        await c.says("EXPN all", "502 5.5.1")
        await c.gives(MESSAGE)
    [mail] = office.mail_of(ALICE)
    assert b"ython" not in mail and b"aiosmtpd" not in mail


async def test_a22_a_handshake_that_fails_ends_that_connection_only(office):
    async with office.greeted() as c, office.greeted() as other:
        await c.says("STARTTLS", "220")
        c.send(b"this is no TLS at all\r\n" * 20)
        await c.closed()
        await other.gives(MESSAGE)


async def test_a22_after_starttls_all_is_asked_anew(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@b.example>", "250")
        await c.start_tls()
        await c.says(f"RCPT TO:<{ALICE}>", "503 5.5.1")
        await c.says("STARTTLS", "503 5.5.1")
        await c.gives(MESSAGE)
    [mail] = office.mail_of(ALICE)
    assert b"with ESMTPS id" in mail


async def test_a23_the_log_has_events_and_neither_bodies_nor_passwords(office, caplog):
    caplog.set_level(logging.DEBUG)
    async with office.greeted("submissions") as c:
        await c.says(f"AUTH PLAIN {plain()}", "235")
        await c.says(f"MAIL FROM:<{ALICE}>", "250")
        await c.says(f"RCPT TO:<{BOB}>", "250")
        await c.says("DATA", "354")
        await c.says(b"From: alice@example.test\r\n\r\nthe body\r\n.\r\n", "250")
    assert not [record for record in caplog.records if record.name == "mail.log"]
    assert plain() not in caplog.text and PASSWORD not in caplog.text and "the body" not in caplog.text


def test_an_aiosmtpd_with_known_holes_is_not_used():
    for version in ("1.4.4", "1.4.5", "0.9", "1.3.99"):
        with pytest.raises(RuntimeError, match="1.4.6 or newer"):
            session.check_engine(version)
    for version in ("1.4.6", "1.4.7", "1.5.0a1", "2.0"):
        session.check_engine(version)
