"""Sections: the right octets of prefix and original, none for a part that is not there."""

from __future__ import annotations

import pytest

from daemon.mail.message import pack, scan, unpack
from daemon.mail.section import cut, locate, pick_fields
from tests.mail.test_message import multipart

PREFIX = b"Return-Path: <a@x>\r\nReceived: by me\r\n"
INNER = multipart(b"c", b"\r\ninner one", b"Content-Type: text/html\r\n\r\ninner two")
DATA = b"Subject: outer\r\n" + multipart(
    b"b",
    b"\r\none",
    b"X: y\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + INNER,
    multipart(b"d", b"\r\nthree one"),
    b"Content-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nplain body",
)
ROOT = unpack(pack(scan(DATA).root))
HEADER = DATA[: DATA.index(b"\r\n\r\n") + 4]


def answer(path: tuple[int, ...], text: str) -> bytes | None:
    stretch = locate(ROOT, path, text, len(PREFIX))
    return None if stretch is None else (PREFIX + DATA)[slice(*stretch)]


@pytest.mark.parametrize(
    "path,text,want",
    [
        ((), "", PREFIX + DATA),
        ((), "HEADER", PREFIX + HEADER),
        ((), "HEADER.FIELDS", PREFIX + HEADER),
        ((), "HEADER.FIELDS.NOT", PREFIX + HEADER),
        ((), "TEXT", DATA[len(HEADER) :]),
        ((), "MIME", None),
        ((1,), "", b"one"),
        ((1,), "MIME", b"\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((2,), "", b"Subject: inner\r\n" + INNER),
        ((2,), "MIME", b"X: y\r\nContent-Type: message/rfc822\r\n\r\n"),
        ((2,), "HEADER", b"Subject: inner\r\n" + INNER[: INNER.index(b"\r\n\r\n") + 4]),
        ((2,), "TEXT", INNER[INNER.index(b"\r\n\r\n") + 4 :]),
        ((2, 1), "", b"inner one"),
        ((2, 2), "", b"inner two"),
        ((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n"),
        ((2, 3), "", None),
        ((2, 1, 1), "", None),
        ((3, 1), "", b"three one"),
        ((4,), "TEXT", b"plain body"),
        ((4, 1), "", b"plain body"),
        ((4, 2), "", None),
        ((0,), "", None),
        ((5,), "", None),
    ],
)
def test_sections(path: tuple[int, ...], text: str, want: bytes | None) -> None:
    assert answer(path, text) == want


def test_part_one_of_a_message_without_parts_is_its_body() -> None:
    root = scan(b"A: b\n\nbody").root
    assert locate(root, (1,), "", 10) == (16, 20)
    assert locate(root, (1,), "MIME", 10) == (10, 16)
    assert locate(root, (2,), "", 10) is None
    assert locate(root, (1, 1), "", 10) is None


def test_a_message_that_is_only_a_message_has_it_as_part_one() -> None:
    root = scan(b"Content-Type: message/rfc822\n\nA: b\n\nbody").root
    assert locate(root, (1,), "", 0) == (30, 40)
    assert locate(root, (1,), "TEXT", 0) == (36, 40)
    assert locate(root, (1, 1), "", 0) == (36, 40)


def test_an_empty_section_has_no_octets() -> None:
    assert locate(scan(b"A: b\n\n").root, (), "TEXT", 5) == (11, 11)
    assert locate(scan(b"").root, (), "", 5) == (0, 5)


@pytest.mark.parametrize("offset", range(0, 14))
@pytest.mark.parametrize("count", [0, 1, 3, 5, 100])
def test_a_partial_answer_is_a_slice(offset: int, count: int) -> None:
    start, stop = cut((4, 14), offset, count)
    assert start <= stop and list(range(start, stop)) == list(range(4, 14))[offset:][:count]


BLOCK = b"Subject: a\r\n\tb\r\njunk\r\nX-Y: 1\r\nsubject : c\r\nTo: d\r\n\r\n"


@pytest.mark.parametrize(
    "block,names,but,want",
    [
        (BLOCK, [b"SUBJECT"], False, b"Subject: a\r\n\tb\r\nsubject : c\r\n\r\n"),
        (BLOCK, [b"to", b"x-y"], False, b"X-Y: 1\r\nTo: d\r\n\r\n"),
        (BLOCK, [b"x"], False, b"\r\n"),
        (BLOCK, [], False, b"\r\n"),
        (BLOCK, [b"subject", b"x-y"], True, b"junk\r\nTo: d\r\n\r\n"),
        (BLOCK, [], True, BLOCK),
        (b"A: b\n\n", [b"c"], True, b"A: b\n\r\n"),
        (b"A: b\n\n", [b"a"], False, b"A: b\n\r\n"),
        (b"A: b", [b"a"], False, b"A: b\r\n\r\n"),
        (b"A: b", [b"c"], True, b"A: b\r\n\r\n"),
        (b"\r\n", [b"c"], True, b"\r\n"),
        (b"\n", [b"c"], True, b"\r\n"),
        (b"", [b"c"], True, b"\r\n"),
        (b"A.B: c\r\nAxB: d\r\n\r\n", [b"a.b"], False, b"A.B: c\r\n\r\n"),
    ],
)
def test_header_fields(block: bytes, names: list[bytes], but: bool, want: bytes) -> None:
    assert pick_fields(block, names, but=but) == want
