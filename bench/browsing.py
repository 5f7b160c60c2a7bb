"""Rows in a browser (Debian's chromium): the first page of a long list, and how soon others see what somebody did.

Moments are the system clock's, of the pages and of this process alike: all are on one machine.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.clients import Jmap
from bench.listing import DIFFERENT, different
from bench.row import Field, Figures, Row, median, percentile, settle
from bench.suite import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 5.0  # seconds; what was not seen by then is a failure of the row
_HEADER = b"From: Ann <a@example.org>\r\nTo: u0@bench.test\r\nSubject: to be starred\r\n"
_LETTER = _HEADER + b"Message-ID: <starred@example.org>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n"

# The moment of the first frame after rows with their text stand there, in ms since the address was asked for.
_ROWS = """() => {
  if (window.top !== window) return;
  const look = () => {
    if (window.rowsAt === undefined && document.querySelector("#grid .row:not(.skeleton) .row-subject:not(:empty)"))
      window.rowsAt = 0, requestAnimationFrame(() => setTimeout(() => (window.rowsAt = performance.now())));
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
}"""

# The moments at which the first row got or lost its star, in ms of the system clock, and those of clicks.
_STARS = """() => {
  const now = () => performance.timeOrigin + performance.now();
  const starred = () => document.querySelector("#grid .row:not(.skeleton)")?.classList.contains("starred");
  let last = starred();
  window.seenAt = [], window.clickedAt = [];
  addEventListener("click", () => window.clickedAt.push(now()), true);
  new MutationObserver(() => {
    if (starred() !== last) last = starred(), window.seenAt.push(now());
  }).observe(document.querySelector("#grid"), {subtree: true, childList: true, attributes: true});
}"""


@contextlib.contextmanager
def _chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # the other rows do without

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def _inside(browser: Browser, server: Server) -> Page:
    """User 0 in a browser of his own, signed in, with mail before him."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"https://localhost:{server['https'][1]}/")
    page.get_by_label("E-mail address").fill(server["user"] % 0)
    page.get_by_label("Password").fill(server["password"])
    page.get_by_role("button", name="Sign in").click()
    page.locator("html[data-view=mail]").wait_for(state="attached")
    return page


def _number(page: Page, expression: str, patience: float = PATIENCE) -> float:
    """Once it is one; asked for again and again, for the page's policy forbids what playwright would wait with."""
    until = time.monotonic() + patience
    while not (value := page.evaluate(expression)):
        if time.monotonic() > until:
            raise RuntimeError(f"{expression} was not seen within {patience:g} s")
        time.sleep(0.005)
    return float(value)


def shown(field: Field, server: Server, row: Row) -> Figures:
    """A long list open, and the page asked for anew: until rows are painted. Its files the browser has already."""
    different(field, server)
    jmap = Jmap(server)
    mailbox = jmap.mailbox(DIFFERENT)
    jmap.close()
    took: list[float] = []
    with _chromium() as browser:
        page = _inside(browser, server)
        page.add_init_script(f"({_ROWS})()")
        page.goto(f"https://localhost:{server['https'][1]}/#/folder/{mailbox}")
        settle(field, server)
        field.mark()
        while sum(took) < field.seconds * 1000:
            page.reload(wait_until="commit")
            took.append(_number(page, "window.rowsAt", 60.0))
        field.mark()
    return {"p95": percentile(took, 0.95), "ms": median(took), "worst": max(took), "count": len(took),
            "seconds": sum(took) / 1000}  # fmt: skip


class _Idler:
    """An IMAP client in IDLE: the moments (ms) at which it was told flags."""

    def __init__(self, field: Field, server: Server) -> None:
        self.connection = field.suite.imap(server)
        self.connection.cmd("SELECT INBOX")
        self.connection.k.sendall(b"i IDLE\r\n")
        self.connection.wait("i", "plus")
        self.seen: list[float] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.connection.k.recv(65536):
                self.seen += [time.time() * 1000] * data.count(b"FLAGS (")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.k.shutdown(2)
        self._thread.join()
        self.connection.k.close()


class _Watch:
    """Two browsers and an IMAP client on one mailbox of one message; another IMAP client acts."""

    def __init__(self, field: Field, server: Server, browser: Browser) -> None:
        self.actor = field.suite.imap(server)
        self.actor.cmd("SELECT INBOX")
        self._empty()
        self.actor.append("INBOX", [_LETTER])
        self.one, self.other = (_inside(browser, server) for _ in range(2))
        for page in (self.one, self.other):
            page.locator("#grid .row:not(.skeleton) .row-star").first.wait_for()
            page.evaluate(f"({_STARS})()")
        self.idler = _Idler(field, server)

    def click(self) -> tuple[float, float]:
        """The star, in one browser: ms until it is seen in the other one, and by IMAP."""
        self._begin()
        self.one.locator("#grid .row:not(.skeleton) .row-star").first.click()
        began = float(self.one.evaluate("window.clickedAt[0]"))
        return _number(self.other, "window.seenAt[0]") - began, self._told() - began

    def store(self, change: str) -> float:
        """The same by IMAP: ms from the command until both browsers show it."""
        self._begin()
        began = time.time() * 1000
        self.actor.cmd(f"STORE 1 {change} (\\Flagged)")
        late = max(_number(page, "window.seenAt[0]") for page in (self.one, self.other)) - began
        self._told()
        return late

    def _begin(self) -> None:
        self.idler.seen.clear()
        for page in (self.one, self.other):
            page.evaluate("() => void (window.seenAt = [], window.clickedAt = [])")

    def _told(self) -> float:
        until = time.monotonic() + PATIENCE
        while not self.idler.seen:
            if time.monotonic() > until:
                raise RuntimeError("IDLE was not told of a flag")
            time.sleep(0.002)
        return self.idler.seen[0]

    def _empty(self) -> None:
        with contextlib.suppress(RuntimeError):  # there is nothing
            self.actor.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.actor.cmd("EXPUNGE")

    def close(self) -> None:
        self.idler.close()
        self._empty()
        self.actor.close()


def seen(field: Field, server: Server, row: Row) -> Figures:
    """A message gets its star by a click in a browser and loses it by STORE, in turn; those who look on see it."""
    late: dict[str, list[float]] = {"browser": [], "imap": [], "store": []}
    with _chromium() as browser, contextlib.closing(_Watch(field, server, browser)) as watch:
        settle(field, server)
        field.mark()
        began = time.monotonic()
        while time.monotonic() < began + field.seconds:
            for name, value in zip(("browser", "imap"), watch.click(), strict=True):
                late[name].append(value)
            late["store"].append(watch.store("-FLAGS"))
        seconds = time.monotonic() - began
        field.mark()
    figures = {f"{name}_p50": median(values) for name, values in late.items()}
    worst = {f"{name}_worst": max(values) for name, values in late.items()}
    return figures | worst | {"worst": max(worst.values()), "count": 2 * len(late["store"]), "seconds": seconds}
