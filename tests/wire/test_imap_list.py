"""LIST, LSUB and STATUS items."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.wire.imap_list import List, Lsub
from tests.wire.imap_parsing import refusal_of, value_of


def listed(*patterns, select=(), returns=(), status=(), **more):
    return List(patterns, select=frozenset(select), returns=frozenset(returns), status=status, **more)


@pytest.mark.parametrize(
    "text,want",
    [
        ('LIST "" *', listed("*")),
        ('LIST "" "%"', listed("%")),
        ('LIST "" ""', listed("", asks_separator=True)),
        ('LIST foo/ ""', listed("foo/", asks_separator=True)),
        ('LIST "foo/" %', listed("foo/%")),
        ('LIST "" Entw&APw-rfe/*', listed("Entwürfe/*")),
        ('LIST "" "Entwürfe"', listed("Entwürfe")),
        ('LIST () "" *', listed("*", extended=True)),
        ('LIST "" (INBOX % %)', listed("INBOX", "%", extended=True)),
        ('LIST "" ("")', listed("", extended=True)),
        ('LIST (SUBSCRIBED) "" *', listed("*", extended=True, select=["SUBSCRIBED"], returns=["SUBSCRIBED"])),
        ('LIST (special-use remote) "" * RETURN (CHILDREN)',
         listed("*", extended=True, select=["SPECIAL-USE", "REMOTE"], returns=["SPECIAL-USE", "CHILDREN"])),
        ('LIST (SUBSCRIBED RECURSIVEMATCH) "" *',
         listed("*", extended=True, select=["SUBSCRIBED", "RECURSIVEMATCH"], returns=["SUBSCRIBED"])),
        ('LIST "" % RETURN ()', listed("%", extended=True)),
        ('LIST "" % RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN MESSAGES))',
         listed("%", extended=True, returns=["SPECIAL-USE"], status=("MESSAGES", "UNSEEN"))),
        ('list "" % return (subscribed status (size))',
         listed("%", extended=True, returns=["SUBSCRIBED"], status=("SIZE",))),
        ('LIST "" % RETURN (METADATA (/Shared/a "/private/b" /shared/A) CHILDREN)',
         listed("%", extended=True, returns=["CHILDREN"], metadata=("/shared/a", "/private/b"))),
        ('LIST "" % RETURN (METADATA /shared/a CHILDREN)',
         listed("%", extended=True, returns=["CHILDREN"], metadata=("/shared/a",))),
        ('LSUB "" "*"', Lsub("*")),
        ("LSUB a/ %", Lsub("a/%")),
    ],
)  # fmt: skip
def test_what_is_listed(text, want):
    assert value_of(text) == want


@pytest.mark.parametrize(
    "text,want",
    [
        ("LIST", "BAD mailbox pattern expected"),
        ('LIST ""', "BAD mailbox pattern expected"),
        ('LIST "" ()', "BAD mailbox pattern expected"),
        ('LIST "" * x', "BAD too many arguments"),
        ('LIST "" * RETURN', "BAD RETURN options expected"),
        ('LIST "" * RETURN (MYRIGHTS)', "BAD unknown RETURN option"),
        ('LIST "" * RETURN (STATUS)', "BAD STATUS items expected"),
        ('LIST "" * RETURN (STATUS ())', "BAD STATUS item expected"),
        ('LIST "" * RETURN (STATUS (MAILBOXES X))', "BAD unknown STATUS item MAILBOXES"),
        ('LIST (SUBSCRIBED HIDDEN) "" *', "BAD unknown selection option"),
        ('LIST (RECURSIVEMATCH) "" *', "BAD RECURSIVEMATCH wants something to match"),
        ('LIST (REMOTE RECURSIVEMATCH) "" *', "BAD RECURSIVEMATCH wants something to match"),
        ('LIST "" * RETURN (METADATA)', "BAD entry expected"),
        ('LIST "" * RETURN (METADATA ())', "BAD entry expected"),
        ('LIST "" &', "BAD a mailbox name that is not modified UTF-7"),
        (b'LIST "" "\xff"', "BAD a mailbox pattern that is not modified UTF-7"),
        (f'LIST "" {"x" * 1001}', "BAD mailbox pattern too long"),
        ("LSUB *", "BAD mailbox pattern expected"),
    ],
)
def test_what_is_refused(text, want):
    assert refusal_of(text) == want


def test_patterns_are_counted():
    limits = replace(LIMITS, imap_list_patterns=2)
    assert value_of('LIST "" (a b)', limits).patterns == ("a", "b")
    assert refusal_of('LIST "" (a b c)', limits) == "BAD over 2 patterns"


def test_patterns_match():
    first, second = value_of('LIST "" (inbox Arch%)').matchers()
    assert first.matches("INBOX") and second.matches("Archive") and not second.matches("Archive/2026")
    assert value_of("LSUB a/ *").matcher().matches("a/b/c")
