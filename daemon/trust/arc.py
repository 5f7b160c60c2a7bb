"""ARC: what those who passed the message on say they saw, and whether their chain holds (RFC 8617 §5.2).

A chain of sets, each of an ARC-Authentication-Results, an ARC-Message-Signature (AMS, as a DKIM-Signature) and an
ARC-Seal (AS, over the ARC fields only). It passes or fails as a whole; `temperror` is a key that could not be asked
for. That it passes says who handled the message, not that they can be believed: that is for the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.resolver import Resolver
from daemon.trust.proof import Claim, Outcome, algorithm_of, claim_of, key_place, keys_of, prove
from daemon.trust.public_key import Keys, PublicKey, Refused, Unproved
from daemon.trust.results import ARC, Word
from daemon.trust.signed import Signed
from daemon.trust.tags import BadTags, Tags, needed, octets_of, parse_tags

if TYPE_CHECKING:
    from daemon.mail.header import Data

_RESULTS, _MESSAGE, _SEAL = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,4})[ \t\r\n]*;")


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal that was understood, `number` its place in the header."""

    number: int
    algorithm: str
    domain: str
    key_name: str
    signature: bytes
    chain: str  # cv=


@dataclass(frozen=True, slots=True)
class Link:
    """One set: the numbers of its fields, its seal, and its message signature as far as that was understood."""

    results: int
    message: int
    seal: Seal
    claim: Claim | Unproved


async def verify(resolver: Resolver, data: Data, *, now: float) -> ARC:
    """The chain of the message `data`; `none` without one."""
    signed = Signed(data)
    if not any(map(signed.numbers, (_RESULTS, _MESSAGE, _SEAL))):
        return ARC("none")
    sealers: tuple[str, ...] = ()
    try:
        links = _links(signed, now)
        sealers = tuple(link.seal.domain for link in links)
        oldest_pass = await _messages(resolver, signed, links)
        await _seals(resolver, signed, links)
    except Unproved as error:
        return ARC(error.word, sealers, reason=error.reason)
    return ARC("pass", sealers, oldest_pass)


# -- the sets (RFC 8617 §5.2, steps 1 to 3) ----------------------------------------------------------------------------


def _links(signed: Signed, now: float) -> list[Link]:
    """The sets of the chain, the oldest first. Raises `Unproved`."""
    results, messages, seals = (_by_instance(signed, name) for name in (_RESULTS, _MESSAGE, _SEAL))
    instances = list(range(1, len(seals) + 1))
    if not sorted(results) == sorted(messages) == sorted(seals) == instances:
        raise Unproved("fail", "sets are missing or incomplete")
    links = [_link(signed, results[i], messages[i], seals[i], now) for i in instances]
    if links[-1].seal.chain == "fail":
        raise Unproved("fail", "the last sealer found the chain broken")
    for i, link in enumerate(links, 1):
        if link.seal.chain != ("none" if i == 1 else "pass"):
            raise Unproved("fail", f"cv= of set {i} is {link.seal.chain}")
    return links


def _by_instance(signed: Signed, name: bytes) -> dict[int, int]:
    """The fields of that name by their i=. Raises `Unproved`."""
    numbers = signed.numbers(name)
    if len(numbers) > LIMITS.arc_sets:
        raise Unproved("fail", f"more than {LIMITS.arc_sets} sets")
    found = dict[int, int]()
    for number in numbers:
        value = signed.value(number)
        if name == _RESULTS:  # no tag list, only its beginning is
            match = _INSTANCE.match(value)
            text = match[1].decode() if match else ""
        else:
            text = _tags(signed, number).get("i", "")
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= LIMITS.arc_sets:
            raise Unproved("fail", "a set without its number")
        if int(text) in found:
            raise Unproved("fail", f"set {int(text)} twice")
        found[int(text)] = number
    return found


def _tags(signed: Signed, number: int) -> Tags:
    """Raises `Unproved`."""
    value = signed.value(number)
    if len(value) > LIMITS.dkim_field:
        raise Unproved("fail", "field too long")
    try:
        return parse_tags(value)
    except BadTags as error:
        raise Unproved("fail", str(error)) from None


