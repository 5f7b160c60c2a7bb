import asyncio
from collections.abc import AsyncIterator

import pytest

from daemon.limits import LIMITS
from daemon.resolver import DNS, MX, TLSA, Answer, TemporaryDNSError, reverse_name
from tests.instruments.dns_server import DNSServer

ZONE = """
example.org. MX 20 b.example.org.
example.org. MX 10 A.Example.ORG.
example.org. TXT "v=spf1 " "-all"
a.example.org. A 192.0.2.1
a.example.org. 30 AAAA 2001:db8::1
null.example.org. MX 0 .
www.example.org. CNAME a.example.org.
one.example.org. CNAME two.example.org.
two.example.org. CNAME one.example.org.
dangling.example.org. CNAME nowhere.example.org.
_25._tcp.a.example.org. TLSA 3 1 0 00ff
1.2.0.192.in-addr.arpa. PTR a.example.org.
_imap._tcp.example.org. SRV 0 1 143 a.example.org.
b.c.example.org. A 192.0.2.9
xn--bcher-kva.example. A 192.0.2.7
"""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[DNSServer]:
    async with DNSServer(ZONE) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dns(server: DNSServer, clock: Clock) -> DNS:
    return DNS([server.server], patience=0.4, clock=clock)


@pytest.mark.parametrize(
    "name, kind, records",
    [
        ("example.org", "MX", {MX(20, "b.example.org"), MX(10, "a.example.org")}),
        ("EXAMPLE.org.", "TXT", {b"v=spf1 -all"}),
        ("a.example.org", "A", {"192.0.2.1"}),
        ("a.example.org", "AAAA", {"2001:db8::1"}),
        ("null.example.org", "MX", {MX(0, "")}),
        ("www.example.org", "A", {"192.0.2.1"}),
        ("www.example.org", "CNAME", {"a.example.org"}),
        ("_25._tcp.a.example.org", "TLSA", {TLSA(3, 1, 0, b"\x00\xff")}),
        (reverse_name("192.0.2.1"), "PTR", {"a.example.org"}),
        ("_imap._tcp.example.org", "SRV", {"0 1 143 a.example.org."}),
        ("xn--bcher-kva.example", "A", {"192.0.2.7"}),
    ],
)
async def test_records_come_as_plain_values(dns: DNS, name: str, kind: str, records: set[object]) -> None:
    found = await dns.ask(name, kind)
    assert set(found.records) == records and found.exists and not found.secure


async def test_the_canonical_name_is_told(dns: DNS) -> None:
    assert (await dns.ask("www.example.org", "A")).canonical == "a.example.org"


@pytest.mark.parametrize(
    "name, kind, exists",
    [
        ("a.example.org", "MX", True),
        ("c.example.org", "A", True),
        ("nobody.example.org", "A", False),
        ("dangling.example.org", "A", False),
        ("x" * 64 + ".example.org", "A", False),
        ("a..b", "A", False),
    ],
)
async def test_none_and_no_such_name_are_different_answers(dns: DNS, name: str, kind: str, exists: bool) -> None:
    found = await dns.ask(name, kind)
    assert (found.records, found.exists) == ((), exists)


async def test_answers_are_kept_as_long_as_their_ttl(dns: DNS, server: DNSServer, clock: Clock) -> None:
    assert (await dns.ask("a.example.org", "AAAA")).ttl == 30
    clock.now += 29
    await dns.ask("A.example.org", "AAAA")
    assert server.count("a.example.org", "AAAA") == 1
    clock.now += 2
    await dns.ask("a.example.org", "AAAA")
    assert server.count("a.example.org", "AAAA") == 2


async def test_no_is_kept_as_long_as_the_zone_says(dns: DNS, server: DNSServer, clock: Clock) -> None:
    for name in ("nobody.example.org", "a.example.org"):
        assert (await dns.ask(name, "MX")).ttl == 60
        clock.now += 59
        await dns.ask(name, "MX")
        assert server.count(name, "MX") == 1
        clock.now += 2
        await dns.ask(name, "MX")
        assert server.count(name, "MX") == 2


async def test_equal_questions_at_once_fly_once(dns: DNS, server: DNSServer) -> None:
    answers = await asyncio.gather(*(dns.ask("example.org", "MX") for _ in range(50)))
    assert server.count("example.org", "MX") == 1
    assert len({id(a) for a in answers}) == 1


