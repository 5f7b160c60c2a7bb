"""Scripts over IMAP in a real server, by Python's own client: messages that came long ago are sorted anew."""

from __future__ import annotations

import imaplib
from pathlib import Path

from daemon.mail.address import parse_address
from daemon.store import accounts, sieve
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.server import Server

ANN, BOB = "ann@one.test", "bob@one.test"
LETTERS = 110
SORTING = """require ["fileinto", "mailbox", "imap4flags", "copy", "editheader", "duplicate"];
if duplicate { discard; stop; }
if header :contains "subject" "7" { addheader "X-Sorted" "yes"; fileinto :create :flags "Seven" "Lists/Seven"; }
elsif header :is "subject" "letter 100" { redirect :copy "archive@far.example"; }
elsif header :is "subject" "letter 101" { redirect "bob@one.test"; }
elsif header :is "subject" "letter 102" { fileinto "Nowhere"; }
elsif header :contains "subject" "8" { addflag "\\\\Flagged"; }
"""
TASKS = """require ["environment", "imapsieve", "fileinto", "mailbox", "copy", "enotify", "imap4flags", "editheader"];
if environment "imap.cause" "APPEND" { addflag "New"; notify "mailto:bob@one.test"; }
if environment "imap.cause" "COPY" { addheader "X-Copied" "yes"; fileinto :copy :create "Copied"; }
if environment :contains "imap.changedflags" "Done" { redirect "archive@far.example"; }
if header :contains "subject" "wrong" { fileinto "Nowhere"; }
"""


def prepare(server: Server, script: str) -> None:
    store = Store.open(server.data)

    def work(tx: Tx) -> None:
        account = accounts.get(tx, parse_address(ANN)).id
        sieve.put(tx, account, "sorting", script)
        sieve.put(tx, account, "tasks", TASKS)

    store.write_now(work)
    store.close()


def login(server: Server, user: str = ANN) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=60)
    client.login(user, "wonderland")
    return client


def append(client: imaplib.IMAP4, subject: str, mailbox: str = "INBOX") -> None:
    letter = f"From: c@far.example\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '')}@far.example>\r\n"
    assert client.append(mailbox, "", "", f"{letter}\r\nHello.\r\n".encode())[0] == "OK"


def subjects(client: imaplib.IMAP4, mailbox: str, key: str = "ALL") -> int:
    """How many messages fit."""
    assert client.select(mailbox, readonly=True)[0] == "OK"
    _, (found,) = client.search(None, key)
    return len(found.split())


def test_what_came_long_ago_is_sorted_anew_and_what_is_done_is_seen(tmp_path: Path) -> None:
    config = {"queue.hold_external": "yes", "limits.exempt_networks": "127.0.0.0/8", "auth.require_tls": "no"}
    server = Server(tmp_path / "data", {ANN: "wonderland", BOB: "wonderland"}, config)
    prepare(server, SORTING)
    server.start()
    try:
        with login(server) as client, login(server) as other:
            assert b"FILTER=SIEVE" in client.capability()[1][0]
            for number in range(LETTERS):
                append(client, f"letter {number}")
            client.select("INBOX")
            status, _ = client.xatom("FILTER", "SIEVE PERSONAL sorting ALL")
            assert status == "OK"
            _, told = client.response("FILTERED")
            sevens = sum("7" in str(number) for number in range(LETTERS))
            eights = sum("8" in str(number) and "7" not in str(number) for number in range(LETTERS))
            # one is a letter with a text behind it, which imaplib gives as a pair
            lines = [each for each in told if isinstance(each, tuple) or each.endswith(b" OK")]
            assert len(lines) == sevens + eights + 3
            assert sum(isinstance(each, tuple) and b"ERRORS" in each[0] for each in lines) == 1
            assert subjects(other, "INBOX") == LETTERS
            assert subjects(other, "INBOX", "DELETED") == sevens + 1
            assert subjects(other, "INBOX", "FLAGGED") == eights
            assert subjects(other, "Lists/Seven", "KEYWORD Seven HEADER X-Sorted yes") == sevens
            client.select("INBOX")
            assert client.xatom("FILTER", "SIEVE PERSONAL sorting SUBJECT letter")[0] == "OK"
            assert subjects(other, "INBOX", "DELETED") == LETTERS - 1  # they are known by now; one is in trouble
        with login(server, BOB) as client:
            assert subjects(client, "INBOX") == 1
        with login(server) as client, login(server) as other:
            assert b" IMAPSIEVE=sieve://" in client.capability()[1][0]
            assert client.xatom("SETMETADATA", "Drafts", '(/shared/imapsieve/script "tasks")')[0] == "OK"
            append(client, "task", "Drafts")
            append(client, "wrong task", "Drafts")
            append(client, "wrong as well", "Drafts")
            assert subjects(other, "Drafts") == 3
            assert subjects(other, "Drafts", "KEYWORD New") == 1  # nothing is done with what went wrong
            assert subjects(other, "INBOX", 'SUBJECT "rules do not work"') == 1
            client.select("INBOX")
            assert client.copy("1:20", "Drafts")[0] == "OK"
            assert subjects(other, "Copied", "HEADER X-Copied yes") == 20
            client.select("Drafts")
            assert client.store("1,4", "+FLAGS", "Done")[0] == "OK"
            assert subjects(other, "Drafts", "KEYWORD Done DELETED") == 2
        with login(server, BOB) as client:
            assert subjects(client, "INBOX", 'SUBJECT "task"') == 1
    finally:
        server.stop()
    store = Store.open(server.data)
    assert [*check(store)] == []
    assert (
        store.read_now(Tx.all, "select address, state, hold_reason is null from queue_recipient")
        == [("archive@far.example", "held", 0)] * 3
    )
    store.close()
