"""Whose signature could it be? Key records in the DNS (RFC 6376 §3.6, RFC 8301, RFC 8463). No messages here."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.trust.results import Word
from daemon.trust.tags import BadTags, octets_of, parse_tags, words_of

_ED25519 = 32  # octets of a key (RFC 8463 §4.2)
_EXPONENT_BITS = 64  # of an RSA key's public exponent: with a large one verifying costs as much as signing


class Unproved(Exception):
    """The signature counts for nothing: the word for it and why."""

    def __init__(self, word: Word, reason: str) -> None:
        super().__init__(reason)
        self.word = word
        self.reason = reason


class PublicKey(NamedTuple):
    """A key that may be believed: `bits` is 0 but for RSA; `exact`: i= must be of d= itself (t=s)."""

    key: RSAPublicKey | Ed25519PublicKey
    bits: int
    testing: bool
    exact: bool

    def signed(self, signature: bytes, digest: bytes) -> bool:
        """Whether this key made `signature` of a text whose SHA-256 is `digest`."""
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, digest)
            else:
                self.key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        except InvalidSignature:
            return False
        return True


class Refused(NamedTuple):
    """A record that gives no key. `bits` as far as they are known: the header shows how weak a key was."""

    word: Word
    reason: str
    bits: int = 0
    testing: bool = False


Keys = tuple[PublicKey | Refused, ...]


async def ask(resolver: Resolver, name: str, algorithm: str) -> Keys | Unproved:
    """The keys for `algorithm` at `name`, usually one, the usable ones first; or why there are none."""
    try:
        answer = await resolver.ask(name, "TXT")
    except TemporaryDNSError as error:
        return Unproved("temperror", f"key not found out: {error.reason}")
    if not answer.records:
        return Unproved("permerror", "no key record")
    found = [_read(record, algorithm) for record in answer.records[: LIMITS.dkim_keys]]
    return tuple(sorted(found, key=lambda key: isinstance(key, Refused)))


@lru_cache(maxsize=256)
def _read(record: bytes, algorithm: str) -> PublicKey | Refused:
    """RFC 6376 §6.1.2, steps 3 to 7."""
    if len(record) > LIMITS.dkim_key:
        return Refused("permerror", "key record too long")
    try:
        tags = parse_tags(record)
        if "v" in tags and (next(iter(tags)), tags["v"]) != ("v", "DKIM1"):
            return Refused("permerror", "not a DKIM1 record")
        if "p" not in tags:
            raise BadTags("no p=")
        flags = words_of(tags, "t")
        testing = "y" in flags
        kind, _, hashed = algorithm.partition("-")
        if tags.get("k", "rsa") != kind:
            return Refused("permerror", "key of another kind", 0, testing)
        if "h" in tags and hashed not in words_of(tags, "h"):
            return Refused("permerror", "key not for this hash", 0, testing)
        if not {"*", "email"} & set(words_of(tags, "s", "*")):
            return Refused("permerror", "key not for mail", 0, testing)
        if not tags["p"]:
            return Refused("permerror", "key revoked", 0, testing)
        return _load(octets_of(tags, "p"), kind, testing, "s" in flags)
    except BadTags as error:
        return Refused("permerror", f"key record: {error}")


def _load(octets: bytes, kind: str, testing: bool, exact: bool) -> PublicKey | Refused:
    """The key itself, if it is neither too weak to be believed nor too large to be worked with. Raises `BadTags`."""
    if kind == "ed25519":
        if len(octets) != _ED25519:
            raise BadTags("p= is no Ed25519 key")
        return PublicKey(Ed25519PublicKey.from_public_bytes(octets), 0, testing, exact)
    try:
        key = load_der_public_key(octets)  # a SubjectPublicKeyInfo, or the bare key that RFC 6376 §3.6.1 speaks of
    except (ValueError, UnsupportedAlgorithm):
        raise BadTags("p= is no RSA key") from None
    if not isinstance(key, RSAPublicKey):
        raise BadTags("p= is no RSA key")
    bits = key.key_size
    if bits < LIMITS.dkim_bits_least:
        return Refused("policy", "key too short", bits, testing)  # RFC 8301 §3.2: MUST NOT be considered valid
    if bits > LIMITS.dkim_bits_most or key.public_numbers().e.bit_length() > _EXPONENT_BITS:
        return Refused("policy", "key too large", bits, testing)
    return PublicKey(key, bits, testing, exact)
