"""DANE for SMTP: which records hold, and which chains fit them (RFC 7671, RFC 7672)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from daemon.limits import LIMITS
from daemon.resolver import TLSA, Answer, TemporaryDNSError
from daemon.trust import dane
from daemon.trust.dane import Records, Verdict
from tests.instruments.authority import NOW, Issued, issue, rsa_key, tlsa, usage

HOST = "mx.there.example"
NAMES = (HOST, "there.example")
ROOT = issue("Root", ca=True)
MIDDLE = issue("Middle", by=ROOT, ca=True, path_length=0)
LEAF = issue("leaf", by=MIDDLE, names=[HOST])
OTHER = issue("Other root", ca=True)
OWN = issue(HOST, names=[HOST])
CHAIN = (LEAF, MIDDLE, ROOT)


def judge(records: list[TLSA], *shown: Issued, names: tuple[str, ...] = NAMES) -> Verdict:
    found = Records(HOST, 25, names, dane.usable(records), tuple(records))
    return dane.judge(found, [one.certificate for one in shown], NOW)


# -- which chains fit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_kind_of_record_fits_what_it_names_and_nothing_else(usage: int, selector: int, matching: int) -> None:
    named = LEAF if usage == 3 else ROOT
    assert judge([tlsa(named, usage, selector, matching)], *CHAIN) == Verdict(f"{usage} {selector} {matching}")
    assert judge([tlsa(OTHER, usage, selector, matching)], *CHAIN).failure
    assert judge([tlsa(OTHER, usage, selector, matching), tlsa(named, usage, selector, matching)], *CHAIN).proof


@pytest.mark.parametrize(
    "leaf",
    [
        issue("elsewhere.example", names=["elsewhere.example"]),
        issue(HOST, names=[HOST], days=(-30, -1)),
        issue(HOST, names=[HOST], days=(1, 30)),
        issue(HOST, by=ROOT, names=[HOST], signed_with=OTHER.key),
        issue("client", extra=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), True)]),
    ],
    ids=["another-name", "expired", "not-yet", "forged", "client"],
)
def test_dane_ee_looks_at_nothing_but_the_key(leaf: Issued) -> None:
    """RFC 7671 §5.1, RFC 7672 §3.1.1."""
    assert judge([tlsa(leaf, 3, 1, 1)], leaf) == Verdict("3 1 1")


def test_dane_ee_is_about_the_first_certificate_only() -> None:
    assert judge([tlsa(ROOT, 3, 1, 1)], *CHAIN).failure == "validation-failure"


def test_dane_ta_is_about_the_others_only() -> None:
    """RFC 7671 §5.2: a server's own certificate is no authority."""
    assert judge([tlsa(OWN, 2, 0, 1)], OWN).failure == "validation-failure"


@pytest.mark.parametrize(
    "chain, anchor, failure",
    [
        (CHAIN, MIDDLE, ""),
        ((LEAF, MIDDLE), MIDDLE, ""),
        ((LEAF, ROOT, MIDDLE), ROOT, ""),  # in any order
        ((LEAF, OTHER, MIDDLE, ROOT), ROOT, ""),  # with a stranger among them
        ((LEAF, ROOT), ROOT, "certificate-not-trusted"),  # a link is missing
        ((LEAF, MIDDLE), ROOT, "validation-failure"),  # a digest of what is not shown
        ((issue("l", by=MIDDLE, names=[HOST], days=(-9, -1)), MIDDLE), MIDDLE, "certificate-expired"),
        ((issue("l", by=MIDDLE, names=["no.example"]), MIDDLE), MIDDLE, "certificate-host-mismatch"),
        ((issue("l", by=MIDDLE, names=[HOST], signed_with=OTHER.key), MIDDLE), MIDDLE, "certificate-not-trusted"),
        ((issue("l", by=MIDDLE, names=["there.example"]), MIDDLE), MIDDLE, ""),  # the next-hop domain will do
        ((issue("l", by=MIDDLE, names=["*.there.example"]), MIDDLE), MIDDLE, ""),
        ((issue("l", by=MIDDLE, names=["*.example"]), MIDDLE), MIDDLE, "certificate-host-mismatch"),
        ((issue("l", by=MIDDLE, names=["m*.there.example"]), MIDDLE), MIDDLE, "certificate-host-mismatch"),
        ((issue(HOST, by=MIDDLE), MIDDLE), MIDDLE, ""),  # by the common name where there is no other
        ((issue(HOST, by=MIDDLE, names=["no.example"]), MIDDLE), MIDDLE, "certificate-host-mismatch"),
        ((issue("l", by=LEAF, names=[HOST]), LEAF, MIDDLE), MIDDLE, "certificate-not-trusted"),  # a leaf is no CA
        ((issue("l", by=OTHER, names=[HOST]), OTHER, ROOT), ROOT, "certificate-not-trusted"),
    ],
)  # fmt: skip
def test_dane_ta_wants_a_chain_a_name_and_its_time(chain: tuple[Issued, ...], anchor: Issued, failure: str) -> None:
    verdict = judge([tlsa(anchor, 2, 0, 1)], *chain)
    assert (verdict.failure, verdict.proof) == (failure, "" if failure else "2 0 1")
    assert bool(verdict.words) == bool(failure)


