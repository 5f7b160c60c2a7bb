"""Flags and keywords of memberships: system flags are bits, a set of keywords is told once and has a number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemon.limits import LIMITS
from daemon.store.errors import Invalid
from daemon.store.tx import Tx

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
SYSTEM = {"\\seen": SEEN, "\\answered": ANSWERED, "\\flagged": FLAGGED, "\\deleted": DELETED, "\\draft": DRAFT}
NAMES = {SEEN: "\\Seen", ANSWERED: "\\Answered", FLAGGED: "\\Flagged", DELETED: "\\Deleted", DRAFT: "\\Draft"}
NONE = 0
_ATOM = re.compile(r"[!#$&\'+-\[^-z|}~]+")  # RFC 3501 §9: flag-keyword = atom; a set is text with blanks between


def set_id(tx: Tx, names: Iterable[str]) -> int:
    """The number of this set, made when new. Raises `Invalid` for too many keywords, or one that is none."""
    unique: dict[str, str] = {}
    for name in names:
        unique.setdefault(name.lower(), name)
    if not unique:
        return NONE
    if len(unique) > LIMITS.imap_keywords:
        raise Invalid(f"a message has at most {LIMITS.imap_keywords} keywords")
    if any(len(n) > LIMITS.imap_keyword_name for n in unique):
        raise Invalid(f"a keyword has at most {LIMITS.imap_keyword_name} octets")
    if not all(_ATOM.fullmatch(n) for n in unique):
        raise Invalid("a keyword is letters, digits and signs without blanks")
    text = " ".join(sorted(unique.values(), key=str.lower))
    known = tx.value("select id from keyword_set where names = ?", text)
    return known if known is not None else tx.insert("insert into keyword_set (names) values (?)", text)


def fitting(names: Iterable[str]) -> tuple[str, ...]:
    """Those that may be keywords, each once, as many as a message may have."""
    found: dict[str, str] = {}
    for name in names:
        if len(name) <= LIMITS.imap_keyword_name and _ATOM.fullmatch(name):
            found.setdefault(name.lower(), name)
    return tuple(found.values())[: LIMITS.imap_keywords]


def names_of(tx: Tx, number: int) -> tuple[str, ...]:
    """The keywords of a set. A set never changes, so the answer may be kept for ever."""
    return tuple((tx.value("select names from keyword_set where id = ?", number) or "").split())


def changed(tx: Tx, number: int, add: Iterable[str], remove: Iterable[str]) -> int:
    """The number of the set with some more and some less; the spelling that is there stays."""
    names = names_of(tx, number)
    have = {n.lower() for n in names}
    gone = {n.lower() for n in remove}
    wanted = [n for n in names if n.lower() not in gone] + [n for n in add if n.lower() not in have]
    return set_id(tx, wanted)


def flag_names(flags: int) -> list[str]:
    return [name for bit, name in NAMES.items() if flags & bit]
