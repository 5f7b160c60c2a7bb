"""One POST over HTTPS to the public Internet only, without redirects: a report about TLS (RFC 8460 §5.4), a push.

The address was written by a stranger: a name that leads into this machine or its network is not asked.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError

_MEDIA = "application/tlsrpt+gzip"
_INSIDE = "not on the public Internet"


def is_public(address: str) -> bool:
    """Whether the world can reach it, and it is no multicast."""
    ip = ipaddress.ip_address(address)
    return ip.is_global and not ip.is_multicast


async def hand_in(
    resolver: Resolver,
    uri: str,
    content: bytes,
    *,
    context: ssl.SSLContext | None = None,
    public: Callable[[str], bool] = is_public,
) -> str:
    """POST a packed report; what went wrong, '' if nothing did. `context` and `public` are for tests."""
    fields, patience = {"Content-Type": _MEDIA}, LIMITS.report_post_patience
    answer = await post(resolver, uri, content, fields, patience, context=context, public=public)
    if answer.status:
        return "" if 200 <= answer.status < 300 else f"the answer is {answer.status}"
    return answer.trouble


class Answer(NamedTuple):
    """What came of a POST: the status with what `Retry-After` says, or what went wrong (status 0)."""

    status: int
    trouble: str = ""
    retry_after: str = ""


async def post(
    resolver: Resolver,
    uri: str,
    content: bytes,
    fields: Mapping[str, str],
    patience: float,
    *,
    context: ssl.SSLContext | None = None,
    public: Callable[[str], bool] = is_public,
) -> Answer:
    """POST to an address that a stranger wrote. Its body is not read."""
    import aiohttp  # late: half a second, and few reports go this way
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Public(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = [a for a in await _addresses(resolver, host) if public(a)]
            if not found:
                raise OSError(_INSIDE)
            return [
                ResolveResult(
                    hostname=host, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                )
                for address in found
            ]  # fmt: skip

        async def close(self) -> None: ...

    if urlsplit(uri).scheme.lower() != "https" or not _may_be(urlsplit(uri).hostname or "", public):
        return Answer(0, _INSIDE)
    timeout = aiohttp.ClientTimeout(total=patience)
    connector = aiohttp.TCPConnector(resolver=Public(), ssl=context or True)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(uri, data=content, headers=fields, allow_redirects=False) as answer,
        ):
            return Answer(answer.status, retry_after=answer.headers.get("Retry-After", ""))
    except TimeoutError:
        return Answer(0, f"no answer within {patience} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(0, str(error)[:200] or type(error).__name__)


async def _addresses(resolver: Resolver, name: str) -> list[str]:
    try:
        answers = [await resolver.ask(name, kind) for kind in ("A", "AAAA")]
    except TemporaryDNSError as error:
        raise OSError(str(error)) from None
    return [str(record) for answer in answers for record in answer.records]


def _may_be(host: str, public: Callable[[str], bool]) -> bool:
    """A name, whose addresses are looked at later, or an address that may be asked: no resolver sees that."""
    try:
        return public(host)
    except ValueError:
        return bool(host)
