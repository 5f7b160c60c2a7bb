"""Logging in: what is offered when, LOGIN, AUTHENTICATE, STARTTLS, compression."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import zlib
from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.wire import sasl
from tests.dialogs.runner import TRUSTING
from tests.serve.imap.conftest import ALICE, BOB, PASSWORDS, Client, MailHouse

STRICT = pytest.mark.parametrize("settings", [{"auth.require_tls": "yes"}])


@STRICT
async def test_no_password_before_tls(house: MailHouse) -> None:
    await house.says(
        """
S: {{greeting:\\* OK \\[CAPABILITY IMAP4rev1 .* STARTTLS LOGINDISABLED\\] .*}}
C: a LOGIN alice@example.test "wonder land"
S: a NO [PRIVACYREQUIRED] …
C: b AUTHENTICATE PLAIN
S: b NO [PRIVACYREQUIRED] …
C: c STARTTLS
S: c OK …
T:
C: d CAPABILITY
S: {{now:\\* CAPABILITY (?!.*(STARTTLS|LOGINDISABLED)).* AUTH=SCRAM-SHA-256-PLUS .* AUTH=PLAIN AUTH=LOGIN}}
S: d OK …
C: e STARTTLS
S: e BAD …
C: f LOGIN alice@example.test "wonder land"
S: f OK [CAPABILITY …
"""
    )


async def test_what_was_sent_before_the_handshake_is_forgotten(house: MailHouse) -> None:
    await house.says(
        """
S: * OK …
C: a STARTTLS
C: b LOGIN alice@example.test "wonder land"
S: a OK …
T:
C: c LIST "" *
S: c BAD LIST is not for now: log in first
"""
    )


async def test_a_handshake_that_fails_ends_the_connection_and_no_other(house: MailHouse) -> None:
    async with house.client(None) as client:
        await client.ok("STARTTLS")
        client.send(b"this is no client hello\r\n" * 10)
        assert await asyncio.wait_for(client.reader.read(), 5) is not None
    async with house.client():
        pass


async def test_tls_from_the_start(house: MailHouse) -> None:
    await house.says('S: * OK …\nC: a LOGIN alice@example.test "wonder land"\nS: a OK …\n', door="imaps")


async def test_refusals_have_their_codes_and_enough_is_enough(house: MailHouse) -> None:
    await house.says(
        """
S: * OK …
C: a LOGIN alice@example.test wrong
S: a NO [AUTHENTICATIONFAILED] …
C: b LOGIN nobody@example.test wrong
S: b NO [AUTHENTICATIONFAILED] …
C: c AUTHENTICATE X-NONE
S: c NO [CANNOT] …
C: d AUTHENTICATE PLAIN ****
S: d BAD …
C: e AUTHENTICATE PLAIN
S: + …
C: *
S: e BAD authentication cancelled
C: f SELECT INBOX
S: f BAD …
C: g LOGIN alice@example.test wrong
S: * BYE too many failed logins
S.
"""
    )


async def test_after_login_there_is_no_other_login(house: MailHouse) -> None:
    async with house.client() as client:
        await client.fails("LOGIN bob@example.test builder", b"BAD")
        await client.fails("AUTHENTICATE PLAIN", b"BAD")
        await client.fails("STARTTLS", b"BAD")


@pytest.mark.parametrize("settings", [{"imap.capabilities_off": "IDLE condstore AUTH=LOGIN"}])
async def test_capabilities_that_are_switched_off_are_not_announced(house: MailHouse) -> None:
    async with house.client(None) as client:
        (line,) = await client.ok("CAPABILITY")
        assert b"IDLE" not in line and b"AUTH=LOGIN" not in line and b"AUTH=PLAIN" in line
        await client.ok('LOGIN alice@example.test "wonder land"')
        (line,) = await client.ok("CAPABILITY")
        assert b"CONDSTORE" not in line and b"MOVE" in line


async def scram(client: Client, login: str, password: str, binding: bytes | None = None) -> bytes:
    """Log in with SCRAM-SHA-256, bound to the channel if there is one; the tagged line."""
    name = "SCRAM-SHA-256" if binding is None else "SCRAM-SHA-256-PLUS"
    header = b"n,," if binding is None else b"p=tls-server-end-point,,"
    bare = b"n=" + login.encode() + b",r=clientnonce123"
    client.send(b"s AUTHENTICATE %b %b\r\n" % (name.encode(), base64.b64encode(header + bare)))
    server_first = base64.b64decode((await client.line()).removeprefix(b"+ "))
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    salted = sasl.salted(password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
    bound = base64.b64encode(header + (binding or b""))
    without_proof = b"c=" + bound + b",r=" + fields[b"r"]
    message = b",".join((bare, server_first, without_proof))
    key = sasl._hmac(salted, b"Client Key")
    proof = sasl._xor(key, sasl._hmac(hashlib.sha256(key).digest(), message))
    client.send(base64.b64encode(without_proof + b",p=" + base64.b64encode(proof)) + b"\r\n")
    answer = await client.line()
    if answer.startswith(b"+ "):
        signature = sasl._hmac(sasl._hmac(salted, b"Server Key"), message)
        assert base64.b64decode(answer[2:]) == b"v=" + base64.b64encode(signature)
        client.send(b"\r\n")
        answer = await client.line()
    return answer


async def test_scram_proves_both_sides(house: MailHouse) -> None:
    async with house.client(None) as client:
        assert (await scram(client, str(BOB), PASSWORDS[BOB])).startswith(b"s OK [CAPABILITY")
    async with house.client(None) as client:
        assert (await scram(client, str(BOB), "wrong")).startswith(b"s NO [AUTHENTICATIONFAILED]")
    async with house.client(None) as client:
        assert (await scram(client, "nobody@example.test", "wrong")).startswith(b"s NO [AUTHENTICATIONFAILED]")


async def test_scram_plus_is_bound_to_our_certificate(house: MailHouse) -> None:
    async def connected() -> tuple[Client, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["imaps"], ssl=TRUSTING)
        await reader.readline()
        tls = writer.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        certificate = tls.getpeercert(binary_form=True)
        assert certificate is not None
        return Client(reader, writer), hashlib.sha256(certificate).digest()

    client, binding = await connected()
    assert (await scram(client, str(BOB), PASSWORDS[BOB], binding)).startswith(b"s OK")
    client.writer.transport.abort()
    client, _ = await connected()
    assert (await scram(client, str(BOB), PASSWORDS[BOB], b"x" * 32)).startswith(b"s NO")
    client.writer.transport.abort()


async def test_compressed_both_ways(house: MailHouse) -> None:
    await house.fill(200)
    async with house.client(select="INBOX") as client:
        await client.ok("COMPRESS DEFLATE")
        out, back = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)

        async def asks(command: bytes) -> bytes:
            client.send(out.compress(command + b"\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
            answer, tag = b"", command.split()[0]
            while b"\r\n" + tag + b" " not in b"\r\n" + answer or not answer.endswith(b"\r\n"):
                answer += back.decompress(await asyncio.wait_for(client.reader.read(65536), 5))
            return answer

        assert (await asks(b"x FETCH 1:* (UID FLAGS ENVELOPE)")).count(b" FETCH (") == 200
        assert b"x NO [COMPRESSIONACTIVE]" in await asks(b"x COMPRESS DEFLATE")
        assert b"COMPRESS" not in (await asks(b"y CAPABILITY")).split(b"\r\n")[0]


async def test_a_line_that_is_never_finished_before_login(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "daemon.serve.imap.session.LIMITS", replace(LIMITS, imap_patience_before_login=0.1, imap_patience=0.1)
    )
    async with house.client(None) as client:
        client.send(b"a LOG")
        assert await client.line() == b"* BYE nothing heard for too long"
    async with house.client(ALICE) as client:
        assert await client.line() == b"* BYE nothing heard for too long"


async def test_the_server_is_stopped_politely(house: MailHouse) -> None:
    async with house.client() as waiting, house.client() as idling:
        idling.send(b"i IDLE\r\n")
        assert await idling.line() == b"+ idling"
        await house.doors.drain()
        for client in (waiting, idling):
            assert (await client.line()).startswith(b"* BYE [UNAVAILABLE] ")
            assert await client.line() == b""
