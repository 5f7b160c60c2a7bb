"""A report about TLS handed in over HTTPS (RFC 8460 §5.4): one POST, to the public Internet only, no redirects.

The address was written by a stranger: a name that leads into this machine or its network is not asked.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable

from daemon.limits import LIMITS

_MEDIA = "application/tlsrpt+gzip"


def is_public(address: str) -> bool:
    """Whether the world can reach it, and it is no multicast."""
    ip = ipaddress.ip_address(address)
    return ip.is_global and not ip.is_multicast


async def hand_in(
    uri: str, content: bytes, *, context: ssl.SSLContext | None = None, public: Callable[[str], bool] = is_public
) -> str:
    """POST a packed report; what went wrong, '' if nothing did. `context` and `public` are for tests."""
    import aiohttp  # late: half a second, and few reports go this way

    class Public(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[aiohttp.abc.ResolveResult]:
            found = await super().resolve(host, port, family)
            return [one for one in found if public(one["host"])]

    def literal(host: str | None) -> bool:
        try:
            return public(host) if host else False
        except ValueError:
            return True  # a name: the resolver sees to it

    timeout = aiohttp.ClientTimeout(total=LIMITS.report_post_patience)
    connector = aiohttp.TCPConnector(resolver=Public(), ssl=context or True)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            from yarl import URL

            url = URL(uri)
            if url.scheme != "https" or not literal(url.host):
                return "not on the public Internet"
            async with session.post(
                url, data=content, headers={"Content-Type": _MEDIA}, allow_redirects=False
            ) as answer:
                return "" if 200 <= answer.status < 300 else f"the answer is {answer.status}"
    except TimeoutError:
        return f"no answer within {LIMITS.report_post_patience} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(error)[:200] or type(error).__name__
