"""A server, a browser and somebody signed in: what every story in a browser begins with."""

from __future__ import annotations

import contextlib
import email
import email.policy
import imaplib
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.instruments.server import Server
from tests.instruments.until import until

ALICE, BOB = "alice@example.test", "bob@example.test"
USERS = {ALICE: "correct horse battery", BOB: "staple, they said"}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("mail") / "data", USERS) as running:
        yield running


class Visit:
    """Somebody at his browser. `errors`: what the page told on its console; a story ends without any."""

    def __init__(self, browser: Browser, server: Server, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        self.server = server
        self.context: BrowserContext = browser.new_context(
            ignore_https_errors=True, locale="en-GB", timezone_id="UTC", accept_downloads=True,
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.errors: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.ports['https']}/"

    def sign_in(self, user: str = ALICE, password: str | None = None) -> Page:
        self.page.goto(self.url)
        self.page.get_by_label("E-mail address").fill(user)
        self.page.get_by_label("Password").fill(password or self.server.users[user])
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def inside(self, user: str = ALICE) -> Page:
        """Signed in, and the list of mail is there."""
        page = self.sign_in(user)
        expect(page.get_by_role("grid", name="Conversations")).to_be_visible()
        self.errors.clear()  # the session that was not there yet was one
        return page

    def settings(self, section: str) -> Page:
        self.page.goto(f"{self.url}#/settings/{section}")
        return self.page


@contextlib.contextmanager
def visiting(browser: Browser, server: Server, shot: Path | None = None, **how: object) -> Iterator[Visit]:
    """Ends with a picture, and without an error on the console."""
    visit = Visit(browser, server, **how)  # type: ignore[arg-type]
    try:
        yield visit
        assert visit.errors == []
    finally:
        if shot is not None:
            shot.parent.mkdir(parents=True, exist_ok=True)
            visit.page.screenshot(path=shot)
        visit.context.close()


def deliver(server: Server, message: EmailMessage, sender: str = "ann@a.test", to: str = ALICE) -> None:
    """From somewhere else, over SMTP."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
        smtp.send_message(message, sender, [to])


def letter(subject: str, text: str = "Hello Alice.", html: str | None = None, **fields: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ann <ann@a.test>", ALICE, subject
    made["Message-ID"] = f"<{subject.replace(' ', '.')}@a.test>"
    made["Date"] = "Tue, 03 Nov 2026 10:31:00 +0000"
    for name, value in fields.items():
        del made[name.replace("_", "-")]
        made[name.replace("_", "-")] = value
    made.set_content(text)
    if html is not None:
        made.add_alternative(html, subtype="html")
    return made


def found(server: Server, user: str, subject: str, box: str = "INBOX") -> list[tuple[EmailMessage, set[str]]]:
    """Messages of that subject in a mailbox, as IMAP has them, with their flags."""
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(user, server.users[user])
        if imap.select(f'"{box}"', readonly=True)[0] != "OK":
            return []
        numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        messages = []
        for number in numbers:
            data = imap.fetch(number, "(FLAGS BODY.PEEK[])")[1][0]
            assert isinstance(data, tuple)
            flags = {flag.decode() for flag in imaplib.ParseFlags(data[0])}
            made = email.message_from_bytes(data[1], policy=email.policy.default)
            assert isinstance(made, EmailMessage)
            messages.append((made, flags))
        return messages


def arrived(server: Server, user: str, subject: str, box: str = "INBOX") -> EmailMessage:
    """The one message of that subject, as soon as it is there."""
    until(lambda: found(server, user, subject, box), f"{subject!r} in {box} of {user}")
    (one,) = found(server, user, subject, box)
    return one[0]
