"""What TLSA records say of our port 25 (RFC 6698, RFC 7672): the hash of the public key that other servers will see.

`3 1 1` names the key, not the certificate: a renewal with the same key changes nothing in the DNS. The choice among
certificates is that of `serve.tls`: files of the settings before the store, valid before expired, signed by an
authority before signed by itself, the newest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from daemon.admin import pem
from daemon.config import Config
from daemon.store import certificates
from daemon.store.certificates import Certificate
from daemon.store.tx import Tx

OWN_KEY = "3 1 1"  # DANE-EE, SubjectPublicKeyInfo, SHA-256: what RFC 7672 §3.1.1 recommends


def key_hash(chain: str) -> str:
    """SHA-256 of the leaf's public key, in hex. Raises `BadCertificate`."""
    public = pem.leaf_of(chain).public_key()
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public.public_bytes(*form)).hexdigest()


def chain_in_use(tx: Tx, config: Config) -> str:
    """The PEM chain that who connects to port 25 sees; '' when there is none. Raises `OSError` for a file."""
    if config["tls.certificate"]:
        return Path(config["tls.certificate"]).read_text(errors="replace")
    best = best_for(config["hostname"], certificates.everyone(tx), tx.now)
    return best.chain if best else ""


def best_for(hostname: str, kept: Iterable[Certificate], now: int) -> Certificate | None:
    """Which of the certificates is shown as the host's."""
    wildcard = "*." + hostname.partition(".")[2]

    def rank(one: Certificate) -> tuple[bool, bool, bool, bool, int]:
        exact = hostname in one.names
        return exact or wildcard in one.names, exact, one.not_after_at > now, one.source != "self-signed", one.id

    return max(kept, key=rank, default=None)
