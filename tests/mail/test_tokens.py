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


@pytest.mark.parametrize(
    "mail,tokens",
    [
        (b"Subject: FREE Offer!!! $5000\r\n", "s:free s:FREE s:offer s:!!! s:0000 s:free_offer"),
        (b"Subject: =?utf-8?q?caf=C3=A9?=\r\n", "s:café h:subject_encoded"),
        (b"Subject: caf\xc3\xa9\r\n", "s:café h:subject_8bit"),
        (b"Subject: BUY THIS      NOW x\r\n", "h:subject_in_capitals h:subject_with_a_gap"),
        (b"Subject:\r\n", "h:empty_subject h:no_from h:no_message-id h:no_date"),
        (b"To: a@b.example\r\n", "h:no_subject h:to_1 a:a@b.example a:@b.example"),
        (b'From: "Big Deals" <x99@Y.example>\r\n', "f:big f:deals f:@y.example f:x99@y.example f:.example f:like_a00"),
        (b"From: a@b.example\r\nTo: A <A@b.example>\r\n", "h:from_without_a_name h:to_with_a_name h:to_is_from"),
        (b"From: a@b.example\r\nReply-To: a@b.example\r\n", "h:reply-to_is_from"),
        (b"From: a@b.example\r\nReply-To: c@d.example\r\n", "h:reply-to_differs f:reply_d.example"),
        (b"Message-ID: <AB12.c@h.example>\r\n", "i:<a00.a i:@h.example"),
        (
            b"Received: from bare (mx.n.example [192.0.2.7]) by here\r\nReceived: by there\r\n",
            "h:received_2 r:n.example r:mx.n.example r:192.0 r:192.0.2 r:192.0.2.7 h:helo_without_a_dot",
        ),
        (b"Date: Sun, 1 Mar 2026 10:00:00 +0100 (CET)\r\n", "d:+0100"),
        (b"Date: 1 Mar 2026 10:00\r\n", "d:0_a_0000_00:00 d:no_day"),
        (b"X-Mailer: Blaster 3.1\r\nX-Odd: 1\r\n", "h:X-Mailer h:X-Odd x:x-mailer:blaster x:x-mailer_blaster_0.0"),
        (b"Subject: a\r\nFrom: b@c.example\r\n", "o:subject_from"),
        (b"Content-Type: multipart/mixed; boundary=ab12\r\n", "b:a00"),
        (HTML + b"<font COLOR='#ff0000'>x</font>", "t:font t:font_color_#ff0000 m:text/html"),
        (HTML + b"<b onclick=x>", "t:handler"),
        (HTML + b"<p style='display: none'>vi<!-- x -->agra", "t:hidden t:split_words_1 t:comments_1 viagra"),
        (HTML + b"<a href='http://shop.evil.example:81/buy/now?x=1'>", "u:shop.evil.example u:evil.example u:.example"),
        (HTML + b"<a href='http://shop.evil.example:81/buy/now?x=1'>", "u:port u:/buy u:/now u:query u:count_1"),
        (b"\r\nhttp://bank.example@192.0.2.1/ http://%65vil.example/ http://3232235777/", "u:user_before_host"),
        (b"\r\nhttp://bank.example@192.0.2.1/ http://%65vil.example/", "u:address_for_a_host u:encoded_host"),
        (b"\r\nmailto:a@b.example", "u:mailto_b.example"),
        (b"Content-Type: text/plain; charset=koi8-r\r\n\r\n\xd0\xcf\xcb\xc1", "m:charset_koi8-r пока"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nRnJlZSBtb25leQ==", "free money free_money m:text/plain_base64"),
        ("\r\n免費贈送".encode(), "免費 費贈 贈送 免費_費贈"),
    ],
)
def test_a_message_has_these_tokens_among_others(mail: bytes, tokens: str) -> None:
    found = {token.decode() for token in tokenize(mail if b"\r\n\r\n" in mail or mail[:1] == b"\r" else mail + b"\r\n")}
    assert {token.replace("_", " ") for token in tokens.split()} <= found


def test_what_the_receiving_side_adds_gives_no_token() -> None:
    mail = b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n"
    added = b"Return-Path: <a@b.example>\r\nDelivered-To: me@here.example\r\nX-Spam-Status: Yes, score=9\r\n"
    assert tokenize(added + b"Authentication-Results: here.example; spf=pass\r\n" + mail) == tokenize(mail)


def test_the_same_text_twice_is_read_once_but_parts_without_room_not_at_all() -> None:
    part = b"\r\n--b\r\n\r\n" + b"word " * (LIMITS.spam_text // 5) + b"\r\n"
    found = of(b"", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part + b"\r\n--b\r\n\r\nbehind\r\n--b--")
    assert b"word" in found
    assert b"behind" not in found
