"""Folders in folders, all of one read, Trash emptied; and searches with the words for where, when and what."""

from __future__ import annotations

import imaplib

from playwright.sync_api import Browser, Page, expect

from tests.browser.house import ALICE, found, letter, server, visiting
from tests.instruments.server import Server
from tests.instruments.until import until

__all__ = ["server"]


def put(server: Server, subject: str, text: str = "Hello.", box: str = "INBOX", *, file: str = "", at: int = 0) -> None:
    message = letter(subject, text)
    if file:
        message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename=file)
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(ALICE, server.users[ALICE])
        when = imaplib.Time2Internaldate(at) if at else ""
        assert imap.append(box, "", when, message.as_bytes().replace(b"\n", b"\r\n"))[0] == "OK"


def boxes(server: Server) -> set[str]:
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(ALICE, server.users[ALICE])
        return {line.decode().rpartition(" ")[2].strip('"') for line in imap.list()[1] if isinstance(line, bytes)}


def choose(page: Page, folder: str, item: str) -> None:
    page.get_by_role("button", name=f"More about {folder}").click()
    page.get_by_role("menuitem", name=item).click()


def test_folders_in_folders(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "folders-tree") as visit:
        page = visit.inside()
        page.get_by_role("button", name="New folder").click()
        page.get_by_role("textbox", name="Name").fill("Work")
        page.get_by_role("button", name="Create").click()
        page.get_by_role("link", name="Work").hover()
        choose(page, "Work", "New folder inside")
        page.get_by_role("textbox", name="Name").fill("Bills")
        page.get_by_role("button", name="Create").click()
        until(lambda: "Work/Bills" in boxes(server), "a folder inside")
        expect(page.get_by_role("link", name="Bills")).to_be_visible()
        choose(page, "Bills", "Move to…")
        page.keyboard.type("(the")
        page.keyboard.press("Enter")
        until(lambda: "Bills" in boxes(server) and "Work/Bills" not in boxes(server), "at the top")
        bills = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="Bills"))
        expect(bills).to_have_attribute("style", "--depth: 0;")  # the page has heard of it too
        choose(page, "Work", "Move to…")
        expect(page.get_by_role("option", name="Work")).to_have_count(0)
        page.keyboard.type("Bills")
        page.keyboard.press("Enter")
        until(lambda: "Bills/Work" in boxes(server), "inside of what was inside")
        put(server, "Rent", box="Bills")
        put(server, "Water", box="Bills")
        choose(page, "Bills", "Mark all as read")
        expect(page.get_by_text("All of Bills is read")).to_be_visible()
        for subject in ("Rent", "Water"):
            until(lambda subject=subject: "\\Seen" in found(server, ALICE, subject, "Bills")[0][1], "it is read")


def test_trash_is_emptied_after_a_question(chromium: Browser, server: Server) -> None:
    put(server, "Worn out", box="Trash")
    with visiting(chromium, server, "folders-empty", width=360, height=740, dark=True) as visit:
        page = visit.inside()
        page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Mailboxes").tap()
        page.get_by_role("button", name="More about Trash").tap()
        page.get_by_role("menuitem", name="Empty Trash…").tap()
        expect(page.get_by_role("dialog")).to_contain_text("deleted for good")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visit.seen.shot("folders-empty-question")
        page.get_by_role("dialog").get_by_role("button", name="Delete them").tap()
        expect(page.get_by_text("Trash is empty")).to_be_visible()
        until(lambda: not found(server, ALICE, "Worn out", "Trash"), "it is gone")


def test_searches_with_operators(chromium: Browser, server: Server) -> None:
    put(server, "Map of Kyoto", "京都へ行きたい", file="東京の地図.pdf")
    put(server, "Kyoto by train", "Straße nach Kyōto", box="Archive", at=1_700_000_000)
    searches = {
        "kyoto": {"Map of Kyoto", "Kyoto by train"},
        "kyoto has:attachment": {"Map of Kyoto"},
        "kyoto in:archive": {"Kyoto by train"},
        "kyoto before:2024-01-01": {"Kyoto by train"},
        "kyoto after:2024-01-01": {"Map of Kyoto"},
        "都へ行": {"Map of Kyoto"},
        "filename:京の地": {"Map of Kyoto"},
        "subject:train from:ann": {"Kyoto by train"},
        "raße": {"Kyoto by train"},
    }
    with visiting(chromium, server, "folders-search") as visit:
        page = visit.inside()
        field = page.get_by_role("combobox", name="Search mail")
        for words, subjects in searches.items():
            field.fill(words)
            expect(page.get_by_role("row")).to_have_count(len(subjects))
            for subject in subjects:
                expect(page.get_by_role("row").filter(has_text=subject)).to_be_visible()
