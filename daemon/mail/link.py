"""Links that are a right: who has one may do one thing to one kept message, until a day. Made and checked here.

A link is sent to the user whom the message was for; nobody needs to log in, and nobody can make one without the key. It
names the message, the user, the deed and its end, under an HMAC of all of that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import NamedTuple

ACTIONS = ("release", "allow", "block")
_FORM = struct.Struct(">BBQQQ")  # version, deed, message, user, end
_VERSION = 1
_MAC = 16  # octets
_TEXT = re.compile(rf"[A-Za-z0-9_-]{{{(_FORM.size + _MAC) * 4 // 3}}}")  # a multiple of three: no padding
_PURPOSE = b"mailctl quarantine link\0"


class BadLink(ValueError):
    """Not one of ours, or no more. `reason`: malformed, forged, expired."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Link(NamedTuple):
    """`expires`: seconds since 1970. Numbers are below 2**64."""

    action: str
    number: int
    account_id: int
    expires: int


def make(link: Link, key: bytes) -> str:
    """In letters that a URL may have."""
    packed = _FORM.pack(_VERSION, ACTIONS.index(link.action), link.number, link.account_id, link.expires)
    return base64.urlsafe_b64encode(packed + _mac(packed, key)).decode()


def read(text: str, key: bytes, now: float) -> Link:
    """Raises `BadLink`. What is compared takes the same time whatever was forged."""
    if not _TEXT.fullmatch(text):
        raise BadLink("malformed")
    octets = base64.urlsafe_b64decode(text)
    packed, mac = octets[: _FORM.size], octets[_FORM.size :]
    if not hmac.compare_digest(mac, _mac(packed, key)):
        raise BadLink("forged")
    _, deed, number, account_id, expires = _FORM.unpack(packed)  # we made it, so it is of a form we know
    if now > expires:
        raise BadLink("expired")
    return Link(ACTIONS[deed], number, account_id, expires)


def _mac(packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + packed, hashlib.sha256)[:_MAC]
