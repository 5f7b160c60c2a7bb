"""What we say: 7-bit but for literals, and read back by the same rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.wire import imap_reply as reply
from daemon.wire.imap import Bad, read_command
from tests.wire.cuts import read


@pytest.mark.parametrize(
    "text,string,astring",
    [
        (b"a", b'"a"', b"a"),
        (b"", b'""', b'""'),
        (b"a b", b'"a b"', b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"', b'"a\\"\\\\"'),
        (b"a\\b", b'"a\\\\b"', b'"a\\\\b"'),
        (b"NIL", b'"NIL"', b'"NIL"'),
        (b"nil", b'"nil"', b'"nil"'),
        (b"a]", b'"a]"', b'"a]"'),
        (b"a\tb", b'"a\tb"', b'"a\tb"'),
        (b"a\r\nb", b"{4}\r\na\r\nb", b"{4}\r\na\r\nb"),
        (b"\0", b"{1}\r\n\0", b"{1}\r\n\0"),
        ("ä".encode(), b"{2}\r\n\xc3\xa4", b"{2}\r\n\xc3\xa4"),
    ],
)
def test_strings(text, string, astring):
    assert reply.string(text) == reply.nstring(text) == string
    assert reply.astring(text) == astring


def test_nil_and_literal():
    assert reply.nstring(None) == b"NIL"
    assert reply.literal(b"ab") == b"{2}\r\nab"


@given(st.binary(max_size=40).filter(lambda text: 0 not in text))
def test_what_we_say_can_be_read_as_it_was(text):
    def heard(spelled):
        command, left = read(lambda s: read_command(s, LIMITS, authenticated=True), [b"a X " + spelled + b"\r\n"])
        assert left == b""
        [word] = command.arguments
        return word if isinstance(word, bytes) else word.encode()

    assert heard(reply.string(text)) == heard(reply.astring(text)) == heard(reply.literal(text)) == text
    assert text.isascii() or b"{" in reply.string(text)


@pytest.mark.parametrize(
    "name,want",
    [("INBOX", b"INBOX"), ("Gesendete Objekte", b'"Gesendete Objekte"'), ("Entwürfe", b"Entw&APw-rfe"), ("", b'""')],
)
def test_mailbox_names(name, want):
    assert reply.mailbox(name) == want


def test_flags():
    assert reply.flag_list(["\\Seen", "$Junk"]) == b"(\\Seen $Junk)"
    assert reply.flag_list([]) == b"()"
    assert reply.permanentflags(["\\Seen"]) == b"PERMANENTFLAGS (\\Seen \\*)"
    assert reply.permanentflags([], more=False) == b"PERMANENTFLAGS ()"


MS = 1000
AT = int(datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC).timestamp()) * MS


@pytest.mark.parametrize(
    "text,at",
    [
        ("17-Jul-1996 02:44:25 -0700", AT),
        ("17-jul-1996 09:44:25 +0000", AT),
        ("17-JUL-1996 15:14:25 +0530", AT),
        (" 1-Jan-1970 00:00:00 +0000", 0),
        ("01-Jan-1970 00:00:01 +0000", MS),
        ("31-Dec-1969 23:59:59 +0000", -MS),
        ("31-Dec-2016 23:59:60 +0000", int(datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * MS),
    ],
)
def test_internal_dates_are_read(text, at):
    assert reply.parse_internal_date(text) == at


@pytest.mark.parametrize(
    "text",
    ["", "17-Jul-1996", "30-Feb-2026 00:00:00 +0000", "17-Foo-1996 02:44:25 +0000", "1-Jan-1970 00:00:00 +0000",
     "17-Jul-1996 24:00:00 +0000", "17-Jul-1996 02:60:00 +0000", "17-Jul-1996 02:44:25 +2400",
     "17-Jul-1996 02:44:25 GMT", " 0-Jan-1996 02:44:25 +0000", "17-Jul-0000 00:00:00 +0000",
     "17-Jul-1996 02:44:25 +0000 ", "17-Jul-1996T02:44:25 +0000"],
)  # fmt: skip
def test_what_is_no_date(text):
    with pytest.raises(Bad):
        reply.parse_internal_date(text)


def test_the_ends_of_time():
    assert reply.parse_internal_date("01-Jan-0001 00:00:00 +1400") < 0
    assert reply.parse_internal_date("31-Dec-9999 23:59:59 -1400") > 0


@pytest.mark.parametrize("at,want", [(AT, b'"17-Jul-1996 09:44:25 +0000"'), (1999, b'" 1-Jan-1970 00:00:01 +0000"')])
def test_internal_dates_are_written(at, want):
    assert reply.internal_date(at) == want


@given(st.integers(-62135596800, 253402300799))
def test_internal_dates_survive(seconds):
    assert reply.parse_internal_date(reply.internal_date(seconds * MS).decode().strip('"')) == seconds * MS


@pytest.mark.parametrize(
    "args,want",
    [
        (("a1", "OK", "done"), b"a1 OK done\r\n"),
        (("a1", "NO", "over", "OVERQUOTA"), b"a1 NO [OVERQUOTA] over\r\n"),
        (("*", "OK", "", b"UIDNEXT 4"), b"* OK [UIDNEXT 4] done\r\n"),
        (("*", "OK", "two\r\nlines ü"), b"* OK two??lines ?\r\n"),
        (("*", "OK", " "), b"* OK done\r\n"),
    ],
)
def test_tagged_and_untagged_answers(args, want):
    assert reply.tagged(*args) == want


@pytest.mark.parametrize(
    "line,want",
    [
        (reply.list_line(["\\HasNoChildren", "\\Sent"], "Sent"), b'* LIST (\\HasNoChildren \\Sent) "/" Sent'),
        (reply.list_line([], "a b", word=b"LSUB"), b'* LSUB () "/" "a b"'),
        (reply.list_line(["\\Noselect"], ""), b'* LIST (\\Noselect) "/" ""'),
        (reply.list_line([], "INBOX", separator=False), b"* LIST () NIL INBOX"),
        (reply.list_line([], "a", extended=b'("CHILDINFO" ("SUBSCRIBED"))'),
         b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))'),
        (reply.status_line("a b", {"MESSAGES": 2, "UIDNEXT": 4}), b'* STATUS "a b" (MESSAGES 2 UIDNEXT 4)'),
        (reply.status_line("a", {"APPENDLIMIT": None}), b"* STATUS a (APPENDLIMIT NIL)"),
        (reply.status_line("a", {"MAILBOXID": "(m1)"}), b"* STATUS a (MAILBOXID (m1))"),
        (reply.jmap_access_line("https://a.example/"), b'* JMAPACCESS "https://a.example/"'),
        (reply.search_line([2, 3]), b"* SEARCH 2 3"),
        (reply.search_line([2, 3], 917), b"* SEARCH 2 3 (MODSEQ 917)"),
        (reply.search_line([]), b"* SEARCH"),
        (reply.esearch_line("A1", ["ALL"], [1, 2, 3], uid=True), b'* ESEARCH (TAG "A1") UID ALL 1:3'),  # traps I11
        (reply.esearch_line("A1", ["MIN", "MAX", "COUNT"], [2, 5, 9], uid=False, modseq=7),
         b'* ESEARCH (TAG "A1") MIN 2 MAX 9 COUNT 3 MODSEQ 7'),
        (reply.esearch_line("A1", ["MIN", "MAX", "ALL", "COUNT"], [], uid=False, modseq=7),
         b'* ESEARCH (TAG "A1") COUNT 0'),
        (reply.id_line({"name": "x", "note": 'a"b'}), b'* ID ("name" "x" "note" "a\\"b")'),
        (reply.id_line({}), b"* ID NIL"),
    ],
)  # fmt: skip
def test_lines(line, want):
    assert line == want + b"\r\n"


def test_response_codes():
    assert reply.appenduid(38505, [3955]) == "APPENDUID 38505 3955"  # traps I25
    assert reply.copyuid(38505, [304, 319, 320], [3956, 3957, 3958]) == "COPYUID 38505 304,319:320 3956:3958"
    assert reply.modified([7, 9]) == "MODIFIED 7,9"
    assert reply.badcharset(["UTF-8"]) == "BADCHARSET (UTF-8)"


def test_months():
    assert reply.month_number("deC") == 12
    with pytest.raises(KeyError):
        reply.month_number("Foo")