def _link(signed: Signed, results: int, message: int, seal: int, now: float) -> Link:
    """Raises `Unproved` for a seal that cannot be understood."""
    tags = _tags(signed, seal)
    try:
        needed(tags, "a", "b", "cv", "d", "s")
        if "h" in tags:
            raise BadTags("a seal with h=")  # RFC 8617 §4.1.3
        domain, key_name = key_place(tags)
        sealed = Seal(seal, algorithm_of(tags), domain, key_name, octets_of(tags, "b"), tags["cv"].lower())
        if sealed.chain not in ("none", "fail", "pass"):
            raise BadTags("cv= is unknown")
    except (BadTags, Unproved) as error:
        raise Unproved("fail", str(error)) from None
    try:
        claim = claim_of(_tags(signed, message), message, now)
        if _SEAL in claim.names:
            raise BadTags("h= with ARC-Seal")  # RFC 8617 §4.1.2
    except (BadTags, Unproved) as error:
        return Link(results, message, sealed, Unproved("fail", str(error)))
    return Link(results, message, sealed, claim)


# -- the proofs (steps 4 to 6) ----------------------------------------------------------------------------------------


async def _messages(resolver: Resolver, signed: Signed, links: Sequence[Link]) -> int:
    """Step 4, the youngest message signature, and step 5: the oldest that still holds. Raises `Unproved`.

    0: all of them hold, nobody changed the message since it was sealed first.
    """
    (youngest,) = await _outcomes(resolver, signed, links[-1:])
    if youngest.word != "pass":
        raise Unproved(_word(youngest.word), f"message signature {len(links)}: {youngest.reason}")
    outcomes = await _outcomes(resolver, signed, links[:-1])
    broken = [i for i, outcome in enumerate(outcomes, 1) if outcome.word != "pass"]
    return broken[-1] + 1 if broken else 0


async def _outcomes(resolver: Resolver, signed: Signed, links: Sequence[Link]) -> list[Outcome]:
    claims = [link.claim for link in links if isinstance(link.claim, Claim)]
    proved = await prove(signed, claims, await keys_of(resolver, [claim.key for claim in claims]))
    found = dict(zip((claim.number for claim in claims), proved, strict=True))
    return [
        found[link.message] if isinstance(link.claim, Claim) else Outcome(link.claim.word, link.claim.reason)
        for link in links
    ]


async def _seals(resolver: Resolver, signed: Signed, links: Sequence[Link]) -> None:
    """Step 6: every seal, each over all sets up to its own (RFC 8617 §5.1.1). Raises `Unproved`."""
    keys = await keys_of(resolver, [(link.seal.key_name, link.seal.algorithm) for link in links])
    before, troubles = sha256(), list[Unproved]()
    for i, (link, those) in enumerate(zip(links, keys, strict=True), 1):
        for number in (link.results, link.message):
            before.update(signed.form(number, relaxed=True))
        own = before.copy()
        own.update(signed.unsigned(link.seal.number, relaxed=True))
        before.update(signed.form(link.seal.number, relaxed=True))
        if trouble := _trouble(link.seal, those, own.digest()):
            troubles.append(Unproved(_word(trouble.word), f"seal {i}: {trouble.reason}"))
    if troubles:
        raise next((trouble for trouble in troubles if trouble.word == "fail"), troubles[0])


def _trouble(seal: Seal, keys: Keys | Unproved, digest: bytes) -> Unproved | Refused | None:
    """Why the seal does not hold."""
    if isinstance(keys, Unproved):
        return keys
    if any(isinstance(key, PublicKey) and key.signed(seal.signature, digest) for key in keys):
        return None
    return keys[0] if isinstance(keys[0], Refused) else Refused("fail", "signature does not fit")


def _word(word: Word) -> Word:
    """A chain passes, fails, or could not be asked about."""
    return word if word == "temperror" else "fail"
