"""What signals weigh, and how it is told: in the header, and in words."""

from __future__ import annotations

import base64
import math

import pytest

from daemon.limits import LIMITS
from daemon.trust import rules, spam_fields, weights
from daemon.trust.author import addresses
from daemon.trust.results import (
    DMARC,
    SPF,
    Attachment,
    Content,
    IPRev,
    Listing,
    Lists,
    Opinion,
    Personal,
    Scan,
    Signals,
    Signature,
    Standing,
    Tally,
)
from daemon.trust.verdict import Policy, Verdict, judge
from daemon.trust.weights import WEIGHTS, Contribution, contributions, of_logit


def points(signals: Signals, knows: Personal | None = None) -> dict[str, float]:
    return {each.name: round(each.points, 2) for each in contributions(signals, knows or Personal())}


def listed(*what: tuple[str, str], code: str = "127.0.0.2", good: bool = False) -> Lists:
    return Lists(tuple(Listing(zone, "x.example", kind, code, good) for zone, kind in what))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "signals,want",
    [
        (Signals(), {}),
        (Signals(lists=Lists(silent=("a", "b")), scan=Scan("error")), {}),
        (Signals(iprev=IPRev("temperror"), spf=SPF("temperror"), dmarc=DMARC("temperror", "x.example")), {}),
        (Signals(iprev=IPRev("pass")), {"unproved": 0.5}),
        (Signals(iprev=IPRev("pass"), signatures=(Signature("temperror"),)), {}),
        (Signals(iprev=IPRev("pass"), signatures=(Signature("fail"),)), {"unproved": 0.5}),
        (Signals(iprev=IPRev("fail"), spf=SPF("pass", "x.example")), {"no-name": 0.5}),
        (Signals(dmarc=DMARC("fail", "x.example", policy="none")), {"dmarc-fail": 1.5}),
        (Signals(dmarc=DMARC("fail", "x.example", policy="reject")), {"dmarc-overruled": 3.0}),
        (Signals(dmarc=DMARC("permerror")), {"author-unclear": 2.0}),
        (Signals(dmarc=DMARC("pass", "x.example"), spf=SPF("fail", "y.example")), {"dmarc-pass": -0.5}),
        (Signals(spf=SPF("softfail", "y.example"), helo=SPF("fail", "h")), {"spf-softfail": 0.8, "helo-fail": 0.5}),
        (Signals(lists=listed(("a", "address"))), {"listed-address": 3.0}),
        (Signals(lists=listed(("w", "address"), code="127.0.9.3", good=True)), {"listed-good": -4.0}),
        (Signals(lists=listed(("w", "address"), code="127.0.9.0", good=True)), {"listed-good": -0.4}),
        (Signals(standing=Standing("x.example", Tally(0, 97), Tally(27, 0), Tally(97, 0), Tally(0, 7))),
         {"known-domain": 2.91, "known-author": -2.7, "known-address": -1.94, "known-network": 0.7}),
        (Signals(standing=Standing("x.example", Tally(50, 50), Tally(0.01, 0))), {}),
        (Signals(opinions=(Opinion("rspamd", "junk", 7.25), Opinion("m", "error"))), {"engine-junk": 5.0}),
        (Signals(scan=Scan("infected", "Eicar"), attachments=(Attachment("a.exe", "executable"),)),
         {"virus": 100.0, "attachment": 3.0}),
        (Signals(rules=("gtube",), rate=0.5), {"gtube": 1000.0, "rate": 0.75}),
    ],
)  # fmt: skip
def test_points(signals: Signals, want: dict[str, float]) -> None:
    assert points(signals) == want


def test_many_lists_of_one_kind_weigh_little_more_than_one() -> None:
    zones = [(f"zone{n}", "link") for n in range(50)]
    found = contributions(Signals(lists=listed(*zones, ("a", "domain"), *zones)), Personal())
    assert sum(each.points for each in found if each.name == "listed-link") == 6.0
    assert [each.points for each in found] == [3.0, 3.0, 1.0, 1.0, 1.0]


def test_the_logit_becomes_points() -> None:
    assert of_logit(0) == 0 and of_logit(weights.LOGIT_OF_JUNK) == pytest.approx(5.0)
    assert of_logit(1e9) == 8.0 and of_logit(-1e9) == -4.0
    assert of_logit(math.nan) == of_logit(math.inf) == 0.0
    some = [of_logit(each / 10) for each in range(-300, 300)]
    assert some == sorted(some)


