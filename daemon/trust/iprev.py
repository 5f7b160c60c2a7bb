"""Has the address a name that leads back to it? (RFC 8601 section 3; SPF's ptr and %{p}, RFC 7208 section 5.5.)

Whoever connects writes the PTR records: ten names are looked at, all at once, and no more.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError, side_by_side
from daemon.trust.results import IPRev

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Names(NamedTuple):
    """`confirmed`: names whose address it is. `claimed`: how many names the address says it has. `trouble`: why a
    question stayed open, '' if none did."""

    confirmed: tuple[str, ...] = ()
    claimed: int = 0
    trouble: str = ""


@lru_cache(maxsize=256)  # each check of a message asks for the same
def read_ip(text: str) -> IPAddress | None:
    """An address as the checks compare it: without a zone, IPv4 where it is mapped into IPv6 (RFC 7208 §5)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def number(address: str) -> int:
    """An IP address as a number; -1, which no network holds, when it is none."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address), "big")
    except (OSError, ValueError):
        return -1


async def check(resolver: Resolver, ip: str) -> IPRev:
    """`pass` with the name, `fail` when no name leads back, `permerror` without a PTR record, `temperror` when nobody
    could tell, `none` when `ip` is no address."""
    address = read_ip(ip)
    if address is None:
        return IPRev("none", reason="not an IP address")
    names = await names_of(resolver, address)
    if names.confirmed:
        return IPRev("pass", names.confirmed[0])
    if names.trouble:
        return IPRev("temperror", reason=names.trouble)
    if not names.claimed:
        return IPRev("permerror", reason="no PTR record")
    return IPRev("fail", reason="no name of the address leads back to it")


async def names_of(resolver: Resolver, address: IPAddress) -> Names:
    """The names that an address has and that have the address, in the order of the answer. Raises nothing."""
    try:
        claimed = (await resolver.ask(address.reverse_pointer, "PTR")).records
    except TemporaryDNSError as error:
        return Names(trouble=str(error))
    looked_at = claimed[: LIMITS.ptr_names]
    found = await side_by_side(resolver, [_leads_to(resolver, name, address) for name in looked_at])
    confirmed = tuple(name for name, leads in zip(looked_at, found, strict=True) if leads is True)
    trouble = next((leads for leads in found if isinstance(leads, str)), "")
    return Names(confirmed, len(claimed), trouble)


async def _leads_to(resolver: Resolver, name: str, address: IPAddress) -> bool | str:
    """Whether the name has the address, or why that is not known."""
    try:
        answer = await resolver.ask(name, "A" if address.version == 4 else "AAAA")
    except TemporaryDNSError as error:
        return str(error)
    return int(address) in map(number, answer.records)
