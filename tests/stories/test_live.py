"""The server as its users have it: what one does anywhere the others hear at once, and all that an owner sets about his
account reaches the writer's process."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from typing import Any

import pytest

from daemon.admin import sessions
from daemon.store.db import Store
from daemon.store.quarantine import TYPE
from tests.instruments.server import Server
from tests.instruments.until import PATIENCE
from tests.store.stage import clean

ALICE, BOB = "alice@example.test", "bob@example.test"
PASSWORDS = {ALICE: "correct horse", BOB: "battery staple"}
OWNER = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:contacts", "urn:ietf:params:jmap:mail", "urn:mailctl:owner"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("live") / "data", PASSWORDS) as running:
        yield running
    store = Store.open(running.data)
    clean(store)
    store.close()


def dial(server: Server) -> HTTPSConnection:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", server.ports["https"], context=context, timeout=PATIENCE)


def credentials(user: str, password: str | None = None) -> dict[str, str]:
    import base64

    token = base64.b64encode(f"{user}:{password or PASSWORDS[user]}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def ask(server: Server, *calls: list[Any], user: str = ALICE, password: str | None = None) -> list[Any]:
    connection = dial(server)
    body = json.dumps({"using": OWNER, "methodCalls": [[*call, str(at)] for at, call in enumerate(calls)]})
    head = {**credentials(user, password), "Content-Type": "application/json"}
    connection.request("POST", "/jmap/api", body, head)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, said
    return [result for _, result, _ in said["methodResponses"]]


class Listening:
    """A stream of events; `id`s are passed over."""

    def __init__(self, server: Server, user: str = ALICE, query: str = "?types=*") -> None:
        self.connection = dial(server)
        self.connection.request("GET", f"/jmap/events{query}", headers=credentials(user))
        self.answer: HTTPResponse = self.connection.getresponse()
        assert self.answer.status == 200 and self.answer.readline() == b": listening\n"

    def types(self) -> set[str]:
        """Those of the next event."""
        while not (line := self.answer.readline()).startswith(b"data: "):
            assert line, "the stream ended"
        (changed,) = json.loads(line.removeprefix(b"data: "))["changed"].values()
        return set(changed)

    def ended(self) -> bool:
        return not self.answer.read().strip()

    def close(self) -> None:
        self.connection.close()


def test_what_one_does_the_others_hear(server: Server) -> None:
    first, second = Listening(server), Listening(server)
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
        smtp.sendmail("one@remote.example", [ALICE], "Subject: hello\r\n\r\nGood morning.\r\n")
    for stream in (first, second):
        assert stream.types() == {"Email", "Mailbox", "Thread", "EmailDelivery"}
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(ALICE, PASSWORDS[ALICE])
        imap.select("INBOX")
        imap.store("1", "+FLAGS", "\\Seen")
        for stream in (first, second):
            assert stream.types() == {"Email", "Mailbox", "Thread"}
        imap.create("Projects")
        for stream in (first, second):
            assert stream.types() == {"Mailbox"}
    ask(server, ["SenderEntry/set", {"create": {"a": {"sender": "shop.example"}}}])
    for stream in (first, second):
        assert stream.types() == {"SenderEntry"}
        stream.close()


def test_an_owner_sets_all_that_is_his(server: Server) -> None:
    rule = {"conditions": [{"field": "subject", "match": "contains", "values": ["invoice"]}], "file": "Invoices"}
    answers = ask(
        server,
        ["Rule/set", {"create": {"r": rule}}],
        ["Rule/set", {"update": {"#r": {"stop": True, "order": 1}}}],
        ["SenderEntry/set", {"create": {"s": {"sender": "news.example", "allowed": True}}}],
        ["SenderEntry/set", {"destroy": ["#s"]}],
        ["Forwarding/set", {"update": {"singleton": {"addresses": ["me@far.example"], "keep": True}}}],
        ["AppPassword/set", {"password": PASSWORDS[ALICE], "create": {"p": {"name": "phone", "scopes": ["jmap"]}}}],
        [
            "ContactCard/set",
            {"create": {"c": {"name": {"full": "Ann"}, "emails": {"e": {"address": "a@far.example"}}}}},
        ],
        ["ContactCard/set", {"update": {"#c": {"name/full": "Ann B"}}, "create": {"d": {"kind": "robot"}}}],
        ["ContactCard/set", {"destroy": ["#c"]}],
        [f"{TYPE}/query", {}],
        ["Session/get", {}],
    )
    for answer in answers[:7]:
        assert not any(answer.get(f"not{word}") for word in ("Created", "Updated", "Destroyed")), answer
    assert answers[7]["notCreated"]["d"]["properties"] == ["kind"] and answers[8]["destroyed"]
    secret = answers[5]["created"]["p"]["password"]
    (rules,) = ask(server, ["Rule/get", {}], password=secret)
    assert rules["list"][0]["then"] == "file into Invoices, stop"
    (refused,) = ask(server, ["AppPassword/set", {"password": secret, "destroy": ["#p"]}], password=secret)
    assert refused["type"] == "forbidden"
    bad = {"create": {"r": {**rule, "file": "A\u0000"}}}
    (answer,) = ask(server, ["Rule/set", bad])
    assert answer["notCreated"]["r"]["type"] == "invalidProperties"


def test_whom_one_writes_to_is_known_then(server: Server) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
        smtp.login(BOB, PASSWORDS[BOB])
        smtp.sendmail(BOB, [ALICE], f"From: {BOB}\r\nTo: Alice <{ALICE}>\r\n\r\nHello.\r\n")
    (found,) = ask(server, ["ContactCard/get", {"properties": ["name", "emails"]}], user=BOB)
    assert found["list"][0]["name"] == {"full": "Alice"}


def test_another_password_is_set_and_all_sessions_are_ended(server: Server) -> None:
    stream = Listening(server, BOB, "?types=Email")
    (done,) = ask(server, ["Password/set", {"password": PASSWORDS[BOB], "newPassword": "staple battery"}], user=BOB)
    assert done == {"accountId": done["accountId"]}
    (rules,) = ask(server, ["Rule/get", {}], user=BOB, password="staple battery")
    assert rules["list"] == []
    store = Store.open(server.data)
    sessions.end(store, BOB)
    store.close()
    assert stream.ended()
    stream.close()
