"""What one session does and another hears of: IDLE, news with commands, other processes, and how soon."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.store import messages
from daemon.store.db import Store
from tests.serve.imap.conftest import Client, MailHouse, numbers


async def idle(client: Client) -> None:
    client.send(b"i IDLE\r\n")
    assert await client.line() == b"+ idling"


async def done(client: Client) -> list[bytes]:
    client.send(b"DONE\r\n")
    return await client.answer(b"i")


async def test_idle_tells_everything_at_once(house: MailHouse) -> None:
    await house.fill(4)
    async with house.client(select="INBOX") as client:
        await idle(client)
        await house.store.write(messages.set_flags, house.box().id, [(4, 4)], "+", 4)
        assert await client.line() == b"* 4 FETCH (UID 4 FLAGS (\\Recent \\Flagged))"
        await house.store.write(messages.remove, house.box().id, [(1, 1), (3, 3)])
        assert [await client.line(), await client.line()] == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
        await house.fill(1)
        assert [await client.line(), await client.line()] == [b"* 3 EXISTS", b"* 3 RECENT"]
        await done(client)


async def test_news_of_a_moment_are_told_in_order(house: MailHouse) -> None:
    await house.fill(5)
    async with house.client(select="INBOX") as client:
        box = house.box().id
        await house.store.write(messages.set_flags, box, [(5, 5)], "+", 1)
        await house.store.write(messages.remove, box, [(2, 3)])
        await house.fill(2)
        lines = await client.ok("NOOP")
        assert lines == [
            b"* 2 EXPUNGE",
            b"* 2 EXPUNGE",
            b"* 5 EXISTS",
            b"* 5 RECENT",
            b"* 3 FETCH (UID 5 FLAGS (\\Recent \\Seen))",
        ]
        assert await client.ok("NOOP") == []


async def test_a_push_comes_within_milliseconds_of_the_commit(house: MailHouse) -> None:
    async with house.client(select="INBOX") as client:
        await idle(client)
        delays = []
        for _ in range(20):
            await house.fill(1)
            committed = time.perf_counter()
            while not (await client.line()).endswith(b" EXISTS"):
                pass
            delays.append(time.perf_counter() - committed)
        assert sorted(delays)[5] < 0.005, "a quarter at least, on a machine that does other things too"
        await done(client)


async def test_other_processes_are_heard_too(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client, house.client(select="Sent") as other:
        await idle(client)
        await idle(other)
        stranger = await asyncio.to_thread(Store.open, house.store.data)
        await asyncio.to_thread(stranger.write_now, messages.set_flags, house.box().id, [(1, 1)], "+", 4)
        await asyncio.to_thread(stranger.close)
        house.store.check_others()
        assert await client.line() == b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Flagged))"
        assert len(await done(other)) == 1


async def test_mod_sequences_come_with_the_news_for_those_who_want_them(house: MailHouse) -> None:
    await house.fill(80)
    async with house.client() as client:
        await client.ok("SELECT INBOX (CONDSTORE)")
        await idle(client)
        await house.store.write(messages.set_flags, house.box().id, [(2, 2)], "+", 4)
        modseq = house.box().modseq
        assert await client.line() == b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged) MODSEQ (%d))" % modseq
        await house.store.write(messages.set_flags, house.box().id, [(1, 80)], "+", 1)
        lines = [await client.line() for _ in range(80)]
        assert numbers(lines, b"FETCH") == list(range(1, 81))
        assert all(line.endswith(b" MODSEQ (%d))" % (modseq + 1)) for line in lines)
        await done(client)


async def test_new_keywords_are_announced_to_all(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as one, house.client() as two:
        await two.ok("EXAMINE INBOX")
        await one.ok("STORE 1 +FLAGS (Fresh)")
        assert (await two.ok("NOOP"))[:2] == [
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Fresh)",
            b"* OK [PERMANENTFLAGS ()] flags that can be changed for good",
        ]
        assert len(await one.ok("STORE 1 +FLAGS (fresh)")) == 1, "a keyword has one spelling"


async def test_a_store_that_cannot_be_read_does_not_break_idle(
    house: MailHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.serve.imap.view._LARGE", -1)
    monkeypatch.setattr("daemon.serve.imap.idle.LIMITS", replace(LIMITS, imap_idle_keepalive=0.05))  # type: ignore[arg-type]
    async with house.client(select="INBOX") as client:
        await idle(client)
        with monkeypatch.context() as broken:

            def fail(*args: object) -> None:
                raise ValueError("unreadable")

            broken.setattr("daemon.serve.imap.view._step", fail)
            await house.fill(1)
            assert await client.line() == b"* OK Still here"
        while (line := await client.line()) == b"* OK Still here":
            pass
        assert [line, await client.line()] == [b"* 1 EXISTS", b"* 1 RECENT"]
        await done(client)


async def test_a_peer_that_reads_nothing_holds_up_nobody(house: MailHouse) -> None:
    await house.deliver(*(b"Subject: %d\r\n\r\n" % n + b"z" * 50_000 for n in range(100)))
    async with house.client(select="INBOX") as stuck, house.client(select="INBOX") as other:
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for n in range(3):
            stuck.send(b"s%d FETCH 1:* BODY.PEEK[]\r\n" % n)
        lines = await other.ok("FETCH 1:* (UID FLAGS)")
        assert len(lines) == 100
        await other.ok("STORE 1:* +FLAGS.SILENT (\\Seen)")
