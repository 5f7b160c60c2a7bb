"""The server's own name: its addresses, and the way back from them."""

from __future__ import annotations

import ipaddress

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several
from daemon.resolver import reverse_name


async def look(at: Looking) -> None:
    """Fills `at.addresses` for those who look next."""
    name = at.wanted.host
    if "." not in name or name.endswith((".localdomain", ".local")):
        at.say(
            "error", "hostname-private", name,
            "this is no name the world can look up; set one: `mailctl config set hostname mail.example.org`",
        )  # fmt: skip
    found = await at.addresses_of(name)
    if found is None:
        return
    at.addresses += found
    ours = dnsrecords.host_addresses(at.wanted)
    if not found:
        hint = ours[0] if ours else f"{name}. {dnsrecords.TTL} IN A <this server's address>"
        at.say("error", "host-missing", name, "this server's name has no address", hint)
        return
    unreachable = [a for a in found if not ipaddress.ip_address(a).is_global]
    if unreachable:
        at.say("warning", "host-private", name, f"the world cannot reach {several(unreachable)}")
    elif at.wanted.named and not set(found) & set(at.wanted.addresses):
        at.say(
            "error", "host-elsewhere", name,
            f"the DNS says {several(found)}, this server is {several(at.wanted.addresses)}", ours[0],
        )  # fmt: skip
    else:
        at.good("host-found", name, several(found))
    for address in found:
        await _way_back(at, address)


async def _way_back(at: Looking, address: str) -> None:
    answer = await at.ask(reverse_name(address), "PTR")
    if answer is None:
        return
    name = at.wanted.host
    right = f"{reverse_name(address)}. {dnsrecords.TTL} IN PTR {name}."
    if not answer.records:
        text = "no name in reverse DNS; ask whoever gave you the address to set it"
        at.say("warning", "ptr-missing", address, text, right)
    elif name not in answer.records:
        text = f"reverse DNS calls it {answer.records[0]}, not {name}; ask whoever gave you the address to set it"
        at.say("warning", "ptr-differs", address, text, right)
    else:
        at.good("ptr-found", address, f"reverse DNS calls it {name}")
