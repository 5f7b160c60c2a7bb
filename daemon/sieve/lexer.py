"""A script as a row of tokens (RFC 5228 section 8.1)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.sieve.errors import Place, ScriptError

_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n]++|\#[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)++)"
    r"|(?P<text>(?i:text):[ \t]*(?:\#[^\n]*+)?\r?\n)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<tag>:[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<number>[0-9]++[KMGkmg]?(?![A-Za-z0-9_]))"
    r'|(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    r"|(?P<mark>[;,(){}\[\]])",
    re.DOTALL,
)
_COMMENT = re.compile(r"\#[^\n]*+|/\*.*?\*/", re.DOTALL)
_TEXT_END = re.compile(r"^\.\r?$\n?", re.MULTILINE)
_STUFFED = re.compile(r"^\.\.", re.MULTILINE)
_BARE = re.compile(r"(?<!\r)\n")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FACTOR = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_BIGGEST = (1 << 63) - 1  # RFC 5228 section 2.4.1 asks for 2**31 - 1


class Token(NamedTuple):
    """`kind`: name, tag, number, string, end, or the mark itself. Names and tags are in lower case."""

    kind: str
    value: str | int
    place: Place


def tokens(script: str) -> Iterator[Token]:
    """The tokens of a script, then one of kind "end". Raises `ScriptError`."""
    lines = [0, *(found.end() for found in re.finditer("\n", script))]

    def place(at: int) -> Place:
        line = bisect_right(lines, at)
        return Place(line, at - lines[line - 1] + 1)

    at, end = 0, len(script)
    while at < end:
        found = _TOKEN.match(script, at)
        if found is None:
            raise ScriptError(place(at), _unknown(script, at))
        kind, word, here = found.lastgroup or "", found[0], at
        at = found.end()
        if kind == "space":
            continue
        if kind == "text":
            close = _TEXT_END.search(script, at)
            if close is None:
                raise ScriptError(place(here), "the text that begins here has no end: a line with a single dot")
            text = _BARE.sub("\r\n", _STUFFED.sub(".", script[at : close.start()]))
            yield Token("string", _checked(text, place(here)), place(here))
            at = close.end()
        elif kind == "string":
            yield Token("string", _checked(_ESCAPED.sub(r"\1", word[1:-1]), place(here)), place(here))
        elif kind == "number":
            yield Token("number", _number(word, place(here)), place(here))
        elif kind == "mark":
            yield Token(word, word, place(here))
        else:
            yield Token(kind, word.lower().lstrip(":"), place(here))
    yield Token("end", "", place(end))


def comments(script: str) -> Iterator[tuple[int, str]]:
    """Every comment that begins with `#`: where it begins, and what it says. Raises `ScriptError`."""
    at = 0
    while at < len(script):
        found = _TOKEN.match(script, at)
        if found is None:
            raise ScriptError(
                Place(script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at)), _unknown(script, at)
            )
        at = found.end()
        if found.lastgroup == "space":
            for comment in _COMMENT.finditer(found[0]):
                if comment[0].startswith("#"):
                    yield found.start() + comment.start(), comment[0]
        elif found.lastgroup == "text":
            close = _TEXT_END.search(script, at)
            at = close.end() if close else len(script)


def _checked(text: str, place: Place) -> str:
    if "\0" in text:
        raise ScriptError(place, "a string must not contain NUL")
    if len(text) > LIMITS.sieve_string:
        raise ScriptError(place, f"a string may have {LIMITS.sieve_string} characters, this one has {len(text)}")
    return text


def _number(word: str, place: Place) -> int:
    digits = word.rstrip("KMGkmg")
    value = int(digits) * _FACTOR.get(word[len(digits) :].lower(), 1) if len(digits) < 20 else _BIGGEST + 1
    if value > _BIGGEST:
        raise ScriptError(
            place, f"the number {word[:20]}{'…' if len(word) > 20 else ''} is too large: at most {_BIGGEST}"
        )
    return value


def _unknown(script: str, at: int) -> str:
    if script[at] == '"':
        return "the string that begins here has no end"
    if script.startswith("/*", at):
        return "the comment that begins here has no end"
    return f"{script[at]!r} has no meaning here"
