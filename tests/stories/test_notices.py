"""What senders are told, and what comes back: notices of failure, delay and success, forwards under a rewritten
sender and their bounces, and circles, which end.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tests.instruments.server import Server
from tests.stories.abroad import ALICE, BOB, HOST, PASSWORD, SETTINGS, World, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITHOUT_DSN = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")


def parts(notice: bytes) -> tuple[str, str, str]:
    """The three parts of a multipart/report: for people, for machines, the original (RFC 6522)."""
    message = message_from_bytes(notice, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report" and message["Auto-Submitted"] == "auto-replied"
    assert message["Return-Path"] == "<>" and not message.defects
    human, machine, original = message.iter_parts()
    return human.get_content(), machine.as_string(), original.as_string()


async def about(world: World, user: str, text: str) -> int:
    """How many messages in a user's INBOX speak of it."""
    return sum(text.encode() in message for message in await world.inbox(user))


# -- failure -----------------------------------------------------------------------------------------------------------


async def test_a_refusal_comes_back_with_the_peers_words_and_a_remedy(world: World) -> None:
    world.dns.add("contoso.example. MX 0 contoso-example.mail.protection.outlook.com.")
    sink = await world.host("contoso-example.mail.protection.outlook.com")
    words = (
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent.\n"
        "5.7.1 Please contact your Internet service provider since part of their network is on our block list (S3140)."
    )
    sink.on("RCPT", words)
    await world.submit(
        ALICE, "jo@contoso.example", subject="offer", mail="ENVID=offer-7", rcpt="ORCPT=rfc822;jo@old.example"
    )
    human, machine, original = parts(await world.notice(ALICE, "jo@contoso.example"))
    assert "<jo@contoso.example>" in human and "weren't sent" in human and "S3140" in human
    assert "Microsoft's block list" in human and "olcsupport.office.com" in human, "what to do, in plain words"
    for line in (
        "Original-Envelope-Id: offer-7", f"Reporting-MTA: dns; {HOST}", "Original-Recipient: rfc822;jo@old.example",
        "Final-Recipient: rfc822;jo@contoso.example", "Action: failed", "Status: 5.7.1",
        "Remote-MTA: dns; contoso-example.mail.protection.outlook.com", "Diagnostic-Code: smtp; 550",
    ):  # fmt: skip
        assert line.replace("; ", ";").lower() in machine.replace("; ", ";").lower(), f"{line} is not in\n{machine}"
    assert "Subject: offer" in original


@pytest.mark.parametrize(
    "domain,records,status,words",
    [
        ("nowhere.example", "", "5.1.2", "does not exist"),
        ("silent.example", "silent.example. MX 0 .", "5.1.10", "takes no mail"),
        ("mine.example", f"mine.example. MX 10 {HOST}.", "5.4.6", "would come back to this server"),
        ("worse.example", f"worse.example. MX 10 {HOST}.\nworse.example. MX 20 b.worse.example.", "5.4.6", "come back"),
        ("empty.example", "empty.example. MX 10 nobody.empty.example.", "5.4.4", "no mail server"),
    ],
)
async def test_a_domain_that_takes_no_mail_is_told_at_once(
    world: World, domain: str, records: str, status: str, words: str
) -> None:
    world.dns.add(records)
    trace = await world.submit(ALICE, f"x@{domain}")
    human, machine, _ = parts(await world.notice(ALICE, f"x@{domain}"))
    assert f"Status: {status}" in machine and words in " ".join(human.split())
    assert not world.queued(f"x@{domain}")
    assert [step["kind"] for step in await world.story(trace)] == [
        "accepted", "queued", "failed", "notified", "delivered",
    ]  # fmt: skip


async def test_hosts_we_prefer_less_than_ourselves_are_left_out(world: World) -> None:
    world.dns.add(
        f"backup.example. MX 10 a.backup.example.\nbackup.example. MX 20 {HOST}.\n"
        "backup.example. MX 30 c.backup.example."
    )
    first, last = await world.host("a.backup.example"), await world.host("c.backup.example")
    await world.submit(ALICE, "x@backup.example")
    await first.wait(1)
    assert not last.sessions


