"""`dns check` finds the faults that were planted in a zone, all of them and no others, and none in what we publish.

The zones are tests/zones/*.zone: what is wrong in each stands in its head.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.admin import dnscheck, dnsrecords
from daemon.admin.dnscheck import BREAKS, Finding, blocklists, findings, zone
from daemon.admin.dnsrecords import Wishes
from daemon.config import Config
from daemon.flow.https import Fetch, FetchFailed
from daemon.limits import LIMITS
from daemon.resolver import DNS
from tests.instruments.dns_server import DNSServer
from tests.instruments.until import PATIENCE

ZONES = sorted((Path(__file__).parents[1] / "zones").glob("*.zone"))
KEYS = (
    ("r._domainkey.example.org", "v=DKIM1; k=rsa; p=UlNBS0VZ"),
    ("e._domainkey.example.org", "v=DKIM1; k=ed25519; p=RUQyNTUxOQ=="),
)
WISHES = Wishes(
    "example.org",
    Config([("hostname", "mail.example.org"), ("dns.blocklists", "bl.example zen.example"), ("listen.https", "off")]),
    ("9.9.9.9",),
    dkim=KEYS,
    tlsa=("11" * 32,),
    policy_id="20261127",
    issuer="letsencrypt.org",
)


def configured(wishes: Wishes, **more: str) -> Wishes:
    rows = {**wishes.config.rows, **{key.replace("__", "."): value for key, value in more.items()}}
    return replace(wishes, config=Config(rows.items()))


def serves(mx: str = "mail.example.org", mode: str = "enforce") -> Fetch:
    """A host that serves this policy."""
    names = "".join(f"mx: {name}\r\n" for name in mx.split())

    async def fetch(domain: str) -> bytes:
        assert domain.endswith("example.org")
        return f"version: STSv1\r\nmode: {mode}\r\n{names}max_age: 604800\r\n".encode()

    return fetch


async def look(server: DNSServer, wishes: Wishes = WISHES, fetch: Fetch | None = None) -> list[Finding]:
    """What is found in the DNS of this server, which is also the one the zone's NS leads to."""
    wishes = configured(wishes, dns__out_port=str(server.port))
    return await findings(DNS([server.server], patience=PATIENCE), wishes, fetch or serves())


def faults(found: list[Finding], *levels: str) -> list[str]:
    return sorted({f.reason for f in found if f.level in (levels or ("info", "warning", "error"))})


