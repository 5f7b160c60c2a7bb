"""SPF's macro strings (RFC 7208 section 7): read once, written out for each sender. Nothing here asks or decides.

string = domain_spec("%{ir}.%{l1r-}._spf.%{d}")
expand(string, {"i": "192.0.2.1", "l": "strong-bad", "d": "example.org"})   # 1.2.0.192.strong._spf.example.org
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from daemon.limits import LIMITS

_EXPLAINING = frozenset("crt")  # RFC 7208 §7.2: letters for explanations only
_MACRO = r"%\{([slodiphcrtv])([0-9]*)(r?)([-.+,/_=]*)\}|%([%_-])"
_PIECE = re.compile(_MACRO + r"|([!-$&-~]+)", re.IGNORECASE | re.ASCII)
_PIECE_OF_TEXT = re.compile(_MACRO + r"|([ -$&-~]+)", re.IGNORECASE | re.ASCII)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_TOP_LABEL = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_NAME_OCTETS = 253  # RFC 7208 §7.3: longer names lose labels on the left
_LABEL_OCTETS = 63  # RFC 1035 §2.3.4


class BadSyntax(ValueError):
    """A record, term or macro that RFC 7208's grammar does not know; the text says why."""


class Macro(NamedTuple):
    """`%{...}`. `keep`: how many parts from the right stay, 0 for all. `escape`: for a URL (an upper-case letter)."""

    letter: str
    keep: int = 0
    reverse: bool = False
    delimiters: str = "."
    escape: bool = False


MacroString = tuple[str | Macro, ...]


def domain_spec(text: str) -> MacroString:
    """A name to ask for: it ends in a macro or in a top label that can be one. Raises `BadSyntax`."""
    string, literal_end = _read(text, _PIECE)
    if _EXPLAINING & letters(string):
        raise BadSyntax("a macro that is for explanations only")
    if literal_end:
        _, dot, label = literal_end.removesuffix(".").rpartition(".")
        if not dot or not _TOP_LABEL.fullmatch(label):
            raise BadSyntax("not a domain name")
    elif not string:
        raise BadSyntax("empty domain name")
    return string


def macro_string(text: str) -> MacroString:
    """The value of a modifier that nobody knows: it must be well-formed all the same. Raises `BadSyntax`."""
    return _read(text, _PIECE)[0]


def explain_string(text: str) -> MacroString:
    """What a domain says to those it refuses: words too, and every letter. Raises `BadSyntax`."""
    return _read(text, _PIECE_OF_TEXT)[0]


def _read(text: str, piece: re.Pattern[str]) -> tuple[MacroString, str]:
    """The pieces of `text`, and the literal text it ends in ('' where a macro or an escape ends it)."""
    string: list[str | Macro] = []
    at = macros = 0
    literal = ""
    while at < len(text):
        found = piece.match(text, at)
        if not found:
            raise BadSyntax("a percent sign that begins no macro" if text[at] == "%" else "a character out of place")
        letter, digits, reverse, delimiters, escape, literal = found.groups("")
        macros += bool(letter)
        if macros > LIMITS.spf_macros:
            raise BadSyntax(f"more than {LIMITS.spf_macros} macros in one term")
        if letter:
            string.append(Macro(letter.lower(), _keep(digits), bool(reverse), delimiters or ".", letter.isupper()))
        else:
            string.append(literal or _ESCAPES[escape])
        at = found.end()
    return tuple(string), literal


def _keep(digits: str) -> int:
    if digits and not digits.strip("0"):
        raise BadSyntax("a macro that keeps no part")  # RFC 7208 §7.1: "the value MUST be nonzero"
    return int(digits.lstrip("0")[:5] or 0)  # no name has ten thousand parts


def letters(string: MacroString) -> set[str]:
    """Which values `expand` will look for."""
    return {piece.letter for piece in string if isinstance(piece, Macro)}


def expand(string: MacroString, values: Mapping[str, str]) -> str:
    """The string with its macros replaced by `values`, one for each of its `letters`."""
    return "".join(piece if isinstance(piece, str) else _expanded(piece, values[piece.letter]) for piece in string)


def _expanded(macro: Macro, value: str) -> str:
    if macro.keep or macro.reverse or macro.delimiters != ".":
        parts = re.split(f"[{re.escape(macro.delimiters)}]", value)
        if macro.reverse:
            parts.reverse()
        value = ".".join(parts[-macro.keep :])
    return quote(value, safe="") if macro.escape else value


def target_name(text: str) -> str:
    """An expanded name as the DNS can be asked for it, or '' when there can be no such name: then nothing matches
    (RFC 7208 §4.8, and RFC 8616 §4 for local parts that are not ASCII)."""
    name = text.removesuffix(".")
    if len(name) > _NAME_OCTETS:
        name = name[-_NAME_OCTETS - 1 :].partition(".")[2]
    if not (name.isascii() and name.isprintable()):
        return ""
    return name if all(0 < len(label) <= _LABEL_OCTETS for label in name.split(".")) else ""
