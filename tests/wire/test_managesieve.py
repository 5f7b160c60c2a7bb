"""ManageSieve commands and replies."""

from __future__ import annotations

import tracemalloc

import pytest

from daemon.wire import managesieve
from daemon.wire.managesieve import BadCommand, Bounds, Command, Value, check_arguments, no, ok, read_command
from daemon.wire.stream import EndOfStream, Stream, TooLong
from tests.wire.cuts import cuts, read

BOUNDS = Bounds(line=200, literal=40, skip=100)
NEXT = b'NOOP "next"\r\n'


@pytest.mark.parametrize(
    "data, want",
    [
        (b"LOGOUT\r\n", Command("LOGOUT")),
        (b"logout\n", Command("LOGOUT")),
        (b"CAPABILITY  \r\n", Command("CAPABILITY")),
        (b'HAVESPACE "a" 999999\r\n', Command("HAVESPACE", (b"a", 999999))),
        (b'HAVESPACE   "a"   4294967295  \r\n', Command("HAVESPACE", (b"a", 4294967295))),
        (b'SETACTIVE ""\r\n', Command("SETACTIVE", (b"",))),
        (b'GETSCRIPT "a \\"quoted\\" back\\\\slash"\r\n', Command("GETSCRIPT", (b'a "quoted" back\\slash',))),
        (b'GETSCRIPT "needless \\escape {3+}"\r\n', Command("GETSCRIPT", (b"needless escape {3+}",))),
        ('GETSCRIPT "Büro"\r\n'.encode(), Command("GETSCRIPT", ("Büro".encode(),))),
        (b'PUTSCRIPT "a" {7+}\r\nkeep;\r\n\r\n', Command("PUTSCRIPT", (b"a", b"keep;\r\n"))),
        (b'PUTSCRIPT "a" {5}\r\nkeep;\r\n', Command("PUTSCRIPT", (b"a", b"keep;"))),
        (b'PUTSCRIPT {1+}\r\na {7+}\r\n"{1+}\r\n\r\n', Command("PUTSCRIPT", (b"a", b'"{1+}\r\n'))),
        (b'RENAMESCRIPT {0+}\r\n "b"\r\n', Command("RENAMESCRIPT", (b"", b"b"))),
        (b"SETACTIVE{2+}\r\nab\r\n", Command("SETACTIVE", (b"ab",))),
        (b"CHECKSCRIPT {5+}\r\n\0\r\n\xff\\\r\n", Command("CHECKSCRIPT", (b"\0\r\n\xff\\",))),
        (b'AUTHENTICATE "PLAIN" {4+}\r\nAGEA\r\n', Command("AUTHENTICATE", (b"PLAIN", b"AGEA"))),
    ],
)
def test_commands_are_the_same_however_they_are_cut(data: bytes, want: Command) -> None:
    for pieces in cuts(data + NEXT):
        assert read(lambda stream: read_command(stream, BOUNDS), pieces) == (want, NEXT)


@pytest.mark.parametrize(
    "data, text",
    [
        (b"\r\n", "begins with its name"),
        (b'"NOOP"\r\n', "begins with its name"),
        (b"12\r\n", "begins with its name"),
        (b"{4+}\r\nNOOP\r\n", "begins with its name"),
        (b"SETACTIVE name\r\n", "strings and numbers"),
        (b'SETACTIVE "open\r\n', "no string"),
        (b'SETACTIVE "open {2+}\r\nab\r\n', "no string"),
        (b'SETACTIVE "a""b"\r\n', "no string"),
        (b'SETACTIVE "a\0b"\r\n', "no string"),
        (b'SETACTIVE "a\rb"\r\n', "no string"),
        (b'SETACTIVE "a\\\r\n', "no string"),
        (b"SETACTIVE {2\r\n", "no string"),
        (b"SETACTIVE {-2+}\r\n", "no string"),
        (b"SETACTIVE\t{2+}\r\nab\r\n", "no string"),
        (b"\xff\xfe\r\n", "no string"),
        (b'HAVESPACE "a" 4294967296\r\n', "too large"),
        (b'HAVESPACE "a" 99999999999999999999\r\n', "too large"),
        (b'HAVESPACE "a" -1\r\n', "no string"),
        (b'NOOP "a" "b" "c" "d"\r\n', "too many"),
        (b'NOOP "a" "b" "c" {3+}\r\nabc {4+}\r\nNOOP\r\n', "too many"),
        (b'PUTSCRIPT "a" {41+}\r\n' + b"x" * 41 + b"\r\n", "40 octets"),
        (b"PUTSCRIPT {41+}\r\n" + b"x" * 41 + b' {3+}\r\nabc "x"\r\n', "40 octets"),
    ],
)
def test_what_is_not_understood_is_read_to_its_end(data: bytes, text: str) -> None:
    for pieces in cuts(data + NEXT):
        stream = Stream()
        waiting = [*pieces]
        reading = read_command(stream, BOUNDS)
        with pytest.raises(BadCommand, match=text) as caught:
            while True:
                next(reading)
                stream.feed(waiting.pop(0))
        assert bytes(stream.buffer) + b"".join(waiting) == NEXT
        assert caught.value.code == ("QUOTA/MAXSIZE" if "octets" in text else None)


