"""What the DNS says. One question at a time in the room's own words; dnspython underneath, one cache for all.

`Resolver` is what the rest of the house sees: tests hand in another. `DNS` is the real one: positive and negative
cache, one flight for equal questions asked at once, bounded patience. Three answers are never confused: records,
"there are none" (`exists` says whether the name has others), and `TemporaryDNSError` (nobody could tell: try later).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from daemon.config import HostPort
from daemon.limits import LIMITS

T = TypeVar("T")
_SILENT = 5  # questions in a row without a word from any server, before others fail at once
_PAYLOAD = 1232  # octets of a UDP answer: no fragments (DNS flag day 2020)


class TemporaryDNSError(Exception):
    """The question could not be answered now (SERVFAIL, time-out, bogus DNSSEC): not the same as "no"."""

    def __init__(self, name: str, kind: str, reason: str) -> None:
        super().__init__(f"{kind} of {name}: {reason}")
        self.name = name
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True, order=True)
class MX:
    preference: int
    host: str  # '' in a null MX (RFC 7505)


@dataclass(frozen=True, slots=True)
class TLSA:
    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has of one kind. Names are lower case, without the last dot.

    `records`: text for A, AAAA, CNAME, NS and PTR; bytes, strings joined, for TXT; `MX`; `TLSA`; else presentation
    text. `exists` is false only for NXDOMAIN. `canonical` is the name behind the CNAMEs. `secure`: validated by a
    resolver that we may believe.
    """

    name: str
    kind: str
    records: tuple[Any, ...] = ()
    exists: bool = True
    canonical: str = ""
    secure: bool = False
    ttl: int = 0


class Resolver(Protocol):
    async def ask(self, name: str, kind: str) -> Answer:
        """The records of `kind` ("MX", "AAAA", ...) at `name` (A-labels). Raises `TemporaryDNSError`."""

    def known(self, name: str, kind: str) -> Answer | None:
        """What would be answered without asking anybody."""


class Unknown(Exception):
    """Nobody has asked that yet."""


class Remembered:
    """A resolver that knows what another one could answer without asking, and raises `Unknown` for the rest. What asks
    it never waits (`at_once`)."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def ask(self, name: str, kind: str) -> Answer:
        answer = self.known(name.lower().removesuffix("."), kind)
        if answer is None:
            raise Unknown
        return answer

    def known(self, name: str, kind: str) -> Answer | None:
        return self._resolver.known(name, kind)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The value of what asks a `Remembered` and waits for nothing else: no task is made for it. Raises `Unknown`, and
    what it raises."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    work.close()
    raise Unknown


async def side_by_side(resolver: Resolver, questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The values of several at once; one after the other where nobody has to wait."""
    asked = list(questions)
    if len(asked) > 1 and not isinstance(resolver, Remembered):
        return await asyncio.gather(*asked)
    try:
        return [await one for one in asked]
    finally:
        for one in asked:
            one.close()


def reverse_name(address: str) -> str:
    """Where the PTR of an IP address stands."""
    return _name(dns.reversename.from_address(address))


@dataclass(slots=True)
class _Kept:
    answer: Answer | None
    reason: str
    until: float


