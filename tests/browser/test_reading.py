"""Mail as the reader shows it: what is malformed too, whom it is really from, invitations, pictures from elsewhere; and
HTML on paper, all of it, below who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from icalendar import Calendar
from playwright.sync_api import Browser, Page, Route, expect

from daemon.mail.address import parse_address
from daemon.store import accounts
from daemon.store.db import Store
from tests.browser.conftest import SHOTS
from tests.browser.house import ALICE, BOB, USERS, arrived, deliver, letter, opened, visiting
from tests.instruments.server import Server
from tests.messages.malformed import malformed
from tests.store.stage import deliver as put

ALL = [specimen for specimen in malformed() if "damaged" not in specimen.name][::4]  # all: tests/mail/test_view.py
MEETING = """BEGIN:VCALENDAR\r
VERSION:2.0\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:1@a.test\r
SUMMARY:Spring walk <b>by the river</b>\r
DTSTART:20261204T090000Z\r
DTEND:20261204T110000Z\r
LOCATION:The old bridge\r
ORGANIZER;CN=Ann:mailto:ann@a.test\r
ATTENDEE;CN=Alice;PARTSTAT=ACCEPTED:mailto:alice@example.test\r
END:VEVENT\r
END:VCALENDAR\r
"""


PROVED = b"Authentication-Results: mx; dmarc=pass header.from=a.test\r\n"
FORGED = b"Authentication-Results: mx; dmarc=fail header.from=a.test\r\n"
DOT = bytes.fromhex("47494638396101000100000000002c000000000100010000020244013b")
OTHERS = "https://tracker.test/"
THREADS = """async () => {
    const { Jmap } = await import("/static/jmap.js");
    const jmap = new Jmap();
    await jmap.open();
    const { list } = await jmap.call("Mailbox/get", { ids: null, properties: ["role"] });
    const inMailbox = list.find(({ role }) => role === "archive").id;
    const found = await jmap.call("Email/query", { filter: { inMailbox }, collapseThreads: true, limit: 500 });
    const emails = await jmap.call("Email/get", { ids: found.ids, properties: ["threadId"] });
    return emails.list.map(({ threadId }) => threadId);
}"""
SHOWN = """async (hash) => {
    location.hash = hash;
    await new Promise((done) => addEventListener("hashchange", done, { once: true }));
    for (;;) {
        const body = document.querySelector(".message:not(.folded) .message-body");
        if (document.querySelector(".reader-scroll .empty")) return "nothing";
        if (body && !body.querySelector(".skeleton-text")) return body.innerText;
        await new Promise((done) => setTimeout(done, 2));
    }
}"""
COUNT = "window.print = () => { window.printed = (window.printed ?? 0) + 1; };"
SHEETS = re.compile(rb"/Type\s*/Page\b")
LONG = "".join(f"<p>Paragraph {number}</p>" for number in range(150))
COVER = "<style>div,template,body>*{display:none!important;margin-top:-900px!important}</style>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All malformed mail is in Alice's Archive."""
    made = Server(tmp_path_factory.mktemp("mail") / "data", USERS)
    store = Store.open(made.data)
    store.reserve = 0
    account = store.read_now(accounts.find, parse_address(ALICE))
    assert account is not None
    for specimen in ALL:
        put(store, account.id, specimen.data, "Archive")
    put(store, account.id, letter("Proved").as_bytes(), prefix=PROVED)
    put(store, account.id, PROVED + letter("Forged").as_bytes(), prefix=FORGED)
    store.close()
    with made:
        yield made


def test_a_viewer_that_never_fails(chromium: Browser, server: Server) -> None:
    """Every kind of malformed mail is opened in turn: each is shown, and none stops the page."""
    with visiting(chromium, server, "reading-malformed") as visit:
        page = visit.inside()
        threads = page.evaluate(THREADS)
        assert len(threads) >= len(ALL) * 0.8, "some are answers to others"
        for thread in threads:
            said = page.evaluate(SHOWN, f"#/archive/{thread}")
            assert said != "nothing" and "cannot be shown" not in said, thread


def test_who_it_is_really_from(chromium: Browser, server: Server) -> None:
    """By what our server proved when it came; what the message says of itself proves nothing."""
    with visiting(chromium, server, "reading-proof") as visit:
        page = visit.inside()
        expect(opened(page, "Proved").get_by_text("Really from a.test – proved by DMARC")).to_be_visible()
        visit.seen.shot("reading-proved")
        forged = opened(page, "Forged")
        expect(forged.get_by_text("This is probably not from a.test")).to_be_visible()
        expect(forged.get_by_text("Really from")).to_have_count(0)


