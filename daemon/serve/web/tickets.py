"""Between two requests of one sign-in the browser carries what was proved so far: signed, for some minutes.

Nothing is kept for whoever begins and never ends. A passkey signs a challenge that is made of its ticket; a ticket that
a passkey answered is used up (`Used`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict

import msgspec

from daemon.admin import keyfile
from daemon.config import DataDir
from daemon.limits import LIMITS

_PURPOSE = b"sign-in ticket"
_MAC = 32
_LONGEST = 2000  # characters of one looked at; an address and some numbers


class Ticket(msgspec.Struct, array_like=True, frozen=True):
    """`kind`: factor (the password was right), passkey (nothing was proved yet), register (of a new passkey)."""

    kind: str
    account_id: int = 0
    login: str = ""
    version: int = 0
    epoch: int = 0
    remember: bool = False
    host: str = ""
    until: int = 0  # ms
    chance: bytes = b""


def make(data: DataDir, ticket: Ticket, now: int) -> str:
    """In letters for JSON. `now` in ms. Raises `OSError`."""
    until = now + LIMITS.sign_in_patience * 1000
    whole = msgspec.json.encode(msgspec.structs.replace(ticket, until=until, chance=secrets.token_bytes(16)))
    return base64.urlsafe_b64encode(_mac(data, whole) + whole).decode()


def read(data: DataDir, text: str, kind: str, now: int) -> Ticket | None:
    """None when it is none of ours, of another kind, or too old. Raises `OSError`."""
    try:
        octets = base64.b64decode(text[:_LONGEST], b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, whole = octets[:_MAC], octets[_MAC:]
    if not hmac.compare_digest(mac, _mac(data, whole)):
        return None
    ticket = msgspec.json.decode(whole, type=Ticket)
    return ticket if ticket.kind == kind and ticket.until > now else None


def challenge(data: DataDir, text: str) -> bytes:
    """What a passkey signs for this ticket."""
    return hmac.digest(keyfile.key(data, b"passkey challenge"), text.encode(), hashlib.sha256)


class Used:
    """Tickets that nobody may use again. One per process."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, int] = OrderedDict()

    def take(self, text: str, now: int) -> bool:
        """Whether it was not used before; it is now."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        name = hashlib.sha256(text.encode()).digest()
        if name in self._until or len(self._until) >= LIMITS.sign_ins_used:
            return False
        self._until[name] = now + LIMITS.sign_in_patience * 1000
        return True


def _mac(data: DataDir, whole: bytes) -> bytes:
    return hmac.digest(keyfile.key(data, _PURPOSE), whole, hashlib.sha256)
