"""Where reports go: what is asked for, and that strangers are asked before they get any."""

from __future__ import annotations

import pytest

from daemon.flow.destinations import destinations, for_dmarc, for_tls
from daemon.limits import LIMITS
from daemon.resolver import TemporaryDNSError
from tests.flow.table import Table


def uris(rua: str) -> list[tuple[str, int | None]]:
    return [(one.uri, one.largest) for one in destinations(rua)]


@pytest.mark.parametrize(
    "rua, want",
    [
        ("mailto:a@example.org", [("mailto:a@example.org", None)]),
        ("MAILTO:a@example.org!10m , mailto:b@x.example!5K", [("MAILTO:a@example.org", 10 << 20),
                                                              ("mailto:b@x.example", 5 << 10)]),
        ("mailto:a@x.example!100", [("mailto:a@x.example", 100)]),
        ("mailto:a%2Bb@x.example?subject=x", [("mailto:a%2Bb@x.example?subject=x", None)]),
        ("https://x.example/v1", [("https://x.example/v1", None)]),
        ("http://x.example/,ftp://y,nonsense,mailto:,https:///x,https://[::1,", []),
        ("mailto:a@x.example,mailto:a@x.example", [("mailto:a@x.example", None)]),
    ],
)  # fmt: skip
def test_uris(rua: str, want: list[tuple[str, int | None]]) -> None:
    assert uris(rua) == want


def test_a_domain_may_name_so_many_and_no_more() -> None:
    assert len(uris(",".join(f"mailto:a{n}@x.example" for n in range(100)))) == LIMITS.report_uris


def test_an_encoded_mailbox_is_read() -> None:
    (one,) = destinations("mailto:a%2Bb@X.Example")
    assert str(one.mailbox) == "a+b@x.example"


DNS = {
    ("example.org._report._dmarc.agreed.example", "TXT"): [b"v=DMARC1"],
    ("example.org._report._dmarc.moved.example", "TXT"): [b"v=DMARC1; rua=mailto:new@moved.example"],
    ("example.org._report._dmarc.thief.example", "TXT"): [b"v=DMARC1; rua=mailto:x@victim.example"],
    ("example.org._report._dmarc.other.example", "TXT"): [b"v=spf1 -all"],
    ("example.org._report._dmarc.slow.example", "TXT"): "SERVFAIL",
    ("_dmarc.example.org", "TXT"): [b"v=DMARC1; p=none"],
    ("_dmarc.bank", "TXT"): [b"v=DMARC1; p=reject; psd=y"],
    ("_dmarc.org", "TXT"): [],
}


@pytest.mark.parametrize(
    "domain, address, want",
    [
        ("example.org", "a@example.org", ["a@example.org"]),
        ("example.org", "a@reports.example.org", ["a@reports.example.org"]),
        ("sub.example.org", "a@example.org", ["a@example.org"]),
        ("example.org", "a@org", []),
        ("example.org", "a@agreed.example", ["a@agreed.example"]),
        ("example.org", "a@moved.example", ["new@moved.example"]),
        ("example.org", "a@thief.example", []),
        ("example.org", "a@other.example", []),
        ("example.org", "a@silent.example", []),
        ("x.bank", "a@bank", []),
    ],
)
async def test_a_stranger_must_want_them(domain: str, address: str, want: list[str]) -> None:
    found = await for_dmarc(Table(DNS), domain, f"v=DMARC1;p=none;rua=mailto:{address}, https://x.example/")  # type: ignore[arg-type]
    assert [str(one.mailbox) for one in found] == want


async def test_a_public_suffix_does_not_speak_for_those_below_it() -> None:
    record = "v=DMARC1; p=reject; psd=y; rua=mailto:a@victim.bank"
    assert await for_dmarc(Table(DNS), "bank", record) == []  # type: ignore[arg-type]


async def test_who_cannot_be_asked_now_is_asked_later() -> None:
    with pytest.raises(TemporaryDNSError):
        await for_dmarc(Table(DNS), "example.org", "v=DMARC1; rua=mailto:a@slow.example")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "records, want",
    [
        (
            [b"v=TLSRPTv1; rua=mailto:a@x.example,https://x.example/tls"],
            ["mailto:a@x.example", "https://x.example/tls"],
        ),
        ([b"v=TLSRPTv1;rua=mailto:a@x.example", b"other"], ["mailto:a@x.example"]),
        ([b"v=TLSRPTv1;rua=mailto:a@x.example", b"v=TLSRPTv1;rua=mailto:b@x.example"], []),
        ([b"v=TLSRPTv2;rua=mailto:a@x.example"], []),
        ([], []),
    ],
)
async def test_reports_about_tls_go_where_the_record_says(records: list[bytes], want: list[str]) -> None:
    found = await for_tls(Table({("_smtp._tls.example.org", "TXT"): records}), "example.org")
    assert [one.uri for one in found] == want
