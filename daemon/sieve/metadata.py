"""Annotations of mailboxes and of the server (RFC 5490)."""

from __future__ import annotations

from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Ask, Call, test


@test("metadata", STRING, STRING, STRINGS, needs="mboxmetadata", options=options())
def metadata(call: Call) -> Ask:
    mailbox, name, match = call.text(0), call.text(1), matcher(call, call.texts(2), 2)

    def ask(run: Run) -> bool:
        value = run.subject.facts.metadata(mailbox(run), name(run))
        return value is not None and match(run, (value,))

    return ask


@test("metadataexists", STRING, STRINGS, needs="mboxmetadata")
def metadataexists(call: Call) -> Ask:
    mailbox, names = call.text(0), call.texts(1)
    return lambda run: all(run.subject.facts.metadata(mailbox(run), name) is not None for name in names(run))


@test("servermetadata", STRING, STRINGS, needs="servermetadata", options=options())
def servermetadata(call: Call) -> Ask:
    name, match = call.text(0), matcher(call, call.texts(1), 1)

    def ask(run: Run) -> bool:
        value = run.subject.facts.metadata(None, name(run))
        return value is not None and match(run, (value,))

    return ask


@test("servermetadataexists", STRINGS, needs="servermetadata")
def servermetadataexists(call: Call) -> Ask:
    names = call.texts(0)
    return lambda run: all(run.subject.facts.metadata(None, name) is not None for name in names(run))
