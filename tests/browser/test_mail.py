"""Mail in a browser, as its user does it: read, file away, find, by hand and by keys, on a desk and on a phone."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from passlib.totp import TOTP
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.house import ALICE, BOB, USERS, deliver, found, letter, visiting
from tests.instruments.server import Server
from tests.instruments.until import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("mail") / "data", USERS) as running:
        yield running


def put(server: Server, subject: str, text: str = "Hello Alice.", flags: str = "", **fields: str) -> None:
    """Into Alice's inbox, as an IMAP client does."""
    with imap(server) as client:
        message = letter(subject, text, **fields).as_bytes().replace(b"\n", b"\r\n")
        assert client.append("INBOX", flags, "", message)[0] == "OK"


def imap(server: Server) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    client.login(ALICE, USERS[ALICE])
    return client


def there(server: Server, subject: str, box: str) -> bool:
    return bool(found(server, ALICE, subject, box))


def held(page: Page) -> Locator:
    """The offer to undo, which stays as long as the pointer is on it."""
    offer = page.get_by_role("button", name="Undo")
    offer.hover()
    return offer


def row(page: Page, subject: str) -> Locator:
    return page.get_by_role("row").filter(has_text=subject)


def test_a_wrong_password_is_told_and_the_right_one_enters(chromium: Browser, server: Server) -> None:
    put(server, "Welcome")
    with visiting(chromium, server, "mail-sign-in") as alice:
        page = alice.page
        page.goto(alice.url)
        page.get_by_label("E-mail address").fill(ALICE)
        page.get_by_label("Password").fill("not this one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).not_to_be_empty()
        alice.seen.shot("mail-sign-in-refused")
        page.get_by_label("Password").fill(USERS[ALICE])
        page.keyboard.press("Enter")
        alice.entered()
        page.reload()
        expect(page.get_by_role("grid", name="Conversations")).to_be_visible()
        page.get_by_role("button", name="Account:").click()
        page.get_by_role("menuitem", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in to your mail")).to_be_visible()
        alice.forgive("401")


def test_a_second_factor_is_asked_for(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "mail-second-factor") as bob:
        page = bob.sign_in(BOB)
        page.get_by_text("All done.").wait_for()
        secret = page.evaluate(TWO_FACTOR, [USERS[BOB], "", ""])["secret"]
        code = TOTP(key=secret).generate().token
        spare = page.evaluate(TWO_FACTOR, [USERS[BOB], secret, code])["recoveryCodes"][0]
        page.get_by_role("button", name="Account:").click()
        page.get_by_role("menuitem", name="Sign out").click()
        page.get_by_role("heading", name="Sign in to your mail").wait_for()
        bob.sign_in(BOB)
        field = page.get_by_label("Code of your authenticator, or a recovery code")
        field.fill(code)  # it was used already
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("alert")).not_to_be_empty()
        blameless(page)
        bob.seen.shot("mail-code")
        field.fill(spare)
        page.keyboard.press("Enter")
        expect(page.get_by_text("All done.")).to_be_visible()
        bob.forgive("401")


TWO_FACTOR = """async ([password, secret, code]) => {
    const { Jmap } = await import("/static/jmap.js");
    const jmap = new Jmap();
    await jmap.open();
    const asked = secret ? { code } : { program: "new" };
    const answer = await jmap.call("TwoFactor/set", { password, update: { singleton: asked } });
    if (answer.notUpdated) throw new Error(JSON.stringify(answer.notUpdated));
    return answer.updated.singleton;
}"""


def test_a_conversation_is_read(chromium: Browser, server: Server) -> None:
    put(server, "Walk by the river", "Shall we?\n\nhttps://river.test/map\n")
    put(server, "Re: Walk by the river", "Yes, at ten.\n\n> Shall we?\n", In_Reply_To="<Walk.by.the.river@a.test>")
    with visiting(chromium, server, "mail-read") as alice:
        page = alice.inside()
        line = row(page, "Walk by the river")
        expect(line).to_have_class(re.compile("unread"))
        expect(line.locator(".row-count")).to_have_text("2")
        line.click()
        reader = page.get_by_role("region", name="Conversation", exact=True)
        expect(reader.get_by_role("heading", name="Walk by the river")).to_be_visible()
        expect(reader.get_by_text("Yes, at ten.")).to_be_visible()
        link = reader.get_by_role("link", name="https://river.test/map")
        expect(link).to_have_attribute("rel", re.compile("noopener"))
        expect(reader.get_by_text("Shall we?").last).to_be_hidden()  # what repeats is folded
        expect(line).not_to_have_class(re.compile("unread"))
        until(lambda: all("\\Seen" in flags for _, flags in found(server, ALICE, "Walk by the river")), "read by IMAP")


def test_the_source_of_a_message_and_its_file(chromium: Browser, server: Server) -> None:
    message = letter("With a map")
    message.add_attachment(b"%PDF-1.4 a map", maintype="application", subtype="pdf", filename="Map of the river.pdf")
    with imap(server) as client:
        client.append("INBOX", "", "", message.as_bytes().replace(b"\n", b"\r\n"))
    with visiting(chromium, server, "mail-files") as alice:
        page = alice.inside()
        row(page, "With a map").click()
        with page.expect_download() as coming:
            page.get_by_role("link", name="Map of the river.pdf").click()
        assert coming.value.suggested_filename == "Map of the river.pdf"
        assert Path(coming.value.path()).read_bytes() == b"%PDF-1.4 a map"
        page.get_by_role("button", name="More about this message").click()
        page.get_by_role("menuitem", name="View source").click()
        source = page.get_by_role("dialog", name="Source")
        expect(source.get_by_text("Message-ID: <With.a.map@a.test>")).to_be_visible()
        alice.seen.shot("mail-source")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="More about this message").click()
        with page.expect_download() as coming:
            page.get_by_role("menuitem", name="Download").click()
        assert coming.value.suggested_filename == "With a map.eml"


