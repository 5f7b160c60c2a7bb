"""Certificates: what is in the store, and what comes into it. A key that does not fit never gets in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from daemon.admin import acme, pem
from daemon.admin.errors import BadData
from daemon.store import certificates, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """`days` are those left; negative when it is over. `renew_at`: when the next one is fetched; None: by nobody.
    `chain` is PEM, the private key is never shown."""

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
    renew_at: int | None
    chain: str


def everyone(store: Store) -> list[Certificate]:
    """Newest first."""
    return store.read_now(lambda tx: [_certificate(tx, c) for c in certificates.everyone(tx)])


def show(store: Store, certificate_id: int) -> Certificate:
    """Raises `Missing`."""
    return store.read_now(lambda tx: _certificate(tx, certificates.get(tx, certificate_id)))


def missing(store: Store) -> list[tuple[str, str]]:
    """Names for which ACME has brought no certificate yet, each with what the last try said ('': there was none)."""
    return [(plan.names[0], plan.problem) for plan in store.read_now(acme.known_plans) if plan.certificate is None]


def files_in_use(store: Store) -> str:
    """The file that the setting tls.certificate names: it goes before what is in the store. '' when it names none."""
    return store.read_now(lambda tx: settings.rows(tx).get("tls.certificate", ""))


def add(store: Store, chain_file: Path, key_file: Path | None) -> Certificate:
    """Import a chain and its key (in the same file when `key_file` is None), PEM both.

    Raises `BadData` for what is no certificate, is over, or is not the key's; `OSError`.
    """
    chain = _blocks(chain_file, "CERTIFICATE")
    key = _blocks(key_file or chain_file, "PRIVATE KEY")
    try:
        seen = pem.examine(chain, key)
    except pem.BadCertificate as error:
        raise BadData(f"{chain_file}: {error}") from None
    if seen.not_after_at <= store.clock():
        raise BadData(f"{chain_file}: the certificate is over; get a new one")

    def work(tx: Tx) -> Certificate:
        made = certificates.add(tx, seen.names, chain, key, "imported", seen.not_before_at, seen.not_after_at)
        return _certificate(tx, certificates.get(tx, made))

    return store.write_now(work)


def _blocks(file: Path, kind: str) -> str:
    """The PEM blocks of a kind in a file, without what stands around them."""
    text = file.read_bytes().decode("ascii", "replace")
    found = [m[0] for m in _BLOCK.finditer(text) if m[1].endswith(kind)]
    if not found:
        other = "; name its file with --key" if kind == "PRIVATE KEY" else ""
        raise BadData(f"{file}: there is no PEM {kind.lower()} in it{other}")
    return "\n".join(found) + "\n"


def _certificate(tx: Tx, row: certificates.Certificate) -> Certificate:
    from cryptography.hazmat.primitives import hashes

    leaf = pem.leaf_of(row.chain)
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
        days=(row.not_after_at - tx.now) // 86_400_000,
        not_before_at=row.not_before_at,
        not_after_at=row.not_after_at,
        created_at=row.created_at,
        renew_at=next((p.due_at for p in acme.known_plans(tx) if p.certificate and p.certificate.id == row.id), None),
        chain=row.chain,
    )
