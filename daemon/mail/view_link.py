"""Addresses of messages that are shown in a frame: for a frame of no origin, which no cookie reaches.

Who has one may see one message of one account for some minutes, and the pictures that come with it. Nobody can make one
without the key. It says whether pictures from elsewhere are shown too, so that a message cannot ask for them itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import NamedTuple

_FORM = struct.Struct(">BBQQQ")  # version, with pictures from elsewhere, account, email, end
_VERSION = 1
_MAC = 16  # octets
_TEXT = re.compile(rf"[A-Za-z0-9_-]{{{(_FORM.size + _MAC) * 4 // 3}}}")  # a multiple of three: no padding
_PURPOSE = b"mailctl message view\0"


class ViewLink(NamedTuple):
    """`expires`: seconds since 1970. Numbers are below 2**64."""

    account_id: int
    email_id: int
    remote: bool
    expires: int


def make(link: ViewLink, key: bytes) -> str:
    """In letters that a URL may have."""
    packed = _FORM.pack(_VERSION, link.remote, link.account_id, link.email_id, link.expires)
    return base64.urlsafe_b64encode(packed + _mac(packed, key)).decode()


def read(text: str, key: bytes, now: float) -> ViewLink | None:
    """None for what is not ours, or is no more. What is compared takes the same time whatever was forged."""
    if not _TEXT.fullmatch(text):
        return None
    octets = base64.urlsafe_b64decode(text)
    packed, mac = octets[: _FORM.size], octets[_FORM.size :]
    if not hmac.compare_digest(mac, _mac(packed, key)):
        return None
    _, remote, account_id, email_id, expires = _FORM.unpack(packed)
    return ViewLink(account_id, email_id, bool(remote), expires) if now <= expires else None


def _mac(packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + packed, hashlib.sha256)[:_MAC]
