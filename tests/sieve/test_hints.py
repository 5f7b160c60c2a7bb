"""What is told to whoever stores a script that can be run, and does not do what he means."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.sieve.hints import hints


@pytest.mark.parametrize(
    "script, want",
    [
        ('fileinto "INBOX";', []),
        ('fileinto "x";', ["line 1, column 1: there is no mailbox 'x': make it, or write :create"]),
        ('fileinto :copy :flags "a" "x";', ["line 1, column 1: there is no mailbox 'x': make it, or write :create"]),
        ('fileinto :create "x"; fileinto :specialuse "\\\\Junk" "x"; fileinto :mailboxid "1" "x";', []),
        ('fileinto "${x}";', []),
        ("stop;", []),
        ("if true { stop; } keep;", []),
        ("if true { if true { stop;\n keep; } }", ["line 2, column 2: this is never reached: a stop stands before it"]),
    ],
)
def test_hints(script: str, want: list[str]) -> None:
    assert hints(script, lambda mailbox: mailbox == "INBOX") == want


def test_so_many_are_told() -> None:
    assert len(hints('fileinto "x";' * 100, lambda mailbox: False)) == LIMITS.sieve_errors
