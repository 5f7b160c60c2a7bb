"""Mail that is sent over JMAP, at once, in a moment or undone: the daemon is killed with SIGKILL meanwhile.

Whatever was answered before the kill holds after it: what was sent arrives once, not twice, at its time or after the
next start; what was called back never does; and an answer that nobody heard did all of it or nothing.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import re
import ssl
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from daemon.mail.address import parse_address
from daemon.store import accounts, mailboxes, messages
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.server import Server
from tests.instruments.until import until

ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", "wonderland"
USING = [f"urn:ietf:params:jmap:{each}" for each in ("core", "mail", "submission")]
TOKEN = re.compile(rb"^Subject: (\S+)\r$", re.MULTILINE)
LIVES = 2


class Client:
    """Alice's, over HTTPS."""

    def __init__(self, server: Server) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection("127.0.0.1", server.ports["https"], context=context, timeout=30)
        secret = base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        self.account = ""

    def request(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        listed = [
            [name, {"accountId": self.account, **arguments}, str(at)] for at, (name, arguments) in enumerate(calls)
        ]
        body = json.dumps({"using": USING, "methodCalls": listed})
        self.connection.request("POST", "/jmap/api", body, self.headers)
        answer = json.loads(self.connection.getresponse().read())
        return [arguments for _, arguments, _ in answer["methodResponses"]]

    def begin(self) -> None:
        self.connection.request("GET", "/jmap/session", headers=self.headers)
        session = json.loads(self.connection.getresponse().read())
        self.account = session["primaryAccounts"]["urn:ietf:params:jmap:mail"]
        boxes, identities = self.request(("Mailbox/get", {}), ("Identity/get", {}))
        self.boxes = {box["role"]: box["id"] for box in boxes["list"]}
        self.identity = identities["list"][0]["id"]

    def send(self, token: str, hold: int) -> str:
        """Draft and submission in one request; the submission's id once that is answered."""
        draft = {
            "mailboxIds": {self.boxes["drafts"]: True}, "keywords": {"$draft": True}, "subject": token,
            "from": [{"email": ALICE}], "to": [{"email": BOB}],
            "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": token}},
        }  # fmt: skip
        parameters = {"HOLDFOR": str(hold)} if hold else None
        envelope = {"mailFrom": {"email": ALICE, "parameters": parameters}, "rcptTo": [{"email": BOB}]}
        patch = {f"mailboxIds/{self.boxes['drafts']}": None, f"mailboxIds/{self.boxes['sent']}": True}
        answers = self.request(
            ("Email/set", {"create": {"d": draft}}),
            ("EmailSubmission/set", {
                "create": {"s": {"identityId": self.identity, "emailId": "#d", "envelope": envelope}},
                "onSuccessUpdateEmail": {"#s": patch},
            }),
        )  # fmt: skip
        return str(answers[1]["created"]["s"]["id"])

    def undo(self, number: str) -> bool:
        (answer,) = self.request(("EmailSubmission/set", {"update": {number: {"undoStatus": "canceled"}}}))
        return bool(answer["updated"])


def arrived(server: Server) -> Counter[str]:
    """What is in Bob's INBOX."""
    store = Store.open(server.data)
    try:
        bob = store.peek(accounts.get, parse_address(BOB)).id
        box = store.peek(mailboxes.get, bob, "INBOX").id
        rows = store.read_now(messages.fetch, box, messages.ALL, ("segment_id", "offset", "length"))
        return Counter(match[1].decode() for row in rows if (match := TOKEN.search(store.bytes_of(row))))
    finally:
        store.close()


def pending(server: Server) -> int:
    store = Store.open(server.data)
    try:
        return int(store.peek(Tx.value, "select count(*) from submission where state = 'pending'"))
    finally:
        store.close()


def work(server: Server, name: str, chance: random.Random, sent: set[str], undone: set[str], asked: set[str]) -> None:
    """One client's life: sends, and calls back some of what waits, until the server is gone."""
    try:
        client = Client(server)
        client.begin()
        for count in range(10_000):
            token = f"{name}-{count}"
            asked.add(token)
            number = client.send(token, chance.choice((0, 1, 2)))
            sent.add(token)
            if chance.random() < 0.3:
                asked.add(f"undo {token}")
                if client.undo(number):
                    undone.add(token)
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        pass


def test_what_is_sent_arrives_once_over_sigkill(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    chance = random.Random(seed)
    server = Server(tmp_path / "server", {ALICE: PASSWORD, BOB: PASSWORD}, {"allowance.messages_per_hour": "0"})
    sent, undone, asked = set[str](), set[str](), set[str]()
    for life in range(LIVES):
        server.start()
        threads = [
            threading.Thread(target=work, args=(server, f"{life}{n}", random.Random(seed + n), sent, undone, asked))
            for n in range(2)
        ]
        for thread in threads:
            thread.start()
        goal = len(sent) + 8
        until(lambda goal=goal: len(sent) >= goal, f"seed {seed}: {len(sent)} sent\n{server.log()[-2000:]}")  # type: ignore[misc]
        threading.Event().wait(chance.random())
        server.kill()
        for thread in threads:
            thread.join(30)
    server.start()
    until(lambda: not pending(server), f"seed {seed}: what waits must go")
    server.stop()
    found = arrived(server)
    assert not [token for token, times in found.items() if times > 1], f"seed {seed}: twice"
    assert not undone & set(found), f"seed {seed}: called back, and arrived"
    maybe = {token for token in asked if f"undo {token}" in asked}  # some were called back, and nobody heard it
    assert sent - undone - maybe <= set(found), f"seed {seed}: lost"
    assert set(found) <= asked, f"seed {seed}: nobody sent it"
    store = Store.open(server.data)
    assert list(check(store)) == []
    store.close()
