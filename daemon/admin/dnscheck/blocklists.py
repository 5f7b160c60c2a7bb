"""Whether lists of spammers' addresses (RFC 5782) name this server.

An answer in 127.255.255.0/24 is what a list says to a resolver it will not serve: an error of the question, never a
listing (traps S16). So is one outside of 127.0.0.0/8, and one of a list that names 127.0.0.1, which must not be there.
"""

from __future__ import annotations

import asyncio
import ipaddress

from daemon.admin.dnscheck.looking import Looking, several
from daemon.limits import LIMITS
from daemon.resolver import TemporaryDNSError, reverse_name

_REVERSE = (".in-addr.arpa", ".ip6.arpa")
_ERRORS = ipaddress.ip_network("127.255.255.0/24")
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")


async def look(at: Looking) -> None:
    lists = at.wanted.config["dns.blocklists"].split()[: LIMITS.blocklists]
    addresses = [a for a in at.addresses if ipaddress.ip_address(a).is_global][: LIMITS.mx_addresses]
    if not lists or not addresses:
        return
    answers = await asyncio.gather(*(_one(at, zone, address) for address in addresses for zone in lists))
    if not any(answers):
        at.good("blocklist-found", several(addresses), f"on none of {several(lists)}")


async def _one(at: Looking, zone: str, address: str) -> bool:
    """Whether there is anything to say of this address on this list; that is said."""
    try:
        async with asyncio.timeout(LIMITS.blocklist_patience):
            return await _ask(at, zone, address)
    except TimeoutError:
        reason = f"no answer within {LIMITS.blocklist_patience} s"
    except TemporaryDNSError as error:
        reason = error.reason
    at.say("info", "blocklist-failed", address, f"{zone} cannot say now: {reason}")
    return True


async def _ask(at: Looking, zone: str, address: str) -> bool:
    name = f"{_reversed(address)}.{zone}"
    codes = [ipaddress.ip_address(str(r)) for r in (await at.resolver.ask(name, "A")).records]
    if not codes:
        return False
    said = several(str(code) for code in codes[:5])
    if any(code in _ERRORS for code in codes):
        text = f"{zone} does not answer this resolver ({said}): give dns.servers a resolver of your own"
        at.say("info", "blocklist-failed", address, text)
    elif any(code not in _ANSWERS for code in codes):
        at.say("info", "blocklist-failed", address, f"{zone} is no blocklist any more: it answers {said}")
    elif (await at.resolver.ask(f"1.0.0.127.{zone}", "A")).records:
        at.say("info", "blocklist-failed", address, f"{zone} lists everything: it is no blocklist any more")
    else:
        reasons = [r.decode("utf-8", "replace") for r in (await at.resolver.ask(name, "TXT")).records]
        why = f": {reasons[0][:200]}" if reasons else ""
        at.say("error", "blocklist-listed", address, f"{zone} lists it ({said}){why}; ask there to be taken off")
    return True


def _reversed(address: str) -> str:
    name = reverse_name(address)
    for end in _REVERSE:
        name = name.removesuffix(end)
    return name
