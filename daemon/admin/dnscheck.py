"""What is published for a domain, compared with what should be: findings, each with its remedy.

A question that nobody could answer is a finding of its own (`dns-failed`), never a missing record.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.admin import dnsrecords
from daemon.admin.dnsrecords import Record, Wishes
from daemon.resolver import DNS, MX, Answer, Resolver, TemporaryDNSError, reverse_name
from daemon.store.db import Store

_SPF_LOOKUPS = 10  # RFC 7208 §4.6.4


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, info, warning or error; `reason` from a short list; `record` what to publish, as a zone file."""

    level: str
    reason: str
    subject: str
    text: str
    record: str | None = None


def check(store: Store, domain: str, addresses: Sequence[str] = ()) -> list[Finding]:
    """Ask the DNS about a domain of ours. Raises `Missing`, `BadData`."""
    wanted = dnsrecords.wishes(store, domain, addresses)
    return asyncio.run(findings(DNS(wanted.config["dns.servers"]), wanted))


async def findings(resolver: Resolver, wanted: Wishes) -> list[Finding]:
    """Everything there is to say, in the order an administrator would put it right."""
    looking = _Looking(resolver, wanted)
    looking.hostname()
    await looking.host()
    await looking.mx()
    await looking.spf()
    await looking.dmarc()
    await looking.services()
    return looking.found


