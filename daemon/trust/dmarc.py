"""DMARC (RFC 9989): does a proof of this message speak for the domain in From, and what does that domain ask if not?

`find` looks for the policy while other checks still run, `check` puts their results together. Both walk up the DNS as
§4.10 says: no list of public suffixes, at most eight questions for a name. A walk that the DNS cannot answer makes the
result `temperror`, unless another proof is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.trust.author import Authors
from daemon.trust.dmarc_record import Policy, Record, parse
from daemon.trust.results import DMARC, SPF, Signature

_SEVERITY = ("pass", "none", "temperror", "permerror", "fail")
_STRENGTH = ("", "none", "quarantine", "reject")
Walk = list[tuple[str, Record]]


class Found(NamedTuple):
    """What the DNS says of an author's domain: its record, if any, where that stands, and what it asks for here.

    `failure` is why nobody could tell."""

    domain: str
    record: Record | None = None
    policy_domain: str = ""
    policy: Literal["", Policy] = ""
    failure: str = ""


async def find(resolver: Resolver, domain: str) -> Found:
    """Policy discovery (§4.10.1): the record of the domain itself, of its organization, or of the suffix above."""
    if domain[0] == "[":  # an address literal is nobody's domain
        return Found(domain)
    try:
        return await _find(resolver, domain)
    except TemporaryDNSError as error:
        return Found(domain, failure=str(error))


async def _find(resolver: Resolver, domain: str) -> Found:
    own, exists = await _record_at(resolver, domain)
    if own is not None:
        return Found(domain, own, domain, own.asks("domain"))
    above = await _walk(resolver, targets(domain)[1:])
    if not above:
        return Found(domain)
    records = dict(above)
    name = organization(domain, above)
    if name not in records:  # the organization has none: that of the suffix, where the walk ended, stands in
        name = above[-1][0]
    record = records[name]
    kind: Literal["subdomain", "missing"] = "subdomain"
    if record.asks("missing") != record.asks("subdomain") and not (exists or await _exists(resolver, domain)):
        kind = "missing"
    return Found(domain, record, name, record.asks(kind))


async def check(resolver: Resolver, found: Found, spf: SPF, signatures: Sequence[Signature]) -> DMARC:
    """Whether a proof is aligned with the author's domain (§4.10.2), and what its owner asks for if none is."""
    record = found.record
    if record is None:
        word: Literal["temperror", "none"] = "temperror" if found.failure else "none"
        return DMARC(word, found.domain, reason=found.failure or "no DMARC record")
    about = DMARC("permerror", found.domain, found.policy_domain, found.policy, record=record.text)
    if record.problem:
        return about._replace(policy="", reason=record.problem)
    alignment = _Alignment(resolver, found.domain)
    for_spf = [spf.domain] if spf.domain and spf.result == "pass" else []
    for_dkim = [s.domain for s in signatures if s.domain and s.result == "pass"]
    by_spf = await alignment.any(for_spf, record.strict_spf)
    by_dkim = await alignment.any(for_dkim, record.strict_dkim)
    about = about._replace(spf_aligned=by_spf, dkim_aligned=by_dkim)
    if by_spf or by_dkim:
        return about._replace(result="pass")
    # A proof that nobody could check might have been the one: then this neither passes nor fails (§5.3.6).
    unchecked = spf.result == "temperror" and await alignment.any([spf.domain], record.strict_spf)
    open_ones = [s.domain for s in signatures if s.domain and s.result == "temperror"]
    unchecked = unchecked or await alignment.any(open_ones, record.strict_dkim)
    if unchecked or alignment.failure:
        return about._replace(result="temperror", reason=alignment.failure or "a proof could not be checked for now")
    return about._replace(result="fail", reason=_why(spf, for_spf, for_dkim))


def _why(spf: SPF, for_spf: Sequence[str], for_dkim: Sequence[str]) -> str:
    others = list(dict.fromkeys([*for_spf, *for_dkim]))[:3]
    if not others:
        return "neither SPF nor DKIM passes"
    return f"what passes is for {', '.join(others)}"


def worst(results: Sequence[DMARC], who: Authors) -> DMARC:
    """The one result for a message whose From has several domains: the strictest policy among those that fail.

    Without any domain there is nothing to check: `none`. `permerror` without a domain: not all of From could be read.
    """
    if who.problem:
        return DMARC("permerror", reason=who.problem)
    if not results:
        return DMARC("none", reason="From has no domain")
    return max(results, key=lambda r: (_SEVERITY.index(r.result), _STRENGTH.index(r.policy)))


# ----------------------------------------------------------------------------------------------------- the tree walk


def targets(domain: str) -> list[str]:
    """The names that a walk asks, the longest first: all of them, or the first and its last seven labels (§4.10)."""
    labels = domain.split(".")
    above = labels[1:] if len(labels) < LIMITS.dmarc_walk else labels[1 - LIMITS.dmarc_walk :]
    return [domain, *(".".join(above[at:]) for at in range(len(above)))]


def organization(domain: str, walk: Walk) -> str:
    """The Organizational Domain of the name a walk was for (§4.10.2)."""
    for name, record in walk:
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            return ".".join(domain.split(".")[-2 - name.count(".") :])
    return walk[-1][0] if walk else domain


async def _walk(resolver: Resolver, names: Sequence[str]) -> Walk:
    found: Walk = []
    for name in names:
        record, _ = await _record_at(resolver, name)
        if record is not None:
            found.append((name, record))
            if record.psd != "u":
                break
    return found


async def _record_at(resolver: Resolver, domain: str) -> tuple[Record | None, bool]:
    """The one DMARC record at a name (several are none), and whether the name is known to exist."""
    answer = await resolver.ask(f"_dmarc.{domain}", "TXT")
    records = [record for record in map(parse, answer.records) if record is not None]
    return (records[0] if len(records) == 1 else None), answer.exists


async def _exists(resolver: Resolver, domain: str) -> bool:
    """§3.2.13: a name is missing when the DNS says NXDOMAIN; an alias is there even if it leads nowhere (RFC 6604)."""
    answer = await resolver.ask(domain, "A")
    return answer.exists or answer.canonical not in ("", domain)


class _Alignment:
    """Whether other domains are the author's own. Remembers the author's organization once it was asked for."""

    def __init__(self, resolver: Resolver, author: str) -> None:
        self.resolver = resolver
        self.author = author
        self.failure = ""
        self._organization = ""

    async def any(self, domains: Sequence[str], strict: bool) -> bool:
        names = dict.fromkeys(_name(domain) for domain in domains)
        if self.author in names:
            return True
        if strict:
            return False
        for name in list(names)[: LIMITS.dmarc_identifiers]:
            try:
                if await self._relaxed(name):
                    return True
            except TemporaryDNSError as error:
                self.failure = str(error)
        return False

    async def _relaxed(self, name: str) -> bool:
        """Names of one organization end alike: what does not is told apart without a question."""
        if name.rpartition(".")[2] != self.author.rpartition(".")[2]:
            return False
        if not self._organization:
            self._organization = await self._organization_of(self.author)
        mine = self._organization
        if name != mine and not name.endswith("." + mine):
            return False
        return await self._organization_of(name) == mine

    async def _organization_of(self, name: str) -> str:
        return organization(name, await _walk(self.resolver, targets(name)))


def _name(domain: str) -> str:
    try:
        return normal_domain(domain)
    except BadAddress:
        return domain.lower()
