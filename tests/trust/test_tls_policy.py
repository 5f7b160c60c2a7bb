"""How a host must be talked to."""

from __future__ import annotations

import pytest

from daemon.resolver import TLSA
from daemon.trust import tls_policy
from daemon.trust.dane import Records
from daemon.trust.mta_sts import Policy as Sts
from daemon.trust.tls_policy import of_host, strength, weaker

HOST, DOMAIN = "mx.there.example", "there.example"
EE = TLSA(3, 1, 1, b"x" * 32)
DANE = Records(HOST, 25, (HOST,), (EE,), (EE,))
UNUSABLE = Records(HOST, 25, (HOST,), (), (TLSA(1, 1, 1, b"x" * 32),))


def sts(mode: str, *mx: str) -> Sts:
    return Sts("1", mode, mx or (HOST,), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more, level, name, kind, forbidden, proven",
    [
        ({}, "opportunistic", "", "no-policy-found", False, False),
        ({"mx_secure": True}, "opportunistic", "", "no-policy-found", False, True),
        ({"records": DANE}, "dane", "dane", "tlsa", False, True),
        ({"records": UNUSABLE}, "required", "dane-unusable", "tlsa", False, True),
        ({"records": DANE, "sts": sts("enforce", "other.example")}, "dane", "dane", "tlsa", False, True),
        ({"records": UNUSABLE, "sts": sts("enforce", "o.example")}, "required", "dane-unusable", "tlsa", False, True),
        ({"sts": sts("enforce")}, "mta-sts", "mta-sts", "sts", False, True),
        ({"sts": sts("enforce", "other.example")}, "mta-sts", "mta-sts", "sts", True, False),
        ({"sts": sts("testing")}, "opportunistic", "mta-sts-testing", "sts", False, True),
        ({"sts": sts("testing", "other.example")}, "opportunistic", "mta-sts-testing", "sts", False, False),
        ({"sts": sts("none")}, "opportunistic", "", "no-policy-found", False, False),
    ],
)  # fmt: skip
def test_dane_goes_first_and_testing_enforces_nothing(
    more: dict[str, object], level: str, name: str, kind: str, forbidden: bool, proven: bool
) -> None:
    found = of_host(DOMAIN, HOST, **more)  # type: ignore[arg-type]
    assert (found.level, found.name, found.kind) == (level, name, kind)
    assert (bool(found.forbidden), found.proven_name) == (forbidden, proven)
    assert found.is_opportunistic == (level == "opportunistic")


def test_what_a_report_shows_of_a_policy() -> None:
    assert of_host(DOMAIN, HOST, records=DANE).text == f"3 1 1 {'78' * 32}"
    assert of_host(DOMAIN, HOST, sts=sts("enforce")).text.splitlines()[:3] == [
        "version: STSv1",
        "mode: enforce",
        f"mx: {HOST}",
    ]
    assert of_host(DOMAIN, HOST).text == ""
    many = sts("enforce", *(f"mx{i}.there.example" for i in range(5000)))
    assert 3000 < len(of_host(DOMAIN, HOST, sts=many).text) <= 4000


def test_a_route_has_what_it_says() -> None:
    found = tls_policy.of_route("starttls")
    assert (found.level, found.name, found.domain) == ("starttls", "route", "")
    assert tls_policy.TLS_REQUIRED_NO.is_opportunistic and tls_policy.TLS_REQUIRED_NO.name == "tls-required-no"


def test_what_is_weaker_than_before() -> None:
    clear, tls, good = strength("", False), strength("TLSv1.2", False), strength("TLSv1.3", True)
    assert clear == strength("none", False) and clear < tls < good
    assert weaker(good, tls) and weaker(tls, clear) and not weaker(clear, good) and not weaker(tls, tls)
    assert weaker(good, clear) == "mail went over TLS with a verified certificate before, and goes in clear text now"
