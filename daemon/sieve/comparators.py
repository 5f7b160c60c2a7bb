"""Comparators (RFC 4790): what of a string counts when it is compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from daemon.limits import LIMITS

Key = str | float
_DIGITS = re.compile(r"[0-9]+")


def casemap(text: str) -> str:
    """i;ascii-casemap: ASCII letters alone have no case; in order they are upper-case (RFC 4790 section 9.2.1)."""
    if text.isascii():
        return text.upper()
    return (
        text.encode("utf-8", "surrogatepass").upper().decode("utf-8", "surrogatepass")
    )  # of octets ASCII alone has it


def numeric(text: str) -> float:
    """i;ascii-numeric: the digits in front; what begins with none is above every number."""
    found = _DIGITS.match(text)
    if found is None:
        return float("inf")
    digits = found[0].lstrip("0")
    return int(digits or "0") if len(digits) <= LIMITS.sieve_digits else 10**LIMITS.sieve_digits


def unicode_casemap(text: str) -> str:
    """i;unicode-casemap (RFC 5051)."""
    return unicodedata.normalize("NFKD", text.casefold())


class Comparator(NamedTuple):
    """`needs` is the capability, "" for the base language; `substrings`: it can look for a part of a string; `pace`:
    characters that it brings into their normal form in the time of a step."""

    normal: Callable[[str], Key]
    needs: str = ""
    substrings: bool = True
    pace: int = 5000


COMPARATORS = {
    "i;octet": Comparator(str),
    "i;ascii-casemap": Comparator(casemap),
    "i;ascii-numeric": Comparator(numeric, "comparator-i;ascii-numeric", False),
    "i;unicode-casemap": Comparator(unicode_casemap, "comparator-i;unicode-casemap", pace=100),
}


class Way(NamedTuple):
    """How a test compares. `relation`: of `:value` and `:count`, else ""; `captures`: whether the script can ask what a
    wildcard stood for."""

    comparator: Comparator
    relation: str = ""
    captures: bool = True
