"""JMAP over HTTP: the way to the session resource, who is let in, and requests that are refused as a whole."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import argon2
import pytest

from daemon import passwords
from daemon.admin import people
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.serve.web.jmap.blob import download
from daemon.store import accounts
from tests.serve.web.conftest import Site
from tests.store.stage import deliver

ALICE, PASSWORD = "alice@example.org", "correct horse"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[tuple[aiohttp.ClientSession, str, int]]:
    """A client, the address of the server, and Alice's account."""
    people.add(site.store, ALICE, PASSWORD)
    account = site.store.read_now(accounts.find, parse_address(ALICE))
    assert account is not None
    site.open()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client:
        yield client, f"https://127.0.0.1:{site.port('https')}", account.id


async def test_the_session_resource(site: Site) -> None:
    async with opened(site) as (client, base, account):
        async with client.get(base + "/.well-known/jmap", headers=BASIC) as answer:
            assert answer.status == 200 and answer.url.path == "/jmap/session"
            session = await answer.json()
        assert session["username"] == ALICE and session["apiUrl"] == base + "/jmap/api"
        assert session["primaryAccounts"]["urn:ietf:params:jmap:mail"] == f"u{account}"
        assert "urn:ietf:params:jmap:core" not in session["primaryAccounts"]
        core = session["capabilities"]["urn:ietf:params:jmap:core"]
        assert core["maxCallsInRequest"] == LIMITS.jmap_calls and core["maxObjectsInGet"] == LIMITS.jmap_get
        assert core["maxObjectsInSet"] == LIMITS.jmap_set and core["maxConcurrentUpload"] == LIMITS.uploads_at_once
        submission = session["accounts"][f"u{account}"]["accountCapabilities"]["urn:ietf:params:jmap:submission"]
        assert submission["submissionExtensions"]["LIMITS"] == [f"RCPTMAX={LIMITS.smtp_recipients}"]
        assert session["accounts"][f"u{account}"]["isPersonal"]
        for place in ("downloadUrl", "uploadUrl", "eventSourceUrl"):
            assert session[place].startswith(base + "/jmap/")
        async with client.post(base + "/jmap/api", json=request(["Core/echo", {}, "a"]), headers=BASIC) as answer:
            assert (await answer.json())["sessionState"] == session["state"]


