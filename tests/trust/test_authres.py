"""Authentication-Results: what we write can be read by anybody, and what others write in our name is found."""

from __future__ import annotations

import email.policy
import re
import time
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.address import Address, parse_address
from daemon.trust import authres
from daemon.trust.results import ARC, DMARC, SPF, IPRev, Signals, Signature

US = "mx.example.test"
SIGNALS = Signals(
    iprev=IPRev("pass", "mx.remote.example"),
    helo=SPF("pass", "mx.remote.example", "helo", "a"),
    spf=SPF("pass", "remote.example", "mailfrom", "ip4:192.0.2.0/24"),
    signatures=(Signature("pass", "remote.example", "s1", "@remote.example", "rsa-sha256", 2048, "dzdVyOfA"),),
    arc=ARC("pass", ("list.example",), 1),
    dmarc=DMARC("pass", "remote.example", "remote.example", "reject", True, True),
)


def written(signals: Signals = SIGNALS, sender: str = "one@remote.example", **more: str) -> str:
    mail_from = parse_address(sender) if sender else None
    given = {"helo": "mx.remote.example", "ip": "192.0.2.1", **more}
    return authres.header(US, signals, mail_from=mail_from, **given).decode("ascii")


def unfolded(text: str) -> str:
    return re.sub(r"\r\n[ \t]+", " ", text)


def test_everything_that_passes() -> None:
    assert written() == (
        "Authentication-Results: mx.example.test;\r\n"
        "\tiprev=pass policy.iprev=192.0.2.1;\r\n"
        '\tspf=pass reason="matched a" smtp.helo=mx.remote.example;\r\n'
        '\tspf=pass reason="matched ip4:192.0.2.0/24" smtp.mailfrom=one@remote.example;\r\n'
        "\tdkim=pass header.d=remote.example header.i=@remote.example header.s=s1\r\n"
        "\t header.a=rsa-sha256 header.b=dzdVyOfA;\r\n"
        "\tarc=pass header.oldest-pass=1 header.d=list.example;\r\n"
        "\tdmarc=pass header.from=remote.example policy.dmarc=reject\r\n"
    )


def test_nothing_known() -> None:
    assert unfolded(written(Signals(), "")) == (
        "Authentication-Results: mx.example.test; iprev=none policy.iprev=192.0.2.1; "
        "spf=none smtp.helo=mx.remote.example; dkim=none; dmarc=none\r\n"
    )


def test_reasons_are_quoted() -> None:
    text = written(
        SIGNALS._replace(
            dmarc=DMARC("fail", "bank.example", policy="none", reason='it "said" \\ so\r\nEvil: x'),
            signatures=(Signature("fail", "a.example", reason="body hash differs"), Signature("pass", testing=True)),
        )
    )  # fmt: skip
    assert 'dmarc=fail reason="it \\"said\\" \\\\ so??Evil: x"' in text
    assert 'dkim=fail reason="body hash differs" header.d=a.example' in text
    assert 'dkim=pass reason="the key is in testing"' in text


def test_an_address_beyond_ascii_is_told_by_its_domain() -> None:
    assert "smtp.mailfrom=xn--bcher-kva.example;" in written(sender="jürgen@bücher.example")
    assert "smtp.mailfrom=remote.example;" in written(sender='"a b"@remote.example')


def test_an_ipv6_address_is_quoted() -> None:
    assert 'policy.iprev="2001:db8::1"' in written(ip="2001:db8::1")


def test_signatures_and_words_are_bounded() -> None:
    text = written(SIGNALS._replace(signatures=tuple(Signature("pass", f"d{n}.example") for n in range(1000))))
    assert text.count("dkim=pass") == LIMITS.authres_results
    long = written(helo="x" * 10_000)
    assert "x" * LIMITS.authres_value in long and "x" * (LIMITS.authres_value + 1) not in long


ANY = st.text(max_size=300)


