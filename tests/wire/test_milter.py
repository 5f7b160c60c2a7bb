"""The milter protocol, octet by octet: what is said to a filter, and what may be made of its words."""

from __future__ import annotations

import struct

import pytest

from daemon.limits import LIMITS
from daemon.wire import milter
from daemon.wire.milter import (
    Action,
    AddHeader,
    AddRecipient,
    BadPacket,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Options,
    Quarantine,
    ReplaceBody,
    Reply,
    ReplyCode,
    Step,
    Word,
)
from daemon.wire.stream import EndOfStream, Stream, TooLong
from tests.instruments.milter import header, options, packet, text
from tests.wire.cuts import cuts, read

LIMIT = 400


@pytest.mark.parametrize(
    "said, want",
    [
        (milter.offer(Action.ADDHDRS | Action.CHGFROM, Step.SKIP), b"O\0\0\0\6\0\0\0\x41\0\0\4\0"),
        (milter.macros("mail", [("i", "x1"), ("{a}", "é")]), b"DMi\0x1\0{a}\0\xc3\xa9\0"),
        (milter.macros("end", [("i", "a\0b")]), b"DEi\0ab\0"),
        (milter.connect("mx.example", "192.0.2.1", 258), b"Cmx.example\x004\1\x02192.0.2.1\0"),
        (milter.connect("[IPv6:::1]", "::1"), b"C[IPv6:::1]\x006\0\0::1\0"),
        (milter.connect("localhost", ""), b"Clocalhost\0U"),
        (milter.helo("a b"), b"Ha b\0"),
        (milter.mail("a@b.example", "SIZE=9"), b"M<a@b.example>\0SIZE=9\0"),
        (milter.mail(""), b"M<>\0"),
        (milter.rcpt("ü@b.example"), b"R<\xc3\xbc@b.example>\0"),
        (milter.rcpt("\udcff@b.example"), b"R<\xff@b.example>\0"),
        (milter.header(b"To", b" a,\r\n\tb\0", spaces=False), b"LTo\0a,\n\tb\0"),
        (milter.header(b"To", b"  a", spaces=True), b"LTo\0  a\0"),
        (milter.unknown("XYZ 1"), b"UXYZ 1\0"),
        (milter.packet(b"B", b"\0\1"), b"B\0\1"),
        (milter.DATA, b"T"),
        (milter.EOH, b"N"),
        (milter.END, b"E"),
        (milter.ABORT, b"A"),
        (milter.QUIT, b"Q"),
        (milter.QUIT_NC, b"K"),
    ],
)
def test_what_is_said(said: bytes, want: bytes) -> None:
    assert said == struct.pack("!I", len(want)) + want


def test_without_macros_nothing_is_said_of_them() -> None:
    assert milter.macros("connect", []) == b""


ANSWERS: list[tuple[bytes, Reply]] = [
    (packet("c"), Word("continue")),
    (packet("a"), Word("accept")),
    (packet("d"), Word("discard")),
    (packet("r"), Word("reject")),
    (packet("t"), Word("tempfail")),
    (packet("s"), Word("skip")),
    (packet("p"), Word("progress")),
    (packet("4"), Word("shutdown")),
    (packet("f"), Word("connection-failed")),
    (text("y", "550 5.7.1 no\x1b such 100%% spam"), ReplyCode(550, "5.7.1", "no  such 100% spam")),
    (text("y", "451 later"), ReplyCode(451, "", "later")),
    (text("y", "554"), ReplyCode(554, "", "")),
    (text("y", "550 5.7.1"), ReplyCode(550, "5.7.1", "")),
    (text("y", "550-5.7.1 one\r\n550 5.7.1 two"), ReplyCode(550, "5.7.1", "one two")),
    (header("X-Spam", " yes"), AddHeader(b"X-Spam", b" yes")),
    (header("X", "", "m", 2), ChangeHeader(2, b"X", b"")),
    (header("X", "a\n\tb", "i", 0), InsertHeader(0, b"X", b"a\n\tb")),
    (packet("b", b"any\0thing"), ReplaceBody(b"any\0thing")),
    (packet("b"), ReplaceBody(b"")),
    (text("e", "<a@b.example>"), ChangeSender("a@b.example")),
    (packet("e", b"<>\0SIZE=1\0"), ChangeSender("", "SIZE=1")),
    (text("+", "a@b.example"), AddRecipient("a@b.example")),
    (packet("2", b"<a@b.example>\0NOTIFY=NEVER\0"), AddRecipient("a@b.example", "NOTIFY=NEVER")),
    (text("-", " <a@b.example>"), DeleteRecipient("a@b.example")),
    (text("q", "bad\r\nstuff "), Quarantine("bad stuff")),
    (options(0x11, 0x21), Options(6, Action.ADDHDRS | Action.CHGHDRS, Step.NOCONNECT | Step.NOHDRS)),
    (options(0, 0, version=2), Options(2, Action(0), Step(0))),
    (
        options(0x101, 0x80, more=b"\0\0\0\2i, {auth_type}\0\0\0\0\5\0"),
        Options(6, Action.ADDHDRS | Action.SETSYMLIST, Step.NR_HDR, (("mail", ("i", "{auth_type}")), ("end", ()))),
    ),
]


