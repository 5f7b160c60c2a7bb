"""mail and mailbox: messages found, shown, delivered and removed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.admin import mail, search
from daemon.admin.errors import BadData
from daemon.flow.indexing import Indexing
from daemon.store import find
from daemon.store import mailboxes as boxes
from daemon.store import messages as kept
from daemon.store.find import All, Either, Not, Query, Term
from daemon.store.tx import Tx
from tests.instruments.clamd import DROP, EICAR, Clamd
from tests.mailctl.conftest import MESSAGE, Ctl, message


@pytest.fixture
def post(town: Ctl, tmp_path: Path) -> Ctl:
    """Five messages of alice's, one also in Archive, and one of bob's."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for number, (subject, sender, body) in enumerate(
        [
            ("Plans for May", "boss@work.example", "let us meet"),
            ("Re: Plans for May", "carol@work.example", "yes, LET us meet"),
            ("Your order", "shop@shop.example", "order 4711 is on its way"),
            ("ÄRGER", "joerg@shop.example", "grün"),
            ("big", "shop@shop.example", "x" * 3000),
        ],
        1,
    ):
        (folder / f"{number}.eml").write_bytes(message(subject, sender, body, number))
    town.ok("mail", "import", "alice@example.org", str(folder))
    town.ok("mail", "deliver", str(folder / "3.eml"), "--to", "bob@example.org")
    store = town.store()

    def shape(tx: Tx) -> None:
        inbox, archive = boxes.get(tx, 1, "INBOX"), boxes.get(tx, 1, "Archive")
        kept.copy(tx, inbox.id, [(1, 1)], archive.id)
        kept.set_flags(tx, inbox.id, [(2, 3)], "+", 1, ("important",))
        kept.set_flags(tx, inbox.id, [(3, 3)], "+", 4)

    store.write_now(shape)
    store.close()
    return town


def found(ctl: Ctl, *query: str) -> list[int]:
    done = ctl("mail", "search", *query, "--json")
    assert done.exit_code == (0 if done.stdout else 1), done.stderr
    return sorted(json.loads(line)["id"] for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "query, want",
    [
        ("from:work.example", [1, 2]),
        ("FROM:Boss", [1]),
        ("to:alice", [1, 2, 3, 4, 5, 6]),
        ('subject:"plans for"', [1, 2]),
        ("subject:ärger", [4]),
        ("plans", [1, 2]),
        ("carol meet", []),
        ("body:let", [1, 2]),
        ('body:"let us MEET"', [1, 2]),
        ("body:plans", []),
        ("text:plans", [1, 2]),
        ("body:grün", [4]),
        ("in:archive", [1]),
        ("in:INBOX from:boss", [1]),
        ("in:Archive/*", [1]),
        ("is:unread", [1, 4, 5, 6]),
        ("is:read", [2, 3]),
        ("is:flagged", [3]),
        ("-is:flagged from:shop", [4, 5, 6]),
        ("keyword:important", [2, 3]),
        ("larger:2k", [5]),
        ("smaller:2k from:shop@", [3, 6]),
        ("since:1h", [6]),
        ("before:1h", [1, 2, 3, 4, 5]),
        ("since:2026-11-23 sent-since:2026-11-23 id:6", [6]),
        ("sent-before:2026-01-01", []),
        ("id:4", [4]),
        ("message-id:<2@test.example>", [2]),
        ("has:attachment", []),
        ("from:boss or from:carol", [1, 2]),
        ("(from:boss or from:carol) subject:re", [2]),
        ("from:boss or from:carol subject:order", [1]),
        ("not (from:work or from:shop@)", [4]),
        ("not body:meet from:work", []),
        ("is:read or body:grün", [2, 3, 4]),
        ("not body:meet is:read", [3]),
        ("from:boss and is:unread", [1]),
        ("not not from:boss", [1]),
    ],
)
def test_the_search_language(post: Ctl, query: str, want: list[int]) -> None:
    if "since:1h" in query or "before:1h" in query or "id:6" in query:
        store = post.store()  # imported messages have the time of their files
        store.write_now(lambda tx: tx.run("update email set received_at = received_at - 7200000 where id < 6"))
        store.close()
    assert found(post, query) == want
    assert found(post, *query.split(" ")) == want


