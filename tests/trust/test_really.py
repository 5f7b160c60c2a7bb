"""Who a message is really from, out of what this server wrote when it came."""

from __future__ import annotations

import pytest

from daemon.mail.address import parse_address
from daemon.trust import authres
from daemon.trust.really import Really, really, results
from daemon.trust.results import DMARC, SPF, IPRev, Signals, Signature

OTHERS = b"Delivered-To: alice@example.test\r\n"


def prefix(signals: Signals, sender: str = "ann@bounce.example.org") -> bytes:
    """What stands before a message, as the server writes it."""
    address = parse_address(sender)
    return OTHERS + authres.header("mx.example.test", signals, mail_from=address, helo="h.example", ip="192.0.2.1")


def signed(domain: str, word: str = "pass") -> Signature:
    return Signature(word, domain, "s1", f"@{domain}", "rsa-sha256", 2048, "AbCd")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "signals, verdict, reason",
    [
        (Signals(dmarc=DMARC("pass", "example.org")), "pass", "dmarc"),
        (Signals(dmarc=DMARC("fail", "example.org", policy="none"), spf=SPF("pass")), "fail", "dmarc-fail"),
        (Signals(signatures=(signed("example.org"),)), "pass", "dkim"),
        (Signals(signatures=(signed("news.example.org"),)), "pass", "dkim"),
        (Signals(signatures=(signed("other.example"), signed("EXAMPLE.org"))), "pass", "dkim"),
        (Signals(signatures=(signed("other.example"),)), "none", "no-proof"),
        (Signals(signatures=(signed("example.org", "fail"),)), "none", "no-proof"),
        (Signals(spf=SPF("pass", "bounce.example.org")), "pass", "spf"),
        (Signals(spf=SPF("softfail", "bounce.example.org")), "none", "no-proof"),
        (Signals(dmarc=DMARC("temperror", "example.org"), iprev=IPRev("pass")), "none", "no-proof"),
    ],
)
def test_verdicts(signals: Signals, verdict: str, reason: str) -> None:
    found = really(prefix(signals), ("example.org",))
    assert (found.verdict, found.reason, found.domain) == (verdict, reason, "example.org")


def test_what_is_told_beside_the_verdict() -> None:
    signals = Signals(
        spf=SPF("pass", "other.example"),
        signatures=(signed("list.example"), signed("example.org")),
        dmarc=DMARC("pass"),
    )
    found = really(prefix(signals, "x@other.example"), ("example.org",))
    assert found == Really("pass", "dmarc", "example.org", "example.org", "pass", "pass", "pass")
    only = Signals(signatures=(signed("list.example"), signed("example.org", "fail")))
    assert really(prefix(only), ("example.org",)).signer == "list.example"
    assert really(prefix(Signals()), ("example.org",)).dkim == "none"


def test_several_authors_are_nobody_in_particular() -> None:
    before = prefix(Signals(dmarc=DMARC("pass", "example.org")))
    assert really(before, ("example.org", "other.example"))[:2] == ("none", "several-authors")
    assert really(before, ())[:2] == ("none", "no-author")


def test_spf_of_another_domain_proves_nothing() -> None:
    before = prefix(Signals(spf=SPF("pass")), "x@other.example")
    assert really(before, ("example.org",))[:2] == ("none", "no-proof")


@pytest.mark.parametrize(
    "protocol, verdict, reason",
    [
        (b"ESMTPSA", "pass", "own"),
        (b"UTF8SMTPA", "pass", "own"),
        (b"ESMTPS", "none", "not-checked"),
        (b"local", "none", "not-checked"),
    ],
)
def test_mail_of_our_own_users(protocol: bytes, verdict: str, reason: str) -> None:
    before = OTHERS + b"Received: from h (h [192.0.2.1])\r\n\tby mx with " + protocol + b" id 1;\r\n\tdate\r\n"
    assert really(before, ("example.test",))[:3] == (verdict, reason, "example.test")


def test_a_name_that_sounds_like_it_is_no_proof() -> None:
    """Whoever greets us chooses his name: it stands in Received as well."""
    before = b"Received: from with.ESMTPSA.id.x (ESMTPSA [192.0.2.1])\r\n\tby mx with ESMTPS id 1;\r\n\tdate\r\n"
    assert really(before, ("example.test",)).verdict == "none"


def test_nothing_of_ours_is_nothing_known() -> None:
    assert really(b"", ("example.org",)) == Really("none", "not-checked", "example.org")


def test_strangers_words_cannot_add_a_result() -> None:
    spf = SPF("fail", reason='x"; dmarc=pass header.from=example.org; y="')
    before = prefix(Signals(spf=spf, dmarc=DMARC("fail", "example.org")), '"a;dmarc=pass"@example.org')
    assert really(before, ("example.org",))[:2] == ("fail", "dmarc-fail")


def test_results() -> None:
    found = results('mx.example; spf=pass reason="a; b=c \\" d" smtp.mailfrom=x@example.org; dkim=none; nonsense; x=y')
    assert [(one.method, one.word) for one in found] == [("spf", "pass"), ("dkim", "none")]
    assert found[0].properties == {"smtp.mailfrom": "x@example.org"}
