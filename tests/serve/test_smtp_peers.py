"""What other servers and hostile clients do: smuggling, injection, sizes, partial recipients (S1-S8, S12, D15-D17)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.limits import LIMITS
from tests.serve.post_office import ALICE, BOB, MESSAGE, PostOffice, anyone

EVIL = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nFrom: evil@x.example\r\n\r\nsmuggled\r\n"
ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\r\n\x00.\r\n",
        b"\r\n.\x00\r\n"]  # fmt: skip


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    office = PostOffice(tmp_path)
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    await office.close()


@pytest.mark.parametrize("policy", ["refuse", "normalize"])
@pytest.mark.parametrize("end", ENDS, ids=repr)
async def test_s1_a_false_end_never_makes_two_messages(office, end, policy):
    office.set(smtp__bare_newline=policy)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("DATA", "354")
        await c.says(MESSAGE[:-2] + end + EVIL + b".\r\n", "250" if policy == "normalize" else "550 5.6")
        await c.says("QUIT", "221")
        assert await c.closed() == b""
    assert office.mail_of(BOB) == []
    found = office.content_of(ALICE)
    assert len(found) == (policy == "normalize")
    for message in found:
        assert message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n") and b"\0" not in message


async def test_s1_the_end_is_found_in_any_packets(office):
    message = MESSAGE + b".stuffed\r\n..\r\n"
    wire = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    async with office.greeted() as c:
        for cut in range(len(wire) - 8, len(wire)):
            await c.says("MAIL FROM:<>", "250")
            await c.says(f"RCPT TO:<{ALICE}>", "250")
            await c.says("DATA", "354")
            [conn] = office.sessions
            c.send(wire[:cut])
            while conn.envelope.incoming is None or len(conn.stream) < cut:
                await asyncio.sleep(0)
            await c.says(wire[cut:], "250")
    assert office.content_of(ALICE) == [message] * 8


async def test_s2_a_crlf_in_two_packets_is_not_bare(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("DATA", "354")
        [conn] = office.sessions
        sent = 0
        for octet in MESSAGE:
            c.send(bytes([octet]))
            sent += 1
            while len(conn.stream) < sent:
                await asyncio.sleep(0)
        await c.says(b".\r\n", "250")
    assert office.content_of(ALICE) == [MESSAGE]


async def test_s3_port_25_hands_out_no_session_tickets(office):
    async with office.greeted("smtp") as c:
        await c.start_tls()
        found = c.writer.get_extra_info("ssl_object")
        await c.says("NOOP", "250")
        assert found.version() == "TLSv1.3"
        assert not found.session.has_ticket


@pytest.mark.parametrize("door", ["smtp", "submission"])
async def test_s4_what_comes_with_starttls_is_forgotten(office, door):
    async with office.greeted(door) as c:
        await c.says(f"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<{ALICE}>\r\n".encode(), "220 2.0.0")
        await c.writer.start_tls(anyone())
        await c.says("NOOP", "250 2.0.0 Ok")
        await c.says("MAIL FROM:<a@b.example>", "503 5.5.1 Say hello first")


async def test_s4_a_message_begun_before_tls_is_gone(office):
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@b.example>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says(b"BDAT 4\r\nabcd", "250")
        await c.says("STARTTLS", "503 5.5.1 Not between two chunks")
        await c.says("RSET", "250")
        await c.start_tls()
        await c.says("DATA", "554 5.5.1")


async def test_s6_sizes_are_looked_at_before_the_message(office):
    office.set(limits__message_size="2000")
    async with office.greeted() as c:
        await c.says("MAIL FROM:<> SIZE=2001", "552 5.3.4")
        await c.says("MAIL FROM:<> SIZE=2000", "250")
        await c.says("RSET", "250")
        await c.says("MAIL FROM:<> SIZE=0", "250")
        await c.says("RSET", "250")
        await c.gives(MESSAGE + b"x" * 3000 + b"\r\n", "552 5.3.4")
        await c.gives(MESSAGE)
    assert office.content_of(ALICE) == [MESSAGE]
    assert [row["reason"] for row in await office.refused()] == ["too-large"]


async def test_s6_a_message_far_over_the_limit_ends_the_connection(office, monkeypatch):
    import dataclasses

    from daemon.serve.smtp import content

    monkeypatch.setattr(content, "LIMITS", dataclasses.replace(LIMITS, smtp_drain=10_000))
    office.set(limits__message_size="2000")
    for command in ("DATA", "BDAT 100000"):
        async with office.greeted() as c:
            await c.says("MAIL FROM:<>", "250")
            await c.says(f"RCPT TO:<{ALICE}>", "250")
            c.send(command)
            if command == "DATA":
                await c.reply()
                c.send(b"x" * 100_000)
            assert await c.closed() == b"552 5.3.4 The message is larger than is taken here\r\n"


async def test_s6_a_full_mailbox_is_told_at_rcpt(office):
    carol = "carol@example.test"
    office.add_user(carol, quota=3000)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example> SIZE=4000", "250")
        await c.says(f"RCPT TO:<{carol}>", "452 4.2.2")
        await c.says("RSET", "250")
        await c.gives(MESSAGE + b"x" * 2000 + b"\r\n", to=carol)
        await c.gives(MESSAGE + b"x" * 2000 + b"\r\n", "452 4.2.2", to=carol)
        await c.says("MAIL FROM:<a@remote.example> SIZE=2000", "250")
        await c.says(f"RCPT TO:<{carol}>", "452 4.2.2")
    assert len(office.mail_of(carol)) == 1
    assert {row["reason"] for row in await office.refused()} == {"over-quota"}


async def test_s12_of_several_recipients_each_gets_his_copy_once(office):
    office.add_alias("both@example.test", ALICE, BOB)
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@remote.example>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("RCPT TO:<nobody@example.test>", "550 5.1.1")
        await c.says("RCPT TO:<alice+tag@example.test>", "250")
        await c.says("RCPT TO:<both@example.test>", "250")
        await c.says("DATA", "354")
        await c.says(MESSAGE + b".\r\n", "250 2.0.0")
    assert office.content_of(ALICE) == [MESSAGE] and office.content_of(BOB) == [MESSAGE]


async def test_s12_local_and_remote_recipients_go_in_one_write(office):
    office.set(smtp__trusted_networks="127.0.0.1")
    async with office.greeted() as c:
        await c.says("MAIL FROM:<a@example.test>", "250")
        await c.says(f"RCPT TO:<{ALICE}>", "250")
        await c.says("RCPT TO:<x@remote.example> NOTIFY=FAILURE ORCPT=rfc822;X@remote.example", "250")
        await c.says("DATA", "354")
        trace = (await c.says(MESSAGE + b".\r\n", "250 2.0.0")).split()[2]
    assert office.content_of(ALICE) == [MESSAGE]
    assert office.queued() == [
        ("a@example.test", "x@remote.example", "relay", "FAILURE", "rfc822;X@remote.example", None, None)
    ]
    assert office.story(trace) == [("accepted", "relay"), ("delivered", ""), ("queued", "relay")]


async def test_d16_an_answer_before_tls_is_not_taken_for_one_within(office):
    """The other direction: nothing we said in the clear is still waiting when TLS begins."""
    async with office.greeted() as c:
        c.send("NOOP\r\nSTARTTLS")
        assert (await c.reply())[0].startswith("250") and (await c.reply())[0].startswith("220")
        await c.writer.start_tls(anyone())
        await c.says("EHLO me", "250")


BOMBS = {
    "addresses": b"To: " + b"a@b.example,\r\n " * 50_000 + b"c@d.example\r\n\r\nx\r\n",
    "fields": b"X-Field: y\r\n" * 60_000 + b"\r\nx\r\n",
    "nesting": b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(2000)),
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"x\r\n",
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 50_000 + b"--b--\r\n",
    "parameters": b"Content-Type: text/plain" + b";\r\n name*0*=x" * 20_000 + b"\r\n\r\nx\r\n",
    "ids": b"Message-ID: " + b"<" * 5000 + b"\r\n\r\nx\r\n",
    "words": b"Subject: " + b"=?x-unknown?q?a?=\r\n " * 20_000 + b"end\r\n\r\nx\r\n",
    "nothing": b"",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("bomb", BOMBS)
async def test_d14_a_message_made_to_be_expensive_is_stored_as_it_is(office, bomb):
    async with office.greeted() as c:
        await c.gives(BOMBS[bomb])
    assert office.content_of(ALICE) == [BOMBS[bomb]]


@pytest.mark.parametrize("octets", [b"x" * 1_500_000, b"NOOP " + b"x" * 1_500_000])
async def test_d17_an_endless_line_is_given_up_and_held_nowhere(office, octets):
    async with office.greeted() as c:
        c.send(octets)
        assert await c.closed() == b"500 5.5.6 The line is too long\r\n"


async def test_d17_a_line_that_is_too_long_is_one_error(office):
    async with office.greeted() as c:
        await c.says("NOOP " + "x" * 10_000, "500 5.5.6")
        await c.says("NOOP", "250")


@pytest.mark.parametrize("words", ["GET / HTTP/1.1", "POST /x HTTP/1.1", "CONNECT x:25 HTTP/1.1"])
async def test_a_browser_is_shown_out_at_once(office, words):
    async with office.client() as c:
        await c.reply()
        c.send(f"{words}\r\nHost: x\r\n\r\nMAIL FROM:<evil@x.example>")
        assert await c.closed() == b"421 4.7.0 This is a mail server\r\n"


async def test_a_client_may_leave_at_any_point(office):
    talk = f"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nBDAT 5\r\nabc".encode()
    for end in range(0, len(talk), 3):
        async with office.client() as c:
            c.send(talk[:end])
            await c.writer.drain()
    await office.settled()
    assert office.mail_of(ALICE) == [] and office.doors.counts.total == 0


async def test_tls_that_ends_without_goodbye_is_no_fault_of_ours(office, caplog):
    async with office.greeted("submissions") as c:
        c.writer.transport.abort()
    await office.settled()
    assert "Traceback" not in caplog.text


def test_the_tests_trust_any_certificate():
    assert anyone().verify_mode == ssl.CERT_NONE
