"""From a bare domain to one without a fault: records are published at a real name server, checked, left alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import dnspublish, dnsrecords
from daemon.admin.errors import BadData, Unavailable
from tests.instruments.primary import Primary
from tests.mailctl.conftest import Ctl

ZONES = {
    "example.org": '@ IN TXT "google-site-verification=xyzzy"\n@ IN TXT "v=spf1 include:provider.example -all"\n'
    "www IN A 192.0.2.80\n",
    "provider.example": '@ IN TXT "v=spf1 ip4:198.51.100.0/24 -all"\n',
    "signed.example": "",
    "9.9.9.in-addr.arpa": "9 IN PTR mail.example.org.\n",
}
DOMAIN = ("example.org", "--address", "9.9.9.9")


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Primary]:
    with Primary(tmp_path, ZONES, signed=["signed.example"]) as one:
        yield one


@pytest.fixture
def house(tmp_path: Path, primary: Primary) -> Ctl:
    """A server that is set up, but for its DNS."""
    ctl = Ctl(tmp_path / "data")
    ctl.ok("domain", "add", "example.org")
    ctl.ok("user", "add", "alice@example.org", "--no-password", "--admin")
    ctl.ok("setup", "--hostname", "mail.example.org", "--domain", "example.org", "--admin", "alice@example.org")
    ctl.ok("domain", "add", "signed.example")
    key = tmp_path / "tsig.key"
    key.write_text(primary.key_text)
    for name, value in (
        ("dns.servers", str(primary.server)), ("dns.out_port", str(primary.server.port)), ("dns.blocklists", ""),
        ("dns.update_server", str(primary.server)), ("dns.update_key", str(key)),
    ):  # fmt: skip
        ctl.ok("config", "set", name, value)
    return ctl


def faults(ctl: Ctl, code: int, *domain: str) -> set[str]:
    done = ctl("dns", "check", *domain, "--json")
    assert done.exit_code == code, done.stdout + done.stderr
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return {f["reason"] for f in found if f["level"] in ("warning", "error")}


def test_a_domain_is_published_checked_and_left_alone(house: Ctl, primary: Primary) -> None:
    assert {"mx-missing", "host-missing", "spf-not-us"} <= faults(house, 1, *DOMAIN)

    touched = house.json("dns", "publish", *DOMAIN, "--dry-run")["touched"]
    assert "add example.org. MX 10 mail.example.org." in touched
    assert not any("v=spf1 mx" in line for line in touched), "somebody else's record stays"
    assert primary.ask("example.org", "MX") == [], "a dry run changes nothing"
    assert "--yes" in house.fails(64, "dns", "publish", *DOMAIN), "nobody can be asked"
    assert primary.ask("example.org", "MX") == []

    done = house("dns", "publish", *DOMAIN, "--yes")
    assert done.exit_code == 0 and "add example.org. MX" in done.stdout
    assert primary.ask("example.org", "MX") == ["10 mail.example.org."]
    assert "spf-not-us" in faults(house, 1, *DOMAIN)

    steps = house.json("dns", "publish", *DOMAIN, "--replace", "--yes")["steps"]
    assert [(s["action"], s["old"], s["new"]) for s in steps if s["action"] != "keep"] == [
        ("change", ['"v=spf1 include:provider.example -all"'], ['"v=spf1 mx -all"']),
    ]  # fmt: skip
    assert primary.ask("example.org", "TXT") == ['"google-site-verification=xyzzy"', '"v=spf1 mx -all"']
    assert faults(house, 0, *DOMAIN) == set()

    for more in ((), ("--replace",)):
        assert "nothing to change" in house.ok("dns", "publish", *DOMAIN, "--yes", *more)
    assert primary.ask("www.example.org", "A") == ["192.0.2.80"]


def test_what_an_administrator_meant_stays(house: Ctl, primary: Primary) -> None:
    house.ok("dns", "publish", *DOMAIN, "--replace", "--yes")
    policy = '"v=DMARC1; p=reject; rua=mailto:reports@example.org"'
    primary.change("delete _dmarc.example.org TXT", f"add _dmarc.example.org 300 TXT {policy}",
                   "add example.org 300 MX 20 backup.example.")  # fmt: skip
    primary.change("delete _imaps._tcp.example.org SRV", "add _imaps._tcp.example.org 300 SRV 0 1 993 old.example.")
    steps = house.json("dns", "publish", *DOMAIN, "--replace", "--yes")["steps"]
    assert [(s["action"], s["name"]) for s in steps if s["action"] != "keep"] == [("change", "_imaps._tcp.example.org")]
    assert primary.ask("_dmarc.example.org", "TXT") == [policy]
    assert primary.ask("example.org", "MX") == ["10 mail.example.org.", "20 backup.example."]


def test_tlsa_is_for_signed_zones_and_other_zones_are_told(house: Ctl, primary: Primary) -> None:
    house.ok("dns", "publish", *DOMAIN, "--yes")
    assert primary.ask("_25._tcp.mail.example.org", "TLSA") == []
    house.ok("config", "set", "hostname", "mail.signed.example")
    done = house("dns", "publish", "signed.example", "--address", "9.9.9.9", "--yes")
    assert done.exit_code == 0, done.stderr
    (tlsa,) = primary.ask("_25._tcp.mail.signed.example", "TLSA")
    assert tlsa.startswith("3 1 1 ") and len(tlsa) == 6 + 64
    house.ok("config", "set", "hostname", "mail.elsewhere.example")
    left = house("dns", "publish", "signed.example", "--dry-run", "--address", "9.9.9.9").stderr
    assert "leave mail.elsewhere.example. A" in left and "has no zone for it" in left


def test_a_server_that_refuses_is_told_in_a_sentence(house: Ctl, primary: Primary, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    other = base64.b64encode(b"x" * 32).decode()
    for text, code, word in (
        (primary.clause("mailctl", other), 77, "BADSIG"),
        (primary.clause("nobody", other), 77, "BADKEY"),
        (primary.clause("stranger"), 77, "REFUSED"),
        ("no key at all", 65, "no TSIG key"),
    ):
        wrong.write_text(text)
        said = house.fails(code, "dns", "publish", *DOMAIN, "--yes", "--key-file", str(wrong))
        assert word in said and other not in said
        assert word in house.fails(code, "dns", "publish", *DOMAIN, "--yes", "--key-stdin", input=text)
    house.fails(69, "dns", "publish", *DOMAIN, "--yes", "--server", "127.0.0.1:9")
    store = house.store()
    homeless = replace(dnsrecords.wishes(store, "example.org"), addresses=())
    store.close()
    with pytest.raises(BadData, match="--address"):
        dnspublish.look(*dnspublish.target(homeless.config, None, None), homeless)
    house.fails(65, "dns", "publish", *DOMAIN, "--yes", "--server", "nonsense:x")
    house.fails(64, "dns", "publish", *DOMAIN, "--yes", "--key-stdin", "--key-file", "x")
    house.fails(65, "dns", "publish", *DOMAIN, "--yes", "--key-file", str(tmp_path / "nothing"))
    assert primary.ask("example.org", "MX") == []
    house.ok("config", "unset", "dns.update_key")
    assert "--key-file" in house.fails(78, "dns", "publish", *DOMAIN, "--yes")
    house.ok("config", "unset", "dns.update_server")
    assert "--server" in house.fails(78, "dns", "publish", *DOMAIN, "--yes")


def test_who_changed_the_zone_in_between_is_not_overwritten(house: Ctl, primary: Primary) -> None:
    store = house.store()
    wanted = dnsrecords.wishes(store, "example.org", ["9.9.9.9"])
    store.close()
    place, key = dnspublish.target(wanted.config, None, None)
    planned = dnspublish.look(place, key, wanted, replace=True)
    primary.change("add example.org 300 MX 10 new.example.")
    with pytest.raises(Unavailable, match="meanwhile"):
        dnspublish.publish(place, key, planned)
    assert primary.ask("example.org", "MX") == ["10 new.example."]
    assert primary.ask("_dmarc.example.org", "TXT") == [], "all of it or nothing"


def test_the_record_of_a_key_that_is_gone_goes_too(house: Ctl, primary: Primary) -> None:
    old = "old._domainkey.example.org"
    primary.change(f'add {old} 300 TXT "v=DKIM1; p=AAAA"', 'add other._domainkey.example.org 300 TXT "v=DKIM1; p=BBBB"')
    store = house.store()
    wanted = replace(dnsrecords.wishes(store, "example.org", ["9.9.9.9"]), gone=(old, "never._domainkey.example.org"))
    store.close()
    place, key = dnspublish.target(wanted.config, None, None)
    planned = dnspublish.look(place, key, wanted)
    assert [str(s) for s in planned.changes if s.action == "remove"] == [f'remove {old}. TXT "v=DKIM1; p=AAAA"']
    dnspublish.publish(place, key, planned)
    assert primary.ask(old, "TXT") == [] and primary.ask("other._domainkey.example.org", "TXT")