def test_what_is_archived_comes_back_by_undo(chromium: Browser, server: Server) -> None:
    put(server, "Old newspaper")
    with visiting(chromium, server, "mail-archive") as alice:
        page = alice.inside()
        row(page, "Old newspaper").click()
        page.get_by_role("toolbar", name="Conversation").get_by_role("button", name="Archive").click()
        expect(row(page, "Old newspaper")).to_have_count(0)
        undo = held(page)
        until(lambda: there(server, "Old newspaper", "Archive"), "archived")
        alice.seen.shot("mail-archived")
        undo.click()
        expect(row(page, "Old newspaper")).to_be_visible()
        until(lambda: there(server, "Old newspaper", "INBOX"), "back")
        assert not there(server, "Old newspaper", "Archive")


def test_junk_and_back(chromium: Browser, server: Server) -> None:
    put(server, "Win a boat")
    with visiting(chromium, server, "mail-junk") as alice:
        page = alice.inside()
        row(page, "Win a boat").click()
        tools = page.get_by_role("toolbar", name="Conversation")
        tools.get_by_role("button", name="Junk").click()
        until(lambda: there(server, "Win a boat", "Junk"), "in Junk")
        page.get_by_role("link", name="Junk").click()
        row(page, "Win a boat").click()
        tools.get_by_role("button", name="Not junk").click()
        until(lambda: there(server, "Win a boat", "INBOX"), "in the inbox")


def test_several_are_ticked_and_moved_to_a_new_folder(chromium: Browser, server: Server) -> None:
    for subject in ("Receipt one", "Receipt two"):
        put(server, subject)
    with visiting(chromium, server, "mail-move") as alice:
        page = alice.inside()
        for subject in ("Receipt one", "Receipt two"):
            row(page, subject).get_by_role("checkbox").click()
        expect(page.get_by_text("2 selected")).to_be_visible()
        alice.seen.shot("mail-ticked")
        page.get_by_role("toolbar", name="List").get_by_role("button", name="Move to").click()
        page.get_by_role("combobox", name="Move 2 conversations to").fill("Receipts")
        page.get_by_role("option", name="New folder “Receipts”").click()
        expect(row(page, "Receipt one")).to_have_count(0)
        until(lambda: there(server, "Receipt one", "Receipts") and there(server, "Receipt two", "Receipts"), "moved")
        page.get_by_role("link", name="Receipts").click()
        expect(row(page, "Receipt two")).to_be_visible()


