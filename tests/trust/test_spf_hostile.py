"""Every limit of SPF, and domains that try to make us work: the answer is clear, and it comes soon."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.resolver import DNS, MX, Answer
from daemon.trust import spf
from daemon.trust.results import SPF
from tests.instruments.dns_server import DNSServer
from tests.trust.spf_zone import Records, Zone

IP = "192.0.2.1"


async def check(zone: Zone | DNS, sender: str = "me@example.org", patience: float = LIMITS.spf_patience) -> SPF:
    return await spf.check_host(zone, IP, "mail.example.org", sender, now=0, receiver="mx.test", patience=patience)


def zone(text: str, others: dict[str, Records] | None = None) -> Zone:
    return Zone({"example.org": {"TXT": [text], "A": ["192.0.2.2"]}} | (others or {}))


@pytest.fixture
def swift() -> Iterator[None]:
    """The test may use one second of CPU, on a machine that has others to serve."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 1


# -- the limits of RFC 7208 §4.6.4 -------------------------------------------------------------------------------------
@pytest.mark.parametrize("term", ["a", "mx", "exists:example.org", "include:i.org", "ptr"])
async def test_ten_terms_may_ask_the_dns(term: str) -> None:
    others: dict[str, Records] = {"i.org": {"TXT": ["v=spf1 -all"]}}
    with_mx = zone(f"v=spf1 {f'?{term} ' * LIMITS.spf_terms} ip4:{IP} -all", others)
    with_mx.names["example.org"]["MX"] = ["1 example.org"]
    matched_first = term.startswith("exists")
    assert (await check(with_mx)).result == ("neutral" if matched_first else "pass")
    with_mx.names["example.org"]["TXT"] = [f"v=spf1 {f'?{term} ' * LIMITS.spf_terms} a ip4:{IP} -all"]
    answer = await check(with_mx)
    assert answer == (
        SPF("neutral", "example.org", mechanism=f"?{term}")
        if matched_first
        else SPF("permerror", "example.org", reason="more than 10 terms that ask the DNS")
    )


async def test_all_records_share_one_budget() -> None:
    inner: dict[str, Records] = {f"i{n}.org": {"TXT": ["v=spf1 a:example.org a:example.org -all"]} for n in range(4)}
    three = "include:i0.org include:i1.org include:i2.org"
    assert (await check(zone(f"v=spf1 {three} -all", inner))).result == "fail"
    assert (await check(zone(f"v=spf1 {three} include:i3.org -all", inner))).result == "permerror"
    assert (await check(zone(f"v=spf1 {three} redirect=i3.org", inner))).result == "permerror"


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 include:example.org",
        "v=spf1 redirect=example.org",
        "v=spf1 include:%{d} redirect=%{d}",
        "v=spf1 include:x.%{d}",
    ],
)
async def test_loops_end(text: str, swift: None) -> None:
    loop = zone(text, {("x." * n) + "example.org": {"TXT": [text]} for n in range(1, 12)})
    assert (await check(loop)).reason == "more than 10 terms that ask the DNS"
    assert len(loop.asked) == LIMITS.spf_terms + 1


@pytest.mark.parametrize("term", ["a:{}", "mx:{}", "exists:{}"])
async def test_two_questions_may_have_no_answer(term: str) -> None:
    voids = [term.format(f"none{n}.org") for n in range(3)]
    assert (await check(zone(f"v=spf1 {' '.join(voids[:2])} -all"))).result == "fail"
    answer = await check(zone(f"v=spf1 {' '.join(voids)} -all"))
    assert answer == SPF("permerror", "example.org", reason="none2.org: more than 2 questions without an answer")


async def test_only_the_names_in_terms_can_be_void() -> None:
    """Mail servers without an address of the client's kind, a client without names and a missing explanation."""
    mx: dict[str, Records] = {"m.org": {"MX": [f"{n} none{n}.org" for n in range(10)]}}
    answer = await check(zone("v=spf1 mx:m.org ptr ptr:a.org ptr:b.org a:n1.org a:n2.org -all exp=n3.org", mx))
    assert answer.result == "fail"


