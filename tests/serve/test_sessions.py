"""Who is logged in, and how all sessions of a user end, those too that begin at that moment."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import argon2
import pytest

from daemon import passwords
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.serve import sessions as register
from daemon.serve.connection import Connection
from daemon.serve.login import Identity
from daemon.serve.sessions import DISABLED, KILLED, Live, Sessions
from daemon.store import accounts, sessions
from daemon.store.db import Store, StoreBusy
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.serve.test_smtp_doors import DONE, PASSWORD, log_in
from tests.store.stage import clean


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    monkeypatch.setattr(register, "_EVERY", 0.01)
    office = PostOffice(tmp_path, **{"auth.require_tls": "no"})
    office.add_user(ALICE, accounts.Password(*passwords.keep(PASSWORD)))
    office.add_user(BOB)
    yield office
    await office.close()
    passwords._nobody.cache_clear()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def listed(store: Store) -> list[tuple[str, str]]:
    return [(one.user, one.protocol) for one in store.read_now(sessions.everyone)]


class Peer:
    """What a register sees of a connection."""

    def __init__(self) -> None:
        self.peer = "192.0.2.1"
        self.loop = asyncio.get_running_loop()
        self.said: list[str] = []
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def enter(self, register: Sessions, account: int = 1, epoch: int = 0) -> Live:
        identity = Identity(account, parse_address(ALICE if account == 1 else BOB), epoch=epoch)
        return register.enter(identity, "imap", cast(Connection, self), self.said.append)


async def test_a_user_s_sessions_end_and_nobody_else_s(office: PostOffice) -> None:
    mine, yours = [Peer(), Peer()], Peer()
    for one in mine:
        one.enter(office.door.sessions)
    yours.enter(office.door.sessions, account=2)
    office.write(sessions.end, 1, keep_app_passwords=False)
    await until(lambda: all(one.said for one in mine))
    assert [one.said for one in mine] == [[KILLED]] * 2 and not yours.said
    office.write(accounts.change, 2, enabled=0)
    await until(lambda: yours.said)
    assert yours.said == [DISABLED]
    office.write(accounts.change, 1, display_name="Alice")
    again = Peer()
    again.enter(office.door.sessions, epoch=1)
    assert not again.said and [one.said for one in mine] == [[KILLED]] * 2, "once is enough"


async def test_a_login_that_was_under_way_does_not_get_through(office: PostOffice) -> None:
    office.write(sessions.end, 1, keep_app_passwords=True)
    late = Peer()
    live = late.enter(office.door.sessions, epoch=0)
    assert late.said == [KILLED]
    office.door.sessions.leave(live)
    gone = Peer()
    gone.enter(office.door.sessions, account=99)
    assert gone.said == [DISABLED]


async def test_who_does_not_listen_is_cut_off(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "LIMITS", dataclasses.replace(LIMITS, linger=0))
    deaf = Peer()
    deaf.enter(office.door.sessions)
    office.write(sessions.end, 1, keep_app_passwords=True)
    await until(lambda: deaf.aborted)


async def test_it_is_written_down_in_bulk(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "_EVERY", 3600)
    live = office.door.sessions
    await live.begin()
    first, second = Peer().enter(live), Peer().enter(live, account=2)
    live.leave(first)
    live.leave(first)
    live.leave(None)
    assert listed(office.store) == []
    await live._write()
    assert listed(office.store) == [(BOB, "imap")], "who was here for a moment was never written"
    live.leave(second)
    await live._write()
    assert listed(office.store) == []
    before = office.store.read_now(lambda tx: tx.value("pragma data_version"))
    await live._write()
    assert office.store.read_now(lambda tx: tx.value("pragma data_version")) == before, "there was nothing to write"
    Peer().enter(live)
    await live._write()
    other = Sessions(office.store)
    await other.begin()
    assert listed(office.store) == [], "a predecessor's"
    await other.close()


async def test_what_the_store_cannot_take_is_written_whole_the_next_time(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = office.door.sessions
    one = Peer().enter(live)
    await until(lambda: listed(office.store))
    with monkeypatch.context() as patch:

        async def busy(*args: Any, **options: Any) -> None:
            raise StoreBusy("another process holds the database")

        patch.setattr(office.store, "write", busy)
        Peer().enter(live, account=2)
        live.leave(one)
        await until(lambda: live._anew)
    Peer().enter(live)
    await until(lambda: listed(office.store) == [(ALICE, "imap"), (BOB, "imap")])
    await live.close()
    assert listed(office.store) == [], "nobody is here any more"


async def test_who_hands_in_mail_is_a_session_until_he_goes(office: PostOffice) -> None:
    async with office.greeted("submission") as c:
        await log_in(c)
        await until(lambda: listed(office.store) == [(ALICE, "smtp")])
        await c.says("QUIT", "221")
    await until(lambda: not listed(office.store))
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.start_tls()
        assert not office.door.sessions._live, "TLS begins anew"


async def test_a_thief_hands_in_nothing_more_whatever_he_has_said_already(office: PostOffice) -> None:
    async with office.greeted("submission") as c:
        await log_in(c)
        await c.gives(DONE, sender=ALICE, to="x@remote.example")
        await c.says(f"MAIL FROM:<{ALICE}>", "250")
        await c.says("RCPT TO:<y@remote.example>", "250")
        await c.says("DATA", "354")
        office.write(sessions.end, 1, keep_app_passwords=False)
        assert await c.reply() == ["421 4.7.0 This session was ended by the administrator"]
        c.send(DONE + b".\r\n")
        assert await c.closed() == b""
    await office.settled()
    assert [row[1] for row in office.queued()] == ["x@remote.example"]
    async with office.greeted("submission") as c:
        await log_in(c)


async def test_mail_over_the_limit_is_taken_and_held(office: PostOffice) -> None:
    """As the client sees it: nothing happened."""
    office.set(allowance__messages_per_hour="1")
    async with office.greeted("submission") as c:
        token = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
        await c.says(f"AUTH PLAIN {token}", "235")
        for number in range(3):
            trace = (await c.gives(DONE, sender=ALICE, to=f"x{number}@remote.example {BOB}")).split()[-1]
    assert office.story(trace) == [("accepted", "submission"), ("delivered", ""), ("held", "allowance")]
    assert len(office.mail_of(BOB)) == 3
    clean(office.store)