@pytest.mark.parametrize("data, want", ANSWERS, ids=lambda value: value if isinstance(value, bytes) else "")
def test_an_answer_is_the_same_however_it_is_cut(data: bytes, want: Reply) -> None:
    for pieces in cuts(data + b"left"):
        assert read(lambda stream: milter.reply(stream, LIMIT), pieces) == (want, b"left")


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        packet("C"),  # only we say that
        packet("Z", b"x"),
        packet("O", b"\0\0\0\6"),
        options(version=1),
        options(version=7),
        options(more=b"\0\0"),
        options(more=b"\0\0\0\7i\0"),
        options(more=b"\0\0\0\1i"),
        options(more=b"\0\0\0\1i\0" * 8),
        text("y", "250 fine"),
        text("y", "5x0 5.7.1 no"),
        text("y", ""),
        packet("y", b"550 no"),
        packet("y", b"550\0no\0"),
        packet("h", b"Name"),
        packet("h", b"Name\0value"),
        packet("h", b"Name\0value\0more\0"),
        header("", "value"),
        header("A B", "value"),
        header("A:", "value"),
        header("A\r\nB", "value"),
        header("x" * 201, "value"),
        packet("m", b"\0\0\0"),
        packet("i", b"\0\0\0\1"),
        packet("+", b"<a@b.example>"),
        packet("+", b"<a@b.example>\0more\0"),
        packet("2", b"<a@b.example>\0more"),
        packet("q", b"reason"),
    ],
)
def test_what_is_no_packet_of_a_filter_is_an_error_however_it_is_cut(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(BadPacket):
            read(lambda stream: milter.reply(stream, LIMIT), pieces)


def test_a_length_is_looked_at_before_what_it_announces() -> None:
    stream = Stream()
    reading = milter.reply(stream, LIMIT)
    next(reading)
    stream.feed(struct.pack("!I", LIMIT + 1))
    with pytest.raises(TooLong, match="401 octets"):
        next(reading)
    full = packet("b", b"x" * (LIMIT - 1))
    assert read(lambda stream: milter.reply(stream, LIMIT), [full])[0] == ReplaceBody(b"x" * (LIMIT - 1))


@pytest.mark.parametrize("data, _", ANSWERS[:10])
def test_a_filter_that_dies_in_the_middle(data: bytes, _: Reply) -> None:
    for end in range(len(data)):
        with pytest.raises(EndOfStream):
            read(lambda stream: milter.reply(stream, LIMIT), [data[:end]])


def test_words_are_bounded_and_read_in_bounded_time() -> None:
    most = LIMITS.milter_text
    for hostile in (" " * 10**6, "\r\n" * 10**6, "550 " * 10**5, "5.7.1 " * 10**5):
        found = milter.parse(b"y", b"550 " + hostile.encode() + b"x\0")
        assert isinstance(found, ReplyCode) and len(found.text) <= most
        reason = milter.parse(b"q", hostile.encode() + b"\0")
        assert isinstance(reason, Quarantine) and len(reason.reason) <= most
    names = b"\0\0\0\1" + b"i " * most + b"\0"
    with pytest.raises(BadPacket):
        milter.parse(b"O", options(more=names)[5:])


def test_what_a_filter_wants_is_kept_to() -> None:
    wants = Options(6, Action(0), Step.NOHELO | Step.NR_RCPT)
    assert [c for c in milter.COMMANDS if not wants.told(c)] == ["helo"]
    assert [c for c in milter.COMMANDS if not wants.answers(c)] == ["rcpt"]
    sizes = [Options(6, Action(0), step).chunk for step in (Step(0), Step.MDS_256K, Step.MDS_1M)]
    assert sizes == [65535, 262143, 1048575]
