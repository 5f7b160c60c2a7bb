"""The settings in a browser: each is set by hand, and what it is for is then seen to happen."""

from __future__ import annotations

import imaplib
import re
import smtplib
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from passlib.totp import TOTP
from playwright.sync_api import Browser, expect

from daemon.trust.rules import GTUBE
from tests.browser.house import ALICE, USERS, arrived, deliver, found, letter, visiting
from tests.instruments.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = {"spam.check": "yes", "spam.greylist": "no", "hostname": "localhost"}
    with Server(tmp_path_factory.mktemp("settings") / "data", USERS, config) as running:
        yield running


def test_two_ways_in_at_once_lead_to_one_page(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-once") as visit:
        page = visit.inside()
        page.evaluate("for (const name of ['rules', 'vacation']) location.hash = `#/settings/${name}`")
        expect(page.get_by_label("Answer for me while I am away")).to_be_visible()
        expect(page.locator("#settings")).to_have_count(1)


def test_an_answer_while_away(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-vacation") as visit:
        visit.inside()
        page = visit.settings("vacation")
        page.get_by_label("Answer for me while I am away").check()
        page.get_by_label("Message").fill("I am at the sea.")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("On, until you turn it off.")).to_be_visible()
        deliver(server, letter("Are you there", From="Bob <bob@example.test>"), "bob@example.test")
        answer = arrived(server, "bob@example.test", "Are you there")
        assert "I am at the sea." in str(answer.get_body()) and answer["Auto-Submitted"]
        page.reload()
        expect(page.get_by_label("Message")).to_have_value("I am at the sea.")
        page.get_by_label("Answer for me while I am away").uncheck()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("nobody is answered")).to_be_visible()


def test_an_app_password_opens_and_is_taken_back(chromium: Browser, server: Server) -> None:
    def opens(password: str) -> bool:
        try:
            with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
                return imap.login(ALICE, password)[0] == "OK"
        except imaplib.IMAP4.error:
            return False

    with visiting(chromium, server, "desk-app-password") as visit:
        visit.inside()
        page = visit.settings("app-passwords")
        page.get_by_label("What it is for").fill("Old phone")
        page.get_by_role("button", name="Make an app password").click()
        page.get_by_label("Your password").fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        password = page.locator(".shown-once .secret").inner_text()
        assert opens(password)
        with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
            smtp.login(ALICE, password)
        page.get_by_role("button", name="Remove the app password Old phone").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.get_by_label("Your password").fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("does not open anything any more")).to_be_visible()
        assert not opens(password)


def test_a_rule_files_mail(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-rules") as visit:
        visit.inside()
        page = visit.settings("rules")
        page.get_by_role("button", name="New rule").click()
        page.get_by_label("Part of the message").select_option("subject")
        page.get_by_label("Text", exact=True).fill("invoice")
        page.get_by_label("Move it to").select_option("Archive")
        page.get_by_label("Mark it read").check()
        page.get_by_role("button", name="Make the rule").click()
        expect(page.get_by_text("When Subject contains “invoice”")).to_be_visible()
        deliver(server, letter("Your invoice 12"))
        arrived(server, ALICE, "Your invoice 12", "Archive")
        assert "\\Seen" in found(server, ALICE, "Your invoice 12", "Archive")[0][1]
        page.get_by_role("button", name="Edit rule 1").click()
        page.get_by_label("Text", exact=True).fill("receipt")
        page.get_by_role("button", name="Save the rule").click()
        expect(page.get_by_text("When Subject contains “receipt”")).to_be_visible()
        page.get_by_role("button", name="Remove rule 1").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.get_by_text("There are none")).to_be_visible()


def test_a_message_is_released_from_the_quarantine(chromium: Browser, server: Server) -> None:
    with pytest.raises(smtplib.SMTPDataError):
        deliver(server, letter("Only a trial", GTUBE.decode()))
    with visiting(chromium, server, "desk-quarantine") as visit:
        visit.inside()
        page = visit.settings("quarantine")
        page.get_by_role("button", name="Release Only a trial", exact=True).click()
        expect(page.get_by_text("“Only a trial” is in your inbox")).to_be_visible()
        arrived(server, ALICE, "Only a trial")


def test_two_factor_sign_in(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-two-factor") as visit:
        visit.inside()
        page = visit.settings("two-factor")
        page.get_by_role("button", name="Set up a program").click()
        page.get_by_label(re.compile("Your password")).fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_alt_text("QR code for the program")).to_be_visible()
        page.get_by_text("I cannot scan it").click()
        program = TOTP(key=page.locator(".secret").inner_text().replace(" ", ""))
        page.get_by_label("Code").fill(program.generate().token)
        page.get_by_role("button", name="Turn on").click()
        codes = page.get_by_role("dialog", name="Recovery codes")
        expect(codes.locator("code")).to_have_count(10)
        paper = codes.locator("code").first.inner_text()
        codes.get_by_role("button", name="I have them").click()
        expect(page.get_by_text("On since")).to_be_visible()
    with visiting(chromium, server, "desk-second-factor") as visit:
        page = visit.sign_in()
        page.get_by_label(re.compile("code", re.IGNORECASE)).first.fill(program.generate(time.time() + 30).token)
        page.keyboard.press("Enter")
        visit.entered()
        page = visit.settings("two-factor")
        page.get_by_role("button", name="Turn two-factor off").click()
        page.get_by_label(re.compile("Your password")).fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("your password alone is enough")).to_be_visible()
    assert paper


