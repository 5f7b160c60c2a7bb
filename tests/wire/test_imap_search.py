"""Search keys to a tree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from daemon.limits import LIMITS
from daemon.wire.imap_search import (
    CHARSETS,
    Age,
    All,
    And,
    Day,
    Flag,
    Header,
    ModSeq,
    Not,
    Numbers,
    ObjectId,
    Or,
    Search,
    Size,
    Text,
)
from daemon.wire.imap_set import SequenceSet
from tests.wire.imap_parsing import refusal_of, value_of

SEEN, DELETED, RECENT = Flag("\\Seen"), Flag("\\Deleted"), Flag("\\Recent")
A, B, C, D = (Header("FROM", name) for name in "abcd")


@pytest.mark.parametrize(
    "text,want",
    [
        ("ALL", All()),
        ("seen", SEEN),
        ("EMAILID e12", ObjectId("EMAILID", "e12")),
        ("threadid t-_9", ObjectId("THREADID", "t-_9")),
        ("UNSEEN", Not(SEEN)),
        ("ANSWERED", Flag("\\Answered")),
        ("UNANSWERED", Not(Flag("\\Answered"))),
        ("DELETED UNDELETED", And((DELETED, Not(DELETED)))),
        ("DRAFT", Flag("\\Draft")),
        ("UNDRAFT", Not(Flag("\\Draft"))),
        ("FLAGGED", Flag("\\Flagged")),
        ("UNFLAGGED", Not(Flag("\\Flagged"))),
        ("RECENT", RECENT),
        ("OLD", Not(RECENT)),
        ("NEW", And((RECENT, Not(SEEN)))),
        ("KEYWORD $Forwarded", Flag("$Forwarded")),
        ("UNKEYWORD junk", Not(Flag("junk"))),
        ("1:3,*", Numbers(SequenceSet(((1, 3), (None, None))))),
        ("*", Numbers(SequenceSet(((None, None),)))),
        ("UID 5:*", Numbers(SequenceSet(((5, None),)), uid=True)),
        ("BCC x", Header("BCC", "x")),
        ("CC x", Header("CC", "x")),
        ("FROM x", Header("FROM", "x")),
        ('SUBJECT "hello (there)"', Header("SUBJECT", "hello (there)")),
        ("TO {3+}\r\na\r\n", Header("TO", "a\r\n")),
        ('HEADER Message-ID "<a@b>"', Header("MESSAGE-ID", "<a@b>")),
        ('HEADER X-None ""', Header("X-NONE", "")),
        ("BODY NIL", Text("NIL", header=False)),
        ('TEXT "Käse"', Text("Käse", header=True)),
        ("BEFORE 1-Feb-1994", Day("BEFORE", date(1994, 2, 1))),
        ('ON "29-feb-2024"', Day("ON", date(2024, 2, 29))),
        ("SINCE 01-DEC-2026", Day("SINCE", date(2026, 12, 1))),
        ("SENTBEFORE 1-Jan-2026", Day("BEFORE", date(2026, 1, 1), sent=True)),
        ("SENTON 1-Jan-2026", Day("ON", date(2026, 1, 1), sent=True)),
        ("SENTSINCE 1-Jan-2026", Day("SINCE", date(2026, 1, 1), sent=True)),
        ("LARGER 123", Size(123, larger=True)),
        ("SMALLER 0", Size(0, larger=False)),
        ("OR LARGER 123 SMALLER 123", Or((Size(123, larger=True), Size(123, larger=False)))),  # traps I33
        ("OLDER 3600", Age(3600, older=True)),
        ("YOUNGER 1", Age(1, older=False)),
        ("NOT SEEN", Not(SEEN)),
        ("NOT NOT SEEN", SEEN),
        ("NOT UNSEEN", SEEN),
        ("NOT (SEEN DELETED)", Not(And((SEEN, DELETED)))),
        ("(SEEN)", SEEN),
        ("((SEEN) ((DELETED) RECENT))", And((SEEN, DELETED, RECENT))),
        ("OR FROM a FROM b FROM c", And((Or((A, B)), C))),
        ("OR OR FROM a FROM b FROM c", Or((A, B, C))),
        ("OR FROM a OR FROM b OR FROM c FROM d", Or((A, B, C, D))),
        ("OR NOT FROM a (FROM b FROM c) FROM d", And((Or((Not(A), And((B, C)))), D))),
        ("NOT OR NOT FROM a FROM b", Not(Or((Not(A), B)))),
        ("CHARSET utf-8 SUBJECT {5+}\r\nK\u00e4se", Header("SUBJECT", "Käse")),
        (b"CHARSET ISO-8859-1 SUBJECT {4+}\r\nK\xe4se", Header("SUBJECT", "Käse")),
        (b'CHARSET "windows-1252" TO "\x80"', Header("TO", "€")),
        (b"CHARSET ISO-2022-JP BODY {10+}\r\n\x1b$BF|K\\\x1b(B", Text("日本", header=False)),
        ("CHARSET US-ASCII TO x", Header("TO", "x")),
    ],
)
def test_keys(text, want):
    assert value_of(b"SEARCH " + (text if isinstance(text, bytes) else text.encode())) == Search(want)
    assert value_of(b"UID SEARCH " + (text if isinstance(text, bytes) else text.encode())) == Search(want, uid=True)


@pytest.mark.parametrize(
    "text,want",
    [
        ("RETURN () ALL", ("ALL",)),
        ("RETURN (MIN MAX ALL COUNT) ALL", ("MIN", "MAX", "ALL", "COUNT")),
        ("return (count min count) CHARSET UTF-8 ALL", ("COUNT", "MIN")),
    ],
)
def test_what_esearch_is_to_say(text, want):
    assert value_of(f"UID SEARCH {text}") == Search(All(), uid=True, returns=want)


def test_modseq_is_noticed_wherever_it_stands():
    assert value_of("SEARCH MODSEQ 620162338") == Search(ModSeq(620162338), modseq=True)
    assert value_of('SEARCH OR SEEN MODSEQ "/flags/\\\\draft" all 62').modseq
    assert value_of("SEARCH (SEEN (MODSEQ 0))") == Search(And((SEEN, ModSeq(0))), modseq=True)


@pytest.mark.parametrize(
    "text,want",
    [
        ("", "BAD search key expected"),
        ("()", "BAD search key expected"),
        ("NOT", "BAD search key expected"),
        ("OR SEEN", "BAD search key expected"),
        ("(OR SEEN) SEEN", "BAD search key expected"),
        ('"SEEN"', "BAD search key expected"),
        ("UNRECENT", "BAD unknown search key"),
        ("FUZZY BODY x", "BAD unknown search key"),
        ("$", "BAD unknown search key"),
        ("UN", "BAD unknown search key"),
        ("1x", "BAD that is no sequence set"),
        ("FROM", "BAD search string expected"),
        ("FROM (x)", "BAD search string expected"),
        ("HEADER X", "BAD search string expected"),
        ("KEYWORD \\Seen", "BAD a keyword with characters it may not have"),
        (f"KEYWORD {'k' * 129}", "NO [LIMIT] keyword too long"),
        ("BEFORE 30-Feb-2026", "BAD date expected"),
        ("BEFORE 1-Foo-2026", "BAD date expected"),
        ("BEFORE 1-Jan-0000", "BAD date expected"),
        ("BEFORE 1-Jan-26", "BAD date expected"),
        ("BEFORE 2026-01-01", "BAD date expected"),
        ("BEFORE", "BAD date expected"),
        ("LARGER x", "BAD size expected"),
        ("LARGER -1", "BAD size expected"),
        ("LARGER 99999999999999999999", "BAD size expected"),
        ("OLDER 0", "BAD seconds expected"),
        ('MODSEQ "/flags/x" some 1', "BAD entry type expected"),
        ("MODSEQ x", "BAD mod-sequence expected"),
        ("EMAILID a.b", "BAD object id expected"),
        ("THREADID", "BAD object id expected"),
        ("RETURN (SAVE) ALL", "BAD unknown RETURN option"),
        ("RETURN ALL", "BAD RETURN options expected"),
        (b"SUBJECT {1+}\r\n\xff", "BAD a search string that is not UTF-8"),
        (b"CHARSET US-ASCII SUBJECT {1+}\r\n\xff", "BAD a search string that is not US-ASCII"),
        ("CHARSET zip TEXT x", "NO [BADCHARSET (US-ASCII UTF-8)] that charset is not known here"),
        ("CHARSET rot13 TEXT x", "NO [BADCHARSET (US-ASCII UTF-8)] that charset is not known here"),
    ],
)
def test_what_is_refused(text, want):
    assert refusal_of(b"SEARCH " + (text if isinstance(text, bytes) else text.encode())) == want


def test_every_charset_that_is_known_works():
    for charset in CHARSETS:
        assert value_of(f"SEARCH CHARSET {charset} TO x") == Search(Header("TO", "x"))


def test_long_chains_of_or_are_flat():
    limits = replace(LIMITS, imap_nesting=3)
    text = "SEARCH " + "OR FROM a " * 1000 + "FROM b"
    assert value_of(text, limits).key == Or((A,) * 1000 + (B,))
    text = "SEARCH " + "OR " * 1000 + "FROM a " * 1001
    assert value_of(text, limits).key == Or((A,) * 1001)
    assert value_of("SEARCH " + "NOT " * 1001 + "FROM a", limits).key == Not(A)


def test_depth_is_bounded():
    limits = replace(LIMITS, imap_nesting=4)
    assert value_of("SEARCH NOT OR FROM a NOT FROM b", limits).key == Not(Or((A, Not(B))))
    assert refusal_of("SEARCH OR FROM c NOT OR FROM a NOT FROM b", limits) == "BAD search keys over 4 deep"
    assert refusal_of("SEARCH " + "NOT OR FROM a " * 1000 + "FROM b") == "BAD search keys over 50 deep"
    assert refusal_of("SEARCH OR NEW NOT NOT NOT NEW FROM a", replace(limits, imap_nesting=3)).endswith("3 deep")
