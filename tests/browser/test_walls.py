"""Each wall around HTML mail alone, in a real browser: the sanitiser without any policy, and the policy without the
sanitiser. `test_viewer.py` has both, and the server.

The mail is `tests/messages/hostile_html`. Every name of the world leads to a canary here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

from daemon.mail.decode import decode_text, decode_transfer
from daemon.mail.message import scan
from daemon.mail.view import view
from daemon.serve.web import viewer
from tests.instruments.canary import Canary

MAIL = sorted((Path(__file__).parents[1] / "messages" / "hostile_html").glob("*.eml"))
HOME = "http://viewer.test/message/token"
LOUD = "new Image().src='http://canary.example/ran'"


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as made:
        yield made


@pytest.fixture(scope="module")
def browser(canary: Canary) -> Iterator[Browser]:
    names = f"--host-resolver-rules=MAP *.example 127.0.0.1:{canary.port}, MAP * ~NOTFOUND"
    plain = "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades"  # the canary is near, and hears no TLS
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", names, plain])
        yield made
        made.close()


class Reader:
    """A window in which one message after the other is opened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.html = ""
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", self._asked)
        page.on("console", lambda said: said.type == "log" and self.said.append(said.text))
        page.on("dialog", lambda dialog: (self.said.append("dialog"), dialog.dismiss()))
        page.route(HOME, self._answer)

    def _asked(self, request: Request) -> None:
        if request.url != HOME and not request.url.startswith("data:image/"):
            self.asked.append(request.url)

    def _answer(self, route: Route) -> None:
        route.fulfill(body=self.html, content_type="text/html; charset=utf-8", headers=self.headers)

    def open(self, html: str, *, settle: bool = True) -> None:
        """`settle`: what a script of the page does once it is loaded is waited for."""
        self.asked.clear()
        self.said.clear()
        self.html = html
        self.page.goto(HOME, wait_until="load")
        if settle:
            self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    page = browser.new_page()
    yield Reader(page)
    page.close()


def raw_html(path: Path) -> str:
    """Everything in a message that a careless reader might take for HTML."""
    message = scan(path.read_bytes())
    texts = []
    for part in message.root.walk():
        if not part.parts:
            octets = decode_transfer(message.data[part.body : part.end], part.encoding)
            texts.append(decode_text(octets, part.charset))
    return "\n".join(texts)


def test_there_are_enough_of_them() -> None:
    assert len(MAIL) >= 60
    assert all(b"X-About: " in path.read_bytes() for path in MAIL)


def test_the_sanitiser_alone_lets_nothing_run_or_leave(reader: Reader, canary: Canary) -> None:
    for path in MAIL:
        message = scan(path.read_bytes())
        reader.open(view(message.data, message.root, "data:image/gif;base64,R0lGODlhAQABAAAAACw=#").page)
        assert not reader.asked and not reader.said, path.stem
    assert not canary.heard


def test_pictures_alone_are_fetched_when_they_are_asked_for(reader: Reader, canary: Canary) -> None:
    kinds = set()
    reader.page.on("request", lambda request: kinds.add((request.resource_type, request.method)))
    fetched = 0
    for path in MAIL:
        message = scan(path.read_bytes())
        shown = view(message.data, message.root, "data:image/gif;base64,R0lGODlhAQABAAAAACw=#", remote=True)
        reader.open(shown.page)
        fetched += len(reader.asked)
        assert not reader.said and not any(url.endswith("/ran") for url in reader.asked), path.stem
        assert shown.remote or not reader.asked, path.stem
    assert fetched > 20 and kinds == {("document", "GET"), ("image", "GET")}
    canary.forget()


@pytest.mark.parametrize("policy, some", [(viewer.FRAMED, MAIL[1::2]), (viewer.PRINTED, MAIL[::2])])
def test_the_policy_alone_lets_nothing_run(reader: Reader, policy: str, some: list[Path]) -> None:
    """Nor does that of paper, which lets one script of ours ask for the printer."""
    reader.headers = viewer.headers(policy, remote=True)
    for path in some:
        reader.html = raw_html(path).replace(LOUD, "console.log('ran')").replace("http-equiv", "x")
        reader.open(reader.html, settle=False)
        assert "ran" not in reader.said and "dialog" not in reader.said, path.stem
        assert not any(url.endswith("/ran") for url in reader.asked), path.stem


def test_the_canary_is_awake(reader: Reader, canary: Canary) -> None:
    """Without any wall this mail does what it was written for: else the tests above would prove nothing."""
    ran, fetched = set(), set()
    for path in MAIL[::2]:
        reader.open(raw_html(path).replace("http-equiv", "x"))
        ran |= {path.stem for url in reader.asked if url.endswith("/ran")}
        fetched |= {path.stem for url in reader.asked if not url.endswith("/ran")}
    assert len(ran) >= 15 and len(fetched) >= 7, (ran, fetched)
    assert "GET /ran HTTP/1.1" in canary.heard
    canary.forget()
