"""A server, a browser and somebody signed in: what every story in a browser begins with."""

from __future__ import annotations

import contextlib
import email
import email.policy
import imaplib
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Watched, watched
from tests.instruments.server import Server
from tests.instruments.until import until

ALICE, BOB = "alice@example.test", "bob@example.test"
USERS = {ALICE: "correct horse battery", BOB: "staple, they said"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("mail") / "data", USERS) as running:
        yield running


class Visit:
    """Somebody at his browser."""

    def __init__(self, server: Server, seen: Watched) -> None:
        self.server, self.seen, self.page = server, seen, seen.page
        seen.context.grant_permissions(["clipboard-read", "clipboard-write"])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.ports['https']}/"

    def sign_in(self, user: str = ALICE, place: str = "") -> Page:
        self.page.goto(self.url + place)
        self.page.get_by_label("E-mail address").fill(user)
        self.page.get_by_label("Password").fill(self.server.users[user])
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def inside(self, user: str = ALICE) -> Page:
        """Signed in, and the list of mail is there."""
        page = self.sign_in(user)
        self.entered()
        return page

    def entered(self) -> None:
        expect(self.page.locator("html[data-view=mail]")).to_be_attached()
        self.forgive("401")  # the question who it is, before he said so

    def forgive(self, *words: str) -> None:
        """Complaints that belong to the story: the browser tells of each answer that is no success."""
        self.seen.complaints[:] = [one for one in self.seen.complaints if not any(word in one for word in words)]

    def settings(self, section: str) -> Page:
        self.page.goto(f"{self.url}#/settings/{section}")
        return self.page


@contextlib.contextmanager
def visiting(browser: Browser, server: Server, shot: str, **how: Any) -> Iterator[Visit]:
    """Ends with a picture, and without a complaint of the page."""
    with watched(browser, **how) as seen:
        visit = Visit(server, seen)
        try:
            yield visit
        finally:
            seen.shot(shot)


def deliver(server: Server, message: EmailMessage, sender: str = "ann@a.test", to: str = ALICE) -> None:
    """From somewhere else, over SMTP."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
        smtp.send_message(message, sender, [to])


def opened(page: Page, subject: str) -> Locator:
    """A conversation of the list that is shown, in the reading pane."""
    page.get_by_role("row").filter(has_text=subject).click()
    reader = page.get_by_role("region", name="Conversation", exact=True)
    expect(reader.get_by_role("heading", name=subject)).to_be_visible()
    return reader


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
            answers = imap.fetch(number, "(FLAGS BODY.PEEK[])")[1]
            data = next((each for each in answers if isinstance(each, tuple)), None)
            if data is None:  # gone since, or only news of flags was told: the next look sees it
                continue
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
