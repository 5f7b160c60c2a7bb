"""SPF: one record, in order, within RFC 7208's limits for whoever asks, and one that lets this server send.

`daemon.trust.spf` judges one message and stops at the first term that matches. Here all terms are followed, since some
mail reaches the last: a record with eleven look-ups is broken even if our own address is its first term.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several
from daemon.admin.dnsrecords import Record
from daemon.resolver import MX

LOOKUPS, VOIDS, HOSTS = 10, 2, 10  # RFC 7208 §4.6.4
_PATIENCE = 40  # look-ups followed before we stop counting: 41 tells no more than 41 000
_ASKING = frozenset(("include", "a", "mx", "ptr", "exists", "redirect"))
_MACRO = r"%(?:\{[slodiphcrtv][0-9]*r?[.\-+,/_=]*\}|[%_\-])"
_SPEC = rf"(?:{_MACRO}|[!-$&-~])+"  # §7.1: visible characters, and % only as a macro
_MECHANISM = re.compile(
    rf"(?P<qualifier>[+\-?~]?)(?:(?P<all>all)|(?P<net>ip4|ip6):(?P<network>\S+)"
    rf"|(?P<must>include|exists):(?P<target>{_SPEC})"
    rf"|(?P<may>a|mx)(?::(?P<of>(?:{_MACRO}|[!-$&-.0-~])+))?(?P<four>/\d{{1,2}})?(?P<six>//\d{{1,3}})?"
    rf"|(?P<ptr>ptr)(?::(?P<below>{_SPEC}))?)",
    re.IGNORECASE,
)
_MODIFIER = re.compile(rf"([A-Za-z][A-Za-z0-9_.\-]*)=((?:{_MACRO}|[!-$&-~])*)")


class Term(NamedTuple):
    """`name` in lower case; `value` a domain or network, '' for the domain itself."""

    qualifier: str
    name: str
    value: str


class BadRecord(ValueError):
    """The term that is not in order."""


def terms(text: str) -> Iterator[Term]:
    """The terms of a record in their order, after its version. Raises `BadRecord` (RFC 7208 §4.6.1, §12)."""
    seen = set[str]()
    for word in text.split(" ")[1:]:
        if not word:
            continue
        modifier = _MODIFIER.fullmatch(word)
        if modifier:
            name = modifier[1].lower()
            if name in ("redirect", "exp") and (name in seen or not modifier[2]):
                raise BadRecord(word)
            seen.add(name)
            yield Term("", name, modifier[2])
            continue
        found = _MECHANISM.fullmatch(word)
        if not found or not _network_is_sound(found) or not _prefix_is_sound(found):
            raise BadRecord(word)
        kind = found["all"] or found["net"] or found["must"] or found["may"] or found["ptr"]
        value = found["network"] or found["target"] or found["of"] or found["below"] or ""
        yield Term(found["qualifier"] or "+", kind.lower(), value)


def _network_is_sound(found: re.Match[str]) -> bool:
    if not found["net"]:
        return True
    try:
        network = ipaddress.ip_network(found["network"], strict=False)
    except ValueError:
        return False
    return network.version == (4 if found["net"].lower() == "ip4" else 6)


def _prefix_is_sound(found: re.Match[str]) -> bool:
    return int((found["four"] or "/0")[1:]) <= 32 and int((found["six"] or "//0")[2:]) <= 128


@dataclass
class _Count:
    """What following every term costs. `faults` are reasons with the words for them."""

    lookups: int = 0
    voids: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    unknown: bool = False


async def look(at: Looking) -> bool | None:
    """Whether this server's mail passes SPF as far as can be told; None when that is not known."""
    domain = at.wanted.domain
    right = dnsrecords.spf(domain)
    found = await at.texts(domain, "v=spf1")
    await _helo(at)
    if found is None:
        return None
    if not found:
        at.say("error", "spf-missing", domain, "nothing says who may send for the domain", right)
        return False
    if len(found) > 1:
        at.say("error", "spf-several", domain, f"there are {len(found)} SPF records; keep one", right)
        return False
    count = _Count()
    await _follow(at, domain, found[0], count, ())
    for reason, text in count.faults:
        at.say("error", reason, domain, text, right)
    if count.lookups > LOOKUPS:
        many = f"more than {_PATIENCE}" if count.lookups > _PATIENCE else str(count.lookups)
        at.say("error", "spf-lookups", domain, f"it takes {many} look-ups; {LOOKUPS} are allowed", right)
    elif len(count.voids) > VOIDS:
        text = f"{len(count.voids)} of its names have nothing ({several(count.voids)}); {VOIDS} may"
        at.say("error", "spf-void", domain, text, right)
    if count.faults or count.lookups > LOOKUPS or len(count.voids) > VOIDS:
        return False
    _end(at, domain, list(terms(found[0])), right)
    return await _covered(at, domain, right)


