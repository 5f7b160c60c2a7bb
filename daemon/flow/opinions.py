"""What every other filter is asked with, and how its header fields are understood as an opinion."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.mail.changes import Add, Edit, Insert, Replace
from daemon.trust.results import Opinion


class Broken(Exception):
    """A filter did what it may not, or nothing at all; the message is for people."""


class Patience(NamedTuple):
    """`until` (the loop's time) all must be done; one answer may take `answer` seconds."""

    until: float
    answer: float


class Question(NamedTuple):
    """What is known beside the message: our name, where it comes from, its trace, the peer's name in the DNS ('' for
    none), who logged in, and the time in milliseconds."""

    hostname: str
    origin: Origin
    trace: str
    reverse: str
    user: str
    now: int


_STATUS = re.compile(r"\s*(yes|no)\b[,;]?(.*)", re.IGNORECASE | re.DOTALL)
_NUMBER = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_SCORE = re.compile(rf"\b(?:score|hits)={_NUMBER}(?:\s+required={_NUMBER})?")  # SpamAssassin; rspamd without required
_RESULT = re.compile(rf"\[{_NUMBER} / {_NUMBER}\]")  # rspamd's X-Spamd-Result
_TESTS = re.compile(r"\btests=([A-Z0-9_,\s]*)")
_SYMBOL = re.compile(rf"([A-Z][A-Z0-9_]{{1,60}})\({_NUMBER}\)")
_INFECTED = re.compile(r"\(([^()]{1,200})\)")  # clamav-milter: Infected (NAME)
_LONG = 16 * 1024  # octets of a field looked at


def of_fields(engine: str, edits: Iterable[Edit]) -> Opinion:
    """The opinion that a filter tells in fields it adds: SpamAssassin's, rspamd's, a virus scanner's."""
    junk, score, required, symbols = False, None, None, list[str]()
    text = virus = ""
    for one in edits:
        if not isinstance(one, Add | Insert | Replace):
            continue
        name, value = one.name.lower(), one.value[:_LONG].decode("utf-8", "replace").strip()
        if name in (b"x-spam-flag", b"x-spam", b"x-spam-status"):
            said = _STATUS.match(value)
            junk |= bool(said) and value[:3].lower() == "yes"
        elif name == b"x-virus-status" and value.lower().startswith("infected"):
            junk, text = True, value[: LIMITS.filter_words]
            found = _INFECTED.search(value)
            virus = (found[1] if found else value)[: LIMITS.virus_name]
        if name in (b"x-spam-status", b"x-spamd-result"):
            if found := _SCORE.search(value) or _RESULT.search(value):
                score, required = float(found[1]), float(found[2]) if found[2] else required
            if tests := _TESTS.search(value):
                symbols += tests[1].replace(",", " ").split()
            symbols += [f"{symbol}({points})" for symbol, points in _SYMBOL.findall(value)]
    action: Literal["junk", "accept"] = "junk" if junk else "accept"
    return Opinion(engine, action, score, required, tuple(symbols[: LIMITS.filter_symbols]), text, virus=virus)


def number(value: object) -> float | None:
    """A number that can be counted with, from a stranger's JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9 or math.isnan(value):
        return None
    return float(value)
