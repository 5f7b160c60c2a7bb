"""Somebody with two addresses: each with its name, its signature, where answers go; an answer is from the right one."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.browser.house import ALICE, BOB, arrived, deliver, letter, server, visiting
from tests.browser.test_desk_writing import composer, hold
from tests.instruments.server import Server

__all__ = ["server"]
SHOP = "alice+shop@example.test"


def added(page: Page) -> None:
    page.get_by_role("button", name="Another name or address").click()
    page.get_by_label("Address", exact=True).fill(SHOP)
    form = page.locator("form").filter(has=page.get_by_label("Address", exact=True))
    form.get_by_label("Your name").fill("The Shop")
    form.get_by_role("textbox", name="Signature").fill("Open on weekdays")
    form.get_by_text("More", exact=True).click()
    form.get_by_label("Answers go to").fill(ALICE)
    form.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text(f"The Shop <{SHOP}>")).to_be_visible()


def test_two_addresses_of_one(chromium: Browser, server: Server) -> None:
    deliver(server, letter("An order", "One lamp, please.", From=f"Bob <{BOB}>", To=SHOP), to=SHOP)
    with visiting(chromium, server, "identities") as visit:
        page = visit.inside()
        hold(page, 0)
        added(visit.settings("identities"))
        page.goto(f"{visit.url}#/inbox")
        page.get_by_role("row").filter(has_text="An order").click()
        expect(page.locator(".text-body").get_by_text("One lamp, please.")).to_be_visible()
        page.keyboard.press("r")
        window = composer(page)
        chosen = window.get_by_label("From", exact=True)
        expect(chosen.locator("option:checked")).to_have_text(f"The Shop <{SHOP}>")
        expect(window.locator(".signature").first).to_contain_text("Open on weekdays")
        visit.seen.shot("identities-answer")
        page.keyboard.press("Control+Enter")
        message = arrived(server, BOB, "Re: An order")
        plain = message.get_body(("plain",))
        assert plain is not None and "-- \nOpen on weekdays" in plain.get_content().replace("\r\n", "\n")
        assert message["From"] == f"The Shop <{SHOP}>" and message["Reply-To"] == ALICE


def test_another_address_takes_its_signature_along(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "identities-switch", width=360, height=740, dark=True) as visit:
        page = visit.inside()
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Write").tap()
        window = composer(page)
        expect(window.locator(".signature")).to_have_count(0)
        window.get_by_label("From", exact=True).select_option(label=f"The Shop <{SHOP}>")
        expect(window.locator(".signature")).to_contain_text("Open on weekdays")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        window.get_by_label("From", exact=True).select_option(index=0)
        expect(window.locator(".signature")).to_have_count(0)
