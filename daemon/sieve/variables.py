"""Variables (RFC 5229): `set` with its modifiers, and the `string` test. `${name}` is filled in by `strings`."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from daemon.limits import LIMITS
from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Do, Flow, Option, command, test

_NAME = re.compile(r"(?:global\.)?[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
_WILD = re.compile(r"([*?\\])")
_MARKS = re.compile(r"([.*?+^$|\\()\[\]{}])")
_NEEDS = {"quoteregex": "regex", "encodeurl": "enotify"}

MODIFIERS: dict[str, tuple[int, Callable[[str], str]]] = {
    "lower": (40, str.lower),
    "upper": (40, str.upper),
    "lowerfirst": (30, lambda text: text[:1].lower() + text[1:]),
    "upperfirst": (30, lambda text: text[:1].upper() + text[1:]),
    "quotewildcard": (20, lambda text: _WILD.sub(r"\\\1", text)),
    "quoteregex": (20, lambda text: _MARKS.sub(r"\\\1", text)),
    "encodeurl": (15, lambda text: quote(text, safe="-._~")),
    "length": (10, lambda text: str(len(text))),
}
"""Name -> precedence (the higher goes first; of one precedence only one may be given), what it does (section 4.1)."""


def modifier_options() -> tuple[Option, ...]:
    return tuple(
        Option(name, needs=_NEEDS.get(name, ""), group=f"modifier {rank}") for name, (rank, _) in MODIFIERS.items()
    )


def modified(call: Call) -> Callable[[str], str]:
    """What the modifiers of this command make of a value, in the order of their precedence."""
    given = sorted((MODIFIERS[name] for name in MODIFIERS if call.has(name)), key=lambda each: -each[0])
    steps = [change for _, change in given]

    def change(text: str) -> str:
        for step in steps:
            text = step(text)
        return text[: LIMITS.sieve_variable]

    return change


def variable_name(call: Call, at: int) -> str:
    """The name of a variable that is set: a constant."""
    name = call.text(at).constant
    if name is None:
        call.fault("the name of a variable is a constant", at)
    if not _NAME.fullmatch(name) or ("." in name and not call.allows("include")):
        call.fault(f"{name!r} is no name of a variable", at)
    return name.lower()


@command("set", STRING, STRING, needs="variables", options=modifier_options())
def set_(call: Call) -> Do:
    name, value, change = variable_name(call, 0), call.text(1), modified(call)

    def do(run: Run) -> Flow:
        run.set_variable(name, change(value(run)))
        return None

    return do


@test("string", STRINGS, STRINGS, needs="variables", options=options())
def string(call: Call) -> Ask:
    source = call.texts(0)
    match = matcher(call, call.texts(1), 1)
    counts = call.has("count")  # empty strings are not counted (RFC 5229 section 5)
    return lambda run: match(run, [value for value in source(run) if value or not counts])
