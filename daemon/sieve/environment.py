"""What a script may ask about the place where it runs (RFC 5183), `ihave` and `error` (RFC 5463)."""

from __future__ import annotations

from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Do, Flow, command, test


@test("environment", STRING, STRINGS, needs="environment", options=options())
def environment(call: Call) -> Ask:
    name, match = call.text(0), matcher(call, call.texts(1), 1)

    def ask(run: Run) -> bool:
        value = run.subject.facts.environment(name(run).lower())
        return value is not None and match(run, (value,))

    return ask


@test("ihave", STRINGS, needs="ihave")
def ihave(call: Call) -> Ask:
    """Answered when the script is checked, see `check`: what stands behind it may use the capabilities it names."""
    names = call.texts(0).constant
    if names is None:
        call.fault("ihave takes constants", 0)
    known = all(name in call.known for name in names)
    return lambda run: known


@command("error", STRING, needs="ihave")
def error(call: Call) -> Do:
    text = call.text(0)

    def do(run: Run) -> Flow:
        raise run.fault(text(run))

    return do
