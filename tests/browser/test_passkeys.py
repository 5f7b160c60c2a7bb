"""Passkeys with a real browser and the authenticator it can pretend to have: made in the settings, and then signed in
with, beside the password and alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.house import ALICE, USERS, Visit, arrived, deliver, letter, visiting
from tests.instruments.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("passkeys") / "data", USERS, {"hostname": "localhost"}) as running:
        yield running


def authenticator(visit: Visit) -> None:
    """One in the device, that knows who holds it."""
    session = visit.seen.context.new_cdp_session(visit.page)
    session.send("WebAuthn.enable")
    has = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": has})


def prove(page: Page) -> None:
    page.get_by_label("Your password").fill(USERS[ALICE])
    page.get_by_role("button", name="Go on").click()


def out(visit: Visit) -> None:
    visit.page.evaluate("import('/static/signin.js').then((m) => { m.signOut(); })")  # the page goes: no answer
    expect(visit.page.get_by_label("E-mail address")).to_be_visible()


def test_a_passkey_is_made_and_opens(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Hello"))
    arrived(server, ALICE, "Hello")
    with visiting(chromium, server, "passkeys") as visit:
        authenticator(visit)
        visit.inside()
        page = visit.settings("two-factor")
        page.get_by_role("button", name="Add a passkey").click()
        prove(page)
        expect(page.get_by_text("works from now on")).to_be_visible()
        expect(page.get_by_role("button", name="Remove the passkey")).to_have_count(1)

        out(visit)
        page.get_by_role("button", name="Use a passkey instead").click()
        expect(page.get_by_role("button", name="Remove the passkey").or_(page.get_by_role("grid"))).to_be_visible()

        page = visit.settings("two-factor")
        page.get_by_role("button", name="Turn on with passkeys alone").click()
        prove(page)
        expect(page.get_by_role("dialog", name="Recovery codes").locator("li")).to_have_count(10)
        page.get_by_role("button", name="I have them").click()
        expect(page.get_by_text("On since")).to_be_visible()

        out(visit)
        visit.sign_in()
        page.get_by_role("button", name="Use your passkey").click()
        visit.settings("two-factor")
        expect(page.get_by_text("On since")).to_be_visible()
        visit.forgive("401")
