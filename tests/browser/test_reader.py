"""What one does with a message besides reading it: print it, leave its list; and being told of new ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.browser.house import ALICE, deliver, found, letter, opened, visiting
from tests.instruments.server import Server
from tests.instruments.until import until

LIST = "https://list.test/leave?u=7"
COUNT_PRINTS = "window.print = () => { window.printed = (window.printed ?? 0) + 1; };"
SCROLLING = """["#main", "#reader", ".reader-scroll"].filter((name) => {
    const one = document.querySelector(name);
    return one.scrollHeight > one.clientHeight + 1;
})"""
WATCH_HANDLERS = """(() => {
    const register = navigator.registerProtocolHandler.bind(navigator);
    window.handled = [];
    navigator.registerProtocolHandler = (...what) => window.handled.push(what) && register(...what);
})()"""
WATCH_NOTICES = """(() => {
    window.told = [];
    window.Notification = class extends window.Notification {
        constructor(title, options) {
            super(title, options);
            window.told.push([title, options.body]);
            window.last = this;
        }
    };
    Object.defineProperty(document, "visibilityState", { get: () => (window.away ? "hidden" : "visible") });
})()"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("mail") / "data", {ALICE: "correct horse battery"}) as running:
        yield running


def choose(page: Page, name: str) -> None:
    page.get_by_role("button", name="More about this message").click()
    page.get_by_role("menuitem", name=name).click()


def test_a_long_message_is_printed_whole_and_alone(chromium: Browser, server: Server) -> None:
    deliver(server, letter("For the wall", "\n".join(f"Line {number}" for number in range(120))))
    deliver(server, letter("Another one"))
    with visiting(chromium, server, "reader-print") as alice:
        alice.seen.context.add_init_script(COUNT_PRINTS)
        page = alice.inside()
        reader = opened(page, "For the wall")
        choose(page, "Print")
        assert page.evaluate("window.printed") == 1
        page.emulate_media(media="print")
        expect(reader.get_by_text("Line 119")).to_be_visible()
        for aside in ("#bar", "#folders", "#list-pane", ".reader-tools", ".answer-bar", ".message-tools"):
            expect(page.locator(aside)).to_be_hidden()
        assert page.evaluate(SCROLLING) == [], "paper does not scroll"
        paper = page.pdf(format="A4")
        assert 2 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6, "as many sheets as it needs"


def test_new_mail_is_told_to_who_looks_elsewhere(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "reader-notices") as alice:
        alice.seen.context.grant_permissions(["notifications"], origin=alice.url)
        alice.seen.context.add_init_script(WATCH_NOTICES)
        page = alice.inside()
        switch(page, "New mail is told here while you look elsewhere")
        arrives(page, server, "While I look")
        assert page.evaluate("window.told") == []
        page.evaluate("window.away = true")
        arrives(page, server, "While I am away")
        assert page.evaluate("window.told") == [["Ann", "While I am away"]]
        page.evaluate("window.last.onclick()")
        expect(page.get_by_role("heading", name="While I am away")).to_be_visible()
        switch(page, "New mail is not told any more")
        arrives(page, server, "Once it is off")
        assert len(page.evaluate("window.told")) == 1


def test_a_browser_that_does_not_allow_it_is_not_asked_twice(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "reader-no-notices") as alice:
        alice.seen.context.add_init_script("Notification.requestPermission = async () => 'denied';")
        page = alice.inside()
        switch(page, "This browser does not allow it")
        page.get_by_role("button", name="Account:").click()
        box = page.get_by_role("menuitemcheckbox", name="Tell me of new mail")
        expect(box).to_have_attribute("aria-checked", "false")


def switch(page: Page, answer: str) -> None:
    page.get_by_role("button", name="Account:").click()
    page.get_by_role("menuitemcheckbox", name="Tell me of new mail").click()
    expect(page.get_by_text(answer)).to_be_visible()


def arrives(page: Page, server: Server, subject: str) -> None:
    deliver(server, letter(subject))
    expect(page.get_by_role("row").filter(has_text=subject)).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text(subject)


def test_a_list_is_left_by_its_page(chromium: Browser, server: Server) -> None:
    asked: list[Request] = []

    def answer(route: Route) -> None:
        asked.append(route.request)
        route.fulfill(body="<!DOCTYPE html><title>Gone</title>", content_type="text/html")

    deliver(server, letter("Weekly", List_Unsubscribe=f"<mailto:leave@list.test>, <{LIST}>"))
    with visiting(chromium, server, "reader-unsubscribe") as alice:
        alice.seen.context.route("https://list.test/**", answer)
        page = alice.inside()
        opened(page, "Weekly")
        assert not asked, "nobody is told before one asks for it"
        with alice.seen.context.expect_page() as coming:
            choose(page, "Unsubscribe")
        coming.value.wait_for_load_state()
        until(lambda: asked, "the page of the list")
        assert coming.value.url == LIST and coming.value.evaluate("window.opener === null && document.referrer === ''")
        assert "referer" not in asked[0].headers


