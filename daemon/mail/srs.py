"""The Sender Rewriting Scheme: an envelope sender in our domain for mail that we forward, so that SPF holds.

`SRS0=HASH=TT=their.example=user@ours.example` leads back to `user@their.example`; one that another forwarder made
already becomes `SRS1=HASH=first.example==HASH=TT=their.example=user@ours.example`, which leads back to that forwarder.
The hash is ours alone, so nobody can make us relay with an address he invents; it and the day are written in letters
that survive a host that changes their case. A rewritten address is good for three weeks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from daemon.mail.address import Address, BadAddress, parse_address

_DAYS = 1024  # the day is counted modulo this, in two letters
_VALID = 21  # days
_HASH = 6  # letters of five bits
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_SEPARATORS = "=+-"  # what others may put behind SRS0 and SRS1


class NotOurs(ValueError):
    """Looks rewritten, but not by us, or too long ago. The message is a phrase for the reply."""


def is_rewritten(local: str) -> bool:
    """Whether a local part has the form, whoever made it."""
    return len(local) > 5 and local[:4].upper() in ("SRS0", "SRS1") and local[4] in _SEPARATORS


def rewrite(sender: Address, domain: str, key: bytes, day: int) -> Address:
    """`sender` as an address in our `domain`, on the `day` since 1970."""
    kind, rest = sender.local[:4].upper(), sender.local[5:]
    if is_rewritten(sender.local) and kind == "SRS1" and "=" in rest:
        first = rest.partition("=")[2]  # first.example==...: whoever comes third leads back to the first, not to us all
        return Address(_signed("1", first, key), domain)
    if is_rewritten(sender.local) and kind == "SRS0":
        first = f"{sender.domain}={sender.local[4:]}"
        return Address(_signed("1", first, key), domain)
    stamp = _LETTERS[day % _DAYS >> 5] + _LETTERS[day % 32]
    rest = f"{stamp}={sender.domain}={sender.local}"
    return Address(_signed("0", rest, key), domain)


def reverse(local: str, key: bytes, day: int) -> Address:
    """The address that a rewritten local part leads back to. Raises `NotOurs`."""
    given, _, rest = local[5:].partition("=")
    if (
        not is_rewritten(local)
        or not rest
        or not hmac.compare_digest(given.lower().encode(), _hash(key, local[3], rest).encode())
    ):
        raise NotOurs("rewritten address is not one of ours")
    try:
        if local[3] == "1":
            domain, _, original = rest.partition("=")
            return parse_address(str(Address(f"SRS0{original}", domain)))
        stamp, domain, original = rest.split("=", 2)
        made = _LETTERS.index(stamp[0].lower()) << 5 | _LETTERS.index(stamp[1].lower())
        if (day - made) % _DAYS > _VALID:
            raise NotOurs("rewritten address has expired")
        return parse_address(str(Address(original, domain.lower())))
    except (ValueError, IndexError, BadAddress) as error:
        if isinstance(error, NotOurs):
            raise
        raise NotOurs("rewritten address cannot be read") from None


def _signed(scheme: str, rest: str, key: bytes) -> str:
    return f"SRS{scheme}={_hash(key, scheme, rest)}={rest}"


def _hash(key: bytes, scheme: str, rest: str) -> str:
    digest = hmac.digest(key, f"SRS{scheme}={rest.lower()}".encode(), hashlib.sha256)
    return base64.b32encode(digest)[:_HASH].decode().lower()
