"""Whether a message like this was here before (RFC 7352). What is to be remembered is an answer of the run: the house
settles it in the transaction that takes the message."""

from __future__ import annotations

from hashlib import sha256

from daemon.limits import LIMITS
from daemon.sieve.actions import Seen
from daemon.sieve.run import Run
from daemon.sieve.words import NUMBER, STRING, Ask, Call, Option, test

_OPTIONS = (
    Option("handle", STRING),
    Option("header", STRING, group="id"),
    Option("uniqueid", STRING, group="id"),
    Option("seconds", NUMBER),
    Option("last"),
)


@test("duplicate", needs="duplicate", options=_OPTIONS)
def duplicate(call: Call) -> Ask:
    handle, header, unique = (call.option_text(name) for name in ("handle", "header", "uniqueid"))
    seconds = call.option_number("seconds")
    kept = min(LIMITS.sieve_duplicate, 7 * 86400 if seconds is None else seconds)
    last = call.has("last")

    def ask(run: Run) -> bool:
        if unique is not None:
            value = unique(run)
        else:
            found = run.subject.head.texts(header(run) if header is not None else "message-id")
            value = found[0] if found else ""
        if not value or not kept:
            return False
        if run.subject.facts.event is not None:
            raise run.fault("duplicate is for mail that comes in, not for what lies in a mailbox")
        name = handle(run) if handle is not None else ""
        key = sha256(f"{name}\0{value}".encode("utf-8", "replace")).hexdigest()  # wherever it was found (section 3.2)
        known = run.subject.facts.duplicate(key)  # by earlier runs only, this one does not count (section 3)
        if not known or last:
            run.seen[key] = Seen(key, kept, last)
            if len(run.seen) > LIMITS.sieve_actions:
                raise run.fault(f"a script may look for {LIMITS.sieve_actions} duplicates")
        return known

    return ask
