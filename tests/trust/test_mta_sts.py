"""MTA-STS: records, policies, patterns (RFC 8461)."""

from __future__ import annotations

import time

import pytest

from daemon.limits import LIMITS
from daemon.trust import mta_sts
from daemon.trust.mta_sts import BadPolicy, Policy, parse

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.there.example\r\nmx: *.there.example\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    "texts, id",
    [
        ([b"v=STSv1; id=20260101000000Z;"], "20260101000000Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1; id=1; more=x;"], "1"),
        ([b"v=STSv1;  more=x ;  id=1 "], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1;"], "1"),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], ""),  # RFC 8461 §3.1: more than one is none
        ([b"v=STSv1; id=1;", b"v=STSv1; id=1;"], ""),
        ([b"v=STSv2; id=1;"], ""),
        ([b" v=STSv1; id=1;"], ""),
        ([b"v=STSv1"], ""),
        ([b"v=STSv1;"], ""),
        ([b"v=STSv1; id=;"], ""),
        ([b"v=STSv1; id=1; id=2;"], ""),
        ([b"v=STSv1; id=" + b"x" * 32], "x" * 32),
        ([b"v=STSv1; id=" + b"x" * 33], ""),
        ([b"v=STSv1; id=a-b"], ""),
        ([b"v=STSv1; id=\xff"], ""),
        ([], ""),
    ],
)
def test_records_are_read(texts: list[bytes], id: str) -> None:
    assert mta_sts.read_record(texts) == id


@pytest.mark.parametrize(
    "data, want",
    [
        (GOOD, Policy("i", "enforce", ("mail.there.example", "*.there.example"), 604800)),
        (GOOD.replace(b"\r\n", b"\n"), Policy("i", "enforce", ("mail.there.example", "*.there.example"), 604800)),
        (b"mode:testing\nmx:a.example\nversion:STSv1\nmax_age:0", Policy("i", "testing", ("a.example",), 0)),
        (b"version: STSv1\nmode: none\nmax_age: 86400\n\n", Policy("i", "none", (), 86400)),
        (GOOD + b"mode: none\nversion: x\nmax_age: 1\n", parse(GOOD, "i")),  # of a key the first counts
        (GOOD + b"unknown: anything at all\nx-1_2.3: y\nempty:\n", parse(GOOD, "i")),
        (GOOD + b"mx: mail.there.example\n", parse(GOOD, "i")),
        (b"version: STSv1\nmode: enforce\nmx: MX.There.Example.\nmax_age: 9999999999\n",
         Policy("i", "enforce", ("mx.there.example",), LIMITS.sts_max_age)),
        ("version: STSv1\nmode: enforce\nmx: *.bücher.example\nmax_age: 1\n".encode(),
         Policy("i", "enforce", ("*.xn--bcher-kva.example",), 1)),
    ],
)  # fmt: skip
def test_policies_are_read(data: bytes, want: Policy) -> None:
    assert parse(data, "i") == want


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "version"),
        (b"<html>not found</html>", "not a line"),
        (GOOD.replace(b"STSv1", b"STSv2"), "version"),
        (GOOD.replace(b"version", b"edition"), "version"),
        (GOOD.replace(b"enforce", b"ENFORCE"), "mode"),
        (GOOD.replace(b"enforce", b"maybe"), "mode"),
        (GOOD.replace(b"mode: enforce\r\n", b""), "mode"),
        (GOOD.replace(b"604800", b"a week"), "max_age"),
        (GOOD.replace(b"604800", b"-1"), "max_age"),
        (GOOD.replace(b"604800", b"99999999999"), "max_age"),
        (GOOD.replace(b"604800", "٤".encode()), "max_age"),
        (GOOD.replace(b"max_age: 604800\r\n", b""), "max_age"),
        (b"version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"),
        (b"version: STSv1\nmode: testing\nmax_age: 1\n", "no mx"),
        (GOOD + b"mx: *\n", "host name"),
        (GOOD + b"mx: a.*.example\n", "host name"),
        (GOOD + b"mx: *.*.example\n", "host name"),
        (GOOD + b"mx: two names\n", "host name"),
        (GOOD + b"mx:\n", "host name"),
        (GOOD + b"\xff\xfe\n", "UTF-8"),
        (GOOD + b"no colon\n", "not a line"),
        (GOOD + b"mode\x00: x\n", "not a line"),
        (GOOD + b"x: y\n" * 20_000, "longer"),
    ],
)
def test_what_is_no_policy_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadPolicy, match=words):
        parse(data)


def test_a_policy_is_measured_before_it_is_read() -> None:
    most = GOOD + b"x: " + b"y" * (LIMITS.sts_policy - len(GOOD) - 3)
    assert parse(most).mode == "enforce"
    began = time.process_time()
    for size in (LIMITS.sts_policy + 1, 10 << 20):
        with pytest.raises(BadPolicy, match="longer"):
            parse(GOOD + b" " * (size - len(GOOD)))
    for nasty in (b"a" * 65_000, b":" * 65_000, b" \t" * 32_000, b"a: " + b" " * 64_000 + b"x\x00", b"\n" * 65_000):
        with pytest.raises(BadPolicy):
            parse(nasty)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "host, admitted",
    [
        ("mail.there.example", True),
        ("MAIL.there.example.", True),
        ("x.stars.example", True),
        ("x.y.stars.example", False),  # §4.1: one label
        ("stars.example", False),
        (".stars.example", False),
        ("amail.there.example", False),
        ("a.mail.there.example", False),
        ("example", False),
        ("", False),
    ],
)
def test_which_hosts_a_policy_admits(host: str, admitted: bool) -> None:
    assert Policy("", "enforce", ("mail.there.example", "*.stars.example"), 1).admits(host) is admitted


def test_a_policy_can_be_shown_in_a_report() -> None:
    assert parse("\n".join(parse(GOOD, "i").lines()).encode(), "i") == parse(GOOD, "i")
