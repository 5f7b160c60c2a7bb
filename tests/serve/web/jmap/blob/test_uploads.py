"""`/jmap/upload/…` (RFC 8620 §6.1): whole or not at all, within bounds, one's own."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap.blob import find_blob, uploads
from daemon.store import uploads as kept
from daemon.store.tx import Tx
from tests.instruments.until import soon
from tests.instruments.vitals import Vitals
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.test_http import BASIC, opened
from tests.serve.web.jmap.test_http import quick as quick

TEXT = {**BASIC, "Content-Type": "text/plain; charset=utf-8"}


def rows(site: Site) -> int:
    return int(site.store.peek(Tx.value, "select count(*) from upload"))


def octets(site: Site, account: int, blob: str) -> bytes:
    found = find_blob.blob(site.store, account, blob)
    assert found is not None
    return found.read(0, found.size)


async def test_a_file_is_uploaded(site: Site) -> None:
    async with opened(site) as (client, base, account):
        data = os.urandom(3_000_000)
        async with client.post(f"{base}/jmap/upload/u{account}/", data=io.BytesIO(data), headers=TEXT) as answer:
            assert answer.status == 201
            told = await answer.json()
        assert told == {
            "accountId": f"u{account}",
            "blobId": told["blobId"],
            "type": TEXT["Content-Type"],
            "size": len(data),
        }
        assert octets(site, account, told["blobId"]) == data
        async with client.get(f"{base}/jmap/download/u{account}/{told['blobId']}/a.txt", headers=BASIC) as answer:
            assert answer.status == 200 and await answer.read() == data
        async with client.post(f"{base}/jmap/upload/u{account}/", data=b"", headers=BASIC) as answer:
            told = await answer.json()
        assert answer.status == 201 and told["size"] == 0 and octets(site, account, told["blobId"]) == b""


@pytest.mark.parametrize(
    "account,headers,status",
    [
        ("u999", BASIC, 404),
        ("x", BASIC, 404),
        (None, {}, 401),
        (None, {**BASIC, "Origin": "https://evil.example"}, 403),
    ],
)
async def test_nobody_uploads_for_another(
    site: Site, account: str | None, headers: dict[str, str], status: int
) -> None:
    async with opened(site) as (client, base, own):
        async with client.post(f"{base}/jmap/upload/{account or f'u{own}'}/", data=b"x", headers=headers) as answer:
            assert answer.status == status
        assert rows(site) == 0


async def pieces(count: int, size: int = 50_000) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("body", [b"x" * 100_001, 3])
async def test_a_file_that_is_too_large_is_refused_as_soon_as_that_is_known(site: Site, body: Any) -> None:
    site.settings["limits.message_size"] = "100000"
    async with opened(site) as (client, base, account):
        data = body if isinstance(body, bytes) else pieces(body)
        async with client.post(f"{base}/jmap/upload/u{account}/", data=data, headers=TEXT) as answer:
            told = await answer.json()
        assert answer.status == 413 and told["limit"] == "maxSizeUpload"
        assert told["type"] == "urn:ietf:params:jmap:error:limit" and rows(site) == 0


async def test_an_upload_that_stops_midway_leaves_nothing(site: Site) -> None:
    async with opened(site) as (client, base, account):
        async with client.get(f"{base}/jmap/session", headers=BASIC) as answer:
            assert answer.status == 200
        _, writer = await site.dial(host="mail.example.org")
        head = f"POST /jmap/upload/u{account}/ HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 9000000\r\n"
        head += f"Authorization: {BASIC['Authorization']}\r\n\r\n"
        writer.write(head.encode() + b"x" * 4_000_000)
        await writer.drain()
        shared = uploads_of(site)
        here = Vitals(os.getpid())
        await soon(lambda: shared.busy[account] == 1 and here.bodies() == 1)
        writer.transport.abort()
        await soon(lambda: account not in shared.busy)
        assert rows(site) == here.bodies() == 0 and not list(site.store.data.segments.iterdir())


def uploads_of(site: Site) -> uploads.Uploads:
    (pages,) = site.web._loading.values()
    return pages.result().app[uploads.UPLOADS]


async def test_a_file_that_comes_too_slowly_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LIMITS", dataclasses.replace(LIMITS, upload_patience=0))

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(30)

    async with opened(site) as (client, base, account), asyncio.timeout(20):
        async with client.post(f"{base}/jmap/upload/u{account}/", data=slow(), headers=TEXT) as answer:
            assert answer.status == 408
        monkeypatch.setattr(uploads, "LIMITS", dataclasses.replace(LIMITS, upload_time=0))
        async with client.post(f"{base}/jmap/upload/u{account}/", data=slow(), headers=TEXT) as answer:
            assert answer.status == 408
        assert rows(site) == 0


async def test_uploads_at_a_time_and_in_all_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LIMITS", dataclasses.replace(LIMITS, uploads_at_once=1))
    monkeypatch.setattr(kept, "LIMITS", dataclasses.replace(LIMITS, uploads=1))
    go_on = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        yield b"x"
        await go_on.wait()

    async with opened(site) as (client, base, account), asyncio.timeout(20):
        place = f"{base}/jmap/upload/u{account}/"
        async with client.get(f"{base}/jmap/session", headers=BASIC) as answer:
            assert answer.status == 200
        first = asyncio.create_task(send(client, place, waiting()))
        await soon(lambda: uploads_of(site).busy[account] == 1)
        status, told = await send(client, place, b"y")
        assert status == 429 and told["limit"] == "maxConcurrentUpload"
        go_on.set()
        assert (await first)[0] == 201
        status, told = await send(client, place, b"y")
        assert status == 429 and told["limit"] == "maxUploads" and rows(site) == 1


async def send(client: aiohttp.ClientSession, place: str, data: Any) -> tuple[int, dict[str, Any]]:
    async with client.post(place, data=data, headers=TEXT) as answer:
        return answer.status, await answer.json()


async def test_without_room_on_the_disk_nothing_is_taken(site: Site) -> None:
    async with opened(site) as (client, base, account):
        site.store.reserve = 1 << 60
        status, _ = await send(client, f"{base}/jmap/upload/u{account}/", b"x")
        assert status == 507 and rows(site) == 0
