"""What the composer decides without a page: to whom an answer goes, what is quoted, what a message is made of.

The modules run in a real chromium, read from the disk; nothing listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from daemon.serve.web.pages import POLICY
from tests.browser.conftest import watched

STATIC = Path(__file__).parents[2] / "daemon" / "serve" / "web" / "static"
KINDS = {".js": "text/javascript", ".css": "text/css"}


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page under the policy of ours, for all tests here; what it asks for elsewhere is kept in `asked`."""
    with watched(chromium) as seen:
        seen.context.route("**/*", _from_disk)
        seen.page.goto("http://desk.test/")
        yield seen.page


asked: list[str] = []


def _from_disk(route: Route) -> None:
    url = route.request.url
    path = url.removeprefix("http://desk.test/static/")
    if url == "http://desk.test/":
        route.fulfill(
            body="<!doctype html><title>desk</title>",
            content_type="text/html",
            headers={"Content-Security-Policy": POLICY},
        )
    elif path != url and (STATIC / path).is_file():
        route.fulfill(body=(STATIC / path).read_text(), content_type=KINDS[Path(path).suffix])
    else:
        asked.append(url)
        route.abort()


def run(page: Page, module: str, name: str, *args: Any) -> Any:
    """What an exported function answers."""
    return page.evaluate(
        "async ([module, name, args]) => (await import(`/static/compose/${module}.js`))[name](...args)",
        [module, name, list(args)],
    )


def person(email: str, name: str | None = None) -> dict[str, str | None]:
    return {"name": name, "email": email}


ANN, BOB, CAROL, ME = person("ann@a.test", "Ann"), person("bob@b.test"), person("carol@c.test"), person("me@mine.test")
LIST = person("list@l.test")


# ----------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a@b.test", [person("a@b.test")]),
        ("Ann <a@b.test>", [person("a@b.test", "Ann")]),
        ('"Doe, Jane" <j@b.test>, c@d.test', [person("j@b.test", "Doe, Jane"), person("c@d.test")]),
        ('"She said \\"hi\\"" <j@b.test>', [person("j@b.test", 'She said "hi"')]),
        ("a@b.test; c@d.test\ne@f.test", [person("a@b.test"), person("c@d.test"), person("e@f.test")]),
        ("a@b.test <A@b.test>", [person("A@b.test")]),
        ("mailto:a@b.test", [person("a@b.test")]),
        ("not an address", [person("not an address")]),
        (" , ;; ", []),
        ('"never closed <a@b.test>\nc@d.test', [person("a@b.test", '"never closed'), person("c@d.test")]),
    ],
)
def test_what_is_typed_as_recipients(page: Page, text: str, want: list[Any]) -> None:
    assert run(page, "addresses", "parse", text) == want


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a@b.test", True), ("a.b+c@sub.b.test", True), ("öl@bücher.test", True), ("a@localhost", True),
        ("a@@b.test", False), ("a b@c.test", False), ("@b.test", False), ("a@", False), (".a@b.test", False),
        ("a..b@c.test", False), ("a@-b.test", False), ("a@b..test", False), (f"{'a' * 65}@b.test", False),
    ],
)  # fmt: skip
def test_what_could_be_an_address(page: Page, text: str, is_one: bool) -> None:
    assert run(page, "addresses", "isAddress", text) is is_one


def test_ten_thousand_recipients_are_read_in_one_go(page: Page) -> None:
    text = ", ".join(f"P {n} <p{n}@many.test>" for n in range(10_000))
    assert len(run(page, "addresses", "parse", text)) == 10_000


