"""Flags (RFC 5232): commands over a set of flags, and `:flags` at keep and fileinto."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from daemon.limits import LIMITS
from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.strings import Texts
from daemon.sieve.variables import variable_name
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Do, Flow, Option, command, test

FLAGS = Option("flags", STRINGS, needs="imap4flags")
_SYSTEM = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
_KEYWORD = re.compile(r"\$?[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]+")

Flags = tuple[str, ...]


def listed(values: Iterable[str]) -> Flags:
    """The flags that strings name, with blanks between them; each once, what cannot be a flag not at all."""
    found: dict[str, str] = {}
    for value in values:
        for word in value.split():
            flag = _SYSTEM.get(word.lower()) or (word if _KEYWORD.fullmatch(word) else "")
            if flag and len(found) < LIMITS.sieve_flags:
                found.setdefault(flag.lower(), flag)
    return tuple(found.values())


def _set(old: Flags, new: Flags) -> Flags:
    return new


def _add(old: Flags, new: Flags) -> Flags:
    return listed((*old, *new))


def _remove(old: Flags, new: Flags) -> Flags:
    gone = {flag.lower() for flag in new}
    return tuple([flag for flag in old if flag.lower() not in gone])


def _declare(name: str, change: Callable[[Flags, Flags], Flags]) -> None:
    @command(name, STRING, STRINGS, needs="imap4flags", lacks="first")
    def make(call: Call) -> Do:
        target, flags = _variable(call), call.texts(-1)

        def do(run: Run) -> Flow:
            new = change(_held(run, target), listed(flags(run)))
            if target:
                run.set_variable(target, " ".join(new))
            else:
                run.flags = new
            return None

        return do


_declare("setflag", _set)
_declare("addflag", _add)
_declare("removeflag", _remove)


@test("hasflag", STRINGS, STRINGS, needs="imap4flags", options=options(), lacks="first")
def hasflag(call: Call) -> Ask:
    named: Texts | None = call.texts(0) if len(call.given) == 2 else None
    if named is not None and not call.allows("variables"):
        call.fault('a variable needs: require "variables"', 0)
    match = matcher(call, call.texts(-1), -1)

    def ask(run: Run) -> bool:
        if named is None:
            return match(run, run.flags or ())
        held = [listed((run.variable(name.lower()),)) for name in named(run)]
        return match(run, [flag for flags in held for flag in flags])  # :count is their sum (section 4)

    return ask


def _variable(call: Call) -> str:
    """The variable whose flags are changed; "" for the internal one."""
    if len(call.given) < 2:
        return ""
    if not call.allows("variables"):
        call.fault('a variable needs: require "variables"', 0)
    return variable_name(call, 0)


def _held(run: Run, name: str) -> Flags:
    return listed((run.variable(name),)) if name else run.flags or ()


def flags_of(call: Call) -> Callable[[Run], Flags | None]:
    """The flags that a keep or fileinto gives: those of `:flags`, else those of the internal variable."""
    given = call.option_texts("flags")
    if given is None:
        return lambda run: run.flags
    return lambda run: listed(given(run))
