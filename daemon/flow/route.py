"""Which hosts take mail for a destination, in the order to try them (RFC 5321 §5.1).

A smart host if a route says so; else the MX hosts, equal preferences shuffled; without MX the domain itself; a literal
itself. Never ourselves: where an MX is this server, it and those it prefers less are left out, or mail would go round.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from daemon.config import HostPort
from daemon.limits import LIMITS
from daemon.resolver import MX, Answer, Resolver, TemporaryDNSError
from daemon.store.routes import Route

_ANY = ("", "*", "0.0.0.0", "::")


class Unroutable(Exception):
    """No host takes mail for it, and no later try will help: `code`, `enhanced` and words for the notice."""

    def __init__(self, reason: str, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = code
        self.enhanced = enhanced
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


@dataclass(frozen=True, slots=True)
class Host:
    """One host to try: its addresses in order, IPv6 and IPv4 in turn. `trouble` says why there are none just now.

    `tls` is none, opportunistic, starttls (required) or implicit. `name` is whom the certificate must be for.

    Of an MX host: `domain` is the recipients', `canonical` the name behind the host's CNAMEs, `also` what the domain is
    an alias of; `mx_secure` and `secure` say that DNSSEC proves the MX records and the addresses.
    """

    name: str
    port: int
    addresses: tuple[str, ...]
    tls: str = "opportunistic"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    trouble: str = ""
    domain: str = ""
    canonical: str = ""
    also: str = ""
    mx_secure: bool = False
    secure: bool = False


def is_ours(address: str) -> bool:
    """Whether an IP address is this machine's: whether a socket may be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Ourselves:
    """How this server knows itself: its name, and where it listens for mail (a listener without a host listens on
    every address of the machine; `local` tells which those are)."""

    hostname: str
    listeners: tuple[HostPort, ...] = (HostPort("", 25),)
    local: Callable[[str], bool] = field(default=lru_cache(4096)(is_ours))

    def is_name(self, name: str, port: int) -> bool:
        return name == self.hostname and any(listener.port == port for listener in self.listeners)

    def is_address(self, address: str, port: int) -> bool:
        return any(
            listener.port == port and (listener.host == address or listener.host in _ANY and self.local(address))
            for listener in self.listeners
        )


class Router:
    """Answers `hosts`. `port` is that of other servers, 25 but in tests."""

    def __init__(
        self, resolver: Resolver, ourselves: Ourselves, *, port: int = 25, chance: random.Random | None = None
    ) -> None:
        self.resolver = resolver
        self.ourselves = ourselves
        self.port = port
        self._chance = chance or random.Random()

    async def hosts(self, domain: str, route: Route | None) -> list[Host]:
        """Hosts for a recipient's domain (A-labels or a literal) or for a route, the first to be tried first.

        Raises `Unroutable`, or `TemporaryDNSError` when the DNS could not tell.
        """
        if route is not None:
            return await self._smart_host(route)
        if domain.startswith("["):
            inner = domain[1:-1]
            address = inner[5:] if inner[:5].lower() == "ipv6:" else inner  # a destination's name is in lower case
            if self.ourselves.is_address(address, self.port):
                raise self._loop(domain)
            return [Host(f"[{address}]", self.port, (address,))]
        answer = await self.resolver.ask(domain, "MX")
        found = self._mail_exchangers(domain, answer)
        answers = await asyncio.gather(*(self._host(mx.host, self.port) for mx in found))
        also = answer.canonical if answer.canonical != domain else ""
        return [
            replace(host, domain=domain, mx_secure=answer.secure, also=also)
            for host in self._usable(domain, list(zip(found, answers, strict=True)))
        ]

    def _mail_exchangers(self, domain: str, answer: Answer) -> list[MX]:
        if not answer.exists:
            raise Unroutable("no-such-domain", 550, "5.1.2", f"the domain {domain} does not exist")
        records: list[MX] = [mx for mx in answer.records if mx.host]
        if not records:
            if answer.records:  # RFC 7505 §3: a null MX
                raise Unroutable("null-mx", 556, "5.1.10", f"the domain {domain} takes no mail (null MX)")
            return [MX(0, domain)]  # RFC 5321 §5.1: the implicit MX
        self._chance.shuffle(records)  # equal preferences share the load
        records.sort(key=lambda mx: mx.preference)
        return records[: LIMITS.mx_hosts]

    def _usable(self, domain: str, hosts: list[tuple[MX, Host]]) -> list[Host]:
        """Without ourselves and what we prefer less than ourselves, and without hosts that do not exist."""
        ours = [
            mx.preference
            for mx, host in hosts
            if self.ourselves.is_name(mx.host, self.port)
            or any(self.ourselves.is_address(address, self.port) for address in host.addresses)
        ]
        if ours:
            hosts = [(mx, host) for mx, host in hosts if mx.preference < min(ours)]
            if not hosts:
                raise self._loop(domain)
        known = [host for _, host in hosts if host.addresses]
        unsure = [host for _, host in hosts if host.trouble]
        if known:
            return known
        if unsure:
            raise TemporaryDNSError(unsure[0].name, "A", unsure[0].trouble)
        names = ", ".join(mx.host for mx, _ in hosts[:3])
        raise Unroutable("no-host", 550, "5.4.4", f"no address for {names}: {domain} has no mail server")

    async def _smart_host(self, route: Route) -> list[Host]:
        found = await self._host(route.host, route.port)
        ours = self.ourselves.is_name(route.host, route.port)
        if ours or any(self.ourselves.is_address(address, route.port) for address in found.addresses):
            raise self._loop(route.host)
        if found.trouble and not found.addresses:
            raise TemporaryDNSError(route.host, "A", found.trouble)
        if not found.addresses:
            raise TemporaryDNSError(route.host, "A", "the smart host has no address")  # ours to mend: no bounces
        return [Host(found.name, found.port, found.addresses, route.tls, route.username, route.password)]

    def _loop(self, domain: str) -> Unroutable:
        return Unroutable(
            "loop", 550, "5.4.6",
            f"mail for {domain} would come back to this server: its DNS names {self.ourselves.hostname},"
            " where it is not a domain",
        )  # fmt: skip

    async def _host(self, name: str, port: int) -> Host:
        """A host with its addresses; one whose name does not exist has none, and no `trouble`."""
        with contextlib.suppress(ValueError):
            return Host(name, port, (str(ipaddress.ip_address(name)),))
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
            return Host(name, port, ("127.0.0.1",))
        answers = await asyncio.gather(
            self.resolver.ask(name, "AAAA"), self.resolver.ask(name, "A"), return_exceptions=True
        )
        trouble, canonical = "", ""
        secure: list[bool] = []
        lists: list[Sequence[str]] = []
        for answer in answers:
            if isinstance(answer, Answer):
                lists.append([address for address in answer.records if _is_reachable(address)])
                canonical = answer.canonical if answer.canonical != name else ""
                secure.append(answer.secure)
            elif isinstance(answer, TemporaryDNSError):
                lists.append([])
                trouble = answer.reason
            else:
                raise answer
        addresses = _in_turn(*lists)[: LIMITS.mx_addresses]
        proven = bool(secure) and all(secure)
        return Host(name, port, addresses, trouble=trouble, canonical=canonical, secure=proven)


def _in_turn(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """IPv6 and IPv4 alternating, so that one dead family costs one step (RFC 8305 §4)."""
    found = []
    for place in range(max(len(first), len(second))):
        found += [*first[place : place + 1], *second[place : place + 1]]
    return tuple(found)


def _is_reachable(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return not (ip.is_unspecified or ip.is_multicast or ip == ipaddress.ip_address("255.255.255.255"))