def request(*calls: Any) -> dict[str, Any]:
    return {"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "methodCalls": list(calls)}


async def test_who_is_nobody_hears_nothing(site: Site) -> None:
    async with opened(site) as (client, base, _):
        for path in ("/jmap/session", "/jmap/api"):
            async with client.request("POST" if "api" in path else "GET", base + path) as answer:
                assert answer.status == 401


REFUSED = [
    ("application/json", b"{", "notJSON", 400),
    ("application/json", b"\xff\xfe", "notJSON", 400),
    ("application/json", b"[" * 100_000, "notJSON", 400),
    ("text/plain", b"{}", "notJSON", 400),
    ("application/json", b"[]", "notRequest", 400),
    ("application/json", b'{"using": [], "methodCalls": [["Core/echo", {}]]}', "notRequest", 400),
    ("application/json", b'{"using": ["urn:x"], "methodCalls": []}', "unknownCapability", 400),
]


async def test_requests_that_are_refused(site: Site) -> None:
    async with opened(site) as (client, base, _):
        for type, body, error, status in REFUSED:
            headers = {**BASIC, "Content-Type": type}
            async with client.post(base + "/jmap/api", data=body, headers=headers) as answer:
                assert answer.status == status and answer.content_type == "application/problem+json"
                assert json.loads(await answer.read())["type"] == f"urn:ietf:params:jmap:error:{error}"


async def test_a_request_too_large_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.web.jmap.api.LIMITS", LIMITS_SMALL)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    async with opened(site) as (client, base, _):
        for body in (b" " * 10_001, pieces()):
            headers = {**BASIC, "Content-Type": "application/json"}
            async with client.post(base + "/jmap/api", data=body, headers=headers) as answer:
                said = json.loads(await answer.read())
                assert said["type"] == "urn:ietf:params:jmap:error:limit" and said["limit"] == "maxSizeRequest"


class LIMITS_SMALL:
    jmap_request = 10_000
    jmap_calls = jmap_concurrent = 8


async def test_a_large_request_is_read_and_a_large_answer_comes_whole(site: Site) -> None:
    async with opened(site) as (client, base, _):
        much = "".join(map(str, range(100_000)))  # more than goes at once
        said = request(["Core/echo", {"much": much}, "a"])
        async with client.post(base + "/jmap/api", json=said, headers=BASIC) as answer:
            assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
            whole = await answer.read()
        assert len(whole) == int(answer.headers["Content-Length"]) > LIMITS.http_body
        assert json.loads(whole)["methodResponses"] == [["Core/echo", {"much": much}, "a"]]


async def test_mail_is_read(site: Site) -> None:
    async with opened(site) as (client, base, account):
        placed = deliver(site.store, account, b"Subject: hello\r\n\r\nGood morning.\r\n")
        call = ["Email/get", {"accountId": f"u{account}", "ids": [f"e{placed.email_id}"]}, "a"]
        async with client.post(base + "/jmap/api", json=request(call), headers=BASIC) as answer:
            (_, said, _), *_ = (await answer.json())["methodResponses"]
            assert said["list"][0]["subject"] == "hello"


PICTURE = bytes(range(256)) * 4
LETTER = (
    b"From: <ann@remote.example>\r\nSubject: picture\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee there.\r\n--b\r\nContent-Type: image/png\r\n'
    b"Content-Disposition: attachment; filename=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(PICTURE).replace(b"\n", b"\r\n")
    + b"--b--\r\n"
)


async def test_downloads(site: Site) -> None:
    async with opened(site) as (client, base, account):
        placed = deliver(site.store, account, LETTER, prefix=b"Return-Path: <ann@remote.example>\r\n")
        whole = b"Return-Path: <ann@remote.example>\r\n" + LETTER

        async def get(blob: str, name: str = "a.png", query: str = "", **headers: str) -> Any:
            url = f"{base}/jmap/download/u{account}/{blob}/{name}{query}"
            given = {**BASIC, **{k.replace("_", "-"): v for k, v in headers.items()}}
            async with client.get(url, headers=given) as answer:
                return answer.status, answer.headers, await answer.read()

        mail = f"e{placed.email_id}"
        status, headers, body = await get(f"{mail}-raw", "mail.eml")
        assert (status, body, headers["Content-Type"]) == (200, whole, "message/rfc822")
        status, headers, body = await get(f"{mail}-2", query="?type=text/html")
        assert (status, body, headers["Content-Type"]) == (200, PICTURE, "text/html")
        assert headers["Content-Disposition"] == "attachment; filename=\"a.png\"; filename*=UTF-8''a.png"
        assert "sandbox" in headers["Content-Security-Policy"] and headers["X-Content-Type-Options"] == "nosniff"
        assert (await get(f"{mail}-1", query=""))[2] == b"See there."
        assert (await get(f"{mail}-2", If_None_Match=headers["ETag"]))[0] == 304

        for asked, part in (("bytes=0-9", (0, 10)), ("bytes=10-", (10, 1024)), ("bytes=-5", (1019, 1024))):
            status, headers, body = await get(f"{mail}-2", Range=asked)
            assert (status, body) == (206, PICTURE[part[0] : part[1]])
            assert headers["Content-Range"] == f"bytes {part[0]}-{part[1] - 1}/1024"
        for at in (0, 30, 34, 35, 36, 100):
            assert (await get(f"{mail}-raw", Range=f"bytes={at}-{at + 20}"))[2] == whole[at : at + 21]
        assert (await get(f"{mail}-2", Range="bytes=2000-"))[0] == 416
        assert (await get(f"{mail}-2", Range="bytes=0-9", If_Range='"other"'))[0] == 200
        for asked in ("bytes=0-1,5-6", "lines=0-9", "bytes=9-0", "bytes"):  # RFC 9110 §14.2: nothing is asked for
            status, _, body = await get(f"{mail}-2", Range=asked)
            assert (status, body) == (200, PICTURE), asked

        for blob in (f"{mail}-9", f"{mail}-2-1", "e999-raw", "nonsense", f"{mail}-", "e0-raw"):
            assert (await get(blob))[0] == 404
        assert (await get(f"{mail}-2", query="?type=text/html;x=y"))[0] == 400
        async with client.get(f"{base}/jmap/download/u{account + 1}/{mail}-raw/a", headers=BASIC) as answer:
            assert answer.status == 404
        async with client.get(f"{base}/jmap/download/u{account}/{mail}-raw/a") as answer:
            assert answer.status == 401


def test_names_of_downloads_are_harmless() -> None:
    for name, plain in (
        ("a.png", "a.png"),
        ('a"b.png', "a_b.png"),
        ("../../x", "_.._x"),
        ("", "attachment"),
        ("a\r\nSet-Cookie: b", "a__Set-Cookie: b"),
        ("a\udcff.png", "a_.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("Übung.pdf", "_bung.pdf"),
    ):
        said = download.disposition(name)
        assert said.startswith(f'attachment; filename="{plain}"; ') and said.isprintable() and said.isascii()
    assert download.disposition("Übung.pdf").endswith("UTF-8''%C3%9Cbung.pdf")
