"""The doctor: each fault is found and named with its remedy, nothing is found where nothing is wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.admin import certcheck, certs, conflicts, dnscheck, doctor, knock, machine, outbound, pem
from daemon.admin.findings import Facts, Finding
from daemon.config import SETTINGS, Config, DataDir
from daemon.limits import LIMITS
from daemon.store import acme, domains, events, incidents, queue, settings
from daemon.store.allowance import Amount, Over
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.dns_server import DNSServer
from tests.instruments.server import NO_DNS, Server, free_ports
from tests.instruments.sink import Sink
from tests.mailctl.conftest import Ctl
from tests.store.stage import add_user

NOW = 1_800_000_000_000
HOME = [("hostname", "mail.example.org")]
LOCAL = [(key, "off") for key in SETTINGS if key.startswith("listen.")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(DataDir(tmp_path / "data"))
    yield opened
    opened.close()


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(tmp_path / "own")


def facts(store: Store, *rows: tuple[str, str], now: int | None = None, **more: Any) -> Facts:
    config = Config([*HOME, *rows])
    now = store.clock() if now is None else now
    return Facts(store, config, now, more.pop("running", False), ("example.org",), **more)


def reasons(found: object) -> list[tuple[str, str]]:
    return [(f.level, f.reason) for f in found if f.level != "ok"]  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    "rows, want",
    [
        ([], []),
        ([("auth.require_tls", "no")], [("error", "auth-in-clear")]),
        ([("listen.imap", ":993")], [("error", "listener-twice")]),
        ([("listen.imap", "127.0.0.1:993")], []),  # another address
        ([("listen.smtp", "off")], [("warning", "smtp-off")]),
        ([("listen.submission", "off")], []),
        ([("listen.submission", "off"), ("listen.submissions", "off")], [("warning", "submission-off")]),
        ([("queue.hold_external", "yes")], [("warning", "mail-held")]),
        ([("reports.from", "dmarc@sub.example.org")], []),
        ([("reports.from", "dmarc@other.example")], [("warning", "reports-unsigned")]),
        ([("smtp.trusted_networks", "0.0.0.0/0")], [("error", "open-relay")]),
        ([("smtp.trusted_networks", "::/0,192.0.2.0/24")], [("error", "open-relay")]),
        ([("smtp.trusted_networks", "10.0.0.0/8,127.0.0.0/8,192.168.0.0/16")], []),
        ([("proxy.trusted", "128.0.0.0/1")], [("error", "proxy-open")]),
        ([("limits.exempt_networks", "2000::/3")], [("warning", "limits-open")]),
        ([("queue.retry", "2d"), ("queue.lifetime", "1d")], [("error", "retry-never")]),
        ([("queue.warn_after", "5d")], [("warning", "warning-late")]),
        ([("queue.warn_after", "0s")], []),
        ([("limits.quota", "1M")], [("warning", "quota-small")]),
        ([("limits.connections", "10")], [("warning", "connections-shared")]),
        ([("tls.key", "/x.pem")], [("error", "key-alone")]),
        ([("smtp.bare_newline", "normalize")], [("warning", "smuggling")]),
        ([("smtp.out_port", "2525")], [("error", "out-port")]),
        ([("smtp.out_address", "192.0.2.200")], [("error", "out-address")]),
        ([("smtp.out_address", "127.0.0.1")], []),
    ],
)
def test_settings_that_do_not_go_together(store: Store, rows: list[tuple[str, str]], want: list[Any]) -> None:
    found = list(conflicts.check(facts(store, *rows)))
    assert reasons(found) == want
    assert all(f.remedy for f in found if f.level != "ok")
    assert bool(want) != ("settings-fit" in {f.reason for f in found})


def test_on_loopback_nobody_else_hears_a_password(store: Store) -> None:
    rows = [*LOCAL, ("listen.smtp", "127.0.0.1:25"), ("listen.submissions", "[::1]:465"), ("auth.require_tls", "no")]
    assert (
        reasons(conflicts.check(facts(store, *rows, ("smtp.out_port", "2525"), ("queue.hold_external", "yes")))) == []
    )


# ------------------------------------------------------------------------------------ the machine, the clock, the queue


def test_the_disk(store: Store) -> None:
    assert [f.reason for f in machine.disk(facts(store, ("store.reserve", "1M")))] == ["disk-free"]
    (full,) = machine.disk(facts(store, ("store.reserve", "900T")))
    assert (full.level, full.reason) == ("error", "disk-full") and "900" in full.text.replace("943718400", "900")
    half = store.free() * 2 // 3 >> 20
    assert [f.reason for f in machine.disk(facts(store, ("store.reserve", f"{half}M")))] == ["disk-low"]


def test_the_clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"clock-old", "clock-back", "clock-files"} & {f.reason for f in machine.clock(facts(store))}
    assert reasons(machine.clock(facts(store, now=1_000_000))) == [("error", "clock-old")]
    store.write_now(events.record, "t", "accepted")
    assert reasons(machine.clock(facts(store, now=store.clock() - 3_600_000)))[0] in (
        ("error", "clock-back"),
        ("error", "clock-old"),
    )
    ahead = Store.open(store.data, clock=lambda: store.clock() + 60_000)
    try:
        assert reasons(machine.clock(facts(ahead))) == [("warning", "clock-files")]
    finally:
        ahead.close()


def in_the_queue(store: Store, due_at: int, *, leased: int = 0, failures: int = 0, until: int = 0) -> None:
    def work(tx: Any) -> None:
        tx.run("insert into segment (id) values (1) on conflict do nothing")
        tx.run(
            "insert into blob (id, sha256, segment_id, offset, length, refs) values (1, x'00', 1, 0, 1, 1)"
            " on conflict do nothing"
        )
        message = tx.insert(
            "insert into queue_message (trace, blob_id, prefix, size, sender, origin, created_at, expires_at)"
            " values ('t', 1, x'', 1, '', 'smtp', 0, 0)"
        )
        tx.run(
            "insert into queue_recipient (message_id, address, destination, state, due_at, leased_until)"
            " values (?, 'x@far.example', 'far.example', 'due', ?, ?)",
            message, due_at, leased,
        )  # fmt: skip
        if failures:
            standing = queue.Standing("far.example", failures, until, None, False, None, "connection refused")
            queue._note(tx, standing)

    store.write_now(work)


def test_an_open_incident_is_told_with_what_to_do(store: Store) -> None:
    def begin(tx: Tx) -> int:
        return incidents.begin(tx, add_user(tx), Over("messages-per-day", 9, 10), "trace", Amount(1, 1, 0))

    store.write_now(begin)
    (one,) = [f for f in machine.queue(facts(store)) if f.reason == "incident"]
    assert (one.level, one.subject) == ("warning", "alice@example.org")
    assert "10 messages to other servers within 24 hours; 9 may be" in one.text
    for command in ("queue list --incident 1", "queue release --incident 1", "session kill alice@example.org"):
        assert f"mailctl {command}" in str(one.remedy)


def test_the_queue(store: Store) -> None:
    now = store.clock()
    assert [f.reason for f in machine.queue(facts(store, running=True))] == ["queue-moves"]
    in_the_queue(store, now + 60_000)
    assert [f.reason for f in machine.queue(facts(store, running=True))] == ["queue-moves"]
    in_the_queue(store, now - 3_600_000)
    assert reasons(machine.queue(facts(store, running=True))) == [("error", "queue-stuck")]
    assert reasons(machine.queue(facts(store))) == [], "nobody tries while the server is stopped"
    in_the_queue(store, now - 3_600_000, failures=3, until=now + 3_600_000)
    (down,) = machine.queue(facts(store, running=True))
    assert down.reason == "destination-down" and "3 times" in down.text and "connection refused" in down.text
    in_the_queue(store, now, leased=now + 60_000)
    assert ("warning", "queue-leases") in reasons(machine.queue(facts(store)))


# ------------------------------------------------------------------------------------------------------ the certificate


@pytest.mark.parametrize(
    "names, begin, end, want",
    [
        (["mail.example.org"], -1, 90, []),
        (["*.example.org"], -1, 90, []),
        (["other.example", "mail.example.org"], -1, 90, []),
        (["example.org"], -1, 90, [("error", "certificate-name")]),
        (["*.org"], -1, 90, [("error", "certificate-name")]),
        (["mail.example.org"], -1, 10, [("warning", "certificate-ends")]),
        (["mail.example.org"], -90, -1, [("error", "certificate-over")]),
        (["mail.example.org"], 1, 90, [("error", "certificate-early")]),
    ],
)
def test_a_certificate_in_files(
    store: Store, tmp_path: Path, names: list[str], begin: int, end: int, want: list[Any]
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    leaf = trustme.CA().issue_cert(
        *names, not_before=now + datetime.timedelta(days=begin), not_after=now + datetime.timedelta(days=end)
    )
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    files = [("tls.certificate", str(tmp_path / "cert.pem")), ("tls.key", str(tmp_path / "key.pem"))]
    assert reasons(certcheck.check(facts(store, *files))) == want


def test_a_certificate_that_cannot_be_used(store: Store, tmp_path: Path) -> None:
    chain, key = trustme.CA().issue_cert("mail.example.org"), trustme.CA().issue_cert("mail.example.org")
    chain.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    key.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    pairs = (("cert.pem", "key.pem"), ("cert.pem", "nothing.pem"), ("nothing.pem", "key.pem"))
    for one, other in pairs:
        files = [("tls.certificate", str(tmp_path / one)), ("tls.key", str(tmp_path / other))]
        assert reasons(certcheck.check(facts(store, *files))) == [("error", "certificate-unusable")]


def test_the_certificate_of_the_store(store: Store, tmp_path: Path) -> None:
    assert [f.reason for f in certcheck.check(facts(store))] == ["certificate-none"]
    leaf = trustme.CA().issue_cert("mail.example.org")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    certs.add(store, tmp_path / "both.pem", None)
    assert [f.reason for f in certcheck.check(facts(store))] == ["certificate-good"]


def issued(store: Store, *names: str, days: int = 90) -> None:
    """A certificate comes from the authority."""
    issued = trustme.CA().issue_cert(*names)
    chain, key = issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()

    def work(tx: Tx) -> None:
        order = acme.begin_order(tx, "https://ca.example/", names)
        acme.fulfil_order(tx, order, names, chain, key, tx.now, tx.now + days * 86_400_000)

    store.write_now(work)


def test_the_host_s_certificate_is_judged_and_not_the_newest(store: Store) -> None:
    for name in ("mail.example.org", "mta-sts.example.org", "autoconfig.example.org"):
        issued(store, name)
    (found,) = certcheck.check(facts(store))
    assert found.reason == "certificate-good" and "for mail.example.org" in found.text


def test_one_that_does_not_come_is_told_in_the_authority_s_words(store: Store) -> None:
    rows = [*HOME, ("acme.agree", "yes")]
    store.write_now(lambda tx: [domains.add(tx, "example.org"), *(settings.put(tx, *row, "test") for row in rows)])
    issued(store, "mail.example.org")

    def fail(name: str, problem: str) -> None:
        store.write_now(lambda tx: acme.fail_order(tx, acme.begin_order(tx, "https://ca.example/", (name,)), problem))

    assert reasons(certcheck.check(facts(store, *rows))) == []
    fail("mta-sts.example.org", "it has no address in the DNS")
    assert reasons(certcheck.check(facts(store, *rows))) == []
    fail("mail.example.org", "connection refused")
    found = [f for f in certcheck.check(facts(store, *rows)) if f.level == "warning"]
    assert [(f.subject, f.text) for f in found] == [("certificate of mail.example.org", "connection refused")]
    assert found[0].remedy and "`mailctl cert renew mail.example.org`" in found[0].remedy
    assert [problem for _, problem in certs.missing(store)] == ["it has no address in the DNS", ""]


@pytest.mark.parametrize(
    "rows, remedy", [([], "acme.agree yes"), ([("acme.agree", "yes")], "`mailctl cert renew` fetches one")]
)
def test_a_certificate_that_signs_itself_has_a_way_out(store: Store, rows: list[tuple[str, str]], remedy: str) -> None:
    store.write_now(pem.ensure, "mail.example.org")
    (found,) = certcheck.check(facts(store, *rows))
    assert found.reason == "certificate-self-signed" and remedy in (found.remedy or "")


# ----------------------------------------------------------------------------------------------- ports, and the way out


@pytest.mark.parametrize(
    "greeting, told",
    [
        ("220 mail.example.org ESMTP", "220 mail.example.org ESMTP"),
        ("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] mail.example.org", "* OK mail.example.org"),
        ("* OK [CAPABILITY " + "x" * 200, "* OK [CAPABILITY " + "x" * 62 + "…"),
        ("", ""),
    ],
)
def test_a_greeting_is_told_on_one_line(greeting: str, told: str) -> None:
    assert knock._short(greeting) == told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("doctor") / "data"
    with Server(path, {"alice@example.test": "wonderland"}) as started:
        yield started


def listening(server: Server, *rows: tuple[str, str]) -> list[Finding]:
    store = Store.open(server.data)
    try:
        known = store.read_now(settings.rows)
        return asyncio.run(knock.check(Facts(store, Config({**known, **dict(rows)}.items()), 0, True, ())))
    finally:
        store.close()


def test_every_listener_greets_and_speaks_tls(server: Server) -> None:
    found = listening(server)
    assert [(f.level, f.reason) for f in found] == [("ok", "port-answers")] * len(server.ports)
    assert all("TLSv1." in f.text for f in found if f.subject.split()[0] not in ("lmtp", "http", "metrics")), found


def test_a_listener_that_does_not_answer_or_is_another_is_named(server: Server) -> None:
    (nobody,) = free_ports(1)
    wrong = {
        "listen.smtp": f"127.0.0.1:{nobody}",
        "listen.imap": f"127.0.0.1:{server.ports['pop3']}",
        "listen.imaps": f"127.0.0.1:{server.ports['imap']}",
    }
    found = {f.subject.split()[0]: f for f in listening(server, *wrong.items())}
    assert {name for name, f in found.items() if f.level == "error"} == {"smtp", "imap", "imaps"}
    assert "refused" in found["smtp"].text and "odd greeting" in found["imap"].text and "TLS" in found["imaps"].text


def test_a_certificate_that_is_not_the_configured_one_is_named(server: Server, tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("mx.example.test")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    store = Store.open(server.data)
    try:
        rows = store.read_now(settings.rows) | {"tls.certificate": str(tmp_path / "both.pem")}
        found = asyncio.run(knock.check(Facts(store, Config(rows.items()), 0, True, ())))
    finally:
        store.close()
    stale = [f for f in found if f.reason == "certificate-stale"]
    assert {f.subject.split()[0] for f in stale} == server.ports.keys() - {"lmtp", "http", "metrics"}
    assert all(f.level == "warning" and "SIGHUP" in (f.remedy or "") for f in stale), found


async def test_a_probe_tells_whether_port_25_is_open(store: Store) -> None:
    zone = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\nnull.example. MX 0 ."
    async with Sink() as sink, DNSServer(zone) as dns:
        rows = [("dns.servers", dns.at), ("smtp.out_port", str(sink.port)), ("listen.smtp", "off")]
        (found,) = await outbound.check(facts(store, *rows, probe="far.example"))
        assert (found.level, found.reason) == ("ok", "outbound-open")
        assert sink.copies == [] and len(sink.sessions) == 1
        (found,) = await outbound.check(facts(store, *rows, probe="null.example"))
        assert (found.level, found.reason) == ("error", "outbound-no-host")
        sink.on("connect", "554 no service for you")
        (found,) = await outbound.check(facts(store, *rows, probe="far.example"))
        assert (found.level, found.reason) == ("error", "outbound-closed") and "no service for you" in found.text
        assert "hosting provider" in (found.remedy or "")


async def test_without_a_probe_nobody_is_called_and_what_went_out_counts(store: Store) -> None:
    assert reasons(await outbound.check(facts(store))) == [("info", "outbound-untried")]
    standing = queue.Standing("far.example", 0, 0, "TLSv1.3", True, store.clock() - 60_000, None)
    store.write_now(queue._note, standing)
    (found,) = await outbound.check(facts(store))
    assert (found.level, found.reason) == ("ok", "outbound-works")


# ----------------------------------------------------------------------------------------------------------- the verb


def test_the_doctor_looks_at_everything_in_time_and_says_so_in_json(server: Server) -> None:
    ctl = Ctl(server.data.path)
    started = time.monotonic()
    done = ctl("doctor", "--json")
    assert time.monotonic() - started < 10
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {f["level"] for f in found} <= {"ok", "info", "warning", "error"}
    assert {"port-answers", "hash-sound", "store-sound", "disk-free", "queue-moves", "outbound-untried"} <= {
        f["reason"] for f in found
    }
    assert done.exit_code == 1 and [f["reason"] for f in found if f["level"] == "error"] == ["dns-failed"], NO_DNS
    text = ctl("doctor").stdout
    assert "1 error" in text and "port-answers" in text


def test_a_trial_is_found_healthy_and_asks_nobody(ctl: Ctl) -> None:
    from daemon.admin import trial

    store = ctl.store()
    trial.prepare(store)
    store.close()
    done = ctl("doctor", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0, found
    assert "domain-reserved" in {f["reason"] for f in found} and "dns-failed" not in {f["reason"] for f in found}
    assert "nothing is wrong" in ctl.ok("doctor")


def test_bad_settings_and_bad_words(ctl: Ctl) -> None:
    store = ctl.store()
    store.write_now(lambda tx: tx.run("insert into setting (key, value) values ('queue.lifetime', 'soon')"))
    store.close()
    done = ctl("doctor", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert sorted(f["reason"] for f in found if f["level"] == "error") == ["no-domain", "setting-bad"]
    assert "probe" in ctl.fails(64, "doctor", "--store", "--probe", "far.example")
    assert "not a domain" in ctl.fails(65, "doctor", "--probe", "[127.0.0.1]")


def test_a_check_that_hangs_or_breaks_hinders_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(facts: Facts) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks(facts: Facts) -> list[Finding]:
        raise RuntimeError("oh")

    async def works(facts: Facts) -> list[Finding]:
        return [Finding("ok", "all-well", "works", "it is well")]

    monkeypatch.setattr(doctor, "LIMITS", dataclasses.replace(LIMITS, doctor_patience=0.1))  # which none waits for
    monkeypatch.setattr(doctor, "CHECKS", {"hangs": hangs, "breaks": breaks, "works": works})
    found = {f.subject: f.reason for f in doctor.examine(store)}
    assert found == {"hangs": "check-slow", "breaks": "check-failed", "works": "all-well"}


def test_a_check_in_a_thread_that_breaks_is_a_finding(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(facts: Facts) -> list[Finding]:
        raise RuntimeError("oh")

    monkeypatch.setattr(doctor, "CHECKS", {"breaks": breaks, "passwords": doctor._hashes})
    assert {f.subject: f.reason for f in doctor.examine(store)} == {"breaks": "check-failed", "passwords": "hash-sound"}


def test_hashes_that_say_yes_to_anything_are_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.passwords.verify", lambda password, kept: True)
    assert [(f.level, f.reason) for f in doctor._hashes(facts(store))] == [("error", "hash-broken")]


def test_a_store_too_large_for_a_quick_look_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIMITS", dataclasses.replace(LIMITS, doctor_patience=-1))
    assert reasons(doctor._store(facts(store))) == [("info", "store-large")]


def test_a_domain_without_a_key_that_signs_is_found(ctl: Ctl) -> None:
    ctl.ok("domain", "add", "example.org")
    store = ctl.store()
    try:
        now = facts(store)
        about = dataclasses.replace(now, domains=("example.org",))
        assert [f.reason for f in doctor._dkim(about)] == ["dkim-keys"]
        ctl.ok("dkim", "add", "example.org")
        late = dataclasses.replace(about, now=now.now + 8 * 86_400_000)
        assert [(f.level, f.reason) for f in doctor._dkim(about)] == [("ok", "dkim-keys")]
        assert reasons(doctor._dkim(late)) == [("warning", "dkim-waits")]
        store.write_now(lambda tx: tx.run("delete from dkim_key"))
        (found,) = doctor._dkim(about)
        assert (found.level, found.reason, found.subject) == ("error", "dkim-no-key", "example.org")
    finally:
        store.close()


async def test_slow_name_servers_leave_the_other_domains_told(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare() -> Store:
        ctl.ok("config", "set", "hostname", "mail.example.org")
        for name in ("quick.example.org", "slow.example.org"):
            ctl.ok("domain", "add", name)
        return ctl.store()

    async def findings(resolver: object, wanted: Any) -> list[Any]:
        if wanted.domain.startswith("slow"):
            await asyncio.Event().wait()
        return [dnscheck.Finding("error", "mx-null", wanted.domain, "a null MX", "a record", "no mail")]

    store = await asyncio.to_thread(prepare)
    try:
        monkeypatch.setattr(doctor, "LIMITS", dataclasses.replace(LIMITS, doctor_patience=2))
        monkeypatch.setattr(dnscheck, "findings", findings)
        about = dataclasses.replace(facts(store), domains=("quick.example.org", "slow.example.org"))
        found = await doctor._dns(about)
        assert found[-1].text == "a null MX; no mail" and found[-1].remedy == "publish: a record"
        assert {(f.subject, f.reason) for f in found} == {
            ("quick.example.org", "mx-null"), ("slow.example.org", "dns-unfinished"),
        }  # fmt: skip
    finally:
        store.close()
