"""What a domain says of a sender. The public suite is in test_spf_suite.py; here is what it leaves open."""

import pytest

from daemon.trust import spf
from daemon.trust.results import SPF
from tests.trust.spf_zone import Records, Zone

IP = "192.0.2.1"
TWO = "2001:db8::1"


async def check(
    names: dict[str, Records] | Zone, sender: str = "me@example.org", ip: str = IP, helo: str = "mail.example.org"
) -> SPF:
    zone = names if isinstance(names, Zone) else Zone(names)
    return await spf.check_host(zone, ip, helo, sender, now=1_700_000_000.9, receiver="mx.example.net")


def policy(text: str | bytes, **others: Records) -> dict[str, Records]:
    return {"example.org": {"TXT": [text]}, **{name.replace("_", "."): has for name, has in others.items()}}


# -- who is asked ------------------------------------------------------------------------------------------------------
async def test_the_null_sender_is_judged_by_helo() -> None:
    names = {"mail.example.org": {"TXT": [f"v=spf1 ip4:{IP} -all"]}}
    assert await check(names, "") == SPF("pass", "mail.example.org", "helo", f"ip4:{IP}")
    assert await check(names, "me@mail.example.org") == SPF("pass", "mail.example.org", "mailfrom", f"ip4:{IP}")


@pytest.mark.parametrize(
    "helo", ["", "localhost", "[192.0.2.1]", "192.0.2.1", "a..b", "@example.org", "a b.org", "é" * 999]
)
async def test_a_helo_that_is_no_domain_says_nothing(helo: str) -> None:
    zone = Zone(policy("v=spf1 -all"))
    assert await check(zone, "", helo=helo) == SPF("none", "", "helo", reason="not a domain that can have a record")
    assert zone.asked == []


@pytest.mark.parametrize(
    "sender",
    ["me", "me@", "@", "me@org", "me@[192.0.2.1]", "me@[IPv6:::1]", "me@" + "a" * 64 + ".org", "me@a..org", "me@.org",
     "me@ex ample.org", "me@example.org\r\n", "me@1.2.3.4", "me@" + "a." * 200 + "org", "x" * 2000 + "@example.org"],
)  # fmt: skip
async def test_a_sender_without_a_usable_domain_says_nothing(sender: str) -> None:
    zone = Zone(policy("v=spf1 -all"))
    assert (await check(zone, sender)).result == "none"
    assert zone.asked == []


