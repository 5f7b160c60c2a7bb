"""Mail that is believed, and mail that is not: a real server, real signatures, a name server that answers or fails."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from daemon.trust import sign
from tests.instruments.peer import Peer
from tests.stories.abroad import ALICE, BOB, PASSWORD, World, abroad

SETTINGS = {"trust.check": "yes"}
ZONE = """
1.0.0.127.in-addr.arpa. PTR mx.good.example.
mx.good.example. A 127.0.0.1
good.example. TXT "v=spf1 a:mx.good.example -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject; rua=mailto:reports@good.example"
bank.example. TXT "v=spf1 -all"
_dmarc.bank.example. TXT "v=DMARC1; p=reject"
shop.example. TXT "v=spf1 -all"
_dmarc.shop.example. TXT "v=DMARC1; p=quarantine"
"""
FORGED = b"Authentication-Results: mx.example.test; dmarc=pass header.from=bank.example\r\n"
USERS = {ALICE: PASSWORD, BOB: PASSWORD}


def letter(author: str, subject: str = "hello") -> bytes:
    return (
        f"From: <{author}>\r\nTo: <{ALICE}>\r\nSubject: {subject}\r\nMessage-ID: <1@{author.partition('@')[2]}>\r\n"
        "Date: Sat, 28 Nov 2026 10:00:00 +0000\r\n\r\nGood morning.\r\n"
    ).encode()


async def refused(world: World, data: bytes, sender: str = "x@evil.example") -> str:
    """The answer to a forger, who comes from an address of his own."""

    def work() -> str:
        with Peer(world.port, source="127.0.0.9") as peer:
            peer.says("EHLO mx.outside.example", "220", "250")
            peer.says(f"MAIL FROM:<{sender}>", "250")
            peer.says(f"RCPT TO:<{ALICE}>", "250")
            peer.says("DATA", "354")
            return peer.says(data + b".\r\n", "550")

    return await asyncio.to_thread(work)


async def test_a_forger_a_careless_shop_and_a_friend(tmp_path: Path) -> None:
    key = sign.Key("good.example", "s1", "ed25519-sha256", sign.generate("ed25519-sha256"))
    async with abroad(tmp_path, USERS, SETTINGS) as world:
        world.dns.add(ZONE)
        world.dns.add(f's1._domainkey.good.example. TXT "{sign.public_record(key)}"')
        friend = letter("ann@good.example")
        friend = sign.sign(friend, [key], now=time.time()) + friend

        trace = await world.arrive("ann@good.example", ALICE, data=FORGED + friend)
        (mail,) = await world.inbox(ALICE)
        assert mail.endswith(friend) and FORGED not in mail, "only what was forged in our name is gone"
        top = mail[: mail.index(b"Received: from")]
        assert b"from mx.outside.example (mx.good.example [127.0.0.1])" in mail
        assert b"smtp.mailfrom=ann@good.example" in top and b"iprev=pass policy.iprev=127.0.0.1" in top
        assert b"dkim=pass header.d=good.example" in top and b"dmarc=pass header.from=good.example" in top
        told = (await world.story(trace))[1]
        assert (told["kind"], told["reason"]) == ("authenticated", "dmarc-pass")
        assert told["text"].startswith("checked: SPF pass for good.example; DKIM pass for good.example; DMARC pass for")
        assert told["detail"]["dmarc"]["dkim_aligned"] and told["detail"]["dmarc"]["spf_aligned"]

        await world.mailctl("forward", "add", BOB, "bob@far.example", "--keep")
        sink = await world.domain("far.example")
        await world.arrive("ann@good.example", BOB, data=friend)
        (copy,) = await sink.wait(1)
        assert copy.data.endswith(friend) and b"dmarc=pass header.from=good.example" in copy.data

        trace = await world.arrive("x@evil.example", BOB, data=letter("sale@shop.example"))
        assert len(await world.inbox(BOB)) == 1
        (junk,) = await world.inbox(BOB, "Junk")
        assert b"dmarc=fail" in junk and b"policy.dmarc=quarantine" in junk
        steps = await world.story(trace)
        assert [step["kind"] for step in steps] == ["accepted", "authenticated", "delivered", "dropped"]
        assert world.queued() == [] and len(sink.copies) == 1

        reply = await refused(world, letter("president@bank.example"))
        assert reply.startswith("550 5.7.26 ") and "DMARC policy of bank.example" in reply
        steps = await world.story(reply.rpartition("(trace ")[2].rstrip(")"))
        assert [(step["kind"], step["reason"]) for step in steps] == [
            ("authenticated", "dmarc-reject"), ("refused", "dmarc-reject"),
        ]  # fmt: skip
        assert len(await world.inbox(ALICE)) == 1

        changed = friend.replace(b"Good morning.", b"Good mourning.")
        await world.arrive("ann@good.example", ALICE, data=changed)
        (_, mail) = await world.inbox(ALICE)
        assert b"dkim=fail" in mail and b"dmarc=pass" in mail, "SPF is enough"
        assert "550 5.7.26" in await refused(world, changed, "ann@good.example"), "and neither is not"


async def test_a_name_server_that_fails_refuses_nobody(tmp_path: Path) -> None:
    async with abroad(tmp_path, USERS, SETTINGS) as world:
        world.dns.add(ZONE)
        world.dns.trouble["*"] = "SERVFAIL"
        trace = await world.arrive("x@evil.example", ALICE, data=letter("president@bank.example"))
        (mail,) = await world.inbox(ALICE)
        assert b"dmarc=temperror" in mail and b"spf=temperror" in mail and b"iprev=temperror" in mail
        assert (await world.story(trace))[1]["reason"] == "dmarc-temperror"