def test_folders_are_made_renamed_filled_and_deleted(chromium: Browser, server: Server) -> None:
    put(server, "A seed catalogue")
    with visiting(chromium, server, "mail-folders") as alice:
        page = alice.inside()
        page.get_by_role("button", name="New folder").click()
        page.get_by_role("textbox", name="Name").fill("Garten")
        page.get_by_role("button", name="Create").click()
        page.get_by_role("link", name="Garten").hover()
        page.get_by_role("button", name="More about Garten").click()
        page.get_by_role("menuitem", name="Rename…").click()
        page.get_by_role("textbox", name="Name").fill("Garden & roof")
        page.get_by_role("button", name="Rename").click()
        folder = page.get_by_role("link", name="Garden & roof")
        expect(folder).to_be_visible()
        row(page, "A seed catalogue").drag_to(folder)
        until(lambda: there(server, "A seed catalogue", "Garden &- roof"), "dropped there")
        alice.seen.shot("mail-dropped")
        page.get_by_role("button", name="More about Garden & roof").click()
        page.get_by_role("menuitem", name="Delete…").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(folder).to_have_count(0)
        until(lambda: there(server, "A seed catalogue", "Trash"), "its mail is in Trash")


def test_labels_are_given_found_and_taken(chromium: Browser, server: Server) -> None:
    put(server, "Plan of the kitchen")
    with visiting(chromium, server, "mail-labels") as alice:
        page = alice.inside()
        row(page, "Plan of the kitchen").click()
        page.keyboard.press("l")
        page.get_by_role("combobox", name="Label as").fill("House work")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="house-work").click()
        expect(row(page, "Plan of the kitchen")).to_be_visible()
        until(lambda: "house-work" in found(server, ALICE, "Plan of the kitchen")[0][1], "a keyword of IMAP")
        row(page, "Plan of the kitchen").click()
        page.get_by_role("button", name="Remove the label house-work").click()
        until(lambda: "house-work" not in found(server, ALICE, "Plan of the kitchen")[0][1], "taken off")


def test_search_finds_as_one_types(chromium: Browser, server: Server) -> None:
    put(server, "The zeppelin", "It lands at noon.", From="Zoe <zoe@sky.test>")
    put(server, "Lunch", "At noon, with Zoe.")
    with visiting(chromium, server, "mail-search") as alice:
        page = alice.inside()
        field = page.get_by_role("combobox", name="Search mail")
        field.press_sequentially("noon")
        expect(row(page, "The zeppelin")).to_be_visible()
        expect(row(page, "Lunch")).to_be_visible()
        field.fill("from:zoe noon")
        expect(row(page, "Lunch")).to_have_count(0)
        expect(row(page, "The zeppelin")).to_be_visible()
        alice.seen.shot("mail-search-found")
        field.fill("noon -zeppelin is:unread")
        expect(row(page, "The zeppelin")).to_have_count(0)
        expect(row(page, "Lunch")).to_be_visible()
        field.fill("nothing-like-it-anywhere")
        expect(page.get_by_text("Nothing was found.")).to_be_visible()
        field.fill("")
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def test_the_keys_that_people_know(chromium: Browser, server: Server) -> None:
    for subject in ("Keys three", "Keys two", "Keys one"):
        put(server, subject)
    with visiting(chromium, server, "mail-keys") as alice:
        page = alice.inside()
        press = page.keyboard.press
        press("/")
        page.keyboard.type("subject:Keys")
        press("Enter")
        expect(page.get_by_role("row")).to_have_count(3)
        press("j")
        press("o")
        reader = page.get_by_role("region", name="Conversation", exact=True)
        expect(reader.get_by_role("heading", name="Keys two")).to_be_visible()
        press("k")
        expect(reader.get_by_role("heading", name="Keys one")).to_be_visible()
        press("s")
        expect(row(page, "Keys one")).to_have_class(re.compile("starred"))
        press("u")
        press("*")
        press("a")
        expect(page.get_by_text("3 selected")).to_be_visible()
        press("Escape")
        press("x")
        press("#")
        held(page)
        until(lambda: there(server, "Keys one", "Trash"), "deleted")
        press("z")
        until(lambda: there(server, "Keys one", "INBOX"), "back")
        press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        alice.seen.shot("mail-keys-page")
        press("Escape")
        press("g")
        press("s")
        expect(page.get_by_role("heading", name="Starred")).to_be_visible()
        expect(row(page, "Keys one")).to_be_visible()


