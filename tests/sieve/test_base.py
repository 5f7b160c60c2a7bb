"""The base language: what a script of RFC 5228 decides."""

from __future__ import annotations

import pytest

from daemon.sieve import ScriptErrors, Sent, Subject, compile
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Redirect

LETTER = b"From: Ann <ann@shop.example>\r\nTo: me+lists@example.org\r\nSubject: [news] Your BILL\r\n\r\nPay it.\r\n"


def actions(script: str, letter: bytes = LETTER) -> tuple[Action, ...]:
    return compile(script).run(Subject(letter, Sent("ann@shop.example", "me+lists@example.org"))).actions


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("", (Keep(0),)),
        ("keep;", (Keep(1),)),
        ("keep; keep;", (Keep(1),)),
        ("discard;", (Discard(1),)),
        ('require "fileinto"; fileinto "A"; fileinto "A";', (FileInto("A", 1),)),
        ('require ["fileinto", "copy"]; fileinto :copy "A";', (FileInto("A", 1), Keep(0))),
        ('redirect "bob@example.net";', (Redirect("bob@example.net", 1),)),
        ('if header :contains "subject" "bill" { discard; }', (Discard(1),)),
        ('if header :comparator "i;octet" :contains "subject" "bill" { discard; }', (Keep(0),)),
        ('if header :matches "Subject" "[*] *" { discard; } else { keep; }', (Discard(1),)),
        ("if size :over 1M { discard; } elsif size :under 1M { keep; } else { stop; }", (Keep(1),)),
        ('if address :domain "from" "SHOP.example" { discard; }', (Discard(1),)),
        ('require ["envelope", "subaddress"]; if envelope :detail "to" "lists" { discard; }', (Discard(1),)),
        ('if not exists ["from", "date"] { stop; } discard;', (Keep(0),)),
        ("if allof (true, not false) { if anyof (false, false) { keep; } else { discard; } }", (Discard(1),)),
        ("# one\n/* two\n * three */ keep # four\n ;", (Keep(3),)),
        ('require "fileinto"; fileinto text:\nA\n.\n;', (FileInto("A\r\n", 1),)),
    ],
)
def test_a_script_decides(script: str, wanted: tuple[Action, ...]) -> None:
    assert actions(script) == wanted


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('require "nonsense";', "line 1, column 9: there is no extension 'nonsense' here"),
        ('fileinto "A";', 'line 1, column 1: fileinto needs: require "fileinto"'),
        ("if true keep;", "line 1, column 1: if is followed by commands in braces"),
        ("keep", "line 1, column 5: ';' is missing behind the 'keep' of line 1, but the script ends here"),
        ("if true { keep;", "line 1, column 9: the block that begins here has no end"),
        ('\n  redirect "nobody";', "line 2, column 12: 'nobody' is no address to redirect to"),
        (
            'if header "a" { }',
            "line 1, column 4: header takes a string or a list of strings, then a string or a list of strings",
        ),
        ('keep; require "copy";', "line 1, column 7: require stands in front of all other commands"),
    ],
)
def test_a_fault_is_told_with_its_place(script: str, told: str) -> None:
    with pytest.raises(ScriptErrors) as caught:
        compile(script)
    assert str(caught.value).splitlines()[0] == told
