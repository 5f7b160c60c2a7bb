"""The administrator's hand and the running machine: what is changed with `mailctl`, or by SIGHUP, counts within a
second, without a restart; and what `mailctl` says does not depend on whether the server runs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import trustme
from cryptography import x509

from mailctl.main import cli
from tests.instruments.dns_server import DNSServer
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl, message

ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", "wonderland"
SECOND = 1.0  # in which a change counts


class Place:
    """A running server, the hand on it, and looks at it from outside; each look is a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ctl = Ctl(server.data.path)

    def soon(self, true: Callable[[], object], what: str = "") -> None:
        until(true, what, SECOND)

    def smtp(self, *lines: str, door: str = "smtp") -> str:
        """The answer to the last of these lines; the greeting when there are none."""
        with Peer(self.server.ports[door]) as peer:
            said = peer.reply()
            for line in lines:
                peer.send(line)
                said = peer.reply()
            return said

    def rcpt(self, address: str, size: int = 1000) -> str:
        return self.smtp("EHLO x.example.org", f"MAIL FROM:<x@example.org> SIZE={size}", f"RCPT TO:<{address}>")

    def hello(self, door: str = "smtp") -> str:
        return self.smtp("EHLO x.example.org", door=door)

    def deliver(self, data: bytes, to: str = ALICE) -> str:
        with Peer(self.server.ports["smtp"]) as peer:
            envelope = f"EHLO x.example.org\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
            peer.says(envelope.encode(), "220", "250", "250", "250", "354")
            peer.send(data + b"\r\n.\r\n")
            return peer.reply()

    def submit(self, to: str) -> None:
        """A message to another server."""
        with Peer(self.server.ports["submission"]) as peer:
            secret = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
            peer.says(f"EHLO x.example.org\r\nAUTH PLAIN {secret}\r\n".encode(), "220", "250", "235")
            peer.says(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode(), "250", "250", "354")
            peer.says(f"From: <{ALICE}>\r\nSubject: out\r\n\r\nout\r\n.\r\n".encode(), "250 2.0.0")

    def queued(self, to: str) -> dict[str, Any]:
        (row,) = self.ctl.lines("queue", "list", "--to", to)
        return dict(row)

    def logs_in(self, user: str, password: str = PASSWORD) -> bool:
        with self.imap() as peer:
            peer.send(f'a LOGIN {user} "{password}"')
            return peer.line().startswith(b"a OK")

    def imap(self, user: str = "") -> Peer:
        peer = Peer(self.server.ports["imap"])
        assert peer.line().startswith(b"* OK")
        if user:
            peer.command(f"LOGIN {user} {PASSWORD}")
        return peer

    def capability(self) -> bytes:
        with self.imap() as peer:
            return peer.command("CAPABILITY")[0][0]

    def shown(self, name: str, door: str = "imaps") -> set[str]:
        """The names of the certificate that somebody sees who asks for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with Peer(self.server.ports[door]) as peer:
            if door == "smtp":
                peer.says(b"EHLO x.example.org\r\nSTARTTLS\r\n", "220", "250", "220")
            peer.socket = context.wrap_socket(peer.socket, server_hostname=name)
            return names_of(peer.socket)


def names_of(session: ssl.SSLSocket) -> set[str]:
    der = session.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(names.value.get_values_for_type(x509.DNSName))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("at-once") / "data"
    settings = {"queue.hold_external": "yes", "limits.connections_per_address": "1000"}
    with Server(path, {ALICE: PASSWORD, BOB: PASSWORD}, settings) as server:
        yield Place(server)
        assert "Traceback" not in server.log(), server.log()[-3000:]


# -- settings ----------------------------------------------------------------------------------------------------------


def bare_newline(place: Place) -> bool:
    return place.deliver(b"Subject: bare\n\nbare\n").startswith("250")


def proxied(place: Place) -> bool:
    with Peer(place.server.ports["smtp"]) as peer:
        peer.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 25\r\nQUIT\r\n")
        return peer.reply().startswith("220") and peer.reply().startswith("221")


def lifetime(place: Place) -> bool:
    place.submit("lifetime@far.example")
    row = place.queued("lifetime@far.example")
    place.ctl.ok("queue", "drop", str(row["id"]), "--yes")
    created, expires = (re.sub(r"\D", "", row[key])[8:12] for key in ("created_at", "expires_at"))
    return (int(expires[:2]) * 60 + int(expires[2:]) - int(created[:2]) * 60 - int(created[2:])) % 1440 == 120


def second_recipient(place: Place) -> str:
    return place.smtp("EHLO x", "MAIL FROM:<x@example.org>", f"RCPT TO:<{ALICE}>", f"RCPT TO:<{BOB}>")


SETTINGS: list[tuple[str, str, Callable[[Place], bool]]] = [
    ("hostname", "mx2.example.test", lambda p: p.smtp().startswith("220 mx2.example.test ")),
    ("limits.message_size", "1M", lambda p: "SIZE 1048576" in p.hello()),
    ("limits.message_size", "2000", lambda p: p.rcpt(ALICE, 3000)[:3] in ("503", "552")),
    ("limits.recipients", "1", lambda p: second_recipient(p).startswith("452 4.5.3")),
    ("limits.quota", "10", lambda p: p.rcpt(ALICE)[:3] in ("452", "552")),
    ("limits.connections", "0", lambda p: p.smtp().startswith("421")),
    ("limits.connections_per_address", "0", lambda p: p.smtp().startswith("421")),
    ("auth.require_tls", "yes", lambda p: "AUTH" not in p.hello("submission")),
    ("smtp.trusted_networks", "127.0.0.0/8", lambda p: p.rcpt("x@far.example").startswith("250")),
    ("smtp.bare_newline", "normalize", bare_newline),
    ("smtp.bare_newline_exempt", "127.0.0.0/8", bare_newline),
    ("proxy.trusted", "127.0.0.0/8", proxied),
    ("store.reserve", "999T", lambda p: p.smtp("EHLO x", "MAIL FROM:<x@example.org>").startswith("452 4.3.1")),
    ("imap.capabilities_off", "IDLE", lambda p: b"IDLE" not in p.capability()),
    ("queue.lifetime", "2h", lifetime),
]


@pytest.mark.parametrize("key,value,shows", SETTINGS, ids=[f"{key}={value}" for key, value, _ in SETTINGS])
def test_a_setting_counts_at_once(place: Place, key: str, value: str, shows: Callable[[Place], bool]) -> None:
    assert not shows(place)
    old = place.ctl.json("config", "get", key)
    said = place.ctl.ok("config", "set", key, value)
    try:
        assert "restart" not in said
        place.soon(lambda: shows(place), f"{key} is {value}")
    finally:
        place.ctl.ok("config", *(("set", key, old["value"]) if old["changed"] else ("unset", key)))
    place.soon(lambda: not shows(place), f"{key} is as before")


def test_a_network_is_exempt_from_limits_at_once(place: Place) -> None:
    place.ctl.ok("config", "set", "limits.connections_per_address", "0")
    place.soon(lambda: place.smtp().startswith("421"))
    place.ctl.ok("config", "set", "limits.exempt_networks", "127.0.0.0/8")
    place.soon(lambda: place.smtp().startswith("220"))
    place.ctl.ok("config", "set", "limits.connections_per_address", "1000")
    place.ctl.ok("config", "unset", "limits.exempt_networks")


def test_a_listener_says_that_it_needs_a_restart(place: Place) -> None:
    assert "restarted" in place.ctl.ok("config", "set", "listen.lmtp", "off")
    assert place.smtp(door="lmtp").startswith("220")


def test_a_bad_row_in_the_table_keeps_what_was(place: Place) -> None:
    """Written past `mailctl`, say by a restored backup."""
    store = place.ctl.store()
    store.write_now(lambda tx: tx.run("insert into setting (key, value) values ('limits.recipients', 'plenty')"))
    store.close()
    until(lambda: "event=setting-ignored" in place.server.log())
    assert place.smtp().startswith("220")
    place.ctl.ok("config", "unset", "limits.recipients")
    place.ctl.ok("config", "set", "hostname", "mx3.example.test")
    place.soon(lambda: place.smtp().startswith("220 mx3."))
    place.ctl.ok("config", "set", "hostname", "mx.example.test")


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_pair(authority: trustme.CA, folder: Path, *names: str) -> tuple[str, str]:
    issued = authority.issue_cert(*names)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return str(chain), str(key)


def test_an_imported_certificate_is_shown_to_who_asks_for_its_name(
    place: Place, authority: trustme.CA, tmp_path: Path
) -> None:
    before = place.shown("mx.example.test")
    with Peer(place.server.ports["imaps"], tls=True) as old:
        assert old.line().startswith(b"* OK")
        chain, key = write_pair(authority, tmp_path, "mail.example.net", "*.example.com")
        place.ctl.ok("cert", "import", chain, "--key", key)
        place.soon(lambda: place.shown("mail.example.net") == {"mail.example.net", "*.example.com"})
        assert place.shown("imap.example.com", "smtp") == {"mail.example.net", "*.example.com"}
        assert place.shown("mx.example.test") == place.shown("nobody.example") == before
        old.command("NOOP")


def test_sighup_reloads_certificate_files(place: Place, authority: trustme.CA, tmp_path: Path) -> None:
    before = place.shown("mx.example.test")
    chain, key = write_pair(authority, tmp_path, "mx.example.test", "first.example.test")
    place.ctl.ok("config", "set", "tls.key", key)
    place.ctl.ok("config", "set", "tls.certificate", chain)
    place.soon(lambda: "first.example.test" in place.shown("mx.example.test"))
    with Peer(place.server.ports["imaps"], tls=True) as old:
        assert old.line().startswith(b"* OK")
        write_pair(authority, tmp_path, "mx.example.test", "second.example.test")
        assert "first.example.test" in place.shown("mx.example.test"), "files are read when we say so"
        assert place.server.process is not None
        place.server.process.send_signal(signal.SIGHUP)
        place.soon(lambda: "second.example.test" in place.shown("mx.example.test"))
        assert "second.example.test" in place.shown("mx.example.test", "smtp")
        old.command("NOOP")
        Path(chain).write_text("a certificate that was cut off in the middle")
        place.server.process.send_signal(signal.SIGHUP)
        until(lambda: "event=certificate-not-loaded" in place.server.log())
        assert "second.example.test" in place.shown("mx.example.test"), "the old one stays until there is a good one"
    place.ctl.ok("config", "unset", "tls.certificate")
    place.ctl.ok("config", "unset", "tls.key")
    place.soon(lambda: place.shown("mx.example.test") == before)


# -- people and addresses ----------------------------------------------------------------------------------------------


def test_a_user_comes_changes_his_password_goes_and_comes_again(place: Place) -> None:
    carol = "carol@example.test"
    assert place.rcpt(carol).startswith("550 5.1.1") and not place.logs_in(carol)
    place.ctl.ok("user", "add", carol, "--password-stdin", input=PASSWORD)
    place.soon(lambda: place.logs_in(carol) and place.rcpt(carol).startswith("250"))
    place.ctl.ok("user", "passwd", carol, "--password-stdin", input="another")
    place.soon(lambda: not place.logs_in(carol), "the old password, though it was right a moment ago")
    assert place.logs_in(carol, "another")
    place.ctl.ok("user", "rm", carol, "--yes")
    place.soon(lambda: place.rcpt(carol).startswith("550 5.1.1") and not place.logs_in(carol, "another"))
    place.ctl.ok("user", "add", carol, "--password-stdin", input=PASSWORD)
    place.soon(lambda: place.logs_in(carol))
    place.ctl.ok("user", "rm", carol, "--yes")


def test_a_disabled_user_is_out_at_once(place: Place) -> None:
    with place.imap(BOB) as open_session:
        place.ctl.ok("user", "disable", BOB)
        place.soon(lambda: not place.logs_in(BOB) and place.rcpt(BOB)[0] in "45")
        assert open_session.rest().startswith(b"* BYE "), "sessions that were open end too"
    place.ctl.ok("user", "enable", BOB)
    place.soon(lambda: place.logs_in(BOB) and place.rcpt(BOB).startswith("250"))


def test_an_app_password_counts_until_it_is_taken_back(place: Place) -> None:
    secret = place.ctl.json("user", "app-password", "add", BOB, "phone", "--scope", "imap")["password"]
    place.soon(lambda: place.logs_in(BOB, secret))
    place.ctl.ok("user", "app-password", "rm", BOB, "phone", "--yes")
    place.soon(lambda: not place.logs_in(BOB, secret))


def test_an_alias_comes_is_disabled_enabled_and_goes(place: Place) -> None:
    info = "info@example.test"
    assert place.rcpt(info).startswith("550 5.1.1")
    place.ctl.ok("alias", "add", info, ALICE)
    place.soon(lambda: place.rcpt(info).startswith("250"))
    place.ctl.ok("alias", "disable", info)
    place.soon(lambda: place.rcpt(info).startswith("550"))
    place.ctl.ok("alias", "enable", info)
    place.soon(lambda: place.rcpt(info).startswith("250"))
    place.ctl.ok("alias", "set", info, "--target", BOB)
    place.ctl.ok("user", "disable", BOB)
    place.soon(lambda: place.rcpt(info)[0] in "45", "it leads to nobody else")
    place.ctl.ok("user", "enable", BOB)
    place.ctl.ok("alias", "rm", info, "--yes")
    place.soon(lambda: place.rcpt(info).startswith("550"))


def test_a_domain_comes_is_disabled_and_goes(place: Place) -> None:
    anyone = "anyone@new.example"
    assert place.rcpt(anyone).startswith("550")
    place.ctl.ok("domain", "add", "new.example", "--catch-all", ALICE)
    place.soon(lambda: place.rcpt(anyone).startswith("250"))
    place.ctl.ok("domain", "disable", "new.example")
    place.soon(lambda: place.rcpt(anyone)[0] in "45")
    place.ctl.ok("domain", "enable", "new.example")
    place.ctl.ok("domain", "set", "new.example", "--no-catch-all")
    place.soon(lambda: place.rcpt(anyone).startswith("550 5.1.1"))
    place.ctl.ok("domain", "rm", "new.example", "--yes")
    place.soon(lambda: place.rcpt("postmaster@new.example").startswith("550"))


def test_a_forward_counts_for_the_next_message(place: Place) -> None:
    place.ctl.ok("forward", "add", BOB, "bob@home.example")
    place.deliver(b"Subject: onward\r\n\r\nonward", BOB)
    assert place.queued("bob@home.example")["state"] == "held"
    place.ctl.ok("forward", "rm", BOB, "--all", "--yes")
    place.ctl.ok("queue", "drop", "--to", "bob@home.example", "--yes")
    place.deliver(b"Subject: stays\r\n\r\nstays", BOB)
    assert not place.ctl.lines("queue", "list", "--to", "bob@home.example")


def test_a_banned_network_is_out_until_it_is_forgiven(place: Place) -> None:
    place.ctl.ok("ban", "add", "127.0.0.1")
    place.soon(lambda: place.smtp().startswith("421"))
    place.ctl.ok("ban", "rm", "127.0.0.1", "--yes")
    place.soon(lambda: place.smtp().startswith("220"))


def test_an_open_mailbox_shows_what_mailctl_puts_in_and_takes_out(place: Place, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(message("by hand", number=77))
    with place.imap(ALICE) as peer:
        peer.command("CREATE Watched")
        peer.command("SELECT INBOX")
        peer.send("i IDLE")
        assert peer.line().startswith(b"+ ")
        place.ctl.ok("mail", "deliver", str(letter), "--to", ALICE)
        peer.socket.settimeout(SECOND)
        exists = peer.line()
        assert exists.endswith(b" EXISTS")
        (row,) = place.ctl.lines("mail", "search", "subject:hand", "--user", ALICE)
        place.ctl.ok("mail", "rm", str(row["id"]), "--yes")
        while not (line := peer.line()).endswith(b" EXPUNGE"):
            assert line.startswith(b"* "), line
        assert line.split()[1] == exists.split()[1]
        peer.send("DONE")
        assert peer.line().startswith(b"i OK")
        place.ctl.ok("mailbox", "rename", ALICE, "Watched", "Seen")
        place.ctl.ok("mailbox", "create", ALICE, "Seen/2026")
        names = [response[0].rsplit(b" ", 1)[1].strip(b'"') for response in peer.command('LIST "" "Seen*"')]
        assert names == [b"Seen", b"Seen/2026"]
        place.ctl.ok("mailbox", "rm", ALICE, "Seen", "--below", "--yes")
        assert not peer.command('LIST "" "Seen*"')


# -- running or stopped ------------------------------------------------------------------------------------------------

WRITES: Sequence[tuple[str, ...]] = (
    ("domain", "add", "example.org"),
    ("domain", "add", "other.example"),
    ("domain", "set", "other.example", "--alias-of", "example.org"),
    ("domain", "disable", "other.example"),
    ("domain", "enable", "other.example"),
    ("user", "add", "ann@example.org", "--no-password", "--name", "Ann", "--quota", "1G"),
    ("user", "add", "ben@example.org", "--no-password"),
    ("user", "add", "cid@example.org", "--no-password"),
    ("user", "set", "ann@example.org", "--name", "Ann B."),
    ("user", "set", "ann@example.org", "--allowance", "10"),
    ("user", "set", "ann@example.org", "--allowance", "much"),
    ("user", "passwd", "ann@example.org", "--password-stdin"),
    ("user", "disable", "cid@example.org"),
    ("user", "enable", "cid@example.org"),
    ("user", "add", "ann@example.org", "--no-password"),
    ("user", "app-password", "add", "ben@example.org", "phone", "--scope", "imap"),
    ("user", "app-password", "add", "ben@example.org", "old", "--scope", "pop3"),
    ("user", "app-password", "rm", "ben@example.org", "old", "--yes"),
    ("alias", "add", "info@example.org", "ann@example.org", "x@far.example", "--note", "for the site"),
    ("alias", "add", "gone@example.org", "ben@example.org"),
    ("alias", "set", "info@example.org", "--add", "ben@example.org"),
    ("alias", "disable", "gone@example.org"),
    ("alias", "enable", "gone@example.org"),
    ("alias", "rm", "gone@example.org", "--yes"),
    ("alias", "rm", "gone@example.org", "--yes"),
    ("forward", "add", "ben@example.org", "ben@home.example", "--keep"),
    ("forward", "set", "cid@example.org", "cid@home.example", "cid@work.example"),
    ("forward", "rm", "cid@example.org", "cid@work.example", "--yes"),
    ("mailbox", "create", "ann@example.org", "Projects/2026"),
    ("mailbox", "rename", "ann@example.org", "Projects", "Work"),
    ("mailbox", "create", "ann@example.org", "Later"),
    ("mailbox", "rm", "ann@example.org", "Later", "--yes"),
    ("mail", "deliver", "LETTER", "--to", "ann@example.org", "--from", "joerg@shop.example"),
    ("mail", "deliver", "LETTER", "--to", "info@example.org", "--from", "joerg@shop.example"),
    ("mail", "deliver", "LETTER", "--to", "nobody@example.org"),
    ("mail", "import", "ann@example.org", "MAILDIR"),
    ("spam", "train", "--spam", "LETTER", "MAILDIR"),
    ("spam", "train", "--ham", "--user", "ann@example.org", "LETTER"),
    ("spam", "train", "--forget", "MAILDIR"),
    ("spam", "train", "--spam", "--user", "nobody@example.org", "LETTER"),
    ("spam", "retrain", "--user", "ben@example.org", "--yes"),
    ("sieve", "put", "ann@example.org", "main", "SCRIPT"),
    ("sieve", "put", "--before", "all", "SCRIPT"),
    ("sieve", "activate", "ann@example.org", "main"),
    ("rule", "add", "ann@example.org", "--subject", "order", "--file", "Orders"),
    ("rule", "add", "ann@example.org", "--has-list", "--flag", "--stop"),
    ("rule", "move", "ann@example.org", "2", "1"),
    ("mail", "deliver", "LETTER", "--to", "ann@example.org", "--from", "joerg@shop.example"),
    ("rule", "rm", "ann@example.org", "1", "--yes"),
    ("vacation", "set", "ann@example.org", "--text", "Away."),
    ("vacation", "set", "ben@example.org", "--text", "Away.", "--until", "2099-01-01"),
    ("vacation", "off", "ann@example.org"),
    ("sieve", "rm", "ann@example.org", "main", "--yes"),
    ("sieve", "rm", "--global", "all", "--yes"),
    ("mail", "rm", "1", "--yes"),
    ("mail", "reindex", "--user", "ann@example.org", "--yes"),
    ("queue", "hold", "--to", "x@far.example", "--reason", "a look first"),
    ("queue", "drop", "--to", "ben@home.example", "--yes"),
    ("queue", "drop", "--incident", "1", "--yes"),
    ("session", "kill", "ben@example.org", "--yes"),
    ("session", "kill", "nobody@example.org", "--yes"),
    ("user", "two-factor", "ben@example.org", "off", "--yes"),
    ("route", "add", "--to", "far.example", "127.0.0.1:9", "--tls", "none"),
    ("route", "add", "--default", "127.0.0.1:9"),
    ("route", "rm", "2", "--yes"),
    ("user", "rm", "cid@example.org", "--yes"),
    ("dkim", "rotate", "example.org"),
    ("dkim", "rotate", "example.org"),
    ("dkim", "rm", "example.org", "SELECTOR", "--yes"),
    ("dkim", "add", "example.org", "--algorithm", "rsa"),
    ("domain", "add", "short.example"),
    ("domain", "rm", "short.example", "--yes"),
    ("spam", "allow", "shop.example", "--user", "ann@example.org"),
    ("spam", "block", "192.0.2.0/24", "eve@far.example"),
    ("spam", "allow"),
    ("spam", "block", "--rm", "eve@far.example"),
    ("quarantine", "release", "1"),
    ("quarantine", "rm", "1", "--yes"),
    ("ban", "add", "192.0.2.0/24", "--reason", "noise"),
    ("ban", "add", "198.51.100.7", "--until", "2099-01-01T00:00:00Z"),
    ("ban", "rm", "192.0.2.0/24", "--yes"),
    ("cert", "import", "CHAIN", "--key", "KEY"),
    ("cert", "renew"),
    ("config", "set", "queue.lifetime", "3d"),
    ("config", "set", "queue.lifetime", "one day"),
    ("config", "set", "limits.quota", "5G"),
    ("config", "unset", "limits.quota"),
    ("config", "revert", "REVERT"),
)

READS: Sequence[tuple[str, ...]] = (
    ("user", "list"), ("user", "show", "ann@example.org"), ("user", "show", "nobody@example.org"),
    ("user", "app-password", "list", "ben@example.org"), ("user", "two-factor", "ben@example.org"),
    ("domain", "list"), ("domain", "show", "other.example"),
    ("alias", "list"), ("alias", "show", "info@example.org"), ("forward", "list"),
    ("forward", "list", "ben@example.org"), ("address", "test", "info@other.example"),
    ("address", "test", "nobody@example.org"), ("mail", "list"), ("mail", "list", "ann@example.org"),
    ("mail", "search", "subject:order"), ("mail", "index"), ("mail", "show", "2"), ("mail", "show", "2", "--raw"),
    ("mail", "export", "ann@example.org", "EXPORT", "--overwrite"), ("mailbox", "list"),
    ("mailbox", "list", "ann@example.org"), ("trace", "--to", "info@example.org"), ("trace", "1@test.example"),
    ("queue", "list"), ("queue", "list", "--error", "("), ("queue", "show", "2"), ("queue", "stats"), ("route", "list"),
    ("dkim", "list"), ("dkim", "list", "example.org"), ("dkim", "show", "example.org", "SELECTOR"),
    ("dns", "records", "example.org"), ("dns", "check", "example.org"), ("status",), ("doctor", "--store"),
    ("dns", "publish", "example.org", "--dry-run"),
    ("report", "dmarc"), ("report", "tls"), ("spam", "stats"), ("spam", "stats", "--user", "ann@example.org"),
    ("spam", "score", "LETTER"), ("spam", "score", "--user", "ann@example.org", "LETTER"),
    ("spam", "eval", "--user", "ann@example.org"), ("spam", "eval", "--user", "cid@example.org"),
    ("sieve", "list"), ("sieve", "get", "ann@example.org", "main"), ("rule", "list"),
    ("sieve", "test", "main", "LETTER", "--user", "ann@example.org"), ("vacation", "show", "ben@example.org"),
    ("quarantine", "list"), ("quarantine", "list", "--user", "ann@example.org", "--since", "2d"),
    ("quarantine", "show", "1"), ("session", "list"), ("session", "list", "--user", "nobody@example.org"),
    ("doctor", "--quick"), ("config", "list"), ("config", "get", "hostname"), ("config", "describe", "queue.retry"),
    ("config", "diff"), ("config", "history"), ("cert", "list"), ("cert", "show", "2"), ("ban", "list"), ("version",),
)  # fmt: skip

ELSEWHERE = {("serve",), ("setup",), ("completion",), ("selftest",)}  # tests/mailctl, tests/admin
# a running server acts on them at once: test_relay
ACTED_ON = {("queue", verb) for verb in ("release", "flush", "retry", "reroute", "bounce")}


def verbs(group: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        yield path
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from verbs(found, (*path, name))


def test_every_verb_is_in_the_table() -> None:
    for verb in set(verbs()) - ELSEWHERE - ACTED_ON:
        assert any(words[: len(verb)] == verb for words in (*WRITES, *READS)), f"{' '.join(verb)} is not tried"


class Desk:
    """`mailctl` on one data directory, with what its words stand for."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.ctl = Ctl(server.data.path)
        folder.mkdir()
        self.ports = re.compile("|".join(rf"\b{port}\b" for port in server.ports.values()))
        self.words = {"EXPORT": str(folder / "export"), "DATA": str(server.data.path)}

    def says(self, words: Sequence[str]) -> tuple[int, str, Any]:
        """Exit code, complaint and JSON of a command, without what must differ between two machines."""
        if words[-1] == "REVERT":
            last = self.ctl.lines("config", "history")[0]
            words = (*words[:-1], str(last["id"]))
        if "SELECTOR" in words:
            self.words["SELECTOR"] = self.ctl.lines("dkim", "list", "example.org")[0]["selector"]
        done = self.ctl(*(self.words.get(word, word) for word in words), "--json", input="a new password\n")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        try:
            told = [json.loads(line) for line in done.stdout.splitlines()]
        except ValueError:
            told = [done.stdout]
        return done.exit_code, self._alike(done.stderr), [self._alike(one) for one in told]

    def _alike(self, told: Any, key: str = "") -> Any:
        if isinstance(told, dict):
            return {k: self._alike(v, k) for k, v in told.items() if k not in DIFFERENT}
        if isinstance(told, list):
            return [self._alike(one, key) for one in told]
        if key.endswith("_at") and told is not None:
            return "then"
        if isinstance(told, str):
            for word, stands_for in self.words.items():
                told = told.replace(stands_for, word)
            return re.sub("|".join(VARYING), "*", self.ports.sub("*", told))
        return told


