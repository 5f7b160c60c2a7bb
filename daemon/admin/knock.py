"""Each listener called as a client would: does it greet, speak TLS, and show the certificate that is configured?

Only this machine is talked to: a listener on all addresses is called at loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from daemon.admin import certcheck, health
from daemon.admin.findings import Facts, Finding, in_words
from daemon.config import Config, HostPort, contains
from daemon.limits import LIMITS

IMPLICIT = frozenset(("submissions", "imaps", "pop3s", "https", "admin"))
_SILENT = frozenset(("http", "https", "metrics", "admin"))  # the client speaks first
_GREETINGS = {
    "smtp": "220 ", "submission": "220 ", "lmtp": "220 ", "imap": "* OK", "pop3": "+OK", "managesieve": "OK",
}  # fmt: skip
_UPGRADES = {  # what is said to change to TLS, and how the answer begins
    "smtp": ("EHLO {}\r\nSTARTTLS\r\n", "220 "),
    "submission": ("EHLO {}\r\nSTARTTLS\r\n", "220 "),
    "imap": ("a STARTTLS\r\n", "a OK"),
    "pop3": ("STLS\r\n", "+OK"),
    "managesieve": ("STARTTLS\r\n", "OK"),
}
_PATIENCE = LIMITS.doctor_patience / 2
_LINES = 40  # of an answer to EHLO, and of ManageSieve's greeting
_SMTP, _SIEVE = re.compile("...-"), re.compile('"')
_GREETING = 80  # characters of a greeting that are told


class _Wrong(Exception):
    """What a listener did instead; the message is for people."""


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    where: HostPort


def loopback(where: HostPort) -> HostPort:
    """Where a listener is called from this machine."""
    host = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)
    return HostPort(host, where.port)


def believing() -> ssl.SSLContext:
    """TLS to ourselves: what the certificate is worth to others, `certcheck` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def proxy_header(config: Config, host: str) -> bytes:
    """What a listener that trusts this machine as a proxy waits for first; nothing where it does not."""
    return b"PROXY UNKNOWN\r\n" if contains(config["proxy.trusted"], host) else b""


async def check(facts: Facts) -> list[Finding]:
    """A finding for each listener that is switched on; one in all when no server runs."""
    if not facts.running:
        text = "no server serves from this data directory: its ports were not tried"
        return [Finding("warning", "not-running", "server", text, "`mailctl serve`, or start its service")]
    places = [
        _Place(listener.name, where)
        for listener in health.listeners(facts.config)
        for where in facts.config[f"listen.{listener.name}"]
    ]
    known = await asyncio.to_thread(certcheck.leaves, facts)
    return list(await asyncio.gather(*(_one(facts, place, known) for place in places)))


async def _one(facts: Facts, place: _Place, known: set[bytes]) -> Finding:
    subject = f"{place.name} {place.where}"
    try:
        async with asyncio.timeout(_PATIENCE):
            said, leaf = await _call(facts.config, place)
        if leaf is not None and leaf not in known:
            text = f"{said}, but it shows another certificate than the one that is configured"
            remedy = "send the server SIGHUP; its log says why a certificate cannot be used"
            return Finding("warning", "certificate-stale", subject, text, remedy)
        return Finding("ok", "port-answers", subject, said)
    except _Wrong as error:
        said = str(error)
    except TimeoutError:
        said = f"no answer within {_PATIENCE:g} s"
    except ssl.SSLError as error:
        said = f"TLS failed: {error.reason or error}"
    except (OSError, ValueError) as error:
        said = in_words(error)
    remedy = f"look into the server's log; a change of listen.{place.name} needs a restart"
    return Finding("error", "port-silent", subject, said, remedy)


async def _call(config: Config, place: _Place) -> tuple[str, bytes | None]:
    """The greeting with the version of TLS that was spoken, and the certificate that was shown.

    Raises `_Wrong`, `OSError`, `ssl.SSLError`.
    """
    where = loopback(place.where)
    async with _connected(config, place.name, where) as (reader, writer):
        said = "it takes connections"
        if place.name not in _SILENT:
            said = await _answer(reader, _SIEVE if place.name == "managesieve" else None)
            if not said.startswith(_GREETINGS.get(place.name.removesuffix("s"), _GREETINGS.get(place.name, ""))):
                raise _Wrong(f"an odd greeting: {said[:200]!r}")
        if place.name in _UPGRADES:
            await _upgrade(config, place.name, reader, writer)
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        if tls is None:
            return _short(said), None
        return f"{_short(said)}, {tls.version()}", tls.getpeercert(binary_form=True)


def _short(greeting: str) -> str:
    """Without the list of what IMAP can do, which is longer than a line."""
    text = re.sub(r"\[CAPABILITY [^\]]*\] ?", "", greeting)
    return text if len(text) <= _GREETING else text[: _GREETING - 1] + "…"


@contextlib.asynccontextmanager
async def _connected(
    config: Config, name: str, where: HostPort
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await loop.sock_connect(sock, (where.host, where.port))
        if header := proxy_header(config, where.host):
            await loop.sock_sendall(sock, header)
        tls = believing() if name in IMPLICIT else None
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname=config["hostname"] if tls else None, limit=LIMITS.reply_line * 2
        )
    except BaseException:
        sock.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.close()


async def _upgrade(config: Config, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    words, good = _UPGRADES[name]
    for command in words.format(config["hostname"]).splitlines(keepends=True):
        writer.write(command.encode())
        answer = await _answer(reader, _SMTP if command.startswith("EHLO") else None)
    if not answer.startswith(good):
        raise _Wrong(f"TLS is not offered: {answer[:200]!r}")
    await writer.start_tls(believing(), server_hostname=config["hostname"])


async def _answer(reader: asyncio.StreamReader, more: re.Pattern[str] | None = None) -> str:
    """The last line of an answer. `more`: how lines begin after which others come."""
    for _ in range(_LINES):
        line = await _line(reader)
        if more is None or not more.match(line):
            return line
    raise _Wrong("an answer without an end")


async def _line(reader: asyncio.StreamReader) -> str:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise _Wrong("it hung up" if not line else f"half a line: {line[:200]!r}")
    return line.decode("utf-8", "replace").rstrip("\r\n")
