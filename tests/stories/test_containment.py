"""A password is stolen: what the thief sends is held after a few messages, owner and postmaster read of it, his
sessions and app passwords end with one command, and what is held goes on, or away, as one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import smtplib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.store import allowance, incidents
from tests.instruments.peer import Peer
from tests.instruments.sink import Sink
from tests.interop.conftest import run
from tests.store.stage import clean
from tests.stories.abroad import ALICE, BOB, PASSWORD, World, abroad, letter

LIMITS = {"allowance.messages_per_hour": "3", "limits.exempt_networks": ""}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """Bob is the administrator; a user may send three messages an hour."""
    async with abroad(tmp_path, {ALICE: PASSWORD, BOB: PASSWORD}, LIMITS) as world:
        await world.mailctl("user", "set", BOB, "--admin")
        yield world
        clean(world.store)


async def send(world: World, *to: str, times: int = 1, password: str = PASSWORD) -> None:
    """With Python's own client, one message for each time; it hears nothing but 250."""

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", world.server.ports["submission"]) as smtp:
            smtp.login(ALICE, password)
            for _ in range(times):
                assert smtp.sendmail(ALICE, list(to), letter(ALICE)) == {}

    await asyncio.to_thread(work)


async def lines(world: World, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await world.mailctl(*words, "--json")).splitlines()]


async def test_what_is_too_much_is_held_told_and_released(here: World) -> None:
    sink = await here.domain("far.example")
    await send(here, "x@far.example", BOB, times=3)
    await sink.wait(3)
    await send(here, "y@far.example", "z@far.example", BOB, times=2)
    run(
        "swaks", "--server", f"127.0.0.1:{here.server.ports['submission']}", "--auth", "PLAIN", "--auth-user", ALICE,
        "--auth-password", PASSWORD, "--from", ALICE, "--to", "w@far.example",
    )  # fmt: skip
    mine, his = await here.notice(ALICE, "is held"), await here.notice(BOB, "is held")
    for told in (mine, his):
        assert b"4 messages to other servers within an hour; 3 may be" in told
        assert b"mailctl queue release --incident 1" in told and b"mailctl queue drop --incident 1" in told
    assert len(await here.inbox(BOB)) == 6, "five messages and the letter: what stays here is delivered"

    (incident,) = await lines(here, "queue", "list")
    assert (incident["type"], incident["user"], incident["messages"], incident["waiting"]) == ("incident", ALICE, 3, 5)
    shown = await here.mailctl("queue", "list")
    assert "messages to other servers within an hour" in shown and "y@far.example" not in shown
    rows = await lines(here, "queue", "list", "--incident", "1")
    assert [row["recipient"][0] for row in rows] == ["y", "z", "y", "z", "w"]
    assert "1: alice@example.test since" in await here.mailctl("queue", "show", str(rows[0]["id"]))
    (found,) = await lines(here, "status")
    assert found["incidents"] == 1 and any("incident 1" in one for one in found["problems"])
    await here.mailctl("queue", "release", "--all")
    await here.mailctl("queue", "retry", "--all")
    assert len(await lines(here, "queue", "list", "--incident", "1")) == 5, "not by the way"

    assert "5 recipients released" in await here.mailctl("queue", "release", "--incident", "1")
    await here.gone()
    assert sorted(r for copy in sink.copies for r in copy.recipients) == sorted(
        ["x@far.example"] * 3 + ["y@far.example", "z@far.example"] * 2 + ["w@far.example"]
    )
    story = await here.mailctl("trace", rows[0]["trace"])
    assert "held for y@far.example: its sender sends more than he may (incident 1)" in story
    assert "y@far.example is released with all that incident 1 held, by hand" in story
    await send(here, "x@far.example", times=3)
    await here.gone()
    assert not await lines(here, "queue", "list"), "his count begins anew"
    assert len(await here.inbox(ALICE)) == 1