def test_an_intermediate_is_held_to_its_limits() -> None:
    below = issue("Below", by=MIDDLE, ca=True)  # Middle may have none
    assert judge([tlsa(ROOT, 2, 1, 1)], issue("l", by=below, names=[HOST]), below, MIDDLE, ROOT).failure
    old = issue("Old", by=ROOT, ca=True, days=(-9, -1))
    assert judge([tlsa(ROOT, 2, 1, 1)], issue("l", by=old, names=[HOST]), old, ROOT).failure
    signs_nothing = issue("Mute", by=ROOT, ca=True, extra=[(usage(key_agreement=True), True)])
    assert judge([tlsa(ROOT, 2, 1, 1)], issue("l", by=signs_nothing, names=[HOST]), signs_nothing, ROOT).failure
    narrow = issue("N", by=ROOT, ca=True, extra=[(x509.NameConstraints([x509.DNSName("no.example")], None), True)])
    assert judge([tlsa(ROOT, 2, 1, 1)], issue("l", by=narrow, names=[HOST]), narrow, ROOT).failure
    client = issue(
        "l", by=MIDDLE, names=[HOST], extra=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
    )
    assert judge([tlsa(ROOT, 2, 1, 1)], client, MIDDLE, ROOT).failure == "certificate-not-trusted"


@pytest.mark.parametrize("key", [None, rsa_key()], ids=["ec", "rsa"])
def test_an_anchor_may_be_in_the_dns_only(key: Any) -> None:
    """RFC 7672 §3.1.2: 2 0 0 holds the certificate, 2 1 0 its key."""
    root = issue("Hidden", ca=True, key=key)
    leaf = issue("l", by=root, names=[HOST])
    assert judge([tlsa(root, 2, 0, 0)], leaf) == Verdict("2 0 0")
    assert judge([tlsa(root, 2, 1, 0)], leaf) == Verdict("2 1 0")
    assert judge([tlsa(OTHER, 2, 1, 0)], leaf).failure == "certificate-not-trusted"
    forged = issue("l", by=root, names=[HOST], signed_with=OTHER.key)
    assert judge([tlsa(root, 2, 1, 0)], forged).failure == judge([tlsa(root, 2, 0, 0)], forged).failure


def test_a_key_roll_over_is_borne() -> None:
    new = issue("new", names=[HOST])
    records = [tlsa(OWN, 3, 1, 1), tlsa(new, 3, 1, 1)]
    assert judge(records, OWN).proof and judge(records, new).proof and judge(records, LEAF).failure


def test_no_certificate_fits_nothing() -> None:
    assert judge([tlsa(OWN, 3, 1, 1)]).failure == "validation-failure"


# -- which records can be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        tlsa(OWN, 0, 1, 1), tlsa(OWN, 1, 1, 1), TLSA(4, 1, 1, b"x" * 32), TLSA(255, 1, 1, b"x" * 32),
        TLSA(3, 2, 1, b"x" * 32), TLSA(3, 1, 3, b"x" * 32), TLSA(3, 1, 1, b"x" * 31), TLSA(3, 1, 2, b"x" * 32),
        TLSA(3, 1, 1, b""), TLSA(3, 0, 0, b"no certificate"), TLSA(2, 1, 0, b"no key"), TLSA(2, 1, 0, b""),
    ],
)  # fmt: skip
def test_what_cannot_be_used_asks_for_tls_and_no_more(record: TLSA) -> None:
    """RFC 7672 §2.2, §3.1.3."""
    assert dane.usable([record]) == ()
    assert judge([record], OTHER) == Verdict()
    assert judge([record, tlsa(OWN, 3, 1, 1)], OTHER).failure, "with one that can, that one holds"


def test_of_digests_the_strongest_counts() -> None:
    """RFC 7671 §9: an attacker who broke SHA-256 gets no further."""
    wrong = TLSA(3, 1, 2, b"x" * 64)
    assert dane.usable([tlsa(OWN, 3, 1, 1), wrong]) == (wrong,)
    assert judge([tlsa(OWN, 3, 1, 1), wrong], OWN).failure
    whole = tlsa(OWN, 3, 1, 0)
    assert dane.usable([whole, wrong]) == (whole, wrong), "the whole is no digest"
    assert len(dane.usable([tlsa(OWN, 3, 0, 1), tlsa(OWN, 3, 1, 2), tlsa(OWN, 2, 1, 1)])) == 3, "each kind by itself"


