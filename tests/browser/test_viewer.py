"""Hostile mail, opened in the frame of the webmail, from the real server: nothing runs, nothing is asked of others."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from daemon.mail.address import parse_address
from daemon.serve.web import pages
from daemon.store import accounts
from daemon.store.db import Store
from tests.browser.test_walls import MAIL
from tests.instruments.canary import Canary
from tests.instruments.server import Server
from tests.store.stage import deliver

ALICE, PASSWORD = "alice@example.test", "correct horse battery"
LETTER = (
    b"From: Ann <ann@example.org>\r\nSubject: pictures\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p id=here style='color:#333'>Hello</p><img id=own src=cid:a@x>"
    b"<img src=http://canary.example/tracker><a id=out href=https://canary.example/link>x</a>\r\n"
    b"--b\r\nContent-Type: image/gif\r\nContent-ID: <a@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=\r\n--b--\r\n"
)
FRAME = """([url]) => new Promise((done) => {
  document.body.replaceChildren();
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox");
  frame.onload = () => done(true);
  frame.src = url;
  document.body.append(frame);
})"""


class House:
    """The server with all that mail in Alice's INBOX, and somebody who asks it."""

    def __init__(self, path: Path) -> None:
        self.server = Server(path, {ALICE: PASSWORD})
        store = Store.open(self.server.data)
        store.reserve = 0
        account = store.read_now(accounts.find, parse_address(ALICE))
        assert account is not None
        mail = {path.stem: path.read_bytes() for path in MAIL} | {"pictures": LETTER}
        self.ids = {name: f"e{deliver(store, account.id, data).email_id}" for name, data in mail.items()}
        self.account = f"u{account.id}"
        store.close()

    @property
    def base(self) -> str:
        return f"https://localhost:{self.server.ports['https']}"

    def views(self, remote: bool) -> dict[str, str]:
        """Where each message is to be seen."""
        found: dict[str, str] = {}
        names = list(self.ids)
        for at in range(0, len(names), 30):
            some = names[at : at + 30]
            calls = [
                ["Email/view", {"accountId": self.account, "id": self.ids[name], "remoteImages": remote}, name]
                for name in some
            ]
            for _, answer, name in self._jmap(calls):
                found[name] = self.base + answer["url"]
        return found

    def _jmap(self, calls: list[Any]) -> list[Any]:
        body = {"using": ["urn:ietf:params:jmap:core", "urn:mailctl:owner"], "methodCalls": calls}
        secret = base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()
        asked = urllib.request.Request(
            f"https://127.0.0.1:{self.server.ports['https']}/jmap/api", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Basic {secret}"},
        )  # fmt: skip
        with urllib.request.urlopen(asked, context=ssl._create_unverified_context()) as answer:
            told: list[Any] = json.load(answer)["methodResponses"]
        return told


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("mail") / "data")
    with made.server:
        yield made


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as made:
        yield made


@pytest.fixture
def page(house: House, canary: Canary) -> Iterator[Page]:
    """A page that is held to what the webmail's is, and may frame a message."""
    names = f"--host-resolver-rules=MAP *.example 127.0.0.1:{canary.port}, MAP localhost 127.0.0.1, MAP * ~NOTFOUND"
    plain = "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", names, plain])
        made = browser.new_context(ignore_https_errors=True).new_page()
        held = {"Content-Security-Policy": pages.POLICY, "Content-Type": "text/html"}
        made.route(house.base + "/blank", lambda route: route.fulfill(body="<!DOCTYPE html>", headers=held))
        made.goto(house.base + "/blank")
        yield made
        browser.close()


def test_hostile_mail_does_nothing_in_its_frame(house: House, page: Page, canary: Canary) -> None:
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: message.type == "log" and said.append(message.text))
    page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
    for name, url in house.views(False).items():
        asked.clear()
        page.evaluate(FRAME, [url])
        (frame,) = (each for each in page.frames if each != page.main_frame)
        assert frame.url == url and "<title>Message</title>" in frame.content(), name
        others = [each for each in asked if not each.startswith((url, "data:image/"))]
        assert not others and not said, name
    assert not canary.heard, "something was asked of others"
    assert len(page.context.pages) == 1


def test_hostile_mail_does_nothing_on_paper(house: House, page: Page, canary: Canary) -> None:
    """There one script may run: ours."""
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: message.type == "log" and said.append(message.text))
    page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
    page.add_init_script("window.print = () => { window.printed = (window.printed ?? 0) + 1; };")
    for name, url in list(house.views(False).items())[::2]:
        asked.clear()
        page.goto(f"{url}/print")
        page.wait_for_function("window.printed === 1")
        assert page.url == f"{url}/print"
        others = [each for each in asked if not each.startswith((url, "data:image/"))]
        assert not others and not said, name
    assert not canary.heard, "something was asked of others"
    assert len(page.context.pages) == 1


def test_pictures_and_links_are_what_a_reader_asked_for(house: House, page: Page, canary: Canary) -> None:
    page.evaluate(FRAME, [house.views(False)["pictures"]])
    (frame,) = (each for each in page.frames if each != page.main_frame)
    assert frame.locator("#own").evaluate("(image) => image.naturalWidth") == 1, "what came with it is shown"
    assert not canary.heard
    asked: set[tuple[str, str]] = set()
    page.on("request", lambda request: asked.add((request.resource_type, request.url)))
    where = house.views(True)["pictures"]
    page.evaluate(FRAME, [where])
    elsewhere = ("image", "https://canary.example/tracker")  # by HTTPS, as the page came
    assert asked == {("document", where), ("image", f"{where}/2"), elsewhere}
    assert canary.heard


def test_the_frame_reaches_nothing_of_the_page(house: House, page: Page) -> None:
    """It is of no origin, so neither can look into the other."""
    page.evaluate(FRAME, [house.views(False)["pictures"]])
    assert page.evaluate("() => document.querySelector('iframe').contentDocument") is None
    (frame,) = (each for each in page.frames if each != page.main_frame)
    assert "Hello" in frame.content()
