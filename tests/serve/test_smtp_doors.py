"""What differs between the doors: relaying, logging in and writing as oneself, an answer for each recipient."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.mail.address import parse_address
from daemon.store import accounts, addresses, aliases, domains
from daemon.store.db import Store
from tests.serve.post_office import ALICE, BOB, MESSAGE, Client, PostOffice

PASSWORD = "open sesame"
MINE = (
    b"From: Alice <alice@example.test>\r\nTo: x@remote.example\r\nSubject: hi\r\n"
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
)
DONE = MINE + b"Message-ID: <1@example.test>\r\n\r\nHello.\r\n"


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    office = PostOffice(tmp_path, **{"auth.require_tls": "no", "auth.scram_plus": "yes"})
    office.add_user(ALICE, accounts.Password(*passwords.keep(PASSWORD)))
    office.add_user(BOB)
    yield office
    await office.close()
    passwords._nobody.cache_clear()


async def log_in(c: Client) -> None:
    token = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
    await c.says(f"AUTH PLAIN {token}", "235 2.7.0")


# -- port 25


async def test_strangers_do_not_relay(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<alice@example.test>", "250")
        await c.says("RCPT TO:<x@remote.example>", "550 5.7.1 Relaying denied")
        await c.says("RCPT TO:<x@sub.example.test>", "550 5.7.1")
        await c.says("RCPT TO:<x%remote.example@example.test>", "550 5.1.1")
    assert [row["reason"] for row in await office.refused()].count("relay-denied") == 2


async def test_trusted_networks_relay(office):
    office.set(smtp__trusted_networks="127.0.0.0/8")
    async with office.greeted() as c:
        await c.gives(MESSAGE, to="x@remote.example y@other.example")
        await c.says("MAIL FROM:<>", "250")
        await c.says("RCPT TO:<nobody@example.test>", "550 5.1.1")
    assert [row[:3] for row in office.queued()] == [
        ("one@remote.example", "x@remote.example", "relay"), ("one@remote.example", "y@other.example", "relay"),
    ]  # fmt: skip


async def test_d20_who_is_refused_is_refused_at_rcpt(office):
    office.add_alias("old@example.test", ALICE)
    office.write(aliases.change, parse_address("old@example.test"), enabled=False)
    office.add_user("gone@example.test")
    account = office.store.peek(accounts.find, parse_address("gone@example.test"))
    office.write(accounts.change, account.id, enabled=0)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        await c.says("RCPT TO:<old@example.test>", "550 5.1.1")
        await c.says("RCPT TO:<gone@example.test>", "550 5.2.1")
        await c.says("RCPT TO:<nobody@example.test>", "550 5.1.1")
        await c.says("DATA", "554 5.5.1")


async def test_an_address_made_or_disabled_just_now_counts_at_once(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        await c.says("RCPT TO:<new@example.test>", "550 5.1.1")
        office.add_user("new@example.test")
        await c.says("RCPT TO:<new@example.test>", "250")
        account = office.store.peek(accounts.find, parse_address("new@example.test"))
        await office.store.write(accounts.change, account.id)  # whoever changes a user is heard
        await office.store.write(lambda tx: accounts.change(tx, account.id, enabled=0))
        await c.says("RCPT TO:<new@example.test>", "550 5.2.1")


async def test_the_resolver_is_asked_once_a_second_for_the_same(office, monkeypatch):
    now = [0.0]
    known = office.post.recipients
    monkeypatch.setattr(known, "_clock", lambda: now[0])
    asked = []
    peek = Store.peek
    monkeypatch.setattr(Store, "peek", lambda self, work, *a, **k: asked.append(work) or peek(self, work, *a, **k))
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        for _ in range(3):
            await c.says(f"RCPT TO:<{ALICE}>", "250")
        assert len(asked) == 1
        now[0] = 1.5
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        assert len(asked) == 2


async def test_who_may_relay_is_answered_from_memory_too_and_nobody_else_from_his(office, monkeypatch):
    office.set(smtp__trusted_networks="127.0.0.0/8")
    known = office.post.recipients
    monkeypatch.setattr(known, "_clock", lambda: 0.0)
    asked = []
    peek = Store.peek
    monkeypatch.setattr(Store, "peek", lambda self, work, *a, **k: asked.append(work) or peek(self, work, *a, **k))
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        asked.clear()
        for _ in range(3):
            await c.says("RCPT TO:<x@new.example>", "250")
        assert len(asked) == 1
        assert known.resolve(parse_address("x@new.example"), 0, 0, relay=False).denial is addresses.NOT_OURS
        assert len(asked) == 2
        await office.store.write(domains.add, "new.example")
        await c.says("RCPT TO:<x@new.example>", "550 5.1.1")


async def test_d26_below_the_reserve_new_mail_waits(office):
    office.store.reserve = 1 << 60
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "452 4.3.1")
        office.store.reserve = 0
        await c.gives(MESSAGE)


async def test_what_is_in_front_of_a_message_tells_how_it_came(office):
    async with office.greeted() as c:
        await c.gives(MESSAGE, to="alice+tag@example.test")
    [mail] = office.mail_of(ALICE)
    assert re.fullmatch(
        rb"Return-Path: <one@remote\.example>\r\nDelivered-To: alice@example\.test\r\n"
        rb"Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n"
        rb"\tby mx\.example\.test with ESMTP id [0-9a-z]{16}\r\n"
        rb"\tfor <alice\+tag@example\.test>;\r\n"
        rb"\t\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n",
        mail.removesuffix(MESSAGE),
    ), mail


async def test_helo_is_smtp_and_says_nothing_of_extensions(office):
    async with office.client() as c:
        await c.reply()
        await c.says("MAIL FROM:<>", "503 5.5.1 Say hello first")
        await c.says("HELO", "501 5.5.4")
        assert await c.says("HELO old.example", "250") == "250 mx.example.test"
        await c.gives(MESSAGE)
    assert b"with SMTP id" in office.mail_of(ALICE)[0]


async def test_dsn_wishes_go_into_the_queue_as_they_were_said(office):
    office.set(smtp__trusted_networks="127.0.0.0/8")
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example> RET=HDRS ENVID=Case+2BKept", "250")
        await c.says("RCPT TO:<x@other.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2BX@other.example", "250")
        await c.says("DATA", "354")
        await c.says(MESSAGE + b".\r\n", "250")
    assert office.queued() == [
        ("a@remote.example", "x@other.example", "relay", "SUCCESS,DELAY", "rfc822;Bob+2BX@other.example", "HDRS",
         "Case+2BKept")
    ]  # fmt: skip


async def test_success_asked_for_is_told(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example> ENVID=QQ1", "250")
        await c.says(f"RCPT TO:<{ALICE}> NOTIFY=SUCCESS", "250")
        await c.says(f"RCPT TO:<{BOB}> NOTIFY=NEVER", "250")
        await c.says("DATA", "354")
        trace = (await c.says(MESSAGE + b".\r\n", "250")).split()[2]
    assert [row[:3] for row in office.queued()] == [("", "a@remote.example", "notice")]
    assert ("notified", "success") in office.story(trace)


# -- submission


async def test_nobody_hands_in_mail_without_logging_in(office):
    async with office.greeted("submission") as c:
        for line in ("MAIL FROM:<alice@example.test>", f"RCPT TO:<{BOB}>", "DATA", "VRFY bob"):
            await c.says(line, "530 5.7.0 Authentication required")
        for line in ("NOOP", "RSET", "HELP"):
            await c.says(line, "2")


@pytest.mark.parametrize(
    "sender,want",
    [
        ("alice@example.test", "250"),
        ("ALICE@Example.Test", "250"),
        ("alice+tag@example.test", "250"),
        ("sales@example.test", "250"),
        ("", "250"),
        ("bob@example.test", "553 5.7.1 You may not write as <bob@example.test>"),
        ("nobody@example.test", "553 5.7.1"),
        ("alice@remote.example", "553 5.7.1"),
    ],
)
async def test_a_user_writes_only_as_himself(office, sender, want):
    office.add_alias("sales@example.test", ALICE, BOB)
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.says(f"MAIL FROM:<{sender}>", want)


@pytest.mark.parametrize(
    "author,want",
    [
        (b"From: Alice <alice@example.test>", "250"),
        (b"From: sales@example.test, Alice <alice@example.test>", "250"),
        (b"From: =?utf-8?q?B=C3=B6ss?= <bob@example.test>", "553 5.7.1"),
        (b"From: Alice <alice@example.test>, bob@example.test", "553 5.7.1"),
        (b"From: alice@example.test\r\nFrom: bob@example.test", "553 5.7.1"),
        (b"From: alice@example.test\r\nFrom: alice@example.test", "550 5.6.0"),
        (b"From: <alice@[999.1.1.1]>", "553 5.7.1"),
        (b"From: nobody in particular", "550 5.6.0"),
        (b"Subject: no author at all", "250"),
        (b"From: " + b"alice@example.test, " * 300 + b"bob@example.test", "550 5.6.0"),
    ],
)
async def test_the_author_in_the_header_must_be_his_too(office, author, want):
    office.add_alias("sales@example.test", ALICE)
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.gives(author + b"\r\n\r\nHello.\r\n", want, sender=ALICE, to=BOB)
        await c.says("NOOP", "250")
    assert len(office.mail_of(BOB)) == (want == "250")


async def test_a_complete_message_is_handed_in_as_it_is(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        trace = (await c.gives(DONE, sender=ALICE, to=f"{BOB} x@remote.example")).split()[2]
    [mail] = office.mail_of(BOB)
    assert mail.endswith(DONE) and b"with ESMTPA id" in mail
    assert office.queued()[0][:3] == (ALICE, "x@remote.example", "submission")
    assert office.story(trace) == [("accepted", "submission"), ("delivered", ""), ("queued", "submission")]


async def test_s18_what_a_message_lacks_is_added_and_bcc_goes(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        bcc = b"Bcc: secret@remote.example,\r\n\tother@remote.example\r\n"
        await c.gives(b"From: alice@example.test\r\n" + bcc + b"Subject: x\r\n\r\nHi\r\n", sender=ALICE, to=BOB)
    [mail] = office.content_of(BOB)
    assert re.fullmatch(
        rb"Date: [^\r]+ \+0000\r\nMessage-ID: <[0-9a-f]{24}@mx\.example\.test>\r\n"
        rb"From: alice@example\.test\r\nSubject: x\r\n\r\nHi\r\n",
        mail,
    ), mail


async def test_s18_a_message_without_an_author_is_its_sender_s(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.gives(b"Subject: x\r\n\r\nHi\r\n", sender="alice+x@example.test", to=BOB)
        await c.gives(b"Subject: y\r\n\r\nHi\r\n", sender="", to=BOB)
    authors = [re.search(rb"\r\nFrom: ([^\r]+)", mail)[1] for mail in office.mail_of(BOB)]
    assert authors == [b"alice+x@example.test", b"alice@example.test"]


async def test_s2_line_ends_are_made_crlf_and_nul_goes(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.says(b"NOOP\n", "250")
        await c.gives(DONE + b"a\nb\rc\0\r\n", sender=ALICE, to=BOB)
    assert office.content_of(BOB) == [DONE + b"a\r\nb\r\nc\r\n"]


async def test_s2_dots_after_bare_newlines_were_doubled_too(office):
    """Python's smtplib sends bytes with LF alone, and doubles the dots of its lines."""
    import asyncio
    import smtplib

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", office.ports["submission"]) as smtp:
            smtp.login(ALICE, PASSWORD)
            smtp.sendmail(ALICE, [BOB], DONE.replace(b"\r\n", b"\n") + b".one\n..two\n.\nend\n")

    await asyncio.to_thread(send)
    assert office.content_of(BOB) == [DONE + b".one\r\n..two\r\n.\r\nend\r\n\r\n"]