def test_what_others_do_is_seen_at_once(chromium: Browser, server: Server) -> None:
    put(server, "Bread of yesterday")
    with visiting(chromium, server, "mail-live") as alice:
        page = alice.inside()
        expect(row(page, "Bread of yesterday")).to_be_visible()
        pointed = page.locator(".row.cursor[data-thread]").get_attribute("data-thread")
        put(server, "Fresh from the oven")
        expect(row(page, "Fresh from the oven")).to_have_class(re.compile("unread"))
        expect(page.locator(".row.cursor")).to_have_attribute(
            "data-thread", str(pointed)
        )  # the keys are still about it
        expect(page.locator("#announcer")).to_contain_text("Fresh from the oven")
        expect(page).to_have_title(re.compile(r"^\(\d+\) Inbox"))
        with imap(server) as client:
            client.select("INBOX")
            number = client.search(None, "SUBJECT", '"Fresh from the oven"')[1][0]
            client.store(number.decode(), "+FLAGS", r"(\Seen \Flagged)")
            expect(row(page, "Fresh from the oven")).to_have_class(re.compile("starred"))
            expect(row(page, "Fresh from the oven")).not_to_have_class(re.compile("unread"))
            client.store(number.decode(), "+FLAGS", r"(\Deleted)")
            client.expunge()
            expect(row(page, "Fresh from the oven")).to_have_count(0)


def test_two_browsers_see_what_each_other_does(chromium: Browser, server: Server) -> None:
    put(server, "Seen by both")
    with visiting(chromium, server, "mail-one") as desk, visiting(chromium, server, "mail-other", width=360) as phone:
        row(desk.inside(), "Seen by both").wait_for()
        row(phone.inside(), "Seen by both").wait_for()
        row(desk.page, "Seen by both").get_by_role("button", name="Star").click()
        expect(row(phone.page, "Seen by both")).to_have_class(re.compile("starred"))
        row(phone.page, "Seen by both").tap()
        expect(row(desk.page, "Seen by both")).not_to_have_class(re.compile("unread"))


