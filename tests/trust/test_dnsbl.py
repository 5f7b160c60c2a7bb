"""How lists in the DNS are asked and read: names, codes, errors, and the test of a list itself."""

from __future__ import annotations

import pytest

from daemon.trust import dnsbl
from daemon.trust.dnsbl import Said
from tests.trust.answers import Answers


def test_addresses_are_asked_about_backwards() -> None:
    assert dnsbl.reversed_address("192.0.2.99") == "99.2.0.192"
    nibbles = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert dnsbl.reversed_address("2001:db8::567:89ab") == nibbles


@pytest.mark.parametrize(
    ("zone", "records", "code", "part"),
    [
        ("bl.example", ["127.0.0.2"], "127.0.0.2", ""),
        ("bl.example", ["127.1.2.3", "127.0.0.9"], "127.0.0.9", ""),
        ("bl.example", [], "", ""),
        ("zen.spamhaus.org", ["127.0.0.4"], "127.0.0.4", "XBL"),
        ("zen.spamhaus.org", ["127.0.0.2", "127.0.0.9"], "127.0.0.2", "SBL, DROP"),
        ("zen.spamhaus.org", ["127.0.0.10", "127.0.0.3"], "127.0.0.10", "PBL, CSS"),
        ("zen.spamhaus.org", ["127.0.0.77"], "", ""),
        ("k3y.zen.dq.spamhaus.net", ["127.0.0.11"], "127.0.0.11", "PBL"),
        ("dbl.spamhaus.org", ["127.0.1.2"], "127.0.1.2", ""),
        ("dbl.spamhaus.org", ["127.0.1.102"], "", ""),
        ("multi.surbl.org", ["127.0.0.80"], "127.0.0.80", "MW, ABUSE"),
        ("multi.surbl.org", ["127.0.0.2"], "", ""),
        ("multi.uribl.com", ["127.0.0.4"], "", ""),
        ("multi.uribl.com", ["127.0.0.6"], "127.0.0.6", "black"),
        ("list.dnswl.org", ["127.0.5.3"], "127.0.5.3", ""),
        ("dwl.dnswl.org", ["127.0.10.0"], "127.0.10.0", ""),
        ("dwl.dnswl.org", ["127.0.10.9"], "", ""),
    ],
)
def test_what_an_answer_means(zone: str, records: list[str], code: str, part: str) -> None:
    assert dnsbl.read(zone, records) == Said(code, part)


@pytest.mark.parametrize(
    ("zone", "records", "why"),
    [
        ("bl.example", ["127.255.255.254"], "does not answer this resolver (127.255.255.254)"),
        ("bl.example", ["127.0.0.2", "127.255.255.255"], "does not answer this resolver (127.255.255.255)"),
        ("multi.uribl.com", ["127.0.0.1"], "does not answer this resolver"),
        ("list.dnswl.org", ["127.0.0.255"], "does not answer this resolver"),
        ("dwl.dnswl.org", ["127.0.0.255"], "does not answer this resolver"),
        ("bl.example", ["127.0.0.2", "192.0.2.80"], "answers 192.0.2.80: it is no list"),
    ],
)
def test_errors_are_no_listings(zone: str, records: list[str], why: str) -> None:
    said = dnsbl.read(zone, records)
    assert not said.code and why in said.trouble


@pytest.mark.parametrize(
    ("zone", "names", "records", "why"),
    [
        ("bl.example", False, "2.0.0.127.bl.example A 127.0.0.2", ""),
        ("bl.example", False, "", "does not list its own test entry"),
        ("bl.example", False, "test.bl.example A 127.0.0.2", "does not list its own test entry"),
        ("bl.example", False, "2.0.0.127.bl.example A 127.0.0.2\n1.0.0.127.bl.example A 127.0.0.2", "everything"),
        ("bl.example", False, "2.0.0.127.bl.example A 127.255.255.254", "does not answer this resolver"),
        ("bl.example", False, "2.0.0.127.bl.example A 192.0.2.1", "no list any more"),
        ("bl.example", True, "test.bl.example A 127.0.0.2", ""),
        ("bl.example", True, "2.0.0.127.bl.example A 127.0.0.2", ""),
        ("bl.example", True, "test.bl.example A 127.0.0.2\ninvalid.bl.example A 127.0.0.2", "everything"),
        ("dbl.spamhaus.org", True, "dbltest.com.dbl.spamhaus.org A 127.0.1.2", ""),
        ("dbl.spamhaus.org", True, "test.dbl.spamhaus.org A 127.0.1.2", "own test entry"),
        ("multi.uribl.com", True, "2.0.0.127.multi.uribl.com A 127.0.0.14", ""),
        ("dwl.dnswl.org", True, "dnswl.test.dwl.dnswl.org A 127.0.10.0", ""),
        ("dwl.dnswl.org", True, "test.dwl.dnswl.org A 127.0.10.0", "own test entry"),
        ("multi.uribl.com", True, "2.0.0.127.multi.uribl.com A 127.0.0.1", "does not answer this resolver"),
    ],
)
async def test_a_list_is_believed_that_passes_its_own_test(zone: str, names: bool, records: str, why: str) -> None:
    found = await dnsbl.test(Answers(records), zone, names=names)
    assert why in found and bool(why) == bool(found)


async def test_a_list_that_cannot_be_asked_is_not_believed() -> None:
    assert await dnsbl.test(Answers(**{"*": "SERVFAIL"}), "bl.example", names=False) == "it cannot say now: SERVFAIL"


def test_a_key_in_the_name_of_a_list_is_not_told() -> None:
    assert dnsbl.title("k3y.zen.dq.spamhaus.net") == "zen.dq.spamhaus.net"
    assert dnsbl.title("bl.example") == "bl.example"
    assert not dnsbl.takes_addresses("k3y.dbl.dq.spamhaus.net") and dnsbl.takes_addresses("multi.surbl.org")
