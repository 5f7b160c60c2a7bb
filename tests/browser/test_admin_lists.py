"""The administration page with something in each of its lists: domains, aliases, the quarantine, traces, reports."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from daemon.admin import people
from daemon.store import reports
from daemon.store.db import Store
from daemon.store.reports import DAY, Head, Row, Session
from daemon.trust.rules import GTUBE
from tests.browser.house import ALICE, BOB, USERS, arrived, deliver, letter, visiting
from tests.browser.test_admin import blameless, inside
from tests.instruments.server import Server

MINE = "example.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("lists") / "data", USERS, {"spam.check": "yes", "spam.greylist": "no"})
    store = Store.open(made.data)
    people.change(store, BOB, admin=True)
    reported(store)
    store.close()
    with made:
        yield made


def reported(store: Store) -> None:
    """Two days of what others saw of our domain."""
    today = store.clock() // DAY * DAY
    for back, good, bad in ((2, 100, 0), (1, 40, 20)):
        begin = today - back * DAY
        head = Head("dmarc", MINE, "google.com", f"d{back}", begin, begin + DAY - 1, {"p": "none"})
        proofs = {"dkim": [[MINE, "pass", "s1"]], "spf": [["<b>bounce</b>.example", "pass"]]}
        rows = [
            Row("192.0.2.1", good, "pass", "pass", "fail", MINE, "bounce.example", proofs),
            Row("198.51.100.66", bad or 1, "reject", "fail", "fail", MINE, "evil.example", {}),
        ]
        assert store.write_now(reports.add, head, rows) == "kept"
        session = Session(MINE, "sts", "certificate-expired", 3, "192.0.2.1", "mx.example.test", "over <i>now</i>")
        assert store.write_now(reports.add, head._replace(kind="tls"), [session]) == "kept"


def place(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def deed(page: Page, row: str, item: str) -> None:
    page.get_by_role("row").filter(has_text=row).get_by_role("button", name="What to do with").click()
    page.get_by_role("menuitem", name=item).click()


def test_domains_and_aliases_come_change_and_go(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "admin-domains") as visit:
        page = inside(visit)
        place(page, "Domains")
        page.get_by_role("button", name="Add a domain").click()
        page.get_by_label("Domain", exact=True).fill("bücher.test")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("row").filter(has_text="bücher.test")).to_be_visible()
        visit.seen.shot("admin-domains-list")
        place(page, "Aliases")
        page.get_by_role("button", name="Add an alias").click()
        page.get_by_label("Alias", exact=True).fill("all@xn--bcher-kva.test")
        page.get_by_label("Goes to").fill(f"{ALICE}, {BOB}")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        row = page.get_by_role("row").filter(has_text="all@")
        expect(row).to_contain_text(BOB)
        deliver(server, letter("To all of us"), to="all@xn--bcher-kva.test")
        arrived(server, BOB, "To all of us")
        deed(page, "all@", "Change")
        page.get_by_label("Goes to").fill(ALICE)
        page.get_by_role("dialog").get_by_role("button", name="Change").click()
        expect(row).not_to_contain_text(BOB)
        blameless(page)
        deed(page, "all@", "Remove")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(row).to_have_count(0)
        place(page, "Domains")
        deed(page, "bücher.test", "Remove")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.get_by_role("row").filter(has_text="bücher.test")).to_have_count(0)


def test_what_was_kept_is_looked_at_and_released(chromium: Browser, server: Server) -> None:
    with pytest.raises(smtplib.SMTPDataError):
        deliver(server, letter("Only <b>a trial</b>", GTUBE.decode()))
    with visiting(chromium, server, "admin-quarantine", width=360, height=740, dark=True) as visit:
        page = inside(visit)
        page.goto(f"{page.url.partition('#')[0]}#/quarantine")
        page.get_by_role("button", name="Only <b>a trial</b>").click()
        expect(page.get_by_role("dialog")).to_contain_text(GTUBE.decode()[:40])
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        visit.seen.shot("admin-quarantine-shown")
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_text(f"Released to the inbox of {ALICE}.")).to_be_visible()
        arrived(server, ALICE, "Only <b>a trial</b>")
        expect(page.get_by_text("Nothing is kept.")).to_be_visible()


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (360, True)])
def test_what_others_report_is_plotted(chromium: Browser, server: Server, width: int, dark: bool) -> None:
    with visiting(chromium, server, f"admin-reports-{width}", width=width, height=1500, dark=dark) as visit:
        page = inside(visit)
        page.goto(f"{page.url.partition('#')[0]}#/reports")
        expect(page.get_by_text("2 reports of 1 organisation.").first).to_be_visible()
        source = page.get_by_role("row").filter(has_text="198.51.100.66")
        expect(source).to_contain_text("21")
        expect(page.get_by_role("row").filter(has_text="192.0.2.1")).to_contain_text("<b>bounce</b>.example")
        expect(page.get_by_role("img", name="Messages by day")).to_be_visible()
        sessions = page.get_by_role("img", name="Sessions by day: 0 secured, 6 failed")
        expect(sessions.locator("rect.series-2")).to_have_count(2)
        assert sessions.locator("text[text-anchor=middle]").count() == 2, "each day has its name"
        expect(page.get_by_role("row").filter(has_text="certificate-expired")).to_contain_text("over <i>now</i>")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        blameless(page)
