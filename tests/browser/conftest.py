"""A real browser (Debian's chromium), and pages in it that tell what went wrong on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect, sync_playwright
from playwright.sync_api import TimeoutError as Late

from daemon.serve.web import pages
from tests.instruments.until import PATIENCE, until

CHROMIUM = "/usr/bin/chromium"
SHOTS = Path(__file__).parent / "shots"
PURE = "http://pure.test/"  # no server: the modules, from the disk
expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: as long as playwright is there its event loop is, and others could run none of their own."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Watched:
    """A page with what it complained of: errors of scripts, of the console, answers that failed."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))

    def shot(self, name: str) -> None:
        """A picture for people; a browser that is too busy to draw one is asked again."""
        SHOTS.mkdir(exist_ok=True)
        until(lambda: self._drawn(SHOTS / f"{name}.png"), f"a picture of {name}")

    def _drawn(self, path: Path) -> bool:
        try:
            self.page.screenshot(path=path, timeout=PATIENCE * 1000 / 3)
        except Error as fault:
            if not isinstance(fault, Late) and "Unable to capture" not in fault.message:
                raise
            return False
        return True


@contextlib.contextmanager
def watched(browser: Browser, *, width: int = 1440, height: int = 900, dark: bool = False) -> Iterator[Watched]:
    """A window of its own; at its end nothing may have been complained of."""
    context = browser.new_context(
        ignore_https_errors=True,
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        has_touch=width < 720,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    context.set_default_timeout(PATIENCE * 1000)
    seen = Watched(context)
    try:
        yield seen
    finally:
        context.close()
    assert not seen.complaints, seen.complaints


@pytest.fixture(scope="module")
def pure(chromium: Browser) -> Iterator[Page]:
    """A page without a server that can import the webmail's modules: `import("/search.js")`."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(PURE).partition("?")[0]
        file = pages.shelf().files.get(path)
        if file is None:
            route.fulfill(body="<!DOCTYPE html><title>pure</title>", content_type="text/html")
        else:
            route.fulfill(body=file.body, content_type=file.kind)

    with watched(chromium) as seen:
        seen.context.route(f"{PURE}**", serve)
        seen.page.goto(f"{PURE}blank")
        yield seen.page
