"""HTML mail on paper: all of it, below who wrote it, and as harmless there as in its frame."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SHOTS
from tests.browser.house import deliver, letter, server, visiting
from tests.instruments.server import Server

__all__ = ["server"]
COUNT = "window.print = () => { window.printed = (window.printed ?? 0) + 1; };"
SHEETS = re.compile(rb"/Type\s*/Page\b")
LONG = "".join(f"<p>Paragraph {number}</p>" for number in range(150))
COVER = "<style>div,template,body>*{display:none!important;margin-top:-900px!important}</style>"


def printed(page: Page, subject: str) -> Page:
    """The page that comes up when a message is printed."""
    page.get_by_role("row").filter(has_text=subject).click()
    expect(page.locator("iframe.mail-frame")).to_be_visible()
    page.get_by_role("button", name="More about this message").click()
    with page.expect_popup() as coming:
        page.get_by_role("menuitem", name="Print").click()
    coming.value.wait_for_url("**/message/*/print")
    coming.value.wait_for_function("window.printed === 1")
    return coming.value


def test_html_is_printed_whole_below_its_head(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Minutes of the meeting", "See HTML.", LONG))
    with visiting(chromium, server, "print-html", dark=True) as visit:
        visit.seen.context.add_init_script(COUNT)
        page = visit.inside()
        paper = printed(page, "Minutes of the meeting")
        expect(paper).to_have_title("Minutes of the meeting")
        expect(paper.get_by_role("heading", name="Minutes of the meeting")).to_be_visible()
        expect(paper.get_by_text("3 November 2026, 10:31 +0000")).to_be_visible()
        assert paper.evaluate("window.origin") == "null" and paper.evaluate("window.opener") is None
        assert 3 <= len(SHEETS.findall(paper.pdf(format="A4"))) <= 12, "as many sheets as it needs"
        paper.screenshot(path=SHOTS / "print-paper.png")
        page.emulate_media(media="print")
        expect(page.get_by_text("Paper shows what this frame does.")).to_be_visible()


def test_a_message_cannot_hide_who_wrote_it(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Cover me", "See HTML.", f"{COVER}<div id=cover>I am from your bank</div>"))
    with visiting(chromium, server, "print-cover") as visit:
        visit.seen.context.add_init_script(COUNT)
        paper = printed(visit.inside(), "Cover me")
        assert paper.locator("body > div").first.evaluate("(one) => one.shadowRoot !== null")
        sender = paper.get_by_text("Ann <ann@a.test>")
        expect(sender).to_be_visible()
        box = sender.bounding_box()
        assert box is not None and box["y"] >= 0
