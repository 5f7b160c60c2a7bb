"""What a message is counted by: from every part of it, the same for ever, and never too many."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail.tokens import ids, tokenize, words_of

HTML = b"Content-Type: text/html\r\n\r\n"


def of(body: bytes, header: bytes = b"") -> set[bytes]:
    return set(tokenize(header + b"\r\n" + body if header or not body.startswith(b"Content-") else body))


def test_every_token_is_short() -> None:
    found = tokenize(b"Subject: " + b"x" * 5000 + b"\r\n\r\n" + b"y" * 5000 + b" http://" + b"z" * 200 + b".example/")
    assert found
    assert max(map(len, found)) == LIMITS.spam_token


def test_tokens_are_counted() -> None:
    text = " ".join(f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(5000))
    found = tokenize(b"\r\n" + text.encode())
    assert len(found) == LIMITS.spam_tokens == len(set(found))


def test_only_so_much_text_is_read() -> None:
    text = b"again " * (LIMITS.spam_text // 6 + 10) + b"behind"
    assert b"again" in of(text)
    assert b"behind" not in of(text)


@pytest.mark.parametrize(
    "body",
    [
        b"<b><i>" * 2_500_000,
        b"<" * 30_000_000,
        b"<!--" * 7_000_000,
        b"<a href=" * 3_000_000,
        b" ".join(b"http://h%d.example/p%d" % (n, n) for n in range(100_000)),
        b"http://" * 4_000_000,
        b"a." * 15_000_000,
        b"$0,0" * 7_000_000,
        "\u4e00".encode() * 10_000_000,
    ],
    ids=range(9),
)
def test_hostile_text_costs_no_more_than_long_text(body: bytes) -> None:
    assert len(tokenize(HTML + body)) <= LIMITS.spam_tokens


def test_hostile_headers_cost_no_more_than_long_ones() -> None:
    header = b"".join(b"Received: from %s (%s)\r\n" % (b"a." * 3000, b"b." * 3000) for _ in range(100))
    header += (
        b"Subject: " + b"! " * 30_000 + b"\r\nFrom: " + b"a@b.c," * 9000 + b"\r\nX-Mailer: " + b"y" * 60_000 + b"\r\n"
    )
    assert len(tokenize(header + b"\r\n")) <= LIMITS.spam_tokens


def test_elements_and_links_are_counted() -> None:
    tags = b"".join(b"<p><font color=#%06x>" % n for n in range(LIMITS.spam_tags))
    found = of(HTML + tags)
    assert b"t:font color #000001" in found
    assert b"t:font color #%06x" % (LIMITS.spam_tags - 1) not in found
    links = b" ".join(b"http://h%03d.example/" % n for n in range(2 * LIMITS.spam_links))
    found = of(links)
    assert b"u:h001.example" in found
    assert b"u:h%03d.example" % (2 * LIMITS.spam_links - 1) not in found


def test_a_long_subject_and_many_hops_are_cut() -> None:
    subject = b"Subject: " + b"word " * LIMITS.spam_subject + b"behind\r\n"
    assert b"s:behind" not in of(b"", subject)
    hops = b"".join(b"Received: from h.n%d.example\r\n" % n for n in range(2 * LIMITS.spam_hops))
    assert b"h:received %d" % LIMITS.spam_hops in of(b"", hops)


def test_numbers_are_the_same_for_ever() -> None:
    assert ids((b"word", b"s:free", b"\xff" * 64)) == (2003792484, 126694664070501, 7164280778796002994)


def test_scripts_without_blanks_give_pairs() -> None:
    assert [word.decode() for word in words_of("\u514d\u8cbb\u8d08\u9001 now")] == ["免費", "費贈", "贈送", "now"]
