"""The administration page in a browser: who is let in, the day at a glance, the queue, the story of a message."""

from __future__ import annotations

import smtplib
import socketserver
import threading
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from daemon.admin import domains, people, routes
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.browser.house import ALICE, BOB, USERS, Visit, deliver, letter, visiting
from tests.instruments.server import Server
from tests.instruments.until import until

BUSY = "451 4.7.1 too busy for strangers now"


class Busy(socketserver.StreamRequestHandler):
    """A mail server somewhere that takes nothing for now."""

    def handle(self) -> None:
        self.wfile.write(b"220 far.test ESMTP\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            self.wfile.write({b"RCPT": BUSY.encode(), b"QUIT": b"221 bye"}.get(verb, b"250 fine") + b"\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("admin") / "data", USERS)
    store = Store.open(made.data)
    people.change(store, BOB, admin=True)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Busy) as elsewhere:
        routes.add(store, "default", "", f"127.0.0.1:{elsewhere.server_address[1]}")
        store.close()
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        yield from _running(made)
        elsewhere.shutdown()


def _running(made: Server) -> Iterator[Server]:
    with made as running:
        for number in range(3):
            deliver(running, letter(f"Number {number}"))
        yield running


def sign_in(visit: Visit, user: str = BOB) -> Page:
    page = visit.page
    page.goto(f"https://localhost:{visit.server.ports['admin']}/")
    page.get_by_label("E-mail address").fill(user)
    page.get_by_label("Password").fill(USERS[user])
    page.get_by_role("button", name="Sign in").click()
    return page


def inside(visit: Visit) -> Page:
    page = sign_in(visit)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    visit.forgive("401")
    return page


