"""Lists in the DNS and strangers in doubt: what a listed sender sends goes to Junk, and the trace says by which list;
bad lists cost a bounded time, are seen, and list nobody; a stranger in doubt is told to try again, does, and is let in.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from daemon.limits import LIMITS
from tests.instruments.peer import Peer
from tests.stories.abroad import ALICE, BOB, PASSWORD, World, abroad

USERS = {ALICE: PASSWORD, BOB: PASSWORD}
PROXY = "127.0.0.9"  # who speaks for peers out in the world
SETTINGS = {
    "trust.check": "yes", "spam.check": "yes", "spam.greylist": "no", "proxy.trusted": PROXY,
    "limits.exempt_networks": "127.0.0.0/8", "spam.blocklists": "bl.test", "spam.domain_lists": "dom.test",
    "spam.link_lists": "uri.test", "spam.welcome_lists": "wl.test", "spam.welcome_domains": "",
}  # fmt: skip
ZONE = """
2.0.0.127.bl.test. A 127.0.0.2
2.0.0.127.wl.test. A 127.0.0.2
test.dom.test. A 127.0.0.2
test.uri.test. A 127.0.0.2
7.9.9.9.bl.test. A 127.0.0.4
spammer.example.dom.test. A 127.0.0.2
evil.example.uri.test. A 127.0.0.2
"""


def letter(author: str, text: str, number: int = 1) -> bytes:
    return (
        f"From: <{author}>\r\nTo: <{ALICE}>\r\nSubject: offer\r\nMessage-ID: <{number}@{author.partition('@')[2]}>\r\n"
        f"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nContent-Type: text/html\r\n\r\n{text}\r\n"
    ).encode()


async def gives(world: World, ip: str, author: str, data: bytes, *to: str) -> str:
    """What the server answers to a message from an address in the world."""

    def work() -> str:
        with Peer(world.port, source=PROXY) as peer:
            peer.send(f"PROXY TCP4 {ip} 192.0.2.1 4711 25")
            peer.says("EHLO mx.outside.example", "220", "250")
            peer.says(f"MAIL FROM:<{author}>", "250")
            for each in to or (ALICE,):
                peer.says(f"RCPT TO:<{each}>", "250")
            peer.says("DATA", "354")
            return peer.says(data + b".\r\n", "")

    return await asyncio.to_thread(work)


async def test_a_listed_sender_goes_to_junk_and_the_trace_says_which_list(tmp_path: Path) -> None:
    async with abroad(tmp_path, USERS, SETTINGS) as world:
        world.dns.add(ZONE)
        link = '<a href="http&#58;//bank.example@WWW.ev%69l.example:80/login">your account</a>'
        said = await gives(world, "9.9.9.7", "x@mail.spammer.example", letter("x@mail.spammer.example", link))
        assert said.startswith("250 ")
        (mail,) = await world.inbox(ALICE, "Junk")
        assert re.search(rb"X-Spam-Reasons: [^:]*listed by bl\.test", mail.replace(b"\r\n", b"")), mail
        told = await world.mailctl("trace", said.split()[-1])
        assert "its sender's address is listed by bl.test (+3.0: 9.9.9.7)" in told
        assert "a domain of its sender is listed by dom.test (+3.0: spammer.example)" in told
        assert "a link in it is listed by uri.test (+3.0: evil.example)" in told
        await gives(world, "9.9.9.8", "x@fine.example", letter("x@fine.example", "Good morning.", 2))
        assert len(await world.inbox(ALICE)) == 1


async def test_bad_lists_cost_a_bounded_time_are_seen_and_list_nobody(tmp_path: Path) -> None:
    lists = "all.test shut.test slow.test broken.test dead.test"
    async with abroad(tmp_path, USERS, {**SETTINGS, "spam.blocklists": lists}) as world:
        world.dns.add(ZONE + "8.9.9.9.all.test. A 127.0.0.2\n1.0.0.127.all.test. A 127.0.0.2")
        world.dns.add("8.9.9.9.shut.test. A 127.255.255.254\n2.0.0.127.shut.test. A 127.255.255.254")
        world.dns.add("2.0.0.127.slow.test. A 127.0.0.2")
        world.dns.trouble.update({"8.9.9.9.slow.test": "hang", "1.0.0.127.broken.test": "SERVFAIL"})
        for number in range(LIMITS.list_failures + 1):
            async with asyncio.timeout(10 * LIMITS.list_patience):
                said = await gives(
                    world, "9.9.9.8", "x@fine.example", letter("x@fine.example", "Good morning.", number)
                )
            assert said.startswith("250 ")
        assert len(await world.inbox(ALICE)) == LIMITS.list_failures + 1
        judged = next(step for step in await world.story(said.split()[-1]) if step["kind"] == "judged")
        assert judged["detail"]["silent"] == [f"the list {name}" for name in sorted(lists.split())]
        log = world.server.log()
        assert all(f"event=list-silent list={name} " in log for name in lists.split())
        assert f'list=slow.test reason="no answer within {LIMITS.list_patience} s" rest={LIMITS.list_rest}' in log
        done = await asyncio.to_thread(world._ctl, "doctor", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert {f["subject"] for f in found if f["reason"] == "list-silent"} == set(lists.split()) - {"slow.test"}


async def test_a_stranger_in_doubt_is_told_to_try_again_and_is_let_in(tmp_path: Path) -> None:
    doubt = {"spam.greylist": "yes", "spam.greylist_delay": "2s", "spam.doubt": "0.1", "spam.junk": "50"}
    async with abroad(tmp_path, USERS, {**SETTINGS, **doubt}) as world:
        world.dns.add(ZONE)
        world.dns.add('friend.example. TXT "v=spf1 ip4:9.9.9.7 -all"\n_dmarc.friend.example. TXT "v=DMARC1; p=none"')
        data = letter("x@spammer.example", "Good morning.")
        said = await gives(world, "9.9.9.7", "x@spammer.example", data, ALICE, BOB)
        assert said.startswith("451 4.7.1 ") and "sender unknown" in said
        assert await world.inbox(ALICE) == await world.inbox(BOB) == []
        answers: list[str] = []

        async def again() -> bool:
            answers.append(await gives(world, "9.9.9.200", "x@spammer.example", data, ALICE, BOB))
            return answers[-1].startswith("250 ")

        async with asyncio.timeout(20):
            while not await again():
                assert answers[-1].startswith("451 4.7.1 ")
        assert len(await world.inbox(ALICE)) == len(await world.inbox(BOB)) == 1
        assert (await gives(world, "9.9.9.7", "x@spammer.example", data, BOB)).startswith("250 "), "it passed before"
        told = await world.story(re.search(r"trace (\w+)", said)[1])  # type: ignore[index]
        assert [(step["kind"], step["reason"]) for step in told][-1] == ("refused", "greylisted")

        await world.submit(ALICE, "y@spammer.example")
        other = letter("y@spammer.example", "Good morning.", 2)
        assert (await gives(world, "9.9.1.7", "z@spammer.example", other)).startswith("250 "), "a correspondent"
        third = letter("z@spammer.example", "Good morning.", 3)
        assert (await gives(world, "9.9.2.7", "z@spammer.example", third)).startswith("451 ")
        await world.mailctl("config", "set", "spam.greylist", "no")
        async with asyncio.timeout(20):
            while not (await gives(world, "9.9.3.7", "z@spammer.example", third)).startswith("250 "):
                pass