@pytest.mark.parametrize(
    "query",
    ["nonsense:x", "(from:a", "from:a)", "or from:a", "from:a or", "not", 'subject:"open', "is:purple", "has:wings",
     "id:one", "larger:much", "since:whenever", "(" * 60 + "a" + ")" * 60, "not not " * 40 + "a"],
)  # fmt: skip
def test_what_is_not_understood_is_said(ctl: Ctl, query: str) -> None:
    ctl.fails(65, "mail", "search", query)


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_bad_data(text: str) -> None:
    try:
        search.parse(text, 1_800_000_000_000)
    except BadData:
        pass


LEAVES: dict[Term, set[int]] = {
    Term("from", "boss"): {1},
    Term("subject", "plans"): {1, 2},
    Term("body", "meet"): {1, 2},
    Term("text", "order"): {3, 6},
    Term("flag", 1): {2, 3},
    Term("keyword", "important"): {2, 3},
    Term("larger", 2048): {5},
    Term("id", 4): {4},
}


def naive(query: Query) -> set[int]:
    match query:
        case Term():
            return LEAVES[query]
        case Not(inner):
            return set(range(1, 7)) - naive(inner)
        case All(parts):
            return set.intersection(set(range(1, 7)), *map(naive, parts))
        case Either(parts):
            return set.union(set(), *map(naive, parts))


TREES = st.recursive(
    st.sampled_from(list(LEAVES)).map(lambda t: t),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: Either(tuple(parts)))
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(query=TREES)
def test_sql_and_reading_together_give_what_the_query_means(post: Ctl, query: Query) -> None:
    """Without the copy in Archive, whose own flags would make two answers of one message."""
    store = post.store()
    store.write_now(lambda tx: kept.remove(tx, boxes.get(tx, 1, "Archive").id))
    assert set(mail._ids(store, query, None, None)) == naive(query)
    store.close()


def test_a_limit_counts_messages_not_places(post: Ctl) -> None:
    assert len(post.lines("mail", "list", "--limit", "2")) == 2
    assert len(post.lines("mail", "search", "body:e", "--limit", "2")) == 2
    store = post.store()
    hits = store.read_now(find.candidates, Term("id", 1), None, 1)
    store.close()
    assert len(hits) == 2, "one message in two mailboxes"


def test_messages_are_listed_by_user_and_mailbox(post: Ctl) -> None:
    listed = post.lines("mail", "list", "alice@example.org", "Archive")
    assert [(m["id"], m["mailboxes"]) for m in listed] == [(1, ["INBOX", "Archive"])]
    assert post.lines("mail", "list", "--user", "alice@example.org", "--mailbox", "archive") == listed
    assert [m["id"] for m in post.lines("mail", "list", "bob@example.org")] == [6]
    post.fails(1, "mail", "list", "alice@example.org", "Nowhere")
    post.fails(1, "mail", "list", "nobody@example.org")
    post.fails(64, "mail", "list", "alice@example.org", "INBOX", "more")
    first = post.lines("mail", "list", "bob@example.org")[0]
    assert set(first) == {
        "id", "user", "mailboxes", "uid", "sender", "sender_name", "recipients", "subject", "flags", "keywords", "size",
        "attachment", "preview", "message_id", "trace", "sent_at", "received_at",
    }  # fmt: skip
    assert (first["sender"], first["recipients"]) == ("shop@shop.example", ["alice@example.org"])


def test_a_message_is_shown_with_its_text_and_raw(town: Ctl, letter: Path) -> None:
    town.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    text = town.ok("mail", "show", "1")
    assert "Jörg <joerg@shop.example>" in text and "zwei Wörter" in text and "Delivered-To" not in text
    assert "Delivered-To" in town.ok("mail", "show", "1", "--headers")
    raw = town("mail", "show", "1", "--raw").stdout_bytes
    assert raw.endswith(MESSAGE.replace(b"\n", b"\r\n"))
    assert raw.startswith(b"Return-Path: <joerg@shop.example>\r\n")
    shown = town.json("mail", "show", "1")
    assert shown["mail"]["sender_name"] == "Jörg" and shown["text"].startswith("Hallo")
    town.fails(1, "mail", "show", "4711")
    town.fails(65, "mail", "show", "one")


