"""Addresses: what is taken, what is refused, and what counts as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, normal_domain, parse_address, parse_path, subaddresses


@pytest.mark.parametrize(
    "text,local,domain",
    [
        ("user@example.org", "user", "example.org"),
        ("User.Name+tag@EXAMPLE.Org", "User.Name+tag", "example.org"),
        ("a..b@example.org", "a..b", "example.org"),
        ("a.@docomo.ne.jp", "a.", "docomo.ne.jp"),
        (".a@example.org", ".a", "example.org"),
        ("!#$%&'*+/=?^_`{|}~-@x.example", "!#$%&'*+/=?^_`{|}~-", "x.example"),
        ("x" * 300 + "@example.org", "x" * 300, "example.org"),
        ('"john doe"@example.org', "john doe", "example.org"),
        ('"a\\"b\\\\c"@example.org', 'a"b\\c', "example.org"),
        ('"a@b"@example.org', "a@b", "example.org"),
        ('"plain"@example.org', "plain", "example.org"),
        ("user@localhost", "user", "localhost"),
        ("user@example.org.", "user", "example.org"),
        ("user@_under.example", "user", "_under.example"),
        ("user@[192.0.2.1]", "user", "[192.0.2.1]"),
        ("user@[ipv6:2001:DB8:0::1]", "user", "[IPv6:2001:db8::1]"),
        ("user@bücher.example", "user", "xn--bcher-kva.example"),
        ("user@BÜCHER.example", "user", "xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user", "xn--bcher-kva.example"),
        ("user@xn--i-7iq.ws", "user", "xn--i-7iq.ws"),
        ("用户@例え.テスト", "用户", "xn--r8jz45g.xn--zckzah"),
        ("user@例え。テスト", "user", "xn--r8jz45g.xn--zckzah"),
        ("re\u0301sume\u0301@example.org", "résumé", "example.org"),
    ],
)
def test_an_address_is_read(text: str, local: str, domain: str) -> None:
    assert parse_address(text) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user",
        "user@",
        "@example.org",
        '""@example.org',
        "us er@example.org",
        "user @example.org",
        "user@ example.org",
        "user@example.org ",
        "user@exa mple.org",
        "user@example..org",
        "user@.example.org",
        "user@-example.org",
        "user@example-.org",
        "user@192.0.2.1",
        "user@1",
        "user@[192.0.2.1",
        "user@[192.0.2.256]",
        "user@[IPv6:zz]",
        "user@[IPv6:fe80::1%eth0]",
        "user@[tag:thing]",
        "user@example.org\n",
        "user\n@example.org",
        "us\x00er@example.org",
        "us\x7fer@example.org",
        "us\x85er@example.org",
        "us\u202eer@example.org",
        "us\ud800er@example.org",
        "user@exa\ud800mple.org",
        '"a\rb"@example.org',
        "a@b@example.org",
        "a\\b@example.org",
        'a"b@example.org',
        "<a>@example.org",
        "a,b@example.org",
        "user@" + "a" * 64 + ".example",
        "user@" + "a." * 130 + "example",
        "user@" + "ü" * 300,
        "user@ü..example",
        "user@ü\u0378.example",
        "user@a\u200db.example",
        "x" * (LIMITS.smtp_address - 2) + "@example.org",
        "ü" * (LIMITS.smtp_address // 2) + "@example.org",
    ],
)
def test_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse_address(text)
    assert caught.value.reason


@pytest.mark.parametrize("text", ["ü@example.org", "user@bücher.example", '"ü"@example.org'])
def test_without_smtputf8_only_ascii_is_taken(text: str) -> None:
    with pytest.raises(BadAddress, match="SMTPUTF8"):
        parse_address(text, utf8=False)
    assert parse_address("user@example.org", utf8=False) == Address("user", "example.org")


def test_a_key_forgets_case_and_composition() -> None:
    assert parse_address("User@Example.ORG").key == ("user", "example.org")
    assert parse_address("STRASSE@example.org").key == parse_address("straße@example.org").key
    assert Address("E\u0301", "x.example").key == Address("é", "x.example").key


@pytest.mark.parametrize(
    "address,text",
    [
        (Address("User", "example.org"), "User@example.org"),
        (Address("a..b", "example.org"), '"a..b"@example.org'),
        (Address("a.", "example.org"), '"a."@example.org'),
        (Address('a "b"\\', "example.org"), '"a \\"b\\"\\\\"@example.org'),
        (Address("ü", "xn--bcher-kva.example"), "ü@xn--bcher-kva.example"),
        (Address("user", "[IPv6:2001:db8::1]"), "user@[IPv6:2001:db8::1]"),
        (Address("postmaster", ""), "postmaster"),
    ],
)
def test_an_address_is_written_with_quotes_only_where_needed(address: Address, text: str) -> None:
    assert str(address) == text


def test_people_see_u_labels() -> None:
    assert Address("user", "xn--bcher-kva.example").display == "user@bücher.example"
    assert Address("user", "example.org").display == "user@example.org"
    assert Address("user", "xn--i-7iq.ws").display == "user@xn--i-7iq.ws"
    assert Address("a b", "").display == '"a b"'


def test_an_address_knows_if_it_is_ascii() -> None:
    assert Address("user", "xn--bcher-kva.example").is_ascii
    assert not Address("ü", "example.org").is_ascii


@given(st.text(max_size=30), st.sampled_from(["example.org", "[192.0.2.1]", "bücher.example"]))
def test_what_was_read_is_read_again_from_what_was_written(local: str, domain: str) -> None:
    try:
        address = parse_address(f"{local}@{domain}")
    except BadAddress:
        return
    assert parse_address(str(address)) == address
    assert parse_address(address.display) == address


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        str(parse_address(text)).encode()
    except BadAddress:
        pass


@pytest.mark.parametrize(
    "local,separators,found",
    [
        ("user+tag", "+", [("user", "tag")]),
        ("user+a+b", "+", [("user+a", "b"), ("user", "a+b")]),
        ("user+", "+", [("user", "")]),
        ("user", "+", []),
        ("+tag", "+", []),
        ("user-tag+x", "+-", [("user-tag", "x"), ("user", "tag+x")]),
        ("user+tag", "", []),
        ("a+b+c+d+e+f+g", "+", [("a+b+c+d+e", "f+g"), ("a+b+c+d", "e+f+g"), ("a+b+c", "d+e+f+g"), ("a+b", "c+d+e+f+g"),
                                ("a", "b+c+d+e+f+g")]),
    ],
)  # fmt: skip
def test_subaddresses(local: str, separators: str, found: list[tuple[str, str]]) -> None:
    assert subaddresses(local, separators) == found


@pytest.mark.parametrize(
    "text,want",
    [
        ("<>", None),
        ("<a@example.org>", Address("a", "example.org")),
        ('<"a>b"@example.org>', Address("a>b", "example.org")),
        ("<@x.example,@y.example:a@example.org>", Address("a", "example.org")),
        ("<@x.example:a@example.org>", Address("a", "example.org")),
    ],
)
def test_paths(text: str, want: Address | None) -> None:
    assert parse_path(text) == want


@pytest.mark.parametrize(
    "text", ["", "<", "a@example.org", "<a@example.org", "<@x.example>", "<@:a@b>", "<Postmaster>"]
)
def test_a_malformed_path_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_path(text)


def test_brackets_may_be_missing_where_the_caller_says_so() -> None:
    assert parse_path("a@example.org", bare=True) == Address("a", "example.org")
    with pytest.raises(BadAddress):
        parse_path("", bare=True)


def test_postmaster_needs_no_domain_where_the_caller_says_so() -> None:
    assert parse_path("<PostMaster>", postmaster=True) == Address("PostMaster", "")
    with pytest.raises(BadAddress):
        parse_path("<abuse>", postmaster=True)


def test_a_domain_has_one_spelling() -> None:
    assert normal_domain("Example.ORG.") == "example.org"
    assert normal_domain("straße.example") == "xn--strae-oqa.example"
