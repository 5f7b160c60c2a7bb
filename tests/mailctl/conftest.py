"""`mailctl` in this process, on a data directory of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.admin import house
from daemon.config import Config
from daemon.flow import receive, signing
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.mail.address import parse_address
from daemon.store.db import Store
from daemon.store.spool import Body
from mailctl.main import cli


class Ctl:
    """Call it with the words of a command line; `ok` insists on exit code 0, `json` and `lines` read the answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runner = CliRunner(env={"MAILCTL_DATA": str(path), "NO_COLOR": None, "COLUMNS": "200"})

    def __call__(self, *args: str, input: str | bytes | None = None) -> Result:
        return self.runner.invoke(cli, list(args), input=input, prog_name="mailctl")

    def ok(self, *args: str, input: str | bytes | None = None) -> str:
        done = self(*args, input=input)
        assert done.exit_code == 0, f"{args}: {done.exit_code} {done.stderr} {done.exception!r}"
        return done.stdout

    def json(self, *args: str, input: str | bytes | None = None) -> Any:
        """The one document of a show-like verb."""
        return json.loads(self.ok(*args, "--json", input=input))

    def lines(self, *args: str, input: str | bytes | None = None) -> list[Any]:
        """The documents of a list-like verb."""
        return [json.loads(line) for line in self.ok(*args, "--json", input=input).splitlines()]

    def fails(self, code: int, *args: str, input: str | bytes | None = None) -> str:
        """What it says on standard error when it ends with `code`, in the one form errors have."""
        done = self(*args, input=input)
        assert done.exit_code == code, f"{args}: {done.exit_code}, not {code}: {done.stderr} {done.exception!r}"
        assert done.stderr.startswith("mailctl: error: "), done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.removeprefix("mailctl: error: ").strip()

    def store(self) -> Store:
        """The store itself; the caller closes it."""
        return house.open_store(self.path)


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(tmp_path / "data")


_pair = cache(signing.make)  # the keys of every test's domain: made once, each takes its time


@pytest.fixture
def town(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ctl]:
    """example.org with alice (an administrator) and bob, nobody of whom can log in."""
    with monkeypatch.context() as quick:
        quick.setattr(signing, "make", _pair)
        ctl.ok("domain", "add", "example.org")
    ctl.ok("user", "add", "alice@example.org", "--no-password", "--admin", "--name", "Alice")
    ctl.ok("user", "add", "bob@example.org", "--no-password")
    yield ctl


def contained(ctl: Ctl, *to: str) -> None:
    """Bob sends one message more than he may, to two: they are held."""
    store = ctl.store()
    config = Config([("hostname", "mx.example.org"), ("allowance.messages_per_hour", "1")])
    for number in range(2):
        data = b"From: <bob@example.org>\r\nMessage-ID: <held%d@example.org>\r\n\r\nHello.\r\n" % number
        whom = [Recipient(parse_address(one)) for one in (to or ("h1@far.example", "h2@far.example"))]
        origin = Origin("submission", peer="192.0.2.1", account_id=2)
        receive.accept_now(
            store, origin, Envelope(parse_address("bob@example.org"), whom), Body.of(data), config=config
        )  # fmt: skip
    store.close()


MESSAGE = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@shop.example>\n"
    b"To: alice@example.org\n"
    b"Subject: Re: Your order\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0100\n"
    b"Message-ID: <1@shop.example>\n"
    b"Content-Type: text/plain; charset=utf-8\n"
    b"\n"
    b"Hallo Alice,\n"
    b"From here on: zwei W\xc3\xb6rter\n"
)


def message(subject: str = "hello", sender: str = "joerg@shop.example", body: str = "text", number: int = 1) -> bytes:
    """A small message with line feeds, as files have it."""
    return (
        f"From: {sender}\nTo: alice@example.org\nSubject: {subject}\nMessage-ID: <{number}@test.example>\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\n\n{body}\n"
    ).encode()


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.eml"
    path.write_bytes(MESSAGE)
    return path
