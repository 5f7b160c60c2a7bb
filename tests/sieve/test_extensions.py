"""The extensions, each with what its RFC says by example: a script, a message, what is decided."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.sieve import Event, Facts, ScriptErrors, Sent, SpamScore, Subject, compile
from daemon.sieve.actions import Discard, FileInto, Keep, Redirect, Reject, Result, Vacation

LETTER = (
    b"From: coyote@desert.example.org\r\nTo: roadrunner@acme.example.com\r\nSubject: I have a present for you\r\n"
    b"Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)\r\nMessage-ID: <1@desert>\r\nX-A: one\r\nX-A: two\r\nX-A: three\r\n"
    b"\r\nLook, I'm sorry about the whole anvil thing.\r\n"
)
SENT = Sent("coyote@desert.example.org", "roadrunner+lists@acme.example.com")


def run(script: str, letter: bytes = LETTER, library: dict[str, str] | None = None, **facts: Any) -> Result:
    program = compile(script, lambda name, everyone: (library or {}).get(name))
    return program.run(Subject(letter, SENT, Facts(**facts)))


TRUE = [
    # RFC 5228 section 2.4.2.4
    ('require ["encoded-character", "variables"];', 'string "$${hex:40}" "$@"'),
    ('require ["encoded-character", "variables"];', 'string "${hex: 40 }${HEX: 40}" "@@"'),
    ('require ["encoded-character", "variables"];', 'string "${hex:40" "$${hex:7b}hex:40"'),
    ('require ["encoded-character", "variables"];', 'string "${hex:4${hex:30}}" "$${hex:7b}hex:40}"'),
    ('require ["encoded-character", "variables"];', 'string "${UnICoDE:0000040}${Unicode:40}" "@@"'),
    ("", 'address :is :all "from" "coyote@DESERT.example.org"'),
    ("", 'header :matches "subject" "I have * for ???"'),
    ("", 'not address :domain "to" "example.com"'),
    # RFC 5231
    ('require ["relational", "comparator-i;ascii-numeric"];', 'header :count "eq" "x-a" "3"'),
    ('require ["relational", "comparator-i;ascii-numeric"];', 'address :count "lt" ["to", "cc"] "2"'),
    ('require "relational";', 'header :value "ge" "x-a" "two"'),
    # RFC 5233
    ('require ["envelope", "subaddress"];', 'envelope :detail "to" "lists"'),
    ('require ["envelope", "subaddress"];', 'envelope :user "to" "roadrunner"'),
    ('require ["envelope", "subaddress"];', 'not envelope :detail :matches "from" "*"'),
    # RFC 5260
    ('require ["date", "relational"];', 'date :originalzone "date" "std11" "Tue, 01 Apr 1997 09:06:31 -0800"'),
    ('require "date";', 'date :zone "+0000" "date" "iso8601" "1997-04-01T17:06:31+00:00"'),
    ('require "date";', 'date :zone "+0000" "date" "julian" "50539"'),
    ('require "date";', 'date :originalzone "date" "weekday" "2"'),
    ('require ["date", "relational"];', 'date :count "eq" "resent-date" "year" "0"'),
    ('require "date";', 'currentdate :zone "+0100" "time" "01:00:00"'),
    ('require "index";', 'header :index 2 "x-a" "two"'),
    ('require "index";', 'header :index 1 :last "x-a" "three"'),
    # RFC 5173, the regex draft, RFC 5235, RFC 5183
    ('require "body";', 'body :raw :contains "anvil"'),
    ('require "body";', 'body :content "text" :contains "ANVIL"'),
    ('require "body";', 'not body :content "/text" :contains "anvil"'),
    ('require "regex";', 'header :regex "subject" "^I (have|had) .*you$"'),
    ('require ["spamtest", "relational", "comparator-i;ascii-numeric"];', 'spamtest :value "eq" :comparator'
     ' "i;ascii-numeric" "5"'),
    ('require "environment";', 'environment "imap.cause" ""'),
    ('require "environment";', 'not environment :contains "nothing" ""'),
    ('require "enotify";', 'valid_notify_method "mailto:tim@example.com"'),
    ('require "enotify";', 'not valid_notify_method ["mailto:tim@example.com", "xmpp:x", "mailto://["]'),
]  # fmt: skip


@pytest.mark.parametrize(("needs", "question"), TRUE)
def test_questions(needs: str, question: str) -> None:
    result = run(f"{needs} if {question} {{ discard; }}", spam=SpamScore(5, 5))
    assert (result.error, result.actions) == (None, (Discard(1),))


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ('require "copy"; redirect :copy "a@example.org";', (Redirect("a@example.org", 1), Keep())),
        ('require "redirect-dsn"; redirect :notify "never" :ret "hdrs" "a@example.org";',
         (Redirect("a@example.org", 1, None, "NEVER", "HDRS"),)),
        ('require "ereject"; ereject "no";', (Reject("no", 1),)),
        ('require "imap4flags"; setflag "\\\\deleted B b"; keep;', (Keep(1, ("\\Deleted", "B")),)),
        ('require ["imap4flags", "fileinto"]; fileinto :flags ["A", "C"] "x";', (FileInto("x", 1, ("A", "C")),)),
        ('require ["variables", "fileinto"]; if header :matches "Subject" "I * a *" { set :upper "m" "${1}${2}"; }'
         ' fileinto "${m}${9}";', (FileInto("HAVEPRESENT FOR YOU", 1),)),
        ('require ["fileinto", "special-use", "mailbox"]; fileinto :specialuse "\\\\junk" :create "Spam";',
         (FileInto("Spam", 1, create=True, special_use="\\Junk"),)),
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
        ('require ["foreverypart"]; foreverypart :name "a" { break :name "b"; }', "there is no loop 'b' around"),
        ('if header "a" :is "b" {}', ":is stands in front of the other arguments"),
        ('require "include"; include "nobody";', "there is no personal script 'nobody'"),
        ('require "encoded-character"; redirect "${unicode:200000}";', "200000 is no character of Unicode"),
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
        'require "ihave"; error "x";',
        'require ["reject", "vacation"]; vacation "a"; reject "b";',
        'require "reject"; reject "a"; keep;',
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


def test_events_of_imap() -> None:
    """RFC 6785 sections 3.11, 4 and 5."""
    event = Event("COPY", "ActionItems")
    script = (
        'require ["copy", "environment", "imapsieve"]; if anyof (environment :is "imap.cause" "APPEND",'
        ' environment :is "imap.cause" "COPY") { if environment :is "imap.mailbox" "ActionItems" {'
        ' redirect :copy "actionitems@example.com"; } }'
    )
    assert run(script, event=event).actions == (Redirect("actionitems@example.com", 1), Keep())
    assert run('require "vacation"; vacation "x";', event=event).error is not None
    assert isinstance(run('require "vacation"; vacation "x";').actions[0], Vacation)
