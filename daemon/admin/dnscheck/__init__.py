"""What is published for a domain, compared with what should be: findings, each with what it breaks and its remedy.

One file a question: `host` (the server's name), `way` (MX), `senders` and `spf` (who may send as the domain),
`transport` (how mail must be carried), `services` (how programs find us), `zone` (its name servers, each asked itself),
`blocklists`. `looking` holds what they share. A question that nobody could answer is a finding of its own
(`dns-failed`), never a missing record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from daemon.admin import dnsrecords
from daemon.admin.dnscheck import blocklists, host, senders, services, transport, way, zone
from daemon.admin.dnscheck.looking import BREAKS, Finding, Looking
from daemon.admin.dnsrecords import Wishes
from daemon.resolver import DNS, Resolver
from daemon.store.db import Store

__all__ = ["BREAKS", "Finding", "check", "findings"]
_PARTS = (way.look, senders.look, transport.look, services.look, zone.look)


def check(store: Store, domain: str, addresses: Sequence[str] = ()) -> list[Finding]:
    """Ask the DNS about a domain of ours. Raises `Missing`, `BadData`."""
    wanted = dnsrecords.wishes(store, domain, addresses)
    return asyncio.run(findings(DNS(wanted.config["dns.servers"]), wanted))


async def findings(resolver: Resolver, wanted: Wishes) -> list[Finding]:
    """Everything there is to say, in the order an administrator would put it right."""
    first = Looking(resolver, wanted)
    await host.look(first)
    if first.deaf:
        return first.found
    parts = [first.again() for _ in _PARTS]
    await asyncio.gather(*(look(at) for look, at in zip(_PARTS, parts, strict=True)))
    last = first.again()
    await blocklists.look(last)  # alone: a list that is silent must not silence the resolver for the others
    return list(dict.fromkeys(found for at in (first, *parts, last) for found in at.found))