# ------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("mode", "email", "to", "cc"),
    [
        ("reply", {"from": [ANN], "to": [ME]}, [ANN], []),
        ("reply", {"from": [ANN], "to": [ME], "replyTo": [BOB]}, [BOB], []),
        ("reply", {"from": [ANN], "to": [ME], "cc": [BOB]}, [ANN], []),
        ("replyAll", {"from": [ANN], "to": [ME, BOB], "cc": [CAROL]}, [ANN, BOB], [CAROL]),
        ("replyAll", {"from": [ANN], "to": [person("ME@Mine.test")], "cc": [ANN, CAROL]}, [ANN], [CAROL]),
        ("replyAll", {"from": [ANN], "to": [BOB, BOB], "replyTo": [CAROL]}, [CAROL, BOB], []),
        # what one wrote oneself goes on to whom it went
        ("reply", {"from": [ME], "to": [BOB]}, [BOB], []),
        ("replyAll", {"from": [ME], "to": [BOB], "cc": [CAROL, ME]}, [BOB], [CAROL]),
        # nobody but oneself
        ("reply", {"from": [ME], "to": [ME]}, [ME], []),
        ("replyAll", {"from": [ME], "to": [ME]}, [ME], []),
        # a list
        ("replyList", {"from": [ANN], "to": [LIST], "header:List-Post:asURLs": ["mailto:list@l.test"]}, [LIST], []),
        ("replyAll", {"from": [ANN], "to": [ME], "header:List-Post:asURLs": ["mailto:list@l.test?x=1"]}, [ANN], [LIST]),
        ("replyAll", {"from": [ANN], "to": [LIST], "header:List-Post:asURLs": ["mailto:list@l.test"]}, [ANN, LIST], []),
        ("replyList", {"from": [ANN], "to": [LIST], "header:List-Post:asURLs": ["http://l.test"]}, [ANN], []),
    ],
)  # fmt: skip
def test_to_whom_an_answer_goes(page: Page, mode: str, email: Any, to: list[Any], cc: list[Any]) -> None:
    assert run(page, "answer", "recipients", email, mode, ["me@mine.test"]) == {"to": to, "cc": cc}


