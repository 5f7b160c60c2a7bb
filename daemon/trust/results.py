"""What the checks say: one value for each, with the words of RFC 8601 section 2.7."""

from __future__ import annotations

from typing import Literal, NamedTuple

Word = Literal["none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"]


class IPRev(NamedTuple):
    """RFC 8601 §3: the address has a name that leads back to it. `name` is that name, '' unless `pass`."""

    result: Word
    name: str = ""
    reason: str = ""


class SPF(NamedTuple):
    """RFC 7208: `domain` is the one that was asked (of MAIL FROM, or of HELO where `identity` is helo).

    `mechanism` is the term that decided (`ip4:192.0.2.0/24`, `-all`), `explanation` the domain's own words for a fail,
    `reason` ours for an error.
    """

    result: Word
    domain: str = ""
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    mechanism: str = ""
    explanation: str = ""
    reason: str = ""


class Signature(NamedTuple):
    """RFC 6376: one DKIM-Signature field. `domain` (d=), `selector` (s=), `identity` (i=), `algorithm` (a=, as
    `rsa-sha256`), `bits` of an RSA key, `start` the first characters of b= (RFC 6008), `testing` for t=y in the key."""

    result: Word
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    bits: int = 0
    start: str = ""
    testing: bool = False
    reason: str = ""


class ARC(NamedTuple):
    """RFC 8617: the whole chain. `sealers` are the d= of the seals, oldest first; `oldest_pass` as §5.2 defines."""

    result: Word
    sealers: tuple[str, ...] = ()
    oldest_pass: int = 0
    reason: str = ""


class DMARC(NamedTuple):
    """RFC 9989. `domain` is that of From, `policy_domain` where the record was found, `policy` what it asks for this
    message (none, quarantine, reject) after `np`, `sp` and `t`. `record` is as published.

    `spf_aligned` and `dkim_aligned`: which proofs were for the author's domain.
    """

    result: Word
    domain: str = ""
    policy_domain: str = ""
    policy: Literal["", "none", "quarantine", "reject"] = ""
    spf_aligned: bool = False
    dkim_aligned: bool = False
    record: str = ""
    reason: str = ""


class Signals(NamedTuple):
    """Everything that was found out about one message."""

    iprev: IPRev = IPRev("none")
    helo: SPF = SPF("none", identity="helo")
    spf: SPF = SPF("none")
    signatures: tuple[Signature, ...] = ()
    arc: ARC = ARC("none")
    dmarc: DMARC = DMARC("none")
