"""Certificates: read, and made when there is none. `store.certificates` keeps them, `serve.tls` uses them."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemon.admin.errors import BadData
from daemon.store import certificates, domains
from daemon.store.tx import Tx

_LIFETIME = datetime.timedelta(days=820)  # Apple's devices take no longer ones, trusted by hand or not
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # RFC 8737 §3
_RENEW = 30 * 86_400_000  # ms before its end at which a self-signed one is made anew


class BadCertificate(BadData):
    """The chain or the key cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a certificate says. `names` are DNS names in lower case, the subject's first; times in ms since 1970."""

    names: tuple[str, ...]
    not_before_at: int
    not_after_at: int
    self_signed: bool
    issuer: str


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM of a chain and of its key."""

    chain: str
    private_key: str


def examine(chain: str, private_key: str | None = None) -> Examined:
    """Read a PEM chain, leaf first; with a key, see that it is the leaf's. Raises `BadCertificate`."""
    leaf = leaf_of(chain)
    if private_key is not None:
        _same_key(leaf, private_key)
    names = _names(leaf)
    if not names:
        raise BadCertificate("the certificate names no host")
    return Examined(
        names,
        _ms(leaf.not_valid_before_utc),
        _ms(leaf.not_valid_after_utc),
        leaf.issuer == leaf.subject,
        leaf.issuer.rfc4514_string(),
    )


def leaf_of(chain: str) -> x509.Certificate:
    """The first certificate of a PEM chain. Raises `BadCertificate`."""
    try:
        return x509.load_pem_x509_certificates(chain.encode())[0]
    except (ValueError, UnicodeError):
        raise BadCertificate("the file holds no PEM certificate") from None


def end_point(chain: str) -> bytes:
    """The leaf's hash for channel binding `tls-server-end-point` (RFC 5929 §4.1)."""
    leaf = leaf_of(chain)
    algorithm: hashes.HashAlgorithm = hashes.SHA256()
    try:
        signed = leaf.signature_hash_algorithm
    except UnsupportedAlgorithm:
        signed = None
    if signed is not None and signed.name not in ("md5", "sha1"):
        algorithm = signed
    return leaf.fingerprint(algorithm)


def self_signed(names: tuple[str, ...], now: int) -> Pair:
    """A certificate for `names` that signs itself: EC P-256, for servers."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _signed_by_itself(names, now, _LIFETIME, usage, critical=False)


def validation(name: str, answer: str, now: int) -> Pair:
    """The certificate that answers a TLS-ALPN-01 challenge (RFC 8737 §3): nobody but the authority ever sees it."""
    digest = hashlib.sha256(answer.encode()).digest()
    proof = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest)  # an OCTET STRING of 32
    return _signed_by_itself((name,), now, datetime.timedelta(days=1), proof, critical=True)


def ensure(tx: Tx, hostname: str) -> bool:
    """See that the store has a certificate that is valid for a while: if not, make one that signs itself, for the host
    and all domains.

    Whether one was made. Imported ones are never replaced, but an expired one does not count.
    """
    if any(c.not_after_at > tx.now + (_RENEW if c.source == "self-signed" else 0) for c in certificates.everyone(tx)):
        return False
    names = tuple(dict.fromkeys((hostname, *(domain.name for domain in domains.everyone(tx)))))
    pair = self_signed(names, tx.now)
    seen = examine(pair.chain)
    certificates.add(tx, names, pair.chain, pair.private_key, "self-signed", seen.not_before_at, seen.not_after_at)
    return True


def new_key() -> str:
    """The PEM of a new private key, EC P-256."""
    return _pem_of(ec.generate_private_key(ec.SECP256R1()))


def is_usual(private_key: str) -> bool:
    """Whether authorities and clients everywhere take a key of this kind."""
    key = serialization.load_pem_private_key(private_key.encode(), None)
    if isinstance(key, rsa.RSAPrivateKey):
        return 2048 <= key.key_size <= 4096
    return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in ("secp256r1", "secp384r1")


def key_hash(private_key: str) -> str:
    """SHA-256 of the public key, hex: what `3 1 1` in a TLSA record says (RFC 6698 §2.1)."""
    key = serialization.load_pem_private_key(private_key.encode(), None)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key.public_key().public_bytes(*form)).hexdigest()


def _pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _signed_by_itself(
    names: tuple[str, ...], now: int, lifetime: datetime.timedelta, purpose: x509.ExtensionType, *, critical: bool
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - datetime.timedelta(days=1))
        .not_valid_after(begin + lifetime)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(purpose, critical=critical)
        .sign(key, hashes.SHA256())
    )
    return Pair(leaf.public_bytes(serialization.Encoding.PEM).decode(), _pem_of(key))


def _same_key(leaf: x509.Certificate, private_key: str) -> None:
    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except TypeError:
        raise BadCertificate("the private key is encrypted; write it without a passphrase") from None
    except (ValueError, UnicodeError, UnsupportedAlgorithm):
        raise BadCertificate("the file holds no PEM private key") from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise BadCertificate("the private key is not the one of the certificate")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    names: list[str] = []
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]
        names += [str(ip) for ip in alternatives.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        pass
    common = [str(a.value).lower() for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    first = [name for name in common if name in names or not names]
    return tuple(dict.fromkeys(first + names))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ms(when: datetime.datetime) -> int:
    return int(when.timestamp() * 1000)
