"""Python's IMAP clients against the real server."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from datetime import datetime

import aioimaplib
import pytest
from imapclient import IMAPClient

from tests.serve.imap.conftest import ALICE, HELLO, PASSWORDS, MailHouse

ANYONE = ssl.create_default_context()
ANYONE.check_hostname, ANYONE.verify_mode = False, ssl.CERT_NONE


@pytest.mark.parametrize("secure", ["starttls", "implicit", "none"])
async def test_imaplib(house: MailHouse, secure: str) -> None:
    await house.fill(3)

    def talk() -> None:
        if secure == "implicit":
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=ANYONE)
        else:
            client = imaplib.IMAP4("127.0.0.1", house.ports["imap"])
            if secure == "starttls":
                client.starttls(ANYONE)
        with client:
            client.login(str(ALICE), PASSWORDS[ALICE])
            assert client.select("INBOX") == ("OK", [b"3"])
            assert client.search(None, "UNSEEN") == ("OK", [b"1 2 3"])
            kind, data = client.fetch("2", "(RFC822 FLAGS)")
            assert kind == "OK" and data[0][1] == HELLO.replace(b"hello", b"number 2")  # type: ignore[index]
            assert client.append("Drafts", "(\\Draft)", imaplib.Time2Internaldate(1_000_000_000), HELLO)[0] == "OK"
            assert client.copy("1:2", "Archive")[0] == "OK"
            assert client.uid("MOVE", "3", "Trash")[0] == "OK"
            assert client.store("1", "+FLAGS", "\\Deleted")[1] == [b"1 (FLAGS (\\Recent \\Deleted))"]
            assert client.expunge() == ("OK", [b"3", b"1"]) or client.response("EXPUNGE")
            assert client.create("Ordner")[0] == client.subscribe("Ordner")[0] == "OK"
            assert client.rename("Ordner", "Folder")[0] == client.delete("Folder")[0] == "OK"
            assert client.status("Archive", "(MESSAGES)") == ("OK", [b"Archive (MESSAGES 2)"])
            assert client.namespace() == ("OK", [b'(("" "/")) NIL NIL'])
            assert len(client.list()[1]) == 6 and client.noop()[0] == client.check()[0] == "OK"
            assert client.close()[0] == "OK"

    await asyncio.to_thread(talk)
    assert house.box().total == 1 and house.box("Trash").total == 1


async def test_imapclient(house: MailHouse) -> None:
    await house.fill(3)

    def talk() -> list[object]:
        with IMAPClient("127.0.0.1", house.ports["imap"], ssl=False) as client:
            client.starttls(ANYONE)
            client.login(str(ALICE), PASSWORDS[ALICE])
            assert client.has_capability("MOVE") and client.has_capability("UIDPLUS")
            assert client.find_special_folder(b"\\Sent") == "Sent"
            assert client.id_({"name": "test"}) and client.enable("CONDSTORE") == [b"CONDSTORE"]
            client.create_folder("Entwürfe & mehr")
            assert "Entwürfe & mehr" in [name for _, _, name in client.list_folders()]
            opened = client.select_folder("INBOX")
            assert opened[b"EXISTS"] == 3 and opened[b"UIDNEXT"] == 4
            assert client.search(["SUBJECT", "number 2"]) == [2]
            assert client.search(["SINCE", datetime(2020, 1, 1)]) == [1, 2, 3]
            found = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE", "BODY.PEEK[]"])
            assert found[2][b"ENVELOPE"].subject == b"number 2"
            assert found[1][b"BODYSTRUCTURE"][:2] == (b"text", b"plain")
            assert len(found[1][b"BODY[]"]) == found[1][b"RFC822.SIZE"]
            assert client.add_flags([1], [b"\\Flagged", b"Work"]) == {1: (b"\\Recent", b"\\Flagged", b"Work")}
            assert client.remove_flags([1], [b"Work"]) == {1: (b"\\Recent", b"\\Flagged")}
            client.copy([1], "Archive")
            client.move([3], "Trash")
            client.delete_messages([2])
            client.uid_expunge([2])
            assert client.search() == [1]
            assert b"APPENDUID" in client.append("Sent", HELLO, [b"\\Seen"], datetime(2020, 1, 1))
            client.idle()
            return list(client.idle_check(timeout=0.01)) + list(client.idle_done()[1])

    assert await asyncio.to_thread(talk) == []


async def test_aioimaplib(house: MailHouse) -> None:
    client = aioimaplib.IMAP4("127.0.0.1", house.ports["imap"], timeout=5)
    await client.wait_hello_from_server()
    assert (await client.login(str(ALICE), PASSWORDS[ALICE])).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    idling = await client.idle_start(timeout=10)
    await house.fill(1)
    assert await client.wait_server_push() == [b"1 EXISTS", b"1 RECENT"]
    client.idle_done()
    await idling
    assert bytes((await client.fetch("1", "(BODY.PEEK[])")).lines[1]) == HELLO.replace(b"hello", b"number 1")
    assert (await client.append(HELLO, "Sent", flags="\\Seen")).result == "OK"
    assert (await client.uid("store", "1", "+FLAGS (\\Deleted)")).result == "OK"
    assert (await client.expunge()).lines[0] == b"1 EXPUNGE"
    assert (await client.logout()).result == "OK"