@pytest.mark.parametrize(
    "data",
    [
        b'PUTSCRIPT "a" {4294967296+}\r\n',
        b'PUTSCRIPT "a" {101+}\r\n',
        b'PUTSCRIPT "a" {' + b"9" * 150 + b"+}\r\n",
        b"PUTSCRIPT {60+}\r\n" + b"x" * 60 + b" {60+}\r\n",
        b"{41+}\r\n" + b"x" * 41 + b"{41+}\r\n" + b"x" * 41 + b"{41+}\r\n",
        b'NOOP "' + b"a" * 200,
        b"N" * 200,
        b"{0+}\r\n" * 40,
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(TooLong):
            read(lambda stream: read_command(stream, BOUNDS), pieces)


def test_a_refused_literal_takes_no_memory() -> None:
    bounds, stream = Bounds(100, 10, 64 << 20), Stream()
    reading = read_command(stream, bounds)
    stream.feed(b"PUTSCRIPT {%d+}\r\n" % (32 << 20))
    piece = bytes(64 << 10)
    tracemalloc.start()
    for _ in range(512):
        next(reading)
        stream.feed(piece)
    next(reading)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    stream.feed(b"\r\n")
    with pytest.raises(BadCommand):
        next(reading)


@pytest.mark.parametrize("data", [b"", b"NOOP", b'PUTSCRIPT "a" {5+}\r\nkee', b"PUTSCRIPT {50+}\r\nkee"])
def test_unfinished_commands_end_with_the_stream(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(EndOfStream):
            read(lambda stream: read_command(stream, BOUNDS), pieces)


@pytest.mark.parametrize(
    "data, want",
    [
        (b'"AGEA"\r\n', b"AGEA"),
        (b'""\r\n', b""),
        (b"{0+}\r\n\r\n", b""),
        (b"{4+}\r\nAGEA\r\n", b"AGEA"),
        (b'"*"\r\n', b"*"),
        (b"*\r\n", b"*"),
        (b"AGEA\r\n", None),
        (b"\r\n", None),
        (b'"a" "b"\r\n', None),
        (b"12\r\n", None),
    ],
)
def test_answers_to_challenges(data: bytes, want: bytes | None) -> None:
    for pieces in cuts(data + NEXT):
        if want is None:
            with pytest.raises(BadCommand):
                read(lambda stream: managesieve.read_response(stream, BOUNDS), pieces)
        else:
            assert read(lambda stream: managesieve.read_response(stream, BOUNDS), pieces) == (want, NEXT)


@pytest.mark.parametrize(
    "values, form, optional, good",
    [
        ((), "", 0, True),
        ((b"a",), "s", 0, True),
        ((b"a", 1), "sn", 0, True),
        ((b"a",), "ss", 1, True),
        ((), "s", 1, True),
        ((), "s", 0, False),
        ((1,), "s", 0, False),
        ((b"a",), "", 0, False),
        ((b"a",), "ss", 0, False),
        ((), "ss", 1, False),
        ((b"a", b"b", b"c"), "ss", 1, False),
        ((1, b"a"), "sn", 0, False),
    ],
)
def test_arguments(values: tuple[Value, ...], form: str, optional: int, good: bool) -> None:
    if good:
        check_arguments(Command("X", values), form, optional)
    else:
        with pytest.raises(BadCommand, match="X takes "):
            check_arguments(Command("X", values), form, optional)


def test_names_are_composed_and_texts_are_utf_8() -> None:
    assert managesieve.script_name("Bu\u0308ro".encode()) == "B\u00fcro"
    assert managesieve.text("ÿ\0".encode()) == "ÿ\0"
    with pytest.raises(BadCommand, match="UTF-8"):
        managesieve.script_name(b"B\xfcro")


def test_replies() -> None:
    assert ok() == b"OK\r\n"
    assert ok("all is well") == b'OK "all is well"\r\n'
    assert ok("done", "TAG", 'a "b"\\') == b'OK (TAG "a \\"b\\"\\\\") "done"\r\n'
    assert ok("done", "TAG", "") == b'OK (TAG "") "done"\r\n'
    assert ok("done", "TAG", "a\r\nb") == b'OK (TAG {4}\r\na\r\nb) "done"\r\n'
    assert ok(code="SASL", value="dj1hYmM=") == b'OK (SASL "dj1hYmM=")\r\n'
    assert no("there is none", "NONEXISTENT") == b'NO (NONEXISTENT) "there is none"\r\n'
    assert no("line 1: a\nline 2: b") == b"NO {20}\r\nline 1: a\r\nline 2: b\r\n"
    assert managesieve.bye("enough", "TRYLATER") == b'BYE (TRYLATER) "enough"\r\n'
    assert managesieve.challenge(b"") == b'""\r\n'
    assert managesieve.challenge(b"cj1h") == b'"cj1h"\r\n'
    assert managesieve.script("keep;\n") == b"{6}\r\nkeep;\n\r\n"
    assert managesieve.script("") == b"{0}\r\n\r\n"
    assert managesieve.script("é\0") == b"{3}\r\n\xc3\xa9\0\r\n"


def test_strings_are_quoted_where_they_can_be() -> None:
    assert managesieve.string("ü" * 512) == '"' + "ü" * 512 + '"'
    assert managesieve.string("ü" * 513) == "{1026}\r\n" + "ü" * 513
    assert managesieve.string("a\rb") == "{3}\r\na\rb"
    assert managesieve.string("a\r\nb\n") == "{6}\r\na\r\nb\r\n"
    assert managesieve.string("a\0") == "{2}\r\na\0"


def test_sentences_stand_in_one_line_as_far_as_there_is_room() -> None:
    assert managesieve.in_a_line(["one"]) == "one"
    assert managesieve.in_a_line(["one", 'tw"o', "three"]) == 'one; tw"o; three'
    assert managesieve.in_a_line(["a" * 900, "b" * 100, "c"]) == "a" * 900 + "; and 2 more"
    assert managesieve.in_a_line(["ü" * 600, "b"]) == "2 more"
    assert managesieve.in_a_line(["a", "two\r\nlines"]) == "a; and 1 more"
    for number in (1, 30, 1000):
        found = managesieve.in_a_line([f'line {at}: "' for at in range(number)])
        assert managesieve.string(found).startswith('"')


def test_what_is_listed() -> None:
    assert managesieve.listing([]) == b""
    scripts = [("a", False), ('b "c"', True)]
    assert managesieve.listing(scripts) == b'"a"\r\n"b \\"c\\"" ACTIVE\r\n'


def test_capabilities() -> None:
    before = managesieve.capabilities(["fileinto", "copy"], [], start_tls=True, redirects=4)
    assert before.decode().split("\r\n") == [
        '"IMPLEMENTATION" "mailctl"', '"SIEVE" "fileinto copy"', '"SASL" ""', '"NOTIFY" "mailto"', '"MAXREDIRECTS" "4"',
        '"LANGUAGE" "en"', '"STARTTLS"', '"UNAUTHENTICATE"', '"VERSION" "1.0"', "",
    ]  # fmt: skip
    after = managesieve.capabilities([], ["PLAIN", "LOGIN"], start_tls=False, redirects=4, owner="a@example.org")
    lines = after.decode().split("\r\n")
    assert '"STARTTLS"' not in lines and {'"SASL" "PLAIN LOGIN"', '"OWNER" "a@example.org"'} <= set(lines)
