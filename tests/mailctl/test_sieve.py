"""`mailctl sieve`: scripts kept, made active, removed; and tried on a message, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mailctl.conftest import Ctl

ALICE, BOB = "alice@example.org", "bob@example.org"
SCRIPT = """require ["fileinto", "vacation", "imap4flags"];
if header :contains "subject" "order" {
    fileinto :flags "\\\\Flagged" "Shop";
} elsif size :over 1M {
    discard;
}
vacation "I am away.";
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "main.sieve"
    path.write_text(SCRIPT)
    return path


def test_a_script_is_kept_listed_read_and_removed(town: Ctl, script: Path) -> None:
    assert "main of alice@example.org; it is not active" in town.ok("sieve", "put", ALICE, "main", str(script))
    town.ok("sieve", "put", ALICE, "other", "-", "--activate", input="keep;\r\n")
    assert town.ok("sieve", "get", ALICE, "main") == SCRIPT
    assert town.json("sieve", "get", ALICE, "other") == {"user": ALICE, "name": "other", "text": "keep;\r\n"}
    rows = town.lines("sieve", "list", ALICE)
    assert [(row["name"], row["active"], row["place"], row["size"]) for row in rows] == [
        ("main", False, "own", len(SCRIPT)), ("other", True, "own", 7)]  # fmt: skip
    assert town.json("sieve", "activate", ALICE, "main") == {"user": ALICE, "active": "main", "before": "other"}
    said = town.fails(65, "sieve", "rm", ALICE, "main", "--yes")
    assert "is the active one; `mailctl sieve activate alice@example.org --none`" in said
    assert "other of alice" in town.ok("sieve", "rm", ALICE, "other", "--dry-run")
    town.ok("sieve", "rm", ALICE, "other", "--yes")
    town.ok("sieve", "activate", ALICE, "--none")
    town.ok("sieve", "rm", ALICE, "main", "--yes")
    assert town.lines("sieve", "list") == []
    for words in (("get", ALICE, "main"), ("rm", ALICE, "main", "--yes"), ("activate", ALICE, "main"),
                  ("get", "nobody@example.org", "main"), ("get", "--global", "main")):  # fmt: skip
        town.fails(1, "sieve", *words)
    for words in (("get", "main"), ("put", ALICE, "main"), ("put", "--before", ALICE, "main", "-"),
                  ("put", ALICE, "main", "-", "--domain", "example.org"), ("activate", ALICE),
                  ("put", "--before", "main", "-", "--activate")):  # fmt: skip
        town.fails(64, "sieve", *words)
    town.fails(65, "sieve", "put", ALICE, "main", "-", input=b"\xff")
    town.fails(65, "sieve", "put", ALICE, "main", "-", input=b" " * (1 << 20))


def test_what_the_server_cannot_run_is_shown_with_its_line_and_not_kept(town: Ctl) -> None:
    bad = 'require "nonsense";\nif true {\n\tredirect "nobody";\n}\nkeep \x1b[31m;\n'
    for words in (("sieve", "put", ALICE, "main", "-"), ("sieve", "put", "--before", "main", "-")):
        done = town(*words, input=bad.replace(" \x1b[31m", ""))
        assert done.exit_code == 65 and done.stdout == ""
        assert done.stderr == (
            "line 1, column 9: there is no extension 'nonsense' here\n"
            '    require "nonsense";\n'
            "            ^\n"
            "line 3, column 11: 'nobody' is no address to redirect to\n"
            '     redirect "nobody";\n'
            "              ^\n"
            "mailctl: error: the script 'main' has a fault in line 1: "
            "there is no extension 'nonsense' here, and 1 more\n"
        )
    assert "\x1b" not in town("sieve", "put", ALICE, "main", "-", input=bad).stderr
    assert town.lines("sieve", "list") == []
    long = town("sieve", "put", ALICE, "main", "-", input=f"keep;{' ' * 500}\u4e2d;{' ' * 500}").stderr.split("\n")
    assert len(long[1]) <= 4 + 100 and long[1][len(long[2]) - 1] == "\u4e2d"


