"""May this address send for that domain? `check_host` of RFC 7208, with every limit of its section 4.6.4.

The record is somebody else's program, and it runs here: each term that asks the DNS is paid for out of one budget,
whatever it includes or redirects to, and the whole has a time limit. Wrong records are `permerror`, open questions
`temperror`; the caller never sees an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.trust import spf_macros, spf_record
from daemon.trust.iprev import IPAddress, names_of, number, read_ip
from daemon.trust.results import SPF, Word
from daemon.trust.spf_macros import BadSyntax, MacroString
from daemon.trust.spf_record import Mechanism


class _Permanent(Exception):
    """The record cannot be followed: permerror, with the reason."""


class _Decided(NamedTuple):
    result: Word
    mechanism: str = ""
    exp: MacroString = ()  # of the record that decided
    domain: str = ""


async def check_host(
    resolver: Resolver,
    ip: str,
    helo: str,
    sender: str,
    *,
    now: float,
    receiver: str,
    patience: float = LIMITS.spf_patience,
) -> SPF:
    """The domain's answer to `sender` (MAIL FROM without brackets) coming from `ip`.

    With `sender` empty the name of HELO is asked instead (RFC 7208 §2.4). `now` and `receiver` (our host name) are what
    explanations may tell; `patience` in seconds is for all of it. Raises nothing for what it was given.
    """
    answer = functools.partial(SPF, identity="mailfrom" if sender else "helo")
    address = read_ip(ip)
    if address is None:
        return answer("none", reason="not an IP address")
    local, domain = _split(sender) if sender else ("postmaster", _a_labels(helo))
    if not domain or len(sender) > LIMITS.smtp_address:
        return answer("none", reason="not a domain that can have a record")  # RFC 7208 §4.3
    check = _Check(resolver, address, helo, local, domain, now, receiver)
    answer = functools.partial(answer, domain=domain)
    deadline = asyncio.get_running_loop().time() + patience
    try:
        async with asyncio.timeout_at(deadline):
            decided = await check.evaluate(domain)
    except TimeoutError:
        return answer("temperror", reason=f"no answer within {patience:g} s")
    except TemporaryDNSError as error:
        return answer("temperror", reason=str(error))
    except _Permanent as error:
        return answer("permerror", reason=str(error))
    explanation = ""
    if decided.result == "fail" and decided.exp:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                explanation = await check.explain(decided)
    return answer(decided.result, mechanism=spf_record.printable(decided.mechanism), explanation=explanation)


def _split(sender: str) -> tuple[str, str]:
    """Local part as its owner writes it, and domain, '' when it can have no record."""
    local, _, domain = sender.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local or "postmaster", _a_labels(domain)  # RFC 7208 §4.3


def _a_labels(text: str) -> str:
    try:
        domain = normal_domain(text)
    except BadAddress:
        return ""
    return domain if "." in domain and domain[0] != "[" else ""


class _Check:
    """One question on its way through the records: who asks, and what may still be spent."""

    def __init__(
        self, resolver: Resolver, ip: IPAddress, helo: str, local: str, domain: str, now: float, receiver: str
    ) -> None:
        self.resolver = resolver
        self.ip = ip
        self.kind = "A" if ip.version == 4 else "AAAA"
        self.helo = helo
        self.local = local
        self.domain = domain
        self.now = now
        self.receiver = receiver
        self.terms = 0  # that asked the DNS
        self.voids = 0  # of their questions, those without an answer
        self.names: tuple[str, ...] | None = None

    @functools.cached_property
    def values(self) -> dict[str, str]:
        """What macros stand for (§7.2), but for those that depend on where they are written."""
        ip, v4 = self.ip, self.ip.version == 4
        return {
            "s": f"{self.local}@{self.domain}", "l": self.local, "o": self.domain,
            "i": str(ip) if v4 else ".".join(f"{int(ip):032X}"), "c": str(ip), "v": "in-addr" if v4 else "ip6",
            "h": _a_labels(self.helo) or self.helo, "r": self.receiver or "unknown", "t": str(int(self.now)),
        }  # fmt: skip

    async def evaluate(self, domain: str) -> _Decided:
        """RFC 7208 §4.4 to §4.7. Raises `_Permanent` and `TemporaryDNSError`."""
        try:
            text = spf_record.select(await self.ask(domain, "TXT"))
            if text is None:
                return _Decided("none")
            record = spf_record.parse(text)
        except BadSyntax as error:
            raise _Permanent(f"{domain}: {error}") from error
        for mechanism in record.mechanisms:
            if await self.matches(mechanism, domain):
                return _Decided(mechanism.result, mechanism.text, record.exp, domain)
        if not record.redirect:
            return _Decided("neutral")
        self.pay()
        return await self.follow(record.redirect, domain, "redirect")

    async def follow(self, string: MacroString, domain: str, how: str) -> _Decided:
        """What another domain's record says; there must be one (§5.2, §6.1)."""
        target = await self.target(string, domain)
        decided = await self.evaluate(target) if target else _Decided("none")
        if decided.result == "none":
            raise _Permanent(f"{domain}: {how} of {target or 'an impossible name'}, which has no SPF record")
        return decided

    async def matches(self, mechanism: Mechanism, domain: str) -> bool:
        """RFC 7208 §5."""
        match mechanism.name:
            case "all":
                return True
            case "ip4":
                return self.ip.version == 4 and self.near([mechanism.address], mechanism)
            case "ip6":
                return self.ip.version == 6 and self.near([mechanism.address], mechanism)
        self.pay()
        if not self.local.isascii() and spf_macros.letters(mechanism.domain) & {"l", "s"}:
            return False  # RFC 8616 §4
        if mechanism.name == "include":
            return (await self.follow(mechanism.domain, domain, "include")).result == "pass"
        target = await self.target(mechanism.domain, domain) if mechanism.domain else domain
        if not target:
            return False
        match mechanism.name:
            case "a":
                return self.near(map(number, await self.find(target, self.kind)), mechanism)
            case "mx":
                return await self.mx(target, mechanism)
            case "ptr":
                return any(_below(name, target.lower()) for name in await self.confirmed())
            case _:
                return bool(await self.find(target, "A"))  # exists, "even when the connection type is IPv6" (§5.7)

    async def mx(self, target: str, mechanism: Mechanism) -> bool:
        hosts = await self.find(target, "MX")
        if len(hosts) > LIMITS.spf_mx_names:
            raise _Permanent(f"{target}: more than {LIMITS.spf_mx_names} MX records")
        for mx in hosts:
            if mx.host and self.near(map(number, (await self.resolver.ask(mx.host, self.kind)).records), mechanism):
                return True
        return False

    def near(self, addresses: Iterable[int], mechanism: Mechanism) -> bool:
        """Whether one of them shares the bits that count."""
        shift = 32 - mechanism.prefix4 if self.ip.version == 4 else 128 - mechanism.prefix6
        wanted = int(self.ip) >> shift
        return any(address >> shift == wanted for address in addresses)

    def pay(self) -> None:
        """For a term that asks the DNS (§4.6.4)."""
        self.terms += 1
        if self.terms > LIMITS.spf_terms:
            raise _Permanent(f"more than {LIMITS.spf_terms} terms that ask the DNS")

    async def find(self, name: str, kind: str) -> tuple[Any, ...]:
        """What a term's name has; too many terms may not ask in vain (§4.6.4). Only the names in terms count, not the
        hosts behind an MX: that mail servers have no IPv6 is no mistake of a record."""
        records = await self.ask(name, kind)
        self.voids += not records
        if self.voids > LIMITS.spf_voids:
            raise _Permanent(f"{name}: more than {LIMITS.spf_voids} questions without an answer")
        return records

    async def ask(self, name: str, kind: str) -> tuple[Any, ...]:
        """Of a name out of a record: the resolver reads names as zone files write them."""
        return (await self.resolver.ask(name.replace("\\", "\\\\"), kind)).records

    async def confirmed(self) -> tuple[str, ...]:
        """The client's own names, looked up once. What the client did wrong there is not held against the domain
        (§5.5: errors make no match), nor is it void."""
        if self.names is None:
            self.names = (await names_of(self.resolver, self.ip)).confirmed
        return self.names

    async def target(self, string: MacroString, domain: str) -> str:
        """The name a term asks for, '' if there can be none."""
        return spf_macros.target_name(await self.expand(string, domain))

    async def expand(self, string: MacroString, domain: str) -> str:
        values = self.values | {"d": domain}
        if "p" in spf_macros.letters(string):
            names = await self.confirmed()
            below = [name for name in names if _below(name, domain.lower())]
            exact = [name for name in below if name == domain.lower()]
            values["p"] = next(iter([*exact, *below, *names]), "unknown")  # §7.3
        return spf_macros.expand(string, values)

    async def explain(self, decided: _Decided) -> str:
        """The domain's own words for a fail, '' if anything is wrong with them (§6.2)."""
        try:
            target = await self.target(decided.exp, decided.domain)
            texts = await self.ask(target, "TXT") if target else ()
            if len(texts) != 1 or len(texts[0]) > LIMITS.spf_words:
                return ""
            text = await self.expand(spf_macros.explain_string(texts[0].decode("ascii")), decided.domain)
        except (TemporaryDNSError, BadSyntax, UnicodeDecodeError):
            return ""
        return text if text.isascii() and text.isprintable() and len(text) <= LIMITS.spf_words else ""


def _below(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)
