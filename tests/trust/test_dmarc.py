"""DMARC, the examples of RFC 9989 first: its zones are data here, its sentences the names of the tests."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.flow.destinations import for_dmarc
from daemon.limits import LIMITS
from daemon.trust import author, dmarc, dmarc_record
from daemon.trust.author import Authors
from daemon.trust.results import DMARC, SPF, Signature
from tests.trust.answers import Answers
from tests.trust.crafting import DATA

REJECT = "v=DMARC1; p=reject"


def passing(*domains: str) -> tuple[Signature, ...]:
    return tuple(Signature("pass", domain, "s") for domain in domains)


async def judged(zone: Answers | str, domain: str, spf: str = "", *dkim: str) -> DMARC:
    """`spf` and `dkim` are domains that pass."""
    resolver = Answers(zone) if isinstance(zone, str) else zone
    proof = SPF("pass", spf) if spf else SPF("fail", "other.example")
    return await dmarc.check(resolver, await dmarc.find(resolver, domain), proof, passing(*dkim))


# ----------------------------------------------------------------------------------------------------------- records


def published() -> list[tuple[str, str]]:
    """The records of appendix B.2: name and text."""
    lines = (DATA / "rfc9989-b.txt").read_text().splitlines()[1:]
    return [(name, text) for name, _, text in (line.partition(" ") for line in lines)]


FEEDBACK, THIRD = "mailto:dmarc-feedback@example.com", "mailto:tld-test@thirdparty.example.net"


@pytest.mark.parametrize(
    "number,policy,asks,rua,ruf",
    [
        (0, "none", "none", (FEEDBACK,), ()),
        (1, "none", "none", (FEEDBACK,), ("mailto:auth-reports@example.com",)),
        (2, "none", "none", (FEEDBACK,), ("mailto:auth-reports@thirdparty.example.net",)),
        (4, "quarantine", "none", (FEEDBACK, THIRD), ()),  # t=y
        (5, "reject", "reject", (FEEDBACK, THIRD), ()),
    ],
)
def test_the_records_of_the_rfc(
    number: int, policy: str, asks: str, rua: tuple[str, ...], ruf: tuple[str, ...]
) -> None:
    """Appendix B.2."""
    found = dmarc_record.parse(published()[number][1].encode())
    assert found is not None and not found.problem
    assert (found.policy, found.asks("domain"), found.rua, found.ruf) == (policy, asks, rua, ruf)
    assert (found.strict_dkim, found.strict_spf, found.psd, found.fo) == (False, False, "u", "0")


async def test_a_third_party_of_the_rfc_agrees_for_one_domain() -> None:
    """Appendix B.2.3 and B.2.4: the record that lets reports about example.com go to thirdparty.example.net."""
    zone = "\n".join(f"{name} TXT {text}" for name, text in published() if "_report" in name)
    told = await for_dmarc(Answers(zone), "example.com", published()[5][1])
    assert [one.uri for one in told] == [FEEDBACK, THIRD]
    beside = await for_dmarc(Answers(zone), "test.example.com", published()[5][1])
    assert THIRD not in [one.uri for one in beside], "it agreed for example.com, not for what is below"


async def test_the_session_of_the_rfc() -> None:
    """Appendix B.3.1."""
    zone = f"_dmarc.example.com TXT v=DMARC1; p=reject; aspf=r; rua={FEEDBACK}"
    found = await judged(zone, "example.com", "mail.example.com", "example.com")
    assert (found.result, found.spf_aligned, found.dkim_aligned) == ("pass", True, True)
    forged = await judged(zone, "example.com", "mail.example.net", "example.net")
    assert (forged.result, forged.policy) == ("fail", "reject")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"v=DMARC2; p=reject", b"p=reject; v=DMARC1", b"v=dmarc1; p=reject", b"v=DMARC1 p=reject", b"DMARC1",
        b"v=DMARC1x; p=reject", b"v=spf1 -all", b"\xff\xfe", b"v=DMARC1; p=reject; " + b"x" * LIMITS.dmarc_record,
    ],
)  # fmt: skip
def test_what_is_no_record(data: bytes) -> None:
    assert dmarc_record.parse(data) is None


@pytest.mark.parametrize(
    "text,want",
    [
        ("v=DMARC1;p=reject;adkim=s;aspf=s", {"policy": "reject", "strict_dkim": True, "strict_spf": True}),
        ("v = DMARC1 ; P = ReJect ; SP=none ;", {"policy": "reject", "sub": "none"}),
        ("v=DMARC1; p=reject; np=quarantine", {"missing": "quarantine", "sub": ""}),
        ("v=DMARC1; p=none; pct=50; rf=afrf; ri=3600; x=y", {"policy": "none", "problem": ""}),
        ("v=DMARC1; p=reject; p=none", {"policy": "reject"}),
        ("v=DMARC1; p=reject; adkim=x; psd=z", {"strict_dkim": False, "psd": "u"}),
        ("v=DMARC1; p=reject; t=1; fo=9", {"testing": False, "fo": "0"}),
        ("v=DMARC1; p=reject; psd=Y; t=Y; fo=1:d:s", {"psd": "y", "testing": True, "fo": "1:d:s"}),
        ("v=DMARC1; p=reject; ;; = ;junk", {"policy": "reject", "problem": ""}),
        ("v=DMARC1", {"problem": "no valid p, sp or np, and no rua", "policy": "none"}),
        ("v=DMARC1; p=maybe", {"problem": "no valid p, sp or np, and no rua"}),
        ("v=DMARC1; p=reject; sp=maybe", {"problem": "no valid p, sp or np, and no rua"}),
        ("v=DMARC1; p=reject; np=maybe; rua=mailto:a@b.example", {"problem": "", "policy": "none", "missing": ""}),
        ("v=DMARC1; rua=mailto:a@b.example", {"problem": "", "policy": "none"}),
        ("v=DMARC1; rua=nonsense", {"problem": "no valid p, sp or np, and no rua"}),
        (
            "v=DMARC1; p=none; rua=mailto:a@b.example!10m , https://r.example/x,mailto:,ftp; ruf=MAILTO:c@d.example",
            {"rua": ("mailto:a@b.example", "https://r.example/x"), "ruf": ("MAILTO:c@d.example",)},
        ),
    ],
)  # fmt: skip
def test_tags(text: str, want: dict[str, object]) -> None:
    record = dmarc_record.parse(text.encode())
    assert record is not None and {key: getattr(record, key) for key in want} == want


def test_addresses_for_reports_are_bounded() -> None:
    listed = ",".join(f"mailto:a{n}@b.example" for n in range(50))
    record = dmarc_record.parse(f"v=DMARC1; p=none; rua={listed}".encode())
    assert record is not None and len(record.rua) == LIMITS.dmarc_uris


@pytest.mark.parametrize(
    "text,domain,subdomain,missing",
    [
        ("p=reject", "reject", "reject", "reject"),
        ("p=reject; sp=quarantine", "reject", "quarantine", "quarantine"),
        ("p=none; np=reject", "none", "none", "reject"),
        ("p=none; sp=quarantine; np=reject; t=y", "none", "none", "quarantine"),
        ("p=reject; sp=none; t=y", "quarantine", "none", "none"),
    ],
)
def test_what_is_asked_for_whom(text: str, domain: str, subdomain: str, missing: str) -> None:
    record = dmarc_record.parse(f"v=DMARC1; {text}".encode())
    assert record is not None
    assert (record.asks("domain"), record.asks("subdomain"), record.asks("missing")) == (domain, subdomain, missing)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: b"v=DMARC1;" + t.encode()))
def test_any_octets_are_read(data: bytes) -> None:
    record = dmarc_record.parse(data)
    assert record is None or record.policy in ("none", "quarantine", "reject")


# -------------------------------------------------------------------------------------------------------- the walk


def test_a_walk_asks_eight_names_at_most() -> None:
    """§4.10, the RFC's own list."""
    assert dmarc.targets("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
        "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com",
    ]  # fmt: skip
    assert dmarc.targets("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    eight = dmarc.targets("a.b.c.d.e.f.example.com")
    assert len(eight) == LIMITS.dmarc_walk and eight[1] == "b.c.d.e.f.example.com"
    assert dmarc.targets("com") == ["com"]


@pytest.mark.parametrize(
    "zone,domain,organization",
    [
        ({"mail.example.com": "", "example.com": ""}, "a.mail.example.com", "example.com"),  # §4.10.2, in order
        ({"mail.example.com": "psd=n", "example.com": ""}, "a.mail.example.com", "mail.example.com"),
        ({"com": "psd=y"}, "a.mail.example.com", "example.com"),
        ({"example.com": "psd=y"}, "mail.example.com", "mail.example.com"),
        ({"com": "psd=u"}, "a.example.com", "com"),
        ({"com": "psd=y"}, "com", "com"),
        ({}, "a.example.com", "a.example.com"),
        ({"com": "psd=y"}, "a.b.c.d.e.f.g.h.i.j.example.com", "example.com"),
    ],
)
async def test_the_organization_of_a_domain(zone: dict[str, str], domain: str, organization: str) -> None:
    resolver = Answers("\n".join(f"_dmarc.{name} TXT {REJECT}; {more}" for name, more in zone.items()))
    walk = await dmarc._walk(resolver, dmarc.targets(domain))
    assert dmarc.organization(domain, walk) == organization


SIMPLE = f"""
_dmarc.example.com TXT {REJECT}; aspf=r; rua=mailto:dmarc-feedback@example.com
_dmarc.signing.example.com TXT v=DMARC1; p=none
"""
PSD = f"""
_dmarc.bank.example TXT {REJECT}; psd=y
_dmarc.giant.bank.example TXT v=DMARC1; p=quarantine
mail.giant.bank.example A 192.0.2.1
mail.mega.bank.example A 192.0.2.1
"""


async def test_a_simple_organization() -> None:
    """B.4.1."""
    found = await judged(SIMPLE, "example.com", "example.com", "signing.example.com")
    assert found.result == "pass" and found.spf_aligned and found.dkim_aligned
    assert (found.policy_domain, found.policy) == ("example.com", "reject")


async def test_a_deep_walk() -> None:
    """B.4.2."""
    deep = "a.b.c.d.e.f.g.h.i.j.k.example.com"
    resolver = Answers(SIMPLE)
    found = await judged(resolver, deep, "example.com", "signing.example.com")
    assert found.result == "pass" and found.spf_aligned and found.dkim_aligned
    assert found.policy_domain == "example.com"
    asked = [name for name, kind in resolver.asked if kind == "TXT"]
    assert asked[:8] == [f"_dmarc.{name}" for name in dmarc.targets(deep)][:8] and len(set(asked)) == 9


async def test_a_suffix_that_speaks_for_its_names() -> None:
    """B.4.3: SPF of the same organization is aligned, DKIM of its neighbour below the same suffix is not."""
    found = await judged(PSD, "giant.bank.example", "mail.giant.bank.example", "mail.mega.bank.example")
    assert (found.result, found.spf_aligned, found.dkim_aligned) == ("pass", True, False)
    assert (found.policy_domain, found.policy) == ("giant.bank.example", "quarantine")


@pytest.mark.parametrize(
    "domain,policy_domain,policy",
    [
        ("mega.bank.example", "bank.example", "reject"),  # the suffix speaks where the organization is silent
        ("deep.below.mega.bank.example", "bank.example", "reject"),
        ("sub.giant.bank.example", "giant.bank.example", "quarantine"),  # and is silent where it speaks
        ("bank.example", "bank.example", "reject"),
        ("example", "", ""),
    ],
)
async def test_whose_policy_it_is(domain: str, policy_domain: str, policy: str) -> None:
    found = await judged(PSD, domain)
    assert (found.policy_domain, found.policy) == (policy_domain, policy)


async def test_a_record_between_a_name_and_its_organization_has_no_say() -> None:
    zone = f"_dmarc.a.org.example TXT {REJECT}\n_dmarc.example TXT v=DMARC1; p=quarantine; psd=y"
    found = await judged(zone, "x.a.org.example")
    assert (found.policy_domain, found.policy) == ("example", "quarantine")


@pytest.mark.parametrize(
    "sender,author_domain,relaxed,strict",
    [
        ("example.com", "example.com", True, True),  # B.1.1 and B.1.2, each in order
        ("child.example.com", "example.com", True, False),
        ("example.com", "child.example.com", True, False),
        ("example.net", "child.example.com", False, False),
        ("EXAMPLE.com", "example.com", True, True),
        ("notexample.com", "example.com", False, False),
        ("foo.example.com", "news.example.com", True, False),
    ],
)
async def test_alignment(sender: str, author_domain: str, relaxed: bool, strict: bool) -> None:
    loose = await judged(f"_dmarc.example.com TXT {REJECT}", author_domain, sender)
    assert loose.spf_aligned == relaxed and loose.result == ("pass" if relaxed else "fail")
    tight = f"_dmarc.{author_domain} TXT {REJECT}; aspf=s; adkim=s"
    assert (await judged(tight, author_domain, sender)).spf_aligned == strict
    assert (await judged(tight, author_domain, "", sender)).dkim_aligned == strict


async def test_u_labels_are_the_same_names() -> None:
    zone = f"_dmarc.xn--bcher-kva.example TXT {REJECT}"
    found = await judged(zone, "xn--bcher-kva.example", "", "bücher.example")
    assert found.result == "pass" and found.dkim_aligned


@pytest.mark.parametrize(
    "zone,policy",
    [
        ("", "reject"),  # `np`: nobody knows the name
        ("sub.example.com A 192.0.2.1", "none"),
        ("deeper.sub.example.com MX 10 mx.example.com", "none"),  # RFC 8020: what is below makes it exist
        ("sub.example.com CNAME gone.example.net", "none"),  # RFC 6604: an alias is there
    ],
)
async def test_np_is_for_names_that_do_not_exist(zone: str, policy: str) -> None:
    record = "_dmarc.example.com TXT v=DMARC1; p=quarantine; sp=none; np=reject\n"
    assert (await judged(record + zone, "sub.example.com")).policy == policy
    assert (await judged(record + zone, "example.com")).policy == "quarantine"


async def test_nobody_is_asked_for_a_name_when_np_makes_no_difference() -> None:
    resolver = Answers("_dmarc.example.com TXT v=DMARC1; p=reject; np=reject")
    assert (await judged(resolver, "gone.example.com")).policy == "reject"
    assert ("gone.example.com", "A") not in resolver.asked


async def test_several_records_are_none() -> None:
    zone = f"_dmarc.sub.example.com TXT {REJECT}\n_dmarc.sub.example.com TXT v=DMARC1; p=none\n"
    assert (await judged(zone, "sub.example.com")).result == "none"
    zone += "_dmarc.example.com TXT v=DMARC1; p=quarantine"
    assert (await judged(zone, "sub.example.com")).policy == "quarantine"
    beside = f"_dmarc.example.com TXT {REJECT}\n_dmarc.example.com TXT v=spf1 -all\n"
    assert (await judged(beside, "example.com")).result == "fail"


async def test_without_a_record_there_is_no_dmarc() -> None:
    found = await judged("example.com A 192.0.2.1", "example.com", "example.com")
    assert (found.result, found.policy, found.reason) == ("none", "", "no DMARC record")
    assert (await judged("", "[192.0.2.1]")).result == "none"


async def test_a_record_that_says_nothing_is_a_permanent_error() -> None:
    found = await judged("_dmarc.example.com TXT v=DMARC1; p=maybe", "example.com", "example.com")
    assert (found.result, found.policy) == ("permerror", "") and "no valid p" in found.reason


# ------------------------------------------------------------------------------------------------ the DNS is silent


async def test_a_policy_nobody_could_tell_is_a_temporary_error() -> None:
    for name in ("_dmarc.sub.example.com", "_dmarc.example.com", "_dmarc.com"):
        resolver = Answers("sub.example.com A 192.0.2.1")
        resolver.trouble[name] = "SERVFAIL"
        found = await judged(resolver, "sub.example.com", "sub.example.com")
        assert found.result == "temperror" and "SERVFAIL" in found.reason


async def test_a_walk_nobody_could_answer_leaves_it_open_unless_another_proof_is_enough() -> None:
    resolver = Answers(f"_dmarc.example.com TXT {REJECT}")
    resolver.trouble["_dmarc.mail.example.com"] = "SERVFAIL"
    assert (await judged(resolver, "example.com", "mail.example.com")).result == "temperror"
    assert (await judged(resolver, "example.com", "mail.example.com", "example.com")).result == "pass"


@pytest.mark.parametrize("domain,result", [("example.com", "temperror"), ("evil.example", "fail")])
async def test_a_proof_that_could_not_be_checked_counts_if_it_might_have_been_the_one(domain: str, result: str) -> None:
    resolver = Answers(f"_dmarc.example.com TXT {REJECT}")
    found = await dmarc.find(resolver, "example.com")
    open_signature = (Signature("temperror", domain),)
    assert (await dmarc.check(resolver, found, SPF("fail", "x.example"), open_signature)).result == result
    assert (await dmarc.check(resolver, found, SPF("temperror", domain), ())).result == result


async def test_a_thousand_signatures_ask_little() -> None:
    resolver = Answers("_dmarc.com TXT v=DMARC1; p=reject")
    found = await judged(resolver, "victim.com", "", *(f"a{n}.b.c.d.e.f.g.evil.com" for n in range(1000)))
    assert len(resolver.asked) < 10 + LIMITS.dmarc_identifiers * LIMITS.dmarc_walk and found.dkim_aligned
    other = Answers(f"_dmarc.victim.com TXT {REJECT}")
    assert (await judged(other, "victim.com", "", *(f"a{n}.evil.com" for n in range(1000)))).result == "fail"
    assert len(other.asked) < 5, "whoever cannot be of the same organization is not asked for"


# --------------------------------------------------------------------------------------------------------- authors


@pytest.mark.parametrize(
    "field,domains",
    [
        (b"From: Ann <ann@example.com>", ("example.com",)),
        (b"fRoM : ann@EXAMPLE.com", ("example.com",)),
        (b"From:\r\n Ann\r\n <ann@example.com>", ("example.com",)),
        (b'From: "bob@bank.example" <x@evil.example>', ("evil.example",)),
        (b"From: a@example.com, b@example.com", ("example.com",)),
        (b"From: a@one.example, b@two.example", ("one.example", "two.example")),
        (b"From: a@one.example\r\nFrom: b@two.example", ("one.example", "two.example")),
        ("From: <ann@bücher.example>".encode(), ("xn--bcher-kva.example",)),
        (b"From: friends: a@one.example;", ("one.example",)),
        (b"From: cron", ()),
        (b"From:", ()),
        (b"Sender: a@example.com", ()),
        (b"Subject: x\r\n\r\nFrom: a@example.com", ()),
    ],
)
def test_the_domains_of_from(field: bytes, domains: tuple[str, ...]) -> None:
    assert author.authors(field + b"\r\n\r\nHi.\r\n") == Authors(domains)


@pytest.mark.parametrize(
    "field,problem",
    [
        (b"From: a@bad..example", "malformed"),
        (b"From: " + b", ".join(b"a@d%d.example" % n for n in range(10)), "too many domains"),
        (b"From: " + b", ".join(b"a%d@one.example" % n for n in range(300)), "too many addresses"),
        (b"X: " + b"y" * LIMITS.header_bytes + b"\r\nFrom: a@one.example", "too large"),
    ],
)
def test_a_from_that_may_show_more_than_can_be_read(field: bytes, problem: str) -> None:
    began = time.process_time()
    found = author.authors(field + b"\r\n\r\nHi.\r\n")
    assert problem in found.problem and len(found.domains) <= LIMITS.dmarc_authors
    assert dmarc.worst([DMARC("pass", "one.example")], found) == DMARC("permerror", reason=found.problem)
    assert time.process_time() - began < 1


def test_of_several_authors_the_strictest_failure_counts() -> None:
    results = [
        DMARC("pass", "a.example", policy="reject"), DMARC("fail", "b.example", policy="quarantine"),
        DMARC("fail", "c.example", policy="reject"), DMARC("none", "d.example"),
    ]  # fmt: skip
    assert dmarc.worst(results, Authors()).domain == "c.example"
    assert dmarc.worst(results[:1], Authors()).result == "pass"
    assert dmarc.worst([], Authors()).result == "none"