async def test_who_gives_up_waiting_does_not_disturb_the_others(dns: DNS, server: DNSServer) -> None:
    first = asyncio.create_task(dns.ask("example.org", "MX"))
    second = asyncio.create_task(dns.ask("example.org", "MX"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).records
    assert server.count("example.org", "MX") == 1


@pytest.mark.parametrize(
    "trouble, reason",
    [("SERVFAIL", "SERVFAIL"), ("REFUSED", "REFUSED"), ("hang", "no answer within 0.4 s"), ("garbage", ""),
     ("other-id", ""), ("other-question", "")],
)  # fmt: skip
async def test_trouble_is_never_taken_for_no(dns: DNS, server: DNSServer, trouble: str, reason: str) -> None:
    server.trouble["example.org"] = trouble
    with pytest.raises(TemporaryDNSError, match=f"MX of example.org: {reason}"):
        await dns.ask("example.org", "MX")


async def test_records_of_another_name_are_not_believed(dns: DNS, server: DNSServer) -> None:
    server.trouble["a.example.org"] = "other-name"
    assert (await dns.ask("a.example.org", "A")).records == ()


async def test_a_cname_loop_ends(dns: DNS) -> None:
    with pytest.raises(TemporaryDNSError):
        await dns.ask("one.example.org", "A")


async def test_a_failure_is_asked_again_soon_but_not_at_once(dns: DNS, server: DNSServer, clock: Clock) -> None:
    server.trouble["example.org"] = "SERVFAIL"
    for _ in range(3):
        with pytest.raises(TemporaryDNSError, match="SERVFAIL"):
            await dns.ask("example.org", "MX")
    assert server.count("example.org", "MX") == 1
    server.trouble.clear()
    clock.now += LIMITS.dns_failure + 1
    assert (await dns.ask("example.org", "MX")).records


async def test_a_dead_server_costs_a_few_time_outs_not_one_for_each_question(
    server: DNSServer, dns: DNS, clock: Clock
) -> None:
    server.trouble["*"] = "hang"
    names = [f"n{i}.example.org" for i in range(5)]
    await asyncio.gather(*(dns.ask(name, "A") for name in names), return_exceptions=True)
    before = len(server.asked)
    with pytest.raises(TemporaryDNSError, match="no name server answers"):
        await dns.ask("another.example.org", "A")
    assert len(server.asked) == before
    clock.now += LIMITS.dns_failure + 1
    server.trouble.clear()
    assert (await dns.ask("a.example.org", "A")).records == ("192.0.2.1",)


async def test_zones_that_are_dead_do_not_make_ours_look_dead(server: DNSServer, dns: DNS, clock: Clock) -> None:
    names = [f"n{i}.dead.example" for i in range(9)]
    server.trouble.update(dict.fromkeys(names, "hang"))
    asking = [asyncio.create_task(dns.ask(name, "A")) for name in names]
    await asyncio.sleep(0)
    assert (await dns.ask("a.example.org", "A")).records == ("192.0.2.1",)
    await asyncio.gather(*asking, return_exceptions=True)
    assert (await dns.ask("b.example.org", "A")).name == "b.example.org"


async def test_what_is_known_is_told_without_asking(server: DNSServer, dns: DNS, clock: Clock) -> None:
    assert dns.known("a.example.org", "A") is None
    found = await dns.ask("A.example.org.", "A")
    assert dns.known("a.example.org", "A") == found
    clock.now += found.ttl + 1
    assert dns.known("a.example.org", "A") is None
    server.trouble["broken.example.org"] = "SERVFAIL"
    with pytest.raises(TemporaryDNSError):
        await dns.ask("broken.example.org", "A")
    assert dns.known("broken.example.org", "A") is None


async def test_the_second_server_answers_when_the_first_cannot(server: DNSServer, clock: Clock) -> None:
    async with DNSServer() as broken:
        broken.trouble["*"] = "SERVFAIL"
        dns = DNS([broken.server, server.server], patience=2, clock=clock)
        assert (await dns.ask("a.example.org", "A")).records == ("192.0.2.1",)


async def test_a_truncated_answer_is_fetched_over_tcp(dns: DNS, server: DNSServer) -> None:
    server.trouble["a.example.org"] = "truncate"
    assert (await dns.ask("a.example.org", "A")).records == ("192.0.2.1",)
    assert server.asked == [("a.example.org", "A", "udp"), ("a.example.org", "A", "tcp")]
    server.add("big.example.org. TXT " + " ".join(f'"{"x" * 250}"' for _ in range(20)))
    assert len((await dns.ask("big.example.org", "TXT")).records[0]) == 5000


async def test_only_a_server_on_this_machine_is_believed_about_validation(dns: DNS, server: DNSServer) -> None:
    server.validated = True
    assert (await dns.ask("a.example.org", "A")).secure
    assert (await dns.ask("nobody.example.org", "A")).secure
    dns._believed = False
    dns.forget()
    assert not (await dns.ask("a.example.org", "A")).secure


async def test_other_servers_make_the_cache_empty(dns: DNS, server: DNSServer) -> None:
    await dns.ask("a.example.org", "A")
    async with DNSServer("a.example.org. A 192.0.2.55") as other:
        dns.use([other.server])
        assert (await dns.ask("a.example.org", "A")).records == ("192.0.2.55",)


async def test_the_cache_is_bounded(dns: DNS, monkeypatch: pytest.MonkeyPatch) -> None:
    dns._cache.clear()
    object.__setattr__(LIMITS, "dns_cache", 3)
    try:
        for i in range(6):
            await dns.ask(f"n{i}.example.org", "A")
        assert len(dns._cache) == 3
    finally:
        object.__setattr__(LIMITS, "dns_cache", 10_000)


async def test_without_any_server_the_error_says_so(clock: Clock) -> None:
    dns = DNS([], patience=0.2, clock=clock)
    dns._resolver.nameservers = []
    with pytest.raises(TemporaryDNSError, match="no name server is configured"):
        await dns.ask("example.org", "MX")


def test_reverse_names() -> None:
    assert reverse_name("2001:db8::1").endswith("8.b.d.0.1.0.0.2.ip6.arpa")
    assert Answer("x", "A").records == ()
