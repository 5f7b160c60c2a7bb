"""Commands, replies and their limits."""

from __future__ import annotations

import pytest

from daemon.wire.smtp import LINE, Command, Refused, Reply, command, hello, refused, skip_line
from daemon.wire.stream import Stream, TooLong
from tests.wire.cuts import cuts, read


def test_a_reply_is_code_enhanced_code_and_text():
    assert bytes(Reply(250, "2.1.0", "Ok")) == b"250 2.1.0 Ok\r\n"


def test_a_reply_without_an_enhanced_code_has_none():
    assert bytes(Reply(354, "", "Go ahead")) == b"354 Go ahead\r\n"


def test_every_line_of_a_reply_has_both_codes():
    assert bytes(Reply(550, "5.7.1", "one\ntwo\n")) == b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 \r\n"


def test_a_reply_cannot_be_split_by_what_it_quotes():
    assert bytes(Reply(550, "5.1.1", "<a\r\x00\xe9\x7f>")) == b"550 5.1.1 <a????>\r\n"


def test_a_long_reply_is_folded_at_spaces():
    said = bytes(Reply(550, "5.7.1", "word " * 300)).split(b"\r\n")
    assert said.pop() == b""
    assert all(len(line) <= LINE for line in said)
    assert [line[:4] for line in said] == [b"550-"] * (len(said) - 1) + [b"550 "]
    assert b" ".join(line[10:] for line in said).count(b"word") == 300


def test_a_long_word_in_a_reply_is_cut():
    said = bytes(Reply(550, "5.1.1", "x" * 1200)).split(b"\r\n")
    assert sum(line.count(b"x") for line in said) == 1200
    assert max(map(len, said)) == LINE


@pytest.mark.parametrize(
    "code,temporary,permanent,closes",
    [(250, False, False, False), (421, True, False, True), (451, True, False, False), (550, False, True, False),
     (221, False, False, True)],
)  # fmt: skip
def test_a_reply_knows_what_follows_from_it(code, temporary, permanent, closes):
    reply = Reply(code, "", "")
    assert (reply.temporary, reply.permanent, reply.closes) == (temporary, permanent, closes)


def test_a_refusal_carries_its_reply():
    with pytest.raises(Refused, match="452 4.5.3 too many") as caught:
        raise refused(452, "4.5.3", "too many")
    assert caught.value.reply == Reply(452, "4.5.3", "too many")


@pytest.mark.parametrize(
    "line,want",
    [
        (b"MAIL FROM:<a@b>", Command("MAIL", b"FROM:<a@b>")),
        (b"mail from:<a@b>", Command("MAIL", b"from:<a@b>")),
        (b"MaIl  FROM:<a@b> ", Command("MAIL", b"FROM:<a@b>")),
        (b"QUIT", Command("QUIT", b"")),
        (b"quit \t", Command("QUIT", b"")),
        (b"vrfy\tsomebody", Command("VRFY", b"somebody")),
        (b"XFROB", Command("XFROB", b"")),
        (b"", Command("", b"")),
        (b" NOOP", Command("", b" NOOP")),
        (b"N\xc3\x96\xc3\x96P", Command("", b"N\xc3\x96\xc3\x96P")),
        (b"DATA\0", Command("", b"DATA\0")),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", Command("", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    ],
)
def test_commands(line, want):
    assert command(line) == want


@pytest.mark.parametrize(
    "argument,want",
    [
        (b"mail.example.org", "mail.example.org"),
        (b"[192.0.2.1]", "[192.0.2.1]"),
        (b"under_score", "under_score"),
        (b"m\xc3\xbcller", "m??ller"),
        (b"x" * 255, "x" * 255),
    ],
)
def test_a_client_may_call_itself_what_it_likes(argument, want):
    assert hello(argument) == want


@pytest.mark.parametrize("argument", [b"", b"two words", b"a\0b", b"tab\there", b"x" * 256])
def test_a_client_must_have_one_name(argument):
    with pytest.raises(Refused, match="^501 5.5.4"):
        hello(argument)


def test_a_long_line_is_skipped_at_every_cut():
    for pieces in cuts(b"abcdefghijkl\r\nNOOP\r\n"):
        assert read(lambda s: skip_line(s, 100), pieces)[1] == b"NOOP\r\n"


def test_an_endless_line_is_given_up():
    stream = Stream()
    reading = skip_line(stream, 100)
    with pytest.raises(TooLong):
        for _ in range(12):
            stream.feed(b"x" * 10)
            next(reading)
            assert len(stream) == 0


def test_a_line_is_given_up_after_as_many_octets_however_it_came():
    for size, given_up in ((100, False), (101, True)):
        for pieces in cuts(b"x" * size + b"\r\nNOOP\r\n"):
            if given_up:
                with pytest.raises(TooLong):
                    read(lambda s: skip_line(s, 101), pieces)
            else:
                assert read(lambda s: skip_line(s, 101), pieces) == (None, b"NOOP\r\n")


def test_a_line_that_never_ends_ends_with_the_stream():
    assert read(lambda s: skip_line(s, 100), [b"abc"]) == (None, b"")
