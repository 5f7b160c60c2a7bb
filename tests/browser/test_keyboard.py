"""A day at the webmail without a mouse: whoever cannot use one does all of it, and sees where he is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.house import ALICE, BOB, USERS, arrived, deliver, found, letter, server, visiting
from tests.browser.test_desk_writing import hold
from tests.instruments.server import Server
from tests.instruments.until import until

__all__ = ["server"]
NO_MOUSE = """() => {
    for (const kind of ["pointerdown", "mousedown", "touchstart"]) {
        addEventListener(kind, () => console.error("a mouse was used"), true);
    }
}"""
UNSEEN = """() => {
    const focused = document.activeElement;
    if (focused === document.body) return null;
    const one = document.getElementById(focused.getAttribute("aria-activedescendant")) ?? focused;
    const { outlineStyle, boxShadow } = getComputedStyle(one);
    const { width, height } = one.getBoundingClientRect();
    const seen = (outlineStyle !== "none" || boxShadow !== "none") && width > 0 && height > 0;
    return seen ? null : one.outerHTML.slice(0, 100);
}"""


def tab_to(page: Page, name: str | re.Pattern[str], role: str = "button", most: int = 60) -> None:
    """By Tab, as often as it takes."""
    wanted = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    expect(wanted).to_be_attached()
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"{name} is not reached by Tab")


def chosen(page: Page, title: str, text: str) -> None:
    """Of a list that one types into."""
    expect(page.get_by_role("combobox", name=title)).to_be_focused()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name=title)).to_have_count(0)


def test_without_a_mouse(chromium: Browser, server: Server) -> None:
    deliver(server, letter("By hand", "Will you come?", Reply_To=BOB))
    with visiting(chromium, server, "keyboard-read") as visit:
        visit.seen.context.add_init_script(f"({NO_MOUSE})()")
        page = visit.page
        page.goto(visit.url)
        expect(page.get_by_label("E-mail address")).to_be_focused()
        page.keyboard.type(ALICE)
        page.keyboard.press("Tab")
        page.keyboard.type(USERS[ALICE])
        page.keyboard.press("Enter")
        visit.entered()
        hold(page, 30)
        press = page.keyboard.press
        expect(page.get_by_role("row").filter(has_text="By hand")).to_be_visible()
        press("o")
        expect(page.get_by_role("heading", name="By hand")).to_be_visible()
        press("r")
        window = page.locator(".composer").last
        expect(window.get_by_role("textbox", name="Message")).to_be_focused()
        page.keyboard.type("I will.")
        press("Control+Enter")
        expect(page.get_by_text("Message sent")).to_be_visible()
        tab_to(page, "Undo")
        visit.seen.shot("keyboard-undo")
        press("Enter")
        expect(window.get_by_role("textbox", name="Message")).to_contain_text("I will.")
        hold(page, 0)
        press("Control+Enter")
        assert "I will." in str(arrived(server, BOB, "Re: By hand").get_body(("plain",)))
        expect(page.locator(".composer")).to_have_count(0)
        press("v")
        chosen(page, "Move to", "Guests")
        until(lambda: found(server, ALICE, "By hand", "Guests"), "it is in the new folder")
        press("g")
        press("l")
        chosen(page, "Go to", "Guests")
        expect(page.get_by_role("heading", name="Guests")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="By hand")).to_be_visible()
        press("o")
        expect(page.get_by_role("heading", name="By hand")).to_be_visible()
        press("l")
        chosen(page, "Label as", "party")
        until(lambda: "party" in found(server, ALICE, "By hand", "Guests")[0][1], "the label")
        press("u")
        tab_to(page, re.compile("^Account:"))
        press("Enter")
        expect(page.get_by_role("menu")).to_be_visible()
        item = page.get_by_role("menuitem", name="Settings")
        for _ in range(12):
            if item.evaluate("(one) => one === document.activeElement"):
                break
            press("ArrowDown")
        press("Enter")
        tab_to(page, "Vacation answer", "link")
        press("Enter")
        tab_to(page, "Answer for me while I am away", "checkbox")
        press("Space")
        tab_to(page, "Message", "textbox")
        page.keyboard.type("I am at the sea.")
        tab_to(page, "Save")
        press("Enter")
        expect(page.get_by_text("On, until you turn it off.")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_the_focus_is_seen_wherever_it_is(chromium: Browser, server: Server, dark: bool) -> None:
    deliver(server, letter(f"Seen {dark}"))
    with visiting(chromium, server, f"keyboard-focus-{dark}", dark=dark) as visit:
        page = visit.inside()
        expect(page.get_by_role("row").filter(has_text=f"Seen {dark}")).to_be_visible()
        page.keyboard.press("o")
        expect(page.get_by_role("heading", name=f"Seen {dark}")).to_be_visible()
        expect(page.get_by_text("Hello Alice.").last).to_be_visible()
        unseen = set()
        for _ in range(50):
            page.keyboard.press("Tab")
            unseen.add(page.evaluate(UNSEEN))
        assert unseen == {None}