DIFFERENT = {"running", "problems", "free", "stored", "password", "sha256", "uidvalidity", "days", "took", "chain"}
VARYING = (r'p=[\w+/]{43,}(?:" "[\w+/]+)*=*', r"\b3 1 1 [0-9a-f]{64}\b", r"\b1[a-z0-9]{15}\b", r"id [a-z0-9]{16}",
           r"SRS0=\w+", r"\d{4}-\d\d-\d\d[T ][0-9:.]+Z?", r"\w{3}, \d\d \w{3} \d{4} [0-9:]{8} \+0000")  # fmt: skip


ZONE = 'example.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.1\nexample.org. TXT "v=spf1 mx -all"'


async def test_mailctl_says_and_does_the_same_whether_the_server_runs_or_not(
    authority: trustme.CA, tmp_path: Path
) -> None:
    async with DNSServer(ZONE) as dns:
        await asyncio.to_thread(compare, authority, tmp_path, dns.at)


def compare(authority: trustme.CA, tmp_path: Path, name_server: str) -> None:
    (tmp_path / "letter.eml").write_bytes(message("Your order"))
    for name in ("new", "cur", "tmp"):
        (tmp_path / "maildir" / name).mkdir(parents=True)
    (tmp_path / "maildir" / "cur" / "1.1.host:2,S").write_bytes(message("kept for years", number=2))
    (tmp_path / "main.sieve").write_text("keep;\n")
    chain, key = write_pair(authority, tmp_path, "mail.example.org")
    settings = {"queue.hold_external": "yes", "hostname": "mx.example.org", "dns.servers": name_server}
    running, stopped = (Server(tmp_path / name, {}, settings) for name in ("running", "stopped"))
    desks = []
    for server in (running, stopped):
        server.start()
        desks.append(Desk(server, tmp_path / f"of-{server.data.path.name}"))
        desks[-1].words |= {
            "LETTER": str(tmp_path / "letter.eml"), "MAILDIR": str(tmp_path / "maildir"),
            "SCRIPT": str(tmp_path / "main.sieve"), "CHAIN": chain, "KEY": key,
        }  # fmt: skip
    try:
        assert stopped.stop() == 0
        for words in (*WRITES, *READS):
            one, other = (desk.says(words) for desk in desks)
            assert one == other, words
            assert one[0] in (0, 1, 65, 78), one
        while_running = [desks[0].says(words) for words in READS]
        assert running.stop() == 0
        for words, said in zip(READS, while_running, strict=True):
            assert desks[0].says(words) == said, words
    finally:
        for server in (running, stopped):
            server.kill()
    assert "Traceback" not in running.log()
