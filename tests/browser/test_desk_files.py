"""Files of a message, dropped and pasted, and uploads that stop midway; plain text and copies; two addresses of one
user, each with its name and signature; a new password."""

from __future__ import annotations

import os
import re

from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.house import ALICE, BOB, arrived, deliver, found, letter, server, visiting
from tests.browser.test_desk_writing import composer, hold, write
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.instruments.vitals import Vitals

__all__ = ["server"]
SHOP = "alice+shop@example.test"
PUT = """(target, [kind, name, type, octets]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(octets)], name, {type}));
    const how = {bubbles: true, cancelable: true};
    if (kind === "paste") target.dispatchEvent(new ClipboardEvent(kind, {...how, clipboardData: data}));
    else for (const each of ["dragover", kind]) target.dispatchEvent(new DragEvent(each, {...how, dataTransfer: data}));
}"""
LARGE = os.urandom(3_000_000)
SLOWLY = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}


def test_files_are_dropped_and_pasted(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-dropped") as visit:
        page = visit.inside()
        hold(page, 0)
        window = write(page, BOB, "Two files", "Here they are, attached.")
        window.get_by_role("textbox", name="Message").evaluate(PUT, ["paste", "notes.txt", "text/plain", [97, 98]])
        window.evaluate(PUT, ["drop", "dropped.bin", "application/octet-stream", [0, 255]])
        for name in ("notes.txt", "dropped.bin"):
            expect(window.get_by_role("button", name=f"Remove {name}")).to_be_visible()
        expect(window.locator(".attachment progress")).to_have_count(0)
        visit.seen.shot("desk-files")
        window.get_by_role("button", name="Remove notes.txt").click()
        expect(window.get_by_role("button", name="Remove dropped.bin")).to_be_focused()
        page.keyboard.press("Control+Enter")
        message = arrived(server, BOB, "Two files")
        (file,) = message.iter_attachments()
        assert file.get_filename() == "dropped.bin" and file.get_payload(decode=True) == b"\0\xff"


def attached(window: Locator, name: str, data: bytes) -> None:
    window.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def test_an_upload_that_stops_goes_on_when_the_line_is_back(chromium: Browser, server: Server) -> None:
    broken: list[str] = []

    def answer(route: Route) -> None:
        if broken:
            return route.fallback()
        broken.append(route.request.url)
        return route.abort("connectionreset")

    with visiting(chromium, server, "desk-stopped") as visit:
        page = visit.inside()
        hold(page, 0)
        page.route("**/jmap/upload/**", answer)
        window = write(page, BOB, "A large file", "Here it is.")
        attached(window, "large.bin", LARGE)
        expect(window.get_by_text("The server cannot be reached")).to_be_visible()
        expect(window.get_by_role("button", name="Try again")).to_be_visible()
        visit.seen.shot("desk-stopped-midway")
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(window.get_by_role("button", name="Try again")).to_have_count(0)
        page.keyboard.press("Control+Enter")
        (file,) = arrived(server, BOB, "A large file").iter_attachments()
        assert file.get_filename() == "large.bin" and file.get_payload(decode=True) == LARGE
        visit.forgive("ERR_CONNECTION_RESET")


def test_a_file_that_is_taken_away_midway_leaves_nothing(chromium: Browser, server: Server) -> None:
    """Neither in the message nor on the server, which had half of it."""
    with visiting(chromium, server, "desk-midway") as visit:
        page = visit.inside()
        hold(page, 0)
        window = write(page, BOB, "No file", "Here it is not.")
        line = page.context.new_cdp_session(page)
        line.send("Network.emulateNetworkConditions", SLOWLY)
        attached(window, "large.bin", LARGE)
        expect(window.locator(".attachment progress")).to_be_visible()
        until(lambda: Vitals(server.pid).bodies() == 1, "the half of a file")
        window.get_by_role("button", name="Remove large.bin").click()
        until(lambda: Vitals(server.pid).bodies() == 0, "nothing is left of it")
        line.send("Network.emulateNetworkConditions", {**SLOWLY, "uploadThroughput": -1})
        expect(window.get_by_role("textbox", name="Message")).to_be_focused()
        page.keyboard.press("Control+Enter")
        assert not list(arrived(server, BOB, "No file").iter_attachments())


def test_plain_text_with_copies_to_others(chromium: Browser, server: Server) -> None:
    """No HTML at all; who has a blind copy is named to nobody."""
    with visiting(chromium, server, "desk-plain") as visit:
        page = visit.inside()
        hold(page, 0)
        window = write(page, "far@else.test", "In plain words", "")
        window.get_by_role("button", name=re.compile("^Formatting on")).click()
        window.get_by_role("textbox", name="Message").fill("First line <b>\n\n    indented\n")
        page.keyboard.press("Control+Shift+C")
        expect(window.get_by_role("textbox", name="Message")).not_to_be_focused()
        page.keyboard.type(f"{ALICE},")
        page.keyboard.press("Control+Shift+B")
        page.keyboard.type(f"{BOB},")
        visit.seen.shot("desk-copies")
        page.keyboard.press("Control+Enter")
        message = arrived(server, BOB, "In plain words")
        assert message.get_content_type() == "text/plain"
        assert message.get_content() == "First line <b>\r\n\r\n    indented\r\n"
        assert message["Cc"] == ALICE and message["Bcc"] is None and "far@else.test" in message["To"]
        assert arrived(server, ALICE, "In plain words")["Bcc"] is None
        assert arrived(server, ALICE, "In plain words", "Sent")["Bcc"] == BOB


def added(page: Page) -> None:
    page.get_by_role("button", name="Another name or address").click()
    page.get_by_label("Address", exact=True).fill(SHOP)
    form = page.locator("form").filter(has=page.get_by_label("Address", exact=True))
    form.get_by_label("Your name").fill("The Shop")
    form.get_by_role("textbox", name="Signature").fill("Open on weekdays")
    form.get_by_text("More", exact=True).click()
    form.get_by_label("Answers go to").fill(ALICE)
    form.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text(f"The Shop <{SHOP}>")).to_be_visible()


