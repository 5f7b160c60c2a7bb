"""How a host must be talked to: one value, made of what the DNS, MTA-STS, a route or the message itself say.

DANE goes before MTA-STS wherever it applies (RFC 8461 §2). A smart host has what its route says. `weaker` compares what
is spoken with what was spoken before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daemon.trust import dane, mta_sts

Level = Literal["none", "opportunistic", "required", "dane", "mta-sts", "starttls", "implicit"]
Source = Literal["default", "route", "dane", "mta-sts", "message"]
_REPORTED = 4000  # characters of a policy that go into a report row


@dataclass(frozen=True, slots=True)
class Policy:
    """What one host is held to.

    `level`: none (in the clear), opportunistic, required (TLS, whatever the certificate), dane and mta-sts (TLS with
    that proof), starttls and implicit (a route's: with a certificate that a known root stands behind). `source` is who
    says so, `reason` a word more. `forbidden`: why the host is not to be talked to at all. `failure`: RFC 8460's word
    for a policy that could not be had.
    """

    level: Level = "opportunistic"
    source: Source = "default"
    reason: str = ""
    forbidden: str = ""
    records: dane.Records | None = None
    sts: mta_sts.Policy | None = None
    domain: str = ""
    proven_name: bool = False  # DNSSEC, an MTA-STS policy or our own administrator vouches for the host's name
    failure: str = ""

    @property
    def is_opportunistic(self) -> bool:
        """Whether the clear is better than nothing here."""
        return self.level == "opportunistic"

    @property
    def name(self) -> str:
        """For trace and memory: dane, dane-unusable, mta-sts, mta-sts-testing, route, tls-required-no; '' for none."""
        match self.source:
            case "default":
                return ""
            case "message":
                return "tls-required-no"
            case "route":
                return "route"
        return f"{self.source}-{self.reason}" if self.reason else self.source

    @property
    def kind(self) -> str:
        """RFC 8460 §4.4: tlsa, sts or no-policy-found."""
        return "tlsa" if self.records is not None else "sts" if self.sts is not None else "no-policy-found"

    @property
    def text(self) -> str:
        """The policy's lines, as a report shows them."""
        if self.records is not None:
            lines = [f"{r.usage} {r.selector} {r.matching} {r.data.hex()}" for r in self.records.all]
        else:
            lines = self.sts.lines() if self.sts is not None else []
        while len("\n".join(lines)) > _REPORTED:
            lines.pop()
        return "\n".join(lines)


def of_route(tls: Level) -> Policy:
    """A smart host, which the administrator named."""
    return Policy(tls, "route", proven_name=True)


TLS_REQUIRED_NO = Policy("opportunistic", "message", "tls-required-no")
"""For a message whose sender would rather have it read by others than not delivered (RFC 8689 §5)."""


def of_host(
    domain: str,
    host: str,
    *,
    records: dane.Records | None = None,
    sts: mta_sts.Policy | None = None,
    mx_secure: bool = False,
    failure: str = "",
) -> Policy:
    """An MX host of a domain, by what was found out about both."""
    if records is not None:
        if records.usable:
            return Policy("dane", "dane", records=records, domain=domain, proven_name=True)
        return Policy("required", "dane", "unusable", records=records, domain=domain, proven_name=True)
    if sts is None or sts.mode == "none":
        return Policy(domain=domain, proven_name=mx_secure, failure=failure)
    admitted = sts.admits(host)
    if sts.mode == "testing":
        return Policy("opportunistic", "mta-sts", "testing", sts=sts, domain=domain, proven_name=admitted or mx_secure)
    words = "" if admitted else f"the MTA-STS policy of {domain} does not name {host}"
    return Policy("mta-sts", "mta-sts", "", words, sts=sts, domain=domain, proven_name=admitted)


# -- memory ------------------------------------------------------------------------------------------------------------

STRENGTHS = ("in clear text", "over TLS", "over TLS with a verified certificate")


def strength(tls: str, verified: bool) -> int:
    """How well what was spoken kept others out: a place in `STRENGTHS`."""
    return 0 if tls in ("", "none") else 2 if verified else 1


def weaker(before: int, now: int) -> str:
    """What to tell when a destination spoke better than it does; '' when it did not."""
    return "" if now >= before else f"mail went {STRENGTHS[before]} before, and goes {STRENGTHS[now]} now"
