"""What a domain should publish, out of what the store knows: every proof, in the form that zone files have."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dns.zonefile
import pytest
import trustme

from daemon.admin import certs, dnsrecords, domains, mtasts, pem, settings, tlsa
from daemon.admin.dnsrecords import Wishes
from daemon.config import Config, DataDir
from daemon.store import acme, dkim_keys
from daemon.store.db import Store

HOST = "mail.example.org"
WISHES = Wishes("example.org", Config([("hostname", HOST), ("listen.https", "off")]), ("192.0.2.25", "2001:db8::25"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(DataDir(tmp_path / "data"))
    settings.put(store, "hostname", HOST, "test")
    domains.add(store, "example.org")
    yield store
    store.close()


def kinds(wishes: Wishes) -> list[tuple[str, str]]:
    return [(r.name.removesuffix("example.org"), r.type) for r in dnsrecords.records(wishes) if r.type != "SRV"]


def test_what_is_not_there_is_not_published() -> None:
    assert kinds(WISHES) == [
        ("", "MX"), ("mail.", "A"), ("mail.", "AAAA"), ("", "TXT"), ("mail.", "TXT"), ("_dmarc.", "TXT"),
        ("_smtp._tls.", "TXT"),
    ]  # fmt: skip


def test_every_proof_has_its_record() -> None:
    full = replace(
        WISHES,
        dkim=(("s._domainkey.example.org", "v=DKIM1; k=rsa; p=" + "A" * 392),),
        tlsa=("11" * 32, "22" * 32),
        policy_id="1",
        issuer="letsencrypt.org",
    )
    assert kinds(full)[5:] == [
        ("s._domainkey.", "TXT"), ("_dmarc.", "TXT"), ("_mta-sts.", "TXT"), ("mta-sts.", "CNAME"),
        ("_smtp._tls.", "TXT"), ("_25._tcp.mail.", "TLSA"), ("_25._tcp.mail.", "TLSA"), ("mail.", "CAA"),
    ]  # fmt: skip
    text = "\n".join(str(r) for r in dnsrecords.records(full))
    sets = dns.zonefile.read_rrsets(text, rdclass=None, relativize=False)
    (key,) = next(s for s in sets if s.name.to_text().startswith("s._domainkey"))
    assert [len(piece) for piece in key.strings] == [255, 155], "no string over 255 octets (RFC 1035 §3.3)"
    assert b"".join(key.strings).endswith(b"A" * 392)


def test_a_host_that_is_the_domain_has_one_spf_record() -> None:
    same = replace(WISHES, config=Config([("hostname", "example.org"), ("listen.https", "off")]))
    assert sum("v=spf1" in r.data for r in dnsrecords.records(same)) == 1


def test_an_alias_is_never_one_of_itself() -> None:
    same = replace(WISHES, config=Config([("hostname", "mta-sts.example.org"), ("listen.https", "off")]), policy_id="1")
    assert "CNAME" not in {r.type for r in dnsrecords.records(same)}


def test_tlsa_is_of_the_certificate_that_port_25_shows(store: Store, tmp_path: Path) -> None:
    store.write_now(pem.ensure, HOST)
    first = dnsrecords.wishes(store, "example.org").tlsa
    leaf = trustme.CA().issue_cert(HOST)
    both = tmp_path / "both.pem"
    both.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    certs.add(store, both, None)
    (digest,) = dnsrecords.wishes(store, "example.org").tlsa
    assert (digest,) != first, "a certificate of an authority goes before one that signs itself"
    pipe = f"openssl x509 -in {both} -noout -pubkey | openssl pkey -pubin -outform DER | openssl sha256 -r"
    said = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, check=True).stdout
    assert digest == said.split()[0]

    other = tmp_path / "file.pem"
    other.write_bytes(trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.bytes())
    settings.put(store, "tls.certificate", str(other), "test")
    (of_file,) = dnsrecords.wishes(store, "example.org").tlsa
    assert of_file == tlsa.key_hash(other.read_text())
    settings.put(store, "tls.certificate", str(tmp_path / "nothing.pem"), "test")
    assert dnsrecords.wishes(store, "example.org").tlsa == ()


@pytest.mark.parametrize(
    "organization, want",
    [("Let's Encrypt", "letsencrypt.org"), ("Google Trust Services", "pki.goog"), ("A CA of our own", "")],
)
def test_caa_names_the_authority_whose_certificate_is_used(
    store: Store, tmp_path: Path, organization: str, want: str
) -> None:
    leaf = trustme.CA(organization_name=organization).issue_cert(HOST)
    both = tmp_path / "both.pem"
    both.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    certs.add(store, both, None)
    wishes = dnsrecords.wishes(store, "example.org")
    assert wishes.issuer == want
    assert [r.data for r in dnsrecords.records(wishes) if r.type == "CAA"] == ([f'0 issue "{want}"'] if want else [])


def test_where_https_is_served_programs_find_their_settings() -> None:
    web = replace(WISHES, config=Config([("hostname", HOST), ("listen.https", "192.0.2.25:8443")]))
    found = {r.name: (r.type, r.data) for r in dnsrecords.autoconfig(web)}
    assert found == {
        "autoconfig.example.org": ("CNAME", "mail.example.org."),
        "autodiscover.example.org": ("CNAME", "mail.example.org."),
        "_autodiscover._tcp.example.org": ("SRV", "0 1 8443 mail.example.org."),
    }


@pytest.mark.parametrize(
    "listen, data, purpose",
    [
        ("192.0.2.25:8443", "0 1 8443 mail.example.org.", "mail programs find jmap by it"),
        ("off", "0 0 0 .", "there is no jmap"),
    ],
)
def test_jmap_is_found_where_https_is(listen: str, data: str, purpose: str) -> None:
    config = Config([("hostname", HOST), ("listen.https", listen)])
    (found,) = (r for r in dnsrecords.services("example.org", config) if r.name == "_jmap._tcp.example.org")
    assert (found.type, found.data, found.purpose) == ("SRV", data, purpose)


def test_all_that_the_store_knows_is_wished_for(store: Store) -> None:
    store.write_now(pem.ensure, HOST)
    store.write_now(lambda tx: acme.put_next_key(tx, HOST, pem.new_key(), 0))
    for key, value in (("acme.agree", "yes"), ("mta_sts.mode", "enforce")):
        settings.put(store, key, value, "test")
    wishes = dnsrecords.wishes(store, "example.org")
    assert len(wishes.tlsa) == 2 and wishes.tlsa[0] != wishes.tlsa[1]
    assert wishes.issuer == "letsencrypt.org"
    assert wishes.policy_id == mtasts.policy_id(wishes.config)
    assert {text.split("; ")[1] for _, text in wishes.dkim} == {"k=rsa", "k=ed25519"}
    for key, value in (("acme.directory", "https://ca.internal.example/dir"), ("mta_sts.mode", "none")):
        settings.put(store, key, value, "test")
    wishes = dnsrecords.wishes(store, "example.org")
    assert (wishes.issuer, wishes.policy_id) == ("", "")


def test_the_record_of_a_key_that_is_gone_may_go(store: Store) -> None:
    (name, _), *_ = dnsrecords.wishes(store, "example.org").dkim
    store.write_now(lambda tx: dkim_keys.remove(tx, "example.org", name.partition(".")[0]))
    wishes = dnsrecords.wishes(store, "example.org")
    assert wishes.gone == (name,) and name not in dict(wishes.dkim)
