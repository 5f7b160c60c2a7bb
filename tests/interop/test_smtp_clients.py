"""Mail handed in by the clients people use."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.instruments.server import Server
from tests.interop.conftest import USERS, found, run

ALICE, BOB = USERS


def swaks(server: Server, port: str, *options: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    return run(
        "swaks", "-n", "--server", "127.0.0.1", "--port", str(server.ports[port]), "--helo", "client.example.org",
        "--timeout", "20", *options, codes=codes,
    )  # fmt: skip


def login(mechanism: str, password: str = USERS[ALICE]) -> tuple[str, ...]:
    return ("--auth", mechanism, "--auth-user", ALICE, "--auth-password", password, "--from", ALICE)


@pytest.mark.parametrize("options", [(), ("--tls",), ("--pipeline",)], ids=["plain", "starttls", "pipelined"])
def test_swaks_delivers_from_another_server(server: Server, options: tuple[str, ...]) -> None:
    subject = f"from outside{' '.join(options)}"
    swaks(server, "smtp", *options, "--from", "a@example.org", "--to", ALICE, "--header", f"Subject: {subject}")
    data = found(server, ALICE, subject)
    assert data.startswith(b"Return-Path: <a@example.org>\r\n")
    assert b"Received: from client.example.org" in data


def test_swaks_hands_over_by_lmtp_with_an_answer_for_each_recipient(server: Server) -> None:
    said = swaks(
        server, "lmtp", "--protocol", "LMTP", "--from", "a@example.org", "--to", f"{ALICE},{BOB}",
        "--header", "Subject: by lmtp",
    )  # fmt: skip
    assert said.count("<-  250 2.") >= 4
    assert found(server, ALICE, "by lmtp") and found(server, BOB, "by lmtp")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("port", "tls"), [("submission", "--tls"), ("submissions", "--tlsc")])
def test_swaks_submits_with_a_password(server: Server, mechanism: str, port: str, tls: str) -> None:
    subject = f"submitted {mechanism} {port}"
    swaks(server, port, tls, *login(mechanism), "--to", BOB, "--header", f"Subject: {subject}")
    assert found(server, BOB, subject)


def test_a_wrong_password_is_refused(server: Server) -> None:
    said = swaks(server, "submission", "--tls", *login("PLAIN", "wrong"), "--to", BOB, codes=(28,))
    assert "535 5.7.8" in said


@pytest.mark.parametrize(
    ("to", "reply"), [("nobody@example.test", "550 5.1.1"), ("somebody@elsewhere.example", "550 5.7.1")]
)
def test_mail_for_strangers_is_refused_at_rcpt(server: Server, to: str, reply: str) -> None:
    assert reply in swaks(server, "smtp", "--from", "a@example.org", "--to", to, codes=(24,))


def test_a_user_sends_only_from_his_own_addresses(server: Server) -> None:
    options = ("--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", USERS[ALICE])
    said = swaks(server, "submission", "--tls", *options, "--from", BOB, "--to", BOB, codes=(23, 24))
    assert "553 5.7.1" in said


def test_dots_and_eight_bit_octets_arrive_as_they_were(server: Server, tmp_path: Path) -> None:
    body = b".\r\n..\r\n.dot\r\n\xc3\xa9t\xc3\xa9\r\nend\r\n"
    letter = tmp_path / "letter.eml"
    letter.write_bytes(b"Subject: dots\r\nFrom: a@example.org\r\n\r\n" + body)
    swaks(server, "smtp", "--from", "a@example.org", "--to", ALICE, "--data", f"@{letter}")
    assert found(server, ALICE, "dots").split(b"\r\n\r\n", 1)[1].startswith(body)


def test_msmtp_submits(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account a\nhost 127.0.0.1\nport {server.ports['submission']}\ntls on\ntls_starttls on\ntls_certcheck off\n"
        f'auth plain\nuser {ALICE}\npassword "{USERS[ALICE]}"\nfrom {ALICE}\naccount default : a\n'
    )
    settings.chmod(0o600)
    run(
        "msmtp",
        "-C",
        settings,
        BOB,
        cwd=tmp_path,
        given=f"Subject: by msmtp\nFrom: {ALICE}\nTo: {BOB}\n\nhi\n".encode(),
    )
    data = found(server, BOB, "by msmtp")
    assert b"\r\nMessage-ID: <" in data and b"\r\nDate: " in data, "what the client left out is added"


def test_curl_submits(server: Server, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(
        f"Subject: by curl\r\nFrom: {ALICE}\r\nTo: {BOB}\r\nBcc: secret@example.org\r\n\r\nhi\r\n".encode()
    )
    run(
        "curl", "-sSfk", "--ssl-reqd", "--url", f"smtp://127.0.0.1:{server.ports['submission']}", "--user",
        f"{ALICE}:{USERS[ALICE]}", "--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", letter,
    )  # fmt: skip
    assert b"secret@example.org" not in found(server, BOB, "by curl"), "Bcc goes no further"


def test_mutt_submits_with_the_mechanism_it_likes_best(server: Server, tmp_path: Path) -> None:
    """GNU SASL under mutt takes the strongest mechanism announced, and gives up when that one fails."""
    certificate = tmp_path / "certificate"
    certificate.write_text(ssl.get_server_certificate(("127.0.0.1", server.ports["submissions"])))
    settings = tmp_path / "muttrc"
    settings.write_text(
        f'set smtp_url="smtp://{ALICE.replace("@", "%40")}@127.0.0.1:{server.ports["submission"]}/"\n'
        f'set smtp_pass="{USERS[ALICE]}" from={ALICE} copy=no\n'
        f'set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no certificate_file="{certificate}"\n'
    )
    run("mutt", "-n", "-F", settings, "-s", "by mutt", BOB, cwd=tmp_path, given=b"hello\n")
    assert found(server, BOB, "by mutt")