def test_the_administrators_scripts(town: Ctl, script: Path) -> None:
    town.ok("sieve", "put", "--before", "all", str(script))
    town.ok("sieve", "put", "--after", "all", "-", "--domain", "example.org", input="keep;")
    town.ok("sieve", "put", "--library", "more", "-", input="stop;")
    including = 'require "include"; include :global "more"; include "of a user";'
    town.ok("sieve", "put", "--before", "uses", "-", input=including)
    rows = town.lines("sieve", "list")
    assert {(row["domain"], row["name"], row["place"], row["active"]) for row in rows} == {
        ("", "all", "before", True), ("example.org", "all", "after", True), ("", "more", "library", False),
        ("", "uses", "before", True)}  # fmt: skip
    assert "(everybody)" in town.ok("sieve", "list")
    assert town.ok("sieve", "get", "--global", "all") == SCRIPT
    assert town.ok("sieve", "get", "all", "--domain", "example.org") == "keep;"
    town.ok("sieve", "rm", "all", "--domain", "example.org", "--yes")
    town.ok("sieve", "rm", "--global", "all", "--yes")
    town.fails(1, "sieve", "rm", "--global", "all", "--yes")
    town.fails(1, "sieve", "put", "--after", "all", "-", "--domain", "far.example", input="keep;")
    done = town("sieve", "put", "--before", "x", "-", input='require "include"; include :global "gone";')
    assert done.exit_code == 65 and "there is no global script 'gone'" in done.stderr


# -- tried -------------------------------------------------------------------------------------------------------------


def test_a_script_is_tried_and_each_step_shown_with_its_line(town: Ctl, script: Path, letter: Path) -> None:
    before = town.lines("sieve", "list"), town.lines("mail", "list"), town.lines("queue", "list")
    said = town.ok("sieve", "test", str(script), str(letter), "--user", ALICE)
    first, judged, *rest = said.split("\n")
    assert first == "From joerg@shop.example to alice@example.org"
    assert judged.startswith("The filter: accepted (clean), ") and judged.endswith(" points, junk from 5.0 on")
    assert rest == [
        '    2  if header :contains "subject" "order" {',
        '         true   header :contains "subject" "order"',
        '    3      fileinto :flags "\\\\Flagged" "Shop";',
        '         done   fileinto :flags "\\Flagged" "Shop"',
        '    7  vacation "I am away.";',
        '         done   vacation "I am away."',
        "What will be done:",
        "       keep it in INBOX, and tell the owner: there is no mailbox 'Shop'  (line 3)",
        "       answer joerg@shop.example (once in 7 days): “I am away.”  (line 7)",
        "",
    ]
    assert (town.lines("sieve", "list"), town.lines("mail", "list"), town.lines("queue", "list")) == before
    town.ok("mailbox", "create", ALICE, "Shop")
    found = town.json("sieve", "test", str(script), str(letter), "--user", ALICE, "--from", "")
    assert [(deed["line"], deed["action"], deed["text"]) for deed in found["deeds"]] == [
        (3, "fileinto", "file it into Shop, marked \\Flagged"),
        (7, "vacation", "give no answer: it has no sender"),
    ]
    assert found["steps"][0] == {
        "place": "own", "script": str(script), "line": 2, "source": 'if header :contains "subject" "order" {',
        "text": 'header :contains "subject" "order"', "outcome": "true"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("", ["keep it in INBOX  (since no line says otherwise)"]),
        ("discard;", ["throw it away, and tell nobody  (line 1)"]),
        ('redirect "b@far.example";', ["send it on to b@far.example  (line 1)"]),
        ('require "reject";reject "No.\nNever.";', ["refuse it: “No. Never.”  (line 1)"]),
        ('require "enotify";notify "mailto:b@far.example";',
         ["tell mailto:b@far.example of it  (line 1)", "keep it in INBOX  (since no line says otherwise)"]),
        ('require ["editheader"];addheader "X-A" "b";keep;', ["keep it in INBOX, changed by the script  (line 1)"]),
        ('require "fileinto";fileinto "Shop";', ["file it into Shop  (line 1)"]),
        ('require ["vacation","vacation-seconds"];vacation :seconds 90 "Away";',
         ["answer joerg@shop.example (once in 90 seconds): “Away”  (line 1)",
          "keep it in INBOX  (since no line says otherwise)"]),
        ('require "envelope";if envelope "to" "x@example.org" { discard; }',
         ["throw it away, and tell nobody  (line 1)"]),
        ('require "include";include :global "shared";', ["throw it away, and tell nobody  (line 2 of - > shared)"]),
    ],
)  # fmt: skip
def test_what_would_be_done_is_said_in_plain_words(town: Ctl, letter: Path, text: str, done: list[str]) -> None:
    town.ok("sieve", "put", "--library", "shared", "-", input="\ndiscard;")
    said = town.ok("sieve", "test", "-", str(letter), "--to", "x@example.org", input=text)
    assert [line.strip() for line in said.partition("What will be done:\n")[2].splitlines()] == done


