"""What TLSA records say of our port 25 (RFC 6698, RFC 7672): the hash of the public key that other servers will see.

`3 1 1` names the key, not the certificate: a renewal with the same key changes nothing in the DNS. Files of the
settings go before the store's certificates.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from daemon.admin import pem
from daemon.config import Config
from daemon.store import certificates
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
    found = certificates.best(tx, config.hostname)
    return found.chain if found is not None else ""
