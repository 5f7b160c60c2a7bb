"""FILTER of draft-bosch-imap-filter-sieve-00: its commands and its answers."""

from __future__ import annotations

import pytest

from daemon.wire.imap_filter import Filter, filter_line, filtered_line
from daemon.wire.imap_search import All, And, Flag, Header, ModSeq, Not
from tests.wire.imap_parsing import refusal_of, value_of

NEW = And((Flag("\\Recent"), Not(Flag("\\Seen"))))


@pytest.mark.parametrize(
    "text,want",
    [
        ("SIEVE DELIVERY ALL", Filter("DELIVERY", "", All())),
        ('sieve personal "new" NEW', Filter("PERSONAL", "new", NEW)),
        ("SIEVE GLOBAL site ALL", Filter("GLOBAL", "site", All())),
        ("SIEVE PERSONAL {4+}\r\n\u00e4\u00e4 ALL", Filter("PERSONAL", "\u00e4\u00e4", All())),
        ("SIEVE SCRIPT {12+}\r\nkeep;\r\nstop; ALL", Filter("SCRIPT", "keep;\r\nstop;", All())),
        ('SIEVE SCRIPT "keep;" CHARSET UTF-8 TO x', Filter("SCRIPT", "keep;", Header("TO", "x"))),
        ('SIEVE SCRIPT "" MODSEQ 7', Filter("SCRIPT", "", ModSeq(7), modseq=True)),
    ],
)
def test_what_is_to_be_filtered_by_which_script(text: str, want: Filter) -> None:
    assert value_of(f"FILTER {text}") == want
    assert value_of(f"UID FILTER {text}") == Filter(want.source, want.script, want.key, True, want.modseq)


@pytest.mark.parametrize(
    "text,want",
    [
        (b"", "BAD type of filter expected"),
        (b"PROCMAIL x ALL", "BAD SIEVE is the only type of filter"),
        (b"SIEVE", "BAD source of the script expected"),
        (b"SIEVE LOCAL x ALL", "BAD DELIVERY, PERSONAL, GLOBAL or SCRIPT expected"),
        (b"SIEVE PERSONAL (x) ALL", "BAD name of the script expected"),
        (b"SIEVE SCRIPT keep ALL", "BAD script expected"),
        (b"SIEVE SCRIPT {1+}\r\n\xff ALL", "NO [CANNOT] a script and its name are UTF-8"),
        (b"SIEVE DELIVERY", "BAD search key expected"),
        (b"SIEVE DELIVERY CHARSET x SUBJECT y", "NO [BADCHARSET (US-ASCII UTF-8)] that charset is not known here"),
    ],
)
def test_what_is_no_filter(text: bytes, want: str) -> None:
    assert refusal_of(b"FILTER " + text) == want


def test_answers() -> None:
    assert filter_line("a1", "ERRORS", "line 1: no\r\nline 2: \u00e4") == (
        b'* FILTER (TAG "a1") ERRORS {22}\r\nline 1: no\r\nline 2: \xc3\xa4\r\n'
    )
    assert filtered_line(116, "A002", 3321, "OK") == b'* 116 FILTERED (TAG "A002") UID 3321 OK\r\n'
    assert filtered_line(3, "a", 9, "WARNINGS", "x") == b'* 3 FILTERED (TAG "a") UID 9 WARNINGS {1}\r\nx\r\n'
