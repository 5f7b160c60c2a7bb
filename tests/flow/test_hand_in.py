"""A report handed in over HTTPS: to the world only, once, and what went wrong is said."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
import trustme
from aiohttp import web

from daemon.flow import hand_in as room
from daemon.flow.hand_in import hand_in, is_public
from daemon.limits import LIMITS
from tests.flow.table import Table

HERE = Table({("localhost", "A"): ["127.0.0.1"], ("slow.example", "A"): "time-out"})


class Office:
    """Takes reports, or answers as told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.status = 201
        self.silent = False
        self.port = 0
        self.trust = ssl.create_default_context()

    async def take(self, request: web.Request) -> web.Response:
        if self.silent:
            await asyncio.sleep(5)
        self.taken.append((request.content_type, await request.read()))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest_asyncio.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    authority = trustme.CA()
    authority.configure_trust(office.trust)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_post("/v1", office.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    office.port = runner.addresses[0][1]
    yield office
    await runner.cleanup()


def anywhere(address: str) -> bool:
    return True


async def test_a_report_is_posted_with_its_type(office: Office) -> None:
    uri = f"https://localhost:{office.port}/v1"
    assert await hand_in(HERE, uri, b"packed", context=office.trust, public=anywhere) == ""
    assert office.taken == [("application/tlsrpt+gzip", b"packed")]


async def test_nobody_inside_is_asked(office: Office) -> None:
    for host in ("localhost", "127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"):
        assert await hand_in(HERE, f"https://{host}:{office.port}/v1", b"x", context=office.trust), host
    assert (
        await hand_in(HERE, f"http://localhost:{office.port}/v1", b"x", public=anywhere) == "not on the public Internet"
    )
    assert "slow.example" in await hand_in(HERE, "https://slow.example/", b"x")
    assert office.taken == []


async def test_what_goes_wrong_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"https://localhost:{office.port}/v1"
    for office.status in (302, 404, 500):
        assert await hand_in(HERE, uri, b"x", context=office.trust, public=anywhere) == f"the answer is {office.status}"
    assert len(office.taken) == 3, "no redirect was followed"
    assert "certificate" in (await hand_in(HERE, uri, b"x", public=anywhere)).lower()
    office.silent = True
    monkeypatch.setattr(room, "LIMITS", replace(LIMITS, report_post_patience=0.3))
    assert "no answer" in await hand_in(HERE, uri, b"x", context=office.trust, public=anywhere)


@pytest.mark.parametrize(
    "address, public",
    [("9.9.9.9", True), ("2620:fe::9", True), ("10.0.0.1", False), ("127.0.0.1", False), ("169.254.169.254", False),
     ("::1", False), ("fe80::1", False), ("224.0.0.1", False), ("::ffff:10.0.0.1", False)],
)  # fmt: skip
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public