@pytest.mark.parametrize("ip", ["", "unknown", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4/8"])
async def test_without_an_address_there_is_no_answer(ip: str) -> None:
    assert (await check(policy("v=spf1 -all"), ip=ip)).reason == "not an IP address"


async def test_no_record_is_none() -> None:
    assert await check({"example.org": {"TXT": ["hello"]}}) == SPF("none", "example.org")


async def test_s9_domains_in_their_own_letters_are_asked_by_their_a_labels() -> None:
    zone = Zone({"xn--bcher-kva.example": {"TXT": ["v=spf1 exists:%{d1r}.%{o}.%{h} -all"]},
                 "xn--bcher-kva.xn--bcher-kva.example.xn--mnchen-3ya.example": {"A": ["127.0.0.2"]}})  # fmt: skip
    for domain in ("bücher.example", "BÜCHER.Example", "xn--bcher-kva.EXAMPLE"):
        answer = await check(zone, f"me@{domain}", helo="münchen.example")
        assert (answer.result, answer.domain) == ("pass", "xn--bcher-kva.example")


async def test_s9_a_local_part_that_is_not_ascii_matches_no_term_that_names_it() -> None:
    text = "v=spf1 exists:%{l}.example.org include:%{S}.example.org a:%{L}.example.org ip4:192.0.2.1 -all"
    zone = Zone(policy(text))
    assert (await check(zone, "jürgen@example.org")).mechanism == "ip4:192.0.2.1"
    assert zone.asked == [("example.org", "TXT")]


@pytest.mark.parametrize(
    "sender, asked",
    [
        ("john@example.org", "john.x.example.org"),
        ('"john"@example.org', "john.x.example.org"),
        (r'"jo\"hn\\"@example.org', r'jo"hn\\.x.example.org'),  # the resolver reads \\ as \
        ('"john doe"@example.org', "john doe.x.example.org"),
        ('"a@b"@example.org', "a@b.x.example.org"),
        ('""@example.org', "postmaster.x.example.org"),
        ("@example.org", "postmaster.x.example.org"),
        ('"@example.org', '".x.example.org'),
    ],
)
async def test_local_parts_are_taken_without_their_quotes(sender: str, asked: str) -> None:
    zone = Zone(policy("v=spf1 exists:%{l}.x.example.org -all"))
    await check(zone, sender)
    assert zone.asked[1:] == [(asked, "A")]


# -- which address -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "ip, text, result",
    [
        (IP, "ip4:192.0.2.0/24", "pass"),
        (IP, "ip4:192.0.2.2/31", "fail"),
        (IP, "ip6:::ffff:192.0.2.1", "fail"),
        ("::ffff:192.0.2.1", "ip4:192.0.2.1", "pass"),
        ("::FFFF:C000:0201", "a", "pass"),
        (TWO, "ip6:2001:db8::/32", "pass"),
        (TWO, "ip6:2001:db9::/32", "fail"),
        (TWO, "ip4:0.0.0.0/0", "fail"),
        (TWO + "%eth0", "ip6:2001:db8::1", "pass"),
        (TWO, "a", "pass"),
        (IP, "a:none.example.org/0", "fail"),
        (IP, "mx//0", "pass"),
        ("192.0.2.255", "mx/24", "pass"),
        ("192.0.3.1", "mx/24", "fail"),
        ("2001:db8:ffff::1", "mx/0//32", "pass"),
        ("2001:db9::1", "mx/0//32", "fail"),
    ],
)
async def test_addresses_are_compared_by_the_bits_that_count(ip: str, text: str, result: str) -> None:
    here = {"TXT": [f"v=spf1 {text} -all"], "A": [IP], "AAAA": [TWO.upper()], "MX": ["0 .", "10 example.org"]}
    assert (await check({"example.org": here}, ip=ip)).result == result


async def test_a_null_mx_has_no_address() -> None:
    zone = Zone({"example.org": {"TXT": ["v=spf1 mx -all"], "MX": ["0 ."]}})
    assert (await check(zone)).result == "fail"
    assert zone.asked == [("example.org", "TXT"), ("example.org", "MX")]


# -- what is answered --------------------------------------------------------------------------------------------------
async def test_the_term_that_decided_is_told() -> None:
    names = policy("v=spf1 include:a.org ?mx ~all", a_org={"TXT": ["v=spf1 +ip4:192.0.2.1 -all"]})
    assert (await check(names)).mechanism == "include:a.org"
    assert (await check(names, ip="192.0.2.2")) == SPF("softfail", "example.org", mechanism="~all")
    names = policy("v=spf1 redirect=a.org", a_org={"TXT": ["v=spf1 -all"]})
    assert (await check(names)) == SPF("fail", "example.org", mechanism="-all")
    assert (await check(policy("v=spf1"))) == SPF("neutral", "example.org")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("v=spf1 foo -all", "example.org: foo: no such mechanism"),
        ("v=spf1 include:none.org", "example.org: include of none.org, which has no SPF record"),
        ("v=spf1 redirect=none.org", "example.org: redirect of none.org, which has no SPF record"),
        ("v=spf1 redirect=a..org", "example.org: redirect of an impossible name, which has no SPF record"),
        ("v=spf1 include:" + "a" * 64 + ".org", "example.org: include of an impossible name, which has no SPF record"),
        ("v=spf1 include:bad.org", "bad.org: nul?: no such mechanism"),
        ("v=spf1 include:two.org", "two.org: 2 SPF records"),
    ],
)
async def test_errors_say_where_and_what(text: str, reason: str) -> None:
    others: dict[str, Records] = {"bad.org": {"TXT": ["v=spf1 nul\0"]}, "two.org": {"TXT": ["v=spf1", "v=spf1"]}}
    assert await check(policy(text) | others) == SPF("permerror", "example.org", reason=reason)


@pytest.mark.parametrize(
    "text",
    ["a:broken.org", "mx:broken.org", "mx:mx.org", "exists:broken.org", "include:broken.org", "redirect=broken.org"],
)
async def test_an_open_question_is_a_temporary_result(text: str) -> None:
    zone = Zone(policy(f"v=spf1 {text}", mx_org={"MX": ["1 broken.org"]}))
    zone.trouble["broken.org"] = "SERVFAIL"
    answer = await check(zone)
    assert answer.result == "temperror"
    assert answer.reason.endswith("of broken.org: SERVFAIL")
    zone.trouble["example.org"] = "SERVFAIL"
    zone.names.clear()
    assert (await check(zone)).result == "temperror"


async def test_what_is_not_reached_is_not_asked() -> None:
    zone = Zone(policy("v=spf1 ip4:192.0.2.1 include:broken.org -all exp=broken.org"))
    zone.trouble["broken.org"] = "SERVFAIL"
    assert (await check(zone)).result == "pass"


# -- the client's own names --------------------------------------------------------------------------------------------
NAMED: dict[str, Records] = {
    "1.2.0.192.in-addr.arpa": {"PTR": ["forged.example.org.", "Other.net.", "b.a.example.org.", "example.org."]},
    "forged.example.org": {"A": ["192.0.2.99"]},
    "other.net": {"A": [IP]},
    "b.a.example.org": {"A": [IP]},
}