def test_a_user_has_his_own_scripts_and_addresses(town: Ctl, letter: Path) -> None:
    town.ok("sieve", "put", ALICE, "part", "-", input="discard;")
    town.ok("sieve", "put", ALICE, "main", "-", input='require "include";\n\n# discard\ninclude "part";')
    said = town.ok("sieve", "test", "main", str(letter), "--user", ALICE)
    assert "throw it away" in said and "    1\n         done   part: discard\n" in said, (
        "the line is of the other script"
    )
    town.fails(1, "sieve", "test", "gone", str(letter), "--user", ALICE)
    town.fails(65, "sieve", "test", "gone", str(letter))
    town.fails(64, "sieve", "test", "-", "-")
    away = 'require "vacation"; vacation "Away";'
    assert "none of his addresses" in town.ok("sieve", "test", "-", str(letter), "--user", BOB, input=away)
    assert town.json("sieve", "test", "-", str(letter), "--user", BOB, "--from", "<>", input="")["sender"] == ""


def test_a_script_that_goes_wrong_keeps_the_message(town: Ctl, letter: Path) -> None:
    wrong = 'require "variables"; set "a" "nobody"; redirect "${a}";'
    done = town("sieve", "test", "-", str(letter), input=wrong)
    assert done.exit_code == 1 and "'nobody' is no address to redirect to" in done.stdout
    assert "keep it in INBOX" in done.stdout
    assert "line 1, column 5: ';' is missing" in town("sieve", "test", "-", str(letter), input="keep").stderr


# -- all of them, as at delivery ---------------------------------------------------------------------------------------

FLAG_ORDERS = """require "imap4flags";
if header :contains "subject" "order" { addflag "$order"; keep; }
"""
OWN = 'require "fileinto";\nfileinto "INBOX/Shop";\n'
JUDGED = """require ["spamtestplus", "relational", "comparator-i;ascii-numeric", "fileinto"];
if spamtest :value "ge" :comparator "i;ascii-numeric" :percent "75" { discard; stop; }
"""


@pytest.fixture
def guarded(town: Ctl) -> Ctl:
    """Scripts before and after that of Alice."""
    for place, name, text in (
        ("before", "judged", JUDGED),
        ("before", "orders", FLAG_ORDERS),
        ("after", "end", "keep;"),
    ):
        town.ok("sieve", "put", f"--{place}", name, "-", input=text)
    town.ok("mailbox", "create", ALICE, "INBOX/Shop")
    town.ok("sieve", "put", ALICE, "main", "-", "--activate", input=OWN)
    return town


def test_all_scripts_run_as_at_delivery(guarded: Ctl, letter: Path) -> None:
    said = guarded.ok("sieve", "test", str(letter), "--user", ALICE)
    assert [line for line in said.split("\n") if line.startswith("Script")] == [
        "Script judged, before it", "Script orders, before it", "Script main, of the user",
        "Script end, after it: one before it had the last word"]  # fmt: skip
    assert said.endswith("What will be done:\n       file it into INBOX/Shop  (line 2 of main)\n")
    found = guarded.json("sieve", "test", str(letter), "--user", ALICE)
    assert [(part["place"], part["name"], part["state"]) for part in found["parts"]] == [
        ("before", "judged", "ran"),
        ("before", "orders", "ran"),
        ("own", "main", "ran"),
        ("after", "end", "not reached"),
    ]
    assert found["deeds"] == [
        {"script": "main", "line": 2, "action": "fileinto", "text": "file it into INBOX/Shop"}]  # fmt: skip
    assert (found["script"], found["verdict"], found["reason"], found["required"]) == ("", "accept", "clean", 5.0)


def test_another_script_in_the_place_of_the_active_one(guarded: Ctl, letter: Path) -> None:
    found = guarded.json("sieve", "test", "-", str(letter), "--user", ALICE, "--whole", input="")
    assert [part["state"] for part in found["parts"]] == ["ran"] * 4
    assert found["deeds"] == [
        {"script": "end", "line": 1, "action": "keep", "text": "keep it in INBOX, marked $order"}]  # fmt: skip
    alone = guarded.json("sieve", "test", "-", str(letter), "--user", ALICE, input="")
    assert [part["name"] for part in alone["parts"]] == ["-"] and alone["deeds"][0]["text"] == "keep it in INBOX"
    for words in ((str(letter),), ("-", str(letter), "--whole"), (str(letter), "--user", ALICE, "--whole"),
                  ("a", "b", "c", "--user", ALICE)):  # fmt: skip
        guarded.fails(64, "sieve", "test", *words)