@pytest.mark.parametrize(
    ("subject", "answer", "forward"),
    [
        ("Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("Re: Re: AW: Lunch", "Re: Lunch", "Fwd: Re: Re: AW: Lunch"),
        ("Fwd: Lunch", "Re: Fwd: Lunch", "Fwd: Lunch"),
        ("回复：午餐", "Re: 午餐", "Fwd: 回复：午餐"),
        ("Regarding: us", "Re: Regarding: us", "Fwd: Regarding: us"),
        (None, "Re:", "Fwd:"),
    ],
)
def test_subjects_of_answers(page: Page, subject: str | None, answer: str, forward: str) -> None:
    assert run(page, "answer", "answerSubject", subject) == answer
    assert run(page, "answer", "forwardSubject", subject) == forward


@pytest.mark.parametrize(
    ("email", "want"),
    [
        ({"messageId": ["2@x"], "references": ["1@x"]}, {"inReplyTo": ["2@x"], "references": ["1@x", "2@x"]}),
        ({"messageId": ["2@x"], "inReplyTo": ["1@x"]}, {"inReplyTo": ["2@x"], "references": ["1@x", "2@x"]}),
        ({"messageId": ["2@x"], "inReplyTo": ["0@x", "1@x"]}, {"inReplyTo": ["2@x"], "references": ["2@x"]}),
        ({"messageId": None}, {"inReplyTo": None, "references": None}),
    ],
)
def test_the_conversation_of_an_answer(page: Page, email: Any, want: Any) -> None:
    assert run(page, "answer", "thread", email) == want


def test_a_long_conversation_keeps_its_first_and_its_newest(page: Page) -> None:
    email = {"messageId": ["last@x"], "references": [f"{n}@x" for n in range(5000)]}
    kept = run(page, "answer", "thread", email)["references"]
    assert len(kept) == 100 and kept[0] == "0@x" and kept[-1] == "last@x"


# --------------------------------------------------------------------------------------------------------- plain, HTML


def test_plain_quotes(page: Page) -> None:
    text = "Hello,\r\n\r\n> older\r\nbye\r\n-- \r\nAnn, 555-1234\r\n"
    assert run(page, "plain", "quoted", text) == "> Hello,\n>\n>> older\n> bye"


TEXT_OF = """async (html) => {
    const { textOf } = await import('/static/compose/plain.js');
    return textOf((await import('/static/compose/clean.js')).clean(html));
}"""
CLEAN = """async ([html, how]) => {
    const { clean } = await import('/static/compose/clean.js');
    const holder = document.createElement('div');
    holder.append(clean(html, how));
    return holder.innerHTML;
}"""


@pytest.mark.parametrize(
    ("html", "want"),
    [
        ("<p>One</p><p>Two<br>lines</p>", "One\n\nTwo\nlines"),
        ("<ul><li>a<li>b</ul><ol><li>x<li>y</ol>", "* a\n* b\n1. x\n2. y"),
        ("<blockquote>said<blockquote>before</blockquote></blockquote>then", "> said\n>> before\nthen"),
        ('See <a href="https://x.test/">here</a>', "See here <https://x.test/>"),
        ('<a href="https://x.test/">https://x.test</a>', "https://x.test"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<style>p{}</style><script>1</script><title>t</title>words", "words"),
        ("<table><tr><td>a<td>b</tr></table>", "a b"),
    ],
)  # fmt: skip
def test_what_html_says(page: Page, html: str, want: str) -> None:
    assert page.evaluate(TEXT_OF, html) == want


@pytest.mark.parametrize(
    ("html", "want"),
    [
        ('<p onclick="x()" style="color:red" class="y" id="z">a</p>', "<p>a</p>"),
        ("<script>alert(1)</script><b>a</b>", "<b>a</b>"),
        ('<img src="x" onerror="alert(1)" alt="pic">', "pic"),
        (
            '<a href="javascript:alert(1)">a</a><a href=" https://x.test">b</a>',
            '<a>a</a><a href=" https://x.test">b</a>',
        ),
        ("<svg><animate onbegin=alert(1)></svg><math><mi>x</mi></math>a", "a"),
        ("<form action=//evil.test><input><button>x</button></form>a<iframe src=//evil.test></iframe>", "a"),
        ("<unknown><i>a</i></unknown>", "<i>a</i>"),
        ('<img src="https://evil.test/pixel.gif">', ""),
        ("<base href=//evil.test><link rel=stylesheet href=//evil.test><meta http-equiv=refresh content=0>a", "a"),
    ],
)
def test_html_of_others_is_rebuilt_from_what_is_allowed(page: Page, html: str, want: str) -> None:
    assert page.evaluate(CLEAN, [html, {}]) == want


def test_looks_are_kept_of_what_is_forwarded_and_nothing_is_fetched(page: Page) -> None:
    html = (
        '<p style="color: red; position: fixed; background-color: url(//evil.test/a); font-size: 20px">a</p>'
        '<img src="https://evil.test/b.png" alt="b"><style>@import "//evil.test/c"</style>'
    )
    made = page.evaluate(CLEAN, [html, {"looks": True}])
    picture = '<img alt="b" data-remote="https://evil.test/b.png" class="remote">'
    assert made == f'<p style="color: red; font-size: 20px;">a</p>{picture}'
    assert asked == []


def test_deep_and_long_html_ends(page: Page) -> None:
    assert page.evaluate(TEXT_OF, "<div>" * 5000 + "deep").endswith("deep")
    assert len(page.evaluate(CLEAN, ["<b>x</b>" * 100_000, {}])) < 1_000_000


def test_pictures_inside_come_back_as_their_parts(page: Page) -> None:
    made = page.evaluate(
        """async () => {
            const { serialised } = await import('/static/compose/clean.js');
            const root = document.createElement('div');
            for (const data of [{cid: 'a b@x'}, {remote: 'https://r.test/p.png'}, {}]) {
                const image = document.createElement('img');
                Object.assign(image.dataset, data);
                root.append(image);
            }
            const { html, cids } = serialised(root);
            return [html, [...cids]];
        }"""
    )
    assert made == ['<img src="cid:a%20b@x"><img src="https://r.test/p.png">', ["a b@x"]]
    assert asked == []


# ------------------------------------------------------------------------------------------------- messages and doubts

DRAFT = {
    "from": ME, "to": [ANN], "cc": [], "bcc": [BOB], "subject": " Two\nlines ", "text": "t", "html": None, "parts": [],
    "inReplyTo": None, "references": None, "messageId": "1@mine.test",
}  # fmt: skip
FILE = {"blobId": "f1", "type": "text/csv", "name": "a.csv", "size": 3}
PICTURE = {"blobId": "f2", "type": "image/png", "name": "p.png", "size": 3, "cid": "c@x"}


@pytest.mark.parametrize(
    ("html", "parts", "want"),
    [
        (None, [], "text/plain"),
        (None, [FILE], "mixed(text/plain f1)"),
        ("<b>h</b>", [], "alternative(text/plain text/html)"),
        ("<b>h</b>", [PICTURE], "alternative(text/plain related(text/html f2))"),
        ("<b>h</b>", [FILE, PICTURE], "mixed(alternative(text/plain related(text/html f2)) f1)"),
    ],
)
def test_the_structure_of_a_message(page: Page, html: str | None, parts: list[Any], want: str) -> None:
    email = run(page, "message", "emailOf", {**DRAFT, "html": html, "parts": parts}, "m3")

    def shape(part: Any) -> str:
        if "subParts" in part:
            return f"{part['type'].removeprefix('multipart/')}({' '.join(map(shape, part['subParts']))})"
        return str(part.get("blobId", part["type"]))

    assert shape(email["bodyStructure"]) == want
    assert email["subject"] == "Two lines" and email["mailboxIds"] == {"m3": True}
    assert email["keywords"] == {"$draft": True, "$seen": True} and email["bcc"] == [BOB] and "cc" not in email
    assert ("html" in email["bodyValues"]) is (html is not None)


def test_a_submission_waits_by_its_envelope(page: Page) -> None:
    assert run(page, "message", "submissionOf", DRAFT, "e1", "i1", {}) == {"emailId": "e1", "identityId": "i1"}
    held = run(page, "message", "submissionOf", DRAFT, "e1", "i1", {"hold": 10})["envelope"]
    assert held["mailFrom"] == {"email": "me@mine.test", "parameters": {"HOLDFOR": "10"}}
    assert [one["email"] for one in held["rcptTo"]] == ["ann@a.test", "bob@b.test"]
    later = run(page, "message", "submissionOf", DRAFT, "e1", "i1", {"until": "2030-01-01T08:00:00Z"})["envelope"]
    assert later["mailFrom"]["parameters"] == {"HOLDUNTIL": "2030-01-01T08:00:00Z"}


@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({}, []),
        ({"text": "See the attached plan"}, ["attachment"]),
        ({"text": "Im Anhang die Rechnung"}, ["attachment"]),
        ({"text": "資料を添付します"}, ["attachment"]),
        ({"text": "attached", "parts": [FILE]}, []),
        ({"text": "attached", "parts": [PICTURE]}, ["attachment"]),
        ({"text": "Fine.\n> it is attached\n-- \nAttachment department"}, []),
        ({"subject": "  "}, ["subject"]),
        ({"to": [person(f"p{n}@x.test") for n in range(60)]}, ["many"]),
    ],
)
def test_what_is_asked_before_a_message_goes(page: Page, change: Any, want: list[str]) -> None:
    assert [one["kind"] for one in run(page, "warnings", "warnings", {**DRAFT, "subject": "s", **change})] == want


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"to": [], "bcc": []}, "no recipient"),
        ({"to": [person("nonsense")]}, "nonsense cannot be an address"),
        ({"to": [], "bcc": [BOB]}, None),
        ({"to": [person(f"p{n}@x.test") for n in range(2)], "cc": [person("P1@x.test")]}, None),
        ({"to": [person(f"p{n}@x.test") for n in range(3)]}, "4 recipients, and one message goes to 3 at most"),
    ],
)
def test_why_a_message_cannot_go(page: Page, change: Any, said: str | None) -> None:
    found = run(page, "warnings", "fault", {**DRAFT, **change}, 3)
    assert found is None if said is None else said in found


def test_later_is_offered_for_hours_to_come(page: Page) -> None:
    offered = page.evaluate(
        """async () => {
            const { offers } = await import('/static/compose/later.js');
            return ['2026-11-27T10:00', '2026-11-29T20:00'].map((text) => {
                const now = new Date(text);
                return offers(now).map(([name, date]) => [name, date > now]);
            });
        }"""
    )
    friday, sunday = ([name for name, _ in each] for each in offered)
    assert friday == ["This evening", "Tomorrow morning", "Tomorrow afternoon", "Monday morning"]
    assert sunday == ["Tomorrow morning", "Tomorrow afternoon"]
    assert all(ahead for each in offered for _, ahead in each)