def head(text: str) -> dict[str, str]:
    return dict(re.findall(r"^; (faults|dnssec|policy): ?(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("path", ZONES, ids=lambda p: p.stem)
async def test_the_planted_faults_are_found_and_no_others(path: Path) -> None:
    text = path.read_text()
    about = head(text)
    async with DNSServer(text, validated=about["dnssec"] == "yes") as server:
        found = await look(server, fetch=serves(about["policy"]))
    assert faults(found) == sorted(about["faults"].split())
    for one in found:
        if one.level != "ok":
            assert one.breaks == BREAKS[one.reason] and one.text and one.subject
        elif path.stem == "good":
            assert one.reason.endswith("-found")


def test_there_are_twelve_broken_zones_at_least() -> None:
    assert sum(bool(head(path.read_text())["faults"].strip()) for path in ZONES) >= 12


@pytest.mark.parametrize("web", ["off", ":443"])
async def test_what_dns_records_prints_is_without_a_fault(web: str) -> None:
    """The zone as it stands after its records were copied, with what they cannot hold: the delegation and the PTR."""
    wishes = replace(configured(WISHES, listen__https=web), addresses=("9.9.9.9", "2620:fe::9"), named=True)
    zone = "\n".join(str(record) for record in dnsrecords.records(wishes))
    zone += "\n9.9.9.9.in-addr.arpa. PTR mail.example.org.\n"
    zone += "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.f.0.0.0.2.6.2.ip6.arpa. PTR mail.example.org.\n"
    zone += "example.org. NS ns.example.org.\nns.example.org. A 127.0.0.1\n"
    async with DNSServer(zone, validated=True) as server:
        found = await look(server, wishes)
    assert faults(found, "warning", "error") == []
    assert faults(found) == ["dmarc-asks-nothing"], "p=none is how one begins, and is said"


# ----------------------------------------------------------------------------------- what a zone alone cannot show


GOOD = (Path(__file__).parents[1] / "zones" / "good.zone").read_text()


async def test_what_nobody_can_say_is_a_finding_and_never_a_missing_record() -> None:
    async with DNSServer(GOOD, validated=True) as server:
        server.trouble["_dmarc.example.org"] = "SERVFAIL"
        server.trouble["example.org", "MX"] = "REFUSED"
        found = await look(server)
    assert faults(found) == ["dns-failed"]
    assert {f.subject for f in found if f.reason == "dns-failed"} == {"_dmarc.example.org", "example.org"}


async def test_silence_to_the_first_question_is_all_there_is_to_say() -> None:
    async with DNSServer(GOOD) as server:
        server.trouble["*"] = "REFUSED"
        found = await look(server)
    assert [f.reason for f in found] == ["dns-failed"]


async def test_name_servers_that_disagree_are_named_with_what_each_says(monkeypatch: pytest.MonkeyPatch) -> None:
    two = GOOD + "example.org. NS ns2.example.org.\nns2.example.org. A 127.0.0.2\n"
    old = two.replace("v=spf1 mx -all", "v=spf1 a:old.example.org -all")
    async with (
        DNSServer(two, validated=True) as server,
        DNSServer(old, host="127.0.0.2", port=server.port) as other,
    ):
        found = await look(server)
        assert faults(found) == ["ns-disagree"]
        (one,) = [f for f in found if f.reason == "ns-disagree"]
        assert "ns.example.org says v=spf1 mx" in one.text and "ns2.example.org says v=spf1 a:old" in one.text
        other.trouble["*"] = "REFUSED"
        assert faults(await look(server)) == ["ns-lame"]
        other.trouble["*"] = "hang"
        monkeypatch.setattr(zone, "LIMITS", replace(LIMITS, ns_patience=0.5))
        assert faults(await look(server)) == ["ns-silent"]


async def test_what_the_resolver_still_remembers_is_told_apart_from_what_is_published() -> None:
    async with DNSServer(GOOD, validated=True) as server, DNSServer(GOOD, validated=True) as resolver:
        resolver.add('_dmarc.example.org. TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"')
        wishes = configured(WISHES, dns__out_port=str(server.port))
        found = await findings(DNS([resolver.server]), wishes, serves())
    assert faults(found) == ["ns-not-yet"]


async def test_name_servers_are_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone, "LIMITS", replace(LIMITS, ns_servers=3, ns_patience=0.1))
    many = "".join(f"example.org. NS ns{n}.example.org.\nns{n}.example.org. A 127.0.0.9\n" for n in range(30))
    async with DNSServer(GOOD + many, validated=True) as server:
        found = await look(server)
    assert sum(f.reason == "ns-silent" for f in found) in (2, 3), "one of the three may be the one that answers"


async def test_a_list_that_is_silent_or_lists_everything_is_no_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklists, "LIMITS", replace(LIMITS, blocklists=4, blocklist_patience=0.2))
    lists = "silent.example all.example sold.example bl.example over.example"
    zone = GOOD + "9.9.9.9.all.example. A 127.0.0.2\n1.0.0.127.all.example. A 127.0.0.2\n"
    zone += "9.9.9.9.sold.example. A 192.0.2.80\n9.9.9.9.over.example. A 127.0.0.2\n"
    async with DNSServer(zone, validated=True) as server:
        server.trouble["9.9.9.9.silent.example"] = "hang"
        found = await look(server, configured(WISHES, dns__blocklists=lists))
        assert server.count("9.9.9.9.over.example", "A") == 0
    assert faults(found) == ["blocklist-failed"]
    assert len([f for f in found if f.reason == "blocklist-failed"]) == 3


async def test_who_gets_reports_elsewhere_is_asked_whether_it_wants_them() -> None:
    targets = ",".join(f"mailto:r@t{n}.example" for n in range(30))
    record = "_dmarc.example.org. TXT " + dnsrecords.quoted(f"v=DMARC1; p=reject; rua={targets}")
    agreed = 'example.org._report._dmarc.t0.example. TXT "v=DMARC1"\n'
    text = re.sub(r"(?m)^_dmarc\.example\.org\. .*$", record, GOOD) + agreed
    async with DNSServer(text, validated=True) as server:
        found = await look(server)
    assert faults(found) == ["dmarc-reports-refused"]
    refused = [f for f in found if f.reason == "dmarc-reports-refused"]
    assert len(refused) == LIMITS.dmarc_report_targets - 1
    assert refused[0].record == 'example.org._report._dmarc.t1.example. 3600 IN TXT "v=DMARC1"'


async def test_the_next_key_is_asked_for_before_the_certificate_changes() -> None:
    async with DNSServer(GOOD, validated=True) as server:
        found = await look(server, replace(WISHES, tlsa=("11" * 32, "33" * 32)))
    assert faults(found) == ["tlsa-next-missing"]
    assert [f.record for f in found if f.record] == [f"_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 {'33' * 32}"]


async def test_a_resolver_that_does_not_validate_is_told_apart_from_a_zone_that_is_not_signed() -> None:
    key = "example.org. DNSKEY 257 3 13 " + "QUJD" * 16 + "\n"
    async with DNSServer(GOOD + key) as server:
        assert faults(await look(server)) == ["tlsa-not-validated"]
        server.remove("_25._tcp.mail.example.org", "TLSA")
        assert faults(await look(server)) == ["tlsa-missing"]


