import pytest

from daemon.limits import LIMITS
from daemon.trust import iprev
from daemon.trust.results import IPRev
from tests.trust.spf_zone import Records, Zone

FOUR, SIX = "192.0.2.1", "2001:db8::1"
PTR4 = "1.2.0.192.in-addr.arpa"
PTR6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
NO_WAY_BACK = IPRev("fail", reason="no name of the address leads back to it")


@pytest.mark.parametrize(
    "ip, names, want",
    [
        (
            FOUR,
            {PTR4: {"PTR": ["Mail.example.org."]}, "mail.example.org": {"A": [FOUR]}},
            IPRev("pass", "mail.example.org"),
        ),
        ("::ffff:192.0.2.1", {PTR4: {"PTR": ["a.org"]}, "a.org": {"A": ["192.0.2.9", FOUR]}}, IPRev("pass", "a.org")),
        (SIX, {PTR6: {"PTR": ["a.org"]}, "a.org": {"AAAA": ["2001:DB8:0::1"]}}, IPRev("pass", "a.org")),
        (SIX + "%eth0", {PTR6: {"PTR": ["a.org"]}, "a.org": {"AAAA": [SIX]}}, IPRev("pass", "a.org")),
        (FOUR, {PTR4: {"PTR": ["x.org", "a.org"]}, "a.org": {"A": [FOUR]}}, IPRev("pass", "a.org")),
        (
            FOUR,
            {PTR4: {"PTR": ["a.org"]}, "a.org": {"CNAME": ["b.org"]}, "b.org": {"A": [FOUR]}},
            IPRev("pass", "a.org"),
        ),
        (
            FOUR,
            {PTR4: {"CNAME": ["1.sub.arpa"]}, "1.sub.arpa": {"PTR": ["a.org"]}, "a.org": {"A": [FOUR]}},
            IPRev("pass", "a.org"),
        ),
        (FOUR, {PTR4: {"PTR": ["a.org"]}, "a.org": {"A": ["192.0.2.2"]}}, NO_WAY_BACK),
        (FOUR, {PTR4: {"PTR": ["a.org"]}, "a.org": {"AAAA": ["::ffff:192.0.2.1"]}}, NO_WAY_BACK),
        (FOUR, {PTR4: {"PTR": ["", "a..org"]}}, NO_WAY_BACK),
        (FOUR, {}, IPRev("permerror", reason="no PTR record")),
        ("", {}, IPRev("none", reason="not an IP address")),
        ("mail.example.org", {}, IPRev("none", reason="not an IP address")),
    ],
)
async def test_the_name_must_lead_back(ip: str, names: dict[str, Records], want: IPRev) -> None:
    assert await iprev.check(Zone(names), ip) == want


async def test_open_questions_are_temporary_unless_a_name_is_confirmed() -> None:
    zone = Zone({PTR4: {"PTR": ["broken.org", "a.org"]}, "a.org": {"A": ["192.0.2.2"]}})
    zone.trouble["broken.org"] = "SERVFAIL"
    assert await iprev.check(zone, FOUR) == IPRev("temperror", reason="A of broken.org: SERVFAIL")
    zone.names["a.org"]["A"] = [FOUR]
    assert await iprev.check(zone, FOUR) == IPRev("pass", "a.org")
    zone.trouble[PTR4] = "SERVFAIL"
    del zone.names[PTR4]
    assert await iprev.check(zone, FOUR) == IPRev("temperror", reason=f"PTR of {PTR4}: SERVFAIL")


async def test_a_thousand_names_cost_ten_questions() -> None:
    names: dict[str, Records] = {PTR4: {"PTR": [f"h{n}.org" for n in range(1_000)]}, "h10.org": {"A": [FOUR]}}
    zone = Zone(names)
    assert await iprev.check(zone, FOUR) == NO_WAY_BACK
    assert len(zone.asked) == 1 + LIMITS.ptr_names


@pytest.mark.parametrize("text", ["", "1.2.3.4.5", "::g", "\0", "é", "1.2.3"])
def test_what_is_no_address_has_no_number(text: str) -> None:
    assert iprev.number(text) == -1
