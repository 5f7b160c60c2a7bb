"""Waking and sleeping: first starts, `ready`, settings that change meanwhile, many listeners, root who steps down."""

from __future__ import annotations

import os
import poplib
import pwd
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from daemon import main
from daemon.admin import house, trial
from daemon.config import DataDir
from daemon.store import settings
from daemon.store.db import Store
from tests.instruments.server import PROTOCOLS, Server, free_ports
from tests.instruments.until import until

ALICE = "alice@example.test"
GREETINGS = (b"220", b"* O", b"+OK", b'"IM', b"HTT")
LISTENERS = [f"listen.{name}" for name in PROTOCOLS]


def mailctl(data: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mailctl", "--data", str(data), *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def listen_on(data: Path, places: list[str]) -> None:
    """Settings of all listeners, in a data directory that may be new."""
    store = house.open_store(data)
    store.write_now(lambda tx: [settings.put(tx, key, at, "test") for key, at in zip(LISTENERS, places, strict=True)])
    store.close()


def free_places() -> list[str]:
    return [f"127.0.0.1:{port}" for port in free_ports(len(LISTENERS))]


def serve(data: Path, *words: str, **environ: str) -> tuple[str, list[str]]:
    """A whole life: start, wait for `ready`, SIGTERM; what it said on both channels."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mailctl", "--data", str(data), "serve", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=os.environ | environ,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    said = ""
    while not said.endswith("ready\n") and (line := process.stdout.readline()):
        said += line
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return said + rest, errors.splitlines()


def test_a_first_start_says_what_it_made_and_the_second_says_nothing(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    listen_on(data, free_places())
    said, notes = serve(data)
    assert said == "ready\n"
    sentences = [note for note in notes if "event=" not in note]
    assert len(sentences) == 3
    assert "database" in sentences[0] and "calls itself" in sentences[1] and "certificate" in sentences[2]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    said, notes = serve(data)
    assert said == "ready\n" and [note for note in notes if "event=" not in note] == []


def test_systemd_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    listen_on(data, ["off"] * len(LISTENERS))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        serve(data, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert [notify.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_the_trial_shows_passwords_and_ports_at_every_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = house.open_store(data)
    shown = trial.prepare(store)
    kept = store.read_now(settings.load)
    store.close()
    assert all(place.host == "127.0.0.1" for key in LISTENERS for place in kept[key])
    assert kept["queue.hold_external"]
    listen_on(data, places := free_places())
    first, _ = serve(data, "--local")
    second, _ = serve(data, "--local")
    assert first == second and first.endswith("\nready\n")
    words = [word for user in shown.users for word in user] + [*places, str(data)]
    assert ALICE in words and all(word in first for word in words)


# -- one server, many doors --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every door on two addresses; certificates from files."""
    path = tmp_path_factory.mktemp("main")
    issued(path, "one.example.test")
    files = {"tls.certificate": str(path / "chain.pem"), "tls.key": str(path / "key.pem")}
    made = Server(path / "data", {ALICE: "wonder land"}, files)
    listen_on(made.data.path, [f"127.0.0.1:{port}, [::1]:{port}" for port in made.ports.values()])
    with made:
        yield made


def issued(path: Path, name: str) -> None:
    leaf = trustme.CA().issue_cert(name)
    (path / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    (path / "key.pem").write_bytes(leaf.private_key_pem.bytes())


def greeting(server: Server, name: str, *, host: str = "127.0.0.1", header: bytes = b"") -> bytes:
    """What a door says first, behind a PROXY header and TLS where they are due."""
    with socket.create_connection((host, server.ports[name]), 30) as sock:
        sock.sendall(header)
        asked = b"GET / HTTP/1.0\r\n\r\n" if name in ("http", "https", "admin", "metrics") else b""
        if name not in ("submissions", "imaps", "pop3s", "https", "admin"):
            sock.sendall(asked)
            return sock.recv(100)
        with trusting().wrap_socket(sock) as tls:
            tls.sendall(asked)
            return tls.recv(100)


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_door_may_have_several_addresses(server: Server, name: str, host: str) -> None:
    assert greeting(server, name, host=host)[:3] in GREETINGS


V1 = b"PROXY TCP4 192.0.2.9 192.0.2.1 1234 25\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\x09\xc0\0\2\1\x04\xd2\0\x19"


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_trusted_proxy_may_stand_before_every_door(server: Server, header: bytes) -> None:
    mailctl(server.data.path, "config", "set", "proxy.trusted", "127.0.0.1")
    try:
        for name in PROTOCOLS:
            assert greeting(server, name, header=header)[:3] in GREETINGS, name
        assert greeting(server, "smtp", host="::1").startswith(b"220"), "who is not trusted needs none"
    finally:
        mailctl(server.data.path, "config", "unset", "proxy.trusted")
    until(lambda: greeting(server, "smtp").startswith(b"220"))


def test_a_setting_holds_at_once_for_those_who_are_here_already(server: Server) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as peer:
        peer.ehlo("peer.example")
        assert peer.esmtp_features["size"] == str(50 << 20)
        mailctl(server.data.path, "config", "set", "limits.message_size", "1M")
        peer.ehlo("peer.example")
        assert peer.esmtp_features["size"] == str(1 << 20)
        assert peer.mail("one@peer.example", ["SIZE=2000000"])[0] == 552


def test_a_user_made_meanwhile_logs_in(server: Server, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("looking glass\n")
    mailctl(server.data.path, "user", "add", "carol@example.test", "--password-file", str(tmp_path / "password"))
    client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
    client.user("carol@example.test")
    assert client.pass_("looking glass").startswith(b"+OK")
    client.quit()


def test_hangup_brings_renewed_certificates(server: Server) -> None:
    def shown() -> bytes:
        with socket.create_connection(("127.0.0.1", server.ports["imaps"]), 30) as sock:
            with trusting().wrap_socket(sock) as tls:
                return tls.getpeercert(binary_form=True) or b""

    assert b"one.example.test" in shown()
    issued(server.data.path.parent, "two.example.test")
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: b"two.example.test" in shown())


# -- root --------------------------------------------------------------------------------------------------------------


def test_root_gives_the_data_away_before_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataDir(tmp_path / "data")
    Store.open(data).close()
    done: list[tuple[object, ...]] = []
    for name in ("chown", "initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *args, name=name, **_: done.append((name, *map(str, args))))
    user = pwd.getpwuid(os.getuid())
    main._become(user.pw_name, data)
    assert ("chown", str(data.database), str(user.pw_uid), str(user.pw_gid)) in done
    assert [step[0] for step in done[-3:]] == ["initgroups", "setgid", "setuid"]
    done.clear()
    main._become("nobody-of-that-name", data)
    assert done == []


def test_who_was_root_is_root_no_more(tmp_path: Path) -> None:
    """For real where the tests run as root; anybody else sees that it cannot be done by accident."""
    Store.open(DataDir(tmp_path / "data")).close()
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom daemon import main\n"
        "data = main.DataDir(Path(sys.argv[1]))\nmain._become('nobody', data)\n"
        "import pwd\nassert os.getuid() == os.geteuid() == pwd.getpwnam('nobody').pw_uid\n"
        "assert 0 not in os.getgroups() and data.database.name\n"
        "try:\n    os.setuid(0)\nexcept PermissionError:\n    print('stepped down')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False
    )
    if os.geteuid() == 0:
        assert done.stdout == "stepped down\n", done.stderr
        assert (tmp_path / "data" / "mail.db").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    else:
        assert "PermissionError" in done.stderr