def test_what_strangers_write_cannot_steer_a_terminal(town: Ctl, letter: Path) -> None:
    letter.write_bytes(message("=?utf-8?q?=1B]0;owned=07_=E2=80=AEtxt?=", body="\x1b[2Jgone\ttab"))
    town.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    for verb in (["mail", "list"], ["mail", "show", "1"], ["mail", "show", "1", "--headers"]):
        text = town.ok(*verb)
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text


def test_attachments_are_named(town: Ctl, letter: Path) -> None:
    letter.write_bytes(
        b"From: a@b.example\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: text/html\n\n<p>see <b>file</b></p>\n"
        b"--b\nContent-Type: application/pdf; name=plan.pdf\n\n%PDF\n"
        b"--b\nContent-Type: image/png\nContent-Disposition: attachment; filename*=utf-8''%C3%BC.png\n\nPNG\n--b--\n"
    )
    town.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    shown = town.json("mail", "show", "1")
    assert [(a["name"], a["type"]) for a in shown["attachments"]] == [
        ("plan.pdf", "application/pdf"), ("ü.png", "image/png"),
    ]  # fmt: skip
    assert shown["text"].split() == ["see", "file"]
    assert found(town, "has:attachment") == [1]
    assert "@" in town.ok("mail", "list")


# ------------------------------------------------------------------------------------------------------------- deliver