def test_an_invitation_is_shown(chromium: Browser, server: Server) -> None:
    message = letter("Come along")
    message.add_alternative(MEETING, subtype="calendar", params={"method": "REQUEST"})
    deliver(server, message)
    with visiting(chromium, server, "reading-invitation", width=360, height=740, dark=True) as visit:
        reader = opened(visit.inside(), "Come along")
        event = reader.get_by_role("region", name="Invitation")
        expect(event.get_by_role("heading", name="Spring walk <b>by the river</b>")).to_be_visible()
        for words in ("Friday, 4 December 2026", "10:00", "12:00", "The old bridge", "Ann", "Alice (comes)"):
            expect(event).to_contain_text(words)  # 09:00 UTC, read in Berlin
        expect(reader.get_by_role("link", name="invitation.ics")).to_have_attribute("download", "invitation.ics")
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_says_nothing_is_said_to_say_nothing(chromium: Browser, server: Server) -> None:
    deliver(server, letter("Silence", " \n\n"))
    with visiting(chromium, server, "reading-silence") as visit:
        page = visit.inside()
        expect(opened(page, "Silence").get_by_text("This message has no text.")).to_be_visible()
        reader = opened(page, "Proved")
        expect(reader.get_by_text("Hello Alice.")).to_be_visible()
        expect(reader.get_by_text("This message has no text.")).to_have_count(0)


@pytest.mark.parametrize("how", [{"width": 360, "height": 740, "dark": True}, {}], ids=["phone", "wide"])
def test_an_invitation_is_answered(chromium: Browser, server: Server, how: dict[str, Any]) -> None:
    name = "phone" if how else "wide"
    subject = f"Please answer {name}"
    asked = MEETING.replace("ann@a.test", BOB).replace("UID:1", f"UID:{name}")
    asked = asked.replace("<b>by the river</b>", name).replace("PARTSTAT=ACCEPTED", "PARTSTAT=NEEDS-ACTION")
    message = letter(subject)
    message.add_alternative(asked, subtype="calendar", params={"method": "REQUEST"})
    deliver(server, message)
    with visiting(chromium, server, f"reading-answered-{name}", **how) as visit:
        reader = opened(visit.inside(), subject)
        ways = reader.get_by_role("group", name="Do you come?")
        ways.get_by_role("button", name="Maybe").click()
        expect(visit.page.get_by_text("Message sent")).to_be_visible()
        ways.get_by_role("button", name="Accept").click()
        expect(ways.get_by_role("button", name="Accept")).to_have_attribute("aria-pressed", "true")
        expect(ways.get_by_role("button", name="Maybe")).to_have_attribute("aria-pressed", "false")
    for word, status in (("Maybe", "TENTATIVE"), ("Accepted", "ACCEPTED")):
        answer = arrived(server, BOB, f"{word}: Spring walk {name}")
        assert answer.get_content_type() == "multipart/alternative" and answer["In-Reply-To"] == message["Message-ID"]
        plain, reply = answer.iter_parts()
        assert f"the invitation: Spring walk {name}" in plain.get_content()
        assert reply.get_content_type() == "text/calendar" and reply.get_param("method") == "REPLY"
        (event,) = Calendar.from_ical(reply.get_content()).walk("VEVENT")
        assert event["UID"] == f"{name}@a.test" and event["ATTENDEE"].params["PARTSTAT"] == status


def test_pictures_from_elsewhere_wait_until_they_are_asked_for(chromium: Browser, server: Server) -> None:
    """Shown once, or always of one sender; and of nobody else."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=DOT, content_type="image/gif")

    for subject, sender in (("First look", "shop@a.test"), ("Second look", "shop@a.test"), ("Other", "else@a.test")):
        html = f"<p>Sale</p><img src='{OTHERS}{subject[:3]}.gif'><style>p{{background:url({OTHERS}css.gif)}}</style>"
        deliver(server, letter(subject, "See HTML.", html, From=f"Shop <{sender}>"))
    with visiting(chromium, server, "reading-pictures") as visit:
        visit.seen.context.route(f"{OTHERS}**", answer)
        page = visit.inside()
        reader = opened(page, "First look")
        expect(reader.frame_locator("iframe").get_by_text("Sale")).to_be_visible()
        expect(reader.get_by_text("pictures from elsewhere are blocked")).to_be_visible()
        visit.seen.shot("reading-blocked")
        assert not asked
        with page.expect_request(f"{OTHERS}Fir.gif"):
            reader.get_by_role("button", name="Show", exact=True).click()
        expect(reader.get_by_text("blocked")).to_have_count(0)
        reader = opened(page, "Second look")
        expect(reader.get_by_text("blocked")).to_be_visible()
        assert f"{OTHERS}Sec.gif" not in asked
        with page.expect_request(f"{OTHERS}Sec.gif"):
            reader.get_by_role("button", name="Always from shop@a.test").click()
        page.reload()
        with page.expect_request(f"{OTHERS}Fir.gif"):
            opened(page, "First look")
        expect(opened(page, "Other").get_by_text("blocked")).to_be_visible()
        assert f"{OTHERS}Oth.gif" not in asked


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
