"""GETMETADATA, SETMETADATA and the reply METADATA; the examples of RFC 5464."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.wire.imap_metadata import GetMetadata, SetMetadata
from daemon.wire.imap_reply import metadata_line, metadata_names_line
from tests.wire.imap_parsing import refusal_of, value_of

BOTH = ("/shared/comment", "/private/comment")


@pytest.mark.parametrize(
    "text,want",
    [
        ('GETMETADATA "" /shared/comment', GetMetadata("", BOTH[:1])),
        ('GETMETADATA "INBOX" (/shared/comment /private/comment)', GetMetadata("INBOX", BOTH)),
        ("GETMETADATA inbox /shared/comment /private/comment", GetMetadata("INBOX", BOTH)),
        ('GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)', GetMetadata("INBOX", BOTH, 0, 1024)),
        ('GETMETADATA (MAXSIZE 1024) "INBOX" (/shared/comment /private/comment)', GetMetadata("INBOX", BOTH, 0, 1024)),
        ('GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)',
         GetMetadata("INBOX", ("/private/filters/values",), 1)),
        ('getmetadata (depth Infinity maxsize 0) Entw&APw-rfe "/Private"',
         GetMetadata("Entwürfe", ("/private",), 2, 0)),
        ("GETMETADATA (DEPTH 0) a /shared/a /Shared/A", GetMetadata("a", ("/shared/a",))),
        ("GETMETADATA a (DEPTH 1) /shared/a", GetMetadata("a", ("/shared/a",), 1)),
        ("GETMETADATA () a {9+}\r\n/shared/a", GetMetadata("a", ("/shared/a",))),
        ("SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines.)",
         SetMetadata("INBOX", (("/private/comment", b"My new comment across\r\ntwo lines."),))),
        ("SETMETADATA INBOX (/private/comment NIL)", SetMetadata("INBOX", (("/private/comment", None),))),
        ('SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")',
         SetMetadata("INBOX", (("/private/comment", b"My new comment"), ("/shared/comment", b"This one is for you!")))),
        ('SETMETADATA "" (/shared/a "1" /shared/b nil /Shared/A "2")',
         SetMetadata("", (("/shared/b", None), ("/shared/a", b"2")))),
        (b"SETMETADATA a (/shared/vendor/x/y ~{3+}\r\n\0\xff\r)",
         SetMetadata("a", (("/shared/vendor/x/y", b"\0\xff\r"),))),
        ('SETMETADATA a (/shared/vendors "")', SetMetadata("a", (("/shared/vendors", b""),))),
    ],
)  # fmt: skip
def test_what_is_asked(text, want):
    assert value_of(text) == want


NAME = "BAD an entry is /private/... or /shared/... in ASCII, without * and % and empty levels"


@pytest.mark.parametrize(
    "text,want",
    [
        ("GETMETADATA", "BAD mailbox name expected"),
        ("GETMETADATA a", "BAD entry expected"),
        ("GETMETADATA a ()", "BAD entry expected"),
        ("GETMETADATA a (DEPTH 2) /shared/a", "BAD a depth is 0, 1 or infinity"),
        ("GETMETADATA (MAXSIZE -1) a /shared/a", "BAD size expected"),
        ("GETMETADATA (MAXSIZE 99999999999999999999) a /shared/a", "BAD size expected"),
        ("GETMETADATA (LEVEL 1) a /shared/a", "BAD unknown GETMETADATA option"),
        ("GETMETADATA a (/shared/a) /shared/b", "BAD unknown GETMETADATA option"),
        ("GETMETADATA a /shared/a (DEPTH 1)", "BAD entry expected"),
        ("GETMETADATA a (DEPTH 1) (/shared/a) b", "BAD too many arguments"),
        *[(f'GETMETADATA a "{name}"', NAME) for name in
          ("", "/", "/comment", "shared/a", "/shared/", "/shared//a", "/shared/*", "/shared/a%", "/shared/ü",
           "/sharedx")],
        ("GETMETADATA a /shared/" + "a" * LIMITS.metadata_name, "BAD the name of an entry is too long"),
        ("SETMETADATA a", "BAD entries with values expected"),
        ("SETMETADATA a ()", "BAD entry expected"),
        ("SETMETADATA a /shared/a b", "BAD entries with values expected"),
        ("SETMETADATA a (/shared/a)", "BAD value expected"),
        ("SETMETADATA a (/shared/a b)", "BAD value expected"),
        ('SETMETADATA a (/shared/a "b") c', "BAD too many arguments"),
        ('SETMETADATA a (/shared "b")', "BAD an entry with too few levels"),
        ('SETMETADATA a (/shared/Vendor "b")', "BAD an entry with too few levels"),
        ('SETMETADATA a (/private/vendor/x "b")', "BAD an entry with too few levels"),
        ('SETMETADATA a (/shared/a% "b")', NAME),
        (f"SETMETADATA a (/shared/a {{{LIMITS.metadata_value + 1}}}",
         f"NO [METADATA MAXSIZE {LIMITS.metadata_value}] value too long"),
        (b"SETMETADATA a (/shared/a {1+}\r\n\0)", "BAD NUL in a literal"),
    ],
)  # fmt: skip
def test_what_is_refused(text, want):
    assert refusal_of(text) == want


def test_entries_of_one_command_are_counted():
    limits = replace(LIMITS, metadata_entries=2)
    assert value_of("GETMETADATA a (/shared/a /shared/b)", limits).entries == ("/shared/a", "/shared/b")
    assert refusal_of("GETMETADATA a (/shared/a /shared/b /shared/c)", limits) == "BAD over 2 entries"
    assert refusal_of("SETMETADATA a (/shared/a NIL /shared/b NIL /shared/c NIL)", limits) == "BAD over 2 entries"


def test_entries_asked_of_every_mailbox_are_few():
    limits = replace(LIMITS, metadata_listed=2)
    assert value_of('LIST "" * RETURN (METADATA (/shared/a /shared/b))', limits).metadata == ("/shared/a", "/shared/b")
    text = 'LIST "" * RETURN (METADATA (/shared/a /shared/b /shared/c))'
    assert refusal_of(text, limits) == "BAD over 2 entries"


def test_the_reply():
    assert metadata_line("", [("/shared/a", b"x y")]) == b'* METADATA "" (/shared/a "x y")\r\n'
    assert metadata_line("Entwürfe", [("/shared/a b", None), ("/shared/c", b"\r\n"), ("/shared/d", b"\0")]) == (
        b'* METADATA Entw&APw-rfe ("/shared/a b" NIL /shared/c {2}\r\n\r\n /shared/d ~{1}\r\n\0)\r\n'
    )
    assert metadata_names_line("", ["/shared/a"]) == b'* METADATA "" /shared/a\r\n'
    assert metadata_names_line("a b", ["/shared/a", "/shared/b c"]) == b'* METADATA "a b" /shared/a "/shared/b c"\r\n'
