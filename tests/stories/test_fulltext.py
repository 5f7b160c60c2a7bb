"""The full-text index beside a running server: searches are right before it has caught up, while it does, after a kill
in the middle of it, and after it; and mail that comes waits for nothing.
"""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store.db import Store
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl
from tests.store.stage import clean

ALICE, PASSWORD = "alice@example.test", "wonderland"
COUNT = 600


def letter(number: int) -> bytes:
    kind = ("invoice", "Rechnung", "請求書", "счёт")[number % 4]
    return (
        f"From: Shop <shop@shop.example>\r\nTo: {ALICE}\r\nSubject: letter {number}\r\n"
        f"Message-ID: <{number}@s.example>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<p>Re{kind[:2]}<b>{kind[2:]}s</b> of the year, number n{number}n.</p>\r\n"
    ).encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", {ALICE: PASSWORD})
    server.start()
    yield server
    server.kill()


def search(server: Server, *keys: str) -> list[int]:
    with Peer(server.ports["imap"]) as peer:
        assert peer.line().startswith(b"* OK")
        peer.command(f"LOGIN {ALICE} {PASSWORD}")
        peer.command("SELECT INBOX")
        lines = peer.command(" ".join(("UID SEARCH CHARSET UTF-8", *keys)))
        (line,) = [line[0] for line in lines if line[0].startswith(b"* SEARCH")]
        return [int(uid) for uid in line.split()[2:]]


def literal(text: str) -> str:
    return f"{{{len(text.encode())}+}}\r\n{text}"


def right(server: Server, count: int) -> None:
    for number, text in enumerate(("reinvo", "ERECHNUNGS O", "請求書S", "СЧЁТS")):
        assert search(server, "BODY", literal(text)) == list(range(number + 1, count + 1, 4)), text
    assert search(server, "BODY n17n") == [18]
    assert search(server, "TEXT", literal("letter 59"), "NOT BODY", literal("invoice")) == [
        uid for uid in range(1, count + 1) if str(uid - 1).startswith("59") and uid % 4 != 1
    ]


def indexed(ctl: Ctl) -> int:
    return int(ctl.json("mail", "index")["indexed"])


def test_searches_are_right_whatever_the_index_has(server: Server, tmp_path: Path) -> None:
    ctl = Ctl(server.data.path)
    box = mailbox.mbox(tmp_path / "letters.mbox")
    for number in range(COUNT):
        box.add(letter(number))
    box.close()
    ctl.ok("mail", "import", ALICE, str(tmp_path / "letters.mbox"))
    right(server, COUNT)
    until(lambda: indexed(ctl) >= COUNT - 64, "the index catches up", 30)
    right(server, COUNT)

    ctl.ok("mail", "reindex", "--all", "--yes")
    server.kill()  # in the middle of it, or before
    server.start()
    right(server, COUNT)
    until(lambda: indexed(ctl) >= COUNT - 64, "the index is made anew", 30)
    right(server, COUNT)

    ctl.ok("mail", "rm", "--user", ALICE, "--search", "body:n17n", "--yes")
    assert search(server, "BODY n17n") == []
    assert server.stop() == 0
    store = Store.open(server.data)
    clean(store)
    store.close()
