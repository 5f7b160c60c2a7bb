"""A message is the same one by whatever road it came, and another one when its author's words differ."""

import pytest

from daemon.mail.identity import identity, of_id

HEAD = (
    b"From: A <a@example.org>\r\nSubject: one\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
)
MAIL = HEAD + b"\r\nGood morning.\r\n\r\nYours\r\n"


@pytest.mark.parametrize(
    "same",
    [
        MAIL.replace(b"\r\n", b"\n"),
        MAIL[:-2],
        MAIL + b"\r\n\r\n",
        b"Delivered-To: alice@example.test\r\nReceived: from x\r\n\tby y\r\n" + MAIL,
        HEAD + b"X-TUID: 123456789012\r\n\r\nGood morning.\r\n\r\nYours\r\n",
        MAIL.replace(b"Subject: one", b"SUBJECT:\r\n  one"),
    ],
    ids=["line-feeds", "no-last-line-end", "more-at-the-end", "delivered", "appended-by-mbsync", "folded"],
)
def test_the_road_makes_no_difference(same: bytes) -> None:
    assert identity(same) == identity(MAIL)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"one", b"two"),
        MAIL.replace(b"A <a@", b"B <b@"),
        MAIL.replace(b"10:00", b"10:01"),
        MAIL.replace(b"1@ex", b"2@ex"),
        MAIL.replace(b"morning", b"evening"),
        MAIL.replace(b"\r\n\r\nYours", b"\r\nYours"),
        HEAD,
        b"",
    ],
)
def test_an_author_s_word_does(other: bytes) -> None:
    assert identity(other) != identity(MAIL)


def test_it_begins_with_the_message_id() -> None:
    assert len(identity(MAIL)) == 24
    assert identity(MAIL)[:8] == identity(HEAD)[:8] == of_id("1@example.org")
    assert identity(b"Subject: none\r\n\r\nnone")[:8] == of_id("")


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 200_000])
def test_long_bodies_are_read_in_pieces(size: int) -> None:
    long = HEAD + b"\r\n" + b"x" * size
    assert identity(long + b"\r\n" * 100_000) == identity(long) != identity(long + b"y")
    lines = HEAD + b"\r\n" + b"line\r\n" * (size // 6)
    assert identity(lines) == identity(lines.replace(b"\r\n", b"\n"))
