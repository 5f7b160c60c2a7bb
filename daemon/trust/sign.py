"""Our own proof: DKIM-Signature fields for mail that goes out (RFC 6376 §5, RFC 8463). No store, no clock, no DNS.

    key = Key("example.org", "s1", "rsa-sha256", generate("rsa-sha256"))
    data = sign(data, [key], now=time.time()) + data

What can go wrong here is ours alone: a key that is none is a `ValueError` when the `Key` is made.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from daemon.mail.header import fields as fields_of
from daemon.mail.header import header_end
from daemon.trust.canonical import body_hashes, field_relaxed, field_simple

if TYPE_CHECKING:
    from daemon.mail.header import Data

Form = Callable[[bytes, bytes], bytes]
Algorithm = Literal["rsa-sha256", "ed25519-sha256"]
Canonicalization = Literal["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]

RSA_BITS = 2048  # RFC 8301 §3.2: SHOULD; longer keys do not fit the TXT records of some providers
WIDTH = 72  # characters of a line of ours
# RFC 6376 §5.4.1, and what decides how the body is read. What relays change (Return-Path, Received) is not here.
FIELDS = (
    "From Sender Reply-To Subject Date Message-ID To Cc MIME-Version Content-Type Content-Transfer-Encoding "
    "In-Reply-To References List-Id List-Unsubscribe List-Unsubscribe-Post List-Post Auto-Submitted"
).split()
# What RFC 5322 §3.6 wants at most once: signed once more than it is there, nobody can put another one on top of it.
ONCE = frozenset("from sender reply-to subject date message-id to cc mime-version content-type".split())


@dataclass(frozen=True, slots=True)
class Key:
    """A domain's signing key: `private` is a key of `cryptography` or its PKCS#8 PEM. Make it once: PEM is slow."""

    domain: str
    selector: str
    algorithm: Algorithm
    private: RSAPrivateKey | Ed25519PrivateKey | bytes | str = field(repr=False)

    def __post_init__(self) -> None:
        private: object = self.private
        if isinstance(private, bytes | str):
            pem = private.encode() if isinstance(private, str) else private
            try:
                private = load_pem_private_key(pem, password=None)
            except (ValueError, TypeError, UnsupportedAlgorithm):
                raise ValueError(f"the key of {self.selector}._domainkey.{self.domain} is no PEM key") from None
        if not isinstance(private, RSAPrivateKey if self.algorithm == "rsa-sha256" else Ed25519PrivateKey):
            raise ValueError(f"the key of {self.selector}._domainkey.{self.domain} is not for {self.algorithm}")
        object.__setattr__(self, "private", private)


def generate(algorithm: Algorithm) -> str:
    """A new private key as PKCS#8 PEM; an RSA key takes a tenth of a second or more."""
    key = Ed25519PrivateKey.generate() if algorithm == "ed25519-sha256" else generate_private_key(65537, RSA_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def public_record(key: Key) -> str:
    """The value of the TXT record at `selector._domainkey.domain` (RFC 6376 §3.6.1, RFC 8463 §4)."""
    if isinstance(key.private, Ed25519PrivateKey):
        return f"v=DKIM1; k=ed25519; p={_base64(key.private.public_key().public_bytes_raw())}"
    assert isinstance(key.private, RSAPrivateKey)
    public = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={_base64(public)}"


def sign(
    data: Data,
    keys: Sequence[Key],
    *,
    now: float,
    fields: Collection[str] = FIELDS,
    canonicalization: Canonicalization = "relaxed/relaxed",
    expires: float | None = None,
) -> bytes:
    """`DKIM-Signature` fields, one for each key, whole lines with CRLF, to stand in front of the message `data`.

    Of `fields` those are signed that are there, each as often as it is there, and From in any case; `ONCE` tells which
    are signed once more. `expires` (x=) is a time. `data` must be as it is sent: CRLF at the ends of lines.
    """
    head, _, body = canonicalization.partition("/")
    start = header_end(data, 0, len(data))
    hashes, _ = body_hashes(data, start, len(data), relaxed=body == "relaxed")
    form = field_relaxed if head == "relaxed" else field_simple
    names, signed = _signed_fields(bytes(data[:start]), fields, form)
    common = f"t={int(now)};" + (f" x={int(expires)};" if expires is not None else "")
    listed = _folded(":".join(names), ":")
    lines = b""
    for key in keys:
        unsigned = (
            f" v=1; a={key.algorithm}; c={canonicalization};\r\n"
            f"\td={key.domain}; s={key.selector}; {common}\r\n\th={listed};\r\n\tbh={_base64(hashes[None])};\r\n\tb="
        )
        ours = form(b"DKIM-Signature", unsigned.encode()).removesuffix(b"\r\n")
        value = _base64(_signature(key, sha256(signed + ours).digest()))
        lines += b"DKIM-Signature:" + unsigned.encode() + _folded(value).encode() + b"\r\n"
    return lines


def _signed_fields(header: bytes, wanted: Collection[str], form: Form) -> tuple[list[str], bytes]:
    """The names for h=, in the order of `wanted`, and the fields they stand for, the last of a name first (§5.4.2)."""
    there: dict[bytes, list[bytes]] = {}
    for found in fields_of(header):
        written = header[found.start : found.value - 1]
        there.setdefault(found.name, []).append(form(written, header[found.value : found.end]))
    names, signed = list[str](), list[bytes]()
    for name in wanted:
        those = there.get(name.lower().encode(), [])
        signed += reversed(those)
        names += [name] * (len(those) + (name.lower() in ONCE if those else name.lower() == "from"))
    return names, b"".join(signed)


def _signature(key: Key, digest: bytes) -> bytes:
    if isinstance(key.private, Ed25519PrivateKey):
        return key.private.sign(digest)  # RFC 8463 §3: over the hash, not over the text
    assert isinstance(key.private, RSAPrivateKey)
    return key.private.sign(digest, PKCS1v15(), Prehashed(SHA256()))


def _folded(text: str, at: str = "") -> str:
    """In lines of `WIDTH`, broken behind `at` or anywhere."""
    lines = re.findall(rf".{{1,{WIDTH - 1}}}(?:{at}|$)" if at else rf".{{1,{WIDTH}}}", text)
    return "\r\n\t".join(lines)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