class DNS:
    """The real resolver. `servers` empty: the system's. Not safe for several loops or threads."""

    def __init__(
        self,
        servers: Sequence[HostPort] = (),
        *,
        patience: float = LIMITS.dns_patience,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._cache: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._flights: dict[tuple[str, str], asyncio.Task[_Kept]] = {}
        self._heard = 0  # answers
        self._silent = 0
        self._mute_until = 0.0
        self.use(servers)

    def use(self, servers: Sequence[HostPort]) -> None:
        """Ask these from now on; what the others said is forgotten."""
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(s.host, s.port) for s in servers]
        else:
            with contextlib.suppress(dns.resolver.NoResolverConfiguration):
                self._resolver.read_resolv_conf("/etc/resolv.conf")
        addresses = [str(server.answer_nameserver()) for server in self._enriched()]
        # A validated answer is worth something only if nobody could change it on the way (RFC 4035 §4.9.3).
        self._believed = bool(addresses) and all(ipaddress.ip_address(a).is_loopback for a in addresses)
        self._resolver.use_edns(0, 0, _PAYLOAD)
        self._resolver.flags = dns.flags.RD | dns.flags.AD  # AD asks for AD without the signatures (RFC 6840 §5.7)
        self._resolver.timeout = max(self._patience / 4, 0.05)
        self.forget()

    def _enriched(self) -> list[dns.nameserver.Nameserver]:
        return [
            server if isinstance(server, dns.nameserver.Nameserver) else dns.nameserver.Do53Nameserver(server, 53)
            for server in self._resolver.nameservers
        ]

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()
        self._silent, self._mute_until = 0, 0.0

    async def ask(self, name: str, kind: str) -> Answer:
        """See `Resolver.ask`. Cancelling one who asks does not disturb others with the same question."""
        key = (name.lower().removesuffix("."), kind)
        kept = self._cache.get(key)
        if kept is None or kept.until <= self._clock():
            flight = self._flights.get(key)
            if flight is None:
                if self._clock() < self._mute_until:
                    raise TemporaryDNSError(name, kind, "no name server answers")
                flight = self._flights[key] = asyncio.create_task(self._question(*key))
                flight.add_done_callback(lambda _: self._flights.pop(key, None))
            kept = await asyncio.shield(flight)
        if kept.answer is None:
            raise TemporaryDNSError(name, kind, kept.reason)
        return kept.answer

    def known(self, name: str, kind: str) -> Answer | None:
        """See `Resolver.known`. Takes a name in lower case, without the last dot."""
        kept = self._cache.get((name, kind))
        return kept.answer if kept is not None and kept.until > self._clock() else None

    async def _question(self, name: str, kind: str) -> _Kept:
        answer, reason, ttl = None, "", LIMITS.dns_failure
        heard = self._heard
        try:
            answer = await self._resolve(name, kind)
            ttl = answer.ttl
        except dns.exception.Timeout:
            reason = f"no answer within {self._patience:.3g} s"
            # One server of others that is dead is not ours: whoever asked while ours answered others does not count.
            self._silent += heard == self._heard
            if self._silent >= _SILENT:  # a dead resolver costs a few time-outs, not one for each question
                self._mute_until = self._clock() + LIMITS.dns_failure
        except dns.resolver.NoNameservers as error:
            reason = _what_went_wrong(error)
        except (dns.exception.DNSException, OSError) as error:
            reason = str(error) or type(error).__name__
        if not reason:
            self._heard += 1
            self._silent, self._mute_until = 0, 0.0
        kept = _Kept(answer, reason, self._clock() + ttl)
        self._cache[name, kind] = kept
        self._cache.move_to_end((name, kind))
        while len(self._cache) > LIMITS.dns_cache:
            self._cache.popitem(last=False)
        return kept

    async def _resolve(self, name: str, kind: str) -> Answer:
        try:
            asked = dns.name.from_text(name)
        except dns.exception.DNSException:  # a label over 63 octets, an empty one: no such name can be
            return Answer(name, kind, exists=False, canonical=name, ttl=LIMITS.dns_negative)
        try:
            found = await self._resolver.resolve(
                asked, kind, raise_on_no_answer=False, search=False, lifetime=self._patience
            )
        except dns.resolver.NXDOMAIN as error:
            response: dns.message.QueryMessage = error.response(asked)  # type: ignore[no-untyped-call]
            chain = response.resolve_chaining()
            ttl = _negative_ttl(chain.minimum_ttl, bool(response.authority))
            return Answer(name, kind, (), False, _name(chain.canonical_name), self._secure(response.flags), ttl)
        secure = self._secure(found.response.flags)
        canonical = _name(found.canonical_name)
        if found.rrset is None:
            ttl = _negative_ttl(found.chaining_result.minimum_ttl, bool(found.response.authority))
            return Answer(name, kind, (), True, canonical, secure, ttl)
        ttl = max(1, min(found.chaining_result.minimum_ttl, LIMITS.dns_positive))
        return Answer(name, kind, tuple(_record(kind, r) for r in found.rrset), True, canonical, secure, ttl)

    def _secure(self, flags: int) -> bool:
        return self._believed and bool(flags & dns.flags.AD)


def _negative_ttl(minimum: int, has_soa: bool) -> int:
    """RFC 2308 §5; without a SOA record nobody said how long "no" lasts."""
    return max(1, min(minimum, LIMITS.dns_negative)) if has_soa else LIMITS.dns_failure


def _record(kind: str, record: Any) -> Any:
    match kind:
        case "MX":
            return MX(record.preference, _name(record.exchange))
        case "CNAME" | "PTR" | "NS":
            return _name(record.target)
        case "TXT":
            return b"".join(record.strings)
        case "TLSA":
            return TLSA(record.usage, record.selector, record.mtype, record.cert)
    return str(record.to_text())


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _what_went_wrong(error: dns.resolver.NoNameservers) -> str:
    """The last server's trouble in a few words: `SERVFAIL`, `REFUSED`, or the exception's text."""
    errors = error.kwargs.get("errors") or []
    if not errors:
        return "no name server is configured"
    return str(errors[-1][3]) or type(errors[-1][3]).__name__
