"""Mail signed by us on its way through another house's server (Postfix): it still proves us, and what a list does to
it ends that."""

from __future__ import annotations

import asyncio
import re
import smtplib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from daemon.resolver import DNS
from daemon.trust import dkim
from daemon.trust.sign import Canonicalization, Key, generate, public_record, sign
from tests.instruments.dns_server import DNSServer
from tests.instruments.postfix import Postfix
from tests.instruments.sink import Sink

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = (
    "From: Alice <alice@example.test>\r\nTo: list@lists.example\r\nSubject: Grüße,\r\n  and  blanks \r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ".a line that begins with a dot\r\nFrom here on: Grüße \t \r\n\r\n" + "long " * 190 + "\r\nbye\r\n\r\n\r\n"
).encode()
FORMS: tuple[Canonicalization, ...] = ("relaxed/relaxed", "relaxed/simple", "simple/simple")
# What lists do, done by Postfix itself: it writes into the subject, and below the last line.
LIST = "header_checks = regexp:DIR/subject\nbody_checks = regexp:DIR/footer\n"
TABLES = {"subject": "/^Subject: (.*)/ REPLACE Subject: [list] $1\n", "footer": "/^bye$/ REPLACE bye (the list)\n"}


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    algorithms = ("rsa-sha256", "ed25519-sha256")
    return [Key("example.test", a.partition("-")[0], a, generate(a)) for a in algorithms]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def zone(keys: list[Key]) -> str:
    lines = list[str]()
    for key in keys:
        strings = " ".join(f'"{part}"' for part in re.findall(".{1,200}", public_record(key)))
        lines.append(f"{key.selector}._domainkey.{key.domain}. TXT {strings}")
    return "\n".join(lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def another_house(sink: Sink) -> Iterator[Postfix]:
    with Postfix(sink.port) as postfix:
        yield postfix


@pytest.fixture(scope="module")
def list_server(sink: Sink) -> Iterator[Postfix]:
    with Postfix(sink.port, LIST, TABLES) as postfix:
        yield postfix


async def sent(data: bytes, through: Postfix, sink: Sink) -> bytes:
    """The message as it arrives behind that server."""

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", through.port) as smtp:
            smtp.sendmail("alice@example.test", ["list@lists.example"], data, ["BODY=8BITMIME"])

    before = len(sink.copies)
    await asyncio.to_thread(send)
    return (await sink.wait(before + 1, 30))[before].data


async def words(data: bytes, zone: str) -> list[tuple[str, str]]:
    async with DNSServer(zone) as dns:
        found = await dkim.verify(DNS([dns.server]), data, now=time.time())
    return [(signature.result, signature.reason) for signature in found]


@pytest.mark.parametrize("form", FORMS)
async def test_a_signed_message_passes_through_postfix_and_still_verifies(
    keys: list[Key], zone: str, sink: Sink, another_house: Postfix, form: Canonicalization
) -> None:
    data = sign(MESSAGE, keys, now=time.time(), canonicalization=form) + MESSAGE
    arrived = await sent(data, another_house, sink)
    assert arrived.startswith(b"Received: ") and arrived != data
    assert await words(arrived, zone) == [("pass", ""), ("pass", "")]


async def test_what_a_mailing_list_writes_into_it_breaks_the_signatures(
    keys: list[Key], zone: str, sink: Sink, list_server: Postfix
) -> None:
    arrived = await sent(sign(MESSAGE, keys, now=time.time()) + MESSAGE, list_server, sink)
    assert b"\r\nSubject: [list] Gr" in arrived and b"\r\nbye (the list)\r\n" in arrived
    assert await words(arrived, zone) == [("fail", "body changed")] * 2
    only_tagged = arrived.replace(b"bye (the list)", b"bye")
    assert await words(only_tagged, zone) == [("fail", "signature does not fit")] * 2
    assert await words(only_tagged.replace(b"[list] ", b""), zone) == [("pass", "")] * 2
