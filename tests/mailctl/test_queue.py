"""queue and trace: what waits, the administrator's hand on it, and the story of it all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.store import events, queue
from daemon.store.queue import Outcome, Standing
from daemon.store.tx import Tx
from tests.mailctl.conftest import Ctl, contained, message


@pytest.fixture
def waiting(town: Ctl, letter: Path) -> Ctl:
    """1 and 2: one message of bob's to a@far.example and b@else.example; 3: one of alice's to c@far.example."""
    town.ok(
        "mail", "deliver", str(letter), "--from", "bob@example.org", "--to", "a@far.example", "--to", "b@else.example"
    )
    letter.write_bytes(message("second", number=2))
    town.ok("mail", "deliver", str(letter), "--from", "alice@example.org", "--to", "c@far.example")
    return town


def ids(ctl: Ctl, *args: str) -> list[int]:
    return [e["id"] for e in ctl.lines("queue", "list", *args)]


def defer(ctl: Ctl, entry: int, reply: str, host: str = "mx.far.example [192.0.2.1]") -> None:
    """A try that was put off."""
    store = ctl.store()

    def work(tx: Tx) -> None:
        claimed = queue.load(tx, [entry])[0]
        outcome = Outcome.of(claimed, "deferred", "later", reply, host, due_at=tx.now + 900_000)
        queue.settle(tx, [outcome], [Standing(claimed.destination, 2, tx.now + 60_000, last_error=reply)])

    store.write_now(work)
    store.close()


def test_the_queue_is_listed_with_documented_keys(waiting: Ctl) -> None:
    entry = waiting.lines("queue", "list")[0]
    assert set(entry) == {
        "id", "message", "trace", "sender", "recipient", "state", "destination", "origin", "user", "size", "attempts",
        "last_host", "last_reply", "remedy", "hold_reason", "incident", "created_at", "due_at", "last_at", "expires_at",
        "type",
    }  # fmt: skip
    assert (entry["sender"], entry["recipient"], entry["state"]) == ("bob@example.org", "a@far.example", "due")
    assert "a@far.example" in waiting.ok("queue", "list")


def test_one_filter_syntax_for_all(waiting: Ctl) -> None:
    defer(waiting, 2, "451 4.7.1 Greylisted, try later")
    for args, want in (
        ([], [1, 2, 3]),
        (["--from", "BOB"], [1, 2]),
        (["--to", "@far"], [1, 3]),
        (["--domain", "else.example"], [2]),
        (["--error", "grey.*later"], [2]),
        (["--since", "1h"], [1, 2, 3]),
        (["--older", "1h"], []),
        (["--limit", "2"], [1, 2]),
        (["--held"], []),
        (["--due", "--from", "alice"], [3]),
        (["--user", "bob@example.org"], []),
    ):
        assert ids(waiting, *args) == want, args
    waiting.fails(65, "queue", "list", "--error", "(")
    waiting.fails(65, "queue", "list", "--older", "long")
    waiting.fails(65, "queue", "list", "--user", "bob")


def test_an_entry_is_shown_with_the_peers_words_and_what_they_mean(waiting: Ctl) -> None:
    defer(waiting, 1, "451 4.7.1 Greylisted, try later")
    shown = waiting.json("queue", "show", "1")
    assert shown["entry"]["attempts"] == 1 and shown["entry"]["remedy"]
    assert ["Subject", "Re: Your order"] in shown["headers"]
    text = waiting.ok("queue", "show", "1")
    assert "Greylisted" in text and "Which means" in text and "in 15m" in text
    assert b"Received: by" in waiting("queue", "show", "1", "--raw").stdout_bytes
    trace = shown["entry"]["trace"]
    assert len(waiting.ok("queue", "show", trace, "--json").splitlines()) == 2, "a trace names all of its recipients"
    waiting.fails(1, "queue", "show", "4711")
    waiting.fails(1, "queue", "show", "0123456789abcdef")
    waiting.fails(65, "queue", "show", "first")


def test_verbs_want_to_be_told_which(waiting: Ctl) -> None:
    for verb in ("hold", "release", "retry", "drop", "bounce"):
        waiting.fails(64, "queue", verb)
        waiting.fails(64, "queue", verb, "1", "--all")
    waiting.fails(64, "queue", "reroute", "1")
    waiting.fails(64, "queue", "drop", "1")
    assert ids(waiting) == [1, 2, 3]


def test_held_ones_wait_until_released(waiting: Ctl) -> None:
    assert waiting.json("queue", "hold", "--from", "bob", "--reason", "asked to") == {"changed": 2, "ids": [1, 2]}
    assert ids(waiting, "--held") == [1, 2]
    assert waiting.lines("queue", "list", "--held")[0]["hold_reason"] == "asked to"
    assert waiting.json("queue", "flush")["changed"] == 1, "flush does not release"
    waiting.ok("queue", "release", "-", input="1\n2\n")
    assert ids(waiting, "--held") == []


def test_flush_makes_everything_due_now(waiting: Ctl) -> None:
    for entry in (1, 2, 3):
        defer(waiting, entry, "421 4.3.2 come back later")
    waiting.ok("queue", "flush", "2")
    waiting.ok("queue", "flush", "--domain", "far.example")
    assert "in 15m" not in waiting.ok("queue", "list")
    defer(waiting, 1, "421 4.3.2 come back later")
    waiting.ok("queue", "flush")
    assert "in 15m" not in waiting.ok("queue", "list")
    waiting.fails(1, "queue", "flush", "4711")


def test_retry_begins_again(waiting: Ctl) -> None:
    defer(waiting, 1, "421 4.3.2 come back later")
    waiting.ok("queue", "hold", "1")
    waiting.ok("queue", "retry", "1")
    entry = waiting.lines("queue", "list", "--to", "a@")[0]
    assert (entry["state"], entry["attempts"]) == ("due", 0)


def test_dropped_ones_go_without_a_word_and_bounced_ones_with_a_notice(waiting: Ctl) -> None:
    assert "a@far.example" in waiting.ok("queue", "drop", "1", "--dry-run")
    waiting.ok("queue", "drop", "1", "--yes")
    assert waiting.lines("mail", "list") == []
    waiting.ok("queue", "bounce", "--domain", "else.example", "--reason", "nobody is there", "--yes")
    assert ids(waiting) == [3]
    notice = waiting.lines("mail", "list", "bob@example.org")[0]
    text = waiting.ok("mail", "show", str(notice["id"]))
    assert "b@else.example" in text and "nobody is there" in text
    story = waiting.lines("trace", notice["trace"])[0]
    assert [s["kind"] for s in story["steps"]][-4:] == ["dropped", "failed", "notified", "delivered"]
    waiting.ok("doctor", "--store")


def test_what_is_being_sent_just_now_is_not_bounced(waiting: Ctl) -> None:
    store = waiting.store()
    store.write_now(lambda tx: queue.renew(tx, [1], 60_000))
    store.close()
    assert [e["state"] for e in waiting.lines("queue", "list")] == ["sending", "due", "due"]
    assert waiting.json("queue", "bounce", "--from", "bob", "--yes")["changed"] == 1
    assert ids(waiting) == [1, 3]


def test_a_notice_of_nobody_is_not_answered(town: Ctl, letter: Path) -> None:
    town.ok("mail", "deliver", str(letter), "--from", "", "--to", "a@far.example")
    town.ok("queue", "bounce", "--all", "--yes")
    assert town.lines("mail", "list") == [] and ids(town) == []
    town.ok("doctor", "--store")


def test_mail_is_sent_by_another_way(waiting: Ctl) -> None:
    route = str(waiting.json("route", "add", "--to", "nowhere.example", "relay.example:2525")["id"])
    waiting.ok("queue", "reroute", "--from", "bob", "--route", route)
    assert [e["destination"] for e in waiting.lines("queue", "list")] == ["relay.example:2525"] * 2 + ["far.example"]
    waiting.ok("queue", "reroute", "1", "--table")
    waiting.fails(1, "queue", "reroute", "1", "--route", "4711")


def test_stats_count_by_destination_and_age(waiting: Ctl) -> None:
    defer(waiting, 2, "421 4.3.2 come back later")
    first, second = waiting.lines("queue", "stats")
    assert (first["destination"], first["total"], first["ages"][0]) == ("far.example", 2, 2)
    assert (second["last_error"], second["failures"]) == ("421 4.3.2 come back later", 2)
    assert "far.example" in waiting.ok("queue", "stats")


# --------------------------------------------------------------------------------------------------------------- trace


def test_the_story_is_told_in_order_with_plain_words(waiting: Ctl) -> None:
    defer(waiting, 1, "451 4.7.1 Greylisted, try later")
    waiting.ok("queue", "drop", "2", "--yes")
    story = waiting.lines("trace", "<1@shop.example>")[0]
    assert (story["type"], story["message_id"], story["sender"]) == ("message", "1@shop.example", "bob@example.org")
    assert [s["kind"] for s in story["steps"]] == ["accepted", "queued", "queued", "deferred", "dropped"]
    assert story["steps"][3]["detail"]["next_at"].endswith("Z") and story["steps"][3]["at"].endswith("Z")
    assert story["now"] == ["waiting in the queue for a@far.example (entry 1)"]
    text = waiting.ok("trace", "1@shop.example")
    assert "put off for a@far.example: mx.far.example [192.0.2.1] said" in text and "next try in 15 min" in text
    assert waiting.lines("trace", story["trace"].upper())[0] == story


def test_who_wrote_and_who_got_it_may_stand_in_different_events(town: Ctl, letter: Path) -> None:
    town.ok("alias", "add", "info@example.org", "bob@example.org")
    town.ok("mail", "deliver", str(letter), "--to", "info@example.org")
    for args in (
        ["--from", "SHOP", "--to", "info@"],
        ["--from", "shop", "--to", "bob@"],
        ["--to", "info", "--since", "1h"],
    ):
        assert len(town.lines("trace", *args)) == 1, args
    assert town("trace", "--from", "nobody", "--to", "info").exit_code == 1
    assert "delivered to INBOX of bob@example.org for info@example.org" in town.ok("trace", "--to", "info")


def test_refusals_of_strangers_are_told_too(town: Ctl) -> None:
    store = town.store()
    store.write_now(
        lambda tx: events.refuse(
            tx, "192.0.2.9", "unknown-user", "spam@far.example", "nobody@example.org", "550 5.1.1 no such user", 3
        )
    )
    store.close()
    told = town.lines("trace", "--to", "nobody@")
    assert [(r["type"], r["peer"], r["reason"], r["count"]) for r in told] == [
        ("refusal", "192.0.2.9", "unknown-user", 3)
    ]
    text = town.ok("trace", "--from", "spam")
    assert "550 5.1.1 no such user" in text and "3 times" in text


def test_the_newest_story_stands_last_and_the_limit_is_said(town: Ctl, letter: Path) -> None:
    for number in range(3):
        letter.write_bytes(message(number=number))
        town.ok("mail", "deliver", str(letter), "--to", "bob@example.org")
    done = town("trace", "--to", "bob", "--limit", "2")
    assert done.stdout.index("<1@test.example>") < done.stdout.index("<2@test.example>")
    assert "newest 2" in done.stderr


def test_nothing_is_known_of_some_mail(ctl: Ctl) -> None:
    ctl.fails(1, "trace", "never@seen.example")
    done = ctl("trace", "--since", "1d")
    assert done.exit_code == 1 and done.stdout == ""
    ctl.fails(64, "trace")
    ctl.fails(64, "trace", "a@b", "--to", "c")
    ctl.fails(65, "trace", "--since", "whenever")


@pytest.mark.parametrize(
    "kind, reason, detail, words",
    [
        ("sent", "accepted", {"reply": "250 ok", "tls": "TLSv1.3", "verified": True, "took": 90_000},
         "took it over TLSv1.3, verified, 2 min"),
        ("sent", "accepted", {"tls": "TLSv1.3", "verified": True, "policy": "dane", "proof": "TLSA 3 1 1"},
         "over TLSv1.3, verified by DANE (TLSA 3 1 1)"),
        ("sent", "accepted", {"tls": "TLSv1.3", "verified": True, "policy": "mta-sts"}, "verified as MTA-STS asks"),
        ("sent", "accepted", {"tls": "TLSv1.3", "verified": True, "policy": "route"}, "over TLSv1.3, verified"),
        ("sent", "accepted", {"tls": "TLSv1.2", "policy": "dane-unusable"}, "not verified (its TLSA records cannot be"),
        ("sent", "accepted", {"tls": "TLSv1.2", "policy": "tls-required-no"}, "wrote TLS-Required: No"),
        ("sent", "accepted", {"took": 5_000_000_00}, "in clear text, 138.9 h"),
        ("failed", "refused", {"reply": "550 5.1.1 no"}, "given up for x@far.example: mx"),
        ("failed", "over-quota", {"text": "full"}, "full"),
        ("refused", "spf", {"text": "no"}, "refused for x@far.example: spf (no)"),
        ("notified", "failure", {}, "was told (failure)"),
        ("expired", "expired", {"reply": "451 no"}, "too long in the queue"),
        ("released", "rerouted", {}, "goes by another way"),
        ("held", "external-mail-held", {}, "queue.hold_external"),
        ("appended", "", {"account": 1, "mailbox": "Sent"}, "saved into Sent of alice@example.org"),
        ("moved", "", {"account": 9, "mailbox": "INBOX", "to": "Junk", "count": 3},
         "3 messages moved from INBOX to Junk of a user who is gone"),
        ("login", "", {}, "x@far.example signed in at the webmail"),
        ("unheard-of", "", {}, "unheard-of"),
    ],
)  # fmt: skip
def test_every_kind_of_event_has_its_words(
    town: Ctl, kind: str, reason: str, detail: dict[str, object], words: str
) -> None:
    store = town.store()

    def work(tx: Tx) -> None:
        new = events.New(
            "0123456789abcdef",
            kind,
            reason,
            sender="bob@example.org",
            recipient="x@far.example",
            peer="mx",
            detail=detail,
        )
        events.record_all(tx, [new])

    store.write_now(work)
    store.close()
    assert words in town.ok("trace", "0123456789abcdef")
    assert json.loads(town.ok("trace", "0123456789abcdef", "--json"))["steps"][0]["reason"] == reason


# -- incidents ---------------------------------------------------------------------------------------------------------


def test_an_incident_is_one_entry_of_the_list(waiting: Ctl) -> None:
    contained(waiting)
    one, *rows = waiting.lines("queue", "list")
    assert (one["type"], one["incident"], one["user"]) == ("incident", 1, "bob@example.org")
    assert (one["messages"], one["recipients"], one["waiting"], one["reason"]) == (1, 2, 2, "messages-per-hour")
    assert one["why"] == "2 messages to other servers within an hour; 1 may be"
    assert [(row["type"], row["id"]) for row in rows] == [("recipient", number) for number in (1, 2, 3, 4, 5)]
    text = waiting.ok("queue", "list")
    assert text.index("INCIDENT") < text.index("RECIPIENT ") and one["why"] in text
    assert ids(waiting, "--incident", "1") == [6, 7]
    assert ids(waiting, "--to", "h1") == [4, 6], "a filter asks for recipients"
    assert [row["type"] for row in waiting.lines("queue", "list", "--held")] == ["incident"]
    assert [row["type"] for row in waiting.lines("queue", "list", "--due")] == ["recipient"] * 5
    assert [row["type"] for row in waiting.lines("queue", "list", "--user", "bob@example.org")][0] == "incident"
    assert waiting.lines("queue", "list", "--user", "alice@example.org") == []
    assert "held (incident 1)" in waiting.ok("queue", "list", "--incident", "1")
    shown = waiting.ok("queue", "show", "6")
    assert "1: bob@example.org since" in shown and "`mailctl queue release --incident 1` sends all of it" in shown
    assert waiting.json("queue", "show", "6")["entry"]["incident"] == 1
    waiting.fails(1, "queue", "list", "--incident", "2")


def test_an_incident_is_released_as_one(waiting: Ctl) -> None:
    contained(waiting)
    for verb in ("release", "drop"):
        for more in (["6"], ["--all"], ["--to", "h1"]):
            assert "stands alone" in waiting.fails(64, "queue", verb, "--incident", "1", *more)
    waiting.fails(1, "queue", "release", "--incident", "9")
    waiting.fails(1, "queue", "drop", "--incident", "9", "--yes")
    for words in (["release", "--all"], ["release", "--to", "h1"], ["retry", "--from", "bob"]):
        done = waiting("queue", *words)
        assert done.exit_code == 0 and "held by incidents stay" in done.stderr
    assert ids(waiting, "--incident", "1") == [6, 7]
    assert waiting.json("queue", "release", "6") == {"changed": 1, "ids": [6]}, "one by its number"
    assert waiting.json("queue", "release", "--incident", "1") == {
        "changed": 1, "incident": 1, "user": "bob@example.org",
    }  # fmt: skip
    assert waiting.lines("queue", "list", "--held") == []
    assert "released" in waiting.fails(1, "queue", "release", "--incident", "1")


def test_an_incident_is_dropped_as_one(waiting: Ctl) -> None:
    contained(waiting)
    waiting.fails(64, "queue", "drop", "--incident", "1")
    assert "bob@example.org since" in waiting.ok("queue", "drop", "--incident", "1", "--dry-run")
    assert ids(waiting, "--incident", "1") == [6, 7]
    said = waiting.ok("queue", "drop", "--incident", "1", "--yes")
    assert said == "2 recipients dropped; incident 1 of bob@example.org is over\n"
    told = waiting.ok("trace", "--to", "h2@far.example")
    assert "dropped for h2@far.example, with all that the incident held, by hand" in told
    assert ids(waiting) == [1, 2, 3, 4, 5]
    contained(waiting, "i1@far.example")
    waiting.ok("user", "rm", "bob@example.org", "--yes")
    assert ids(waiting) == [1, 2, 3, 4, 5], "what is held goes with its user"


def test_status_and_doctor_tell_of_incidents(waiting: Ctl) -> None:
    assert waiting.json("status")["incidents"] == 0
    contained(waiting)
    found = waiting.json("status")
    assert found["incidents"] == 1
    assert any("mail of bob@example.org is held (2 recipients): 2 messages" in one for one in found["problems"])
