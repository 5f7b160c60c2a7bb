"""How things of a user are called towards clients: one spelling for JMAP (RFC 8620 §1.2) and IMAP (RFC 8474)."""

from __future__ import annotations

import re

ACCOUNT, MAILBOX, EMAIL, THREAD = "u", "m", "e", "t"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def number(kind: str, text: str) -> int | None:
    """The number in an id of this kind; None when it is none of ours."""
    found = text[1:] if text[:1] == kind else ""
    return int(found) if _NUMBER.fullmatch(found) else None


def is_id(value: object) -> bool:
    """Whether it may be an id of anybody's (RFC 8620 §1.2)."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None
