"""Counts and prior: what they say, that learning is undone without a trace, and that a beginner's model is careful."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from daemon.mail.tokens import ids, tokenize
from daemon.trust import learn, prior
from daemon.trust.bayes import NOTHING, Counts, judge
from daemon.trust.explain import explain

SPAM = b"""From: Winner <a123@lucky.example>\r\nSubject: CONGRATULATIONS you have won $5,000,000 !!!\r
Content-Type: text/html\r\n\r\n<html><font color=red>Click here to claim your FREE prize! 100% guaranteed, no
obligation. <a href="http://10.0.0.1/claim.php?id=1">Order now</a> Viagra, casino, credit cards.
To be removed click below.</font>"""
LETTERS = (
    b"From: Anna Berg <anna@family.example>\r\nTo: Tom <tom@family.example>\r\nSubject: Sunday\r\n"
    b"Message-ID: <CAF1234@mail.family.example>\r\nDate: Sun, 1 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\r\n"
    b"Hi Tom,\r\n\r\nwe would love to see you on Sunday. Shall I bake a cake? The children ask for you.\r\n"
    b"\r\nLove, Anna\r\n",
    b"From: Ben <ben@work.example>\r\nTo: tom@family.example\r\nSubject: Re: the report\r\n"
    b"In-Reply-To: <1@work.example>\r\n"
    b"Date: Mon, 2 Mar 2026 09:12:00 +0000\r\nMessage-ID: <2@work.example>\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b"<html><body><p>Tom, I have read the draft and made some changes to the second part. Can we talk at ten?</p>"
    b"<p>Ben</p></body></html>\r\n",
    b"From: x@y.example\r\n\r\nok, see you there\r\n",
    b"From: Mia <mia@school.example>\r\nSubject: photos\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere are the photos from the lake!\r\n--b\r\n"
    b"Content-Type: image/jpeg; name=lake.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n/9j/4AAQ\r\n--b--\r\n",
)


def taught(ham: list[bytes], spam: list[bytes]) -> Counts:
    tokens: dict[int, tuple[int, int]] = {}
    for data, is_spam in [(data, 0) for data in ham] + [(data, 1) for data in spam]:
        for number in ids(tokenize(data)):
            in_ham, in_spam = tokens.get(number, (0, 0))
            tokens[number] = (in_ham + 1 - is_spam, in_spam + is_spam)
    return Counts(len(ham), len(spam), tokens)


def of(data: bytes, counts: Counts | None = None, table: bytes | None = None) -> float:
    return judge(tokenize(data), counts, table).logit


def test_on_the_first_day_spam_is_told() -> None:
    found = judge(tokenize(SPAM), None)
    assert found.logit > 2
    assert found.known > 20
    assert all(words and share > 0 for words, share in found.top)


@pytest.mark.parametrize("data", LETTERS)
def test_on_the_first_day_a_letter_is_none(data: bytes) -> None:
    assert of(data) < 1


def test_nothing_known_is_no_idea() -> None:
    assert judge(tokenize(SPAM), None, prior.EMPTY) == judge((), None)
    assert judge((), NOTHING).logit == 0


def test_one_lesson_brings_the_twin_back() -> None:
    twin = SPAM.replace(b"a123", b"b456")
    assert of(twin, taught([SPAM], [])) < 0


def test_counts_overrule_the_prior_and_untaught_they_are_as_before() -> None:
    assert of(LETTERS[0], taught([LETTERS[1], LETTERS[2]], [LETTERS[0]] * 3)) > 4
    assert of(LETTERS[0], Counts(0, 0, dict.fromkeys(ids(tokenize(SPAM)), (0, 0)))) == of(LETTERS[0])


def test_what_all_mail_of_a_user_has_in_common_does_not_become_a_sign_of_spam() -> None:
    own = b"Received: from mx.own.example by in.own.example\r\nTo: Tom <tom@family.example>\r\n"
    spam = [own + SPAM.replace(b"Click here", b"Dear Tomasz %d click here" % n) for n in range(50)]
    assert of(own + LETTERS[2] + b"Tomasz", taught([], spam)) < 1


def test_words_are_told_for_readers() -> None:
    shown = [words for words, _ in judge(tokenize(SPAM), taught([LETTERS[0]], [SPAM] * 5), prior.EMPTY).top]
    assert "subject has “congratulations”" in shown or any(
        words.startswith(("text has", "subject has")) for words in shown
    )


@pytest.mark.parametrize(
    "token,words",
    [
        (b"s:viagra", "subject has “viagra”"),
        (b"f:@spam.example", "sender has “@spam.example”"),
        (b"u:example.biz", "link to example.biz"),
        (b"u:/unsubscribe", "link with “unsubscribe” in its path"),
        (b"u:address for a host", "link to a bare IP address"),
        (b"t:hidden", "the text is hidden"),
        (b"h:no date", "no date"),
        (b"h:X-Bulk", "has field X-Bulk"),
        (b"click here", "text has “click here”"),
        ("вы\u202e".encode() + b"\xff", "text has “вы?”"),
        (b"z:other", "text has “z:other”"),
    ],
)
def test_each_kind_of_token_has_words(token: bytes, words: str) -> None:
    assert explain(token) == words


def test_a_prior_is_made_of_labelled_mail(tmp_path: Path) -> None:
    for number in range(8):
        for kind, data in (("spam", SPAM), ("ham", LETTERS[0])):
            (tmp_path / "mail" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "mail" / kind / f"some-{number:05}.eml").write_bytes(data)
    out = tmp_path / "prior"
    assert learn.main([str(tmp_path), str(out)]) == 0
    table = prior.load(out)
    assert of(SPAM, None, table) > 4 > -4 > of(LETTERS[0], None, table)
    whose = tuple(token for token in tokenize(LETTERS[0]) if token.startswith((b"a:", b"f:@", b"i:@", b"r:")))
    assert whose
    assert judge(whose, None, table).known == 0  # a prior knows nobody
    assert [name for _, _, name in learn.labelled(tmp_path)] == ["some"] * 16


def test_a_prior_is_a_whole_table_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short").write_bytes(b"x" * 99)
    with pytest.raises(ValueError, match="no table of words|not a table"):
        prior.load(tmp_path / "short")
    assert learn.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_word_that_shares_a_slot_is_nobody() -> None:
    """`plumless` and `buckeroo` have the same CRC-32; what differs in a bit above the slot's is told apart."""
    table = prior.build({b"plumless": (0.5, 0.0), b"s:free": (0.0, 0.5)})
    assert len(table) == 4 * prior.SLOTS
    known = [token for token, _ in prior.read(table).met((b"plumless", b"buckeroo", b"s:free", b"plumber"))]
    assert known == [b"plumless", b"buckeroo", b"s:free"]
    slot = crc32(b"s:free") % prior.SLOTS
    same = next(word for word in map(b"w%d".__mod__, range(10**7)) if crc32(word) % prior.SLOTS == slot)
    assert prior.read(table).met((same,)) == []


def test_the_shipped_prior_is_small() -> None:
    assert prior.SHIPPED.stat().st_size <= 1 << 20


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.01, 0.0005])
def test_a_rate_is_kept_within_two_hundredths(rate: float) -> None:
    assert prior.RATES[prior.step(rate)] == pytest.approx(rate, rel=0.02)


def test_a_rate_of_nothing_stays_nothing() -> None:
    assert prior.RATES[prior.step(0.0)] == 0