async def test_a_large_message_that_lacks_something_is_completed_too(office):
    body = b"a line of many\r\n" * 100_000
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.gives(MINE + b"Bcc: x@y.example\r\n\r\n" + body, sender=ALICE, to=BOB)
    [mail] = office.mail_of(BOB)
    assert mail.endswith(MINE + b"\r\n" + body) and b"Message-ID: <" in mail


async def test_a_header_without_end_is_refused_since_its_bcc_could_not_be_hidden(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        header = MINE + b"X-Filler: " + b"x" * 70 + b"\r\n"
        await c.gives(
            header + b"Y: z\r\n" * 250_000 + b"Bcc: x@y.example\r\n\r\nHi\r\n", "550 5.6.0", sender=ALICE, to=BOB
        )


async def test_a_disabled_user_does_not_log_in(office):
    account = office.store.peek(accounts.find, parse_address(ALICE))
    office.write(accounts.change, account.id, enabled=0)
    async with office.greeted("submission") as c:
        token = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
        await c.says(f"AUTH PLAIN {token}", "535 5.7.13")


async def test_a_user_disabled_since_he_logged_in_hands_in_nothing_more(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.gives(DONE, sender=ALICE, to=BOB)
        office.store._listeners.remove(office.door.sessions._changed)  # the news is slow
        account = office.store.peek(accounts.find, parse_address(ALICE))
        office.write(accounts.change, account.id, enabled=0)
        for sender in ("", ALICE):
            await c.says(f"MAIL FROM:<{sender}>", "553 5.7.1")
        office.store.listen(office.door.sessions._changed)
        office.write(accounts.change, account.id, display_name="Alice")
        assert await c.reply() == ["421 4.7.0 This account is disabled"]
        assert await c.closed() == b""


async def test_auth_is_not_said_again_and_not_in_a_message(office):
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.says("AUTH PLAIN x", "503 5.5.1")
        c.send("EHLO again")
        assert not any("AUTH" in line for line in await c.reply())
    async with office.client("submission") as c:
        await c.reply()
        await c.says("AUTH PLAIN x", "503 5.5.1 Say hello first")


async def test_scram_logs_in_with_channel_binding_over_tls(office):
    from daemon.wire import sasl

    async with office.greeted("submission") as c:
        await c.start_tls()
        c.send("EHLO me")
        offered = next(line for line in await c.reply() if line[4:].startswith("AUTH "))
        assert offered[9:].split() == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
        _, exchange = sasl.client(["SCRAM-SHA-256"], ALICE, PASSWORD, "clientnonceclientnonce") or (None, None)
        first = next(exchange).replace(b"y,,", b"n,,")
        said = await c.says(b"AUTH SCRAM-SHA-256 " + sasl.encode(first) + b"\r\n", "334")
        derive = exchange.send(sasl.decode(said[4:].encode()))
        final = exchange.send(sasl.salted(derive.password, derive.salt, derive.iterations))
        said = await c.says(sasl.encode(final) + b"\r\n", "334")
        exchange.send(sasl.decode(said[4:].encode()))
        await c.says("", "235 2.7.0")


# -- LMTP


async def test_lmtp_speaks_lhlo_only(office):
    async with office.client("lmtp") as c:
        assert await c.reply() == ["220 mx.example.test LMTP"]
        await c.says("EHLO me", "502 5.5.1")
        await c.says("HELO me", "502 5.5.1")
        await c.says("LHLO me", "250")
    async with office.client("smtp") as c:
        await c.reply()
        await c.says("LHLO me", "502 5.5.1")


async def test_lmtp_answers_for_each_recipient(office):
    carol = "carol@example.test"
    office.add_user(carol, quota=1000)
    async with office.greeted("lmtp") as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        for name in (ALICE, carol, "alice+tag@example.test", BOB):
            await c.says(f"RCPT TO:<{name}>", "250")
        await c.says("RCPT TO:<nobody@example.test>", "550 5.1.1")
        await c.says("RCPT TO:<x@remote.example>", "550 5.7.1")
        await c.says("DATA", "354")
        await c.says(MESSAGE + b"x" * 1000 + b"\r\n.\r\n", "250 2.0.0", "452 4.2.2", "250 2.0.0", "250 2.0.0")
        await c.says("NOOP", "250")
    assert [len(office.mail_of(name)) for name in (ALICE, carol, BOB)] == [1, 0, 1]
    assert office.queued() == []  # who was refused was told so, and nobody else
    assert b"with LMTP id" in office.mail_of(BOB)[0]


async def test_lmtp_says_what_holds_for_all_to_each(office, monkeypatch):
    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError

    office.set(limits__message_size="500")
    async with office.greeted("lmtp") as c:
        for message, want in ((MESSAGE + b"x" * 600 + b"\r\n", "552 5.3.4"), (MESSAGE, "451 4.3.0")):
            await c.says("MAIL FROM:<a@remote.example>", "250")
            await c.says(f"RCPT TO:<{ALICE}>", "250")
            await c.says(f"RCPT TO:<{BOB}>", "250")
            with monkeypatch.context() as patch:
                patch.setattr(Store, "plan_and_write", fails)
                await c.says(b"BDAT %d LAST\r\n" % len(message) + message, want, want)
        await c.says("NOOP", "250")


async def test_lmtp_normalizes_line_ends(office):
    async with office.greeted("lmtp") as c:
        await c.gives(MESSAGE + b"a\nb\r\n")
    assert office.content_of(ALICE) == [MESSAGE + b"a\r\nb\r\n"]


# -- settings


async def test_a_changed_setting_holds_from_the_next_message_on(office):
    async with office.greeted() as c:
        await c.gives(MESSAGE + b"x" * 2000 + b"\r\n")
        office.set(limits__message_size="1000")
        await c.gives(MESSAGE + b"x" * 2000 + b"\r\n", "552 5.3.4")


async def test_mail_for_others_is_held_in_the_trial(office):
    office.set(queue__hold_external="yes")
    async with office.greeted("submission") as c:
        await log_in(c)
        trace = (await c.gives(DONE, sender=ALICE, to="x@remote.example")).split()[2]
    assert ("held", "external-mail-held") in office.story(trace)
