"""`/jmap/export`: all mail of a user, made while it is sent."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import argon2
import pytest

from daemon import passwords
from daemon.admin import mbox
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.serve.web import export
from daemon.store import accounts, mailboxes, sessions
from daemon.store.messages import SEEN
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD, account
from tests.store.stage import deliver, message


@pytest.fixture
async def house(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    for name in (ALICE, BOB):
        site.store.write_now(accounts.add, parse_address(name), accounts.Password(*passwords.keep(PASSWORD)))
    site.store.reserve = 0
    site.open()
    yield site


@asynccontextmanager
async def asking(site: Site, user: str = ALICE) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(user, PASSWORD)}) as client,
        client.get(f"https://127.0.0.1:{site.port('https')}{export.PATH}", ssl=False) as got,
    ):
        yield got


async def test_each_mailbox_is_an_mbox_in_a_zip(house: Site) -> None:
    house.store.write_now(mailboxes.create, account(house), "Projects/2026")
    deliver(house.store, account(house), message("first"), flags=SEEN)
    deliver(house.store, account(house), message("second"))
    deliver(house.store, account(house), message("third"), "Projects/2026", keyword_names=["todo"])
    deliver(house.store, account(house, BOB), message("his"))
    async with asking(house) as got:
        assert (
            got.content_type == "application/zip"
            and 'filename="alice@example.org-' in got.headers["Content-Disposition"]
        )
        packed = zipfile.ZipFile(io.BytesIO(await got.read()))
    assert packed.testzip() is None and "Projects/2026.mbox" in packed.namelist()
    inbox = list(mbox.read(io.BytesIO(packed.read("INBOX.mbox")), 1 << 20, "INBOX"))
    assert [one.data for one in inbox] == [message("first"), message("second")]
    assert [one.flags for one in inbox] == [SEEN, 0]
    (third,) = mbox.read(io.BytesIO(packed.read("Projects/2026.mbox")), 1 << 20, "x")
    assert third.keywords == ("todo",)


def fill(house: Site) -> None:
    """More than any pipe or socket takes at once."""
    import os

    for _ in range(12):
        deliver(house.store, account(house), message("big") + os.urandom(1 << 20).hex().encode())


async def _until_idle(house: Site) -> None:
    async with asyncio.timeout(20):
        while house.door.sessions._live:
            await asyncio.sleep(0.005)


async def test_who_goes_in_the_middle_leaves_nothing_behind(house: Site) -> None:
    fill(house)
    for _ in range(3):
        async with asking(house) as got:
            await got.content.readexactly(1 << 16)
            got.close()
        await _until_idle(house)
    async with asking(house) as got:
        assert zipfile.ZipFile(io.BytesIO(await got.read())).testzip() is None


async def test_so_many_are_exported_at_a_time(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(house)
    async with asking(house) as first:
        async with asking(house) as second, asking(house, BOB) as his:
            assert (second.status, his.status) == (429, 200), "one of a user"
        monkeypatch.setattr(export, "LIMITS", dataclasses.replace(LIMITS, exports=1))
        async with asking(house, BOB) as his:
            assert his.status == 429, "and so many in all"
        assert zipfile.ZipFile(io.BytesIO(await first.read())).testzip() is None


async def test_what_cannot_go_on_is_cut(house: Site) -> None:
    fill(house)
    async with asking(house) as got:
        await got.content.readexactly(1 << 16)
        house.store.write_now(lambda tx: sessions.end(tx, account(house), keep_app_passwords=True))
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()
    await _until_idle(house)
    (segment,) = house.store.data.segments.iterdir()
    segment.write_bytes(segment.read_bytes()[: 5 << 20])
    async with asking(house) as got:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await got.read()


async def test_it_is_nobody_elses(house: Site) -> None:
    assert (await house.ask(export.PATH)).startswith("HTTP/1.1 401 ")
