"""Lists in the DNS: what is asked about a message, what counts, and what lists that are silent or lie do: nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.resolver import DNS
from daemon.trust import blocklist
from daemon.trust.blocklist import Wanted, Zones
from daemon.trust.organisation import registered
from daemon.trust.results import Listing, Lists
from tests.instruments.dns_server import DNSServer
from tests.trust.answers import Answers

IP = "9.9.9.1"
SOUND = """
2.0.0.127.bl.test. A 127.0.0.2
2.0.0.127.wl.test. A 127.0.0.2
test.dom.test. A 127.0.0.2
test.uri.test. A 127.0.0.2
"""
WANTED = Wanted(["bl.test"], ["wl.test"], ["dom.test"], ["uri.test"])


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[DNSServer]:
    async with DNSServer(SOUND) as server:
        yield server


async def check(*about: Any) -> Lists:
    found = blocklist.check(*about)
    return found if isinstance(found, Lists) else await found


def asked(server: DNSServer, zone: str) -> list[str]:
    """What a list was asked about, without its tests."""
    names = [name.removesuffix("." + zone) for name, _, _ in server.asked if name.endswith("." + zone)]
    return sorted(name for name in names if name not in ("2.0.0.127", "1.0.0.127", "test", "invalid"))


async def test_all_kinds_are_asked_and_told(server: DNSServer) -> None:
    server.add("1.9.9.9.bl.test. A 127.0.0.4\n1.9.9.9.wl.test. A 127.0.9.2\nbad.example.dom.test. A 127.0.0.2")
    server.add("evil.co.uk.uri.test. A 127.0.0.2\n4.3.2.9.uri.test. A 127.0.0.8")
    hosts = ["www.evil.co.uk", "fine.example", "9.2.3.4", "192.168.0.1", "co.uk"]
    found = await check(DNS([server.server]), IP, ["mail.bad.example", "bad.example", "x"], hosts, WANTED, Zones())
    assert found == Lists(
        (
            Listing("bl.test", IP, "address", "127.0.0.4"),
            Listing("wl.test", IP, "address", "127.0.9.2", good=True),
            Listing("dom.test", "bad.example", "domain", "127.0.0.2"),
            Listing("uri.test", "evil.co.uk", "link", "127.0.0.2"),
            Listing("uri.test", "9.2.3.4", "link", "127.0.0.8"),
        )
    )
    assert asked(server, "dom.test") == ["bad.example"]
    assert asked(server, "uri.test") == ["4.3.2.9", "evil.co.uk", "fine.example"]


async def test_a_welcome_of_a_domain_counts_for_who_proves_to_have_signed(server: DNSServer) -> None:
    server.add("test.dwl.test. A 127.0.0.2\ngood.example.dwl.test. A 127.0.5.3\nforged.co.uk.dwl.test. A 127.0.5.3")
    server.add("1.9.9.9.wl.test. A 127.0.9.1")
    wanted = Wanted(welcome=["wl.test"], signers=["dwl.test"])
    signed = ["mail.good.example", "forged.co.uk", "unknown.example"]
    found = await check(DNS([server.server]), IP, ["other.example"], [], wanted, Zones(), signed)
    assert asked(server, "dwl.test") == ["forged.co.uk", "good.example", "unknown.example"]
    address = Listing("wl.test", IP, "address", "127.0.9.1", good=True)
    good = Listing("dwl.test", "good.example", "domain", "127.0.5.3", good=True)
    assert blocklist.proved(found, ["x.good.example"]) == Lists((address, good))
    assert blocklist.proved(found, []) == Lists((address,))
    bad = Lists((Listing("dom.test", "bad.example", "domain", "127.0.0.2"),))
    assert blocklist.proved(bad, []) == bad


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("9.9.9.1", "1.9.9.9"),
        ("::ffff:9.9.9.1", "1.9.9.9"),
        ("2600::1", "1" + ".0" * 27 + ".0.0.6.2"),
        *[
            (ip, "")
            for ip in ("127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fe80::1", "fd00::1", "224.0.0.1", "", "x")
        ],
    ],
)
async def test_only_addresses_of_the_world_are_asked_about(server: DNSServer, ip: str, name: str) -> None:
    if name:
        server.add(f"{name}.bl.test. A 127.0.0.2")
    found = await check(DNS([server.server]), ip, [], [], WANTED, Zones())
    assert asked(server, "bl.test") == ([name] if name else []) and len(found.found) == bool(name)
    assert found.silent == ()


async def test_a_link_home_to_the_sender_counts_once(server: DNSServer) -> None:
    server.add("bad.example.dom.test. A 127.0.0.2")
    both = Wanted(domains=["dom.test"], links=["dom.test"])
    found = await check(DNS([server.server]), IP, ["bad.example"], ["www.bad.example", "x.example"], both, Zones())
    assert [(each.kind, each.what) for each in found.found] == [("domain", "bad.example")]
    assert asked(server, "dom.test") == ["bad.example", "x.example"]


async def test_one_list_may_be_of_addresses_and_of_names(server: DNSServer) -> None:
    server.add("1.9.9.9.dom.test. A 127.0.0.2\n2.0.0.127.dom.test. A 127.0.0.2\nbad.example.dom.test. A 127.0.0.2")
    both = Wanted(addresses=["dom.test"], domains=["dom.test"])
    found = await check(DNS([server.server]), IP, ["bad.example"], [], both, Zones())
    assert [each.kind for each in found.found] == ["address", "domain"]


@pytest.mark.parametrize(
    ("records", "trouble"),
    [
        ("1.9.9.9.all.test. A 127.0.0.2\n1.0.0.127.all.test. A 127.0.0.2", {}),
        ("1.9.9.9.all.test. A 127.255.255.254\n2.0.0.127.all.test. A 127.0.0.2", {}),
        ("1.9.9.9.all.test. A 127.0.0.1\n2.0.0.127.all.test. A 127.0.0.2", {}),
        ("1.9.9.9.all.test. A 192.0.2.1\n2.0.0.127.all.test. A 127.0.0.2", {}),
        ("1.9.9.9.all.test. A 127.0.0.2", {}),
        ("2.0.0.127.all.test. A 127.0.0.2", {"1.9.9.9.all.test": "SERVFAIL"}),
        ("2.0.0.127.all.test. A 127.0.0.2", {"1.9.9.9.all.test": "REFUSED"}),
        ("2.0.0.127.all.test. A 127.0.0.2", {"1.9.9.9.all.test": "hang"}),
        ("2.0.0.127.all.test. A 127.0.0.2", {"1.9.9.9.all.test": "garbage"}),
        ("", {"1.0.0.127.all.test": "hang"}),
        ("", {"1.0.0.127.all.test": "SERVFAIL"}),
    ],
)  # fmt: skip
async def test_bad_lists_list_nobody_and_hinder_no_other(
    server: DNSServer, records: str, trouble: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(blocklist, "LIMITS", dataclasses.replace(LIMITS, list_patience=0.3))
    server.add(records + "\n1.9.9.9.bl.test. A 127.0.0.2")
    server.trouble.update(trouble)
    wanted = Wanted(["all.test", "bl.test"])
    found = await check(DNS([server.server]), IP, [], [], wanted, Zones())
    assert found == Lists((Listing("bl.test", IP, "address", "127.0.0.2"),), ("all.test",))
    assert "event=list-silent list=all.test reason=" in caplog.text


async def test_a_list_that_lies_is_left_alone_and_tried_again(server: DNSServer) -> None:
    server.add("1.9.9.9.all.test. A 127.0.0.2")
    clock = Clock()
    zones, dns, wanted = Zones(clock), DNS([server.server], clock=clock), Wanted(["all.test"])
    for _ in range(3):
        assert await check(dns, IP, [], [], wanted, zones) == Lists((), ("all.test",))
    assert asked(server, "all.test") == []
    server.add("2.0.0.127.all.test. A 127.0.0.2")
    clock.now += LIMITS.list_rest + LIMITS.dns_negative
    assert len((await check(dns, IP, [], [], wanted, zones)).found) == 1


async def test_a_list_that_fails_some_times_is_left_alone_for_a_while(server: DNSServer, caplog: Any) -> None:
    caplog.set_level("INFO")
    clock = Clock()
    zones, dns = Zones(clock), DNS([server.server], clock=clock)

    async def one(number: int) -> Lists:
        return await check(dns, f"9.9.9.{number}", [], [], Wanted(["bl.test"]), zones)

    assert (await one(100)).silent == ()
    for number in range(10):
        server.trouble[f"{number}.9.9.9.bl.test"] = "SERVFAIL"
        assert (await one(number)).silent == ("bl.test",)
    assert (
        len({name for name, _, _ in server.asked if name[0].isdigit() and "9.9.9" in name}) == 1 + LIMITS.list_failures
    )
    assert caplog.text.count("list-silent") == LIMITS.list_failures and f"rest={LIMITS.list_rest}" in caplog.text
    clock.now += LIMITS.list_rest + 1
    assert (await one(20)).silent == ()
    server.trouble["30.9.9.9.bl.test"] = server.trouble["31.9.9.9.bl.test"] = "SERVFAIL"
    await one(30)
    await one(21)
    await one(31)
    assert (await one(22)).silent == (), "they must be in a row"


async def test_a_list_is_proved_now_and_then(server: DNSServer) -> None:
    clock = Clock()
    zones, dns = Zones(clock), DNS([server.server], clock=clock)
    for seconds in (0, LIMITS.list_proved - 1, 2):
        clock.now += seconds
        assert (await check(dns, IP, [], [], Wanted(["bl.test"]), zones)).silent == ()
    assert server.count("1.0.0.127.bl.test", "A") == 2


async def test_what_is_known_needs_no_task(server: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("1.9.9.9.bl.test. A 127.0.0.4\nevil.example.uri.test. A 127.255.255.252")
    zones, dns = Zones(), DNS([server.server])
    first = await check(dns, IP, ["good.example"], [], WANTED, zones)
    monkeypatch.setattr(asyncio, "create_task", None)
    assert await check(dns, IP, ["good.example"], [], WANTED, zones) == first
    assert len(first.found) == 1


async def test_an_error_that_is_remembered_is_one_too(server: DNSServer) -> None:
    server.add("bad.example.uri.test. A 127.255.255.252")
    dns = DNS([server.server])
    await dns.ask("bad.example.uri.test", "A")
    zones, wanted = Zones(), Wanted(links=["uri.test"])
    assert (await check(dns, "", [], ["good.example"], wanted, zones)).silent == ()
    assert (await check(dns, "", [], ["bad.example"], wanted, zones)).silent == ("uri.test",)


async def test_questions_are_bounded(server: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklist, "LIMITS", dataclasses.replace(LIMITS, list_questions=5, list_domains=3))
    domains, hosts = [f"d{n}.example" for n in range(50)], [f"h{n}.example" for n in range(50)]
    await check(DNS([server.server]), IP, domains, hosts, WANTED, Zones())
    told = [asked(server, zone) for zone in ("bl.test", "wl.test", "dom.test", "uri.test")]
    assert [len(each) for each in told] == [1, 1, 3, 0]
    many = Wanted([f"z{n}.test" for n in range(100)])
    monkeypatch.undo()
    assert len((await check(DNS([server.server]), IP, [], [], many, Zones())).silent) == LIMITS.blocklists


async def test_a_message_given_up_leaves_nothing_behind() -> None:
    zones, resolver = Zones(), Answers(**{"*": "hang"})
    before = asyncio.all_tasks()
    task = asyncio.create_task(check(resolver, IP, [], [], WANTED, zones))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(blocklist.dnsbl, "test", broken)
    with pytest.raises(ZeroDivisionError):
        await check(Answers(), IP, [], [], Wanted(["bl.test"]), Zones())


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.evil.co.uk", "evil.co.uk"),
        ("evil.example", "evil.example"),
        ("a.b.github.io", "b.github.io"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("co.uk", ""),
        ("localhost", ""),
        ("", ""),
    ],
)
def test_the_registered_domain(host: str, domain: str) -> None:
    assert registered(host) == domain
