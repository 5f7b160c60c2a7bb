"""dns, status, doctor, setup, sendmail, mailq: the server as an administrator and other programs see it."""

from __future__ import annotations

import asyncio
import io
import json
import smtplib
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.admin import dnsrecords, post
from daemon.config import Config
from mailctl import sendmail
from tests.instruments.dns_server import DNSServer
from tests.mailctl.conftest import Ctl

GOOD = """
example.org. NS ns.example.org.
ns.example.org. A 127.0.0.1
example.org. MX 10 mail.example.org.
mail.example.org. A 9.9.9.9
mail.example.org. AAAA 2620:fe::9
9.9.9.9.in-addr.arpa. PTR mail.example.org.
9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.f.0.0.0.2.6.2.ip6.arpa. PTR mail.example.org.
example.org. TXT "other" "text"
example.org. TXT "v=spf1 mx -all"
mail.example.org. TXT "v=spf1 a -all"
_dmarc.example.org. TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"
_smtp._tls.example.org. TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"
_submissions._tcp.example.org. SRV 0 1 465 mail.example.org.
_submission._tcp.example.org. SRV 0 1 587 mail.example.org.
_imaps._tcp.example.org. SRV 0 1 993 mail.example.org.
_imap._tcp.example.org. SRV 0 1 143 mail.example.org.
_pop3s._tcp.example.org. SRV 0 1 995 mail.example.org.
_pop3._tcp.example.org. SRV 0 1 110 mail.example.org.
_sieve._tcp.example.org. SRV 0 1 4190 mail.example.org.
_jmap._tcp.example.org. SRV 0 0 0 .
"""


@pytest.fixture
def named(town: Ctl) -> Ctl:
    town.ok("config", "set", "hostname", "mail.example.org")
    return town


async def checked(ctl: Ctl, dns: DNSServer, *args: str) -> tuple[int, list[dict[str, Any]]]:
    def call() -> tuple[int, list[dict[str, Any]]]:
        ctl.ok("config", "set", "dns.servers", dns.at)
        ctl.ok("config", "set", "dns.out_port", str(dns.port))
        ctl.ok("config", "set", "listen.https", "off")
        done = ctl("dns", "check", "example.org", "--json", *args)
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]

    return await asyncio.to_thread(call)


async def test_a_domain_that_is_set_up_well_is_all_green(named: Ctl) -> None:
    named.ok("config", "set", "listen.https", "off")  # nothing to find over HTTPS
    records = await asyncio.to_thread(named.lines, "dns", "records", "example.org")
    keys = [f"{r['name']}. {r['type']} {r['data']}" for r in records if "._domainkey." in r["name"]]
    async with DNSServer(GOOD + "\n".join(keys)) as dns:
        code, found = await checked(named, dns)
    assert code == 0, found
    assert {f["level"] for f in found} == {"ok"}
    assert {f["reason"] for f in found} == {
        "host-found", "ptr-found", "mx-found", "spf-found", "dkim-found", "dmarc-found", "tls-reports-found",
        "srv-found", "ns-found", "blocklist-found",
    }  # fmt: skip


