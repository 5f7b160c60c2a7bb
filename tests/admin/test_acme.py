"""Which certificates there should be, when each is due, what is said when one does not come, and the next key."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from daemon.admin import acme, acme_order, acme_stand_in, pem, tls_keys
from daemon.admin.errors import BadSetting, Missing, NotNow, Unavailable
from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.resolver import DNS
from daemon.store import acme as rows
from daemon.store import certificates, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.dns_server import DNSServer
from tests.instruments.server import free_ports

HOUR, DAY = 3_600_000, 86_400_000
START = 1_800_000_000_000
HOST = "mail.example.org"
NOBODY = "https://127.0.0.1:1/dir"  # no test reaches the world, whatever it forgets to set


class Desk:
    """A store with a clock, the domain example.org and the terms agreed to."""

    def __init__(self, path: Path) -> None:
        self.now = START
        self.store = Store.open(DataDir(path), clock=lambda: self.now)
        self.store.write_now(domains.add, "example.org")
        self.set(hostname=HOST, acme__agree="yes", dns__servers="127.0.0.1:1", acme__directory=NOBODY)

    def set(self, **values: str) -> None:
        for key, value in values.items():
            self.store.write_now(settings.put, key.replace("__", "."), value, "test")

    def plans(self) -> dict[str, acme.Plan]:
        return {plan.names[0]: plan for plan in self.store.read_now(acme.plans)}

    def get(self, *names: str, days: int = 90, source: str = "acme") -> pem.Pair:
        """A certificate comes."""
        pair = pem.self_signed(names, self.now)

        def work(tx: Tx) -> None:
            if source == "acme":
                order = rows.begin_order(tx, "https://ca.example/", names)
                rows.fulfil_order(tx, order, names, pair.chain, pair.private_key, tx.now, tx.now + days * DAY)
            else:
                certificates.add(tx, names, pair.chain, pair.private_key, source, tx.now, tx.now + days * DAY)

        self.store.write_now(work)
        return pair

    def fail(self, *names: str, problem: str = "no") -> None:
        self.store.write_now(
            lambda tx: rows.fail_order(tx, rows.begin_order(tx, "https://ca.example/", names), problem)
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "data")
    yield desk
    desk.store.close()


def tighten(monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    for module in (acme, acme_order, acme_stand_in):
        monkeypatch.setattr(module, "LIMITS", dataclasses.replace(LIMITS, **values))


# -- which, and when ---------------------------------------------------------------------------------------------------


def test_the_host_and_the_names_of_every_domain_have_one_each(desk: Desk) -> None:
    desk.store.write_now(domains.add, "example.net")
    desk.store.write_now(lambda tx: domains.add(tx, "off.example"))
    desk.store.write_now(lambda tx: domains.change(tx, "off.example", enabled=False))
    assert list(desk.plans()) == [
        HOST, "mta-sts.example.net", "autoconfig.example.net", "mta-sts.example.org", "autoconfig.example.org",
    ]  # fmt: skip


def test_names_that_are_set_are_one_certificate(desk: Desk) -> None:
    desk.set(acme__names="*.example.org, example.org")
    assert [plan.names for plan in desk.plans().values()] == [("*.example.org", "example.org")]


def test_where_a_file_has_the_host_s_none_is_fetched_for_it(desk: Desk) -> None:
    desk.set(tls__certificate="/etc/ssl/mail.pem")
    assert HOST not in desk.plans()


def test_nothing_is_asked_before_the_terms_are_agreed_to(desk: Desk) -> None:
    desk.set(acme__agree="no")
    assert desk.plans() == {}
    with pytest.raises(BadSetting, match="acme.agree"):
        acme.renew(desk.store)


def test_a_certificate_is_due_when_there_is_none_and_at_two_thirds_of_its_life(desk: Desk) -> None:
    assert desk.plans()[HOST].due_at == 0
    desk.get(HOST, "other.example", source="imported")
    assert desk.plans()[HOST].due_at == 0, "another's is not ours"
    desk.get(HOST)
    assert desk.plans()[HOST].due_at == desk.plans()[HOST].try_at == START + 60 * DAY
    assert desk.plans()["mta-sts.example.org"].due_at == 0


def test_one_that_is_over_when_it_comes_is_not_asked_for_without_end(desk: Desk) -> None:
    pair = pem.self_signed((HOST,), desk.now)
    begin = START - 100 * DAY
    desk.store.write_now(rows.fulfil_order, 1, (HOST,), pair.chain, pair.private_key, begin, begin + 90 * DAY)
    assert desk.plans()[HOST].due_at == START + 30 * DAY


def test_a_new_one_takes_the_place_of_the_old_and_of_those_that_are_over(desk: Desk) -> None:
    desk.get(HOST)
    desk.get("gone.example", days=30)
    desk.now += 60 * DAY
    desk.get(HOST, "more.example.org")
    kept = desk.store.read_now(certificates.everyone)
    assert [c.names for c in kept] == [(HOST, "more.example.org")]


def test_each_failure_in_a_row_doubles_the_wait_up_to_a_day(desk: Desk) -> None:
    waits = []
    for _ in range(7):
        desk.fail(HOST)
        waits.append(desk.plans()[HOST].try_at - desk.now)
    pause = LIMITS.acme_pause * 1000
    assert waits == [pause, 2 * pause, 4 * pause, 8 * pause, 16 * pause, DAY, DAY]
    assert desk.plans()[HOST].problem == "no"
    assert desk.plans()["mta-sts.example.org"].try_at == 0, "the others do not wait"
    desk.get(HOST)
    desk.now += 60 * DAY
    desk.fail(HOST)
    assert desk.plans()[HOST].try_at == desk.now + pause


def test_a_try_whose_process_was_killed_has_failed_when_the_next_begins(desk: Desk) -> None:
    desk.store.write_now(rows.begin_order, "https://ca.example/", (HOST,))
    desk.now += 1000
    desk.store.write_now(rows.begin_order, "https://ca.example/", (HOST,))
    states = [(o.state, o.problem) for o in desk.store.read_now(rows.orders, (HOST,))]
    assert states == [("pending", ""), ("failed", "it was broken off")]


def test_old_orders_are_forgotten_but_the_last(desk: Desk) -> None:
    for _ in range(5):
        desk.fail(HOST)
        desk.now += DAY
    assert desk.store.write_now(rows.forget_orders, desk.now, 3) == 3
    assert desk.store.write_now(rows.forget_orders, desk.now, 3) == 1
    assert len(desk.store.read_now(rows.orders, (HOST,))) == 1


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_after_some_failures_within_an_hour_the_authority_is_left_alone(desk: Desk) -> None:
    for _ in range(LIMITS.acme_tries):
        desk.fail(HOST, problem="port 80 is closed")
        desk.now += 60_000
    [done] = [one for one in acme.renew(desk.store, [HOST]) if one.names == (HOST,)]
    assert done.state == "refused"
    assert "try again in 57 minutes" in done.text and "port 80 is closed" in done.text
    assert isinstance(acme.failure([done]), NotNow)


def test_a_fifth_certificate_within_a_week_is_not_asked_for(desk: Desk) -> None:
    for _ in range(LIMITS.acme_same):
        desk.get(HOST)
        desk.now += DAY
    [done] = [one for one in acme.renew(desk.store, [HOST]) if one.names == (HOST,)]
    assert done.state == "refused" and "within a week" in done.text


def test_one_process_at_a_time_fetches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tighten(monkeypatch, acme_patience=0.2)
    with acme._alone(desk.store):
        with pytest.raises(NotNow, match="another process"):
            acme.renew(desk.store)


# -- an authority that is not there ------------------------------------------------------------------------------------


def unreachable(desk: Desk) -> str:
    [done] = [one for one in acme.renew(desk.store, [HOST]) if one.names == (HOST,)]
    assert done.state == "unreachable", done
    failure = acme.failure([done])
    assert isinstance(failure, Unavailable)
    return str(failure)


def test_nobody_answers(desk: Desk) -> None:
    desk.set(acme__directory=f"https://127.0.0.1:{free_ports(1)[0]}/dir", listen__http="off")
    assert "does not answer (Failed to" in unreachable(desk) and "refused" in unreachable(desk).lower()
    assert "0x" not in unreachable(desk)
    kept = desk.store.read_now(rows.account, desk.store.read_now(settings.load)["acme.directory"])
    assert kept is not None and kept.url == "", "the account's key is there for the next try"


def test_an_authority_that_says_nothing_has_its_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tighten(monkeypatch, acme_request=0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        desk.set(acme__directory=f"https://127.0.0.1:{mute.getsockname()[1]}/dir", listen__http="off")
        assert "does not answer" in unreachable(desk)


def test_a_bundle_that_is_not_there_is_the_setting_s_fault(desk: Desk, tmp_path: Path) -> None:
    desk.set(acme__ca_bundle=str(tmp_path / "none.pem"), acme__directory="https://127.0.0.1:1/dir", listen__http="off")
    with pytest.raises(BadSetting, match=r"acme\.ca_bundle"):
        acme.renew(desk.store, [HOST])
    assert desk.store.read_now(rows.orders, (HOST,))[0].state == "failed"


def test_a_name_that_no_certificate_has(desk: Desk) -> None:
    with pytest.raises(Missing, match=r"other\.example.*there are mail\.example\.org"):
        acme.renew(desk.store, ["other.example"])


def test_dns_01_needs_a_server_that_takes_changes(desk: Desk) -> None:
    config = Config([("acme.challenge", "dns-01")])
    with pytest.raises(BadSetting, match=r"dns\.update_server"), acme_order._in_the_dns(config, []):
        pass


# -- keys --------------------------------------------------------------------------------------------------------------


def key_of(pair: pem.Pair) -> str:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem.leaf_of(pair.chain).public_key().public_bytes(*form)).hexdigest()


def used(desk: Desk) -> str:
    """The key that an order for the host would have now."""
    key, _ = desk.store.write_now(acme._begin, "https://ca.example/", (HOST,), True, "a new one")
    return key


def test_the_key_that_is_shown_stays_whoever_signed_it(desk: Desk) -> None:
    assert used(desk) == "a new one"
    for source in ("self-signed", "imported", "acme"):
        pair = desk.get(HOST, source=source)
        assert used(desk) == pair.private_key
        assert [(k.state, k.tlsa) for k in desk.store.read_now(tls_keys.keys)] == [("current", f"3 1 1 {key_of(pair)}")]


def test_the_next_key_is_told_first_and_used_when_nobody_remembers_the_old_records_alone(desk: Desk) -> None:
    with pytest.raises(Missing):
        desk.store.write_now(tls_keys.prepare)
    first = desk.get(HOST)
    told = desk.store.write_now(tls_keys.prepare)
    assert [key.state for key in told] == ["current", "next"] and told == desk.store.read_now(tls_keys.keys)
    assert desk.store.write_now(tls_keys.prepare) == told, "the one that is told already stays"
    assert told[1].ready_at == START + LIMITS.next_key * 1000
    assert used(desk) == first.private_key
    assert desk.plans()[HOST].due_at == told[1].ready_at
    desk.now = told[1].ready_at
    key = used(desk)
    assert f"3 1 1 {pem.key_hash(key)}" == told[1].tlsa
    pair = pem.self_signed((HOST,), desk.now)
    desk.store.write_now(rows.fulfil_order, 1, (HOST,), pair.chain, key, desk.now, desk.now + 90 * DAY)
    assert [k.state for k in desk.store.read_now(tls_keys.keys)] == ["current"]
    assert desk.store.read_now(certificates.everyone)[0].private_key == key


async def test_where_the_dns_names_our_key_it_must_name_the_next_one_too(desk: Desk) -> None:
    desk.get(HOST)
    told = desk.store.read_now(tls_keys.keys)
    at = f"_25._tcp.{HOST}."
    async with DNSServer() as dns:
        resolver = DNS([dns.server], patience=1)
        assert await tls_keys.is_known(resolver, told), "there is no next key"
        told = desk.store.write_now(tls_keys.prepare)
        assert await tls_keys.is_known(resolver, told), "there is no TLSA"
        for records, known in (
            (f"{at} TLSA {told[0].tlsa}", False),
            (f"{at} TLSA 2 0 1 {'00' * 32}", False),
            (f"{at} TLSA {told[0].tlsa}\n{at} TLSA {told[1].tlsa}", True),
        ):
            dns.add(records)
            resolver.forget()
            assert await tls_keys.is_known(resolver, told) is known, records
        dns.trouble["*"] = "SERVFAIL"
        resolver.forget()
        assert not await tls_keys.is_known(resolver, told), "nobody could tell"


def test_a_key_whose_record_is_missing_waits_and_renewal_goes_on_with_the_old(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme, "DNS", lambda servers: DNS(servers, patience=0.1))
    desk.set(acme__names=HOST, listen__http="off")
    first = desk.get(HOST)
    desk.store.write_now(tls_keys.prepare)  # the name server of this desk answers nobody
    desk.now += LIMITS.next_key * 1000
    [done] = [one for one in acme.renew(desk.store) if one.names == (HOST,)]
    assert done.state == "skipped" and "TLSA" in done.text
    assert desk.plans()[HOST].try_at == desk.now + LIMITS.acme_pause * 1000
    assert desk.store.write_now(acme._begin, "d", (HOST,), False, "a new one")[0] == first.private_key
    [again] = acme.renew(desk.store, [HOST], due=True)
    assert again.state == "skipped"
    desk.get(HOST)
    assert desk.plans()[HOST].due_at == desk.now + 60 * DAY, "it is not fetched again and again"


def test_a_wildcard_is_the_host_s_certificate_too(desk: Desk) -> None:
    pair = desk.get("*.example.org", "example.org")
    told = desk.store.write_now(tls_keys.prepare)
    assert [key.tlsa for key in told][0] == f"3 1 1 {key_of(pair)}"
    desk.set(acme__names="*.example.org,example.org")
    assert desk.plans()["*.example.org"].due_at == told[1].ready_at


@pytest.mark.parametrize("size, usual", [(1024, False), (2048, True)])
def test_a_key_that_authorities_do_not_take_is_not_kept(size: int, usual: bool) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    def text(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(*form).decode()

    assert pem.is_usual(text(rsa.generate_private_key(65537, size))) is usual
    assert pem.is_usual(text(ec.generate_private_key(ec.SECP384R1())))
    assert not pem.is_usual(text(ed25519.Ed25519PrivateKey.generate()))


# -- challenges, and who answers them while no server runs -------------------------------------------------------------


def test_a_challenge_is_forgotten_after_its_time(desk: Desk) -> None:
    until = desk.now + LIMITS.challenge * 1000
    desk.store.write_now(rows.put_challenge, "http-01", HOST, "one", "one.x", until)
    assert desk.store.read_now(rows.answer_to, "one") == "one.x"
    desk.now = until
    assert desk.store.read_now(rows.answer_to, "one") is None
    assert not desk.store.read_now(rows.validates, "http-01")
    desk.store.write_now(rows.put_challenge, "http-01", HOST, "two", "two.x", until + 1)
    assert desk.store.read_now(lambda tx: tx.value("select count(*) from acme_challenge")) == 1


def test_the_stand_in_answers_the_authority_and_nobody_else(desk: Desk) -> None:
    [port] = free_ports(1)
    desk.set(listen__http=f"127.0.0.1:{port}")
    desk.store.write_now(rows.put_challenge, "http-01", HOST, "one", "one.x", desk.now + 1000)
    base = f"http://127.0.0.1:{port}"
    with acme_stand_in.standing_in(desk.store, desk.store.read_now(settings.load)):
        with urllib.request.urlopen(f"{base}/.well-known/acme-challenge/one", timeout=10) as answer:
            assert answer.read() == b"one.x" and "Server" not in answer.headers
        for path in ("/", "/.well-known/acme-challenge/two", "/.well-known/acme-challenge/one/x"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(base + path, timeout=10)
            assert refused.value.code == 404
            refused.value.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_the_stand_in_answers_in_tls(desk: Desk) -> None:
    [port] = free_ports(1)
    desk.set(listen__https=f"127.0.0.1:{port}", acme__challenge="tls-alpn-01")
    desk.store.write_now(rows.put_challenge, "tls-alpn-01", HOST, "one", "one.x", desk.now + 1000)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["acme-tls/1"])
    with acme_stand_in.standing_in(desk.store, desk.store.read_now(settings.load)):
        for name, want in ((HOST, HOST), ("other.example", "localhost")):
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                with context.wrap_socket(sock, server_hostname=name) as tls:
                    der = tls.getpeercert(True)
                    assert der is not None and tls.selected_alpn_protocol() == "acme-tls/1"
                    assert pem.examine(ssl.DER_cert_to_PEM_cert(der)).names == (want,)
    assert threading.active_count() < 20


def test_a_port_that_cannot_be_had_is_told(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        desk.set(listen__http=f"127.0.0.1:{taken.getsockname()[1]}")
        [done] = [one for one in acme.renew(desk.store, [HOST]) if one.names == (HOST,)]
    assert done.state == "refused" and "listen.http" in done.text and "start the server" in done.text