@given(ANY, ANY, ANY, ANY)
def test_whatever_strangers_say_it_is_one_field_in_ascii(helo: str, reason: str, domain: str, local: str) -> None:
    signals = SIGNALS._replace(
        helo=SPF("permerror", reason=reason),
        signatures=(Signature("fail", domain, domain, reason, domain, 0, reason, reason=reason),),
        arc=ARC("fail", (domain,), 0, reason),
        dmarc=DMARC("fail", domain, policy="reject", reason=reason),
    )
    field = authres.header(US, signals, mail_from=Address(local or "x", "a.example"), helo=helo, ip="192.0.2.1")
    assert field.isascii() and all(len(line) < 998 for line in field.split(b"\r\n"))
    assert re.fullmatch(rb"[A-Za-z-]+:[ -~]*(?:\r\n[ \t]+[!-~][ -~]*)*\r\n", field)
    assert len(BytesParser(policy=email.policy.compat32).parsebytes(field + b"\r\n").items()) == 1
    assert authres.forged(field + b"\r\n", US), "our own field is one that we would find"
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"q", field)  # outside of quotes nothing but our words and tokens
    assert bare.count(b";") == field.count(b";\r\n") and b'"' not in bare


# ------------------------------------------------------------------------------------------------------------ forged


@pytest.mark.parametrize(
    "value",
    [
        b" mx.example.test; dmarc=pass",
        b" MX.Example.TEST; dmarc=pass",
        b"mx.example.test;spf=pass",
        b" mx.example.test. ; spf=pass",
        b" mx.example.test 1; spf=pass",
        b" mx.example.test",
        b' "mx.example.test"; spf=pass',
        b' "mx.ex\\ample.test" 1 ; spf=pass',
        b" (it (is) \\) us) mx.example.test (1) 1 (x); none",
        b"\r\n\tmx.example.test;\r\n\tspf=pass",
        b" (never closed mx.example.test; spf=pass",
        b' "mx.example.test; spf=pass',
        b" mx.example.test/1; spf=pass",
        b" =?utf-8?q?mx.example.test?=; spf=pass",
        b" spf=pass (mx.example.test)",
        b" ; spf=pass",
        b"",
        "mx。example.test; spf=pass".encode(),
    ],
)
@pytest.mark.parametrize("name", [b"Authentication-Results", b"authentication-results ", b"AUTHENTICATION-RESULTS\t"])
def test_a_field_in_our_name_is_found(name: bytes, value: bytes) -> None:
    field = name + b":" + value + b"\r\n"
    data = b"From: a@b.example\r\n" + field + b"Subject: x\r\n\r\n" + field
    (span,) = authres.forged(data, US)
    assert data[slice(*span)] == field


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mx.other.example; spf=pass smtp.mailfrom=mx.example.test",
        b"Authentication-Results: amx.example.test; spf=pass",
        b"Authentication-Results: mx.example.test.other.example; spf=pass",
        b"Authentication-Results: spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=x.example; dkim=none",
        b"Authentication-Results: (mx.example.test) mx.other.example; spf=pass",
        b"ARC-Authentication-Results: i=1; mx.example.test; spf=pass",
        b"X-Authentication-Results: mx.example.test; spf=pass",
        b"Authentication-Results : mx.other.example 1; spf=pass",
    ],
)
def test_the_fields_of_others_stay(field: bytes) -> None:
    assert authres.forged(field + b"\r\n\r\nHi.\r\n", US) == []


def test_all_of_many_are_found_in_no_time() -> None:
    one = b"Authentication-Results: " + b"(" * 300 + b"mx.example.test; x=pass\r\n"
    began = time.process_time()
    assert len(authres.forged(one * 3000 + b"\r\n", US)) == 3000
    assert (
        len(authres.forged(b"Authentication-Results: mx.example.test" + b"\r\n (a)" * 150_000 + b"\r\n\r\n", US)) == 1
    )
    assert time.process_time() - began < 3