def test_a_delivery_says_what_became_of_each_recipient(town: Ctl, letter: Path) -> None:
    done = town("mail", "deliver", str(letter), "--to", "alice@example.org", "--to", "nobody@example.org", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [(r["recipient"], r["taken"], r["code"]) for r in told["recipients"]] == [
        ("alice@example.org", True, 250), ("nobody@example.org", False, 550),
    ]  # fmt: skip
    assert told["sender"] == "joerg@shop.example"
    assert town.lines("trace", told["trace"])[0]["trace"] == told["trace"]
    assert "refused" in town("mail", "deliver", str(letter), "--to", "nobody@example.org").stdout


async def test_a_delivery_by_hand_brings_no_virus_in(town: Ctl, letter: Path) -> None:
    letter.write_bytes(MESSAGE + EICAR + b"\n")

    def deliver(to: str = "bob@example.org") -> tuple[int, dict[str, Any]]:
        done = town("mail", "deliver", str(letter), "--to", to, "--json")
        told = json.loads(done.stdout)
        return done.exit_code, told["recipients"][0]

    async with Clamd() as scanner:
        await asyncio.to_thread(town.ok, "config", "set", "virus.scanner", scanner.setting)
        for to in ("x@else.example", "bob@example.org"):
            code, fate = await asyncio.to_thread(deliver, to)
            assert (code, fate["code"], fate["reason"]) == (1, 550, "virus")
            assert "the virus scanner found something in it (Eicar-Test-Signature)" in fate["text"]
        trace = fate["text"].rpartition("(trace ")[2].rstrip(")")
        (story,) = town.lines("trace", trace)
        assert [step["kind"] for step in story["steps"]] == ["judged", "refused"]
        scanner.answer = DROP
        letter.write_bytes(MESSAGE)
        code, fate = await asyncio.to_thread(deliver)
        assert (code, fate["code"], fate["reason"]) == (75, 451, "unscanned")
        assert town.lines("mail", "list", "bob@example.org") == [] == town.lines("queue", "list")
        town.ok("config", "set", "virus.on_error", "deliver")
        assert (await asyncio.to_thread(deliver))[0] == 0
        scanner.answer = None
        assert (await asyncio.to_thread(deliver))[0] == 0
    tagged, clean = sorted(town.ok("mail", "show", str(one["id"]), "--raw") for one in town.lines("mail", "list"))
    assert ("X-Virus-Error: not scanned: " in tagged) != ("X-Virus-Error: not scanned: " in clean)


def test_the_envelope_sender_is_what_was_said(town: Ctl, letter: Path) -> None:
    for said, want in (("carol@far.example", "carol@far.example"), ("", ""), ("<>", "")):
        assert town.json("mail", "deliver", str(letter), "--to", "bob@example.org", "--from", said)["sender"] == want


def test_a_message_comes_from_standard_input(town: Ctl) -> None:
    town.ok("mail", "deliver", "-", "--to", "bob@example.org", input=MESSAGE)
    assert town.lines("mail", "list", "bob@example.org")[0]["subject"] == "Re: Your order"


def test_mail_for_other_servers_goes_into_the_queue(town: Ctl, letter: Path) -> None:
    town.ok("mail", "deliver", str(letter), "--to", "x@else.example", "--from", "bob@example.org")
    assert [e["recipient"] for e in town.lines("queue", "list")] == ["x@else.example"]


def test_a_file_that_cannot_be_delivered_ends_with_65_or_77(town: Ctl, letter: Path, tmp_path: Path) -> None:
    town.fails(65, "mail", "deliver", str(tmp_path / "nothing"), "--to", "bob@example.org")
    town.fails(65, "mail", "deliver", str(tmp_path), "--to", "bob@example.org")
    town.fails(65, "mail", "deliver", str(letter), "--to", "bob")
    letter.write_bytes(b"")
    assert "empty" in town.fails(65, "mail", "deliver", str(letter), "--to", "bob@example.org")
    town.ok("config", "set", "limits.message_size", "1k")
    letter.write_bytes(message(body="x" * 2000))
    assert "limits.message_size" in town.fails(65, "mail", "deliver", str(letter), "--to", "bob@example.org")


def test_a_full_mailbox_is_a_temporary_failure(town: Ctl, letter: Path) -> None:
    town.ok("user", "set", "bob@example.org", "--quota", "10")
    done = town("mail", "deliver", str(letter), "--to", "bob@example.org", "--json")
    assert (done.exit_code, json.loads(done.stdout)["recipients"][0]["code"]) == (75, 452)


@pytest.mark.parametrize("cut", range(1, 12))
def test_line_ends_are_made_crlf_wherever_the_file_is_cut(town: Ctl, cut: int) -> None:
    from io import BytesIO

    from daemon.admin import post

    class Pieces(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(cut)

    store = town.store()
    with post.read(store, Pieces(b"A: b\r\n\r\nx\ny\rz\r\n\r")) as body:
        assert body.bytes() == b"A: b\r\n\r\nx\r\ny\r\nz\r\n\r\n"
    store.close()


# -------------------------------------------------------------------------------------------------------------- remove


def test_messages_are_removed_from_every_mailbox_they_are_in(post: Ctl) -> None:
    assert "Plans" in post.ok("mail", "rm", "1", "--dry-run")
    assert post.json("mail", "rm", "1", "4", "--yes") == {"removed": 2, "ids": [1, 4]}
    assert found(post, "to:alice") == [2, 3, 5, 6]
    post.fails(1, "mail", "rm", "1", "--yes")
    story = post.lines("trace", "1@test.example")[0]
    assert [s["kind"] for s in story["steps"]] == ["imported", "expunged"]
    post.ok("doctor", "--store")


def test_what_a_search_finds_is_removed(post: Ctl) -> None:
    post.ok("mail", "rm", "--user", "alice@example.org", "--search", "from:shop", "--yes")
    assert found(post, "to:alice") == [1, 2, 6]
    post.ok("mail", "rm", "-", "--yes", input="1\n2\n")
    post.ok("mail", "rm", "--user", "bob@example.org", "--all", "--yes")
    assert found(post, "to:alice") == []
    for wrong in ([], ["--all"], ["1", "--all"], ["1", "--search", "x"]):
        post.fails(64, "mail", "rm", *wrong, "--yes")


# ----------------------------------------------------------------------------------------------------------- mailboxes


def test_mailboxes_are_made_renamed_and_removed(town: Ctl) -> None:
    made = town.json("mailbox", "create", "alice@example.org", "Projects/2026")
    assert (made["name"], made["subscribed"]) == ("Projects/2026", True)
    town.ok("mailbox", "rename", "alice@example.org", "Projects", "Old/Projects")
    names = [b["name"] for b in town.lines("mailbox", "list", "alice@example.org")]
    assert names[0] == "INBOX" and {"Old", "Old/Projects", "Old/Projects/2026"} <= set(names)
    assert "--below" in town.fails(65, "mailbox", "rm", "alice@example.org", "Old", "--yes")
    town.ok("mailbox", "rm", "--user", "alice@example.org", "Old", "--below", "--yes")
    assert len(town.lines("mailbox", "list", "--user", "alice@example.org")) == 6
    assert len(town.lines("mailbox", "list")) == 12


def test_a_mailbox_goes_with_its_messages_in_steps(post: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    post.ok("mailbox", "create", "alice@example.org", "X")
    store = post.store()
    store.write_now(lambda tx: kept.copy(tx, boxes.get(tx, 1, "INBOX").id, kept.ALL, boxes.get(tx, 1, "X").id))
    store.close()
    assert "5 messages" in post.ok("mailbox", "rm", "alice@example.org", "X", "--dry-run")
    post.ok("mailbox", "rm", "alice@example.org", "X", "--yes")
    assert len(post.lines("mail", "list", "alice@example.org")) == 5
    post.ok("doctor", "--store")


@pytest.mark.parametrize(
    "code, args",
    [
        (65, ["create", "alice@example.org", "Sent"]),
        (65, ["create", "alice@example.org", "a//b"]),
        (65, ["create", "alice@example.org", "More", "--use", "sent"]),
        (1, ["create", "nobody@example.org", "X"]),
        (64, ["create", "X"]),
        (64, ["rename", "alice@example.org", "X"]),
        (1, ["rename", "alice@example.org", "X", "Y"]),
        (65, ["rename", "alice@example.org", "INBOX", "Y"]),
        (65, ["rm", "alice@example.org", "INBOX", "--yes"]),
        (1, ["rm", "alice@example.org", "X", "--yes"]),
        (64, ["rm", "alice@example.org", "Sent"]),
    ],
)
def test_a_mailbox_that_cannot_be_is_refused(town: Ctl, code: int, args: list[str]) -> None:
    town.fails(code, "mailbox", *args)


def test_a_mailbox_is_made_for_a_use(town: Ctl) -> None:
    town.ok("mailbox", "rm", "alice@example.org", "Archive", "--yes")
    assert town.json("mailbox", "create", "alice@example.org", "Keep", "--use", "archive")["special_use"] == "\\Archive"


# ------------------------------------------------------------------------------------------------------ full-text index


def index(ctl: Ctl, *users: str) -> None:
    """What the server does meanwhile."""

    async def work() -> None:
        store.attach(asyncio.get_running_loop())
        await Indexing(store, tail=1, rest=0).round()

    store = ctl.store()
    asyncio.run(work())
    store.close()


QUERIES = (
    ("body:meet",), ("body:LET",), ("body:gr\u00dcN",), ("text:carol",), ("subject:lans",), ("\u00e4rge",),
    ("-body:meet",), ("body:--",), ('text:"on its"',),
    ("body:meet", "or", "from:shop"), ("body:meet", "from:boss"), ("to:alice", "-subject:plans"), ("text:4711",),
    ("body:xxxx", "or", "has:attachment"), ("in:Archive", "body:meet"), ("body:nowhere",),
)  # fmt: skip


def test_the_index_changes_nothing_that_is_found(post: Ctl) -> None:
    before = {query: (found(post, *query), found(post, *query, "--user", "alice@example.org")) for query in QUERIES}
    index(post)
    assert post.json("mail", "index")["indexed"] == 6
    after = {query: (found(post, *query), found(post, *query, "--user", "alice@example.org")) for query in QUERIES}
    assert after == before
    assert before[("text:4711",)] == ([3, 6], [3])


def test_how_far_the_index_is_and_that_it_is_made_anew(post: Ctl) -> None:
    assert post.json("mail", "index")["indexed"] == 0
    index(post)
    told = post.json("mail", "index", "--user", "bob@example.org")
    assert (told["user"], told["messages"], told["indexed"]) == ("bob@example.org", 1, 1) and told["size"] > 0
    assert post.json("status")["indexed"] == 6
    assert "6 of 6 messages in" in post.ok("mail", "index")
    post.ok("mail", "reindex", "--all", "--dry-run")
    assert post.json("mail", "reindex", "--user", "bob@example.org", "--yes") == {"users": 1}
    assert post.json("mail", "index")["indexed"] == 5
    post.ok("mail", "reindex", "--all", "--yes")
    assert post.json("status")["indexed"] == 0
    assert post("mail", "reindex", "--yes").exit_code == 64
    assert post("mail", "index", "--user", "nobody@example.org").exit_code == 1
    post.ok("doctor", "--store")
