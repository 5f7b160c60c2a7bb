"""What keeps the server from starting is said in one sentence, with exit code 78: no traceback, nothing changed."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from daemon.config import DataDir
from tests.instruments.server import Server

CONFIGURATION = 78


def refusal(data: Path) -> str:
    """Start the server, which must refuse; its one sentence."""
    command = [sys.executable, "-m", "mailctl", "--data", str(data), "serve"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == CONFIGURATION, (done.returncode, done.stdout, done.stderr)
    assert "ready" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("mailctl: error: ") and len(lines[0]) < 400, done.stderr
    assert "Traceback" not in done.stderr and "Error(" not in done.stderr and "errno" not in done.stderr.lower()
    return lines[0]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Prepared, not started."""
    return Server(tmp_path / "data", {"alice@example.test": "wonderland"})


def spoil(server: Server, key: str, value: str) -> None:
    """A row as a hand or a restore may have left it: no verb of ours would."""
    with closing(sqlite3.connect(server.data.database)) as connection, connection:
        connection.execute("insert or replace into setting (key, value) values (?, ?)", (key, value))
    connection.close()


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def no_log(data: DataDir) -> None:
    """Move what is in the write-ahead log into the database."""
    connection = sqlite3.connect(data.database)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


NOISE = random.Random(1).randbytes(1 << 16)
DAMAGE: dict[str, Callable[[Path], None]] = {
    "noise": lambda path: void(path.write_bytes(NOISE)),
    "schema-overwritten": lambda path: overwrite(path, 100, NOISE[:3000]),
    "cut-short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "pages-overwritten": lambda path: overwrite(path, 4096, NOISE),
}


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_corrupt_database(server: Server, damage: Callable[[Path], None]) -> None:
    no_log(server.data)
    damage(server.data.database)
    before = server.data.database.read_bytes()
    said = refusal(server.data.path)
    assert str(server.data.database) in said and ("backup" in said or "not a" in said), said
    assert server.data.database.read_bytes() == before


def test_a_database_of_which_the_settings_are_damaged(server: Server) -> None:
    """The server does not start on guesses; the doctor still comes in and says what is hurt."""
    no_log(server.data)
    with closing(sqlite3.connect(server.data.database)) as connection, connection:
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'setting'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    connection.close()
    overwrite(server.data.database, (page - 1) * size, NOISE[:size])
    assert str(server.data.database) in refusal(server.data.path)
    command = [sys.executable, "-m", "mailctl", "--data", str(server.data.path), "doctor", "--store"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 1 and "malformed" in done.stdout + done.stderr, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_foreign_database(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    data.make()
    connection = sqlite3.connect(data.database)
    connection.executescript(
        "create table account (id integer primary key, balance real); insert into account values (1, 2)"
    )
    connection.close()
    before = data.database.read_bytes()
    assert str(data.database) in refusal(data.path)
    assert data.database.read_bytes() == before


def test_a_database_of_a_newer_version(server: Server) -> None:
    with closing(sqlite3.connect(server.data.database)) as connection, connection:
        connection.execute("update migration set number = 9999 where number = (select max(number) from migration)")
    connection.close()
    assert "newer" in refusal(server.data.path)


def test_segments_without_their_database(server: Server) -> None:
    """An empty database would be the second loss: what the segments hold could not be found any more."""
    (server.data.segments / "00000001.seg").write_bytes(b"MSG1" + NOISE[:5000])
    server.data.database.unlink()
    assert "backup" in refusal(server.data.path)


@pytest.mark.parametrize("name", ["smtp", "imaps"])
def test_a_busy_port(server: Server, name: str) -> None:
    with socket.create_server(("127.0.0.1", server.ports[name])):
        said = refusal(server.data.path)
    assert f"listen.{name}" in said and str(server.ports[name]) in said, said


def test_an_address_of_another_machine(server: Server) -> None:
    spoil(server, "listen.imap", "192.0.2.1:143")
    assert "listen.imap" in refusal(server.data.path)


def test_a_certificate_that_is_missing(server: Server, tmp_path: Path) -> None:
    spoil(server, "tls.certificate", str(tmp_path / "no.pem"))
    spoil(server, "tls.key", str(tmp_path / "no.key"))
    said = refusal(server.data.path)
    assert "no.pem" in said or "no.key" in said, said


def test_a_certificate_that_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "it.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    spoil(server, "tls.certificate", str(tmp_path / "it.pem"))
    spoil(server, "tls.key", str(tmp_path / "it.pem"))
    assert "it.pem" in refusal(server.data.path)


def test_a_key_that_is_not_the_certificate_s(server: Server, tmp_path: Path) -> None:
    openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    for name in ("a", "b"):
        keys = ["-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.pem"]
        subprocess.run([*openssl.split(), *keys], check=True, capture_output=True)
    spoil(server, "tls.certificate", str(tmp_path / "a.pem"))
    spoil(server, "tls.key", str(tmp_path / "b.key"))
    said = refusal(server.data.path)
    assert "a.pem" in said or "b.key" in said, said


@pytest.mark.parametrize("key,value", [("queue.retry", "soon"), ("listen.smtp", "nowhere"), ("hostname", "not a name")])
def test_a_bad_setting(server: Server, key: str, value: str) -> None:
    spoil(server, key, value)
    assert key in refusal(server.data.path)


def test_a_second_server_on_the_same_data(server: Server) -> None:
    with server:
        said = refusal(server.data.path)
        assert str(server.data.path) in said and "another server" in said, said
        with socket.create_connection(("127.0.0.1", server.ports["smtp"]), 10) as first:
            assert first.recv(4) == b"220 "
    assert server.errors.read_text().count("Traceback") == 0


@pytest.mark.parametrize("place", ["data", "data/mail.db", "data/segments"])
def test_something_else_in_the_place_of_the_data(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    if place.endswith(".db"):
        path.mkdir()
    else:
        path.write_text("a file\n")
    assert str(path) in refusal(tmp_path / "data")


def test_after_the_cause_is_gone_it_starts(server: Server) -> None:
    """Nothing of the failed starts stands in the way."""
    spoil(server, "queue.retry", "soon")
    refusal(server.data.path)
    spoil(server, "queue.retry", "5m")
    with socket.create_server(("127.0.0.1", server.ports["imap"])):
        refusal(server.data.path)
    with server:
        pass
