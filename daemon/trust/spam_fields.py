"""The fields that tell a user's programs what the filter made of a message, and forged ones.

Names and form are SpamAssassin's, which mail programs and Sieve scripts know. What is written is US-ASCII and folded
(RFC 5322 section 2.2.3), whatever strangers' words are in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.header import named
from daemon.trust.verdict import Verdict

if TYPE_CHECKING:
    from daemon.mail.header import Data

_OURS = (b"x-spam-status", b"x-spam-reasons", b"x-spam-flag", b"x-virus-error", b"x-filter-error")
_QUOTES = str.maketrans("“”", '""')
_UNSAFE = re.compile(r"[^ -~]")
_LINE = 76  # characters


@lru_cache(maxsize=16)
def header(verdict: Verdict, required: float) -> bytes:
    """The fields for a copy with this verdict, each with its line end. `required`: the points of spam."""
    junk = verdict.action in ("junk", "refuse")
    answer = "Yes" if junk else "No"
    lines = [f"X-Spam-Status: {answer}, score={verdict.score:.1f} required={required:.1f} reason={verdict.reason}"]
    if verdict.contributions:
        lines += _folded("X-Spam-Reasons:", told(verdict))
    if junk:
        lines.append("X-Spam-Flag: YES")
    return "".join(f"{line}\r\n" for line in lines).encode()


def told(verdict: Verdict) -> str:
    """What weighs most, in words."""
    return ", ".join(str(each)[: LIMITS.spam_words] for each in verdict.contributions[: LIMITS.spam_reasons])


def _folded(name: str, text: str) -> list[str]:
    """A field in lines that can be read; a word longer than a line is cut, for it says nothing."""
    lines: list[str] = []
    line = name
    for word in _UNSAFE.sub("?", text.translate(_QUOTES)).split():
        word = word[:_LINE]
        if len(line) + len(word) < _LINE:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = f"\t{word}"
    return [*lines, line]


def forged(data: Data) -> list[tuple[int, int]]:
    """Where fields of these names stand in a message from outside, in order: they are not ours."""
    return [(field.start, field.end) for field in named(data, *_OURS)]