def test_a_phone(chromium: Browser, server: Server) -> None:
    put(server, "Small screen", "It fits.")
    with visiting(chromium, server, "mail-phone", width=360, height=740) as alice:
        page = alice.inside()
        alice.seen.shot("mail-phone-list")
        row(page, "Small screen").tap()
        expect(page.locator(".text-body").get_by_text("It fits.")).to_be_visible()
        expect(page.get_by_role("grid")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the phone"
        small = page.evaluate(
            """[...document.querySelectorAll("#bottom button, .reader-tools button")].filter((one) => one.offsetWidth)
               .map((one) => one.getBoundingClientRect())
               .filter(({width, height}) => width < 40 || height < 40).length"""
        )
        assert small == 0, "each is as large as a thumb"
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Archive").tap()
        expect(row(page, "Small screen")).to_have_count(0)
        until(lambda: there(server, "Small screen", "Archive"), "archived")
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Mailboxes").tap()
        page.get_by_role("link", name="Archive").tap()
        expect(row(page, "Small screen")).to_be_visible()


def test_a_row_is_drawn_aside(chromium: Browser, server: Server) -> None:
    put(server, "Drawn aside")
    with visiting(chromium, server, "mail-swipe", width=360, height=740) as alice:
        line = row(alice.inside(), "Drawn aside")
        for kind, x in (("pointerdown", 300), ("pointermove", 260), ("pointermove", 180)):
            touch = {"pointerType": "touch", "clientX": x, "clientY": 200, "bubbles": True}
            line.locator(".row-text").dispatch_event(kind, touch)
        alice.seen.shot("mail-drawn")
        line.locator(".row-text").dispatch_event("pointerup", {"pointerType": "touch", "bubbles": True})
        expect(line).to_have_count(0)
        until(lambda: there(server, "Drawn aside", "Archive"), "archived")


def test_a_broken_line_is_told_and_what_did_not_go_comes_back(chromium: Browser, server: Server) -> None:
    put(server, "Stays here")
    with visiting(chromium, server, "mail-offline") as alice:
        page = alice.inside()
        expect(row(page, "Stays here")).to_be_visible()
        alice.seen.context.set_offline(True)
        row(page, "Stays here").click(button="right")
        page.get_by_role("menuitem", name="Archive").click()
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        expect(row(page, "Stays here")).to_be_visible()
        expect(page.get_by_text("No connection.")).to_be_visible()
        alice.seen.shot("mail-offline")
        alice.seen.context.set_offline(False)
        expect(page.get_by_text("No connection.")).to_be_hidden()
        alice.forgive("ERR_INTERNET_DISCONNECTED")


def test_a_long_list_keeps_few_rows(chromium: Browser, server: Server) -> None:
    with imap(server) as client:
        client.create("Long")
        for number in range(90):
            text = letter(f"Number {number:03}", Message_ID=f"<n{number}@a.test>").as_bytes().replace(b"\n", b"\r\n")
            client.append("Long", r"(\Seen)", imaplib.Time2Internaldate(1_700_000_000 + number), text)
    with visiting(chromium, server, "mail-long") as alice:
        page = alice.inside()
        page.get_by_role("link", name="Long").click()
        expect(row(page, "Number 089")).to_be_visible()
        grid = page.get_by_role("grid", name="Conversations")
        expect(grid).to_have_attribute("aria-rowcount", "90")
        grid.focus()
        page.keyboard.press("End")
        expect(row(page, "Number 000")).to_be_visible()
        assert page.get_by_role("row").count() < 40
        page.keyboard.press("Home")
        page.reload()
        expect(row(page, "Number 089")).to_be_visible()
        page.keyboard.press("*")
        page.keyboard.press("a")
        page.get_by_role("button", name="Tick all 90").click()
        expect(page.get_by_text("90 selected")).to_be_visible()
        page.keyboard.press("Escape")
        grid.focus()
        page.keyboard.press("End")
        expect(row(page, "Number 000")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Number 000")).to_be_visible()


def test_nothing_serious_for_those_who_cannot_see(chromium: Browser, server: Server) -> None:
    put(server, "Of all colours", "> quoted\n", flags=r"(\Flagged work)")
    with visiting(chromium, server, "mail-axe", dark=True) as alice:
        alice.page.goto(alice.url)
        blameless(alice.page)
        page = alice.inside()
        row(page, "Of all colours").click()
        expect(page.get_by_text("Reply", exact=True)).to_be_visible()
        blameless(page)
        alice.seen.shot("mail-dark")
        page.keyboard.press("x")
        page.keyboard.press("v")
        expect(page.get_by_role("listbox")).to_be_visible()
        page.emulate_media(color_scheme="light")
        blameless(page)


def blameless(page: Page) -> None:
    """No finding of axe that is serious."""
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], [node["html"][:200] for node in one["nodes"]][:4]) for one in serious]


def test_a_stranger_delivers_while_one_looks(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "mail-arrives") as alice:
        page = alice.inside()
        page.get_by_role("link", name="Inbox").wait_for()
        deliver(server, letter("By the front door"))
        expect(row(page, "By the front door")).to_be_visible()
