"""What a client writes down with a mailbox decides where mail goes, in a real server; what does not fit is refused."""

from __future__ import annotations

import imaplib
import smtplib
from pathlib import Path

from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, sieve
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.server import Server

ANN = "ann@one.test"
SCRIPT = """
require ["mboxmetadata", "servermetadata", "fileinto", "variables"];
if allof (servermetadata :is "/private/vendor/rules/sorting" "on",
          metadata :matches "Archive" "/private/vendor/rules/list" "*") {
    if header :contains "list-id" "${1}" { fileinto "Archive"; }
}
"""
LETTER = "From: c@far.example\r\nTo: ann@one.test\r\nSubject: {0}\r\nList-Id: <news.far.example>\r\n\r\nHello.\r\n"


def test_what_a_client_writes_down_decides_where_mail_goes(tmp_path: Path) -> None:
    with Server(tmp_path / "one", {ANN: "wonderland"}, {"limits.exempt_networks": "127.0.0.0/8"}) as server:
        store = Store.open(server.data)

        def prepare(tx: Tx) -> None:
            account = accounts.get(tx, parse_address(ANN)).id
            sieve.put(tx, account, "main", SCRIPT)
            sieve.activate(tx, account, "main")

        store.write_now(prepare)
        store.close()
        port = server.ports["imap"]
        with imaplib.IMAP4("127.0.0.1", port) as client, imaplib.IMAP4("127.0.0.1", port) as other:
            client.login(ANN, "wonderland")
            other.login(ANN, "wonderland")
            other.enable("METADATA")
            assert b"METADATA LIST-METADATA" in client.capability()[1][0]
            send(server, "before")
            assert client.xatom("SETMETADATA", '""', '(/private/vendor/rules/sorting "on")')[0] == "OK"
            assert client.xatom("SETMETADATA", "Archive", '(/private/vendor/rules/list "news.far")')[0] == "OK"
            other.noop()
            told = [b'"" /private/vendor/rules/sorting', b"Archive /private/vendor/rules/list"]
            assert other.response("METADATA")[1] == told
            send(server, "after")
            assert subjects(client, "INBOX") == [b"before"] and subjects(client, "Archive") == [b"after"]
            assert client.xatom("SETMETADATA", "Archive", "(/private/vendor/rules/list NIL)")[0] == "OK"
            send(server, "again")
            assert subjects(client, "INBOX") == [b"before", b"again"]
            long = '"' + "x" * (LIMITS.metadata_value + 1) + '"'
            status, [answer] = client.xatom("SETMETADATA", "INBOX", f"(/private/comment {long})")
            assert status == "NO" and answer.startswith(b"[METADATA MAXSIZE %d]" % LIMITS.metadata_value)
            many = " ".join(f'/private/e{number} "x"' for number in range(LIMITS.metadata_entries))
            assert client.xatom("SETMETADATA", "INBOX", f"({many})")[0] == "OK"
            status, [answer] = client.xatom("SETMETADATA", "INBOX", '(/private/more "x")')
            assert status == "NO" and answer.startswith(b"[METADATA TOOMANY]")
            status, [answer] = client.xatom("SETMETADATA", "INBOX", '(/private/specialuse "\\\\None")')
            assert status == "NO" and answer.startswith(b"[USEATTR]")
    store = Store.open(server.data)
    assert [*check(store)] == []
    store.close()


def send(server: Server, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
        client.sendmail("c@far.example", [ANN], LETTER.format(subject))


def subjects(client: imaplib.IMAP4, mailbox: str) -> list[bytes]:
    client.select(mailbox, readonly=True)
    _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.unselect()
    return [each[1].removeprefix(b"Subject: ").strip() for each in found if isinstance(each, tuple)]
