import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.trust.spf_macros import (
    BadSyntax,
    Macro,
    domain_spec,
    expand,
    explain_string,
    letters,
    macro_string,
    target_name,
)
from daemon.trust.spf_record import Mechanism, parse, printable, select

# The names and addresses of RFC 7208 §7.4.
VALUES = {
    "s": "strong-bad@email.example.com", "l": "strong-bad", "o": "email.example.com", "d": "email.example.com",
    "i": "192.0.2.3", "p": "mx.example.org", "v": "in-addr", "h": "mx.example.org", "c": "192.0.2.3",
    "r": "receiver.test", "t": "1700000000",
}  # fmt: skip
OVER_SIX = {**VALUES, "i": "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1", "v": "ip6"}


# -- macros ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text, want",
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{D2}", "example.com"),
        ("%{DR}", "com.example.email"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{d007}", "email.example.com"),
        ("%{d99999999999999999999999999999}", "email.example.com"),
        ("a%%b%_c%-d.example", "a%b c%20d.example"),
        ("%{d10001}", "email.example.com"),
        ("%{h}", "mx.example.org"),
        ("%{p2}", "example.org"),
    ],
)
def test_macros_are_expanded(text: str, want: str) -> None:
    assert expand(domain_spec(text), VALUES) == want


def test_ipv6_addresses_are_taken_apart_by_their_digits() -> None:
    want = "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"
    assert expand(domain_spec("%{ir}.%{v}._spf.%{d2}"), OVER_SIX) == want


@pytest.mark.parametrize("delimiter", list(".-+,/_="))
def test_every_delimiter_splits(delimiter: str) -> None:
    string = domain_spec(f"%{{l1r{delimiter}}}")
    assert expand(string, {"l": f"a{delimiter}b{delimiter}c"}) == "a"


def test_several_delimiters_split_at_each() -> None:
    assert expand(domain_spec("%{lr+-=}"), {"l": "a+b-c=d.e"}) == "d.e.c.b.a"


def test_upper_case_letters_escape_all_but_the_unreserved() -> None:
    assert expand(domain_spec("%{L}"), {"l": "aZ09-._~ /?&=%@ü"}) == "aZ09-._~%20%2F%3F%26%3D%25%40%C3%BC"


def test_explanations_know_more_letters_and_words() -> None:
    string = explain_string("%{c} refused by %{r} at %{t}: 100%%")
    assert letters(string) == {"c", "r", "t"}
    assert expand(string, VALUES) == "192.0.2.3 refused by receiver.test at 1700000000: 100%"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "empty domain name"),
        ("museum", "not a domain name"),
        ("museum.", "not a domain name"),
        ("a.123", "not a domain name"),
        ("a.-b", "not a domain name"),
        ("a.b-", "not a domain name"),
        ("a.b..", "not a domain name"),
        ("%{d}b", "not a domain name"),
        ("a.example%%-", "not a domain name"),
        ("a.b_c", "not a domain name"),
        ("%{c}.example.org", "a macro that is for explanations only"),
        ("%{R}", "a macro that is for explanations only"),
        ("%", "a percent sign that begins no macro"),
        ("%(ir).example.org", "a percent sign that begins no macro"),
        ("%{x}", "a percent sign that begins no macro"),
        ("%{ſ}", "a percent sign that begins no macro"),
        ("%{d", "a percent sign that begins no macro"),
        ("%{d.r}", "a percent sign that begins no macro"),
        ("%{dr2}", "a percent sign that begins no macro"),
        ("%{d0}", "a macro that keeps no part"),
        ("%{d000}", "a macro that keeps no part"),
        ("a b.example", "a character out of place"),
        ("a\x00.example", "a character out of place"),
        ("ä.example", "a character out of place"),
    ],
)
def test_names_that_are_none(text: str, reason: str) -> None:
    with pytest.raises(BadSyntax, match=f"^{reason}$"):
        domain_spec(text)


@pytest.mark.parametrize(
    "text", ["a.xn--zckzah", "a.1a", "a.b.", "foo:bar/baz.example", "%{d}", "%{d}.org", "x%%", "%_"]
)
def test_names_that_end_well(text: str) -> None:
    assert domain_spec(text)