def test_a_list_is_left_by_mail(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Monthly", List_Unsubscribe="<mailto:leave+7@list.test?subject=out%20a+b>"))
    with visiting(chromium, server, "reader-unsubscribe-mail") as alice:
        page = alice.inside()
        opened(page, "Monthly")
        choose(page, "Unsubscribe")
        window = page.locator(".composer").last
        expect(window.get_by_label("Subject")).to_have_value("out a+b")
        expect(window.get_by_role("button", name=re.compile(r"^leave\+7@list\.test"))).to_be_visible()


def test_a_list_that_names_no_way_is_said(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Yearly", List_Unsubscribe="<javascript:alert(1)>, <mailto:%zz@list.test>"))
    with visiting(chromium, server, "reader-unsubscribe-not") as alice:
        page = alice.inside()
        opened(page, "Yearly")
        choose(page, "Unsubscribe")
        expect(page.get_by_text("The list names no way that this page knows")).to_be_visible()


def test_lines_that_were_broken_to_be_sent_are_shown_whole(chromium: Browser, server: Server) -> None:
    text = "A paragraph that \nwas broken to \nbe sent.\n\n>> Its quote \n>> too.\n"
    message = letter("Flowed", text)
    message.set_param("format", "flowed")
    deliver(server, message)
    with visiting(chromium, server, "reader-flowed") as alice:
        page = alice.inside()
        reader = opened(page, "Flowed")
        lines = reader.locator(".text-lines").first
        expect(lines).to_be_visible()
        assert lines.text_content() == "A paragraph that was broken to be sent.\n"
        assert reader.locator("blockquote blockquote").text_content() == "Its quote too."


@pytest.mark.parametrize(
    "subject, fields, said",
    [
        ("A plain one", {}, "When From contains “ann@a.test”"),
        ("By a list", {"List_Id": "Walkers <walk.a.test>"}, "When list-id contains “walk.a.test”"),
    ],
)
def test_mail_like_this_gets_a_rule(
    chromium: Browser, server: Server, subject: str, fields: dict[str, str], said: str
) -> None:
    deliver(server, letter(subject, **fields))
    how: dict[str, Any] = {"width": 360, "height": 740, "dark": True} if fields else {}
    with visiting(chromium, server, f"reader-like-{len(fields)}", **how) as alice:
        page = alice.inside()
        opened(page, subject)
        choose(page, "Filter messages like this")
        page.get_by_label("Give it a star").check()
        alice.seen.shot(f"reader-like-{len(fields)}-begun")
        page.get_by_role("button", name="Make the rule").click()
        expect(page.get_by_text(said)).to_be_visible()
        expect(page.get_by_role("button", name="Make the rule")).to_have_count(0)
        page.get_by_role("button", name="Back", exact=True).click()
        expect(page.get_by_role("heading", name=subject)).to_be_visible()
        deliver(server, letter(f"{subject} again", **fields))
        until(lambda: any("\\Flagged" in flags for _, flags in found(server, ALICE, f"{subject} again")), "its star")


def test_a_link_of_another_page_opens_a_message_and_sends_nothing(chromium: Browser, server: Server) -> None:
    """Also before one is signed in; what the link says is text, and of what it may not say nothing is taken."""
    link = "mailto:Bob%20<bob@example.test>?cc=carol@example.test&bcc=dan@example.test&subject=<b>Hi</b>%0D%0AX: y"
    link += "&body=<img%20src=x>&attachment=/etc/passwd"
    with visiting(chromium, server, "reader-mailto", width=360, height=740, dark=True) as alice:
        alice.seen.context.add_init_script(WATCH_HANDLERS)
        page = alice.sign_in(place=f"#/write/{quote(link, safe='')}")
        alice.entered()
        window = page.locator(".composer")
        for name in ("Bob", "carol@example.test", "dan@example.test"):
            expect(window.get_by_role("button", name=re.compile(f"^{name}"))).to_be_visible()
        expect(window.get_by_label("Subject")).to_have_value("<b>Hi</b>X: y")
        expect(window.get_by_role("textbox", name="Message")).to_contain_text("<img src=x>")
        assert page.evaluate("location.hash") == "#/inbox"
        alice.seen.shot("reader-mailto-written")
        window.get_by_role("button", name="Discard draft").click()
        page = alice.settings("writing")
        page.get_by_role("button", name="Write to them here").click()
        expect(page.get_by_text("The browser asks")).to_be_visible()
        assert page.evaluate("window.handled") == [["mailto", f"{alice.url}#/write/%s"]]
    assert not found(server, ALICE, "Hi", "Sent")
