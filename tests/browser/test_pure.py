"""Functions of the webmail that look at nothing but their arguments, each with a table, in the browser they are for."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

TERMS = """async (text) => (await import("/search.js")).terms(text)"""
FILTER = """async ([text, hidden]) => (await import("/search.js")).filterOf(text, {
    mailbox: (name) => ({inbox: "m1", archive: "m4"})[name.toLowerCase()], hidden,
    now: new Date("2026-03-14T12:00:00Z")})"""


def term(value: str, key: str = "", *, no: bool = False, either: bool = False) -> dict[str, Any]:
    return {"not": no, "or": either, "key": key, "value": value}


@pytest.mark.parametrize(
    "text, want",
    [
        ("", []),
        ("plan", [term("plan")]),
        ("the plan", [term("the"), term("plan")]),
        ('"the plan" x', [term("the plan"), term("x")]),
        ('"never ends', [term("never ends")]),
        ("from:ann", [term("ann", "from")]),
        ("From:ann", [term("ann", "from")]),
        ('subject:"the plan"', [term("the plan", "subject")]),
        ("-from:ann -x", [term("ann", "from", no=True), term("x", no=True)]),
        ("a OR b", [term("a"), term("b", either=True)]),
        ("OR a", [term("a")]),
        ("re-opening", [term("re-opening")]),
        ("from:", [term("", "from")]),
        ("from: ann", [term("", "from"), term("ann")]),
        ("http://x.example/", [term("//x.example/", "http")]),
        ("お知らせ", [term("お知らせ")]),
    ],
)
def test_terms_of_a_search(pure: Page, text: str, want: list[dict[str, Any]]) -> None:
    assert pure.evaluate(TERMS, text) == want


@pytest.mark.parametrize(
    "text, want",
    [
        ("plan", {"text": "plan"}),
        ("from:ann", {"from": "ann"}),
        ("a b", {"operator": "AND", "conditions": [{"text": "a"}, {"text": "b"}]}),
        ("a OR b", {"operator": "OR", "conditions": [{"text": "a"}, {"text": "b"}]}),
        ("-a", {"operator": "NOT", "conditions": [{"text": "a"}]}),
        ("has:attachment", {"hasAttachment": True}),
        ("is:unread", {"notKeyword": "$seen"}),
        ("is:strange", {"text": "is:strange"}),
        ("in:archive", {"inMailbox": "m4"}),
        ("in:nowhere", {"inMailbox": "none"}),
        ("in:anywhere", None),
        ("label:Work", {"hasKeyword": "work"}),
        ("larger:2M", {"minSize": 2_000_000}),
        ("smaller:10kb", {"maxSize": 10_000}),
        ("larger:huge", None),
        ("before:2026-03-01", {"before": "2026-02-28T23:00:00Z"}),
        ("after:2026", {"after": "2025-12-31T23:00:00Z"}),
        ("after:2026-02", {"after": "2026-01-31T23:00:00Z"}),
        ("before:2026-13-01", {"text": "before:2026-13-01"}),
        ("before:2026-02-30", {"text": "before:2026-02-30"}),
        ("older_than:1w", {"before": "2026-03-07T12:00:00Z"}),
        ("from:", None),
        ("http://x.example/", {"text": "http://x.example/"}),
    ],
)
def test_what_a_search_asks(pure: Page, text: str, want: Any) -> None:
    assert pure.evaluate(FILTER, [text, []]) == want


@pytest.mark.parametrize(
    "text, want",
    [
        ("plan", {"operator": "AND", "conditions": [{"text": "plan"}, {"inMailboxOtherThan": ["m5", "m6"]}]}),
        ("in:archive", {"inMailbox": "m4"}),
        ("", {"inMailboxOtherThan": ["m5", "m6"]}),
    ],
)
def test_junk_and_trash_are_searched_when_asked(pure: Page, text: str, want: Any) -> None:
    assert pure.evaluate(FILTER, [text, ["m5", "m6"]]) == want


@pytest.mark.parametrize(
    "then, want",
    [
        ("2026-03-14T08:05:00Z", "9:05"),
        ("2026-03-13T23:30:00Z", "0:30"),
        ("2026-03-13T22:30:00Z", "Fri"),
        ("2026-03-08T12:00:00Z", "Sun"),
        ("2026-03-07T12:00:00Z", "7 Mar"),
        ("2025-12-31T12:00:00Z", "31 Dec 2025"),
        ("2026-03-15T12:00:00Z", "15 Mar"),
    ],
)
def test_a_date_in_a_list(pure: Page, then: str, want: str) -> None:
    script = """async (then) => { const { short } = await import("/dates.js");
        return short(new Date(then), new Date("2026-03-14T12:00:00Z"), "en-GB"); }"""
    assert pure.evaluate(script, then) == want


@pytest.mark.parametrize(
    "octets, want",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (3400, "3.4 KB"),
        (12_300, "12 KB"),
        (999_600, "1 MB"),
        (10**10, "10 GB"),
    ],
)
def test_sizes(pure: Page, octets: int, want: str) -> None:
    assert pure.evaluate("""async (n) => (await import("/dates.js")).size(n)""", octets) == want


def mail(name: str, day: int, *keywords: str, **more: Any) -> dict[str, Any]:
    who = [{"name": name, "email": f"{name.split()[0].lower()}@x.example"}]
    when = f"2026-03-{day:02}T10:00:00Z"
    made = {"id": f"e{day}", "from": who, "to": [], "subject": "Plan", "preview": f"day {day}", "receivedAt": when}
    return {
        **made,
        "keywords": dict.fromkeys(keywords, True),
        "hasAttachment": False,
        "mailboxIds": {"m1": True},
        **more,
    }


def summary(pure: Page, emails: list[dict[str, Any]], *, outgoing: bool = False) -> dict[str, Any]:
    script = """async ([emails, outgoing]) =>
        (await import("/conversations.js")).summary(emails, new Set(["alice@x.example"]), outgoing)"""
    return dict(pure.evaluate(script, [emails, outgoing]))


def test_a_conversation_in_a_line(pure: Page) -> None:
    emails = [mail("Bob Ross", 1, "$seen"), mail("Alice A", 2, "$seen", "$flagged"), mail("Carol C", 3, "work")]
    said = summary(pure, emails)
    assert said["voices"] == [
        {"name": "Bob", "unread": False}, {"name": "me", "unread": False}, {"name": "Carol", "unread": True},
    ]  # fmt: skip
    assert (said["count"], said["unread"], said["starred"], said["labels"]) == (3, True, True, ["work"])
    assert (said["subject"], said["preview"]) == ("Plan", "day 3")


def test_one_voice_has_its_whole_name_and_many_are_cut(pure: Page) -> None:
    assert summary(pure, [mail("Bob Ross", 1), mail("Bob Ross", 2)])["voices"] == [{"name": "Bob Ross", "unread": True}]
    many = [mail(name, day, "$seen") for day, name in enumerate(("Ann A", "Bob B", "Cid C", "Dan D", "Eve E"), 1)]
    assert [voice["name"] for voice in summary(pure, many)["voices"]] == ["Ann", "…", "Dan", "Eve"]


def test_what_one_sent_is_listed_by_its_receivers(pure: Page) -> None:
    to = [{"name": "Bob Ross", "email": "bob@x.example"}, {"name": None, "email": "carol@x.example"}]
    said = summary(pure, [mail("Alice A", 1, "$seen", to=to)], outgoing=True)
    assert [voice["name"] for voice in said["voices"]] == ["Bob", "carol"]


@pytest.mark.parametrize(
    "here, want",
    [(None, ["e1", "e3"]), ("m1", ["e1", "e3"]), ("m6", ["e2"])],
)
def test_mail_in_trash_is_spoken_of_in_trash_alone(pure: Page, here: str | None, want: list[str]) -> None:
    emails = [mail("A", 1), mail("B", 2, mailboxIds={"m6": True}), mail("C", 3, mailboxIds={"m1": True, "m6": True})]
    emails[2]["mailboxIds"] = {"m1": True}
    script = """async ([emails, here]) =>
        (await import("/conversations.js")).visible(emails, here ?? undefined, ["m5", "m6"]).map(({id}) => id)"""
    assert pure.evaluate(script, [emails, here]) == want


@pytest.mark.parametrize(
    "line, want",
    [
        ("plain", [("plain", None)]),
        ("see https://x.example/a.", [("see ", None), ("https://x.example/a", "https://x.example/a"), (".", None)]),
        ("(www.x.example)", [("(", None), ("www.x.example", "https://www.x.example/"), (")", None)]),
        ("https://x.example/a_(b)", [("https://x.example/a_(b)", "https://x.example/a_(b)")]),
        ("ann@x.example", [("ann@x.example", "mailto:ann@x.example")]),
        ("javascript:alert(1)", [("javascript:alert(1)", None)]),
        ("data:text/html,x", [("data:text/html,x", None)]),
        ("https://", [("https://", None)]),
        ("https://[", [("https://[", None)]),
        ("", []),
    ],
)
def test_links_in_plain_text(pure: Page, line: str, want: list[tuple[str, str | None]]) -> None:
    found = pure.evaluate("""async (line) => (await import("/text.js")).pieces(line)""", line)
    assert [(piece["text"], piece.get("href")) for piece in found] == want


@pytest.mark.parametrize(
    "address, want",
    [
        ("mailto:ann@x.example", {"to": "ann@x.example"}),
        ("MAILTO:a+b@x.example?subject=a+b%20c&body=one%0D%0Atwo",
         {"to": "a+b@x.example", "subject": "a+b c", "text": "one\r\ntwo"}),
        ("mailto:%22a%20b%22@x.example", {"to": '"a b"@x.example'}),
        ("mailto:ann@x.example?to=bob@x.example&CC=c@x.example&cc=d@x.example&bcc=e@x.example&subject=",
         {"to": "ann@x.example, bob@x.example", "cc": "c@x.example, d@x.example", "bcc": "e@x.example"}),
        ("mailto:?from=ann@x.example&attach=/etc/passwd&in-reply-to=x", {"to": ""}),
        ("mailto:%zz@x.example", None),
        ("https://x.example/", None),
        ("javascript:alert(1)", None),
        ("nonsense", None),
    ],
)  # fmt: skip
def test_an_address_that_one_writes_to(pure: Page, address: str, want: Any) -> None:
    found = pure.evaluate("""async (address) => (await import("/text.js")).mailtoOf(address)""", address)
    assert (found and {name: value for name, value in found.items() if value is not None}) == want


def test_plain_text_in_blocks_with_what_repeats_told_apart(pure: Page) -> None:
    text = "Hi,\r\nyes.\n\nOn Monday Bob wrote:\n> well?\n> > first\n>> second\n-- \nAnn\n"
    script = """async (text) => { const {blocks, quoteStart} = await import("/text.js");
        const all = blocks(text); return [all, quoteStart(all.slice(0, 3))]; }"""
    found, start = pure.evaluate(script, text)
    assert [(block["depth"], block["signature"], block["lines"]) for block in found] == [
        (0, False, ["Hi,", "yes.", "", "On Monday Bob wrote:"]),
        (1, False, ["well?"]),
        (2, False, ["first", "second"]),
        (0, True, ["-- ", "Ann"]),
    ]
    assert start == 1
    script = """async (text) => { const {blocks, quoteStart} = await import("/text.js");
        return quoteStart(blocks(text)); }"""
    assert pure.evaluate(script, "Yes.\n\nBob wrote:\n> well?\n-- \nAnn") == 1
    assert pure.evaluate(script, "> well?\nYes.") == 2
    assert pure.evaluate(script, "Yes.\n-- \nAnn") == 2


@pytest.mark.parametrize(
    "field, want",
    [
        (None, None),
        (" text/plain", None),
        (" text/plain; charset=utf-8; format=flowed", {"delsp": False}),
        (' TEXT/PLAIN;\r\n Format="Flowed" ; DelSp = YES', {"delsp": True}),
        (" text/plain; format=flowed; delsp=no", {"delsp": False}),
        (" text/plain; format=fixed; format=flowed", None),
        (' text/plain; name="; format=flowed"', None),
        (" text/plain; x-format=flowed", None),
        (" text/html; format=flowed", None),
    ],
)
def test_whether_lines_go_on_is_said_by_the_type(pure: Page, field: str | None, want: Any) -> None:
    assert pure.evaluate("""async (field) => (await import("/text.js")).flowOf(field)""", field) == want


@pytest.mark.parametrize(
    "text, delsp, want",
    [
        ("one \ntwo\nthree", False, [(0, ["one two", "three"])]),
        ("one \r\ntwo \r\n\r\nthree", False, [(0, ["one two ", "three"])]),
        ("one \n\ntwo", False, [(0, ["one ", "two"])]),
        ("日本 \n語", True, [(0, ["日本語"])]),
        ("one  \ntwo", True, [(0, ["one two"])]),
        (" > no quote\n From here", False, [(0, ["> no quote", "From here"])]),
        ("> a \n> b\n>> c \n>> d\ne", False, [(1, ["a b"]), (2, ["c d"]), (0, ["e"])]),
        (">a \n>>b\n>c", False, [(1, ["a "]), (2, ["b"]), (1, ["c"])]),
        ("> > a", False, [(1, ["> a"])]),
        ("a \n>b", False, [(0, ["a "]), (1, ["b"])]),
        (">" * 12 + " a \n" + ">" * 12 + " b", False, [(8, ["a b"])]),
        ("> -- \n> Bob", False, [(1, ["-- ", "Bob"])]),
        ("", False, [(0, [""])]),
    ],
)
def test_lines_that_were_broken_to_be_sent_are_whole(pure: Page, text: str, delsp: bool, want: Any) -> None:
    script = """async ([text, delsp]) => (await import("/text.js")).blocks(text, { delsp })"""
    assert [(block["depth"], block["lines"]) for block in pure.evaluate(script, [text, delsp])] == want


def test_a_signature_ends_what_goes_on(pure: Page) -> None:
    script = """async (text) => (await import("/text.js")).blocks(text, { delsp: false })"""
    found = pure.evaluate(script, "so long \n-- \nAnn \nof Acme")
    assert [(block["signature"], block["lines"]) for block in found] == [
        (False, ["so long "]),
        (True, ["-- ", "Ann of Acme"]),
    ]


def test_what_an_answer_quotes_has_whole_lines(pure: Page) -> None:
    script = """async ([text, flow]) => (await import("/text.js")).unflowed(text, flow)"""
    text = "a \nb\n>> c \n>> d\n"
    assert pure.evaluate(script, [text, {"delsp": False}]) == "a b\n>> c d"
    assert pure.evaluate(script, [text, None]) == text


def test_a_patch_and_its_way_back(pure: Page) -> None:
    script = """async ([email, patch]) => { const {patched, inverse} = await import("/actions.js");
        const made = patched(email, patch); return [made, patched(made, inverse(email, patch))]; }"""
    email = {"id": "e1", "keywords": {"$seen": True, "a/b": True}, "mailboxIds": {"m1": True}}
    patch = {"keywords/$seen": None, "keywords/a~1b": None, "mailboxIds/m1": None, "mailboxIds/m2": True}
    made, back = pure.evaluate(script, [email, patch])
    assert made == {"id": "e1", "keywords": {}, "mailboxIds": {"m2": True}}
    assert back == email


@pytest.mark.parametrize(
    "route",
    [
        {"place": "inbox"},
        {"place": "folder", "name": "m7"},
        {"place": "search", "name": "from:ann has/slash é"},
        {"place": "search", "name": "x", "thread": "t9"},
        {"place": "settings", "name": "vacation"},
        {"place": "settings", "name": "rules", "about": ["from", "a/b@x.example"]},
        {"place": "write", "name": "mailto:ann@x.example?subject=a/b%20c"},
    ],
)
def test_an_address_says_where_one_is(pure: Page, route: dict[str, Any]) -> None:
    script = """async (route) => { const {format, parse} = await import("/router.js"); return parse(format(route)); }"""
    assert pure.evaluate(script, route) == route


@pytest.mark.parametrize("hash", ["", "#", "#/nowhere", "#/%zz", "#//x"])
def test_an_address_of_nonsense_is_the_inbox(pure: Page, hash: str) -> None:
    assert pure.evaluate("""async (hash) => (await import("/router.js")).parse(hash)""", hash) == {"place": "inbox"}


def test_what_a_search_found_is_marked_and_stays_text(pure: Page) -> None:
    script = """async (text) => (await import("/row.js")).marked(text).map((piece) => piece.outerHTML ?? piece)"""
    found = pure.evaluate(script, "a &lt;img&gt; <mark>b &amp;amp;</mark> c")
    assert found == ["a <img> ", "<mark>b &amp;amp;</mark>", " c"]