def test_signature_sender_and_forwarding_are_kept(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-identity", width=360, height=740) as visit:
        visit.inside()
        page = visit.settings("identities")
        page.get_by_label("Your name").fill("Alice A.")
        page.get_by_role("textbox", name="Signature").fill("Alice, at the sea")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        page = visit.settings("senders")
        page.get_by_label("Address or domain").fill("pest@x.test")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("pest@x.test is blocked.")).to_be_visible()
        page = visit.settings("forwarding")
        page.get_by_label("Forward to").fill("bob@example.test")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("a copy goes there")).to_be_visible()
        deliver(server, letter("Onwards"))
        arrived(server, "bob@example.test", "Onwards")
        page.get_by_label("Forward to").fill("")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("nothing is forwarded")).to_be_visible()


def test_a_passkey_is_made_and_removed(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-passkey") as visit:
        page = visit.inside()
        device = visit.seen.context.new_cdp_session(page)
        device.send("WebAuthn.enable")
        kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        kind |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        device.send("WebAuthn.addVirtualAuthenticator", {"options": kind})
        page = visit.settings("two-factor")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_label(re.compile("Your password")).fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("works from now on")).to_be_visible()
        page.get_by_role("button", name=re.compile("Remove the passkey Passkey 1")).click()
        page.get_by_label(re.compile("Your password")).fill(USERS[ALICE])
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("is removed.")).to_be_visible()


def test_another_browser_is_signed_out(chromium: Browser, server: Server) -> None:
    with (
        visiting(chromium, server, "desk-elsewhere") as elsewhere,
        visiting(chromium, server, "desk-sessions") as visit,
    ):
        elsewhere.inside()
        visit.inside()
        page = visit.settings("sessions")
        expect(page.get_by_text("this browser")).to_have_count(1)
        others = page.get_by_role("button", name=re.compile("^Sign out Chrome"))  # some of stories before
        for left in range(others.count() - 1, -1, -1):
            others.first.click()
            expect(others).to_have_count(left)
        expect(page.get_by_text("Signed out.", exact=True)).to_be_visible()
        elsewhere.page.reload()
        expect(elsewhere.page.get_by_label("Password")).to_be_visible()
        elsewhere.forgive("401")


def test_devices_are_shown_and_all_mail_is_downloaded(chromium: Browser, server: Server) -> None:
    deliver(server, letter("To be kept"))
    arrived(server, ALICE, "To be kept")
    with visiting(chromium, server, "desk-devices") as visit:
        visit.inside()
        page = visit.settings("devices")
        expect(page.get_by_role("cell", name=str(server.ports["imaps"]))).to_be_visible()
        assert page.get_by_alt_text(re.compile("^QR code")).evaluate("(image) => image.decode().then(() => true)")
        page = visit.settings("export")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all mail").click()
        with zipfile.ZipFile(download.value.path()) as packed:
            assert any(b"Subject: To be kept" in packed.read(name) for name in packed.namelist())


@pytest.mark.parametrize("how", [{"width": 360, "height": 740, "dark": True}, {}], ids=["phone", "wide"])
def test_contacts_are_found_made_changed_and_written_to(chromium: Browser, server: Server, how: dict[str, Any]) -> None:
    shot = f"desk-contacts-{'phone' if how else 'wide'}"
    with visiting(chromium, server, shot, **how) as visit:
        page = visit.inside()
        page.keyboard.press("g")
        page.keyboard.press("c")
        people = page.get_by_role("region", name="Contacts")
        for name, address in (("Carol Čapek", "carol@c.test"), ("Dan <b>", "dan@d.test")):
            people.get_by_role("button", name="New contact").click()
            people.get_by_label("Name", exact=True).fill(name)
            people.get_by_label("E-mail addresses").fill("no address")
            people.get_by_role("button", name="Add").click()
            expect(people.get_by_text("no address cannot be an address.")).to_be_visible()
            people.get_by_label("E-mail addresses").fill(address)
            people.get_by_role("button", name="Add").click()
            expect(people.get_by_role("listitem").filter(has_text=name)).to_be_visible()
        people.get_by_label("Search contacts").fill("capek")
        expect(people.get_by_role("listitem").filter(has_text="Dan")).to_have_count(0)
        people.get_by_role("button", name="Edit Carol Čapek").click()
        people.get_by_label("E-mail addresses").fill("carol@c.test\ncarol@work.test")
        people.get_by_label("Phone numbers").fill("+49 30 1234")
        people.get_by_label("Note").fill("Knows the way")
        visit.seen.shot(f"{shot}-edited")
        people.get_by_role("button", name="Save").click()
        expect(people.get_by_text("+49 30 1234")).to_be_visible()
        page.reload()
        expect(people.get_by_role("listitem")).to_have_count(2)
        visit.seen.shot(f"{shot}-all")
        people.get_by_role("button", name="Delete Dan <b>").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(people.get_by_text("Dan <b> is deleted.")).to_be_visible()
        expect(people.get_by_role("listitem")).to_have_count(1)
        expect(people.get_by_text("Knows the way")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        people.get_by_role("link", name="carol@work.test").click()
        window = page.locator(".composer")
        expect(window.get_by_role("button", name=re.compile("^carol@work.test"))).to_be_visible()
        window.get_by_role("button", name="Discard draft").click()
        people.get_by_role("button", name="Delete Carol Čapek").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(people.get_by_text("Nobody yet")).to_be_visible()
        people.get_by_role("button", name="Back", exact=True).click()
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