@dataclass
class _Looking:
    resolver: Resolver
    wanted: Wishes
    found: list[Finding] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)  # of this server, as the DNS says
    heard: bool = False  # a name server has answered something
    deaf: bool = False  # the first question was in vain: the others would cost a time-out each

    @property
    def name(self) -> str:
        return str(self.wanted.config["hostname"])

    def say(self, level: str, reason: str, subject: str, text: str, record: Record | str | None = None) -> None:
        self.found.append(Finding(level, reason, subject, text, None if record is None else str(record)))

    async def ask(self, name: str, kind: str) -> Answer | None:
        """None when nobody could tell; that is said."""
        if self.deaf:
            return None
        try:
            answer = await self.resolver.ask(name, kind)
            self.heard = True
            return answer
        except TemporaryDNSError as error:
            self.deaf = not self.heard
            self.say("error", "dns-failed", name, f"the name servers cannot say its {kind} now: {error.reason}")
            return None

    def hostname(self) -> None:
        if "." not in self.name or self.name.endswith((".localdomain", ".local")):
            self.say(
                "error", "hostname-private", self.name,
                "this is no name the world can look up; set one: `mailctl config set hostname mail.example.org`",
            )  # fmt: skip

    async def host(self) -> None:
        """Address records, and the way back."""
        answers = [await self.ask(self.name, kind) for kind in ("A", "AAAA")]
        if None in answers:
            return
        self.addresses = [str(a) for answer in answers if answer for a in answer.records]
        if not self.addresses:
            record = next((r for r in dnsrecords.records(self.wanted) if r.type in ("A", "AAAA")), None)
            hint = record or f"{self.name}. {dnsrecords.TTL} IN A <this server's address>"
            self.say("error", "host-missing", self.name, "this server's name has no address", hint)
            return
        unreachable = [a for a in self.addresses if not ipaddress.ip_address(a).is_global]
        if unreachable:
            self.say("warning", "host-private", self.name, f"the world cannot reach {', '.join(unreachable)}")
        else:
            self.say("ok", "host-found", self.name, ", ".join(self.addresses))
        for address in self.addresses:
            await self.way_back(address)

    async def way_back(self, address: str) -> None:
        answer = await self.ask(reverse_name(address), "PTR")
        if answer is None:
            return
        if not answer.records:
            self.say(
                "warning", "ptr-missing", address,
                "no name in reverse DNS: many servers refuse its mail; ask whoever gave you the address to set it",
                f"{reverse_name(address)}. {dnsrecords.TTL} IN PTR {self.name}.",
            )  # fmt: skip
        elif self.name not in answer.records:
            self.say(
                "warning", "ptr-differs", address,
                f"reverse DNS calls it {answer.records[0]}, not {self.name}; ask whoever gave you the address",
                f"{reverse_name(address)}. {dnsrecords.TTL} IN PTR {self.name}.",
            )  # fmt: skip
        else:
            self.say("ok", "ptr-found", address, f"reverse DNS calls it {self.name}")

    async def mx(self) -> None:
        domain = self.wanted.domain
        answer = await self.ask(domain, "MX")
        if answer is None:
            return
        right = next(r for r in dnsrecords.records(self.wanted) if r.type == "MX")
        hosts = sorted(record for record in answer.records if isinstance(record, MX))
        if not answer.exists:
            self.say("error", "domain-missing", domain, "the domain is not in the DNS; register it, or wait for it")
        elif not hosts:
            self.say("error", "mx-missing", domain, "other servers do not know where its mail goes", right)
        elif any(not mx.host for mx in hosts):
            self.say("error", "mx-null", domain, "a null MX says that the domain takes no mail (RFC 7505)", right)
        elif self.name not in [mx.host for mx in hosts]:
            where = ", ".join(mx.host for mx in hosts)
            self.say("error", "mx-elsewhere", domain, f"mail goes to {where}, not to {self.name}", right)
        else:
            self.say("ok", "mx-found", domain, f"mail comes to {self.name}")
            if hosts[0].host != self.name:
                self.say("info", "mx-not-first", domain, f"{hosts[0].host} is tried before {self.name}")
            await self.alias(self.name)

    async def alias(self, host: str) -> None:
        answer = await self.ask(host, "CNAME")
        if answer is not None and answer.records:
            self.say(
                "warning", "mx-cname", host,
                f"an MX must not be an alias (RFC 5321 §5.1), but it is one of {answer.records[0]}",
            )  # fmt: skip

    async def texts(self, name: str, start: str) -> list[str] | None:
        """The TXT records at a name that begin like that."""
        answer = await self.ask(name, "TXT")
        if answer is None:
            return None
        found = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
        return [t for t in found if t.lower() == start or t.lower().startswith((start + " ", start + ";"))]

    async def spf(self) -> None:
        domain = self.wanted.domain
        right = dnsrecords.spf(domain, "")
        found = await self.texts(domain, "v=spf1")
        if found is None:
            return
        if not found:
            self.say(
                "error", "spf-missing", domain, "nothing says who may send for the domain: its mail is spam", right
            )
            return
        if len(found) > 1:
            self.say("error", "spf-several", domain, "several SPF records count as an error; keep one", right)
            return
        terms = found[0].lower().split()[1:]
        if "+all" in terms or "all" in terms:
            self.say("warning", "spf-open", domain, "+all lets the whole world send for the domain", right)
        elif not any(t in ("-all", "~all") or t.startswith("redirect=") for t in terms):
            self.say("warning", "spf-weak", domain, "it does not end in -all or ~all: it forbids nothing", right)
        if sum(t.lstrip("+-~?").partition(":")[0].partition("=")[0] in _ASKING for t in terms) > _SPF_LOOKUPS:
            self.say("error", "spf-lookups", domain, f"more than {_SPF_LOOKUPS} look-ups count as an error", right)
        await self.covered(domain, terms, right)

    async def covered(self, domain: str, terms: list[str], right: Record) -> None:
        """Whether the record names this server, as far as that can be said without following it elsewhere."""
        if not self.addresses:
            return
        left = []
        for address in self.addresses:
            if not await self._names(domain, terms, address):
                left.append(address)
        if not left:
            self.say("ok", "spf-found", domain, "it lets this server send for the domain")
        elif any(t.lstrip("+").startswith(("include:", "redirect=", "exists:")) for t in terms):
            self.say("info", "spf-includes", domain, f"whether it lets {', '.join(left)} send, its includes decide")
        else:
            self.say("error", "spf-not-us", domain, f"it does not let {', '.join(left)} send for the domain", right)

    async def _names(self, domain: str, terms: list[str], address: str) -> bool:
        for term in terms:
            if term[0] in "-~?":
                continue
            kind, _, rest = term.lstrip("+").partition(":")
            if kind in ("ip4", "ip6") and _inside(address, rest):
                return True
            base, _, _ = kind.partition("/")
            target = (rest or domain).partition("/")[0]
            if base == "a" and address in await self._addresses(target):
                return True
            if base == "mx":
                answer = await self.ask(target, "MX")
                hosts = [mx.host for mx in answer.records if isinstance(mx, MX)] if answer else []
                if any([address in await self._addresses(host) for host in hosts[:_SPF_LOOKUPS] if host]):
                    return True
        return False

    async def _addresses(self, name: str) -> list[str]:
        answers = [await self.ask(name, kind) for kind in ("A", "AAAA")]
        return [str(record) for answer in answers if answer for record in answer.records]

    async def dmarc(self) -> None:
        domain = self.wanted.domain
        right = dnsrecords.dmarc(domain)
        found = await self.texts(right.name, "v=dmarc1")
        if found is None:
            return
        if not found:
            self.say("warning", "dmarc-missing", domain, "large providers ask for a DMARC record", right)
        elif len(found) > 1:
            self.say("error", "dmarc-several", domain, "several DMARC records count as none; keep one", right)
        else:
            policy = [t.strip()[2:] for t in found[0].split(";") if t.strip().lower().startswith("p=")]
            self.say("ok", "dmarc-found", domain, f"policy {policy[0].strip() if policy else 'none'}")

    async def services(self) -> None:
        missing, wrong = [], []
        for record in dnsrecords.services(self.wanted.domain, self.wanted.config):
            answer = await self.ask(record.name, "SRV")
            if answer is None:
                return
            said = [str(r) for r in answer.records]
            if not said and record.data.endswith(" ."):
                continue
            if not said:
                missing.append(record)
            elif not any(r.split()[2:] == record.data.split()[2:] for r in said):
                wrong.append(record)
        for record in missing:
            self.say("info", "srv-missing", record.name, "mail programs must be told the server by hand", record)
        for record in wrong:
            self.say("warning", "srv-differs", record.name, "it does not lead to this server as it is set up", record)
        if not missing and not wrong:
            self.say("ok", "srv-found", self.wanted.domain, "mail programs find the server by themselves")


_ASKING = frozenset(("include", "a", "mx", "ptr", "exists", "redirect"))


def _inside(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except (ValueError, TypeError):
        return False
