"""SPF: one record, in order, within RFC 7208's limits for whoever asks, and one that lets this server send.

`daemon.trust.spf` judges one message and stops at the first term that matches. Here all terms are followed, since some
mail reaches the last: a record with eleven look-ups is broken even if our own address is its first term.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several
from daemon.admin.dnsrecords import Record
from daemon.limits import LIMITS
from daemon.trust import spf, spf_record
from daemon.trust.spf_macros import BadSyntax, MacroString

_PATIENCE = 40  # look-ups followed before we stop counting: 41 tells no more than 41 000
_ASKING = frozenset(("include", "a", "mx", "exists"))  # `ptr` asks about the client, and costs a look-up all the same


@dataclass
class _Count:
    """What following every term costs. `faults` are reasons with the words for them."""

    lookups: int = 0
    voids: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


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
    if count.lookups > LIMITS.spf_terms:
        many = f"more than {_PATIENCE}" if count.lookups > _PATIENCE else str(count.lookups)
        at.say("error", "spf-lookups", domain, f"it takes {many} look-ups; {LIMITS.spf_terms} are allowed", right)
    elif len(count.voids) > LIMITS.spf_voids:
        text = f"{len(count.voids)} of its names have nothing ({several(count.voids)}); {LIMITS.spf_voids} may"
        at.say("error", "spf-void", domain, text, right)
    if count.faults or count.lookups > LIMITS.spf_terms or len(count.voids) > LIMITS.spf_voids:
        return False
    _end(at, domain, spf_record.parse(found[0].encode()), right)
    return await _covered(at, domain, right)


def _end(at: Looking, domain: str, record: spf_record.Record, right: Record) -> None:
    """What happens to those whom no other term names."""
    ends = [m.result for m in record.mechanisms if m.name == "all"]
    if ends[:1] == ["pass"]:
        at.say("error", "spf-open", domain, "+all lets the whole world send for the domain", right)
    elif ends[:1] not in (["fail"], ["softfail"]) and not (record.redirect and not ends):
        at.say("warning", "spf-weak", domain, "it does not end in -all or ~all", right)


async def _follow(at: Looking, domain: str, text: str, count: _Count, path: tuple[str, ...]) -> None:
    """Count what the terms of a record ask for, those of the records it includes too."""
    try:
        record = spf_record.parse(text.encode())
    except BadSyntax as error:
        whose = f"the record of {domain}" if path else "the record"
        count.faults.append(("spf-syntax", f"{whose} is not in order: {error}"))
        return
    path = (*path, domain)
    for mechanism in record.mechanisms:
        if mechanism.name == "all":
            return  # RFC 7208 §5.1: what stands behind it is not looked at, nor is redirect
        if mechanism.name in _ASKING or mechanism.name == "ptr":
            if not _pay(count):
                return
            await _one(at, mechanism.name, _name(mechanism.domain, domain), count, path)
    if record.redirect and _pay(count):
        await _one(at, "redirect", _name(record.redirect, domain), count, path)


def _pay(count: _Count) -> bool:
    """Whether there is a reason to go on."""
    count.lookups += 1
    return count.lookups <= _PATIENCE and not count.faults


def _name(string: MacroString, domain: str) -> str:
    """The name that a term asks for; '' when that depends on the message."""
    if not all(isinstance(piece, str) for piece in string):
        return ""
    return "".join(str(piece) for piece in string).rstrip(".").lower() or domain


async def _one(at: Looking, how: str, target: str, count: _Count, path: tuple[str, ...]) -> None:
    if not target or how == "ptr":
        return
    if how in ("include", "redirect"):
        if target in path:
            count.faults.append(("spf-include", f"{how} leads from {target} back to itself"))
            return
        inner = await at.texts(target, "v=spf1")
        if inner is not None and len(inner) != 1:
            what = "no SPF record" if not inner else f"{len(inner)} SPF records"
            count.faults.append(("spf-include", f"{target}, which it includes, has {what}"))
        elif inner:
            await _follow(at, target, inner[0], count, path)
    elif how == "mx":
        answer = await at.ask(target, "MX")
        if answer is not None and not answer.records:
            count.voids.append(target)
        elif answer is not None and len(answer.records) > LIMITS.spf_mx_names:
            count.faults.append(("spf-lookups", f"{target} has more than {LIMITS.spf_mx_names} MX hosts"))
    elif await at.addresses_of(target) == []:
        count.voids.append(target)


async def _covered(at: Looking, domain: str, right: Record) -> bool | None:
    """Whether a message from each of this server's addresses would pass."""
    ours = at.addresses or (at.wanted.addresses if at.wanted.named else ())
    left, why = [], ""
    for address in ours:
        verdict = await spf.check_host(
            at.resolver, address, at.wanted.host, f"postmaster@{domain}", now=time.time(), receiver=at.wanted.host
        )
        if verdict.result == "temperror":
            return None  # the look-ups that failed are findings already
        if verdict.result != "pass":
            left.append(address)
            why = f" ({verdict.mechanism or verdict.reason or 'no term names it'})"
    if left:
        at.say("error", "spf-not-us", domain, f"it does not let {several(left)} send for the domain{why}", right)
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