def test_a_term_holds_so_many_macros_and_no_more() -> None:
    assert len(macro_string("%{s}" * LIMITS.spf_macros)) == LIMITS.spf_macros
    with pytest.raises(BadSyntax, match="more than 64 macros"):
        macro_string("%{s}" * (LIMITS.spf_macros + 1))


@pytest.mark.parametrize(
    "text, want",
    [
        ("example.org", "example.org"),
        ("example.org.", "example.org"),
        ("_spf.a b.example", "_spf.a b.example"),
        ("", ""),
        (".", ""),
        ("a..b", ""),
        (".a.b", ""),
        ("a.b..", ""),
        ("a" * 63 + ".org", "a" * 63 + ".org"),
        ("a" * 64 + ".org", ""),
        ("müller.example", ""),
        ("a\r\n.example", ""),
        ("a." * 126 + "b", "a." * 126 + "b"),  # 253 octets
        ("a." * 126 + "bb", "a." * 125 + "bb"),
        ("x" * 300, ""),
        ("a." * 50_000 + "example", "a." * 123 + "example"),
    ],
)
def test_names_are_made_fit_for_the_dns(text: str, want: str) -> None:
    assert target_name(text) == want


# -- records -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "texts, want",
    [
        ([], None),
        ([b"", b"hello", b"v=spf10 -all", b"v=spf1-all", b"v=spf1\t-all", b" v=spf1 -all"], None),
        ([b"\xff", b"V=Spf1 -all"], b"V=Spf1 -all"),
        ([b"v=spf1"], b"v=spf1"),
    ],
)
def test_the_record_is_found_by_its_version(texts: list[bytes], want: bytes | None) -> None:
    assert select(texts) == want


def test_several_records_are_an_error() -> None:
    with pytest.raises(BadSyntax, match="2 SPF records"):
        select([b"v=spf1 -all", b"v=spf1 -all", b"other"])


@pytest.mark.parametrize(
    "text, want",
    [
        ("all", Mechanism("all", "pass", "all")),
        ("-ALL", Mechanism("-ALL", "fail", "all")),
        ("~all", Mechanism("~all", "softfail", "all")),
        ("?all", Mechanism("?all", "neutral", "all")),
        ("+a", Mechanism("+a", "pass", "a")),
        ("a/24", Mechanism("a/24", "pass", "a", prefix4=24)),
        ("a//64", Mechanism("a//64", "pass", "a", prefix6=64)),
        ("mx/0//0", Mechanism("mx/0//0", "pass", "mx", prefix4=0, prefix6=0)),
        ("a:x.org/8//9", Mechanism("a:x.org/8//9", "pass", "a", ("x.org",), prefix4=8, prefix6=9)),
        ("a:x/y.org/8", Mechanism("a:x/y.org/8", "pass", "a", ("x/y.org",), prefix4=8)),
        ("mx:%{d}/8", Mechanism("mx:%{d}/8", "pass", "mx", (Macro("d"),), prefix4=8)),
        ("ptr", Mechanism("ptr", "pass", "ptr")),
        ("-ptr:x.org", Mechanism("-ptr:x.org", "fail", "ptr", ("x.org",))),
        ("include:x.org", Mechanism("include:x.org", "pass", "include", ("x.org",))),
        ("exists:%{ir}.x.org", Mechanism("exists:%{ir}.x.org", "pass", "exists", (Macro("i", 0, True), ".x.org"))),
        ("ip4:192.0.2.1", Mechanism("ip4:192.0.2.1", "pass", "ip4", address=0xC0000201)),
        ("ip4:192.0.2.1/24", Mechanism("ip4:192.0.2.1/24", "pass", "ip4", address=0xC0000201, prefix4=24)),
        ("ip6:::1/64", Mechanism("ip6:::1/64", "pass", "ip6", address=1, prefix6=64)),
    ],
)
def test_mechanisms(text: str, want: Mechanism) -> None:
    assert parse(f"v=spf1 {text}".encode()).mechanisms == (want,)