@pytest.mark.parametrize(
    ("points", "verdict", "states", "deed"),
    [
        ("4.9", "accept", ["ran", "ran", "ran", "not reached"], "file it into INBOX/Shop"),
        ("5", "junk", ["ran", "passed over", "passed over", "passed over"], "keep it in Junk"),
        ("7.5", "junk", ["ran", "not reached", "not reached", "not reached"], "throw it away, and tell nobody"),
        ("15", "refuse", ["ran", "not reached", "not reached", "not reached"], "throw it away, and tell nobody"),
    ],
)
def test_what_the_filter_would_say_decides(
    guarded: Ctl, letter: Path, points: str, verdict: str, states: list[str], deed: str
) -> None:
    found = guarded.json("sieve", "test", str(letter), "--user", ALICE, "--score", points)
    assert (found["verdict"], found["score"]) == (verdict, float(points))
    assert [part["state"] for part in found["parts"]] == states and found["deeds"][0]["text"] == deed


def test_the_filter_looks_at_the_message_as_at_delivery(guarded: Ctl, letter: Path) -> None:
    letter.write_bytes(
        letter.read_bytes() + b"\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
    )
    scored = guarded.json("spam", "score", str(letter), "--user", ALICE, "--from", "joerg@shop.example")
    found = guarded.json("sieve", "test", str(letter), "--user", ALICE)
    assert (found["verdict"], found["score"]) == (scored["verdict"], scored["score"]) and found["score"] > 15
    assert found["deeds"][0]["action"] == "discard"
    header = 'require "fileinto"; if header :contains "X-Spam-Status" "score=" { fileinto "seen"; }'
    for user in ((), ("--user", ALICE)):
        found = guarded.json("sieve", "test", "-", str(letter), *user, input=header)
        assert "seen" in found["deeds"][0]["text"]
    guarded.ok("config", "set", "spam.check", "no")
    assert "no score" in guarded.ok("sieve", "test", "-", str(letter), input="")


def test_who_keeps_no_copy_has_no_script_asked(guarded: Ctl, letter: Path) -> None:
    guarded.ok("forward", "add", ALICE, "a@far.example", "b@far.example", "--no-keep")
    said = guarded.ok("sieve", "test", str(letter), "--user", ALICE)
    assert "At delivery: he forwards to a@far.example, b@far.example and keeps no copy, so that no script" in said
    assert guarded.json("sieve", "test", str(letter), "--user", ALICE, "--score", "9")["note"] == "", "junk stays"
    guarded.ok("forward", "add", ALICE, "c@far.example", "--keep")
    assert "At delivery" not in guarded.ok("sieve", "test", str(letter), "--user", ALICE)


def test_one_that_cannot_be_run_any_more_does_nothing(guarded: Ctl, letter: Path) -> None:
    guarded.ok("sieve", "put", ALICE, "part", "-", input="discard;")
    guarded.ok("sieve", "put", ALICE, "main", "-", input='require "include"; include "part";')
    guarded.ok("sieve", "rm", ALICE, "part", "--yes")
    done = guarded("sieve", "test", str(letter), "--user", ALICE)
    assert done.exit_code == 1 and "Script main, of the user: it cannot be run" in done.stdout
    assert "goes wrong, so it does nothing: line 1, column 28: there is no personal script 'part'" in done.stdout
    assert done.stdout.endswith("keep it in INBOX, marked $order  (line 1 of end)\n")
    guarded.ok("sieve", "activate", ALICE, "--none")
    assert "keep it in INBOX" in guarded.ok("sieve", "test", str(letter), "--user", ALICE)
    assert "No script sees the mail of bob@example.org." not in guarded.ok("sieve", "test", str(letter), "--user", BOB)
    for name in ("judged", "orders", "end"):
        guarded.ok("sieve", "rm", "--global", name, "--yes")
    assert "No script sees the mail of bob@example.org." in guarded.ok("sieve", "test", str(letter), "--user", BOB)
