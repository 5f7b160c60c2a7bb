"""Two-factor from end to end, with a real server: turned on in a browser, it closes the other doors to the password;
and what the administrator does about it counts within a second."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from passlib.totp import TOTP

from tests.instruments.peer import Peer, trusting
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl

ALICE, PASSWORD = "alice@example.test", "wonderland"
USING = ["urn:ietf:params:jmap:core", "urn:mailctl:owner"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("factors") / "data", {ALICE: PASSWORD}) as running:
        yield running


class Browser:
    """Keeps a cookie, and says where its requests come from."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookie = ""

    def post(self, path: str, body: Any) -> Any:
        fields = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Cookie": self.cookie}
        port = self.server.ports["https"]
        line = http.client.HTTPSConnection("localhost", port, context=trusting(), timeout=30)
        with contextlib.closing(line):
            line.request("POST", path, json.dumps(body), fields)
            answer = line.getresponse()
            said = answer.read()
        self.cookie = (answer.getheader("Set-Cookie") or self.cookie).partition(";")[0]
        return json.loads(said) if answer.status == 200 or path == "/login" else answer.status

    def sign_in(self) -> Any:
        return self.post("/login", {"login": ALICE, "password": PASSWORD})

    def call(self, method: str, **asked: Any) -> Any:
        said = self.post("/jmap/api", {"using": USING, "methodCalls": [[method, {"accountId": "u1", **asked}, "0"]]})
        return said if isinstance(said, int) else said["methodResponses"][0][1]

    def set(self, **patch: Any) -> Any:
        return self.call("TwoFactor/set", password=PASSWORD, update={"singleton": patch})["updated"]["singleton"]


def logs_in(server: Server, password: str = PASSWORD) -> bytes:
    with Peer(server.ports["imap"]) as peer:
        peer.line()
        peer.send(f'a LOGIN {ALICE} "{password}"')
        return peer.line()


def code(program: TOTP) -> str:
    return str(program.generate(time.time()).token)


def test_from_the_first_sign_in_to_the_administrator(server: Server) -> None:
    ctl = Ctl(server.data.path)
    browser = Browser(server)
    assert browser.sign_in()["state"] == "in" and b"a OK" in logs_in(server)
    program = TOTP(browser.set(program="new")["secret"])
    codes = browser.set(code=code(program))["recoveryCodes"]

    said = logs_in(server)
    assert said.startswith(b"a NO") and b"an app password is needed here" in said, said
    made = ctl.json("user", "app-password", "add", ALICE, "phone", "--scope", "imap")["password"]
    assert b"a OK" in logs_in(server, made)

    other = Browser(server)
    asked = other.sign_in()
    assert asked["state"] == "factor" and other.call("TwoFactor/get") == 401
    assert other.post("/login", {"pending": asked["pending"], "code": codes[0]})["state"] == "in"
    asked = other.sign_in()
    assert other.post("/login", {"pending": asked["pending"], "code": codes[0]})["reason"] == "wrong-code"
    listed = ctl.lines("session", "list", "--user", ALICE)
    assert [one["protocol"] for one in listed] == ["web", "web"]

    ctl.ok("session", "kill", ALICE, "--yes")
    assert browser.call("TwoFactor/get") == 401 == other.call("TwoFactor/get")
    assert b"a NO" in logs_in(server, made)

    ctl.ok("user", "two-factor", ALICE, "off", "--yes")
    until(lambda: b"a OK" in logs_in(server), "the password opens again", 5)
    assert browser.sign_in()["state"] == "in"
    kinds = {step["reason"] for story in ctl.lines("trace", "--to", ALICE) for step in story["steps"]}
    assert kinds >= {"web-password", "web-recovery", "two-factor-on", "two-factor-off"}


def test_a_server_that_starts_again_knows_who_is_signed_in_and_what_is_asked(server: Server) -> None:
    browser = Browser(server)
    browser.sign_in()
    program = TOTP(browser.set(program="new")["secret"])
    used = code(program)
    browser.set(code=used)
    server.kill()
    server.start()
    assert browser.call("TwoFactor/get")["list"][0]["isEnabled"]
    other = Browser(server)
    asked = other.sign_in()
    said = other.post("/login", {"pending": asked["pending"], "code": used})
    assert said["state"] == "refused", "the code of before the crash"
    log = server.log()
    assert PASSWORD not in log and used not in log and browser.cookie.partition("=")[2] not in log
