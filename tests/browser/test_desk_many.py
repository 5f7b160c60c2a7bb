"""A message for ten thousand: the window stays usable, the draft is kept whole, and what cannot be sent is said."""

from __future__ import annotations

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.house import ALICE, BOB, arrived, deliver, found, letter, server, visiting
from tests.browser.test_desk_writing import composer, hold
from tests.instruments.server import Server
from tests.instruments.until import until

__all__ = ["server"]
PEOPLE = [f"Person {number} <p{number}@many.test>" for number in range(10_000)]


def pasted(page: Page, to: Locator, text: str) -> None:
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    to.click()
    page.keyboard.press("Control+v")


def elements(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


def test_ten_thousand_recipients_are_text_and_not_elements(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-many") as visit:
        page = visit.inside()
        hold(page, 0)
        page.keyboard.press("c")
        window = composer(page)
        to = window.get_by_label("To", exact=True)
        pasted(page, to, ", ".join(PEOPLE))
        expect(window.get_by_text("and 9,976 more")).to_be_visible()
        assert elements(page) < 1000, "some chips, and no more"
        page.keyboard.type("last@many.test,")
        expect(window.get_by_role("button", name="last@many.test, edit")).to_be_visible()
        page.keyboard.press("Backspace")
        expect(window.get_by_role("button", name="last@many.test, edit")).to_have_count(0)
        window.get_by_label("Subject").fill("To all")
        window.get_by_role("textbox", name="Message").click()
        page.keyboard.type("Good morning.")
        expect(window.get_by_role("status").first).to_have_text("Saved")
        draft = arrived(server, ALICE, "To all", "Drafts")
        assert len(draft["To"].addresses) == 10_000
        page.keyboard.press("Control+Enter")
        expect(window.get_by_role("alert")).to_contain_text("10,000 recipients, and one message goes to 1,000 at most")
        visit.seen.shot("desk-many-refused")
        page.keyboard.press("Escape")
        page.goto(f"{visit.url}#/drafts")
        page.get_by_text("To all").first.click()
        window.get_by_text("and 9,976 more").click()
        listed = page.get_by_role("dialog", name="To: 10,000 recipients").get_by_label("Recipients, one on a line")
        assert listed.input_value().splitlines() == PEOPLE
        visit.seen.shot("desk-many-list")
        listed.fill(f"Bob <{BOB}>\n{ALICE}\n")
        page.get_by_role("button", name="Done").click()
        expect(window.get_by_role("button", name=f"Bob <{BOB}>, edit")).to_be_visible()
        page.keyboard.press("Control+Enter")
        assert arrived(server, BOB, "To all")["To"] == f"Bob <{BOB}>, {ALICE}"
        until(lambda: not found(server, ALICE, "To all", "Drafts"), "no draft is left")


def test_some_more_than_are_shown_are_chips_when_asked_for(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-some", width=360, height=740, dark=True) as visit:
        page = visit.inside()
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Write").tap()
        window = composer(page)
        pasted(page, window.get_by_label("To", exact=True), ", ".join(PEOPLE[:80]))
        more = window.get_by_text("and 56 more")
        expect(more).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        more.click()
        expect(window.locator("span.recipient")).to_have_count(80)
        pasted(page, window.get_by_label("To", exact=True), ", ".join(PEOPLE))
        window.get_by_text("and 9,976 more").click()
        expect(page.get_by_role("dialog", name="To: 10,000 recipients")).to_be_visible()
        page.keyboard.press("Escape")
        expect(window.get_by_text("and 9,976 more")).to_be_visible()


def test_a_message_to_very_many_is_read(chromium: Browser, server: Server) -> None:
    """As its author has it among what he sent, or one of those it went to."""
    message = letter("From the mayor", To=", ".join([f"Alice <{ALICE}>", *PEOPLE[:3000]]))
    deliver(server, message)
    with visiting(chromium, server, "desk-many-read") as visit:
        page = visit.inside()
        page.get_by_role("row").filter(has_text="From the mayor").click()
        page.get_by_role("button", name="and 2,998 more").click()
        details = page.locator(".message-details")
        expect(details.get_by_role("link", name="Person 48 <p48@many.test>")).to_be_visible()
        expect(details.get_by_role("link", name="Person 49 <p49@many.test>")).to_have_count(0)
        details.get_by_role("button", name="and 2,951 more").click()
        expect(details.get_by_role("link", name="Person 2999 <p2999@many.test>")).to_be_visible()
        page.get_by_role("button", name="Reply all").click()
        expect(composer(page).get_by_text("and 2,977 more")).to_be_visible()