async def test_what_expires_comes_back_with_the_last_words_and_a_remedy(world: World) -> None:
    world.dns.add("never.example. MX 1 mta5.am0.yahoodns.net.")
    sink = await world.host("mta5.am0.yahoodns.net")
    sink.on("MAIL", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints")
    await world.configure("queue.lifetime", "2s")
    trace = await world.submit(ALICE, "x@never.example")
    await world.configure("queue.lifetime", "5d")
    human, machine, _ = parts(await world.notice(ALICE, "x@never.example"))
    human = " ".join(human.split())
    assert "deferred due to user complaints" in human and "Not delivered within 2s" in human
    assert "send less and cleaner mail for some days." in human, "what to do, in plain words"
    assert "tried again by itself" not in human, "it is not"
    assert "Status: 4.4.7" in machine and "Action: failed" in machine
    story = await world.story(trace)
    assert [step["kind"] for step in story][-3:] == ["failed", "notified", "delivered"]
    assert story[-3]["reason"] == "expired"
    assert await about(world, ALICE, "x@never.example") == 1


# -- delay and success -------------------------------------------------------------------------------------------------


async def test_a_delay_is_told_once_and_then_it_arrives(world: World) -> None:
    sink = await world.domain("slow.example")
    sink.on("RCPT", "451 4.3.2 later, please")
    await world.configure("queue.warn_after", "1s")
    await world.submit(ALICE, "x@slow.example", "y@slow.example")
    await world.configure("queue.warn_after", "0s")
    human, machine, _ = parts(await world.notice(ALICE, "x@slow.example"))
    assert "is tried again by itself" in " ".join(human.split()) and "later, please" in human
    assert machine.count("Action: delayed") == 2 and machine.count("Will-Retry-Until: ") == 2
    for to in ("x@slow.example", "y@slow.example"):
        await world.tried(to, times=world.queued(to)[0].attempts + 1)
    assert await about(world, ALICE, "x@slow.example") == 1
    sink.behave()
    await world.gone("slow.example")
    assert len(sink.copies) in (1, 2) and await about(world, ALICE, "x@slow.example") == 1


async def test_what_the_sender_asks_for_is_passed_on_to_a_peer_that_does_it(world: World) -> None:
    sink = await world.domain("dsn.example")
    await world.submit(
        ALICE,
        "x@dsn.example",
        mail="RET=HDRS ENVID=QQ+3D314159",
        rcpt="NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@dsn.example",
    )
    (copy,) = await sink.wait(1)
    assert "RET=HDRS" in copy.parameters and "ENVID=QQ+3D314159" in copy.parameters
    assert copy.recipient_parameters == ["NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@dsn.example"]
    await world.gone("x@dsn.example")
    assert await about(world, ALICE, "x@dsn.example") == 0, "the peer tells"


async def test_success_is_told_by_us_where_the_peer_cannot(world: World) -> None:
    sink = await world.domain("simple.example", WITHOUT_DSN)
    await world.submit(ALICE, "x@simple.example", mail="ENVID=once-more", rcpt="NOTIFY=SUCCESS")
    (copy,) = await sink.wait(1)
    assert "ENVID" not in copy.parameters and copy.recipient_parameters == [""]
    _, machine, _ = parts(await world.notice(ALICE, "x@simple.example"))
    assert "Action: relayed" in machine and "Original-Envelope-Id: once-more" in machine


async def test_who_wants_to_hear_nothing_hears_nothing(world: World) -> None:
    sink = await world.domain("quiet.example", WITHOUT_DSN)
    sink.on("RCPT", "550 5.1.1 nobody", match="nobody")
    trace = await world.submit(ALICE, "nobody@quiet.example", "somebody@quiet.example", rcpt="NOTIFY=NEVER")
    await sink.wait(1)
    await world.gone("quiet.example")
    assert {"failed", "sent"} <= {step["kind"] for step in await world.story(trace)}
    assert await about(world, ALICE, "quiet.example") == 0


async def test_a_notice_that_cannot_be_delivered_is_not_answered(world: World) -> None:
    """Somebody outside asked for the impossible with a sender who does not exist."""
    shop, gone = await world.domain("shop.example"), await world.domain("gone.example")
    gone.on("RCPT", "550 5.1.1 moved away")
    shop.on("RCPT", "550 5.1.1 no such sender")
    await world.mailctl("forward", "set", BOB, "bob@gone.example")
    trace = await world.arrive("joerg@shop.example", BOB)
    await world.settled(lambda: any("no such sender" in line for s in shop.sessions for line in s.dialogue))
    await world.gone()
    await world.mailctl("forward", "rm", BOB, "--all", "--yes")
    story = await world.story(trace)
    assert ("dropped", "double-bounce") in {(step["kind"], step["reason"]) for step in story}, story


# -- forwards ----------------------------------------------------------------------------------------------------------


async def test_a_forward_goes_out_under_a_sender_that_leads_back(world: World) -> None:
    home, work = await world.domain("home.example"), await world.domain("work.example")
    await world.mailctl("forward", "add", BOB, "bob@home.example", "--keep")
    data = letter("ann@work.example", "for bob", "signed, so do not touch\r\n")
    await world.arrive("ann@work.example", BOB, data=data)
    (copy,) = await home.wait(1)
    assert copy.data.endswith(b"\r\n" + data), "the body and every header of it as they came"
    assert re.fullmatch(r"SRS0=[^@]+=work\.example=ann@example\.test", copy.sender), copy.sender
    assert any(b"for bob" in message for message in await world.inbox(BOB)), "the kept copy"
    bounce = letter("MAILER-DAEMON@home.example", "it did not work")
    await world.arrive("", copy.sender, data=bounce)
    (back,) = await work.wait(1)
    assert back.sender == "" and back.recipients == ["ann@work.example"] and back.data.endswith(bounce)
    home.on("RCPT", "550 5.1.1 bob has left")
    await world.arrive("ann@work.example", BOB, subject="second")
    await work.wait(2)
    assert b"bob has left" in work.copies[1].data and work.copies[1].sender == "", "the notice goes to who wrote"
    with pytest.raises(AssertionError, match="550 5.1.1"):
        await world.arrive("", copy.sender.replace("ann", "eve"), data=bounce)
    await world.mailctl("forward", "rm", BOB, "--all", "--yes")


async def test_an_alias_to_outside_works_the_same(world: World) -> None:
    club = await world.domain("club.example")
    await world.mailctl("alias", "add", "club@example.test", ALICE, "members@club.example")
    await world.submit(BOB, "club@example.test", subject="to the club")
    (copy,) = await club.wait(1)
    assert copy.sender == BOB, "our own sender needs no rewriting: SPF of his domain names this server"
    assert any(b"to the club" in message for message in await world.inbox(ALICE))
    await world.mailctl("alias", "rm", "club@example.test", "--yes")


# -- circles -----------------------------------------------------------------------------------------------------------


async def test_two_servers_that_forward_to_each_other_end_it_with_one_notice(world: World) -> None:
    """D21. BOB here forwards to ben there, who forwards to BOB."""
    address = world.address()
    path = world.server.data.path.parent / "other"
    settings = {
        **SETTINGS, "hostname": "mx.other.example", "listen.smtp": f"{address}:{world.port}",
        "smtp.out_port": str(world.port), "dns.servers": world.dns.at,
    }  # fmt: skip
    other = Server(path, {"ben@other.example": PASSWORD}, settings)
    world.dns.add(f"other.example. MX 10 mx.other.example.\nmx.other.example. A {address}")
    world.dns.add("far-away.example. MX 10 mx.far-away.example.")
    far = await world.host("mx.far-away.example")
    there = World(other, world.dns, {"ben@other.example": PASSWORD})
    await there.mailctl("forward", "set", "ben@other.example", BOB, "--no-keep")
    await world.mailctl("forward", "set", BOB, "ben@other.example", "--no-keep")
    await there.start()
    try:
        inside = await world.submit(ALICE, BOB, subject="round and round")
        outside = await world.arrive("zoe@far-away.example", BOB, subject="carousel")
        await far.wait(1)
        notice = await world.notice(ALICE, "round and round")
        assert "Status: 5.4.6" in parts(notice)[1]
        await world.gone()
        await there.gone()
        assert await about(world, ALICE, "round and round") == 1 and len(far.copies) == 1
        assert far.copies[0].sender == "" and far.copies[0].recipients == ["zoe@far-away.example"]
        assert not await about(world, BOB, "carousel") and not await there.inbox("ben@other.example")
        for trace in (inside, outside):
            assert [step["kind"] for step in await world.story(trace)].count("sent") <= 1, "once round, and no further"
    finally:
        await there.close()
        await world.mailctl("forward", "rm", BOB, "--all", "--yes")