@pytest.mark.parametrize(
    "gone, new, level, reason, remedy",
    [
        ("example.org. MX", "", "error", "mx-missing", "example.org. 3600 IN MX 10 mail.example.org."),
        ("example.org. MX", "example.org. MX 10 other.example.", "error", "mx-elsewhere", "IN MX 10 mail.example.org."),
        ("example.org. MX", "example.org. MX 0 .", "error", "mx-null", "IN MX"),
        ("?", "example.org. MX 5 first.example.", "info", "mx-not-first", None),
        ("mail.example.org.", "", "error", "host-missing", "mail.example.org. 3600 IN A"),
        ("mail.example.org. A", "mail.example.org. A 10.0.0.1", "warning", "host-private", None),
        ("9.9.9.9", "", "warning", "ptr-missing", "9.9.9.9.in-addr.arpa. 3600 IN PTR mail.example.org."),
        ("9.9.9.9", "9.9.9.9.in-addr.arpa. PTR host.isp.example.", "warning", "ptr-differs", "IN PTR"),
        ('example.org. TXT "v', "", "error", "spf-missing", '"v=spf1 mx -all"'),
        ("?", 'example.org. TXT "v=spf1 -all"', "error", "spf-several", '"v=spf1 mx -all"'),
        ('example.org. TXT "v', 'example.org. TXT "v=spf1 mx +all"', "error", "spf-open", "v=spf1"),
        ('example.org. TXT "v', 'example.org. TXT "v=spf1 mx"', "warning", "spf-weak", "v=spf1"),
        ('example.org. TXT "v', 'example.org. TXT "v=spf1 ip4:192.0.2.1 -all"', "error", "spf-not-us", "v=spf1"),
        ('example.org. TXT "v', 'example.org. TXT "v=spf1 include:x.example -all"', "error", "spf-include", "v=spf1"),
        ('example.org. TXT "v', f'example.org. TXT "v=spf1 {"a " * 11} mx -all"', "error", "spf-lookups", "v=spf1"),
        (
            'example.org. TXT "v',
            'example.org. TXT "v=spf1 -a ip4:9.9.9.0/24 ip6:2620:fe::/48 ~all"',
            "ok",
            "spf-found",
            None,
        ),
        ('example.org. TXT "v', 'example.org. TXT "v=spf1 a:mail.example.org -all"', "ok", "spf-found", None),
        ("_dmarc", "", "warning", "dmarc-missing", "_dmarc.example.org. 3600 IN TXT"),
        ("?", '_dmarc.example.org. TXT "v=DMARC1; p=reject"', "error", "dmarc-several", "_dmarc"),
        ("_imaps", "", "info", "srv-missing", "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org."),
        ("_imaps", "_imaps._tcp.example.org. SRV 0 1 994 mail.example.org.", "warning", "srv-differs", "IN SRV"),
        (
            "mail.example.org.",
            "mail.example.org. CNAME real.example.\nreal.example. A 9.9.9.9",
            "warning",
            "mx-cname",
            "IN MX 10 mail.example.org.",
        ),
    ],
)
async def test_what_is_wrong_is_found_with_its_remedy(
    named: Ctl, gone: str, new: str, level: str, reason: str, remedy: str | None
) -> None:
    zone = "\n".join(line for line in GOOD.splitlines() if not line.startswith(gone)) + "\n" + new
    async with DNSServer(zone) as dns:
        code, found = await checked(named, dns)
    one = next(f for f in found if f["reason"] == reason)
    assert one["level"] == level
    assert (remedy or "") in (one["record"] or "")
    assert (one["record"] is None) == (remedy is None)
    assert code == (1 if any(f["level"] == "error" for f in found) else 0)


async def test_a_domain_that_nobody_registered_is_said(named: Ctl) -> None:
    async with DNSServer("mail.example.org. A 9.9.9.9\n") as dns:
        dns.trouble["example.org", "MX"] = "NXDOMAIN"
        _, found = await checked(named, dns)
    assert "domain-missing" in {f["reason"] for f in found}


async def test_silence_of_the_name_servers_is_no_missing_record(named: Ctl) -> None:
    async with DNSServer(GOOD) as dns:
        dns.trouble["*"] = "SERVFAIL"
        code, found = await checked(named, dns)
    assert code == 69
    assert [f["reason"] for f in found] == ["dns-failed"], "said once: each question more would cost a time-out"


async def test_a_name_of_its_own_is_asked_for(town: Ctl) -> None:
    town.ok("config", "set", "hostname", "box.local")
    async with DNSServer(GOOD) as dns:
        code, found = await checked(town, dns)
        text = await asyncio.to_thread(town, "dns", "check", "example.org")
    assert code == 1 and found[0]["reason"] == "hostname-private"
    assert "config set hostname" in text.stdout


