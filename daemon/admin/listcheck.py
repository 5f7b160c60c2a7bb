"""Whether the lists in the DNS that mail is judged by can be believed: each names what it must, and not what it must
not (RFC 5782 §5). One that does not says nothing about mail either."""

from __future__ import annotations

import asyncio

from daemon.admin.findings import Facts, Finding
from daemon.limits import LIMITS
from daemon.resolver import DNS
from daemon.trust import dnsbl

_ADDRESSES = ("spam.blocklists", "spam.welcome_lists")
_NAMES = ("spam.domain_lists", "spam.link_lists", "spam.welcome_domains")


async def check(facts: Facts) -> list[Finding]:
    """A finding for each list that says nothing, one for those that do; one in all when none is asked."""
    config = facts.config
    if not (config["trust.check"] and config["spam.check"]):
        return [Finding("ok", "lists-unasked", "lists", "no lists are asked (spam.check or trust.check is no)")]
    wanted = {
        (zone, names): key
        for keys, names in ((_ADDRESSES, False), (_NAMES, True))
        for key in keys
        for zone in config[key][: LIMITS.blocklists]
    }
    if not wanted:
        return [Finding("ok", "lists-unasked", "lists", "no lists are set (spam.blocklists and others)")]
    resolver = DNS(config["dns.servers"], patience=LIMITS.doctor_patience / 3)
    why = await asyncio.gather(*(dnsbl.test(resolver, zone, names=names) for zone, names in wanted))
    found, sound = [], []
    for ((zone, _), key), trouble in zip(wanted.items(), why, strict=True):
        if not trouble:
            sound.append(dnsbl.title(zone))
            continue
        text = f"{trouble}; mail is judged without it"
        found.append(Finding("warning", "list-silent", dnsbl.title(zone), text, f"mend dns.servers, or change {key}"))
    if sound:
        names = ", ".join(dict.fromkeys(sound))
        found.append(Finding("ok", "lists-answer", "lists", f"they pass their own tests: {names}"))
    return found