def _end(at: Looking, domain: str, all_terms: list[Term], right: Record) -> None:
    """What happens to those whom no other term names."""
    if any(t.name == "all" and t.qualifier == "+" for t in all_terms):
        at.say("error", "spf-open", domain, "+all lets the whole world send for the domain", right)
    elif not any(t.name == "all" and t.qualifier in "-~" or t.name == "redirect" for t in all_terms):
        at.say("warning", "spf-weak", domain, "it does not end in -all or ~all", right)


async def _follow(at: Looking, domain: str, text: str, count: _Count, path: tuple[str, ...]) -> None:
    """Count what the terms of a record ask for, those of the records it includes too."""
    try:
        all_terms = list(terms(text))
    except BadRecord as error:
        whose = f"the record of {domain}" if path else "the record"
        count.faults.append(("spf-syntax", f"{whose} has a term that is none: {str(error)[:80]!r}"))
        return
    ends = [t.name for t in all_terms].index("all") if any(t.name == "all" for t in all_terms) else len(all_terms)
    for place, term in enumerate(all_terms):
        if term.name not in _ASKING or (place > ends or ends < len(all_terms) and term.name == "redirect"):
            continue  # §5.1, §6.1: what stands after `all` is not looked at, nor redirect beside it
        count.lookups += 1
        if count.lookups > _PATIENCE or count.faults:
            return
        target = (term.value or domain).rstrip(".").lower()
        if "%" in target or term.name == "ptr":
            continue  # depends on the message
        await _one(at, term, target, count, (*path, domain))


async def _one(at: Looking, term: Term, target: str, count: _Count, path: tuple[str, ...]) -> None:
    if term.name in ("include", "redirect"):
        if target in path:
            count.faults.append(("spf-include", f"{term.name} leads from {target} back to itself"))
            return
        inner = await at.texts(target, "v=spf1")
        if inner is None:
            count.unknown = True
        elif len(inner) != 1:
            what = "no SPF record" if not inner else f"{len(inner)} SPF records"
            count.faults.append(("spf-include", f"{target}, which it includes, has {what}"))
        else:
            await _follow(at, target, inner[0], count, path)
    elif term.name == "mx":
        answer = await at.ask(target, "MX")
        if answer is not None and not answer.records:
            count.voids.append(target)
        elif answer is not None and len(answer.records) > HOSTS:
            count.faults.append(("spf-lookups", f"{target} has more than {HOSTS} MX hosts (RFC 7208 §4.6.4)"))
    elif await at.addresses_of(target) == []:
        count.voids.append(target)


async def _covered(at: Looking, domain: str, right: Record) -> bool | None:
    """Whether a message from each of this server's addresses would pass."""
    if any(f.reason == "dns-failed" for f in at.found):
        return None
    ours = at.addresses or (at.wanted.addresses if at.wanted.named else ())
    left = []
    for address in ours:
        verdict = await _passes(at, domain, address)
        if verdict is None:
            return None
        if not verdict:
            left.append(address)
    if left:
        at.say("error", "spf-not-us", domain, f"it does not let {several(left)} send for the domain", right)
    elif ours:
        at.good("spf-found", domain, "it lets this server send for the domain")
    return not left if ours else None


async def _helo(at: Looking) -> None:
    """The name in HELO stands for bounces, which have no sender (RFC 7208 §2.3)."""
    host = at.wanted.host
    if host == at.wanted.domain:
        return
    found = await at.texts(host, "v=spf1")
    if found == []:
        text = "the server's own name has no SPF record"
        at.say("info", "spf-helo-missing", host, text, dnsrecords.helo_spf(host))


async def _passes(at: Looking, domain: str, address: str) -> bool | None:
    found = await at.texts(domain, "v=spf1")
    for term in terms(found[0]) if found else ():
        if term.qualifier == "+" and await _names(at, domain, term, address):
            return True
        if term.name in ("include", "redirect") and await _passes(at, term.value, address):
            return True
        if "%" in term.value:
            return None
    return False


async def _names(at: Looking, domain: str, term: Term, address: str) -> bool:
    if term.name in ("ip4", "ip6"):
        return ipaddress.ip_address(address) in ipaddress.ip_network(term.value, strict=False)
    target = term.value or domain
    if term.name == "mx":
        answer = await at.ask(target, "MX")
        hosts = [mx.host for mx in answer.records if isinstance(mx, MX)] if answer else []
        return any([address in (await at.addresses_of(host) or ()) for host in hosts[:HOSTS] if host])
    return term.name == "a" and address in (await at.addresses_of(target) or ())
