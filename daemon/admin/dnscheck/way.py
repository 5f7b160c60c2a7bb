"""The way in: where MX leads."""

from __future__ import annotations

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several
from daemon.limits import LIMITS
from daemon.resolver import MX


async def look(at: Looking) -> None:
    domain, ours = at.wanted.domain, at.wanted.host
    answer = await at.ask(domain, "MX")
    if answer is None:
        return
    right = dnsrecords.mx(at.wanted)
    hosts = sorted(record for record in answer.records if isinstance(record, MX))
    if not answer.exists:
        at.say("error", "domain-missing", domain, "the domain is not in the DNS; register it, or wait for it")
    elif not hosts:
        at.say("error", "mx-missing", domain, "nothing says where its mail goes", right)
    elif any(not mx.host for mx in hosts):
        at.say("error", "mx-null", domain, "a null MX says that the domain takes no mail (RFC 7505)", right)
    else:
        names = list(dict.fromkeys(mx.host for mx in hosts))
        if ours not in names:
            at.say("error", "mx-elsewhere", domain, f"mail goes to {several(names[:3])}, not to {ours}", right)
        elif names[0] != ours:
            at.say("info", "mx-not-first", domain, f"{names[0]} is tried before {ours}")
        sound = [await _sound(at, host) for host in names[: LIMITS.mx_hosts]]
        if ours in names and all(sound):
            at.good("mx-found", domain, f"mail comes to {ours}")


async def _sound(at: Looking, host: str) -> bool:
    """Whether it is a host with an address, as an MX must be."""
    alias = await at.ask(host, "CNAME")
    if alias is not None and alias.records:
        text = f"this MX is an alias of {alias.records[0]}; name that one in MX, or give this one addresses"
        at.say("warning", "mx-cname", host, text, dnsrecords.mx(at.wanted))
        return False
    if host == at.wanted.host:
        return True  # its addresses were looked at already
    found = await at.addresses_of(host)
    if found is not None and not found:
        at.say(
            "error",
            "mx-no-address",
            host,
            "this MX has no address; take it out, or give it one",
            dnsrecords.mx(at.wanted),
        )
        return False
    return True
