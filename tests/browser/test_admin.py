"""The administration page in a browser: who is let in, the day at a glance, the queue, the story of a message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from daemon.admin import people
from daemon.store.db import Store
from tests.browser.house import ALICE, BOB, USERS, Visit, deliver, letter, visiting
from tests.instruments.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("admin") / "data", USERS)
    store = Store.open(made.data)
    people.change(store, BOB, admin=True)
    store.close()
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