async def test_ten_mail_servers_are_asked_for() -> None:
    def servers(count: int) -> dict[str, Records]:
        hosts: dict[str, Records] = {f"h{n}.org": {"A": [f"192.0.2.{n + 2}"]} for n in range(count - 1)}
        return hosts | {f"h{count - 1}.org": {"A": [IP]}, "m.org": {"MX": [f"1 h{n}.org" for n in range(count)]}}

    assert (await check(zone("v=spf1 mx:m.org -all", servers(10)))).result == "pass"
    eleven = zone("v=spf1 mx:m.org -all", servers(11))
    assert await check(eleven) == SPF("permerror", "example.org", reason="m.org: more than 10 MX records")
    assert len(eleven.asked) == 2


async def test_ten_names_of_the_client_are_looked_at() -> None:
    names: dict[str, Records] = {f"h{n}.org": {"A": [IP]} for n in range(11)}
    names["1.2.0.192.in-addr.arpa"] = {"PTR": [f"h{n}.org" for n in range(11)]}
    assert (await check(zone("v=spf1 ptr:h9.org -all", names))).result == "pass"
    beyond = zone("v=spf1 ptr:h10.org ?ptr:h8.org -all", names)
    assert (await check(beyond)).mechanism == "?ptr:h8.org"
    assert len(beyond.asked) == 2 + LIMITS.ptr_names


@pytest.mark.parametrize("where", ["example.org", "slow.org", "1.2.0.192.in-addr.arpa"])
async def test_slow_name_servers_cost_the_patience_and_no_more(where: str) -> None:
    slow = zone("v=spf1 a:slow.org ptr -all")
    slow.trouble[where] = "hang"
    if where == "example.org":
        del slow.names["example.org"]
    async with asyncio.timeout(5):
        answer = await check(slow, patience=0.05)
    assert answer == SPF("temperror", "example.org", reason="no answer within 0.05 s")


async def test_long_explanations_are_not_passed_on(swift: None) -> None:
    full = "x" * LIMITS.spf_words
    for text, want in ((full, full), (full + "x", ""), ("%{l}" * 64, ""), ("%{s}" * 65, ""), ("x" * 65_000, "")):
        answer = await check(zone("v=spf1 -all exp=why.org", {"why.org": {"TXT": [text]}}), "x" * 900 + "@example.org")
        assert (answer.result, answer.explanation) == ("fail", want)


async def test_the_term_that_decided_is_told_in_few_words() -> None:
    long = f"a:{'x.' * 4_000}example.org/0"
    short = ("x." * 121 + "example.org")[-253:]
    answer = await check(zone(f"v=spf1 {long} -all", {short: {"A": [IP]}}))
    assert (answer.result, len(answer.mechanism)) == ("pass", LIMITS.spf_words)


# -- hostile zones -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        b"v=spf1 " + b"a " * 32_000,
        b"v=spf1 " + b"ip4:192.0.2.2 " * 1_160 + b"-all",
        b"v=spf1 " + b" " * 65_000,
        b"v=spf1 " + b"?" * 16_000,
        b"v=spf1 a:" + b"a-" * 8_000,
        b"v=spf1 a:" + b"a." * 8_000,
        b"v=spf1 a" + b"/1" * 8_000,
        b"v=spf1 a" + b"//1" * 5_000,
        b"v=spf1 " + b"x=%{d" * 3_000,
        b"v=spf1 exists:" + b"%{d1r" + b".-+,/_=" * 2_000 + b"}",
        b"v=spf1 exists:%{d" + b"9" * 16_000 + b"}",
        b"v=spf1 " + b"exists:" + b"%{l-r}" * 64 + b" -all",
        b"\xff" * 65_000,
        b"v=spf1 \0",
    ],
)  # fmt: skip
async def test_hostile_records_are_read_in_no_time(text: bytes, swift: None) -> None:
    for _ in range(10):
        answer = await check(Zone({"example.org": {"TXT": [text]}}), "-" * 900 + "@example.org")
        assert answer.result in ("permerror", "fail", "none", "neutral")
        assert len(answer.reason) < 2 * LIMITS.spf_words and answer.reason.isascii()


async def test_ten_full_records_are_read_in_no_time(swift: None) -> None:
    full = b"v=spf1 " + b"ip4:192.0.2.2 " * 1_150 + b"redirect=x.%{d}"
    assert (await check(Zone({"x." * n + "example.org": {"TXT": [full]} for n in range(12)}))).result == "permerror"


