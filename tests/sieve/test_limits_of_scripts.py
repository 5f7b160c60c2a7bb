"""What a hostile script or message costs: never more than the limits say, and the author hears why."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial

import pytest

from daemon.limits import LIMITS
from daemon.sieve import Program, ScriptErrors, Sent, Subject, compile
from daemon.sieve.actions import FileInto, Keep, Result, Vacation
from daemon.sieve.comparators import casemap, numeric

LETTER = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: Hello\r\nX: " + b"a" * 2400 + b"\r\n\r\nText.\r\n"
DEAR = 100  # plain steps that one may be worth
VARIABLES = (
    'require ["variables", "include", "foreverypart", "mime", "fileinto", "editheader", "imap4flags", "regex"];\n'
)


def run(script: str, letter: bytes = LETTER, library: dict[str, str] | None = None) -> Result:
    return compile(script, lambda name, everyone: (library or {}).get(name)).run(
        Subject(letter, Sent("a@example.org", "b@example.net"))
    )


def cpu(work: Callable[[], object]) -> float:
    """Seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


@cache
def plain_step() -> float:
    """Seconds of a step of the plainest script, on this machine."""
    program = compile("if false {}" * 10_000)
    return min(cpu(lambda: program.run(Subject(LETTER))) for _ in range(5)) / 20_000


def bounded(program: Program, letter: bytes) -> Result:
    """Run it. Whatever a script does, a step is worth some of the plainest, so that to bound steps is to bound time."""
    results: list[Result] = []
    spent = cpu(lambda: results.append(program.run(Subject(letter))))
    assert spent < LIMITS.sieve_steps * plain_step() * DEAR
    return results[0]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("#" * 2**20, "a script may have 262144 characters, this one has 1048576"),
        ('keep; redirect "' + "a" * 70_000 + '";', "a string may have 65536 characters"),
        ("if exists [" + ",".join(['""'] * 10_001) + "] {}", "a list may have 10000 strings"),
        (f"keep {':a ' * 60};", "'keep' has too many arguments"),
        ("keep;" * 20_001, "a script may have 20000 commands and tests"),
        ("if true {" * 1000 + "}" * 1000, "tests may be nested 32 deep"),
        ("if " + "not " * 1000 + "true {}", "tests may be nested 32 deep"),
        (VARIABLES + 'if header :regex "a" "' + "a" * 5000 + '" {}', "a regular expression may have 4096 characters"),
        (f'{VARIABLES}if header :regex "a" "(a{{900}}){{900}}" {{}}', "cannot be used as a regular expression"),
        (VARIABLES + 'if header :regex "a" [' + ",".join(['"a"'] * 101) + "] {}", "may have 100 regular expressions"),
    ],
    ids=range(10),
)
def test_a_script_has_limits(script: str, told: str) -> None:
    with pytest.raises(ScriptErrors) as caught:
        compile(script)
    assert told in str(caught.value)


def test_the_largest_scripts_take_the_time_of_a_plain_one() -> None:
    plain = min(cpu(lambda: compile("keep;" * 20_000)) for _ in range(3))
    for script in (
        "if exists [" + ",".join(['""'] * 10_000) + "] {}",
        'require "variables"; if string "' + "${a}" * 16_000 + '" "x" {}',
        'if header :matches "a" [' + ",".join(['"*a*b?"'] * 10_000) + "] {}",
        "if " + "not " * 30 + "true {}" + "#" * 200_000,
    ):
        assert cpu(partial(compile, script)) < 10 * plain, script[:60]


def test_so_many_faults_are_told() -> None:
    with pytest.raises(ScriptErrors) as caught:
        compile("nothing;" * 100)
    assert len(caught.value.errors) == LIMITS.sieve_errors


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (('if header :contains ["x", "x"] [' + ",".join(['"aaaaaaaaaaaaab"'] * 9_000) + "] {}"), "takes too long"),
        (VARIABLES + 'if header :regex ["x", "x", "x", "x", "x", "x"] "(a|b)*a(a|b){30}c" {}\n' * 99, "takes too long"),
        (VARIABLES + ('if header :matches "x" "*' + "?a" * 500 + 'b" {}\n') * 200, "takes too long"),
        ('redirect "a@example.org";' * 5, "may redirect a message 4 times"),
        (VARIABLES + 'fileinto "A";' * 33, "may have 32 actions"),
        (VARIABLES + "".join(f'set "v{n}" "";' for n in range(257)), "may have 256 variables"),
        (VARIABLES + 'include "a";' * 33, "may include 32 others"),
        (VARIABLES + "foreverypart {" * 5 + "}" * 5, "may be nested 4 deep"),
        (VARIABLES + 'addheader "A" "b";' * 51, "may change a message 50 times"),
    ],
    ids=range(9),
)
def test_a_run_has_limits_and_beyond_them_the_message_is_kept(script: str, told: str) -> None:
    parts = b"Content-Type: message/rfc822\r\n\r\n" * 10 + LETTER
    program = compile(script, lambda name, everyone: "")
    result = bounded(program, parts if "foreverypart {f" in script else LETTER)
    assert result.error is not None and told in result.error.text
    assert result.actions == (Keep(),) and result.error.place.line > 0


