"""POP3 commands and replies."""

from __future__ import annotations

import pytest

from daemon.wire import pop3
from daemon.wire.pop3 import BadArgument, Beginning, Command, Stuffer
from daemon.wire.stream import EndOfStream, TooLong
from tests.wire.cuts import cuts, read


@pytest.mark.parametrize(
    "line, want",
    [
        (b"QUIT\r\n", (b"QUIT", b"")),
        (b"quit\n", (b"QUIT", b"")),
        (b"RETR 1\r\n", (b"RETR", b"1")),
        (b"pass  two spaces and \xc3\xbc \r\n", (b"PASS", b" two spaces and \xc3\xbc ")),
        (b"\r\n", (b"", b"")),
        (b"\xff\xfe\r\n", (b"\xff\xfe", b"")),
    ],
)
def test_commands_are_the_same_however_they_are_cut(line: bytes, want: Command) -> None:
    for pieces in cuts(line + b"NOOP\r\n"):
        assert read(lambda stream: pop3.read_command(stream, 100), pieces) == (want, b"NOOP\r\n")


def test_long_and_unfinished_lines_are_refused() -> None:
    with pytest.raises(TooLong):
        read(lambda stream: pop3.read_command(stream, 10), [b"RETR " + b"1" * 100])
    with pytest.raises(EndOfStream):
        read(lambda stream: pop3.read_command(stream, 10), [b"RETR"])


@pytest.mark.parametrize(
    "argument, want",
    [
        (b"1", 1), (b" 7 ", 7), (b"0007", 7), (b"10", 10), (b"0", None), (b"11", None), (b"-1", None), (b"", None),
        (b"1 2", None), (b"x", None), (b"9" * 5000, None), ("१".encode(), None), (b"1\t", None),
    ],
)  # fmt: skip
def test_message_numbers(argument: bytes, want: int | None) -> None:
    if want is None:
        with pytest.raises(BadArgument):
            pop3.message_number(argument, 10)
    else:
        assert pop3.message_number(argument, 10) == want


@pytest.mark.parametrize(
    "argument, want",
    [
        (b"1 0", (1, 0)), (b" 2   30 ", (2, 30)), (b"1 99999999999999", (1, 1 << 32)),
        (b"1", None), (b"1 x", None), (b"1 -1", None), (b"1 2 3", None), (b"0 1", None), (b"", None),
    ],
)  # fmt: skip
def test_arguments_of_top(argument: bytes, want: tuple[int, int] | None) -> None:
    if want is None:
        with pytest.raises(BadArgument):
            pop3.number_and_lines(argument, 10)
    else:
        assert pop3.number_and_lines(argument, 10) == want


def test_names_and_passwords_are_utf_8_or_else_latin_1() -> None:
    assert pop3.text("jörg".encode()) == "jörg"
    assert pop3.text("jörg".encode("latin-1")) == "jörg"


def test_replies() -> None:
    assert pop3.ok() == b"+OK\r\n"
    assert pop3.ok("1 120") == b"+OK 1 120\r\n"
    assert pop3.err("no such message") == b"-ERR no such message\r\n"
    assert pop3.err("wrong", "AUTH") == b"-ERR [AUTH] wrong\r\n"
    assert pop3.challenge(b"") == b"+ \r\n"
    assert pop3.challenge(b"AGE=") == b"+ AGE=\r\n"
    assert pop3.multi_line("two", ["1 120", "2 30"]) == b"+OK two\r\n1 120\r\n2 30\r\n.\r\n"
    assert pop3.multi_line("", []) == b"+OK\r\n.\r\n"


def test_pop2_the_capabilities_are_complete() -> None:
    before = pop3.capabilities(tls=False, may_start_tls=True, may_log_in=False, mechanisms=())
    assert {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "STLS", "EXPIRE NEVER", "LANG"} <= set(before)
    assert "USER" not in before and not any(c.startswith("SASL") for c in before)
    after = pop3.capabilities(tls=True, may_start_tls=True, may_log_in=True, mechanisms=("SCRAM-SHA-256", "PLAIN"))
    assert {"USER", "SASL SCRAM-SHA-256 PLAIN", "UTF8 USER", "IMPLEMENTATION mailctl"} <= set(after)
    assert "STLS" not in after


@pytest.mark.parametrize(
    "data, want",
    [
        (b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n.\r\n"),
        (b".a\r\n.\r\n..b\r\nc.d\r\n", b"..a\r\n..\r\n...b\r\nc.d\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"bare\n.\nend\n", b"bare\n..\nend\n\r\n.\r\n"),  # a client that takes LF as an end must not stop here
        (b"\r", b"\r\r\n.\r\n"),
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
    ],
)
def test_messages_are_dot_stuffed_and_ended_whole_and_in_pieces(data: bytes, want: bytes) -> None:
    for whole in (data, memoryview(data)):
        assert pop3.message(b"+OK\r\n", whole) == b"+OK\r\n" + want
    for pieces in cuts(data):
        stuffer = Stuffer()
        assert b"".join(stuffer.piece(p) for p in pieces) + stuffer.end() == want


@pytest.mark.parametrize(
    "data, lines, want",
    [
        (b"A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n", 0, b"A: b\r\nC: d\r\n\r\n"),
        (b"A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n", 1, b"A: b\r\nC: d\r\n\r\none\r\n"),
        (b"A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n", 2, b"A: b\r\nC: d\r\n\r\none\r\n\r\n"),
        (b"A: b\r\n\r\none\r\ntwo without end", 2, b"A: b\r\n\r\none\r\ntwo without end"),
        (b"A: b\r\n\r\none\r\n", 9, b"A: b\r\n\r\none\r\n"),
        (b"A: b\n\none\ntwo\n", 1, b"A: b\n\none\n"),
        (b"\r\nbody\r\n", 0, b"\r\n"),
        (b"\nbody\n", 1, b"\nbody\n"),
        (b"A: b\r\n", 0, b"A: b\r\n"),
        (b"", 0, b""),
    ],
)
def test_top_ends_after_the_header_and_the_lines(data: bytes, lines: int, want: bytes) -> None:
    for pieces in cuts(data):
        beginning = Beginning(lines)
        assert b"".join(beginning.piece(p) for p in pieces) == want
        assert beginning.piece(b"") == b"" and beginning.piece(b"" if want == data else b"more") == b""
