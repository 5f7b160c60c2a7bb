"""Commands to words: every dialogue whole, byte by byte and cut at every place."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.wire.imap import Bad, Body, Command, decode_base64, read_command, read_done, read_response
from daemon.wire.stream import EndOfStream, Send, Stream
from tests.wire.cuts import cuts

SMALL = replace(
    LIMITS,
    imap_line_before_login=60,
    imap_line=100,
    imap_literal_before_login=10,
    imap_literal=40,
    imap_command=150,
    imap_skip=200,
    imap_arguments=12,
    imap_nesting=3,
)


class Kept:
    def __init__(self):
        self.data = bytearray()

    def write(self, data, /):
        self.data += data

    def __eq__(self, other):
        return bytes(self.data) == other


@dataclass
class Heard:
    """What came of a conversation: commands and complaints in order, and what was said in between."""

    found: list = field(default_factory=list)
    said: list = field(default_factory=list)
    bodies: list = field(default_factory=list)
    left: bytes = b""


def listen(pieces, limits=SMALL, *, authenticated=True, append_limit=1000, patient=True, new_body=None, **options):
    """Feed `pieces` to one reader after the other until the stream ends or is lost.

    A patient client is cut into its pieces wherever the server has to speak first: b"+" as a piece waits for that.
    """
    stream, heard, waiting = Stream(), Heard(), list(pieces)

    def open_body(size):
        kept = Kept()
        heard.bodies.append((size, kept))
        return kept

    while True:
        reading = read_command(
            stream, limits, authenticated=authenticated, new_body=new_body or open_body, append_limit=append_limit,
            **options,
        )  # fmt: skip
        try:
            while True:
                want = next(reading)
                if isinstance(want, Send):
                    heard.said.append(want.data)
                elif waiting:
                    stream.feed(waiting.pop(0))
                else:
                    stream.feed_eof()
        except StopIteration as answer:
            heard.found.append(answer.value)
        except Bad as bad:
            heard.found.append((bad.tag, bad.status, bad.code, bad.text, bad.in_sync))
            if not bad.in_sync:
                return heard
        except EndOfStream:
            heard.left = bytes(stream.buffer)
            return heard


def at_every_cut(data, **options):
    """What is heard, which must be the same however the octets arrive."""
    first = listen([data], **options)
    for pieces in cuts(data):
        heard = listen(pieces, **options)
        assert (heard.found, heard.said) == (first.found, first.said), pieces
    return first


def bad(tag, text, *, status="BAD", code="", in_sync=True):
    return (tag, status, code, text, in_sync)


@pytest.mark.parametrize(
    "line,want",
    [
        (b"a1 NOOP", Command("a1", "NOOP")),
        (b"a1 noop ", Command("a1", "NOOP")),
        (b"a1 uid fetch 1:* (UID FLAGS)", Command("a1", "UID FETCH", ("1:*", ("UID", "FLAGS")))),
        (b"a1  LIST  ()  x", Command("a1", "LIST", ((), "x"))),
        (b"a1 X ((a) (b ()))", Command("a1", "X", ((("a",), ("b", ())),))),
        (b"a1 X NIL \\Seen * % +FLAGS {x}y"[:-5], Command("a1", "X", ("NIL", "\\Seen", "*", "%", "+FLAGS"))),
        (b'a1 SELECT ""', Command("a1", "SELECT", (b"",))),
        (b'a1 SELECT "a b"', Command("a1", "SELECT", (b"a b",))),
        (b'a1 LOGIN "q\\"\\\\" "(x"', Command("a1", "LOGIN", (b'q"\\', b"(x"))),
        (b'a1 X ("a" "b")', Command("a1", "X", ((b"a", b"b"),))),
        ('a1 SELECT "Käse"'.encode(), Command("a1", "SELECT", ("Käse".encode(),))),
        (b'a1 LOGIN "k\xe4" x', Command("a1", "LOGIN", (b"k\xe4", "x"))),
        ("a1 SELECT Käse".encode(), Command("a1", "SELECT", ("Käse",))),
        (b"a1 FETCH 1 BODY[HEADER.FIELDS (A B)]<0.9>",
         Command("a1", "FETCH", ("1", "BODY[HEADER.FIELDS", ("A", "B"), "]<0.9>"))),
        (b'a1 FETCH 1 BODY[HEADER.FIELDS ("A" B)]<0.9>',
         Command("a1", "FETCH", ("1", "BODY[HEADER.FIELDS", (b"A", "B"), "]<0.9>"))),
        (b"a1 SELECT [Gmail]/All", Command("a1", "SELECT", ("[Gmail]/All",))),
        (b"a1 UID", Command("a1", "UID")),
        (b']x.1=a NOOP', Command("]x.1=a", "NOOP")),
        (b"", bad("*", "a tag and a command expected")),
        (b"a1", bad("*", "a tag and a command expected")),
        (b"a1 ", bad("a1", "a tag and a command expected")),
        (b" a1 NOOP", Command("a1", "NOOP")),
        (b"a+1 NOOP", bad("*", "a tag and a command expected")),
        (b"* NOOP", bad("*", "a tag and a command expected")),
        (b'"a" NOOP', bad("*", "a tag and a command expected")),
        (b"a1 (NOOP)", bad("a1", "a tag and a command expected")),
        (b'a1 "NOOP"', bad("a1", "a tag and a command expected")),
        (b"a1 X (", bad("a1", "parenthesis not closed")),
        (b"a1 X )", bad("a1", "parenthesis closed that was not open")),
        (b'a1 X (")"', bad("a1", "parenthesis not closed")),
        (b"a1 X ((()))", Command("a1", "X", ((((),),),))),
        (b"a1 X (((())))", bad("a1", "parentheses over 3 deep")),
        (b"a1 X 1 2 3 4 5 6 7 8 9 0", Command("a1", "X", tuple("1234567890"))),
        (b"a1 X 1 2 3 4 5 6 7 8 9 0 1", bad("a1", "over 12 words")),
        (b'a1 X 1 2 3 4 5 6 7 8 9 0 "1"', bad("a1", "over 12 words")),
        (b'a1 X "a', bad("a1", "unterminated quoted string")),
        (b'a1 X "a\\b"', bad("a1", "unterminated quoted string")),
        (b'a1 X "a\\', bad("a1", "unterminated quoted string")),
        (b'a1 X a"b"', bad("a1", "space expected before a string")),
        (b'a1 X (a)"b"', bad("a1", "space expected before a string")),
        (b'a1 X "a"b', bad("a1", "space expected after a string")),
        (b'a1 X "a""b"', bad("a1", "space expected after a string")),
        (b'a1 X "a"(b)', bad("a1", "space expected after a string")),
        (b"a1 X a{5", bad("a1", "unexpected character")),
        (b"a1 X \x00", bad("a1", "unexpected character")),
        (b"a1 X a\tb", bad("a1", "unexpected character")),
        (b'a1 X "a\rb"', bad("a1", "unterminated quoted string")),
        (b"a1 X \xff", bad("a1", "an atom that is not UTF-8")),
        (b"a1 X {5-}", bad("a1", "unexpected character")),
    ],
)  # fmt: skip
def test_a_line_becomes_words(line, want):
    for end in (b"\r\n", b"\n"):
        heard = at_every_cut(line + end + b"a2 NOOP\r\n")
        assert heard.found == [want, Command("a2", "NOOP")]
        assert heard.said == []


@pytest.mark.parametrize(
    "data,want,said",
    [
        (b"a1 LOGIN {3}\r\nu\r\n {2}\r\np(\r\n", Command("a1", "LOGIN", (b"u\r\n", b"p(")), 2),
        (b"a1 LOGIN {3+}\r\nu\r\n {2+}\r\np(\r\n", Command("a1", "LOGIN", (b"u\r\n", b"p(")), 0),
        (b"a1 LOGIN {0}\r\n {0+}\r\n\r\n", Command("a1", "LOGIN", (b"", b"")), 1),
        (b'a1 LOGIN "u" {2}\n\xff\xfe\n', Command("a1", "LOGIN", (b"u", b"\xff\xfe")), 1),
        (b"a1 X ({1}\r\na {1}\r\nb)\r\n", Command("a1", "X", ((b"a", b"b"),)), 2),
        (b"a1 X ({1}\r\na) (b)\r\n", Command("a1", "X", ((b"a",), ("b",))), 1),
        (b"a1 FETCH 1 BODY[HEADER.FIELDS ({2+}\r\nTO)]\r\n",
         Command("a1", "FETCH", ("1", "BODY[HEADER.FIELDS", (b"TO",), "]")), 0),
        (b"a1 SELECT {5}\r\n{9+}\r\r\n", Command("a1", "SELECT", (b"{9+}\r",)), 1),
        (b"a1 X {01}\r\na\r\n", Command("a1", "X", (b"a",)), 1),
        # refused, and what comes next is still found
        (b"a1 X {41}\r\n", bad("a1", "literal over 40 octets"), 0),
        (b"a1 X {41+}\r\n" + b"x" * 41 + b"\r\n", bad("a1", "literal over 40 octets"), 0),
        (b"a1 X {41+}\r\n" + b"\n" * 41 + b" {3+}\r\n\r\n\n {2}\r\n", bad("a1", "literal over 40 octets"), 0),
        (b"a1 X {99999999999999999999999999}\r\n", bad("a1", "literal over 40 octets"), 0),
        (b"a1 X a{2}\r\n", bad("a1", "space expected before a literal"), 0),
        (b"a1 X a{2+}\r\nbb c\r\n", bad("a1", "space expected before a literal"), 0),
        (b'a1 X "b"{2+}\r\nbb c\r\n', bad("a1", "space expected before a literal"), 0),
        (b'a1 X {1}\r\na{1+}\r\nbb c\r\n', bad("a1", "space expected before a literal"), 1),
        (b"a1 X {1}\r\nab\r\n", bad("a1", "space expected after a string"), 1),
        (b'a1 X {1}\r\na"b"\r\n', bad("a1", "space expected after a string"), 1),
        (b'a1 X "{2+}\r\nbb\r\n', bad("a1", "unterminated quoted string"), 0),
        (b"a1 X ~{2+}\r\nbb\r\n", bad("a1", "a binary literal is for messages and metadata"), 0),
        (b"a1 APPEND ~{2}\r\n", bad("a1", "a binary literal is for messages and metadata"), 0),
        (b"a1 X {2}\r\n\0a {3+}\r\n\r\n\n z\r\n", bad("a1", "NUL in a literal"), 1),
        (b"a1 X {1+}\r\na 1 2 3 4 5 6 7 8 9 0 {1+}\r\nb\r\n", bad("a1", "over 12 words"), 0),
        (b"a1 X " + b"{40+}\r\n" * 1 + b"x" * 40 + b" {40+}\r\n" + b"y" * 40 + b" {40+}\r\n" + b"z" * 40 + b"\r\n",
         Command("a1", "X", (b"x" * 40, b"y" * 40, b"z" * 40)), 0),
        (b"a1 X {40+}\r\n" + b"x" * 40 + b" {40+}\r\n" + b"y" * 40 + b" {40+}\r\n" + b"z" * 40 + b" aaaaaaaaaaaaaa\r\n",
         bad("a1", "command too long"), 0),
        (b"a1 X {40+}\r\n" + b"x" * 40 + b" " + b"y" * 90 + b" {3+}\r\n\r\n\n\r\n", bad("a1", "command too long"), 0),
        (b"a1 X {40}\r\n" + b"x" * 40 + b" " + b"y" * 70 + b" {40}\r\n", bad("a1", "literal over 25 octets"), 1),
        (b"{3+}\r\nNOOP\r\n", bad("*", "space expected after a string"), 0),
        (b"a1 {4+}\r\nNOOP\r\n", bad("a1", "a tag and a command expected"), 0),
    ],
)  # fmt: skip
def test_literals_are_read_or_refused_in_step(data, want, said):
    heard = at_every_cut(data + b"a2 NOOP\r\n")
    assert heard.found == [want, Command("a2", "NOOP")]
    assert heard.said == [b"+ OK\r\n"] * said


def test_a_waiting_literal_is_asked_for_before_it_is_read():
    stream = Stream()
    reading = read_command(stream, LIMITS, authenticated=False)
    stream.feed(b"a LOGIN {1}\r\n")
    assert next(reading) == Send(b"+ OK\r\n")
    stream.feed(b"u {1}\r\n")
    assert next(reading) == Send(b"+ OK\r\n")
    stream.feed(b"p\r\n")
    with pytest.raises(StopIteration) as answer:
        next(reading)
    assert answer.value.value == Command("a", "LOGIN", (b"u", b"p"))


@pytest.mark.parametrize(
    "data,want",
    [
        (b"a1 LOGIN {10}\r\n0123456789 {10+}\r\n0123456789\r\n",
         [Command("a1", "LOGIN", (b"0123456789", b"0123456789"))]),
        (b"a1 authenticate PLAIN {4+}\r\nAAAA\r\n", [Command("a1", "AUTHENTICATE", ("PLAIN", b"AAAA"))]),
        (b"a1 LOGIN {11}\r\n", [bad("a1", "literal over 10 octets")]),
        (b"a1 LOGIN {11+}\r\n01234567890 x\r\n", [bad("a1", "literal over 10 octets")]),
        (b"a1 SELECT {1}\r\n", [bad("a1", "literal over 0 octets")]),
        (b"a1 SELECT {1+}\r\nx\r\n", [bad("a1", "literal over 0 octets")]),
        (b"a1 APPEND x {1+}\r\nx\r\n", [bad("a1", "no message can be taken now")]),
        (b"a1 X {4294967295+}\r\n", [bad("a1", "literal over 0 octets", in_sync=False)]),
        (b"a1 LOGIN {4294967295}\r\n", [bad("a1", "literal over 10 octets")]),
        (b"a1 LOGIN {10+}\r\n0123456789 {10+}\r\n0123456789 {10+}\r\n0123456789 {1+}\r\nx {10+}\r\n0123456789 x\r\n",
         [bad("a1", "command too long")]),
        (b"a1 X " + b"y" * 53 + b"\r\n", [Command("a1", "X", ("y" * 53,))]),
        (b"a1 X " + b"y" * 54 + b"\r\n", [bad("a1", "line over 60 octets")]),
    ],
)  # fmt: skip
def test_before_login_little_is_taken(data, want):
    ended = want[-1][-1] is False if isinstance(want[-1], tuple) else False
    heard = at_every_cut(data + b"a2 NOOP\r\n", authenticated=False)
    assert heard.found == (want if ended else [*want, Command("a2", "NOOP")])
    assert heard.bodies == []


@pytest.mark.parametrize(
    "data,in_sync",
    [
        (b"a1 X " + b"y" * 94 + b"\r\n", True),
        (b"a1 X " + b"y" * 95 + b"\n", True),
        (b"a1 X " + b"y" * 194 + b"\n", True),  # 200 octets in all
        (b"a1 X " + b"y" * 195 + b"\n", False),
        (b"a1 X " + b"y" * 90 + b" {3+}\r\n\r\n\n\r\n", True),
        (b"a1 X " + b"y" * 90 + b" {3+}\r\na2 {5+}\r\n12345\r\n", True),
        (b"a1 X " + b"y" * 90 + b" {3}\r\n", True),  # not asked for, so it will not come
        (b"a1 X " + b"y" * 90 + b" {99+}\r\n", False),
        (b"a1 X " + b"y" * 90 + b" {95+}\r\n" + b"x" * 95 + b"\r\n", True),
        (b"a1 X " + b"y" * 90 + b" {96+}\r\n" + b"x" * 96 + b"\r\n", False),
    ],
)
def test_a_line_too_long_is_skipped_with_its_literals_up_to_a_limit(data, in_sync):
    heard = at_every_cut(data + (b"a2 NOOP\r\n" if in_sync else b""))
    assert heard.found[0] == bad("a1", "line over 100 octets", in_sync=in_sync)
    assert heard.found[1:] == ([Command("a2", "NOOP")] if in_sync else [])


def test_a_line_too_long_without_a_tag():
    assert at_every_cut(b"x" * 150 + b"\r\n").found == [bad("*", "line over 100 octets")]


APPENDED = b"From: a\r\n\r\nb\n"  # 13 octets


@pytest.mark.parametrize(
    "data,want",
    [
        (b"a1 APPEND box {13}\r\n%b\r\n", ("box", Body(13, APPENDED))),
        (b"a1 append box {13+}\r\n%b\r\n", ("box", Body(13, APPENDED))),
        (b"a1 APPEND {3+}\r\nbox {13+}\r\n%b\r\n", (b"box", Body(13, APPENDED))),
        (b'a1 APPEND "box" (\\Seen) " 1-Jan-2026 00:00:00 +0000" {13}\r\n%b\r\n',
         (b"box", ("\\Seen",), b" 1-Jan-2026 00:00:00 +0000", Body(13, APPENDED))),
        (b"a1 APPEND box UTF8 (~{13+}\r\n%b)\r\n", ("box", "UTF8", (Body(13, APPENDED, True),))),
        (b"a1 APPEND box ~{13}\r\n%b\r\n", ("box", Body(13, APPENDED, True))),
        (b"a1 APPEND box {13}\r\n%b \r\n", ("box", Body(13, APPENDED))),
    ],
)  # fmt: skip
def test_a_message_is_poured_into_its_sink(data, want):
    data = data.replace(b"%b", APPENDED)
    heard = at_every_cut(data + b"a2 NOOP\r\n")
    assert heard.found == [Command("a1", "APPEND", want), Command("a2", "NOOP")]
    assert heard.bodies == [(13, APPENDED)]


def test_a_message_does_not_count_as_command_nor_stay_in_memory():
    size = 8 << 20
    seen = 0

    class Counting:
        def write(self, data, /):
            nonlocal seen
            seen += len(data)

    stream = Stream()
    reading = read_command(stream, LIMITS, authenticated=True, new_body=lambda size: Counting(), append_limit=size)
    stream.feed(b"a APPEND box {%d+}\r\n" % size)
    tracemalloc.start()
    try:
        for _ in range(size // 65536):
            assert next(reading) is None
            stream.feed(bytes(65536))
        assert next(reading) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    stream.feed(b"\r\n")
    with pytest.raises(StopIteration):
        next(reading)
    assert seen == size


@pytest.mark.parametrize(
    "data,want,bodies",
    [
        (b"a1 APPEND box {21}\r\n", bad("a1", "message over 20 octets", status="NO", code="TOOBIG"), 0),
        (b"a1 APPEND box {21+}\r\n" + b"x" * 21 + b"\r\n",
         bad("a1", "message over 20 octets", status="NO", code="TOOBIG"), 0),
        (b"a1 APPEND box {218+}\r\n" + b"x" * 218 + b"\r\n",
         bad("a1", "message over 20 octets", status="NO", code="TOOBIG"), 0),
        (b"a1 APPEND box {221+}\r\n",
         bad("a1", "message over 20 octets", status="NO", code="TOOBIG", in_sync=False), 0),
        (b"a1 APPEND box {2}\r\nxx {2}\r\n", bad("a1", "one message in one APPEND"), 1),
        (b"a1 APPEND box {2+}\r\nxx {2+}\r\nyy\r\n", bad("a1", "one message in one APPEND"), 1),
        (b"a1 APPEND box {2+}\r\nxxyy\r\n", bad("a1", "space expected after a string"), 1),
        (b"a1 APPEND box {2+}\r\nxx" + b"y" * 130 + b"\r\n", bad("a1", "command too long"), 1),
        (b'a1 APPEND box "x {2+}\r\nxx\r\n', bad("a1", "unterminated quoted string"), 0),
        (b"a1 APPEND {41}\r\n", bad("a1", "literal over 40 octets"), 0),
    ],
)  # fmt: skip
def test_a_message_is_refused_before_it_is_read(data, want, bodies):
    heard = at_every_cut(data + (b"a2 NOOP\r\n" if want[-1] else b""), append_limit=20)
    assert heard.found == [want, *([Command("a2", "NOOP")] if want[-1] else [])]
    assert len(heard.bodies) == bodies


def test_several_messages_where_that_is_allowed():
    heard = at_every_cut(b"a1 APPEND box {2+}\r\nxx (\\Seen) {2}\r\nyy\r\na2 NOOP\r\n", multiappend=True)
    words = ("box", Body(2, b"xx"), ("\\Seen",), Body(2, b"yy"))
    assert heard.found == [Command("a1", "APPEND", words), Command("a2", "NOOP")]


def test_whoever_gives_the_sinks_can_refuse():
    def full(size):
        raise Bad("no room", status="NO", code="OVERQUOTA")

    want = bad("a1", "no room", status="NO", code="OVERQUOTA")
    for data in (b"a1 APPEND box {5}\r\n", b"a1 APPEND box {5+}\r\n12345\r\n"):
        assert at_every_cut(data + b"a2 NOOP\r\n", new_body=full).found == [want, Command("a2", "NOOP")]


@pytest.mark.parametrize(
    "data", [b"", b"a1 NOOP", b"a1 X {3}\r\nab", b"a1 X {3+}\r\nabc", b"a1 APPEND x {9+}\r\nab", b"a1 X {41+}\r\nab"]
)
def test_the_end_of_the_stream_inside_a_command(data):
    assert at_every_cut(data).found == []


def test_hostile_nesting_and_lines_cost_little():
    """traps D13: 10^6 parentheses, a 10 MB line, a literal of 4 GB; before and after login."""
    for authenticated in (False, True):
        for data in (b"A NOOP " + b"(" * 10**6 + b"\r\n", b"A " + b"x" * 10**7 + b"\r\n", b"A {4294967295+}\r\n"):
            pieces = [data[at : at + 65536] for at in range(0, len(data), 65536)]
            tracemalloc.start()
            try:
                heard = listen(pieces, LIMITS, authenticated=authenticated)
                assert tracemalloc.get_traced_memory()[1] < 2 << 20
            finally:
                tracemalloc.stop()
            [(tag, status, _, _, _)] = heard.found
            assert (tag, status) == ("A", "BAD")


def test_what_a_refusal_says():
    assert Bad("no such thing", tag="a1").reply() == b"a1 BAD no such thing\r\n"
    assert Bad("too big", tag="a1", status="NO", code="TOOBIG").reply() == b"a1 NO [TOOBIG] too big\r\n"
    assert Bad("too big", in_sync=False).reply() == b"* BAD too big\r\n* BYE too big\r\n"


def single(make, data, limits=SMALL):
    """The outcome of a lone reader and what it left, the same at every cut."""
    outcomes = []
    for pieces in cuts(data):
        stream, waiting = Stream(), list(pieces)
        reading = make(stream, limits, "a1")
        try:
            while True:
                next(reading)
                if waiting:
                    stream.feed(waiting.pop(0))
                else:
                    stream.feed_eof()
        except StopIteration as answer:
            outcome = answer.value
        except Bad as error:
            outcome = (error.reply(), error.in_sync)
        outcomes.append((outcome, bytes(stream.buffer) + b"".join(waiting)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    return outcomes[0]


@pytest.mark.parametrize(
    "data,want",
    [
        (b"AGEAYg==\r\nx", (b"\0a\0b", b"x")),
        (b"\r\nx", (b"", b"x")),
        (b"*\r\nx", ((b"a1 BAD authentication cancelled\r\n", True), b"x")),
        (b"AG?AYg==\r\nx", ((b"a1 BAD that is not base64\r\n", True), b"x")),
        (b"AG\r\nx", ((b"a1 BAD that is not base64\r\n", True), b"x")),
        (b"A" * 99 + b"\r\nx", ((b"a1 BAD line over 10 octets\r\n", True), b"x")),
    ],
)
def test_answers_to_a_challenge(data, want):
    if want[0] == b"\0a\0b":
        assert single(read_response, data, replace(SMALL, imap_literal_before_login=20)) == want
    else:
        assert single(read_response, data) == want


@pytest.mark.parametrize(
    "data,want",
    [
        (b"DONE\r\nA2 NOOP\r\nA3 STATUS x ()\r\n", (None, b"A2 NOOP\r\nA3 STATUS x ()\r\n")),  # traps I1
        (b"done \n", (None, b"")),
        (b"a2 NOOP\r\nx", ((b"a1 BAD DONE expected\r\n", True), b"x")),
        (b"x" * 99 + b"\r\nx", ((b"a1 BAD line over 60 octets\r\n", True), b"x")),
    ],
)
def test_the_end_of_idle(data, want):
    assert single(read_done, data) == want


def test_base64_without_a_tag():
    assert decode_base64(b"YQ==") == b"a"
    with pytest.raises(Bad):
        decode_base64(b"YQ=")


WORDS = st.recursive(
    st.from_regex(r"[A-Za-z0-9.$*%\\:,\[\]+-]{1,8}", fullmatch=True)
    | st.binary(max_size=12).filter(lambda octets: 0 not in octets),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


def spelled(word, choose):
    """One of the ways to write a word."""
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, tuple):
        return b"(" + b" ".join(spelled(inner, choose) for inner in word) + b")"
    quotable = b"\r" not in word and b"\n" not in word
    if quotable and choose.random() < 0.5:
        return b'"' + word.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d%s}\r\n%b" % (len(word), choose.choice([b"", b"+"]), word)


@given(st.lists(WORDS, max_size=6), st.integers(0, 2**32))
def test_words_survive_every_spelling_and_every_cut(words, seed):
    choose = random.Random(seed)
    data = b"t1 X" + b"".join(b" " + spelled(word, choose) for word in words) + b"\r\n"
    at = sorted(choose.randrange(len(data)) for _ in range(3))
    pieces = [data[: at[0]], data[at[0] : at[1]], data[at[1] : at[2]], data[at[2] :]]
    limits = replace(LIMITS, imap_arguments=1000)
    assert listen([p for p in pieces if p], limits).found == [Command("t1", "X", tuple(words))]


@given(st.binary(max_size=200))
def test_noise_is_answered_and_never_crashes(noise):
    heard = listen([b"a1 " + noise + b"\r\n"])
    again = listen([bytes([octet]) for octet in b"a1 " + noise + b"\r\n"])
    assert heard.found == again.found