# -- where they are looked up ------------------------------------------------------------------------------------------

EE = tlsa(OWN, 3, 1, 1)


class Zone:
    """`records` maps (name, kind) to records and whether they are secure, or to the trouble with them."""

    def __init__(self, records: dict[tuple[str, str], tuple[list[Any], bool] | str]) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        found = self.records.get((name, kind), ([], True))
        if isinstance(found, str):
            raise TemporaryDNSError(name, kind, found)
        return Answer(name, kind, tuple(found[0]), True, name, found[1])


ALIAS = "real.example"
AT, ALIAS_AT = f"_25._tcp.{HOST}", f"_25._tcp.{ALIAS}"


@pytest.mark.parametrize(
    "records, more, base, asked",
    [
        ({(AT, "TLSA"): ([EE], True)}, {}, HOST, 1),
        ({(AT, "TLSA"): ([EE], False)}, {}, None, 1),  # not proven
        ({}, {}, None, 1),
        ({(AT, "TLSA"): ([EE], True)}, {"secure": False}, None, 0),  # the addresses are not proven
        ({(ALIAS_AT, "TLSA"): ([EE], True), (AT, "TLSA"): ([EE], True)}, {"canonical": "real.example"}, ALIAS, 1),
        ({(AT, "TLSA"): ([EE], True)}, {"canonical": "real.example"}, HOST, 2),
        ({(AT, "TLSA"): ([EE], True), (HOST, "CNAME"): (["real.example"], True)},
         {"canonical": "real.example", "secure": False}, HOST, 2),  # a proven alias into a zone that is not
        ({(AT, "TLSA"): ([EE], True), (HOST, "CNAME"): (["real.example"], False)},
         {"canonical": "real.example", "secure": False}, None, 1),
    ],
)  # fmt: skip
async def test_where_tlsa_records_are_believed(
    records: dict[Any, Any], more: dict[str, Any], base: str | None, asked: int
) -> None:
    zone = Zone(records)
    found = await dane.look_up(zone, HOST, 25, **{"secure": True, "also": ("there.example", ""), **more})
    assert (found.base if found else None) == base and len(zone.asked) == asked
    if found is not None:
        assert found.usable == (EE,) and {found.base, HOST, "there.example"} == set(found.names)
        assert found.owner == f"_25._tcp.{base}"


@pytest.mark.parametrize(
    "records, more",
    [
        ({(AT, "TLSA"): "SERVFAIL"}, {}),
        ({(ALIAS_AT, "TLSA"): "SERVFAIL", (AT, "TLSA"): ([EE], True)}, {"canonical": "real.example"}),
        ({(HOST, "CNAME"): "SERVFAIL"}, {"canonical": "real.example", "secure": False}),
        ({(AT, "TLSA"): ([EE] * (LIMITS.tlsa_records + 1), True)}, {}),
    ],
)  # fmt: skip
async def test_what_nobody_can_tell_is_never_taken_for_none(records: dict[Any, Any], more: dict[str, Any]) -> None:
    with pytest.raises(TemporaryDNSError):
        await dane.look_up(Zone(records), HOST, 25, **{"secure": True, **more})


async def test_ten_thousand_records_are_refused_before_they_cost_anything() -> None:
    key = tlsa(issue("k", key=rsa_key()), 2, 1, 0)
    zone = Zone({(AT, "TLSA"): ([key] * 10_000, True)})
    began = time.process_time()
    with pytest.raises(TemporaryDNSError, match="more than"):
        await dane.look_up(zone, HOST, 25, secure=True)
    assert time.process_time() - began < 0.5


def test_a_long_chain_of_namesakes_is_looked_at_in_bounded_time() -> None:
    """A hundred authorities of one name, none of which signed another: each would have to be tried on each."""
    crowd = [issue("Crowd", by=None, ca=True) for _ in range(100)]
    leaf = issue("l", by=crowd[0], names=[HOST], signed_with=OTHER.key)
    keys = [tlsa(issue("k", key=None), 2, 1, 0) for _ in range(LIMITS.tlsa_records)]
    began = time.process_time()
    assert judge([*keys, tlsa(crowd[1], 2, 0, 1)], leaf, *crowd).failure == "certificate-not-trusted"
    assert time.process_time() - began < 2
    tail = [LEAF, *[OTHER] * LIMITS.tls_chain, MIDDLE]
    assert judge([tlsa(MIDDLE, 2, 0, 1)], *tail).failure == "validation-failure", "the tenth is the last"


def test_time_is_handed_in() -> None:
    found = Records(HOST, 25, NAMES, (tlsa(MIDDLE, 2, 0, 1),), ())
    shown = [one.certificate for one in CHAIN]
    assert dane.judge(found, shown, NOW).proof
    assert dane.judge(found, shown, NOW + timedelta(days=100)).failure == "certificate-expired"
