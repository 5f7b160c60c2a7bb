"""How lists in the DNS are asked and read (RFC 5782): of addresses, of domains, of the hosts of links.

Only an answer in 127.0.0.0/8 can be a listing. One in 127.255.255.0/24 is what a list says to a resolver that it will
not serve, and so is 127.0.0.1: errors of the question. A list that names what must not be there names everything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from daemon.resolver import Resolver, TemporaryDNSError, reverse_name

_REVERSE = (".in-addr.arpa", ".ip6.arpa")
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")
_REFUSED = re.compile(r"127\.(?:255\.255\.\d+|0\.0\.1)")
_LISTED, _NOT_LISTED = "2.0.0.127", "1.0.0.127"  # RFC 5782 §5
_NAMED, _NOT_NAMED = "test", "invalid"
_KEYED = re.compile(r"[a-z0-9]+\.([a-z]+)\.dq\.spamhaus\.net")  # the first label is a customer's key


class _Codes(NamedTuple):
    """What the answers of a list mean. `exact`: patterns of addresses that are listings, with the name of that part of
    the list; `bits`: of the last octet; `refused`: one more that is an error. `test`: what is always listed.
    `addresses`: IP addresses may be asked about where names are."""

    exact: Mapping[str, str] = {r".*": ""}
    bits: Mapping[int, str] = {}
    refused: str = ""
    test: str = ""
    addresses: bool = True


# What stands for hosts that somebody broke into (127.0.1.1xx of the DBL), for pages that many like and some do not
# (grey of URIBL), is no reason to take a letter for spam.
_ANY = _Codes()
_KNOWN = {
    "zen.spamhaus.org": _Codes(
        {r"127\.0\.0\.2": "SBL", r"127\.0\.0\.3": "CSS", r"127\.0\.0\.[4-7]": "XBL", r"127\.0\.0\.9": "DROP",
         r"127\.0\.0\.1[01]": "PBL"}
    ),
    "dbl.spamhaus.org": _Codes({r"127\.0\.1\.([2-9]|[1-9][0-9])": ""}, test="dbltest.com", addresses=False),
    "multi.surbl.org": _Codes({}, {8: "PH", 16: "MW", 64: "ABUSE", 128: "CR"}, test=_LISTED),
    "multi.uribl.com": _Codes({}, {2: "black"}, test=_LISTED),
    "list.dnswl.org": _Codes({r"127\.0\.\d+\.[0-3]": ""}, refused="127.0.0.255"),
    "dwl.dnswl.org": _Codes({r"127\.0\.\d+\.[0-3]": ""}, refused="127.0.0.255", test="dnswl.test", addresses=False),
}  # fmt: skip


class Said(NamedTuple):
    """What a list says: `code` is the address that makes it a listing, '' without one, `part` the part of the list that
    names it; `trouble` why its answer says nothing."""

    code: str = ""
    part: str = ""
    trouble: str = ""


def title(zone: str) -> str:
    """The name of a list as it may be told: without a customer's key."""
    keyed = _KEYED.fullmatch(zone)
    return f"{keyed[1]}.dq.spamhaus.net" if keyed else zone


def takes_addresses(zone: str) -> bool:
    """Whether a list of names may be asked about the address in a link."""
    return _codes(zone).addresses


@lru_cache(maxsize=1024)
def reversed_address(address: str) -> str:
    """The labels that stand for an address: octets, or nibbles, the last one first (RFC 5782 §2.1, §2.4)."""
    name = reverse_name(address)
    for end in _REVERSE:
        name = name.removesuffix(end)
    return name


def read(zone: str, records: Iterable[Any]) -> Said:
    """The addresses that were answered; none is "not listed"."""
    codes = [str(record) for record in records]
    if not codes:
        return Said()
    wrong = [code for code in codes if ipaddress.ip_address(code) not in _ANSWERS]
    if wrong:
        return Said(trouble=f"it answers {wrong[0]}: it is no list any more")
    refused = [code for code in codes if _REFUSED.fullmatch(code) or code == _codes(zone).refused]
    if refused:
        return Said(trouble=f"it does not answer this resolver ({refused[0]}): give dns.servers one of your own")
    found = {code: parts for code in sorted(codes) if (parts := _parts(zone, code)) is not None}
    if not found:
        return Said()
    named = dict.fromkeys(part for parts in found.values() for part in parts if part)
    return Said(next(iter(found)), ", ".join(named))


def _parts(zone: str, code: str) -> list[str] | None:
    """The parts of the list that name it; None when it is no listing."""
    codes, last = _codes(zone), int(code.rpartition(".")[2])
    parts = [part for pattern, part in codes.exact.items() if re.fullmatch(pattern, code)]
    parts += [part for bit, part in codes.bits.items() if last & bit]
    return parts or None


@cache
def _codes(zone: str) -> _Codes:
    keyed = _KEYED.fullmatch(zone)
    return _KNOWN.get(f"{keyed[1]}.spamhaus.org" if keyed else zone, _ANY)


async def test(resolver: Resolver, zone: str, *, names: bool) -> str:
    """Why a list cannot be believed, '' when it can: what must be listed is, and what must not be is not (RFC 5782 §5).
    `names`: it is asked about names, not addresses."""
    own = _codes(zone).test
    listed = (own,) if own else (_NAMED, _LISTED) if names else (_LISTED,)
    try:
        if (await resolver.ask(f"{_NOT_NAMED if names else _NOT_LISTED}.{zone}", "A")).records:
            return "it lists everything: it is no list any more"
        for name in listed:
            if records := (await resolver.ask(f"{name}.{zone}", "A")).records:
                return read(zone, records).trouble
    except TemporaryDNSError as error:
        return f"it cannot say now: {error.reason}"
    return "it does not list its own test entry (RFC 5782): it is no list, or has moved"
