import random
import re

import pytest

from daemon.wire.smtp_content import stuffed, whole_lines


def whole(*pieces: bytes) -> bytes:
    return b"".join(whole_lines(pieces))


@pytest.mark.parametrize(
    "data, want",
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\r", b"a\r\n.\r\n"),
        (b"\r\r\n.\r\r\n", b"\r\n\r\n.\r\n\r\n"),
        (b"\n", b"\r\n"),
        (b"\r", b"\r\n"),
        (b"\r\n.\n", b"\r\n.\r\n"),
        (b"a\r\n\x00.\r\n", b"a\r\n\x00.\r\n"),
    ],
)
def test_no_bare_newline_leaves_wherever_the_message_is_cut(data: bytes, want: bytes) -> None:
    assert whole(data) == want
    assert whole(*(data[at : at + 1] for at in range(len(data)))) == want
    for at in range(len(data) + 1):
        assert whole(data[:at], data[at:]) == want


def test_pieces_never_end_inside_a_line_end() -> None:
    for piece in whole_lines([b"a\r", b"\nb\r", b"\n\r", b"\n"]):
        assert not piece.endswith(b"\r")


@pytest.mark.parametrize(
    "data, want",
    [
        (b"a\r\n", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"..a\r\n.b\r\nc.\r\n", b"...a\r\n..b\r\nc.\r\n"),
        (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n"),
        (b"a.b\r\n", b"a.b\r\n"),
    ],
)
def test_dots_are_doubled_wherever_the_message_is_cut(data: bytes, want: bytes) -> None:
    for at in range(len(data) + 1):
        assert b"".join(stuffed(whole_lines([data[:at], data[at:]]))) == want
    assert b"".join(stuffed(whole_lines(data[at : at + 1] for at in range(len(data))))) == want


def test_what_the_receiver_unstuffs_is_what_was_meant() -> None:
    chance = random.Random(5)
    for _ in range(300):
        data = bytes(chance.choice(b"\r\n.ab") for _ in range(chance.randrange(40)))
        cut = sorted(chance.randrange(len(data) + 1) for _ in range(3))
        pieces = [data[a:b] for a, b in zip([0, *cut], [*cut, len(data)], strict=True)]
        sent = b"".join(stuffed(whole_lines(pieces))) + b".\r\n"
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", sent)
        lines = sent.split(b"\r\n")
        assert lines.index(b".") == len(lines) - 2, "one end of data only"
        received = b"".join((line[1:] if line[:1] == b"." else line) + b"\r\n" for line in lines[:-2])
        assert received == whole(data)
