import pytest

from daemon.mail.address import Address, parse_address
from daemon.mail.srs import NotOurs, _signed, is_rewritten, reverse, rewrite

KEY = b"a key of this server"
DAY = 20_000


def there(text: str, domain: str = "ours.example", key: bytes = KEY, day: int = DAY) -> Address:
    return rewrite(parse_address(text), domain, key, day)


@pytest.mark.parametrize(
    "sender",
    ["user@their.example", "a+tag=x@their.example", "User.Name@their.example", "ü@their.example", '"a b"@t.example',
     "user@[192.0.2.1]", "a=b=c@t.example"],
)  # fmt: skip
def test_what_is_rewritten_leads_back(sender: str) -> None:
    made = there(sender)
    assert made.domain == "ours.example" and is_rewritten(made.local)
    assert reverse(made.local, KEY, DAY) == parse_address(sender)
    assert reverse(made.local, KEY, DAY + 21) == parse_address(sender)


def test_the_form_is_the_one_others_know() -> None:
    made = there("user@their.example")
    scheme, digest, stamp, domain, local = made.local.split("=")
    assert (scheme, domain, local, len(digest), len(stamp)) == ("SRS0", "their.example", "user", 6, 2)


def test_a_chain_of_forwarders_leads_back_to_the_first() -> None:
    first = there("user@their.example", "first.example", b"first key")
    second = rewrite(first, "ours.example", KEY, DAY)
    assert second.local.startswith("SRS1=") and "first.example==" in second.local
    third = rewrite(second, "third.example", b"third key", DAY)
    assert third.local.count("SRS") == 1 and "first.example==" in third.local
    assert reverse(third.local, b"third key", DAY) == first
    assert reverse(second.local, KEY, DAY) == first
    assert reverse(first.local, b"first key", DAY) == parse_address("user@their.example")


def test_hosts_that_change_the_case_do_no_harm() -> None:
    made = there("user@their.example").local
    for changed in (made.upper(), made.lower(), made.swapcase()):
        assert reverse(changed, KEY, DAY).key == ("user", "their.example")


@pytest.mark.parametrize("day", [DAY - 1, DAY + 22, DAY + 500])
def test_an_old_address_or_one_from_the_future_is_refused(day: int) -> None:
    with pytest.raises(NotOurs, match="expired"):
        reverse(there("user@their.example").local, KEY, day)


def test_the_days_go_round() -> None:
    made = there("user@their.example", day=1023)
    assert reverse(made.local, KEY, 1024 + 5) == parse_address("user@their.example")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("user", "other"),
        lambda t: t.replace("their", "victim"),
        lambda t: "SRS0=aaaaaa" + t[11:],
        lambda t: "SRS0=" + t[12:],
        lambda t: "SRS1" + t[4:],
        lambda t: t[:11],
        lambda t: "user",
        lambda t: "SRS0=",
    ],
)
def test_an_invented_address_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(NotOurs):
        reverse(change(there("user@their.example").local), KEY, DAY)


@pytest.mark.parametrize(
    "rest", ["a", "aa=only", "!!=t.example=u", "a=t.example=u", "aa==u", "aa=t.example=", "aa=a b=u"]
)
def test_even_what_we_signed_is_read_with_care(rest: str) -> None:
    with pytest.raises(NotOurs):
        reverse(_signed("0", rest, KEY), KEY, 0)


@pytest.mark.parametrize(
    "local, want", [("SRS0=x", 1), ("srs1+x", 1), ("SRS0-x", 1), ("SRS0", 0), ("SRS2=x", 0), ("SRS0x", 0)]
)  # fmt: skip
def test_the_form_is_recognized(local: str, want: bool) -> None:
    assert is_rewritten(local) == want


def test_other_forms_of_srs0_are_wrapped_too() -> None:
    made = rewrite(parse_address("SRS0+abc=de=t.example=u@first.example"), "ours.example", KEY, DAY)
    assert str(reverse(made.local, KEY, DAY)) == "SRS0+abc=de=t.example=u@first.example"
    odd = rewrite(parse_address("SRS1=x@first.example"), "ours.example", KEY, DAY)
    assert reverse(odd.local, KEY, DAY) == parse_address("SRS1=x@first.example")
