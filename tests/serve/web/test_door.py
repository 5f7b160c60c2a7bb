"""HTTP behind the doors of the house: counts, bans, time-outs, limits, the drain; TLS-ALPN-01 before HTTP begins."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import sys

import pytest
from aiohttp import web
from cryptography import x509

from daemon.admin import pem
from daemon.limits import LIMITS
from daemon.serve.web import app, door, frame, health
from daemon.store import bans, certificates
from tests.instruments.until import soon
from tests.serve.web.conftest import Site, leave
from tests.serve.web.test_app import CHALLENGE, STS, status


def tighten(monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    for module in (app, door, frame, sys.modules["daemon.serve.listen"], sys.modules["daemon.serve.connection"]):
        if hasattr(module, "LIMITS"):
            monkeypatch.setattr(module, "LIMITS", dataclasses.replace(LIMITS, **values))


async def test_requests_follow_each_other_on_one_connection(site: Site) -> None:
    site.open()
    reader, writer = await site.dial()
    writer.write(f"GET {STS} HTTP/1.1\r\nHost: mta-sts.example.org\r\n\r\n".encode() * 3)
    for _ in range(3):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
        assert b"mx: mail.example.org" in await reader.readexactly(length)
    assert site.doors.counts.total == 1
    await leave(writer)
    await soon(lambda: site.doors.counts.total == 0)


async def test_who_says_all_and_closes_his_half_is_answered(site: Site) -> None:
    site.open()
    reader, writer = await site.dial("http")
    writer.write(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    writer.write_eof()
    async with asyncio.timeout(10):
        assert b" 308 " in await reader.read()
    await leave(writer)
    await soon(lambda: site.doors.counts.total == 0)


async def test_strangers_are_counted_and_banned_here_too(site: Site) -> None:
    site.settings["limits.connections_per_address"] = "2"
    site.open()
    held = [await site.dial("http") for _ in range(2)]
    await soon(lambda: site.doors.counts.total == 2)
    assert status(await site.ask("/", name="http")) == 503
    for _, writer in held:
        await leave(writer)
    await soon(lambda: site.doors.counts.total == 0)
    await site.store.write(bans.add, "127.0.0.1", "test", None)
    await soon(lambda: site.bans.reason("127.0.0.1"))
    assert status(await site.ask("/", name="http")) == 503


async def test_a_head_that_never_ends_has_its_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tighten(monkeypatch, http_patience=0.3)
    site.open()
    reader, writer = await site.dial("http")
    writer.write(b"GET / HTTP/1.1\r\nHost: example.org\r\nX: ")

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    trickling.cancel()
    await leave(writer)
    await soon(lambda: site.doors.counts.total == 0)


async def test_an_answer_has_its_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tighten(monkeypatch, http_answer=0.1)

    async def never(request: web.Request) -> web.StreamResponse:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(app, "ROUTES", (web.get("/never", never),))
    site.open()
    assert status(await site.ask("/never")) == 503


async def test_heads_and_bodies_are_bounded(site: Site) -> None:
    site.open()
    long = "x" * (LIMITS.http_line + 1)
    fields = "X: y\r\n" * (LIMITS.http_fields + 1)
    for request in (
        f"GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n",
    ):
        reader, writer = await site.dial("http")
        writer.write(request.encode())
        async with asyncio.timeout(10):
            assert status((await reader.read()).decode()) in (400, 431), request[:60]
        await leave(writer)
    assert (
        await app.runner(site.store, site.config, site.door, health.Health(site.store))
    ).app._client_max_size == LIMITS.http_body


async def test_what_is_no_http_ends_the_connection(site: Site) -> None:
    site.open()
    for octets in (b"EHLO x\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00" * 20_000):
        reader, writer = await site.dial("http")
        writer.write(octets)
        writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.0 400 ") or answer == b""
        await leave(writer)
    await soon(lambda: site.doors.counts.total == 0)
    assert status(await site.ask(STS)) == 200


async def test_the_drain_ends_who_waits_at_once(site: Site) -> None:
    site.open()
    reader, writer = await site.dial("http")
    writer.write(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    idle, silent = await site.dial("http")  # has said nothing yet
    async with asyncio.timeout(LIMITS.drain):
        await site.doors.drain()
        assert await idle.read() in (b"", b"HTTP/1.1 503 ")
    await leave(writer)
    await leave(silent)


# -- TLS-ALPN-01 -------------------------------------------------------------------------------------------------------


def seen(writer: asyncio.StreamWriter) -> x509.Certificate:
    der = writer.get_extra_info("ssl_object").getpeercert(True)
    return x509.load_der_x509_certificate(der)


async def test_who_validates_sees_the_challenge_and_all_others_our_certificate(site: Site) -> None:
    site.challenge("tls-alpn-01", "mail.example.org", "tok", "tok.thumb")
    site.open()
    ours = pem.leaf_of(site.store.read_now(certificates.everyone)[0].chain)
    for protocols in ((), ("http/1.1",), ("h2", "acme-tls/1")):
        _, writer = await site.dial(host="mail.example.org", protocols=protocols)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        assert seen(writer) == ours
        await leave(writer)
    reader, writer = await site.dial(host="mail.example.org", protocols=("acme-tls/1",))
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "acme-tls/1"
    shown = seen(writer)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example.org"]
    proof = shown.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert proof.critical
    assert proof.value.public_bytes()[-32:] == hashlib.sha256(b"tok.thumb").digest()
    async with asyncio.timeout(10):
        assert await reader.read() == b"", "the handshake was all (RFC 8737 §3)"
    await leave(writer)


async def test_without_a_challenge_for_the_name_the_protocol_is_not_spoken(site: Site) -> None:
    site.challenge("tls-alpn-01", "other.example.org", "tok", "tok.thumb")
    site.open()
    _, writer = await site.dial(host="mail.example.org", protocols=("acme-tls/1",))
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
    await leave(writer)


async def test_while_a_challenge_waits_nonsense_and_slow_hellos_are_as_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tighten(monkeypatch, handshake_patience=0.2)
    site.challenge("tls-alpn-01", "mail.example.org", "tok", "tok.thumb")
    site.challenge("http-01", "mail.example.org", "tok-1", "tok-1.thumb")
    site.open()
    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03", b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port("https"))
        writer.write(octets)
        writer.write_eof()
        async with asyncio.timeout(10):
            with contextlib.suppress(OSError):
                await reader.read()
        await leave(writer)
    assert status(await site.ask(STS)) == 200
    assert status(await site.ask(CHALLENGE + "tok-1", name="http")) == 200
    await soon(lambda: site.doors.counts.total == 0)