def test_a_correspondent_outweighs_words_and_no_more() -> None:
    friend = Personal(Content(50.0), correspondent=True)
    assert points(Signals(), friend) == {"content": 8.0, "correspondent": -11.0}
    assert points(Signals(), Personal(Content(-50.0), reply=True, first=True)) == {
        "content": -4.0, "reply": -3.0, "first-contact": 0.3,
    }  # fmt: skip


@pytest.mark.parametrize(
    "author,passed,want",
    [
        ("x.example", "x.example", True),
        ("mail.x.example", "x.example", True),
        ("x.example", "bounce.x.example", True),
        ("x.example", "y.example", False),
        ("x.example", "example", False),
        ("x.example", "ax.example", False),
        ("", "x.example", False),
    ],
)
def test_what_is_proved_without_a_record(author: str, passed: str, want: bool) -> None:
    none = Signals(dmarc=DMARC("none", author), spf=SPF("pass", passed))
    assert weights.proved(none) is want
    assert not weights.proved(none._replace(dmarc=DMARC("fail", author)))
    assert not weights.proved(none._replace(spf=SPF("fail", passed)))


def test_every_weight_has_words() -> None:
    assert all(weight.words.count("{}") <= 2 and weight.points for weight in WEIGHTS.values())


# --------------------------------------------------------------------------------------------------------------- fields


def test_reasons_are_few_and_short() -> None:
    many = tuple(Contribution("content", 9.0 - n, f"réason {n} \r\nX-Evil: “x”", "word " * 500) for n in range(8))
    for verdict in (Verdict("junk", "spam", 99.0, many), Verdict("refuse", "spam-certain", 99.0, many)):
        field = spam_fields.header(verdict, 5.0)
        lines = field.split(b"\r\n")
        assert field.isascii() and lines.pop() == b""
        assert lines[0] == b"X-Spam-Status: Yes, score=99.0 required=5.0 reason=" + verdict.reason.encode()
        assert lines[-1] == b"X-Spam-Flag: YES"
        assert all(len(line) <= 78 and line.strip() and b"\n" not in line for line in lines)
        assert all(line[:1] in b"\t" for line in lines[2:-1]), "a stranger's line end begins no field"
        assert [b"r?ason %d" % n in field for n in range(8)] == [True] * LIMITS.spam_reasons + [False] * 3
        assert len(field) < LIMITS.spam_reasons * (LIMITS.spam_words + 60) + 200


def test_a_message_below_the_limit_says_so_and_no_more() -> None:
    assert spam_fields.header(Verdict("accept", "clean"), 5.0) == (
        b"X-Spam-Status: No, score=0.0 required=5.0 reason=clean\r\n"
    )


def test_forged_fields_are_found_wherever_they_stand_in_the_header() -> None:
    ours = [b"x-spam-flag: YES\r\n", b"X-SPAM-Status : No,\r\n score=1\r\n", b"X-Virus-Error: none\r\n"]
    data = ours[0] + b"A: b\r\n" + ours[1] + b"X-Spam-Level: *\r\n" + ours[2] + b"\r\nX-Spam-Flag: YES\r\n"
    assert [data[start:end] for start, end in spam_fields.forged(data)] == ours


# ---------------------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize("before", range(60))
def test_gtube_is_found_in_base64_wherever_its_lines_end(before: int) -> None:
    data = base64.encodebytes(b"x" * before + rules.GTUBE + b"\r\nend")
    assert rules.met(b"A: b\r\n\r\n" + data) == ("gtube",)


def test_gtube_is_found_as_it_is_and_nothing_else_is() -> None:
    assert rules.met(b"A: b\r\n\r\n" + rules.GTUBE) == ("gtube",)
    assert rules.met(b"A: b\r\n\r\n" + rules.GTUBE[1:]) == ()
    assert rules.met(b"x" * LIMITS.spam_text + rules.GTUBE) == ()
    assert judge(Signals(rules=rules.met(rules.GTUBE)), Personal(), Policy()).reason == "spam-certain"


def test_the_authors_who_can_be_written_to() -> None:
    first = b"From: A <a@x.example>, b@Y.Example, nobody, c@bad..example\r\n"
    data = first + b"from: a@x.example, d@z.example, e@x.example\r\n\r\n"
    assert [str(each) for each in addresses(data)] == ["a@x.example", "b@y.example", "d@z.example"]
    assert addresses(b"Subject: none\r\n\r\n") == ()