class Flood:
    """Every name has ten mail servers, and each of those as many addresses as an answer holds."""

    def __init__(self) -> None:
        self.addresses = tuple(f"10.0.{n >> 8}.{n & 255}" for n in range(4_000))
        self.asked = 0

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked += 1
        match kind:
            case "TXT":
                return Answer(name, kind, tuple(b"x%d" % n for n in range(10_000)) + (b"v=spf1 mx mx mx mx mx -all",))
            case "MX":
                return Answer(name, kind, tuple(MX(n, f"h{n}.org") for n in range(10)))
        return Answer(name, kind, self.addresses)


async def test_floods_of_addresses_are_bounded(swift: None) -> None:
    flood = Flood()
    answer = await spf.check_host(flood, IP, "", "me@example.org", now=0, receiver="")
    assert (answer.result, flood.asked) == ("fail", 56)


async def test_ten_thousand_mail_servers_are_an_error(swift: None) -> None:
    many = zone("v=spf1 mx -all")
    many.names["example.org"]["MX"] = [f"1 h{n}.org" for n in range(10_000)]
    assert (await check(many)).reason == "example.org: more than 10 MX records"


async def test_cname_loops_and_dead_servers_are_temporary_on_a_real_resolver() -> None:
    """D23: a question that nobody could answer, a bogus signature too (SERVFAIL), is never a missing record."""
    text = "\n".join(
        [
            "loop.example. CNAME pool.example.",
            "pool.example. CNAME loop.example.",
            'into.example. TXT "v=spf1 a:loop.example -all"',
            'long.example. TXT "v=spf1 " "' + '" "'.join(["ip4:192.0.2.2 " * 18] * 40) + '" "ip4:192.0.2.1 -all"',
            'bogus.example. TXT "v=spf1 +all"',
            'slash.example. TXT "v=spf1 exists:%{l}.x.example -all"',
            r"a\\b.x.example. A 127.0.0.2",
        ]
    )
    async with DNSServer(text) as server:
        server.trouble["bogus.example"] = "SERVFAIL"
        server.trouble["garbage.example"] = "garbage"
        dns = DNS([server.server], patience=0.4)
        assert (await check(dns, "me@loop.example")).result == "temperror"
        assert (await check(dns, "me@into.example")).result == "temperror"
        assert (await check(dns, "me@bogus.example")).reason == "TXT of bogus.example: SERVFAIL"
        assert (await check(dns, "me@garbage.example")).result == "temperror"
        assert (await check(dns, "me@none.example")).result == "none"
        assert (await check(dns, "me@long.example")).mechanism == "ip4:192.0.2.1"
        assert (await check(dns, r"a\b@slash.example")).result == "pass"


TERMS = (
    "a mx -ptr ~ptr:org ?exists:%{ir}.%{l1r-}.%{p} include:a.org include:%{d2} mx:%{h}/8//8 a:%{S}.org redirect=a.org "
    "exp=%{o} exp=b.org ip4:192.0.2.1 ip6:::/0 x=%{c} ?all %"
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    terms=st.lists(st.sampled_from(TERMS.split())),
    inner=st.text(alphabet="v=spf1 a:%{dl}.-+org/0", max_size=40),
    local=st.text(max_size=20),
    helo=st.text(max_size=20),
    broken=st.sets(st.sampled_from(["a.org", "b.org", "example.org", "h.org"])),
)  # fmt: skip
async def test_d24_no_zone_and_no_sender_makes_it_raise(
    terms: list[str], inner: str, local: str, helo: str, broken: set[str]
) -> None:
    names: dict[str, Records] = {
        "example.org": {"TXT": ["v=spf1 " + " ".join(terms)], "A": ["192.0.2.2"], "MX": ["0 .", "1 h.org", "2 a.org"]},
        "a.org": {"TXT": ["v=spf1 " + inner, inner]},
        "b.org": {"TXT": [inner]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["h.org", "a.org", ""]},
        "h.org": {"A": [IP, "not an address", "::"]},
    }
    zone = Zone({name: has for name, has in names.items() if name not in broken})
    zone.trouble = dict.fromkeys(broken, "SERVFAIL")
    answer = await spf.check_host(zone, IP, helo, f"{local}@example.org", now=0, receiver=helo)
    assert answer.result in ("none", "pass", "fail", "softfail", "neutral", "temperror", "permerror")
    told = answer.mechanism + answer.explanation + answer.reason + answer.domain
    assert told == "" or (told.isascii() and told.isprintable())
    assert len(zone.asked) < 200