def test_records_are_a_zone_file(named: Ctl) -> None:
    dns_zonefile = pytest.importorskip("dns.zonefile")
    named.ok("config", "set", "listen.pop3", "off")
    text = named.ok("dns", "records", "example.org", "--address", "192.0.2.25", "--address", "2001:db8::25")
    sets = dns_zonefile.read_rrsets(text, origin=".", rdclass=None)
    have = {(str(s.name), s.to_text().split()[3]) for s in sets}
    assert {
        ("example.org.", "MX"), ("mail.example.org.", "A"), ("mail.example.org.", "AAAA"), ("example.org.", "TXT"),
        ("mail.example.org.", "TXT"), ("_dmarc.example.org.", "TXT"), ("_imaps._tcp.example.org.", "SRV"),
    } <= have  # fmt: skip
    listed = named.lines("dns", "records", "example.org", "--address", "192.0.2.25")
    assert {r["name"]: r["data"] for r in listed}["_pop3._tcp.example.org"] == "0 0 0 ."
    named.fails(65, "dns", "records", "example.org", "--address", "nonsense")
    named.fails(1, "dns", "records", "else.example")


def test_long_texts_are_cut_into_strings() -> None:
    assert dnsrecords.quoted("a" * 300) == '"' + "a" * 255 + '" "' + "a" * 45 + '"'
    assert dnsrecords.quoted('x"\\') == '"x\\"\\\\"'


def test_only_addresses_the_world_can_reach_are_proposed() -> None:
    assert dnsrecords.public_addresses(Config([("listen.smtp", "9.9.9.9:25,127.0.0.1:25")])) == ("9.9.9.9",)


# ---------------------------------------------------------------------------------------------------- status and doctor


def test_status_counts_everything(named: Ctl, letter: Path) -> None:
    named.ok("mail", "deliver", str(letter), "--to", "alice@example.org", "--to", "bob@example.org")
    named.ok("mail", "deliver", str(letter), "--to", "x@far.example")
    named.ok("queue", "hold", "--all")
    s = named.json("status")
    assert (s["running"], s["domains"], s["users"], s["messages"], s["waiting"], s["held"]) == (False, 1, 2, 2, 1, 1)
    assert s["stored"] < s["used"], "bytes are shared"
    assert {one["name"] for one in s["listeners"]} == {
        "smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "managesieve", "http", "https",
        "admin",
    }  # fmt: skip
    text = named.ok("status")
    assert "stopped" in text and "2 users" in text and "1 held" in text


def test_status_counts_mail_by_the_hour(named: Ctl, letter: Path) -> None:
    named.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    told = named.json("status", "--hours", "2")
    assert len(told["hours"]) == 2 and told["hours"][0]["submitted"] + told["hours"][1]["submitted"] == 1
    text = named.ok("status", "--hours", "3")
    assert text.count("\n") == 4 and "HANDED IN" in text


def test_status_says_what_needs_a_look(ctl: Ctl, tmp_path: Path) -> None:
    ctl.ok("config", "set", "store.reserve", "100T")
    ctl.ok("config", "set", "tls.certificate", str(tmp_path / "nothing.pem"))
    problems = " ".join(ctl.json("status")["problems"])
    assert "below its reserve" in problems and "nothing.pem" in problems and "no domain" in problems
    assert "look" in ctl.ok("status")
    leaf = trustme.CA().issue_cert("mail.example.org", not_after=__import__("datetime").datetime(2001, 1, 1))
    (tmp_path / "old.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    ctl.ok("config", "set", "tls.certificate", str(tmp_path / "old.pem"))
    assert "is over" in " ".join(ctl.json("status")["problems"])


def test_a_server_is_running_when_somebody_answers_the_doorbell(ctl: Ctl) -> None:
    ctl.ok("domain", "list")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(ctl.path / "doorbell"))
        assert ctl.json("status")["running"] is True
    assert ctl.json("status")["running"] is False, "a socket that nobody holds any more"


