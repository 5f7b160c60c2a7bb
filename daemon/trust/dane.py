"""DANE for SMTP (RFC 7671, RFC 7672): which TLSA records speak for a host, and whether what it shows fits them.

Only what DNSSEC proves counts: the MX records, the host's addresses and the TLSA records must all be validated
(`Answer.secure`). Where one is not, DANE says nothing. Where nobody could tell (SERVFAIL, bogus), `TemporaryDNSError`
goes up: such a host is left alone for now, for an attacker would bring that about first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from daemon.limits import LIMITS
from daemon.resolver import TLSA, Resolver, TemporaryDNSError
from daemon.trust import certificates
from daemon.trust.certificates import PublicKey

TA, EE = 2, 3  # RFC 7671 §2.1: usages; 0 and 1 mean roots that SMTP has not (RFC 7672 §3.1.3)
CERTIFICATE, KEY = 0, 1  # selectors
_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Records:
    """The TLSA records of a host. `base` is the name they were found at, which is also the name to ask for (SNI).

    `names` are those that a certificate under a trust anchor may be for. `usable` may be empty: then TLS is a must,
    and nothing can be said of the certificate (RFC 7672 §2.2). `all` are as published, for reports.
    """

    base: str
    port: int
    names: tuple[str, ...]
    usable: tuple[TLSA, ...]
    all: tuple[TLSA, ...]

    @property
    def owner(self) -> str:
        return f"_{self.port}._tcp.{self.base}"


async def look_up(
    resolver: Resolver,
    host: str,
    port: int,
    *,
    canonical: str = "",
    secure: bool,
    also: Sequence[str] = (),
) -> Records | None:
    """The TLSA records that hold for an MX host whose MX records were validated; None when there are none.

    `canonical` and `secure` are of the host's address records; `also` are further names its certificate may have: the
    next-hop domain, and what that is an alias of. Raises `TemporaryDNSError`.
    """
    bases = [canonical, host] if canonical and canonical != host else [host]
    if not secure:
        if len(bases) == 1:
            return None  # RFC 7672 §2.2.2: no question to servers of unsigned zones, of which many drop it
        alias = await resolver.ask(host, "CNAME")
        if not alias.secure or not alias.records:
            return None
        bases = [host]
    for base in bases:
        answer = await resolver.ask(f"_{port}._tcp.{base}", "TLSA")
        if not answer.secure or not answer.records:
            continue
        if len(answer.records) > LIMITS.tlsa_records:
            raise TemporaryDNSError(answer.name, "TLSA", f"more than {LIMITS.tlsa_records} records")
        names = tuple(dict.fromkeys(name for name in (base, host, *also) if name))
        return Records(base, port, names, usable(answer.records), answer.records)
    return None


def usable(records: Sequence[TLSA]) -> tuple[TLSA, ...]:
    """Those that can be used for SMTP; of one key's or certificate's digests only the strongest (RFC 7671 §9)."""
    good = [r for r in records if r.usage in (TA, EE) and r.selector in (CERTIFICATE, KEY) and _well_formed(r)]
    best: dict[tuple[int, int], int] = {}
    for r in good:
        best[r.usage, r.selector] = max(best.get((r.usage, r.selector), 0), r.matching)
    return tuple(r for r in good if r.matching in (0, best[r.usage, r.selector]))


def _well_formed(record: TLSA) -> bool:
    if record.matching in _LENGTHS:
        return len(record.data) == _LENGTHS[record.matching]
    if record.matching != 0:
        return False
    try:
        _read(record)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _read(record: TLSA) -> x509.Certificate | PublicKey:
    """What a record with matching type 0 holds in full."""
    if record.selector == CERTIFICATE:
        return x509.load_der_x509_certificate(record.data)
    return load_der_public_key(record.data)  # type: ignore[return-value]


class Verdict(NamedTuple):
    """`proof` says which record fits (`3 1 1`). `failure` is RFC 8460's word for what is wrong, '' when nothing is;
    `words` say it to people."""

    proof: str = ""
    failure: str = ""
    words: str = ""


def judge(records: Records, shown: Sequence[x509.Certificate], now: datetime) -> Verdict:
    """Whether the chain a host shows, its own certificate first, is one that its TLSA records name."""
    if not records.usable:
        return Verdict()
    if not shown:
        return Verdict("", "validation-failure", "no certificate was shown")
    leaf, *others = (_Shown(one) for one in shown[: LIMITS.tls_chain])
    for record in records.usable:
        if record.usage == EE and leaf.fits(record):  # RFC 7672 §3.1.1: neither name nor time is looked at
            return Verdict(_numbers(record))
    return _under_anchor(records, leaf, others, now)


def _under_anchor(records: Records, leaf: _Shown, others: Sequence[_Shown], now: datetime) -> Verdict:
    proof, anchors, keys = "", list[x509.Certificate](), list[PublicKey]()
    for record in records.usable:
        if record.usage != TA:
            continue
        found = [one.certificate for one in others if one.fits(record)]
        if record.matching == 0 and not found:  # RFC 7672 §3.1.2: it need not be in the chain
            whole = _read(record)
            if isinstance(whole, x509.Certificate):
                found = [whole]
            else:
                keys.append(whole)
                proof = proof or _numbers(record)
        anchors += found
        proof = proof or (_numbers(record) if found else "")
    what = f"the certificate of {records.base}"
    if not proof:
        return Verdict("", "validation-failure", f"{what} is none that the TLSA records of {records.owner} name")
    certificate = leaf.certificate
    if not certificates.in_time(certificate, now):
        return Verdict("", "certificate-expired", f"{what} is not valid now")
    if not certificates.is_for(certificate, records.names, common_name=True):
        return Verdict("", "certificate-host-mismatch", f"{what} is for other names")
    if not certificates.leads_to(certificate, [one.certificate for one in others], anchors, keys, now):
        return Verdict("", "certificate-not-trusted", f"{what} does not lead to the anchor that TLSA {proof} names")
    return Verdict(proof)


def _numbers(record: TLSA) -> str:
    return f"{record.usage} {record.selector} {record.matching}"


class _Shown:
    """A certificate and what records may say of it, each worked out once."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self._known: dict[tuple[int, int], bytes] = {}

    def fits(self, record: TLSA) -> bool:
        return self._data(record.selector, record.matching) == record.data

    def _data(self, selector: int, matching: int) -> bytes:
        key = (selector, matching)
        if key not in self._known:
            if matching:
                self._known[key] = _DIGESTS[matching](self._data(selector, 0))
            elif selector == CERTIFICATE:
                self._known[key] = self.certificate.public_bytes(Encoding.DER)
            else:
                self._known[key] = _key_of(self.certificate)
        return self._known[key]


def _key_of(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo as DER; empty, which fits nothing, for a key of a kind unknown here."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return b""
