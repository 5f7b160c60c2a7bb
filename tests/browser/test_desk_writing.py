"""Writing in a browser: an answer with a file, sending undone, drafts, pictures, and a line that breaks."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.house import ALICE, BOB, arrived, deliver, found, letter, server, visiting
from tests.instruments.server import Server
from tests.instruments.until import until

__all__ = ["server"]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100"
    "c9fe92ef0000000049454e44ae426082"
)


def hold(page: Page, seconds: int) -> None:
    """How long sending can be undone: most stories do not wait for that."""
    page.evaluate("(undo) => localStorage.setItem('mail-habits', JSON.stringify({undo}))", seconds)


def composer(page: Page) -> Locator:
    return page.locator(".composer").last


def write(page: Page, to: str, subject: str, text: str) -> Locator:
    """A new message by the keyboard alone, up to its text."""
    page.keyboard.press("c")
    window = composer(page)
    expect(window.get_by_label("To", exact=True)).to_be_focused()
    page.keyboard.type(f"{to},")
    window.get_by_label("Subject").fill(subject)
    window.get_by_role("textbox", name="Message").click()
    page.keyboard.type(text)
    return window


def test_an_answer_with_a_file(chromium: Browser, server: Server) -> None:
    html = "<p>The <b>plan</b> is here.</p><img src='http://127.0.0.1:1/pixel.gif'>"
    deliver(server, letter("The plan", "The plan is here.", html, Reply_To=f"Bob <{BOB}>"))
    with visiting(chromium, server, "desk-answer") as visit:
        page = visit.inside()
        hold(page, 0)
        page.get_by_text("The plan").first.click()
        expect(page.get_by_text("ann@a.test").first).to_be_visible()
        page.keyboard.press("r")
        window = composer(page)
        expect(window.get_by_role("button", name=re.compile("^Bob"))).to_be_visible()
        expect(window.locator("blockquote b")).to_have_text("plan")
        page.keyboard.type("Thank you, see the attached table.")
        window.locator("input[type=file]").set_input_files(
            {"name": "t.csv", "mimeType": "text/csv", "buffer": b"a,b\r\n1,2\r\n"}
        )
        expect(window.locator(".attachment progress")).to_have_count(0)
        expect(window.get_by_text("t.csv")).to_be_visible()
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("Message sent")).to_be_visible()
        expect(page.locator(".composer")).to_have_count(0)
        message = arrived(server, BOB, "Re: The plan")
        assert message["In-Reply-To"] == "<The.plan@a.test>" and message["References"] == "<The.plan@a.test>"
        assert "alice@example.test" in message["From"] and message["To"] == f"Bob <{BOB}>"
        plain, rich = message.get_body(("plain",)), message.get_body(("html",))
        assert plain is not None and rich is not None
        assert "see the attached table" in plain.get_content() and "> The plan is here." in plain.get_content()
        assert "<b>plan</b>" in rich.get_content() and "pixel" not in rich.get_content()
        (file,) = message.iter_attachments()
        assert file.get_filename() == "t.csv" and file.get_payload(decode=True) == b"a,b\r\n1,2\r\n"
        until(lambda: "\\Answered" in found(server, ALICE, "The plan")[0][1], "the mark of an answer")
        assert arrived(server, ALICE, "Re: The plan", "Sent")["Message-ID"] == message["Message-ID"]
        until(lambda: not found(server, ALICE, "Re: The plan", "Drafts"), "no draft is left")


def test_sending_undone(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-undo") as visit:
        page = visit.inside()
        hold(page, 30)
        write(page, BOB, "Too hasty", "I quit!")
        page.keyboard.press("Control+Enter")
        page.get_by_role("button", name="Undo").click()
        window = composer(page)
        expect(window.get_by_role("textbox", name="Message")).to_contain_text("I quit!")
        expect(window.get_by_label("Subject")).to_have_value("Too hasty")
        until(lambda: found(server, ALICE, "Too hasty", "Drafts"), "it is a draft again")
        assert not found(server, ALICE, "Too hasty", "Sent") and not found(server, BOB, "Too hasty")
        window.get_by_label("Subject").fill("Thought over")
        hold(page, 0)
        page.keyboard.press("Control+Enter")
        assert "I quit!" in str(arrived(server, BOB, "Thought over").get_body())
        assert not found(server, BOB, "Too hasty")
        until(lambda: not found(server, ALICE, "", "Drafts"), "no draft is left")


def test_a_draft_is_kept_as_one_types(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-draft") as visit:
        page = visit.inside()
        window = write(page, BOB, "Half a thought", "It was a")
        expect(window.get_by_role("status").first).to_have_text("Saved")
        page.keyboard.type(" dark night")
        until(
            lambda: [m for m, _ in found(server, ALICE, "Half a thought", "Drafts") if "dark night" in str(m)],
            "the newer draft",
        )
        until(lambda: len(found(server, ALICE, "Half a thought", "Drafts")) == 1, "the older draft is gone")
        page.reload()
        page.goto(f"{visit.url}#/drafts")
        page.get_by_text("Half a thought").first.click()
        window = composer(page)
        expect(window.get_by_role("textbox", name="Message")).to_contain_text("It was a dark night")
        expect(window.get_by_role("button", name=re.compile(f"^{BOB}"))).to_be_visible()
        window.get_by_role("button", name="Discard draft").click()
        until(lambda: not found(server, ALICE, "Half a thought", "Drafts"), "the draft is gone")


def test_a_message_waits_for_the_line_and_goes_once(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-offline") as visit:
        page = visit.inside()
        hold(page, 0)
        write(page, BOB, "From the train", "Tunnel ahead")
        visit.seen.context.set_offline(True)
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("it is sent as soon as there is one")).to_be_visible()
        visit.seen.context.set_offline(False)
        assert "Tunnel ahead" in str(arrived(server, BOB, "From the train").get_body())
        until(lambda: not found(server, ALICE, "From the train", "Drafts"), "no draft is left")
        assert len(found(server, ALICE, "From the train", "Sent")) == 1
        visit.forgive("ERR_INTERNET_DISCONNECTED")


def test_what_the_server_refuses_is_told_and_is_one_draft(chromium: Browser, server: Server) -> None:
    """At once, and when it is refused only after the line was back."""
    with visiting(chromium, server, "desk-refused") as visit:
        page = visit.inside()
        hold(page, 0)
        for line in (True, False):
            window = write(page, "nobody@example.test", f"To nobody {line}", "Are you there?")
            expect(window.get_by_role("status").first).to_have_text("Saved")
            visit.seen.context.set_offline(not line)
            page.keyboard.press("Control+Enter")
            if not line:
                expect(page.get_by_text("it is sent as soon as there is one")).to_be_visible()
                visit.seen.context.set_offline(False)
            expect(page.get_by_text("Not sent: ")).to_be_visible()
            until(lambda line=line: len(found(server, ALICE, f"To nobody {line}", "Drafts")) == 1, "one draft")
            page.get_by_role("button", name="Edit").click()
            window = composer(page)
            expect(window.get_by_label("Subject")).to_have_value(f"To nobody {line}")
            window.get_by_role("button", name="Discard draft").click()
            until(lambda line=line: not found(server, ALICE, f"To nobody {line}", "Drafts"), "no draft is left")
        visit.forgive("ERR_INTERNET_DISCONNECTED")


@pytest.mark.parametrize("half", [False, True])
def test_a_message_whose_receipt_got_lost_goes_once(chromium: Browser, server: Server, half: bool) -> None:
    lost: list[str] = []
    subject = "Half done" if half else "Only once"

    def lose(route: Route) -> None:
        """The server hears it and answers; the answer never comes. `half`: it sent the message, and was stopped before
        the draft became the sent copy."""
        asked = route.request.post_data or ""
        if lost or "EmailSubmission/set" not in asked:
            return route.fallback()
        said = json.loads(asked)
        if half:
            for _, arguments, _ in said["methodCalls"]:
                arguments.pop("onSuccessUpdateEmail", None)
        lost.append(route.fetch(post_data=json.dumps(said)).text())
        return route.abort("connectionreset")

    with visiting(chromium, server, "desk-lost") as visit:
        page = visit.inside()
        hold(page, 0)
        page.route("**/jmap/api", lose)
        write(page, BOB, subject, "Count me")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("it is sent as soon as there is one")).to_be_visible()
        assert "newState" in lost[0]
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.get_by_text("Message sent")).to_be_visible()
        arrived(server, BOB, subject)
        assert len(found(server, ALICE, subject, "Sent")) == len(found(server, BOB, subject)) == 1
        until(lambda: not found(server, ALICE, subject, "Drafts"), "no draft is left")
        visit.forgive("ERR_CONNECTION_RESET")


def test_what_is_asked_before_it_goes(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-doubts") as visit:
        page = visit.inside()
        window = write(page, "nonsense", "", "See the attachment.")
        page.keyboard.press("Control+Enter")
        expect(window.get_by_role("alert")).to_contain_text("nonsense cannot be an address")
        window.get_by_role("button", name="Remove nonsense").click()
        page.keyboard.type(f"{BOB},")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_role("dialog", name="Send?")).to_contain_text("there is none")
        page.get_by_role("button", name="Send without it").click()
        expect(page.get_by_role("dialog", name="Send?")).to_contain_text("no subject")
        page.keyboard.press("Escape")
        expect(window).to_be_visible()
        window.get_by_role("button", name="Discard draft").click()


def test_a_picture_is_pasted_into_the_text(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-picture") as visit:
        page = visit.inside()
        hold(page, 0)
        window = write(page, BOB, "Look at this", "Here: ")
        window.get_by_role("textbox", name="Message").evaluate(
            """(target, octets) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(octets)], 'dot.png', {type: 'image/png'}));
                const how = {clipboardData: data, bubbles: true, cancelable: true};
                target.dispatchEvent(new ClipboardEvent('paste', how));
            }""",
            list(PNG),
        )
        expect(window.locator(".rich img[data-cid]")).to_be_visible()
        page.keyboard.press("Control+b")
        page.keyboard.type("bold")
        page.keyboard.press("Control+Enter")
        message = arrived(server, BOB, "Look at this")
        rich = message.get_body(("html",))
        assert rich is not None and "<b>bold</b>" in rich.get_content()
        (cid,) = re.findall(r'src="cid:([^"]+)"', rich.get_content())
        (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
        assert picture["Content-ID"] == f"<{cid}>" and picture.get_payload(decode=True) == PNG
        assert picture.get_content_disposition() == "inline"


def test_a_message_for_later_is_called_back(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-later", width=360, height=740, dark=True) as visit:
        page = visit.inside()
        window = write(page, BOB, "Good morning", "Are you up?")
        window.get_by_role("button", name="Send later").click()
        page.get_by_role("button", name=re.compile("^Tomorrow morning")).click()
        expect(page.get_by_text("It will be sent")).to_be_visible()
        page = visit.settings("scheduled")
        expect(page.get_by_text("Good morning")).to_be_visible()
        page.get_by_role("button", name="Cancel sending Good morning").click()
        expect(page.get_by_text("it is a draft again")).to_be_visible()
        until(lambda: found(server, ALICE, "Good morning", "Drafts"), "the draft")
        assert not found(server, BOB, "Good morning")


def test_whom_one_wrote_to_is_offered(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-people") as visit:
        page = visit.inside()
        hold(page, 0)
        write(page, "Robert Builder <bob+builder@example.test>", "First", "Hello")
        page.keyboard.press("Control+Enter")
        arrived(server, BOB, "First")
        page.keyboard.press("c")
        page.keyboard.type("buil")
        expect(page.get_by_role("option", name=re.compile("Robert Builder"))).to_be_visible()
        page.keyboard.press("Enter")
        expect(composer(page).get_by_role("button", name=re.compile("^Robert Builder <bob"))).to_be_visible()
        page.keyboard.press("Escape")


def test_what_is_typed_before_and_after_is_not_lost_and_does_no_harm(chromium: Browser, server: Server) -> None:
    """The keys of a writer who does not wait for a slow line: l, # and e would label, delete and archive."""
    held: list[Route] = []

    def hold_back(url: str, method: str = "") -> None:
        page.route(
            url, lambda route: held.append(route) if method in (route.request.post_data or "") else route.fallback()
        )

    def let_go() -> None:
        until(lambda: page.title() and held, "what is held back is asked for")
        page.unroute_all()
        held.pop().fallback()

    deliver(server, letter("In a hurry", Reply_To=BOB))
    with visiting(chromium, server, "desk-ahead") as visit:
        page = visit.page
        hold_back("**/compose/window.js")
        visit.inside()
        page.keyboard.press("c")
        page.keyboard.type("l#e")
        expect(page.locator(".composer, dialog, .toast")).to_have_count(0)
        let_go()
        field = composer(page).get_by_label("To", exact=True)
        expect(field).to_have_value("l#e")
        expect(field).to_be_focused()
        composer(page).get_by_role("button", name="Discard draft").click()
        hold(page, 0)
        page.get_by_text("In a hurry").first.click()
        expect(page.get_by_text("Hello Alice.").last).to_be_visible()
        hold_back("**/jmap/api", "Identity/get")
        page.keyboard.press("r")
        page.keyboard.type("Let us see!")
        let_go()
        text = composer(page).get_by_role("textbox", name="Message")
        expect(text).to_contain_text(re.compile("^Let us see!.*wrote:", re.DOTALL))
        expect(text).to_be_focused()
        expect(composer(page).get_by_role("status").first).to_have_text("Saved")
        hold_back("**/jmap/api", "Email/set")
        page.keyboard.type(" Now.")
        expect(composer(page).get_by_role("status").first).to_have_text("Saving…")
        page.keyboard.press("Control+Enter")
        page.keyboard.type("xx")  # it is sent, and these are keys of the list
        expect(page.locator(".composer")).to_have_count(0)
        let_go()
        plain = arrived(server, BOB, "Re: In a hurry").get_body(("plain",))
        assert plain is not None and plain.get_content().startswith("Let us see! Now.\r\n")
        assert found(server, ALICE, "In a hurry")


@pytest.mark.timeout(300)
def test_axe_finds_nothing_serious(chromium: Browser, server: Server) -> None:
    with visiting(chromium, server, "desk-axe") as visit:
        page = visit.inside()
        script = (files("axe_playwright_python") / "axe.min.js").read_text()
        window = write(page, "nonsense", "Axe", "Words")
        window.locator("input[type=file]").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
        assert serious(page, script) == []
        window.get_by_role("button", name="Discard draft").click()
        expect(page.locator(".composer")).to_have_count(0)
        sections = page.evaluate("import('/static/settings.js').then((module) => module.NAMES)")
        assert len(sections) == 15
        for section in sections:
            visit.settings(section)
            expect(page.locator("#settings .loading")).to_have_count(0)
            assert serious(page, script) == [], section


def serious(page: Page, script: str) -> list[str]:
    """What axe calls serious or worse; by the debugger's hand, which the page's policy does not bind."""
    page.evaluate(script)
    found = page.evaluate("axe.run().then(({violations}) => violations.map((v) => [v.impact, v.id, v.nodes[0].html]))")
    return [" ".join(map(str, one)) for one in found if one[0] in ("serious", "critical")]