def test_two_addresses_of_one(chromium: Browser, server: Server) -> None:
    deliver(server, letter("An order", "One lamp, please.", From=f"Bob <{BOB}>", To=SHOP), to=SHOP)
    with visiting(chromium, server, "identities") as visit:
        page = visit.inside()
        hold(page, 0)
        added(visit.settings("identities"))
        page.goto(f"{visit.url}#/inbox")
        page.get_by_role("row").filter(has_text="An order").click()
        expect(page.locator(".text-body").get_by_text("One lamp, please.")).to_be_visible()
        page.keyboard.press("r")
        window = composer(page)
        chosen = window.get_by_label("From", exact=True)
        expect(chosen.locator("option:checked")).to_have_text(f"The Shop <{SHOP}>")
        expect(window.locator(".signature").first).to_contain_text("Open on weekdays")
        visit.seen.shot("identities-answer")
        page.keyboard.press("Control+Enter")
        message = arrived(server, BOB, "Re: An order")
        plain = message.get_body(("plain",))
        assert plain is not None and "-- \nOpen on weekdays" in plain.get_content().replace("\r\n", "\n")
        assert message["From"] == f"The Shop <{SHOP}>" and message["Reply-To"] == ALICE


def test_another_address_takes_its_signature_along(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "identities-switch", width=360, height=740, dark=True) as visit:
        page = visit.inside()
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Write").tap()
        window = composer(page)
        expect(window.locator(".signature")).to_have_count(0)
        window.get_by_label("From", exact=True).select_option(label=f"The Shop <{SHOP}>")
        expect(window.locator(".signature")).to_contain_text("Open on weekdays")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        window.get_by_label("From", exact=True).select_option(index=0)
        expect(window.locator(".signature")).to_have_count(0)


def test_the_password_is_changed(chromium: Browser, server: Server) -> None:
    """With the present one, and everybody else is signed out."""
    with visiting(chromium, server, "desk-password-old") as other, visiting(chromium, server, "desk-password") as visit:
        other.inside(BOB)
        visit.inside(BOB)
        page = visit.settings("password")
        for wrong, said in (("not this one", "not your present password"), (server.users[BOB], "Changed.")):
            page.get_by_label("Present password").fill(wrong)
            for label in ("New password", "Once more"):
                page.get_by_label(label).fill("four words are enough")
            page.get_by_role("button", name="Change the password").click()
            expect(page.locator("#settings .result").filter(has_text=said)).to_be_visible()
        server.users[BOB] = "four words are enough"
        assert found(server, BOB, "") is not None, "IMAP knows it"
        page.reload()
        expect(page.get_by_label("Present password")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_role("heading", name="Sign in to your mail")).to_be_visible()
        other.forgive("401")
        other.inside(BOB)
