"""What a certificate says, and whether a path leads from it to a trust anchor that is not a root of the web.

For DANE-TA (RFC 7671 §5.2): OpenSSL knows the anchor only before the handshake, and here it may be named by nothing but
a digest of what the peer will show. What is not understood here (a critical extension) is never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.oid import ExtensionOID as Ext

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
_UNREADABLE = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)
_UNDERSTOOD = (Ext.BASIC_CONSTRAINTS, Ext.KEY_USAGE, Ext.EXTENDED_KEY_USAGE, Ext.SUBJECT_ALTERNATIVE_NAME)


def names_in(certificate: x509.Certificate, *, common_name: bool = False) -> list[str]:
    """The DNS names of a certificate in lower case. `common_name`: that of the subject where there are none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, *_UNREADABLE):
        names = []
    if not names and common_name:
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return [name.lower().removesuffix(".") for name in names]


def is_for(certificate: x509.Certificate, names: Iterable[str], *, common_name: bool = False) -> bool:
    """Whether it is for one of these. `*` stands for one whole first label (RFC 9525 §6.3)."""
    wanted = {name.lower().removesuffix(".") for name in names}
    parents = {f"*.{name.partition('.')[2]}" for name in wanted if name.count(".") > 1}
    return not (wanted | parents).isdisjoint(names_in(certificate, common_name=common_name))


def in_time(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def leads_to(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    keys: Sequence[PublicKey],
    now: datetime,
) -> bool:
    """Whether signatures lead from `leaf`, maybe over some of `others`, to an anchor or a bare key (RFC 5280 §6).

    Each certificate is looked at once, so that a hostile chain costs the square of its length at most.
    """
    if not _is_for_servers(leaf) or not in_time(leaf, now):
        return False
    heads = [anchor for anchor in anchors if _may_issue(anchor, 0, now, anchor=True)]
    pool = [one for one in others if one not in anchors]
    seen, waiting = {leaf}, [(leaf, 0)]
    while waiting:
        current, below = waiting.pop()
        if any(_issued(current, head) for head in heads) or any(_signed(current, key) for key in keys):
            return True
        for one in pool:
            if one not in seen and _may_issue(one, below, now) and _issued(current, one):
                seen.add(one)
                waiting.append((one, below + 1))
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except _UNREADABLE:
        return False
    return True


def _signed(certificate: x509.Certificate, key: PublicKey) -> bool:
    """Whether the signature is by this key, whoever has it (TLSA 2 1 0 may be all that is known of an anchor)."""
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    try:
        how = certificate.signature_algorithm_parameters
        if isinstance(key, rsa.RSAPublicKey):
            digest = certificate.signature_hash_algorithm
            key.verify(signature, signed, how, digest)  # type: ignore[arg-type]
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, how)  # type: ignore[arg-type]
        else:
            key.verify(signature, signed)
    except (*_UNREADABLE, AttributeError):
        return False
    return True


def _may_issue(certificate: x509.Certificate, below: int, now: datetime, *, anchor: bool = False) -> bool:
    """RFC 5280 §6.1.4: a CA in its time, with so many intermediates below it. An anchor may be of version 1."""
    if not in_time(certificate, now) or not _understood(certificate):
        return False
    try:
        extensions = certificate.extensions
        usage = [e.value for e in extensions if isinstance(e.value, x509.KeyUsage)]
        basic = [e.value for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    except _UNREADABLE:
        return False
    if usage and not usage[0].key_cert_sign:
        return False
    if not basic:
        return anchor and certificate.version == x509.Version.v1
    return basic[0].ca and (basic[0].path_length is None or below <= basic[0].path_length)


def _is_for_servers(certificate: x509.Certificate) -> bool:
    if not _understood(certificate):
        return False
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in purposes or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes


def _understood(certificate: x509.Certificate) -> bool:
    """Whether every extension that must be understood is (RFC 5280 §4.2); name constraints are not."""
    try:
        return all(not e.critical or e.oid in _UNDERSTOOD for e in certificate.extensions)
    except _UNREADABLE:
        return False
