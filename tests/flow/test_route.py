import random
from typing import Any

import pytest

from daemon.flow.route import Host, Ourselves, Router, Unroutable, is_ours
from daemon.limits import LIMITS
from daemon.resolver import MX, TemporaryDNSError
from daemon.store.routes import Route
from tests.flow.table import Table

RECORDS: dict[tuple[str, str], list[Any] | str] = {
    ("two.example", "MX"): [MX(20, "b.two.example"), MX(10, "a.two.example")],
    ("a.two.example", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.two.example", "AAAA"): ["2001:db8::1"],
    ("b.two.example", "A"): ["192.0.2.3"],
    ("equal.example", "MX"): [MX(5, f"m{i}.equal.example") for i in range(6)],
    **{(f"m{i}.equal.example", "A"): [f"192.0.2.{10 + i}"] for i in range(6)},
    ("implicit.example", "AAAA"): ["2001:db8::5"],
    ("null.example", "MX"): [MX(0, "")],
    ("odd.example", "MX"): [MX(0, ""), MX(10, "a.two.example")],
    ("empty.example", "TXT"): [b"x"],
    ("dangling.example", "MX"): [MX(10, "gone.example")],
    ("broken.example", "MX"): "SERVFAIL",
    ("half.example", "MX"): [MX(10, "slow.example"), MX(20, "b.two.example")],
    ("unsure.example", "MX"): [MX(10, "slow.example")],
    ("slow.example", "A"): "no answer",
    ("v6trouble.example", "AAAA"): "SERVFAIL",
    ("v6trouble.example", "A"): ["192.0.2.9"],
    ("backup.example", "MX"): [MX(10, "a.two.example"), MX(20, "mx.us.example"), MX(30, "b.two.example")],
    ("mx.us.example", "A"): ["198.51.100.1"],
    ("loop.example", "MX"): [MX(10, "mx.us.example"), MX(20, "b.two.example")],
    ("alias.example", "MX"): [MX(10, "other-name.example"), MX(10, "b.two.example")],
    ("other-name.example", "A"): ["198.51.100.1"],
    ("implicit-loop.example", "A"): ["198.51.100.1"],
    ("nowhere.example", "A"): ["0.0.0.0", "224.0.0.1"],
    ("literal-mx.example", "MX"): [MX(10, "192.0.2.77")],
    ("many.example", "MX"): [MX(i, f"m{i}.many.example") for i in range(100)],
    **{(f"m{i}.many.example", "A"): ["192.0.2.50"] for i in range(100)},
    ("wide.example", "A"): [f"192.0.2.{i}" for i in range(100)],
}


def router(port: int = 25, seed: int = 1) -> Router:
    ourselves = Ourselves("mx.us.example", local=lambda address: address in ("198.51.100.1", "2001:db8::99"))
    return Router(Table(RECORDS), ourselves, port=port, chance=random.Random(seed))


async def names(domain: str, **more: Any) -> list[str]:
    return [host.name for host in await router(**more).hosts(domain, None)]


async def test_mx_hosts_come_by_preference_their_addresses_in_turn() -> None:
    assert await router().hosts("two.example", None) == [
        Host("a.two.example", 25, ("2001:db8::1", "192.0.2.1", "192.0.2.2"), domain="two.example"),
        Host("b.two.example", 25, ("192.0.2.3",), domain="two.example"),
    ]


async def test_equal_preferences_are_shuffled() -> None:
    orders = {tuple(await names("equal.example", seed=seed)) for seed in range(10)}
    assert len(orders) > 3 and len({frozenset(order) for order in orders}) == 1


async def test_without_mx_the_domain_itself_takes_the_mail() -> None:
    assert await router().hosts("implicit.example", None) == [
        Host("implicit.example", 25, ("2001:db8::5",), domain="implicit.example")
    ]


@pytest.mark.parametrize(
    "domain, enhanced, words",
    [
        ("null.example", "556 5.1.10", "takes no mail"),
        ("nobody.example", "550 5.1.2", "does not exist"),
        ("empty.example", "550 5.4.4", "no address"),
        ("dangling.example", "550 5.4.4", "no address for gone.example"),
        ("nowhere.example", "550 5.4.4", "no address"),
        ("loop.example", "550 5.4.6", "come back to this server"),
        ("implicit-loop.example", "550 5.4.6", "come back"),
        ("[198.51.100.1]", "550 5.4.6", "come back"),
        ("[IPv6:2001:db8::99]", "550 5.4.6", "come back"),
        ("alias.example", "550 5.4.6", "come back"),
    ],
)
async def test_what_no_later_try_will_change_fails_for_good(domain: str, enhanced: str, words: str) -> None:
    with pytest.raises(Unroutable, match=f"{enhanced} .*{words}"):
        await router().hosts(domain, None)


@pytest.mark.parametrize("domain", ["broken.example", "unsure.example"])
async def test_what_the_dns_cannot_tell_is_tried_later(domain: str) -> None:
    with pytest.raises(TemporaryDNSError):
        await router().hosts(domain, None)


async def test_a_null_mx_among_others_is_passed_over() -> None:
    assert await names("odd.example") == ["a.two.example"]


async def test_a_host_whose_address_cannot_be_told_now_is_passed_over() -> None:
    assert await names("half.example") == ["b.two.example"]


async def test_one_family_in_trouble_leaves_the_other() -> None:
    (host,) = await router().hosts("v6trouble.example", None)
    assert (host.addresses, host.trouble) == (("192.0.2.9",), "SERVFAIL")


async def test_a_backup_never_sends_to_itself_or_to_worse_ones() -> None:
    assert await names("backup.example") == ["a.two.example"]


async def test_another_port_of_this_machine_is_another_server() -> None:
    (host,) = await router(port=2525).hosts("implicit-loop.example", None)
    assert host == Host("implicit-loop.example", 2525, ("198.51.100.1",), domain="implicit-loop.example")


async def test_address_literals_are_taken_at_their_word() -> None:
    assert await router().hosts("[192.0.2.5]", None) == [Host("[192.0.2.5]", 25, ("192.0.2.5",))]
    for text in ("[IPv6:2001:db8::5]", "[ipv6:2001:db8::5]"):  # the queue keeps destinations in lower case
        assert await router().hosts(text, None) == [Host("[2001:db8::5]", 25, ("2001:db8::5",))]


async def test_an_address_where_a_name_belongs_is_used() -> None:
    assert (await router().hosts("literal-mx.example", None))[0].addresses == ("192.0.2.77",)


async def test_hosts_and_addresses_are_bounded() -> None:
    assert len(await names("many.example")) == LIMITS.mx_hosts
    assert len((await router().hosts("wide.example", None))[0].addresses) == LIMITS.mx_addresses


def smart(host: str, **more: Any) -> Route:
    values = {"tls": "starttls", "username": "u", "password": "p", "port": 587, **more}
    return Route(1, "default", "*", host, values["port"], values["tls"], values["username"], values["password"], 0)


async def test_a_smart_host_takes_all_of_a_route() -> None:
    assert await router().hosts("two.example", smart("b.two.example")) == [
        Host("b.two.example", 587, ("192.0.2.3",), "starttls", "u", "p")
    ]
    assert (await router().hosts("null.example", smart("127.0.0.1")))[0].addresses == ("127.0.0.1",)
    assert (await router().hosts("x.example", smart("localhost")))[0].addresses == ("127.0.0.1",)


async def test_a_wrong_smart_host_makes_mail_wait_and_one_that_is_us_does_not_loop() -> None:
    for host in ("nobody.example", "slow.example"):
        with pytest.raises(TemporaryDNSError):
            await router().hosts("two.example", smart(host))
    for host in ("mx.us.example", "other-name.example", "198.51.100.1"):
        with pytest.raises(Unroutable, match="5.4.6"):
            await router().hosts("two.example", smart(host, port=25))
    assert await router().hosts("two.example", smart("mx.us.example"))


async def test_the_real_test_for_our_own_addresses() -> None:
    assert is_ours("127.0.0.1") and not is_ours("192.0.2.1") and not is_ours("2001:db8::1")


async def test_a_fault_in_the_resolver_is_not_hidden() -> None:
    class Broken:
        async def ask(self, name: str, kind: str) -> Any:
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError):
        await Router(Broken(), Ourselves("us.example")).hosts("x.example", smart("y.example"))
