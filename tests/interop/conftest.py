"""One real server for all tests of a module, and how real clients are run against it."""

from __future__ import annotations

import imaplib
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instruments.server import Server

USERS = {"alice@example.test": "wonder land", "bob@example.test": "builder"}
PATIENCE = 60  # seconds for one client's run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server") / "data", USERS, {"limits.exempt_networks": "127.0.0.0/8"}
    ) as running:
        yield running


def run(*command: str | Path, cwd: Path | None = None, given: bytes = b"", codes: tuple[int, ...] = (0,)) -> str:
    """Run a client as a user would, without a terminal; what it printed. Fails on an unexpected exit code."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd or Path("/nonexistent")),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm",
    }
    done = subprocess.run(
        [str(part) for part in command], input=given, cwd=cwd, env=environment, timeout=PATIENCE, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    text = done.stdout.decode(errors="replace")
    assert done.returncode in codes, f"{command[0]} exited with {done.returncode}:\n{text[-3000:]}"
    return text


def imap(server: Server, user: str = "alice@example.test") -> imaplib.IMAP4:
    """A connection of Python's own client, logged in over STARTTLS."""
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=PATIENCE)
    client.starttls(trusting())
    client.login(user, USERS[user])
    return client


def trusting() -> ssl.SSLContext:
    """The trial certificate is self-signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def found(server: Server, user: str, subject: str, mailbox: str = "INBOX") -> bytes:
    """The one message with that subject, as IMAP gives it."""
    client = imap(server, user)
    try:
        client.select(mailbox, readonly=True)
        numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        assert len(numbers) == 1, f"{len(numbers)} messages with subject {subject!r} in {mailbox}"
        part = client.fetch(numbers[0].decode(), "(BODY.PEEK[])")[1][0]
        assert isinstance(part, tuple)
        return bytes(part[1])
    finally:
        client.logout()


def emptied(server: Server, user: str, mailbox: str = "INBOX") -> None:
    client = imap(server, user)
    client.select(mailbox)
    client.store("1:*", "+FLAGS.SILENT", "\\Deleted")
    client.expunge()
    client.logout()
