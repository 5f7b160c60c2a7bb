"""What a script may ask about the place where it runs (RFC 5183), `ihave` and `error` (RFC 5463)."""

from __future__ import annotations

from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.subject import Facts
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Do, Flow, command, test

_OF_THE_LANGUAGE = frozenset(("encoded-character", "variables"))  # how a script is read does not change on the way


@test("environment", STRING, STRINGS, needs="environment", options=options())
def environment(call: Call) -> Ask:
    name, match = call.text(0), matcher(call, call.texts(1), 1)

    def ask(run: Run) -> bool:
        value = _item(run.subject.facts, name(run).lower())
        return value is not None and match(run, (value,))

    return ask


def _item(facts: Facts, name: str) -> str | None:
    """Of an IMAP event (RFC 6785 section 4) and of the house; None: there is no such item."""
    event = facts.event
    if name.startswith("imap."):
        return {
            "imap.user": event.user if event else "",
            "imap.email": event.email if event else "",
            "imap.cause": event.cause if event else "",
            "imap.mailbox": event.mailbox if event else "",
            "imap.changedflags": " ".join(event.changed_flags) if event else "",
        }.get(name)
    if event and name in ("location", "phase"):
        return "MS" if name == "location" else "post"
    return facts.environment(name)


@test("ihave", STRINGS, needs="ihave")
def ihave(call: Call) -> Ask:
    """Answered when the script is checked. What stands behind it, to the end of the script, may use the capabilities it
    names (section 4); what is no extension of ours is then an error only where the script comes to it, see `check`."""
    names = call.texts(0).constant
    if names is None:
        call.fault("ihave takes constants", 0)
    there = (call.script.known - _OF_THE_LANGUAGE) | call.script.required
    known = all(name in there for name in names)
    if known:
        call.script.required.update(names)
    return lambda run: known


@command("error", STRING, needs="ihave")
def error(call: Call) -> Do:
    text = call.text(0)

    def do(run: Run) -> Flow:
        raise run.fault(text(run))

    return do
