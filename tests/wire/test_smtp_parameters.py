"""Arguments of MAIL, RCPT and BDAT: what real clients say, and what nobody may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.wire.smtp import Refused
from daemon.wire.smtp_parameters import Chunk, Mail, Rcpt, bdat, from_xtext, mail, rcpt, xtext


@pytest.mark.parametrize(
    "argument,want",
    [
        (b"FROM:<a@b.example>", Mail("<a@b.example>")),
        (b"from:<a@b.example>", Mail("<a@b.example>")),
        (b"FROM: <a@b.example>", Mail("<a@b.example>")),
        (b"FROM:<>", Mail("<>")),
        (b"FROM:<> SIZE=100", Mail("<>", size=100)),
        (b"FROM:<A.B@b.example>\t SIZE=0  BODY=8bitmime ", Mail("<A.B@b.example>", body="8BITMIME")),
        (b"FROM:<a@b.example> AUTH=<>", Mail("<a@b.example>")),
        (b"FROM:<a@b.example> AUTH=e+3Dmc2@b.example", Mail("<a@b.example>")),
        (b"FROM:<a@b.example> RET=hdrs ENVID=QQ314159+2B", Mail("<a@b.example>", ret="HDRS", envid="QQ314159+2B")),
        (b"FROM:<a@b.example> REQUIRETLS", Mail("<a@b.example>", requiretls=True)),
        (b"FROM:<a@b.example> size=99999999999999999999", Mail("<a@b.example>", size=99999999999999999999)),
        ("FROM:<ä@b.example> SMTPUTF8".encode(), Mail("<ä@b.example>", smtputf8=True)),
        ("FROM:<ä@b.example> BODY=8BITMIME smtputf8".encode(),
         Mail("<ä@b.example>", body="8BITMIME", smtputf8=True)),
        (b'FROM:<"a > b"@b.example> SIZE=1', Mail('<"a > b"@b.example>', size=1)),
        (rb'FROM:<"a\"b\\"@b.example>', Mail(r'<"a\"b\\"@b.example>')),
        (b"FROM:<@x.example,@y.example:a@b.example>", Mail("<@x.example,@y.example:a@b.example>")),
        (b"FROM:<a@[IPv6:2001:db8::1]>", Mail("<a@[IPv6:2001:db8::1]>")),
        (b"FROM:<user..name@docomo.example>", Mail("<user..name@docomo.example>")),
    ],
)  # fmt: skip
def test_mail_is_read(argument, want):
    assert mail(argument) == want


@pytest.mark.parametrize(
    "argument,want",
    [
        (b"TO:<a@b.example>", Rcpt("<a@b.example>")),
        (b"to: <a+tag@b.example>", Rcpt("<a+tag@b.example>")),
        (b"TO:<postmaster>", Rcpt("<postmaster>")),
        (b"TO:<a@b.example> NOTIFY=never", Rcpt("<a@b.example>", notify="NEVER")),
        (b"TO:<a@b.example> NOTIFY=SUCCESS,failure,Delay", Rcpt("<a@b.example>", notify="SUCCESS,FAILURE,DELAY")),
        (b"TO:<a@b.example> ORCPT=rfc822;Bob+2BX@b.example", Rcpt("<a@b.example>", orcpt="rfc822;Bob+2BX@b.example")),
        (b"TO:<" + b"l" * 64 + b"x" * 100 + b"@b.example>", Rcpt("<" + "l" * 64 + "x" * 100 + "@b.example>")),
    ],
)
def test_rcpt_is_read(argument, want):
    assert rcpt(argument) == want


def test_rcpt_beyond_ascii_is_read_when_mail_said_smtputf8():
    assert rcpt("TO:<ü@b.example> ORCPT=utf-8;ü@b.example".encode(), True) == Rcpt(
        "<ü@b.example>", orcpt="utf-8;ü@b.example"
    )


@pytest.mark.parametrize(
    "argument,code",
    [
        (b"", "501 5.5.4"),
        (b"<a@b.example>", "501 5.5.4"),
        (b"FROM a@b.example", "501 5.5.4"),
        (b"FROM:a@b.example", "501 5.5.4"),
        (b"FROM:<a@b.example", "501 5.5.4"),
        (b"FROM:<a@b.example>SIZE=1", "501 5.5.4"),
        (b"FROM:<a @b.example>", "501 5.5.4"),
        (b"FROM:<a@b.example> (comment)", "501 5.5.4"),
        (b"FROM:<a\0b@b.example>", "501 5.5.4"),
        (b'FROM:<"a@b.example>', "501 5.5.4"),
        (b'FROM:<"a\rb"@b.example>', "501 5.5.4"),
        (b"FROM:<" + b"a" * 4000, "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=-1", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=1k", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=123456789012345678901", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=1 SIZE=1", "501 5.5.4"),
        (b"FROM:<a@b.example> SIZE=1=2", "501 5.5.4"),
        (b"FROM:<a@b.example> BODY=BINARYMIME", "555 5.5.4"),
        (b"FROM:<a@b.example> BODY", "555 5.5.4"),
        (b"FROM:<a@b.example> SMTPUTF8=yes", "501 5.5.4"),
        (b"FROM:<a@b.example> RET=SOME", "501 5.5.4"),
        (b"FROM:<a@b.example> ENVID=a+zz", "501 5.5.4"),
        (b"FROM:<a@b.example> ENVID=" + b"x" * 101, "501 5.5.4"),
        (b"FROM:<a@b.example> AUTH", "501 5.5.4"),
        (b"FROM:<a@b.example> AUTH=a+z", "501 5.5.4"),
        (b"FROM:<a@b.example> REQUIRETLS=YES", "501 5.5.4"),
        (b"FROM:<a@b.example> MT-PRIORITY=3", "555 5.5.4"),
        (b"FROM:<a@b.example> NOTIFY=NEVER", "555 5.5.4"),
        (b"FROM:<a@b.example> -X=3", "501 5.5.4"),
        (b"FROM:<\xff@b.example> SMTPUTF8", "553 5.6.7"),
        (b"FROM:<\xed\xa0\x80@b.example> SMTPUTF8", "553 5.6.7"),  # a lone surrogate
        ("FROM:<ä@b.example>".encode(), "553 5.6.7"),
        ("FROM:<ä.SMTPUTF8@b.example>".encode(), "553 5.6.7"),
    ],
)
def test_mail_is_refused(argument, code):
    with pytest.raises(Refused) as caught:
        mail(argument)
    assert str(caught.value).startswith(code)


@pytest.mark.parametrize(
    "argument,code",
    [
        (b"FROM:<a@b.example>", "501 5.5.4"),
        (b"TO:a@b.example", "501 5.5.4"),
        (b"TO:<a@b.example> NOTIFY=", "501 5.5.4"),
        (b"TO:<a@b.example> NOTIFY", "501 5.5.4"),
        (b"TO:<a@b.example> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        (b"TO:<a@b.example> NOTIFY=DELAY,DELAY", "501 5.5.4"),
        (b"TO:<a@b.example> ORCPT=nobody", "501 5.5.4"),
        (b"TO:<a@b.example> ORCPT=rfc822;" + b"x" * 500, "501 5.5.4"),
        (b"TO:<a@b.example> SIZE=1", "555 5.5.4"),
        ("TO:<ä@b.example>".encode(), "553 5.6.7"),
        (b"TO:<\xe4@b.example>", "553 5.6.7"),
    ],
)
def test_rcpt_is_refused(argument, code):
    with pytest.raises(Refused) as caught:
        rcpt(argument)
    assert str(caught.value).startswith(code)


@pytest.mark.parametrize(
    "argument,want",
    [
        (b"0", Chunk(0, False)),
        (b"86 LAST", Chunk(86, True)),
        (b"86  last", Chunk(86, True)),
        (b"999999999999999999", Chunk(999999999999999999, False)),
    ],
)
def test_bdat_is_read(argument, want):
    assert bdat(argument) == want


@pytest.mark.parametrize("argument", [b"", b"LAST", b"-1", b"+1", b"1 LAST LAST", b"1LAST", b"0x10", b"9" * 19])
def test_bdat_is_refused(argument):
    with pytest.raises(Refused, match="^501 5.5.4"):
        bdat(argument)


@given(st.text())
def test_xtext_there_and_back(text):
    text = text.encode("utf-8", "replace").decode()
    coded = xtext(text)
    assert coded.isascii() and " " not in coded and "=" not in coded
    assert from_xtext(coded) == text


def test_xtext_that_is_no_utf8_is_replaced():
    assert from_xtext("a+FFb") == "a�b"


@given(st.binary(max_size=200))
def test_no_argument_does_anything_but_answer_or_refuse(argument):
    for parse in (mail, rcpt, bdat, lambda a: mail(b"FROM:<" + a), lambda a: rcpt(b"TO:<x@y.example> " + a, True)):
        try:
            parse(argument)
        except Refused as refusal:
            assert refusal.reply.permanent