async def test_an_address_that_is_another_machine_s_is_found_when_ours_is_known() -> None:
    async with DNSServer(GOOD, validated=True) as server:
        assert faults(await look(server, replace(WISHES, addresses=("8.8.8.8",), named=True))) == ["host-elsewhere"]
        assert faults(await look(server, replace(WISHES, addresses=("8.8.8.8",)))) == [], "a guess proves nothing"


async def test_a_hostile_spf_record_costs_a_bounded_number_of_questions() -> None:
    loop = (
        'loop.example. TXT "v=spf1 include:loop2.example -all"\nloop2.example. TXT "v=spf1 include:loop.example -all"'
    )
    wide = "".join(
        f'w{n}.example. TXT "v=spf1 ' + " ".join(f"include:w{n + 1}.example" for _ in range(10)) + ' -all"\n'
        for n in range(12)
    )
    for start, reason in (("include:loop.example", "spf-include"), ("include:w0.example", "spf-lookups")):
        text = GOOD.replace("v=spf1 mx -all", f"v=spf1 {start} -all") + loop + "\n" + wide
        async with DNSServer(text, validated=True) as server:
            assert reason in faults(await look(server))
            assert len(server.asked) < 300


@pytest.mark.parametrize(
    "trouble, want",
    [
        (FetchFailed("sts-policy-fetch-error", "connection refused"), "mta-sts-unreachable"),
        (FetchFailed("sts-webpki-invalid", "self-signed certificate"), "mta-sts-no-policy"),
        (b"<html>not found</html>", "mta-sts-no-policy"),
        (b"version: STSv1\nmode: testing\nmx: *.example.net\nmax_age: 1\n", "mta-sts-mx"),
        (b"version: STSv1\nmode: none\nmax_age: 1\n", ""),
    ],
)
async def test_a_policy_that_cannot_be_had_or_used_is_found(trouble: Exception | bytes, want: str) -> None:
    async def fetch(domain: str) -> bytes:
        if isinstance(trouble, bytes):
            return trouble
        raise trouble

    async with DNSServer(GOOD, validated=True) as server:
        assert faults(await look(server, fetch=fetch)) == want.split()


async def test_the_id_must_change_with_the_policy() -> None:
    async with DNSServer(GOOD, validated=True) as server:
        assert faults(await look(server, replace(WISHES, policy_id="20261128"))) == ["mta-sts-id"]


async def test_a_policy_s_host_that_is_silent_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnscheck, "LIMITS", replace(LIMITS, policy_check_patience=0.2))

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    zone = re.sub(r"(?m)^mta-sts\..*$", "mta-sts.example.org. A 127.0.0.1", GOOD)
    async with silent, DNSServer(zone, validated=True) as server:
        wishes = configured(WISHES, dns__out_port=str(server.port), smtp__sts_port=str(port))
        assert faults(await findings(DNS([server.server]), wishes)) == ["mta-sts-unreachable"]


async def test_hostile_zones_cost_bounded_time_and_a_clear_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many MX as one answer holds, 64 KB of text, aliases that go round in a circle."""
    monkeypatch.setattr(zone, "LIMITS", replace(LIMITS, ns_patience=PATIENCE))  # what they cost is in question
    mx = "".join(f"example.org. MX 5 m{n}.example.org.\n" for n in range(3000))
    long = "example.org. TXT " + dnsrecords.quoted("v=spf1 " + "a:x.example " * 4500) + "\n"
    circle = "_dmarc.example.org. CNAME x.example.\nx.example. CNAME _dmarc.example.org.\n"
    text = re.sub(r"(?m)^(_dmarc|example\.org\. TXT).*\n", "", GOOD)
    async with DNSServer(text + mx + long + circle, validated=True) as server:
        started = time.process_time()
        found = await look(server)
        took = time.process_time() - started
        assert len(server.asked) < 400
    assert took < 5
    assert {"mx-no-address", "spf-syntax", "dns-failed"} <= set(faults(found))
    assert max(len(f.text) for f in found) < 1000 and len(found) < 60


async def test_a_subdomain_has_the_dmarc_record_of_the_domain_above() -> None:
    below = replace(WISHES, domain="sub.example.org", dkim=())
    text = GOOD + "sub.example.org. MX 10 mail.example.org.\n"
    async with DNSServer(text, validated=True) as server:
        found = await look(server, below)
        assert "dmarc-found" in {f.reason for f in found}
        server.remove("_dmarc.example.org", "TXT")
        assert "dmarc-missing" in faults(await look(server, below))


def test_every_reason_is_in_the_man_page() -> None:
    page = (Path(__file__).parents[2] / "man" / "man1" / "mailctl-dns.1").read_text()
    assert set(re.findall(r"^\.It Cm ([a-z0-9]+-[a-z0-9-]+)$", page, re.MULTILINE)) == set(BREAKS)
