"""Scripts in scripts (RFC 6609). They are looked up and compiled with the script that includes them."""

from __future__ import annotations

import re

from daemon.limits import LIMITS
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Call, Do, Flow, Option, command

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTIONS = (
    Option("personal", group="location"),
    Option("global", group="location"),
    Option("once"),
    Option("optional"),
)


@command("include", STRING, needs="include", options=_OPTIONS)
def include(call: Call) -> Do:
    name = call.text(0).constant
    if name is None:
        call.fault("include takes a constant", 0)
    everyone, once, optional = call.has("global"), call.has("once"), call.has("optional")
    block = call.script.include(call.place, name, everyone, once)
    if block is None:
        if not optional:
            call.fault(f"there is no {'global' if everyone else 'personal'} script {name!r}", 0)
        return lambda run: None
    key = (name, everyone)

    def do(run: Run) -> Flow:
        if once and key in run.included:
            return None
        run.included.append(key)
        if len(run.included) > LIMITS.sieve_includes:
            raise run.fault(f"a script may include {LIMITS.sieve_includes} others")
        with run.apart(name):
            return "stop" if run.block(block) == "stop" else None

    return do


@command("return", needs="include")
def return_(call: Call) -> Do:
    return lambda run: "return"


@command("global", STRINGS, needs="include")
def global_(call: Call) -> Do:
    """These variables are the same in all scripts that say so (section 3.4.1)."""
    if not call.allows("variables"):
        call.lacks('global needs: require "variables"')
    names = call.texts(0).constant
    for name in names or ("",):
        if not _NAME.fullmatch(name):
            call.fault(f"{name!r} is no name of a variable", 0)
    lower = frozenset(name.lower() for name in names or ())

    def do(run: Run) -> Flow:
        for name in sorted((lower - run.common) & run.variables.keys()):
            raise run.fault(f"the variable {name} was set before it was declared global")
        run.common |= lower
        return None

    return do
