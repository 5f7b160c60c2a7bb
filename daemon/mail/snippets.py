"""The place of a text that a search found: a few words around it, with marks (RFC 8621 §5)."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from daemon.limits import LIMITS


def marked(text: str, words: Sequence[str]) -> str | None:
    """A text as HTML with `<mark>` around every place of the words (in lower case); None when none is in it."""
    pattern = _pattern(words)
    if pattern is None or not pattern.search(text):
        return None
    return _mark(text, pattern)


def around(text: str, words: Sequence[str]) -> str | None:
    """A stretch of a text around the first place of a word, at most `LIMITS.snippet` octets of it, marked the same."""
    pattern = _pattern(words)
    found = pattern.search(text) if pattern is not None else None
    if pattern is None or found is None:
        return None
    room = LIMITS.snippet // 2
    start = max(found.start() - room // 3, 0)
    if start:
        start = text.find(" ", start, found.start()) + 1 or start
    stretch = " ".join(text[start : start + room].split())
    shown = _mark(stretch, pattern)
    while len(shown.encode("utf-8", "replace")) > LIMITS.snippet:
        stretch = stretch[: len(stretch) * 3 // 4]
        shown = _mark(stretch, pattern)
    return shown


def _pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    """Longer words first, so that they win over those they begin with."""
    parts = [r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True) if word.split()]
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def _mark(text: str, pattern: re.Pattern[str]) -> str:
    pieces = []
    place = 0
    for found in pattern.finditer(text):
        pieces += [html.escape(text[place : found.start()]), "<mark>", html.escape(found[0]), "</mark>"]
        place = found.end()
    return "".join((*pieces, html.escape(text[place:])))
