"""FILTER: messages that are to be looked at again by Sieve scripts (draft-bosch-imap-filter-sieve-00, as Pigeonhole).

`FILTER SIEVE` and `UID FILTER SIEVE` with DELIVERY, PERSONAL name, GLOBAL name or SCRIPT text, then the keys of SEARCH.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.wire.imap import Bad
from daemon.wire.imap_arguments import Arguments
from daemon.wire.imap_reply import literal
from daemon.wire.imap_search import Key, parse_criteria


@dataclass(frozen=True, slots=True)
class Filter:
    """`source` is DELIVERY, PERSONAL, GLOBAL or SCRIPT; `script` the name of one, or for SCRIPT its text."""

    source: str
    script: str
    key: Key
    uid: bool = False
    modseq: bool = False


def parse_filter(words: Arguments, *, uid: bool) -> Filter:
    """Raises `Bad`, with NO for a charset that is not known (section 3.2) and for octets that are no UTF-8."""
    if words.keyword("type of filter") != "SIEVE":
        raise Bad("SIEVE is the only type of filter")
    source, script = words.keyword("source of the script"), b""
    if source in ("PERSONAL", "GLOBAL"):
        script = words.astring("name of the script")
    elif source == "SCRIPT":
        script = words.string("script")
    elif source != "DELIVERY":
        raise Bad("DELIVERY, PERSONAL, GLOBAL or SCRIPT expected")
    try:
        text = script.decode()
    except UnicodeDecodeError:
        raise Bad("a script and its name are UTF-8", status="NO", code="CANNOT") from None
    key, modseq = parse_criteria(words)
    return Filter(source, text, key, uid, modseq)


def filter_line(tag: str, problem: str, text: str) -> bytes:
    """`* FILTER (TAG "a1") ERRORS {n}` (section 3.4): what keeps the whole filter from running."""
    return b'* FILTER (TAG "%b") %b %b\r\n' % (tag.encode(), problem.encode(), literal(text.encode("utf-8", "replace")))


def filtered_line(number: int, tag: str, uid: int, result: str, text: str = "") -> bytes:
    """`* 3 FILTERED (TAG "a1") UID 7 OK` (section 3.3); the UID always, as Pigeonhole does."""
    said = b" " + literal(text.encode("utf-8", "replace")) if text else b""
    return b'* %d FILTERED (TAG "%b") UID %d %b%b\r\n' % (number, tag.encode(), uid, result.encode(), said)
