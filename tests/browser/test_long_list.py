"""A list of thousands: each place of it is shown where one looks, little of it is on the page, and nothing jumps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from daemon.mail.address import parse_address
from daemon.store import accounts
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.browser.house import ALICE, USERS, deliver, letter, visiting
from tests.instruments.server import Server
from tests.store.stage import message, put

MANY = 4000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("long") / "data", USERS)
    store = Store.open(made.data)
    store.reserve = 0
    account = store.read_now(accounts.find, parse_address(ALICE))
    assert account is not None
    bodies = [Body.of(message(f"Number-{number:04}")) for number in range(MANY)]

    def fill(tx: Tx) -> None:
        for number, body in enumerate(bodies):
            put(tx, body, account.id, received_at=1_700_000_000_000 + number * 60_000, flags=1)

    store.write_now(fill, bodies=bodies)
    for body in bodies:
        body.close()
    store.close()
    with made:
        yield made


def at(page: Page, part: float) -> None:
    """To a place of the list, as by its scroll bar."""
    page.get_by_role("grid", name="Conversations").evaluate(
        "(grid, part) => { grid.scrollTop = (grid.scrollHeight - grid.clientHeight) * part; }", part
    )


def shown(page: Page) -> list[tuple[str, int]]:
    """Subjects that are in sight, each with how far it is from the top."""
    found: list[tuple[str, int]] = page.evaluate(
        """() => {
            const grid = document.querySelector("#grid").getBoundingClientRect();
            return [...document.querySelectorAll("#grid .row")]
                .map((row) => [/Number-\\d+/.exec(row.textContent)?.[0], row.getBoundingClientRect().top - grid.top])
                .filter(([name, top]) => name && top >= 0 && top < grid.height);
        }"""
    )
    return sorted((name, round(top)) for name, top in found)


def test_thousands_in_one_list(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "long-list") as visit:
        page = visit.inside()
        grid = page.get_by_role("grid", name="Conversations")
        expect(grid).to_have_attribute("aria-rowcount", str(MANY))
        for part, number in ((0.5, 2000), (1.0, 3), (0.25, 3000), (0.0, 3997)):
            at(page, part)
            expect(page.get_by_role("row").filter(has_text=f"Number-{number:04}")).to_be_visible()
            assert page.get_by_role("row").count() < 40
        at(page, 0.5)
        expect(page.get_by_role("row").filter(has_text="Number-2000")).to_be_visible()
        before = shown(page)
        assert len(before) > 5
        deliver(server, letter("New on top"))
        expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
        expect(page.locator("#announcer")).to_contain_text("New on top")
        assert shown(page) == before, "what one reads stays where it is"
        page.get_by_role("row").filter(has_text="Number-2000").click()
        expect(page.get_by_role("heading", name="Number-2000")).to_be_visible()
        page.keyboard.press("j")
        expect(page.get_by_role("heading", name="Number-1999")).to_be_visible()