def test_below_the_reserve_new_mail_is_a_temporary_failure_and_the_rest_goes_on(town: Ctl, letter: Path) -> None:
    town.ok("mail", "deliver", str(letter), "--to", "bob@example.org")
    town.ok("config", "set", "store.reserve", "100T")
    town.fails(75, "mail", "deliver", str(letter), "--to", "alice@example.org")
    letter.write_bytes(b"Subject: other\n\nx\n")
    town.fails(75, "mail", "import", "bob@example.org", str(letter))
    town.ok("mail", "show", "1")
    town.ok("mail", "rm", "1", "--yes")
    town.ok("user", "rm", "bob@example.org", "--yes")


def test_the_doctor_finds_a_damaged_message(town: Ctl, letter: Path) -> None:
    town.ok("mail", "deliver", str(letter), "--to", "bob@example.org")
    assert "sound" in town.ok("doctor", "--store")
    segment = next((town.path / "segments").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[-10] ^= 1
    segment.write_bytes(data)
    assert "sound" in town.ok("doctor", "--store", "--quick")
    done = town("doctor", "--store", "--json")
    assert done.exit_code == 1
    assert {json.loads(line)["level"] for line in done.stdout.splitlines()} == {"error"}
    assert "1 error" in town("doctor", "--store").stdout
    segment.write_bytes(b"")
    assert "doctor" in town.fails(78, "mail", "show", "1")


# --------------------------------------------------------------------------------------------------------------- setup


def test_setup_takes_a_bare_machine_to_a_first_message(ctl: Ctl, letter: Path) -> None:
    words = ["--hostname", "mail.example.org", "--domain", "example.org", "--admin", "ann@example.org"]
    done = ctl.json("setup", *words)
    assert len(done["done"]) == 4 and len(done["password"]) == 20
    ctl.ok("mail", "deliver", str(letter), "--to", "postmaster@example.org")
    assert ctl.lines("mail", "list", "ann@example.org")
    assert ctl.lines("cert", "list")[0]["source"] == "self-signed"
    again = ctl.json("setup", *words)
    assert (again["done"], again["password"]) == ([], None)
    assert "done before" in ctl.ok("setup", *words)


def test_setup_takes_a_password_and_refuses_what_cannot_be(ctl: Ctl) -> None:
    words = ["--hostname", "mail.example.org", "--domain", "example.org"]
    ctl.fails(64, "setup", *words)
    ctl.fails(65, "setup", *words, "--admin", "ann@else.example")
    ctl.fails(65, "setup", *words, "--admin", "ann")
    ctl.fails(78, "setup", "--hostname", "not a name", "--domain", "example.org", "--admin", "ann@example.org")
    assert ctl.lines("domain", "list") == []
    done = ctl.json("setup", *words, "--admin", "ann@example.org", "--password-stdin", input="secret\n")
    assert done["password"] is None


# ------------------------------------------------------------------------------------------------- sendmail and mailq


class Stdin(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


def send(monkeypatch: pytest.MonkeyPatch, ctl: Ctl, data: bytes, *args: str) -> int:
    monkeypatch.setenv("MAILCTL_DATA", str(ctl.path))
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    return sendmail.run(list(args))


def test_sendmail_takes_recipients_from_the_header_and_hides_bcc(named: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"To: Alice <alice@example.org>\nBcc: bob@example.org\nSubject: cron\n\nline\n.\nafter the dot\n"
    assert send(monkeypatch, named, data, "-t", "-oi", "-f", "root@example.org", "-F", "Root User") == 0
    found = {m["user"]: m for m in named.lines("mail", "list")}
    assert set(found) == {"alice@example.org", "bob@example.org"}
    raw = named("mail", "show", str(found["alice@example.org"]["id"]), "--raw").stdout_bytes
    assert (
        b"\r\nafter the dot\r\n" in raw and b"Bcc" not in raw and b"\r\nDate: " in raw and b"\r\nMessage-ID: <" in raw
    )
    assert b'From: "Root User" <root@example.org>\r\n' in raw
    assert found["bob@example.org"]["sender"] == "root@example.org"


def test_a_dot_alone_ends_the_message_without_i(named: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(monkeypatch, named, b"Subject: x\n\nline\n.\nafter\n", "bob@example.org") == 0
    assert b"after" not in named("mail", "show", "1", "--raw").stdout_bytes
    assert named.lines("mail", "list")[0]["sender"].endswith("@mail.example.org")


def test_text_without_a_header_is_body(named: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(monkeypatch, named, b"just text\n", "-f", "", "bob@example.org") == 0
    assert named.json("mail", "show", "1")["text"] == "just text"
    assert named.lines("mail", "list")[0]["sender"] == "postmaster@example.org"


@pytest.mark.parametrize(
    "args, want",
    [
        (["-t"], {"from_header": True, "dot_ends": True}),
        (["-ti"], {"from_header": True, "dot_ends": False}),
        (["-i", "a", "b"], {"dot_ends": False, "recipients": ["a", "b"]}),
        (["-fa@b", "c"], {"sender": "a@b", "recipients": ["c"]}),
        (["-r", "a@b", "--", "-c"], {"sender": "a@b", "recipients": ["-c"]}),
        (["-bm", "-oem", "-odi", "-N", "never", "-v", "a"], {"recipients": ["a"]}),
        (["-B8BITMIME", "-O", "x=y", "-L", "tag", "a"], {"recipients": ["a"]}),
        (["-bp"], {"list_queue": True}),
    ],
)
def test_the_options_of_the_old_one(args: list[str], want: dict[str, object]) -> None:
    asked = sendmail.Asked(args)
    assert {key: getattr(asked, key) for key in want} == want


@pytest.mark.parametrize(
    "code, args, data",
    [
        (64, [], b"Subject: x\n\n"),
        (64, ["-f"], b""),
        (64, ["-bs"], b""),
        (65, ["-t"], b"Subject: x\n\nnobody\n"),
        (65, ["nobody"], b"Subject: x\n\n"),
        (65, ["nobody@example.org"], b"Subject: x\n\n"),
        (65, ["bob@example.org"], b""),
        (65, ["-f", "root@example.org", "bob@example.org"], b"From: a@b.example\nFrom: c@d.example\n\n"),
    ],
)
def test_sendmail_ends_with_the_codes_programs_know(
    named: Ctl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    code: int, args: list[str], data: bytes,
) -> None:  # fmt: skip
    assert send(monkeypatch, named, data, *args) == code
    assert capsys.readouterr().err.startswith("mailctl: error: ")


def test_mailq_prints_what_scripts_look_for(
    named: Ctl, letter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILCTL_DATA", str(named.path))
    with pytest.raises(SystemExit) as ended:
        sendmail.mailq()
    assert ended.value.code == 0 and capsys.readouterr().out == "Mail queue is empty\n"
    named.ok("mail", "deliver", str(letter), "--to", "x@far.example", "--to", "y@far.example")
    named.ok("queue", "hold", "--all")
    assert send(monkeypatch, named, b"", "-bp") == 0
    out = capsys.readouterr().out
    assert out.startswith("-Queue ID-") and "x@far.example" in out and "-- 1 Kbytes in 1 Request." in out and "!" in out


class Peer:
    """Stands for smtplib.SMTP: what it was asked, and what it answers."""

    local_hostname = "box.example"
    sent: list[tuple[str, list[str], bytes]] = []
    trouble: Exception | None = None

    def __init__(self, host: str, port: int, timeout: float) -> None:
        if isinstance(self.trouble, OSError):
            raise self.trouble

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sendmail(self, sender: str, to: list[str], data: bytes) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.sent.append((sender, to, data))


@pytest.mark.parametrize(
    "trouble, code",
    [
        (None, 0),
        (ConnectionRefusedError(111, "refused"), 69),
        (smtplib.SMTPRecipientsRefused({"x@far.example": (550, b"5.7.1 relaying denied")}), 65),
        (smtplib.SMTPSenderRefused(451, b"4.3.0 later", "a"), 75),
        (smtplib.SMTPServerDisconnected("gone"), 69),
    ],
)
def test_who_may_not_read_the_store_hands_in_by_smtp(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None, code: int
) -> None:
    monkeypatch.setattr(smtplib, "SMTP", Peer)
    monkeypatch.setattr(Peer, "trouble", trouble)
    monkeypatch.setattr(Peer, "sent", [])
    assert send(monkeypatch, ctl, b"To: x@far.example\nBcc: y@far.example\nSubject: x\n\ntext\n", "-t") == code
    assert not (ctl.path / "mail.db").exists(), "sendmail makes no store"
    if code == 0:
        sender, to, data = Peer.sent[0]
        assert sender.endswith("@box.example") and to == ["x@far.example", "y@far.example"]
        assert b"Bcc" not in data and f"From: {sender}\r\n".encode() in data


def test_the_store_is_not_needed_to_read_a_message_too_large(town: Ctl) -> None:
    store = town.store()
    with pytest.raises(post.BadData):
        post.read(store, io.BytesIO(b"x" * 100), 10)
    store.close()


def test_status_tells_of_the_host_s_certificate_in_time(named: Ctl) -> None:
    from contextlib import closing

    from daemon.admin import pem
    from daemon.store import certificates

    def hold(name: str, days: int, left: int, source: str = "acme") -> str:
        with closing(named.store()) as store:
            pair = pem.self_signed((name,), store.clock())
            end = store.clock() + left * 86_400_000
            begin = end - days * 86_400_000
            store.write_now(certificates.add, (name,), pair.chain, pair.private_key, source, begin, end)
        return " ".join(named.json("status")["problems"])

    assert "certificate" not in hold("mta-sts.example.org", 90, 5), "another name's is not the host's"
    assert "ends soon; `mailctl cert import`" in hold("mail.example.org", 90, 20)
    named.ok("config", "set", "acme.directory", "https://127.0.0.1:1/dir")
    named.ok("config", "set", "acme.agree", "yes")
    assert "ends soon; `mailctl cert renew`" in hold("mail.example.org", 90, 19)
    assert "certificate" not in hold("mail.example.org", 6, 3), "two thirds of six days are not over"
    assert "ends soon" in hold("mail.example.org", 6, 1)
    assert "is over" in hold("mail.example.org", 6, -1)
    assert named.json("status")["certificate_until_at"] is not None


def test_renewing_says_what_is_missing(named: Ctl) -> None:
    assert "acme.agree" in named.fails(78, "cert", "renew")
    named.ok("config", "set", "acme.directory", "https://127.0.0.1:1/dir")
    named.ok("config", "set", "acme.names", "mail.example.org")
    named.ok("config", "set", "acme.agree", "yes")
    named.ok("config", "set", "listen.http", "127.0.0.1:0")
    assert "does not answer" in named.fails(69, "cert", "renew")
    [told] = [json.loads(line) for line in named("cert", "renew", "--json").stdout.splitlines()]
    assert (told["names"], told["state"]) == (["mail.example.org"], "unreachable")
    assert "other.example" in named.fails(1, "cert", "renew", "other.example")
    named.fails(64, "cert", "renew", "--all", "mail.example.org")
    named.fails(64, "cert", "renew", "--new-key", "--all")
    assert "cert renew" in named.fails(1, "cert", "renew", "--new-key")


# ------------------------------------------------------------------------------------------------------------ the trial


def test_the_trial_shows_all_that_one_needs_to_try_it(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.main.run", lambda *_, **__: 0)
    said = ctl.ok("serve", "--local")
    for words in ("alice@example.test", "https://127.0.0.1:2443/", "https://127.0.0.1:2444/admin/", "127.0.0.1:2993"):
        assert words in said
