"""`mailctl rule` and `mailctl vacation`: parts of a user's script, whatever else is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mailctl.conftest import Ctl

ALICE, BOB = "alice@example.org", "bob@example.org"


def script(ctl: Ctl, name: str = "mailctl", user: str = ALICE) -> str:
    return ctl.ok("sieve", "get", user, name)


def rules(ctl: Ctl, user: str = ALICE) -> list[tuple[str, str]]:
    return [(rule["when"], rule["then"]) for rule in ctl.lines("rule", "list", user)]


@pytest.mark.parametrize(
    ("words", "when", "then"),
    [
        (["--from", "shop.example", "--file", "Receipts"], "from has “shop.example”", "file into Receipts"),
        (["--from", "a@b.example", "--from", "c@d.example", "--flag"],
         "from is “a@b.example” or “c@d.example”", "flag it"),
        (["--to", "me", "--subject", "x", "--subject", "y", "--read"], "to has “me” and subject has “x” or “y”",
         "mark it read"),
        (["--has-list", "--larger", "5M", "--any", "--stop"], "from a list or larger than 5M", "stop"),
        (["--list", "news", "--smaller", "100k", "--keyword", "work"], "list has “news” and smaller than 100K",
         "mark it work"),
        (["--from", "a@b.example", "--from", "bob", "--any", "--discard"], "from is “a@b.example” or from has “bob”",
         "discard it"),
        (["--header", "X-Spam: yes", "--header", "X-Mailer", "--keep"], "x-spam has “yes” and has x-mailer",
         "keep a copy in INBOX"),
        (["--all", "--forward", "a@far.example", "--forward", "b@far.example"], "all mail",
         "forward to a@far.example, forward to b@far.example"),
    ],
)  # fmt: skip
def test_a_rule_is_added_and_told_in_words(town: Ctl, words: list[str], when: str, then: str) -> None:
    assert town.ok("rule", "add", ALICE, *words) == f"rule 1 of {ALICE}: {when}: {then}\n"
    assert rules(town) == [(when, then)]
    (row,) = town.lines("sieve", "list", ALICE)
    assert row["name"] == "mailctl" and row["active"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--file", "A"], 65, "say which mail the rule is about, or --all"),
        (["--all", "--from", "x", "--stop"], 65, "say which mail"),
        (["--from", "x"], 65, "the rule does nothing"),
        (["--from", "x@y.example", "--from", "x", "--stop"], 65, "make two rules of them, or say --any"),
        (["--from", "x", "--forward", "nobody"], 65, "no address to send mail on to"),
        (["--from", "x", "--discard", "--file", "A"], 65, "either dropped or kept"),
        (["--larger", "much", "--stop"], 65, "not a size"),
        (["--header", "no name:x", "--stop"], 65, "no name of a header field"),
        (["--subject", "", "--stop"], 65, "is empty"),
        (["--from", "x", "--stop", "--place", "0"], 64, "range"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(town: Ctl, words: list[str], code: int, why: str) -> None:
    assert why in town.fails(code, "rule", "add", ALICE, *words)
    assert town.lines("sieve", "list", ALICE) == []


def test_rules_are_ordered_moved_and_removed(town: Ctl) -> None:
    for name in "abc":
        town.ok("rule", "add", ALICE, "--subject", name, "--file", name)
    assert town.json("rule", "add", ALICE, "--subject", "d", "--file", "d", "--place", "1")["number"] == 1
    town.ok("rule", "add", BOB, "--all", "--flag")
    assert town.json("rule", "move", ALICE, "4", "2")["then"] == "file into c"
    assert town.json("rule", "move", ALICE, "1", "9")["number"] == 4
    assert [then[-1] for _, then in rules(town)] == ["c", "a", "b", "d"]
    assert [row["user"] for row in town.lines("rule", "list")] == [ALICE] * 4 + [BOB]
    assert "2: subject has “a”" in town.ok("rule", "rm", ALICE, "2", "--dry-run")
    gone = town.json("rule", "rm", ALICE, "2", "4", "--yes")["removed"]
    assert [rule["number"] for rule in gone] == [2, 4]
    assert [then[-1] for _, then in rules(town)] == ["c", "b"]
    for words in (("rm", ALICE, "3", "--yes"), ("move", ALICE, "3", "1"), ("list", "nobody@example.org")):
        town.fails(1, "rule", *words)
    town.fails(64, "rule", "rm", ALICE, "--yes")
    town.fails(64, "rule", "rm", ALICE, "1", "--all", "--yes")
    town.ok("rule", "rm", ALICE, "--all", "--yes")
    assert rules(town) == [] and script(town) == ""


OWN = 'require "fileinto";\r\n# mine\r\nif false { fileinto "X"; }\r\n'


def test_what_the_user_wrote_stays_and_his_active_script_has_the_rules(town: Ctl) -> None:
    town.ok("sieve", "put", ALICE, "mine", "-", "--activate", input=OWN.encode())
    town.ok("rule", "add", ALICE, "--subject", "x", "--file", "X")
    town.ok("vacation", "set", ALICE, "--text", "Away.")
    assert [row["name"] for row in town.lines("sieve", "list", ALICE)] == ["mine"]
    text = town.json("sieve", "get", ALICE, "mine")["text"]
    assert text.startswith('require ["fileinto", "mailbox", "vacation"]; #') and '"Away.";\r\n# mailctl' in text
    town.ok("rule", "rm", ALICE, "1", "--yes")
    town.ok("vacation", "off", ALICE)
    assert town.json("sieve", "get", ALICE, "mine")["text"] == OWN
    town.ok("rule", "add", ALICE, "--subject", "x", "--file", "X")
    town.ok("sieve", "activate", ALICE, "--none")
    town.ok("rule", "add", ALICE, "--subject", "x", "--file", "X")
    assert [(row["name"], row["active"]) for row in town.lines("sieve", "list", ALICE)] == [
        ("mailctl", True), ("mine", False)]  # fmt: skip
    town.ok("sieve", "activate", ALICE, "--none")
    assert [rule["active"] for rule in town.lines("rule", "list", ALICE)] == [False]
    town.ok("rule", "rm", ALICE, "1", "--yes")
    assert not any(row["active"] for row in town.lines("sieve", "list", ALICE)), "who removes makes nothing active"


def test_what_was_changed_by_hand_is_left_alone(town: Ctl) -> None:
    town.ok("rule", "add", ALICE, "--subject", "x", "--file", "X")
    town.ok("vacation", "set", ALICE, "--text", "Away.")
    changed = script(town).replace(":create", "").replace("vacation :days 7", "vacation :days 7 :mime")
    town.ok("sieve", "put", ALICE, "mailctl", "-", input=changed)
    for words in (("rule", "add", ALICE, "--all", "--flag"), ("rule", "rm", ALICE, "1", "--yes"),
                  ("rule", "list", ALICE), ("rule", "move", ALICE, "1", "1"), ("vacation", "off", ALICE),
                  ("vacation", "show", ALICE), ("vacation", "set", ALICE, "--text", "x")):  # fmt: skip
        said = town.fails(65, *words)
        assert "is left as it is, for it was changed by hand: line " in said and "`mailctl sieve get`" in said
    assert script(town) == changed


def test_an_answer_is_set_changed_shown_and_ended(town: Ctl, tmp_path: Path) -> None:
    assert "gives no answer yet" in town.fails(65, "vacation", "set", ALICE, "--until", "2d")
    assert "gives no answer" in town.fails(1, "vacation", "show", ALICE)
    assert "gave no answer" in town.ok("vacation", "off", ALICE)
    file = tmp_path / "away.txt"
    file.write_bytes('Ich bin weg.\r\n"Grüße"\r\n'.encode())
    said = town.ok("vacation", "set", ALICE, "--text-file", str(file), "--from", "2d", "--until", "2099-01-06")
    assert ' to 2099-01-06: “Ich bin weg. "Grüße"”' in said
    found = town.json("vacation", "set", ALICE, "--subject", "Weg", "--days", "3", "--address", "a@old.example")
    assert found["text"] == 'Ich bin weg.\n"Grüße"' and found["state"] == "waiting" and found["last"] == "2099-01-06"
    shown = town.ok("vacation", "show", ALICE)
    assert "Grüße" in shown and "3 days to each sender" in shown and "a@old.example" in shown and "waiting" in shown
    assert town.json("vacation", "set", ALICE, "--from", "", "--until", "")["state"] == "on"
    assert town.json("vacation", "set", ALICE, "--text-file", "-", input="Away.\n")["text"] == "Away."
    town.ok("sieve", "activate", ALICE, "--none")
    assert town.json("vacation", "show", ALICE)["state"] == "off"
    assert town.json("vacation", "off", ALICE)["removed"]["subject"] == "Weg"
    assert script(town) == ""
    for words in (("--text", "x", "--text-file", "y"), ()):
        town.fails(64, "vacation", "set", ALICE, *words)
    for words in (
        ("--text", "x", "--until", "2020-01-01"),
        ("--text", " "),
        ("--text", "x", "--from", "soon"),
        ("--text", "x", "--from", "2099-02-01", "--until", "2099-01-01"),
        ("--text-file", "/nonexistent"),
    ):
        town.fails(65, "vacation", "set", ALICE, *words)
    town.fails(65, "vacation", "set", ALICE, "--text-file", "-", input=b"\xff")
    assert town.lines("sieve", "list", ALICE)[0]["size"] == 0


def test_no_words_are_more_than_words(town: Ctl) -> None:
    town.ok("sieve", "put", ALICE, "mine", "-", "--activate", input='require "variables"; set "x" "y";')
    evil = '"; } discard; # ${x} \\'
    town.ok("rule", "add", ALICE, "--subject", evil, "--file", evil)
    town.ok("vacation", "set", ALICE, "--text", evil, "--subject", evil)
    (rule,) = town.lines("rule", "list", ALICE)
    assert rule["rule"]["conditions"][0]["values"] == [evil] and rule["rule"]["file"] == evil
    answer = town.json("vacation", "show", ALICE)
    assert answer["text"] == answer["subject"] == evil


def test_names_are_completed(town: Ctl) -> None:
    town.ok("sieve", "put", ALICE, "main", "-", input="")
    town.ok("sieve", "put", "--library", "more", "-", input="")

    def offered(words: str, word: int) -> list[str]:
        town.runner.env |= {
            "_MAILCTL_COMPLETE": "bash_complete", "COMP_WORDS": f"mailctl {words}", "COMP_CWORD": str(word),
        }  # fmt: skip
        return [line.partition(",")[2] for line in town().stdout.splitlines()]

    assert offered("sieve get al", 3) == [ALICE]
    assert offered(f"sieve get {ALICE} m", 4) == ["main"]
    assert offered(f"sieve activate {ALICE} m", 4) == ["main"]
    assert offered("sieve rm --global m", 4) == ["more"]
    assert "main" not in offered(f"sieve get {BOB} m", 4)