async def test_a_thief_is_stopped_and_shown_out_and_what_he_sent_is_dropped(here: World) -> None:
    sink = await here.domain("far.example")
    (made,) = await lines(here, "user", "app-password", "add", ALICE, "phone")
    secret = made["password"]
    await send(here, "x@far.example", times=8, password=secret)
    await here.settled(lambda: len(sink.copies) == 3)
    open_ones = await asyncio.to_thread(visit, here, secret)
    seen = await until_listed(here, 3)
    assert [(s["protocol"], s["app_password"]) for s in seen if s["user"] == ALICE] == [
        ("imap", "phone"), ("pop3", None), ("smtp", "phone"),
    ]  # fmt: skip
    dry = await here.mailctl("session", "kill", ALICE, "--dry-run")
    assert "3 sessions of alice@example.test; app passwords revoked: phone" in dry and "would end" in dry
    (done,) = await lines(here, "session", "kill", ALICE, "--yes")
    assert done == {"user": ALICE, "sessions": 3, "app_passwords": ["phone"]}
    for peer in open_ones:
        rest = await asyncio.to_thread(peer.rest)
        assert b"" == rest or b"ended by the administrator" in rest
        peer.close()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await send(here, "x@far.example", password=secret)
    await until_listed(here, 0)
    assert "5 recipients dropped" in await here.mailctl("queue", "drop", "--incident", "1", "--yes")
    assert len(await here.inbox(ALICE)) == 1 and len(sink.copies) == 3 and not here.queued()
    await send(here, "late@far.example")
    assert [one["incident"] for one in await lines(here, "queue", "list")] == [2], "what he had sent still counts"
    await here.notice(BOB, "queue release --incident 2")


def visit(world: World, secret: str) -> list[Peer]:
    """Idle over IMAP, log in over POP3 with the user's own password, and over SMTP."""
    imap, pop3, smtp = (Peer(world.server.ports[door]) for door in ("imap", "pop3", "submission"))
    imap.line()
    imap.command(f"LOGIN {ALICE} {secret}")
    imap.command("SELECT INBOX")
    imap.send("i IDLE")
    assert imap.line().startswith(b"+ ")
    for line in ("", f"USER {ALICE}", f"PASS {PASSWORD}"):
        if line:
            pop3.send(line)
        assert pop3.line().startswith(b"+OK")
    token = base64.b64encode(f"\0{ALICE}\0{secret}".encode()).decode()
    smtp.says("EHLO x.example", "220", "250")
    smtp.says(f"AUTH PLAIN {token}", "235")
    return [imap, pop3, smtp]


async def until_listed(world: World, sessions: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while len(found := await lines(world, "session", "list", "--user", ALICE)) != sessions:
            await asyncio.sleep(0.05)
    return sorted(found, key=lambda one: str(one["protocol"]))


async def test_a_kill_in_the_middle_counts_nothing_twice_and_forgets_nothing(here: World) -> None:
    """Whoever heard 250 is counted and held, or counted and sent; the letters are there once."""
    sink: Sink = await here.domain("far.example")
    await here.mailctl("config", "set", "allowance.messages_per_hour", "40")
    heard: list[int] = []

    def flood() -> None:
        try:
            with smtplib.SMTP("127.0.0.1", here.server.ports["submission"], timeout=20) as smtp:
                smtp.login(ALICE, PASSWORD)
                for number in range(500):
                    smtp.sendmail(ALICE, [f"s{number}@far.example", f"t{number}@far.example"], letter(ALICE))
                    heard.append(number)
        except (smtplib.SMTPException, OSError):
            return

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    await here.settled(lambda: len(heard) >= 80)
    await here.kill()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    clean(here.store)
    (incident,) = here.store.read_now(incidents.open_ones)
    sent = here.store.read_now(allowance.state, incident.account_id)
    assert sent is not None and (sent.day.messages, sent.day.recipients) == (40, 80)
    assert incident.recipients == incident.waiting == 2 * incident.messages
    assert len(heard) <= 40 + incident.messages <= len(heard) + 2, "two may not have heard of it"
    assert await lines(here, "session", "list") == [], "no server runs"
    await here.start()
    await here.settled(lambda: len({r for copy in sink.copies for r in copy.recipients}) >= 40)
    await here.notice(ALICE, "is held")
    await here.notice(BOB, "is held")
    await here.mailctl("queue", "drop", "--incident", str(incident.id), "--yes")
    await here.gone()