@pytest.mark.parametrize(
    "term, reason",
    [
        ("all:x", "takes no argument"),
        ("all/8", "takes no argument"),
        ("all.", "no such mechanism"),
        ("--all", "no such mechanism"),
        ("+", "no such mechanism"),
        ("redirect:x.org", "no such mechanism"),
        ("-redirect=x.org", "no such mechanism"),
        ("1up=x", "no such mechanism"),
        ("=x", "no such mechanism"),
        ("a\tmx", "needs a domain"),
        ("include", "needs a domain"),
        ("exists/24", "needs a domain"),
        ("ptr/24", "needs a domain"),
        ("a/24/16", "needs a domain"),
        ("a/", "needs a domain"),
        ("a:", "empty domain name"),
        ("a:/24", "empty domain name"),
        ("include:x.org/24", "not a domain name"),
        ("mx:x.org/24/16", "not a domain name"),
        ("a/33", "prefix length is not 0 to 32"),
        ("a//129", "prefix length is not 0 to 128"),
        ("a/08", "prefix length is not 0 to 32"),
        ("a/99999999999999999999", "prefix length is not 0 to 32"),
        ("ip4", "needs an IP address"),
        ("ip4:", "needs an IP address"),
        ("ip4/24", "needs an IP address"),
        ("ip4:1.2.3", "needs an IP address"),
        ("ip4:1.2.3.04", "needs an IP address"),
        ("ip4:1.2.3.4:25", "needs an IP address"),
        ("ip4:::1", "needs an IP address"),
        ("ip4:1.2.3.4/", "prefix length is not 0 to 32"),
        ("ip4:1.2.3.4//32", "prefix length is not 0 to 32"),
        ("ip6:1.2.3.4", "needs an IP address"),
        ("ip6:fe80::1%eth0", "needs an IP address"),
        ("ip6:::1/129", "prefix length is not 0 to 128"),
        ("ip6:::1/١", "not ASCII"),
        ("exp=", "empty domain name"),
        ("redirect=-all", "not a domain name"),
        ("foo=%abc", "a percent sign that begins no macro"),
    ],
)
def test_terms_that_are_none_are_named(term: str, reason: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        parse(f"v=spf1 ip4:192.0.2.1 {term} -all".encode())
    assert str(caught.value) == f"{printable(term.encode().decode('latin-1'))}: {reason}"


def test_modifiers_stand_anywhere_and_once() -> None:
    record = parse(b"v=spf1 EXP=e.%{d} a.b-c_d=%{r}/%%  redirect=r.org mx ")
    assert record.redirect == ("r.org",)
    assert record.exp == ("e.", Macro("d"))
    assert [mechanism.name for mechanism in record.mechanisms] == ["mx"]
    for twice in (b"exp=a.org -all exp=a.org", b"redirect=a.org Redirect=b.org"):
        with pytest.raises(BadSyntax, match="a second (exp|redirect)="):
            parse(b"v=spf1 " + twice)


def test_records_over_the_limit_are_not_read() -> None:
    room = LIMITS.spf_record - len(b"v=spf1 ")
    assert len(parse(b"v=spf1 " + b"-all " * (room // 5)).mechanisms) == room // 5
    with pytest.raises(BadSyntax, match="record over 16384 octets"):
        parse(b"v=spf1 " + b" " * (room + 1))


def test_a_stranger_s_words_are_one_short_line() -> None:
    assert printable("a\r\nb\x00é") == "a??b??"
    assert printable("x" * LIMITS.spf_words) == "x" * LIMITS.spf_words
    assert printable("x" * (LIMITS.spf_words + 1)) == "x" * (LIMITS.spf_words - 3) + "..."


@given(st.lists(st.sampled_from([*"%{}:/=.-+~? \t0123456789slodiphcrtvamxpe", "%{d}", "ip4:", "a:x.org", "exp="])))
def test_any_record_is_read_or_refused(parts: list[str]) -> None:
    try:
        record = parse(("v=spf1 " + "".join(parts)).encode())
    except BadSyntax as error:
        assert str(error).isascii()
        return
    for mechanism in record.mechanisms:
        assert isinstance(expand(mechanism.domain, VALUES), str)


@given(st.binary())
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        parse(b"v=spf1 " + octets)
    except BadSyntax as error:
        assert str(error).isprintable()