def blameless(page: Page) -> None:
    """No finding of axe that is serious."""
    found = Axe().run(page).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def test_who_is_no_administrator_is_turned_away(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-turned-away") as visit:
        page = sign_in(visit, ALICE)
        expect(page.get_by_text("Only administrators may")).to_be_visible()
        page.get_by_role("button", name="Sign in as somebody else").click()
        expect(page.get_by_label("E-mail address")).to_be_visible()
        visit.forgive("401", "403")


def test_a_day_at_a_glance(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-overview", height=1400) as visit:
        page = inside(visit)
        expect(page.get_by_role("img", name="Mail by hour: 3 in from other servers")).to_be_visible()
        expect(page.get_by_text("checks found nothing to say")).to_be_visible()
        blameless(page)


def test_on_a_phone_in_the_dark(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-phone", width=360, height=1500, dark=True) as visit:
        page = inside(visit)
        expect(page.get_by_text("checks found nothing to say")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        blameless(page)


def test_the_queue_and_its_verbs(chromium: Browser, server: Server) -> None:
    """What the peer said stands there; a held message is released; one is dropped after a question."""
    hand_in(server, "slow@far.test", "gone@far.test")
    with visiting(chromium, server, "admin-queue") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Queue").click()
        row = page.get_by_role("row").filter(has_text="slow@far.test")
        expect(row).to_be_visible()
        until(lambda: looked_at(page).get_by_text(BUSY).count() >= 2, "the peer's words")
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Hold").click()
        page.get_by_label("Why; the list shows it").fill("they are moving")
        page.get_by_role("dialog").get_by_role("button", name="Hold").click()
        expect(row.get_by_text("held: they are moving")).to_be_visible()
        blameless(page)
        visit.seen.shot("admin-queue-held")
        row.get_by_role("button", name="slow@far.test").click()
        expect(page.get_by_role("dialog").get_by_text("Out there")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_text("1 recipient released.")).to_be_visible()
        expect(row.get_by_text("held: they are moving")).to_have_count(0)
        other = page.get_by_role("row").filter(has_text="gone@far.test")
        other.get_by_role("checkbox").check()
        page.get_by_role("button", name="Drop").click()
        page.get_by_role("dialog").get_by_role("button", name="Drop").click()
        expect(other).to_have_count(0)


def looked_at(page: Page) -> Page:
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    return page


def hand_in(server: Server, *to: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
        smtp.login(ALICE, USERS[ALICE])
        smtp.sendmail(ALICE, to, b"From: %s\r\nSubject: Out there\r\n\r\nHello.\r\n" % ALICE.encode())


def test_users_come_change_and_go(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-users") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Users").click()
        page.get_by_role("button", name="Add a user").click()
        page.get_by_label("E-mail address").fill("alice@example.test")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("alice@example.test")
        visit.forgive("422")
        page.get_by_label("E-mail address").fill("eve@example.test")
        page.get_by_label("Name").fill("Eve")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        row = page.get_by_role("row").filter(has_text="eve@example.test")
        expect(row.get_by_text("Eve", exact=True)).to_be_visible()
        for choice, state in (("Disable", 1), ("Enable", 0)):
            row.get_by_role("button", name="What to do with").click()
            page.get_by_role("menuitem", name=choice).click()
            expect(row.get_by_text("disabled", exact=True)).to_have_count(state)
        visit.seen.shot("admin-users-list")
        blameless(page)
        row.get_by_role("button", name="What to do with").click()
        page.get_by_role("menuitem", name="Remove").click()
        expect(page.get_by_text("6 mailboxes with 0 messages")).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(row).to_have_count(0)


def test_every_place_is_shown_and_blameless(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-trace", width=360) as visit:
        page = inside(visit)
        for place in ("Quarantine", "Domains", "Aliases", "Reports", "Trace"):
            page.get_by_role("link", name=place).click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(place)
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            blameless(page)
        page.get_by_label("Sender").fill("ann@a.test")
        page.get_by_role("button", name="Find").click()
        page.locator("summary").first.click()
        expect(page.get_by_text("accepted, from another server").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 360


PLACES = ("Settings", "Sessions", "Bans", "Routes", "DNS", "DKIM", "Certificates")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_server_s_own_places_are_blameless_in_the_dark_too(chromium: Browser, server: Server, width: int) -> None:
    with visiting(chromium, server, f"admin-server-{width}", width=width, dark=width == 360) as visit:
        page = inside(visit)
        for place in PLACES:
            page.get_by_role("link", name=place, exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(place)
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            expect(page.locator("#main [role=alert]")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            blameless(page)
            visit.seen.shot(f"admin-{place.lower()}-{width}")


def test_a_setting_is_changed_and_changed_back(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-settings") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Find in settings").fill("queue.lifetime")
        page.get_by_role("button", name="queue.lifetime").click()
        page.get_by_role("button", name="Change", exact=True).click()
        asked = page.get_by_role("dialog").last
        asked.get_by_role("textbox").fill("soon")
        asked.get_by_role("button", name="Set").click()
        expect(asked.get_by_role("alert")).to_contain_text("queue.lifetime")
        visit.forgive("422")
        asked.get_by_role("textbox").fill("3d")
        asked.get_by_role("button", name="Set").click()
        expect(page.get_by_text("queue.lifetime is 3d")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("table", name="Who changed what").get_by_role("row").nth(1).get_by_role("button").click()
        page.get_by_role("dialog").get_by_role("button", name="Change back").click()
        expect(page.get_by_text("queue.lifetime is 5d")).to_be_visible()


def test_a_network_is_banned_and_let_in_again(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-bans") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Bans").click()
        page.get_by_role("button", name="Ban a network").click()
        page.get_by_label("Address or network").fill("192.0.2.0/24")
        page.get_by_role("dialog").get_by_role("button", name="Ban").click()
        row = page.get_by_role("row").filter(has_text="192.0.2.0/24")
        row.get_by_role("button", name="Remove").click()
        expect(row).to_have_count(0)


def test_an_app_password_is_made_for_a_user_and_taken_away(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-app-password") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Users").click()
        row = page.get_by_role("row").filter(has_text=ALICE)
        row.get_by_role("button", name="What to do with").click()
        page.get_by_role("menuitem", name="Two-factor").click()
        expect(page.get_by_text("It is off: his password alone lets him in.")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        row.get_by_role("button", name="What to do with").click()
        page.get_by_role("menuitem", name="App passwords").click()
        page.get_by_role("button", name="Make one").click()
        page.get_by_label("What it is for").fill("phone")
        long_ago(server)
        page.get_by_role("button", name="Make", exact=True).click()
        page.get_by_label("Your own password").fill(USERS[BOB])
        page.get_by_role("button", name="Go on").click()
        shown = page.get_by_role("dialog").last
        expect(shown.get_by_text("It is not shown again.")).to_be_visible()
        password = shown.locator("code").inner_text()
        with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
            smtp.login(ALICE, password)
        visit.forgive("403")
        visit.seen.shot("admin-app-password-shown")
        blameless(page)
        shown.get_by_role("button", name="Close").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").last.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("dialog").get_by_text("There is none.")).to_be_visible()


def long_ago(server: Server) -> None:
    """All who are signed in have been so for hours."""
    store = Store.open(server.data)
    store.write_now(_age)
    store.close()


def _age(tx: Tx) -> None:
    tx.run("update web_session set created_at = created_at - 7200000")


def test_records_are_copied_and_a_check_says_what_is_missing(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-dns", height=1400) as visit:
        page = inside(visit)
        page.get_by_role("link", name="DNS").click()
        page.get_by_role("button", name="Copy all, as a zone file").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert "example.test. 3600 IN MX 10 mx.example.test." in page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_text("the name servers cannot say").first).to_be_visible()
        blameless(page)


def test_administrators_find_the_page_from_their_mail(chromium: Browser, server: Server) -> None:
    for user, count in ((ALICE, 0), (BOB, 1)):
        with visiting(chromium, server, f"admin-link-{count}") as visit:
            page = visit.inside(user)
            page.get_by_role("button", name="Account:").click()
            expect(page.get_by_role("menuitem", name="Settings")).to_be_visible()
            expect(page.get_by_role("menuitem", name="Administration")).to_have_count(count)
            if count:
                with page.expect_popup() as popup:
                    page.get_by_role("menuitem", name="Administration").click()
                popup.value.wait_for_url(f"https://localhost:{server.ports['admin']}/admin/")
                expect(popup.value.get_by_role("heading", name="Overview")).to_be_visible()


def test_many_users_are_shown_a_page_at_a_time(chromium: Browser, server: Server) -> None:
    store = Store.open(server.data)
    domains.add(store, "many.test")
    for number in range(120):
        people.add(store, f"user{number:03}@many.test", None)
    store.close()
    with visiting(chromium, server, "admin-pages") as visit:
        page = inside(visit)
        page.get_by_role("link", name="Users").click()
        row = page.get_by_role("row").filter(has_text="user119@many.test")
        expect(page.get_by_text("Page 1")).to_be_visible()
        expect(row).to_have_count(0)
        page.get_by_role("button", name="Next").click()
        expect(row).to_be_visible()
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        page.get_by_role("button", name="Previous").click()
        expect(row).to_have_count(0)
        page.get_by_label("Find in users").fill("user119")
        expect(row).to_be_visible()
        expect(page.get_by_text("Page 1")).to_have_count(0)
        blameless(page)
