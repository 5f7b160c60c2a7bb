"""Certificates from a real ACME server, which validates over HTTP, TLS and DNS as Let's Encrypt does; everything on
loopback: pebble asks a real name server (bind9), and finds our listeners at their high ports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from daemon.admin import acme_order, mtasts, pem
from daemon.admin.errors import NotNow
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.store import acme, settings
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.pebble import Pebble
from tests.instruments.primary import Primary
from tests.instruments.server import Server
from tests.instruments.until import until

HOST, POLICY_HOST = "mx.example.test", "mta-sts.example.test"
ZONE = "mx IN A 127.0.0.1\nmta-sts IN A 127.0.0.1\nwrong IN A 127.0.0.2\n"


class Town:
    """A server, its name server and its authority."""

    def __init__(
        self, path: Path, dns: Primary, lifetime: int = 90 * 86400, customers: Mapping[str, str] | None = None
    ) -> None:
        (path / "tsig").write_text(dns.key_text)
        at = str(dns.server)
        config = {"dns.servers": at, "dns.update_server": at, "dns.update_key": str(path / "tsig")}
        self.dns = dns
        self.server = Server(path / "data", {"alice@example.test": "pw"}, config)
        ports = self.server.ports
        self.pebble = Pebble(
            path / "pebble", dns=at, http=ports["http"], tls=ports["https"], lifetime=lifetime, customers=customers
        )
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def settle(self, **more: str) -> None:
        """What an administrator sets; from then on the server gets its certificates."""
        wanted = {
            "directory": self.pebble.directory,
            "ca_bundle": str(self.pebble.ca_bundle),
            "email": "a@example.test",
        }
        rows = {f"acme.{key}": value for key, value in {**wanted, **more, "agree": "yes"}.items()}
        with contextlib.closing(Store.open(self.server.data)) as store:
            store.write_now(lambda tx: [settings.put(tx, key, value, "test") for key, value in rows.items()])
        self.trust.load_verify_locations(cadata=self.pebble.root())

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mailctl", "--data", str(self.server.data.path), *words],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100,
        )  # fmt: skip

    def ok(self, *words: str) -> str:
        done = self.ctl(*words)
        assert done.returncode == 0, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout

    def listed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.ok("cert", "list", "--json").splitlines()]

    def seen(self, door: str, name: str = HOST) -> x509.Certificate:
        """The certificate that this listener shows to a client who believes the authority. `ssl.SSLError` if none."""
        with contextlib.ExitStack() as stack:
            if door in ("smtp", "submission"):
                peer = stack.enter_context(smtplib.SMTP("127.0.0.1", self.server.ports[door], timeout=30))
                peer._host = name  # type: ignore[attr-defined]
                peer.starttls(context=self.trust)
                tls = peer.sock
            else:
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", self.server.ports[door]), 30))
                tls = stack.enter_context(self.trust.wrap_socket(sock, server_hostname=name))
            assert isinstance(tls, ssl.SSLSocket)
            return x509.load_der_x509_certificate(tls.getpeercert(True) or b"")

    def shows(self, door: str, name: str = HOST) -> x509.Certificate | None:
        try:
            return self.seen(door, name)
        except ssl.SSLError:
            return None

    def log(self) -> str:
        return self.server.log()[-3000:] + self.pebble.log()[-3000:]


def spki(certificate: x509.Certificate) -> bytes:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form)


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Primary]:
    with Primary(tmp_path_factory.mktemp("dns"), {"example.test": ZONE}) as one:
        yield one


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, dns: Primary) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"), dns)
    with town.pebble, town.server:
        town.settle()
        yield town


DOORS = ("imaps", "pop3s", "submissions", "https", "smtp", "submission")


def test_a_running_server_fetches_its_certificates_and_shows_them_everywhere(town: Town) -> None:
    pid = town.server.pid
    until(lambda: town.shows("imaps") and town.shows("https", POLICY_HOST), town.log)
    assert len({town.seen(door).serial_number for door in DOORS}) == 1
    until(lambda: "certificate-renewed" in town.server.log(), town.log)
    assert town.server.pid == pid
    sources = {str(c["names"]): c["source"] for c in town.listed()}
    assert sources[f"['{HOST}']"] == sources[f"['{POLICY_HOST}']"] == "acme"


def test_other_servers_can_fetch_our_policy(town: Town) -> None:
    until(lambda: town.shows("https", POLICY_HOST), town.log)
    with socket.create_connection(("127.0.0.1", town.server.ports["https"]), 30) as sock:
        with town.trust.wrap_socket(sock, server_hostname=POLICY_HOST) as tls:
            tls.sendall(f"GET {mtasts.PATH} HTTP/1.1\r\nHost: {POLICY_HOST}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: tls.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.partition("\r\n\r\n")[2] == mtasts.policy(Config([("hostname", HOST)]))


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01", "dns-01"])
def test_each_challenge_brings_a_certificate_with_the_same_key(town: Town, kind: str) -> None:
    until(lambda: town.shows("imaps"), town.log)
    before = town.seen("imaps")
    town.ok("config", "set", "acme.challenge", kind)
    [renewed] = [
        one
        for one in map(json.loads, town.ok("cert", "renew", HOST, "--json").splitlines())
        if one["state"] == "renewed"
    ]
    assert renewed["names"] == [HOST]
    for door in DOORS:
        until(lambda door=door: town.seen(door).serial_number != before.serial_number, town.log)  # type: ignore[misc]
    assert spki(town.seen("smtp")) == spki(before), "a TLSA record 3 1 1 stays right"
    assert town.dns.ask(f"_acme-challenge.{HOST}", "TXT") == []


def test_a_wildcard_and_its_name_are_proved_together_in_the_dns(town: Town) -> None:
    town.ok("config", "set", "acme.challenge", "dns-01")
    town.ok("config", "set", "acme.names", "example.test,*.example.test")
    try:
        town.ok("cert", "renew")
        until(lambda: town.shows("imaps", "anything.example.test"), town.log)
        assert town.shows("imaps", "example.test")
    finally:
        town.ok("config", "unset", "acme.names")


def test_a_challenge_that_fails_is_told_in_the_authority_s_words(town: Town) -> None:
    town.ok("config", "set", "acme.challenge", "http-01")
    town.ok("config", "set", "acme.names", "wrong.example.test")
    try:
        done = town.ctl("cert", "renew")
    finally:
        town.ok("config", "unset", "acme.names")
    assert done.returncode == 75
    assert done.stderr.startswith("mailctl: error: wrong.example.test is not proved: ")
    assert "connection refused" in done.stderr and "see that port 80 of that name" in done.stderr


def test_an_authority_that_takes_too_long_is_left(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme_order, "LIMITS", dataclasses.replace(LIMITS, acme_patience=0))
    with contextlib.closing(Store.open(town.server.data)) as store:
        config = store.read_now(settings.load)
        with pytest.raises(NotNow, match="was not ready within 0 s"):
            acme_order.fetch(store, config, (POLICY_HOST,), pem.new_key())
        assert store.read_now(acme.answer_for, "http-01", POLICY_HOST) is None, "what it was shown is gone"


def test_an_account_that_the_authority_forgot_is_made_anew(town: Town) -> None:
    """pebble forgets all when it ends; so does an authority that lets an account go."""
    town.ok("config", "set", "acme.challenge", "http-01")
    with contextlib.closing(Store.open(town.server.data)) as store:
        before = store.read_now(acme.account, town.pebble.directory)
        assert before is not None
        store.write_now(acme.keep_account, before.directory, pem.new_key(), before.url)
    assert "certificate" in town.ok("cert", "renew", POLICY_HOST)


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_while_the_server_is_stopped_mailctl_answers_itself(town: Town, kind: str) -> None:
    town.ok("config", "set", "acme.challenge", kind)
    town.server.stop()
    try:
        assert "certificate" in town.ok("cert", "renew", POLICY_HOST)
    finally:
        town.server.start()


def test_a_certificate_is_renewed_at_two_thirds_of_its_life(dns: Primary, tmp_path: Path) -> None:
    town = Town(tmp_path, dns, lifetime=6)
    with town.pebble, town.server:
        town.settle(names=HOST)
        first = until(lambda: town.shows("imaps"), town.log)
        second = until(
            lambda: (new := town.shows("imaps")) and new.serial_number != first.serial_number and new, town.log
        )
        lived = second.not_valid_before_utc - first.not_valid_before_utc
        life = first.not_valid_after_utc - first.not_valid_before_utc
        assert lived.total_seconds() > life.total_seconds() * 2 / 3 - 1  # a certificate tells whole seconds
        assert spki(first) == spki(second)
        assert town.ctl("cert", "list").stdout.count(" acme ") == 1, "what is over does not stay"


def test_an_authority_for_its_customers_only(dns: Primary, tmp_path: Path) -> None:
    kid, secret = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    town = Town(tmp_path, dns, customers={kid: secret})
    with town.pebble:
        town.settle(names=HOST)
        refused = town.ctl("cert", "renew")
        assert refused.returncode == 78 and "acme.eab_kid: this authority gives accounts to its customers only" in (
            refused.stderr
        )
        key = tmp_path / "hmac"
        key.write_text(secret[::-1] + "\n")
        key.chmod(0o600)
        town.ok("config", "set", "acme.eab_kid", kid)
        nothing = town.ctl("cert", "renew")
        assert nothing.returncode == 78 and "acme.eab_key: no file cannot be read" in nothing.stderr
        town.ok("config", "set", "acme.eab_key", str(key))
        wrong = town.ctl("cert", "renew")
        assert wrong.returncode == 75 and "refuses: " in wrong.stderr
        key.write_text(secret + "\n")
        assert "certificate" in town.ok("cert", "renew")
        assert all(secret[:20] not in text for text in (town.ok("config", "list"), refused.stderr, wrong.stderr))


def test_another_key_is_told_first_and_shown_when_the_dns_has_it(dns: Primary, tmp_path: Path) -> None:
    at = f"_25._tcp.{HOST}"
    town = Town(tmp_path, dns)
    with town.pebble, town.server:
        town.settle(names=HOST)
        old = until(lambda: town.shows("imaps"), town.log)
        told = [json.loads(line) for line in town.ok("cert", "renew", "--new-key", "--json").splitlines()]
        assert [key["state"] for key in told] == ["current", "next"]
        dns.change(f"add {at} 60 TLSA {told[0]['tlsa']}")
        with contextlib.closing(Store.open(town.server.data)) as store:  # two days later
            store.write_now(Tx.run, "update next_key set ready_at = created_at")
        until(lambda: "the next key has no TLSA record in the DNS yet" in town.server.log(), town.log)
        assert town.seen("smtp").serial_number == old.serial_number, "who checks TLSA would be shut out"
        dns.change(f"add {at} 60 TLSA {told[1]['tlsa']}")
        town.ok("cert", "renew", HOST)
        new = until(lambda: (seen := town.shows("smtp")) and seen.serial_number != old.serial_number and seen, town.log)
        assert f"3 1 1 {hashlib.sha256(spki(new)).hexdigest()}" == told[1]["tlsa"] != told[0]["tlsa"]
        records = [line for line in town.ok("dns", "records", "example.test").splitlines() if " TLSA " in line]
        assert len(records) == 1 and hashlib.sha256(spki(new)).hexdigest() in records[0].lower()
    dns.change(f"delete {at} TLSA")