def test_long_messages_are_not_held_many_times() -> None:
    script = VARIABLES + "".join(f'addheader "A" "b"; fileinto "{n}";' for n in range(5))
    result = run(script, LETTER + b"x" * 30_000_000)
    assert result.error is not None and "too many long messages" in result.error.text


def test_variables_stop_growing() -> None:
    grow = VARIABLES + 'set "a" "0123456789abcdef";' + 'set "a" "${a}${a}";' * 40 + 'fileinto "${a}";'
    (action,) = run(grow).actions
    assert isinstance(action, FileInto) and len(action.mailbox) == LIMITS.sieve_variable


def test_captures_and_flags_are_bounded() -> None:
    stars = VARIABLES + 'if header :matches "x" "' + "?" * 40 + '*" { fileinto "<${32}${33}>"; }'
    assert run(stars).actions == (FileInto("<a>", 2),)
    flags = run(VARIABLES + 'setflag "' + " ".join(f"f{n}" for n in range(100)) + '";').actions
    assert isinstance(flags[0], Keep) and len(flags[0].flags or ()) == LIMITS.sieve_flags


def test_times_are_brought_into_bounds() -> None:
    long = run('require ["vacation", "duplicate"]; vacation :days 99999999 "x"; if duplicate :seconds 999999999 {}',
               b"Message-ID: <a@b>\r\n" + LETTER)  # fmt: skip
    answer = next(action for action in long.actions if isinstance(action, Vacation))
    assert answer.seconds == LIMITS.vacation_longest
    assert [seen.seconds for seen in long.seen] == [LIMITS.sieve_duplicate]


def test_steps_that_are_told_are_bounded() -> None:
    program = compile("if true {}" * 3000)
    assert len(program.run(Subject(LETTER), told=True).steps) == LIMITS.sieve_told


def test_scripts_may_include_each_other_so_deep() -> None:
    library = {f"s{n}": f'require "include"; include "s{n + 1}";' for n in range(1, 20)} | {"s20": "keep;"}
    with pytest.raises(ScriptErrors, match="8 deep"):
        run('require "include"; include "s1";', library=library)
    with pytest.raises(ScriptErrors, match="while it is at work itself"):
        run('require "include"; include "a";', library={"a": 'require "include"; include "a";'})
    once = 'require "include"; include :once "a"; discard;'
    assert run('require "include"; include "a"; keep;', library={"a": once}).error is None


def test_very_long_numbers_are_all_the_same() -> None:
    assert numeric("9" * 100_000) == numeric("8" * 50_000) > numeric("9" * LIMITS.sieve_digits)
    assert numeric("0" * 100 + "7") == 7 < numeric("x")


def test_parts_without_end_are_looked_at_once() -> None:
    program: Program = compile(
        'require ["foreverypart", "mime", "body"]; foreverypart {'
        ' if header :mime :anychild :contains "x" "y" {} } if body :contains "z" {}'
    )
    broken = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\nX: y\r\n" * 20_000
    result = bounded(program, broken)
    assert result.error is None or "takes too long" in result.error.text


@pytest.mark.parametrize("comparator", ["i;ascii-casemap", "i;unicode-casemap", "i;octet"])
@pytest.mark.parametrize("how", [":is", ":contains", ":matches", ':value "gt"'])
def test_letters_of_all_the_world_cost_what_they_take(comparator: str, how: str) -> None:
    """A long text that is not of ASCII is brought into its normal form by each test."""
    letter = b"Subject: " + "ä".encode() * 45_000 + b"\r\n\r\n"
    program = compile(
        'require ["relational", "comparator-i;unicode-casemap"];'
        + f'if header {how} :comparator "{comparator}" "subject" "\U0001f600" {{ stop; }}\n' * 2_500
    )
    bounded(program, letter)


def test_ascii_letters_alone_have_no_case() -> None:
    assert casemap("aäß\ud800z") == "Aäß\ud800Z" and casemap("aZ") == "AZ"


def test_what_is_inside_of_a_replaced_part_is_gone_with_it() -> None:
    inner = b"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ninner\r\n--b--\r\n\r\n"
    letter = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + inner + b"--a\r\n\r\nlast\r\n--a--\r\n"
    script = 'if not header :mime :contains "content-type" "boundary=a" { replace "new"; }'
    (kept,) = run('require ["foreverypart", "mime", "replace"]; foreverypart {' + script + "}", letter).actions
    assert isinstance(kept, Keep) and kept.message is not None
    assert kept.message.count(b"new") == 2 and kept.message.endswith(b"\r\nnew\r\n--a--\r\n")
    assert b"inner" not in kept.message and b"--b" not in kept.message
