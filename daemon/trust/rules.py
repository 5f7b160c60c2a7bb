"""Fixed rules about the content of a message, which no training changes: the test string by which a filter is tried."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from daemon.limits import LIMITS

if TYPE_CHECKING:
    from daemon.mail.header import Data

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""The Generic Test for Unsolicited Bulk Email, as SpamAssassin defines it."""
_NEEDLES = (GTUBE, *(base64.b64encode(GTUBE[at : at + 27]) for at in (0, 1, 2, 30, 31, 32)))
"""As it is, and how it looks in base64: in each of three places in a group, one of its halves is on one line."""


def met(data: Data) -> tuple[str, ...]:
    """The rules that a message meets: words of `weights.WEIGHTS`."""
    most = min(len(data), LIMITS.spam_text)
    return ("gtube",) if any(data.find(needle, 0, most) >= 0 for needle in _NEEDLES) else ()
