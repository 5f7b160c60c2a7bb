"""A user moves junk to Junk, and what is none back out of it, with whatever client: within seconds the filter has
learnt it, once, and without a trace of what it believed before.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.mail import tokens
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.interop.conftest import run
from tests.store.stage import clean

ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", "wonderland"
SECONDS = 5.0  # in which a move is learnt


def letter(number: int) -> bytes:
    head = f"From: Shop <offers@shop.example>\r\nSubject: offer {number}\r\nMessage-ID: <{number}@shop.example>\r\n"
    return f"{head}\r\nCheap watches, only today, number {number}.\r\n".encode()


class Place:
    """A running server, and a look at what it learnt."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.store = Store.open(server.data)

    def deliver(self, number: int, to: str = ALICE) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as smtp:
            smtp.sendmail("x@shop.example", [to], letter(number))

    def imap(self, *commands: str, user: str = ALICE) -> None:
        with Peer(self.server.ports["imap"]) as peer:
            assert peer.line().startswith(b"* OK")
            for command in (f"LOGIN {user} {PASSWORD}", *commands):
                peer.command(command)

    def learnt(self, user: str = ALICE) -> tuple[int, int]:
        """How many (ham, spam) messages."""
        found: tuple[int, int] | None = self.store.read_now(
            Tx.one,
            "select s.ham, s.spam from spam_learnt s join account a on a.id = s.account_id where a.local = ?",
            user.partition("@")[0],
        )  # fmt: skip
        return found or (0, 0)

    def counts(self) -> list[tuple[Any, ...]]:
        return self.store.read_now(Tx.all, "select * from spam_token order by 1, 2")

    def soon(self, ham: int, spam: int, user: str = ALICE) -> None:
        until(lambda: self.learnt(user) == (ham, spam), lambda: self.learnt(user), SECONDS)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Server(tmp_path / "data", {ALICE: PASSWORD, BOB: PASSWORD}) as server:
        place = Place(server)
        yield place
        clean(place.store)
        place.store.close()
        assert "Traceback" not in server.log(), server.log()[-3000:]


def test_a_message_is_moved_to_junk_and_back_and_to_trash(place: Place) -> None:
    place.deliver(1)
    place.deliver(2)
    place.deliver(2, BOB)
    place.imap("SELECT INBOX", "UID MOVE 1 Junk")
    place.soon(0, 1)
    spam = place.counts()
    assert {row[2:] for row in spam} == {(0, 1)}
    ids = tokens.ids(tokens.tokenize(letter(1)))
    assert set(ids) <= {row[1] for row in spam}, "its own words were counted"
    place.imap("SELECT Junk", "UID MOVE 1 INBOX")
    place.soon(1, 0)
    assert place.counts() == [(account, token, 1, 0) for account, token, _, _ in spam]
    place.imap("SELECT INBOX", "COPY 2 Junk", "SELECT Junk", "MOVE 1 Trash")
    place.imap("SELECT INBOX", "MOVE 1:* Trash", "SELECT Trash", "MOVE 1:* INBOX")
    place.imap("SELECT INBOX", "MOVE 1 Junk", user=BOB)
    place.soon(0, 1, BOB)
    until(lambda: not place.store.read_now(Tx.value, "select count(*) from spam_lesson"))
    assert place.learnt() == (0, 1), "letter 1 was moved to Junk last, by COPY"
    place.imap("SELECT Junk", "STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE", user=BOB)
    assert place.learnt(BOB) == (0, 1)


def test_a_lesson_outlives_a_kill_and_an_expunge(place: Place) -> None:
    """Both come before the worker can: it is told, in the same breath, of far more than it has time for."""
    for number in range(40):
        place.deliver(number)
    place.imap("SELECT INBOX", "MOVE 1:* Junk", "SELECT Junk", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE")
    place.server.kill()
    place.server.start()
    until(lambda: place.learnt() == (0, 40), lambda: place.learnt())


def maildir(place: Place, folder: Path) -> Callable[[], None]:
    """mbsync between the server and Maildirs in `folder`; call it to synchronise."""
    settings = folder / "mbsyncrc"
    (folder / "mail").mkdir()
    settings.write_text(
        f"IMAPAccount a\nHost 127.0.0.1\nPort {place.server.ports['imap']}\nUser {ALICE}\nPass {PASSWORD}\n"
        "SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount a\n\n"
        "MaildirStore near\nPath mail/\nInbox mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    return lambda: str(run("mbsync", "-c", settings, "-a", cwd=folder)) and None


def test_mbsync_moves_a_message_to_junk_and_back_and_to_trash(place: Place, tmp_path: Path) -> None:
    """It appends in one mailbox and expunges in the other; the message is the same one all the same."""
    place.deliver(1)
    place.deliver(2)
    synchronise = maildir(place, tmp_path)
    synchronise()
    boxes = tmp_path / "mail"

    def move(source: str, target: str) -> None:
        (found,) = [p for p in (boxes / source).glob("*/*") if b"offer 1\n" in p.read_bytes()]
        found.rename(boxes / target / "cur" / re.sub(r",U=\d+", "", found.name.partition(":")[0] + ":2,S"))
        synchronise()

    move("INBOX", "Junk")
    place.soon(0, 1)
    before = place.counts()
    move("Junk", "Archive")
    place.soon(1, 0)
    assert {row[2:] for row in place.counts()} == {(1, 0)}
    assert {row[1] for row in before} == {row[1] for row in place.counts()}, "what mbsync adds teaches nothing"
    move("Archive", "Junk")
    place.soon(0, 1)
    move("Junk", "Trash")
    synchronise()
    assert place.learnt() == (0, 1) and not place.store.read_now(Tx.value, "select count(*) from spam_lesson")
