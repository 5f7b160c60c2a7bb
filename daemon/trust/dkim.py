"""DKIM: which domains answer for this message (RFC 6376 §6, RFC 8301, RFC 8463, RFC 8616).

`verify` gives one `Signature` for each DKIM-Signature field, from the top. What the words mean here:

 pass       the domain signed this message, all of its body and every From field it has
 fail       header or body are not those that were signed
 policy     not looked at further, or true but less than it seems: an expired signature, one from the future, a key
            too weak (RFC 8301 §3.2) or too large; a signature that leaves the end of the body (l=) or a From field
            to anybody who adds one (RFC 6376 §8.2, §8.15); one signature too many
 neutral    the field has errors of syntax, or asks for what we do not know
 temperror  the key could not be asked for now
 permerror  it can never be verified: no key, a revoked or wrong one, From not signed, rsa-sha1 (RFC 8301 §3.1)

l= is refused although RFC 6376 allows it: whoever has such a message can put another text behind it, or with MIME in
front of it, under the name of the signer. Where l= covers the whole body there is no such end, and it passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.resolver import Resolver
from daemon.trust.proof import Claim, claim_of, keys_of, prove
from daemon.trust.public_key import Keys, PublicKey, Refused, Unproved
from daemon.trust.results import Signature
from daemon.trust.signed import Signed
from daemon.trust.tags import BadTags, Tags, needed, parse_tags

if TYPE_CHECKING:
    from daemon.mail.header import Data

_START = 8  # characters of b= that tell a signature from others (RFC 6008 §3)


async def verify(resolver: Resolver, data: Data, *, now: float) -> tuple[Signature, ...]:
    """Every DKIM-Signature of the message `data`, from the top; those over `LIMITS.dkim_signatures` are one result."""
    signed = Signed(data)
    numbers = signed.numbers(b"dkim-signature")
    told, claims = list[Signature](), dict[int, Claim]()
    for place, number in enumerate(numbers[: LIMITS.dkim_signatures]):
        signature, claim = _read(signed, number, now)
        told.append(signature)
        if claim:
            claims[place] = claim
    if claims:
        keys = await keys_of(resolver, [claim.key for claim in claims.values()])
        keys = [_for_identity(those, told[place]) for place, those in zip(claims, keys, strict=True)]
        for place, outcome in zip(claims, await prove(signed, list(claims.values()), keys), strict=True):
            word, reason, bits, testing = outcome
            told[place] = told[place]._replace(result=word, reason=reason, bits=bits, testing=testing)
    if len(numbers) > len(told):
        told.append(Signature("policy", reason=f"{len(numbers) - len(told)} more signatures, not looked at"))
    return tuple(told)


def _read(signed: Signed, number: int, now: float) -> tuple[Signature, Claim | None]:
    """What the field says of itself, and its claim unless the result is known already."""
    value = signed.value(number)
    if len(value) > LIMITS.dkim_field:
        return Signature("policy", reason="signature field too long"), None
    try:
        tags = parse_tags(value)
    except BadTags as error:
        return Signature("neutral", reason=str(error)), None
    told = Signature(
        "neutral", _shown(tags, "d").lower(), _shown(tags, "s"), _shown(tags, "i") or f"@{_shown(tags, 'd')}",
        _shown(tags, "a").lower(), start="".join(tags.get("b", "").split())[:_START],
    )  # fmt: skip
    try:
        needed(tags, "v")
        if tags["v"] != "1":
            raise Unproved("neutral", "unknown version")
        claim = claim_of(tags, number, now)
        _within(tags, claim.domain)
    except BadTags as error:
        return told._replace(reason=str(error)), None
    except Unproved as error:
        return told._replace(result=error.word, reason=error.reason), None
    return told._replace(domain=claim.domain), claim


def _shown(tags: Tags, name: str) -> str:
    """A value for people and for Authentication-Results; '' when it is too long or not printable."""
    value = tags.get(name, "")
    return value if len(value) <= LIMITS.smtp_address and value.isprintable() else ""


def _within(tags: Tags, domain: str) -> None:
    """RFC 6376 §6.1.1: i= is of the domain or of one below it. Raises `BadTags` and `Unproved`."""
    if "i" not in tags:
        return
    identity = _domain_of(tags["i"])
    if not identity:
        raise BadTags("i= is not an identity")
    if not f".{identity}".endswith(f".{domain}"):
        raise Unproved("permerror", "i= is not within d=")


def _domain_of(identity: str) -> str:
    """In A-labels; '' for what is no identity."""
    try:
        return normal_domain(identity.rpartition("@")[2]) if "@" in identity else ""
    except BadAddress:
        return ""


def _for_identity(keys: Keys | Unproved, told: Signature) -> Keys | Unproved:
    """Keys with t=s are not for identities below the domain (RFC 6376 §3.6.1)."""
    if isinstance(keys, Unproved) or _domain_of(told.identity) == told.domain:
        return keys
    refusal = Refused("permerror", "the key is not for domains below its own")
    return tuple(
        refusal._replace(bits=key.bits, testing=key.testing) if isinstance(key, PublicKey) and key.exact else key
        for key in keys
    )
