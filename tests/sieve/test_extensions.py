"""The extensions where they meet each other and bad input; what the RFCs show is in test_rfcs."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.sieve import Facts, ScriptErrors, Sent, Subject, compile
from daemon.sieve.actions import FileInto, Keep, Redirect, Result

LETTER = (
    b"From: coyote@desert.example.org\r\nTo: roadrunner@acme.example.com\r\nSubject: I have a present for you\r\n"
    b"Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)\r\nMessage-ID: <1@desert>\r\nX-A: one\r\nX-A: two\r\nX-A: three\r\n"
    b"\r\nLook, I'm sorry about the whole anvil thing.\r\n"
)
SENT = Sent("coyote@desert.example.org", "roadrunner+lists@acme.example.com")


def run(script: str, letter: bytes = LETTER, library: dict[str, str] | None = None, **facts: Any) -> Result:
    program = compile(script, lambda name, everyone: (library or {}).get(name))
    return program.run(Subject(letter, SENT, Facts(**facts)))


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ('require "imap4flags"; setflag "\\\\deleted B b"; keep;', (Keep(1, ("\\Deleted", "B")),)),
        ('require ["imap4flags", "fileinto"]; fileinto :flags ["A", "C"] "x";', (FileInto("x", 1, ("A", "C")),)),
        ('require ["variables", "fileinto"]; if header :matches "Subject" "I * a *" { set :upper "m" "${1}${2}"; }'
         ' fileinto "${m}${9}";', (FileInto("HAVEPRESENT FOR YOU", 1),)),
        ('require ["ihave", "fileinto"]; if ihave "nothing" { nothing :x "a"; } fileinto "A";', (FileInto("A", 1),)),
        ('require "ihave"; if not ihave "copy" { stop; } redirect :copy "a@example.org";',
         (Redirect("a@example.org", 1), Keep())),
        ('require "ihave"; if ihave "variables" { discard; }', (Keep(),)),
        ('require ["fileinto"]; fileinto "inbox"; keep;', (FileInto("INBOX", 1),)),
        ('require "variables"; if header :contains "subject" "${a' + '"{ discard; }', (Keep(),)),
    ],
)  # fmt: skip
def test_decisions(script: str, wanted: object) -> None:
    result = run(script)
    assert (result.error, result.actions) == (None, wanted)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('require "variables"; set "a" "${global.x}";', "there is no variable 'global.x'"),
        ('require ["foreverypart"]; break;', "break stands only in a loop over parts"),
        ('if header "a" :is "b" {}', ":is stands in front of the other arguments"),
        ('require "editheader"; deleteheader :last "X";', ":last needs :index"),
        ('require "redirect-dsn"; redirect :ret "x" "a@example.org";', ":ret is FULL or HDRS"),
    ],
)
def test_faults(script: str, told: str) -> None:
    with pytest.raises(ScriptErrors) as caught:
        run(script)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        'require ["include", "variables"]; set "a" "b"; global "a";',
        'require ["ihave"]; nothing;',
    ],
)
def test_errors_of_a_run_keep_the_message(script: str) -> None:
    result = run(script)
    assert result.error is not None and result.actions == (Keep(),)


def test_scripts_share_what_is_global_and_nothing_else() -> None:
    """RFC 6609 section 3.4.1."""
    library = {
        "subject_tests": 'require ["include", "variables"]; global ["test", "test_mailbox"]; set "own" "x";'
        ' if header :contains "Subject" "${test}" { set "test_mailbox" "spam-${test}"; } return; discard;'
    }
    main = (
        'require ["fileinto", "include", "variables", "relational"]; global "test"; global "test_mailbox";'
        ' set "test" "$$"; include "subject_tests"; set "test" "present"; include "subject_tests";'
        ' if string :count "eq" "${test_mailbox}" "1" { fileinto "${test_mailbox}${own}"; stop; }'
    )
    assert run(main, library=library).actions == (FileInto("spam-present", 1),)


def test_duplicates_have_one_space_of_ids() -> None:
    """RFC 7352 section 3.2: three ways to the same entry; this run's own ids do not count."""
    scripts = ("duplicate", 'duplicate :header "message-id"', 'duplicate :uniqueid "<1@desert>"')
    seen = [run(f'require "duplicate"; if {test} {{}} if {test} {{ discard; }}') for test in scripts]
    assert len({one.seen for one in seen}) == 1 and all(one.actions == (Keep(),) for one in seen)
    assert run('require "duplicate"; if duplicate :seconds 0 { discard; }', duplicate=lambda key: True).actions == (
        Keep(),
    )


def test_parts_are_replaced_and_the_header_may_change_meanwhile() -> None:
    letter = (
        b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText\r\n--b\r\n"
        b'Content-Type: application/exe; name="x.exe"\r\n\r\nMZ\r\n--b--\r\n'
    )
    script = (
        'require ["foreverypart", "mime", "replace", "editheader"]; foreverypart { addheader "X-Seen" "part";'
        ' if header :mime :param "name" :matches "Content-Type" "*.exe" { replace "removed"; } }'
    )
    (action,) = run(script, letter).actions
    assert isinstance(action, Keep) and action.message is not None
    assert action.message.count(b"X-Seen: part\r\n") == 3 and b"MZ" not in action.message
    assert b"8bit\r\n\r\nremoved\r\n--b--\r\n" in action.message and b"\r\nText\r\n--b\r\n" in action.message