@pytest.mark.parametrize(
    "text, result",
    [
        ("v=spf1 ptr -all", "pass"),
        ("v=spf1 ptr:A.example.ORG. -all", "pass"),
        ("v=spf1 ptr:forged.example.org -all", "fail"),
        ("v=spf1 ptr:xample.org -all", "fail"),
        ("v=spf1 exists:%{p}.is -all", "pass"),
    ],
)
async def test_names_count_when_they_lead_back(text: str, result: str) -> None:
    assert (await check(NAMED | policy(text) | {"b.a.example.org.is": {"A": ["127.0.0.2"]}})).result == result


@pytest.mark.parametrize(
    "domain, name",
    [
        ("other.net", "other.net"),
        ("a.example.org", "b.a.example.org"),
        ("b.a.example.org", "b.a.example.org"),
        ("x.org", "other.net"),
        ("example.org", "example.org"),
    ],
)
async def test_p_is_the_domain_then_a_name_below_then_any(domain: str, name: str) -> None:
    names = dict(NAMED)
    names["example.org"] = {"A": [IP]}
    names[domain] = {**names.get(domain, {}), "TXT": ["v=spf1 -all exp=why.org"]}
    assert (await check(names | {"why.org": {"TXT": ["%{p}"]}}, f"me@{domain}")).explanation == name


async def test_trouble_with_the_client_s_names_is_no_match_and_no_error() -> None:
    zone = Zone(
        NAMED | policy("v=spf1 ptr ptr:other.net exists:%{p}.x.org -all exp=why.org") | {"why.org": {"TXT": ["%{p}"]}}
    )
    zone.trouble["other.net"] = zone.trouble["b.a.example.org"] = "SERVFAIL"
    del zone.names["other.net"], zone.names["b.a.example.org"]
    answer = await check(zone)
    assert (answer.result, answer.explanation) == ("fail", "unknown")
    assert zone.asked.count(("1.2.0.192.in-addr.arpa", "PTR")) == 1


# -- explanations ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text, want",
    [
        ("See https://%{d}/?s=%{S}&ip=%{i}", "See https://example.org/?s=me%40example.org&ip=192.0.2.1"),
        ("%{c} %{r} %{t} %{h}", "192.0.2.1 mx.example.net 1700000000 mail.example.org"),
        ("trailing.dot.", "trailing.dot."),
        ("100% sure", ""),
        ("%{x}", ""),
        ("two\nlines", ""),
        ("tab\there", ""),
        ("näh", ""),
        (b"\xff", ""),
        ("", ""),
    ],
)
async def test_a_fail_may_be_explained(text: str | bytes, want: str) -> None:
    names = policy("v=spf1 -all exp=why.%{d}", why_example_org={"TXT": [text]})
    assert (await check(names)) == SPF("fail", "example.org", mechanism="-all", explanation=want)
    names = policy("v=spf1 ~all exp=why.%{d}", why_example_org={"TXT": [text]})
    assert (await check(names)).explanation == ""


@pytest.mark.parametrize("sender", ['"a\r\nb"@example.org', "jürgen@example.org"])
async def test_what_the_sender_wrote_cannot_break_a_line(sender: str) -> None:
    names = policy("v=spf1 -all exp=why.org", why_org={"TXT": ["%{l} %{s}"]})
    assert (await check(names, sender)) == SPF("fail", "example.org", mechanism="-all")


@pytest.mark.parametrize("exp", ["none.org", "two.org", "broken.org", "a..org", "hang.org"])
async def test_a_fail_needs_no_explanation(exp: str) -> None:
    zone = Zone(policy(f"v=spf1 -all exp={exp}", two_org={"TXT": ["a", "b"]}))
    zone.trouble |= {"broken.org": "SERVFAIL", "hang.org": "hang"}
    answer = await spf.check_host(zone, IP, "", "me@example.org", now=0, receiver="", patience=0.05)
    assert answer == SPF("fail", "example.org", mechanism="-all")


# -- traps -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "now, told", [(0.0, "0"), (951_782_400.5, "951782400"), (4e12, "4000000000000"), (-86_400.0, "-86400")]
)
async def test_d22_time_is_handed_in_and_has_no_zone(now: float, told: str) -> None:
    zone = Zone(policy("v=spf1 -all exp=why.org", why_org={"TXT": ["%{t}"]}))
    answer = await spf.check_host(zone, IP, "", "me@example.org", now=now, receiver="")
    assert answer.explanation == told


async def test_d23_an_alias_s_owner_does_not_become_the_domain() -> None:
    """%{d}, ptr and the report speak of the name that was asked, not of the CNAME's target."""
    names = {"example.org": {"CNAME": ["hosted.net"]}, "hosted.net": {"TXT": ["v=spf1 exists:%{d}.ok.net -all"]},
             "example.org.ok.net": {"A": ["127.0.0.2"]}}  # fmt: skip
    assert await check(names) == SPF("pass", "example.org", mechanism="exists:%{d}.ok.net")
