"""Certificates of every kind, good and bad, made when a test asks for them.

root = issue("Root", ca=True)
leaf = issue("mx.there.example", by=root, names=["mx.there.example"], days=(-30, -1))
tlsa(leaf, 3, 1, 1)              # the record that names it
serving(leaf, root)              # an SSLContext that shows leaf and root
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from daemon.resolver import TLSA

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def issue(
    name: str,
    *,
    by: Issued | None = None,
    names: Iterable[str] = (),
    ca: bool = False,
    days: tuple[int, int] = (-1, 90),
    path_length: int | None = None,
    key: Any = None,
    signed_with: Any = None,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """A certificate; its own issuer without `by`. `signed_with`: another key than the issuer's, for forgeries."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    extra = list(extra)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(own, critical=False)
        if not any(isinstance(extension, x509.KeyUsage) for extension, _ in extra):
            extra.append((usage(key_cert_sign=True, crl_sign=True), True))
    if by is not None:
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.certificate.public_key())  # type: ignore[arg-type]
        builder = builder.add_extension(theirs, critical=False)
    if listed := [x509.DNSName(one) for one in names]:
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return Issued(builder.sign(signed_with or (by.key if by else key), hashes.SHA256()), key)


def usage(**changed: bool) -> x509.KeyUsage:
    """Nothing may be done with the key but what is said."""
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(words.split(), False), **changed})


def rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


def tlsa(issued: Issued, usage: int, selector: int, matching: int) -> TLSA:
    data = issued.spki if selector == 1 else issued.der
    digest = {0: lambda d: d, 1: lambda d: hashlib.sha256(d).digest(), 2: lambda d: hashlib.sha512(d).digest()}
    return TLSA(usage, selector, matching, digest[matching](data))  # type: ignore[no-untyped-call]


def presented(record: TLSA) -> str:
    """As it stands in a zone file."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"


def serving(leaf: Issued, *others: Issued) -> ssl.SSLContext:
    """What a server needs to show this chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_text("".join(one.pem for one in (leaf, *others)))
        key.write_text(leaf.key_pem)
        context.load_cert_chain(chain, key)
    return context
