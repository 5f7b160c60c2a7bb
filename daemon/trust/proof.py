"""A claim and its proof: what DKIM-Signature and ARC-Message-Signature have in common (RFC 6376 §3.5, §6.1).

A claim is read from the field's tags (`claim_of`), the keys of all claims are asked for side by side (`keys_of`), and
then nothing but arithmetic is left (`prove`), which for a long message is done in a thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.resolver import Resolver, side_by_side
from daemon.trust.public_key import Keys, PublicKey, Refused, Unproved, ask
from daemon.trust.results import Word
from daemon.trust.signed import Signed
from daemon.trust.tags import BadTags, Tags, needed, number_of, octets_of, words_of

_ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
_FORMS = {"simple": False, "relaxed": True}
_NAME = re.compile(r"[\x21-\x39\x3c-\x7e]+")
_TIME_DIGITS = 12  # RFC 6376 §3.5: t= must be understood up to the year 200,000
_LENGTH_DIGITS = 76  # RFC 6376 §3.5


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature field that was understood. `number` is its place in the header, `key_name` where its key is."""

    number: int
    algorithm: str
    domain: str
    key_name: str
    signature: bytes
    names: tuple[bytes, ...]
    relaxed: bool
    relaxed_body: bool
    body_hash: bytes
    length: int | None

    @property
    def key(self) -> tuple[str, str]:
        """What `keys_of` asks for."""
        return self.key_name, self.algorithm


class Outcome(NamedTuple):
    """What became of a claim; `bits` of the RSA key and whether its owner only tries (t=y)."""

    word: Word
    reason: str = ""
    bits: int = 0
    testing: bool = False


def algorithm_of(tags: Tags) -> str:
    """The value of a=. Raises `Unproved`."""
    algorithm = tags["a"].lower()
    if algorithm == "rsa-sha1":
        raise Unproved("permerror", "rsa-sha1 is no proof")  # RFC 8301 §3.1: permanently failed
    if algorithm not in _ALGORITHMS:
        raise Unproved("neutral", "unknown algorithm")
    return algorithm


def key_place(tags: Tags) -> tuple[str, str]:
    """The domain of d= in A-labels, and the name of its key's record (RFC 6376 §3.6.2.1). Raises `BadTags`."""
    try:
        if tags["d"].endswith((".", "]")):
            raise BadAddress("not a domain")
        domain = normal_domain(tags["d"])
    except BadAddress:
        raise BadTags("d= is not a domain") from None
    try:
        return domain, normal_domain(f"{tags['s']}._domainkey.{domain}")
    except BadAddress:
        raise BadTags("s= is not a selector") from None


def claim_of(tags: Tags, number: int, now: float) -> Claim:
    """The claim of a signature field with those tags. Raises `BadTags`, and `Unproved` for what needs no key to say."""
    needed(tags, "a", "b", "bh", "d", "h", "s")
    algorithm = algorithm_of(tags)
    domain, key_name = key_place(tags)
    head, slash, body = tags.get("c", "simple/simple").lower().partition("/")
    body = body if slash else "simple"
    if head not in _FORMS or body not in _FORMS:
        raise Unproved("neutral", "unknown canonicalization")
    if "dns/txt" not in words_of(tags, "q", "dns/txt"):
        raise Unproved("neutral", "unknown query method")
    names = words_of(tags, "h")
    if not all(map(_NAME.fullmatch, names)):
        raise BadTags("h= is not a list of names")
    if len(names) > LIMITS.dkim_fields:
        raise Unproved("policy", "h= too long")
    _in_time(tags, now)
    claim = Claim(
        number, algorithm, domain, key_name, octets_of(tags, "b"), tuple(name.lower().encode() for name in names),
        _FORMS[head], _FORMS[body], octets_of(tags, "bh"), number_of(tags, "l", _LENGTH_DIGITS),
    )  # fmt: skip
    if b"from" not in claim.names:
        raise Unproved("permerror", "From is not signed")  # RFC 6376 §6.1.1: PERMFAIL
    return claim


def _in_time(tags: Tags, now: float) -> None:
    """RFC 6376 §3.5, t= and x=. Raises `BadTags` and `Unproved`."""
    signed, until = number_of(tags, "t", _TIME_DIGITS), number_of(tags, "x", _TIME_DIGITS)
    if signed is not None and until is not None and until <= signed:
        raise BadTags("x= is not after t=")
    if until is not None and until < now - LIMITS.dkim_skew:
        raise Unproved("policy", "expired")
    if signed is not None and signed > now + LIMITS.dkim_skew:
        raise Unproved("policy", "from the future")


async def keys_of(resolver: Resolver, places: Sequence[tuple[str, str]]) -> list[Keys | Unproved]:
    """What `ask` finds for each name and algorithm, asked side by side; equal questions are asked once."""
    once = list(dict.fromkeys(places))
    found = dict(zip(once, await side_by_side(resolver, [ask(resolver, *place) for place in once]), strict=True))
    return [found[place] for place in places]


async def prove(signed: Signed, claims: Sequence[Claim], keys: Sequence[Keys | Unproved]) -> list[Outcome]:
    """What became of each claim, whose keys were asked for already."""
    if signed.size > LIMITS.parse_inline:
        return await asyncio.to_thread(_prove, signed, claims, keys)
    return _prove(signed, claims, keys)


def _prove(signed: Signed, claims: Sequence[Claim], keys: Sequence[Keys | Unproved]) -> list[Outcome]:
    bodies = dict[bool, tuple[dict[int | None, bytes], int]]()
    usable = [claim for claim, those in zip(claims, keys, strict=True) if _any(those)]
    for relaxed in (False, True):
        lengths = {claim.length for claim in usable if claim.relaxed_body == relaxed}
        if lengths:
            bodies[relaxed] = signed.body(relaxed, lengths)
    outcomes = list[Outcome]()
    for claim, those in zip(claims, keys, strict=True):
        if isinstance(those, Unproved):
            outcomes.append(Outcome(those.word, those.reason))
            continue
        hashes, size = bodies.get(claim.relaxed_body, ({}, 0))  # none where there is no key to try
        tried = [_tried(signed, claim, key, hashes, size) for key in those]
        passed = [outcome for outcome in tried if outcome.word == "pass"]
        outcomes.append((passed or tried)[0])
    return outcomes


def _any(keys: Keys | Unproved) -> bool:
    return not isinstance(keys, Unproved) and any(isinstance(key, PublicKey) for key in keys)


def _tried(
    signed: Signed, claim: Claim, key: PublicKey | Refused, hashes: dict[int | None, bytes], size: int
) -> Outcome:
    """The claim by one of its keys (RFC 6376 §6.1.3)."""
    if isinstance(key, Refused):
        return Outcome(*key)
    outcome = Outcome("fail", "", key.bits, key.testing)
    if claim.length is not None and claim.length > size:
        return outcome._replace(reason="l= is beyond the body")
    if hashes[claim.length] != claim.body_hash:
        return outcome._replace(reason="body changed")
    if not key.signed(claim.signature, signed.digest(claim.names, claim.number, claim.relaxed)):
        return outcome._replace(reason="signature does not fit")
    if claim.length is not None and claim.length < size:
        return outcome._replace(word="policy", reason="l= leaves the end of the body unsigned")
    if len(signed.numbers(b"from")) > claim.names.count(b"from"):
        return outcome._replace(word="policy", reason="a From field is not signed")
    return outcome._replace(word="pass")
