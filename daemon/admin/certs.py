"""Certificates: what is in the store, and what comes into it. A key that does not fit never gets in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.admin.errors import BadData
from daemon.store import certificates, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Certificate:
    """`days` are those left; negative when it is over. `chain` is PEM, the private key is never shown."""

    id: int
    names: tuple[str, ...]
    issuer: str
    source: str
    key: str
    sha256: str
    days: int
    not_before_at: int
    not_after_at: int
    created_at: int
    chain: str


def everyone(store: Store) -> list[Certificate]:
    """Newest first."""
    now = store.clock()
    return [_certificate(c, now) for c in store.read_now(certificates.everyone)]


def show(store: Store, certificate_id: int) -> Certificate:
    """Raises `Missing`."""
    return _certificate(store.read_now(certificates.get, certificate_id), store.clock())


def files_in_use(store: Store) -> str:
    """The file that the setting tls.certificate names: it goes before what is in the store. '' when it names none."""
    return store.read_now(lambda tx: settings.rows(tx).get("tls.certificate", ""))


def add(store: Store, chain_file: Path, key_file: Path | None) -> Certificate:
    """Import a chain and its key (in the same file when `key_file` is None), PEM both.

    Raises `BadData` for what is no certificate, is over, or is not the key's; `OSError`.
    """
    from cryptography.hazmat.primitives import serialization

    text = chain_file.read_bytes()
    chain = _read_chain(text, chain_file)
    key = _read_key(text if key_file is None else key_file.read_bytes(), key_file or chain_file)
    leaf = chain[0]
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*spki) != leaf.public_key().public_bytes(*spki):
        raise BadData(f"{key_file or chain_file}: the key is not that of the certificate; name the pair of one issue")
    before, after = (int(t.timestamp() * 1000) for t in (leaf.not_valid_before_utc, leaf.not_valid_after_utc))
    if after <= store.clock():
        raise BadData(f"{chain_file}: the certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}; get a new one")
    names = _names(leaf)
    if not names:
        raise BadData(f"{chain_file}: the certificate names no host")
    pem = "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in chain)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

    def work(tx: Tx) -> certificates.Certificate:
        return certificates.get(tx, certificates.add(tx, names, pem, private, "imported", before, after))

    return _certificate(store.write_now(work), store.clock())


def _read_chain(text: bytes, where: Path) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise BadData(f"{where}: no PEM certificate in it; it begins with -----BEGIN CERTIFICATE-----") from None


def _read_key(text: bytes, where: Path):  # type: ignore[no-untyped-def]  # one of cryptography's many key types
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    start = text.find(b"-----BEGIN ")
    while start >= 0 and b"PRIVATE KEY" not in text[start : text.find(b"\n", start)]:
        start = text.find(b"-----BEGIN ", start + 1)
    if start < 0:
        raise BadData(f"{where}: no PEM private key in it; name it with --key")
    try:
        return serialization.load_pem_private_key(text[start:], None)
    except TypeError:
        raise BadData(f"{where}: the key is encrypted; take the passphrase off with `openssl pkey`") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadData(f"{where}: the private key cannot be read") from None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names, the subject's first."""
    from cryptography import x509

    common = [str(a.value).lower() for a in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [n.lower() for n in alternatives.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        names = list(common)
    names.sort(key=lambda n: n not in common)
    return tuple(dict.fromkeys(names))


def _certificate(row: certificates.Certificate, now: int) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    leaf = x509.load_pem_x509_certificates(row.chain.encode())[0]
    public = leaf.public_key()
    kind = type(public).__name__.removesuffix("PublicKey").lstrip("_")
    size = getattr(public, "key_size", None)
    return Certificate(
        id=row.id,
        names=row.names,
        issuer=leaf.issuer.rfc4514_string(),
        source=row.source,
        key=f"{kind} {size}" if size else kind,
        sha256=leaf.fingerprint(hashes.SHA256()).hex(),
        days=(row.not_after_at - now) // 86_400_000,
        not_before_at=row.not_before_at,
        not_after_at=row.not_after_at,
        created_at=row.created_at,
        chain=row.chain,
    )
