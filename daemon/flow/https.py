"""Fetching an MTA-STS policy over HTTPS (RFC 8461 §3.3): one small file from one host, and nothing else.

What the library would do for a browser's sake is off: no redirects, no cookies, no proxies of the environment, no
decompression, no other resolver than ours. A stranger names the host, so it must have an address of the world: whoever
could make us ask machines of our own network could look around in there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import Any, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.trust.mta_sts import PATH, host_of


class FetchFailed(Exception):
    """`reason` is RFC 8460's word: sts-policy-fetch-error or sts-webpki-invalid. The message is for people."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class Fetch(Protocol):
    """What fetches the policy of a domain: the octets, at most one more than `LIMITS.sts_policy`."""

    async def __call__(self, domain: str) -> bytes: ...


class PolicyFetcher:
    """The real one. `port` is 443 and `private` false but in tests; `context` checks certificates."""

    def __init__(
        self, resolver: Resolver, context: ssl.SSLContext, *, port: int = 443, private: bool = False,
        patience: float = LIMITS.sts_patience,
    ) -> None:  # fmt: skip
        self.port = port
        self.private = private
        self._resolver = resolver
        self._context = context
        self._patience = patience

    async def __call__(self, domain: str) -> bytes:
        """Raises `FetchFailed`."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._fetch(host_of(domain))
        except TimeoutError:
            raise FetchFailed("sts-policy-fetch-error", f"not fetched within {self._patience:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            words = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            raise FetchFailed("sts-webpki-invalid", f"certificate of {host_of(domain)}: {words}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed("sts-policy-fetch-error", str(error) or type(error).__name__) from None

    async def _fetch(self, host: str) -> bytes:
        addresses = _Fixed(await self._addresses(host))
        connector = aiohttp.TCPConnector(ssl=self._context, resolver=addresses, force_close=True, use_dns_cache=False)
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
            timeout=aiohttp.ClientTimeout(total=self._patience),
            headers={"Accept": "text/plain", "Accept-Encoding": "identity", "User-Agent": "mailctl"},
        )  # fmt: skip
        url = f"https://{host}{PATH}" if self.port == 443 else f"https://{host}:{self.port}{PATH}"
        async with session, session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                moved = "; a policy may not be elsewhere" if 300 <= response.status < 400 else ""
                raise FetchFailed("sts-policy-fetch-error", f"{host} answers {response.status}{moved}")
            if response.content_type != "text/plain":
                raise FetchFailed("sts-policy-fetch-error", f"{host} gives {response.content_type[:60]}, no text/plain")
            data = b""
            while len(data) <= LIMITS.sts_policy:
                piece = await response.content.read(LIMITS.sts_policy + 1 - len(data))
                if not piece:
                    return data
                data += piece
            response.close()  # the rest of a long one is not waited for
            return data

    async def _addresses(self, host: str) -> list[str]:
        """By our resolver, and only those that a stranger may send us to."""
        answers = await asyncio.gather(
            self._resolver.ask(host, "A"), self._resolver.ask(host, "AAAA"), return_exceptions=True
        )
        addresses: list[str] = []
        trouble = f"{host} has no address"
        for answer in answers:
            if isinstance(answer, TemporaryDNSError):
                trouble = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                addresses += answer.records
        found = [address for address in addresses if self.private or _is_of_the_world(address)]
        if not found:
            words = f"{host} has private addresses only" if addresses else trouble
            raise FetchFailed("sts-policy-fetch-error", words)
        return found[: LIMITS.mx_addresses]


def _is_of_the_world(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    inner = ip.ipv4_mapped or ip.sixtofour if isinstance(ip, ipaddress.IPv6Address) else None
    return ip.is_global and not ip.is_multicast and (inner is None or inner.is_global)


class _Fixed(AbstractResolver):
    """The addresses that were chosen, whatever name is asked for."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [self._result(host, port, address) for address in self._addresses]

    def _result(self, host: str, port: int, address: str) -> Any:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return ResolveResult(
            hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
        )

    async def close(self) -> None:
        pass
