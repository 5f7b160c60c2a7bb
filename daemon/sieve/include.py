"""Scripts in scripts (RFC 6609). They are looked up and compiled with the script that includes them."""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Call, Do, Flow, Option, command

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
    block = call.library(name, everyone)
    if block is None:
        if not optional:
            call.fault(f"there is no {'global' if everyone else 'personal'} script {name!r}", 0)
        return lambda run: None
    key = f"{'global' if everyone else 'personal'} {name}"

    def do(run: Run) -> Flow:
        if once and key in run.included:
            return None
        run.included.append(key)
        if len(run.included) > LIMITS.sieve_includes:
            raise run.fault(f"a script may include {LIMITS.sieve_includes} others")
        outer, run.variables, run.common = (run.variables, run.common), {}, frozenset()
        try:
            flow = run.block(block)
        finally:
            run.variables, run.common = outer
        return "stop" if flow == "stop" else None

    return do


@command("return", needs="include")
def return_(call: Call) -> Do:
    return lambda run: "return"


@command("global", STRINGS, needs="include")
def global_(call: Call) -> Do:
    """These variables are the same in all scripts that say so (section 3.4.1)."""
    names = call.texts(0).constant
    if names is None or "variables" not in call.required:
        call.fault('global takes the names of variables, and needs: require "variables"')
    lower = frozenset(name.lower() for name in names)

    def do(run: Run) -> Flow:
        run.common |= lower
        return None

    return do
