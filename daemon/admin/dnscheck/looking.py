"""What the checks of a domain share: whom to ask, what they found, and the short list of what can be found.

`BREAKS` is that list: a reason, and what it breaks. A finding is never without one of its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.admin.dnsrecords import Record, Wishes
from daemon.resolver import Answer, Resolver, TemporaryDNSError

_NOT_OURS = "receivers cannot tell its mail from forged mail: it goes to spam or is refused"
_NO_MAIL = "other servers cannot deliver mail for the domain"
_NO_SPF = "receivers count an error as no SPF at all: mail goes to spam or is refused"
_NO_DKIM = "signatures of this server do not verify: mail goes to spam, or is refused under a DMARC policy"
_NO_DMARC = "receivers act as if there were no DMARC: anybody may forge the domain, and large providers junk its mail"
_NO_DANE = "senders that check DANE deliver nothing to this server"
_NO_STS = "nobody learns that mail to the domain must come over verified TLS"
_UNSEEN = "what a check does not see, it cannot judge"

BREAKS = {
    "dns-failed": _UNSEEN,
    "hostname-private": "other servers refuse a HELO that does not exist in the DNS",
    "host-missing": "nobody can connect to this server, and it has no name when it sends",
    "host-private": "nobody outside can connect to this server",
    "host-elsewhere": "mail goes to another machine",
    "ptr-missing": "many servers refuse mail from an address without a name, Gmail and Microsoft among them",
    "ptr-differs": "many servers refuse or junk mail from an address whose name is not the one in HELO",
    "blocklist-listed": "servers that ask this list refuse or junk its mail",
    "blocklist-failed": "whether the address is listed there, is not known",
    "domain-missing": _NO_MAIL,
    "mx-missing": "mail is delivered to the domain's own address, if at all",
    "mx-null": _NO_MAIL,
    "mx-elsewhere": "mail for the domain does not reach this server",
    "mx-not-first": "mail comes here only when the others do not answer",
    "mx-cname": "RFC 5321 §5.1 forbids it: some servers do not deliver",
    "mx-no-address": "servers that try this one wait in vain, or give up",
    "spf-missing": _NOT_OURS,
    "spf-several": _NO_SPF,
    "spf-syntax": _NO_SPF,
    "spf-include": _NO_SPF,
    "spf-lookups": _NO_SPF,
    "spf-void": _NO_SPF,
    "spf-not-us": "mail from this server fails SPF: it goes to spam or is refused",
    "spf-open": "anybody may send as the domain, and spammers look for such domains",
    "spf-weak": "it forbids nobody to send as the domain",
    "spf-helo-missing": "bounces of this server, which have no other sender, prove nothing",
    "dkim-unsigned": "mail without a signature is junked by large providers, and fails DMARC when it is forwarded",
    "dkim-missing": _NO_DKIM,
    "dkim-several": _NO_DKIM,
    "dkim-differs": _NO_DKIM,
    "dkim-revoked": _NO_DKIM,
    "dmarc-missing": _NO_DMARC,
    "dmarc-several": _NO_DMARC,
    "dmarc-syntax": _NO_DMARC,
    "dmarc-unaligned": "none of the domain's mail can pass: receivers treat it as the policy says of forged mail",
    "dmarc-reports-refused": "reports do not come: their receiver has not said that it wants them (RFC 9990 §4)",
    "dmarc-no-reports": "nobody tells who sends as the domain and what fails",
    "dmarc-asks-nothing": "mail that forges the domain is delivered",
    "mta-sts-missing": _NO_STS,
    "mta-sts-several": _NO_STS,
    "mta-sts-syntax": _NO_STS,
    "mta-sts-unreachable": _NO_STS,
    "mta-sts-no-policy": "senders cannot get the policy: those who know an old one keep to it, and may deliver nothing",
    "mta-sts-mx": "senders that keep to the policy deliver nothing to a host that it does not name",
    "tls-reports-missing": "nobody tells when other servers cannot send to us over TLS",
    "tls-reports-several": "nobody tells when other servers cannot send to us over TLS",
    "tls-reports-syntax": "nobody tells when other servers cannot send to us over TLS",
    "tlsa-missing": "senders that know DANE fall back to TLS that anybody on the way can switch off",
    "tlsa-differs": _NO_DANE,
    "tlsa-next-missing": "a change of the certificate's key would stop all senders that check DANE",
    "tlsa-unsigned": "nobody may believe TLSA without DNSSEC: there is no DANE",
    "tlsa-not-validated": _UNSEEN,
    "caa-forbids": "the authority must refuse the next certificate: it is not renewed",
    "srv-missing": "mail programs must be told the server by hand",
    "srv-differs": "mail programs look for the server in the wrong place",
    "autoconfig-missing": "mail programs must be told the server by hand",
    "ns-missing": "who asks this server gets no answer",
    "ns-silent": "one question in so many is answered late or not at all",
    "ns-lame": "one question in so many is answered late or not at all",
    "ns-disagree": "what others see depends on whom they ask: faults come and go",
    "ns-not-yet": "others may see what was there before until it is forgotten",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, info, warning or error; `reason` one of `BREAKS`, or one that ends in -found when all is well.

    `text`: what is so. `breaks`: what comes of it. `record`: what to publish instead, as in a zone file.
    """

    level: str
    reason: str
    subject: str
    text: str
    record: str | None = None
    breaks: str | None = None


@dataclass
class Looking:
    """One look at a domain, or a part of one: `again` begins another that may go on beside it."""

    resolver: Resolver
    wanted: Wishes
    found: list[Finding] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)  # of this server, as the DNS says
    heard: bool = False  # a name server has answered something
    deaf: bool = False  # the first question was in vain: the others would cost a time-out each

    def again(self) -> Looking:
        return Looking(self.resolver, self.wanted, [], self.addresses, self.heard, self.deaf)

    def good(self, reason: str, subject: str, text: str) -> None:
        self.found.append(Finding("ok", reason, subject, text))

    def say(self, level: str, reason: str, subject: str, text: str, record: Record | str | None = None) -> None:
        self.found.append(
            Finding(level, reason, subject, text, None if record is None else str(record), BREAKS[reason])
        )

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

    async def addresses_of(self, name: str) -> list[str] | None:
        answers = [await self.ask(name, kind) for kind in ("A", "AAAA")]
        if None in answers:
            return None
        return [str(record) for answer in answers if answer for record in answer.records]

    async def texts(self, name: str, start: str = "") -> list[str] | None:
        """The TXT records at a name that begin like that; None when nobody could tell."""
        answer = await self.ask(name, "TXT")
        if answer is None:
            return None
        found = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
        return [t for t in found if t.lower() == start or t.lower().startswith((start + " ", start + ";")) or not start]


def tags(text: str) -> dict[str, str] | None:
    """`a=b; c=d` as a dict with lower-case names (DKIM, DMARC, MTA-STS, TLS-RPT all write so); None when it is not."""
    found: dict[str, str] = {}
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if not piece.strip():
            continue
        if not equals or not name.replace("_", "").isalnum() or name in found:
            return None
        found[name] = value.strip()
    return found


def several(names: Iterable[str]) -> str:
    return ", ".join(names)
