"""Whether lists of spammers' addresses (RFC 5782) name this server.

What a list says that does not serve this resolver, or that lists everything, is no listing (traps S16).
"""

from __future__ import annotations

import asyncio
import ipaddress

from daemon.admin.dnscheck.looking import Looking, several
from daemon.limits import LIMITS
from daemon.resolver import TemporaryDNSError
from daemon.trust import dnsbl


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
    at.say("info", "blocklist-failed", address, f"{dnsbl.title(zone)} cannot say now: {reason}")
    return True


async def _ask(at: Looking, zone: str, address: str) -> bool:
    name = f"{dnsbl.reversed_address(address)}.{zone}"
    records = (await at.resolver.ask(name, "A")).records
    said = dnsbl.read(zone, records)
    trouble = said.trouble or (said.code and await dnsbl.test(at.resolver, zone, names=False))
    if trouble:
        at.say("info", "blocklist-failed", address, f"{dnsbl.title(zone)}: {trouble}")
    elif said.code:
        reasons = [r.decode("utf-8", "replace") for r in (await at.resolver.ask(name, "TXT")).records]
        why = f": {reasons[0][:200]}" if reasons else ""
        text = f"{dnsbl.title(zone)} lists it ({said.part or said.code}){why}; ask there to be taken off"
        at.say("error", "blocklist-listed", address, text)
    return bool(trouble or said.code)
