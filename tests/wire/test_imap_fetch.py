"""What FETCH asks for, and how the answer names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.wire.imap_fetch import BodySection, Fetch, Section
from daemon.wire.imap_set import SequenceSet
from tests.wire.imap_parsing import refusal_of, value_of

ONE = SequenceSet(((1, 1),))


@pytest.mark.parametrize(
    "text,want",
    [
        ("FLAGS", ["FLAGS"]),  # without parentheses (traps I17)
        ("(flags Uid)", ["FLAGS", "UID"]),
        ("(FLAGS FLAGS UID FLAGS)", ["FLAGS", "UID"]),
        ("FAST", ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        ("all", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        ("FULL", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]),
        ("(BODY BODYSTRUCTURE MODSEQ)", ["BODY", "BODYSTRUCTURE", "MODSEQ"]),
    ],
)
def test_simple_items_and_macros(text, want):
    assert value_of(f"FETCH 1 {text}") == Fetch(ONE, tuple(want))


def test_uid_fetch_always_tells_the_uid():
    assert value_of("UID FETCH 1 (FLAGS)") == Fetch(ONE, ("UID", "FLAGS"), uid=True)
    assert value_of("UID FETCH 1 (FLAGS UID)") == Fetch(ONE, ("UID", "FLAGS"), uid=True)
    assert value_of("UID FETCH 1 FAST").items == ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE")


def test_changedsince_always_tells_the_modseq():
    want = Fetch(ONE, ("FLAGS", "MODSEQ"), changed_since=12345)
    assert value_of("FETCH 1 FLAGS (CHANGEDSINCE 12345)") == want
    assert value_of("FETCH 1 (FLAGS MODSEQ) (changedsince 12345)") == want


@pytest.mark.parametrize(
    "text,section,echo,partial",
    [
        ("BODY[]", Section(), "BODY[]", None),
        ("body[]<0.9>", Section(), "BODY[]<0>", (0, 9)),
        ("BODY[]<2048.1024>", Section(), "BODY[]<2048>", (2048, 1024)),
        ("BODY[HEADER]", Section((), "HEADER"), "BODY[HEADER]", None),
        ("BODY[text]", Section((), "TEXT"), "BODY[TEXT]", None),
        ("BODY[1]", Section((1,)), "BODY[1]", None),
        ("BODY[2.1]<0.4096>", Section((2, 1)), "BODY[2.1]<0>", (0, 4096)),
        ("BODY[2.10.MIME]", Section((2, 10), "MIME"), "BODY[2.10.MIME]", None),
        ("BODY[3.HEADER]", Section((3,), "HEADER"), "BODY[3.HEADER]", None),
        ("BODY[3.TEXT]", Section((3,), "TEXT"), "BODY[3.TEXT]", None),
        ("BODY[HEADER.FIELDS (From To)]", Section((), "HEADER.FIELDS", (b"FROM", b"TO")),
         "BODY[HEADER.FIELDS (FROM TO)]", None),
        ("BODY[HEADER.FIELDS (FROM TO FROM)]<0.5>", Section((), "HEADER.FIELDS", (b"FROM", b"TO")),
         "BODY[HEADER.FIELDS (FROM TO)]<0>", (0, 5)),
        ('BODY[HEADER.FIELDS ("x y" "To")]', Section((), "HEADER.FIELDS", (b"X Y", b"TO")),
         'BODY[HEADER.FIELDS ("X Y" TO)]', None),
        ("BODY[HEADER.FIELDS ({2+}\r\nTo)]", Section((), "HEADER.FIELDS", (b"TO",)), "BODY[HEADER.FIELDS (TO)]", None),
        ("BODY[4.2.HEADER.FIELDS.NOT (To)]", Section((4, 2), "HEADER.FIELDS.NOT", (b"TO",)),
         "BODY[4.2.HEADER.FIELDS.NOT (TO)]", None),
        ("BODY[HEADER.FIELDS (NIL)]", Section((), "HEADER.FIELDS", (b"NIL",)), 'BODY[HEADER.FIELDS ("NIL")]', None),
    ],
)  # fmt: skip
def test_sections_and_their_echo(text, section, echo, partial):
    seen = BodySection(section, echo.encode(), False, partial)
    assert value_of(f"FETCH 1 {text}") == Fetch(ONE, (seen,))
    assert value_of(f"FETCH 1 ({text} {text})") == Fetch(ONE, (seen,))
    assert value_of(f"FETCH 1 {text} (CHANGEDSINCE 1)") == Fetch(ONE, (seen, "MODSEQ"), changed_since=1)
    if text.startswith("BODY["):
        peeked = text.replace("BODY[", "BODY.PEEK[")
        assert value_of(f"FETCH 1 (UID {peeked} FLAGS)").items == ("UID", replace(seen, peek=True), "FLAGS")


def test_items_of_old():
    rfc822, header, text = value_of("FETCH 1 (RFC822 RFC822.HEADER rfc822.text)").items
    assert rfc822 == BodySection(Section(), b"RFC822")
    assert header == BodySection(Section((), "HEADER"), b"RFC822.HEADER", peek=True)
    assert text == BodySection(Section((), "TEXT"), b"RFC822.TEXT")


@pytest.mark.parametrize(
    "text,want",
    [
        ("FETCH", "BAD sequence set expected"),
        ("FETCH 1", "BAD item expected"),
        ("FETCH 1 ()", "BAD nothing to fetch"),
        ("UID FETCH 1 ()", "BAD nothing to fetch"),
        ("FETCH 0 FLAGS", "BAD that is no sequence set"),
        ("FETCH (1) FLAGS", "BAD sequence set expected"),
        ("FETCH 1 (FAST)", "BAD unknown FETCH item"),
        ('FETCH 1 ("FLAGS")', "BAD item expected"),
        ("FETCH 1 FLAGS UID", "BAD modifiers expected"),
        ("FETCH 1 BINARY[1]", "BAD unknown FETCH item"),
        ("FETCH 1 BODY.PEEK", "BAD unknown FETCH item"),
        ("FETCH 1 BODYX[]", "BAD unknown FETCH item"),
        ("FETCH 1 BODY[", "BAD section not closed, or a partial that is none"),
        ("FETCH 1 BODY[1", "BAD section not closed, or a partial that is none"),
        ("FETCH 1 BODY[]x", "BAD section not closed, or a partial that is none"),
        ("FETCH 1 BODY[]<0>", "BAD section not closed, or a partial that is none"),
        ("FETCH 1 BODY[]<0.0>", "BAD number of octets expected"),
        ("FETCH 1 BODY[]<9999999999999999999.1>", "BAD first octet expected"),
        ("FETCH 1 BODY[MIME]", "BAD MIME wants the number of a part"),
        ("FETCH 1 BODY[0]", "BAD unknown section"),
        ("FETCH 1 BODY[1.]", "BAD unknown section"),
        ("FETCH 1 BODY[1..2]", "BAD unknown section"),
        ("FETCH 1 BODY[TEXT.1]", "BAD unknown section"),
        ("FETCH 1 BODY[1TEXT]", "BAD unknown section"),
        ("FETCH 1 BODY[HEADER.FIELDS]", "BAD field names expected"),
        ("FETCH 1 BODY[HEADER.FIELDS ()]", "BAD field names expected"),
        ("FETCH 1 BODY[HEADER (To)]", "BAD field names not expected"),
        ("FETCH 1 BODY[HEADER.FIELDS (To)", "BAD ] expected"),
        ("FETCH 1 BODY[HEADER.FIELDS (To) x", "BAD section not closed, or a partial that is none"),
        ("FETCH 1 BODY[HEADER.FIELDS ((To))]", "BAD field name expected"),
        ("FETCH 1 (BODY[HEADER.FIELDS (Tü)])", "BAD a field name with characters it may not have"),
        ('FETCH 1 (BODY[HEADER.FIELDS ("a\tb")])', "BAD a field name with characters it may not have"),
        (f"FETCH 1 BODY[{'1.' * 50}1]", "BAD section over 50 deep"),
        ("FETCH 1 FLAGS (VANISHED)", "BAD unknown FETCH modifier"),
        ("FETCH 1 FLAGS (CHANGEDSINCE)", "BAD mod-sequence expected"),
        ("FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "BAD mod-sequence expected"),
        ("FETCH 1 FLAGS (CHANGEDSINCE 1 2)", "BAD too many arguments"),
        ("FETCH 1 FLAGS (CHANGEDSINCE 1) x", "BAD too many arguments"),
    ],
)
def test_what_is_refused(text, want):
    assert refusal_of(text) == want


def test_items_and_field_names_are_counted():
    few = replace(LIMITS, imap_fetch_items=3, imap_field_names=2)
    assert refusal_of("FETCH 1 (UID FLAGS ENVELOPE BODY)", few) == "BAD over 3 FETCH items"
    assert refusal_of("FETCH 1 BODY[HEADER.FIELDS (a b c)]", few) == "BAD over 2 field names"
    assert value_of("UID FETCH 1 (FLAGS BODY[HEADER.FIELDS (a b)])", few)
