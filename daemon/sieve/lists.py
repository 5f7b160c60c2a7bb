"""Lists that live outside of scripts (RFC 6134): `:list` as a match type, and what may be asked about them."""

from __future__ import annotations

from daemon.sieve.words import STRINGS, Ask, Call, test


@test("valid_ext_list", STRINGS, needs="extlists")
def valid_ext_list(call: Call) -> Ask:
    names = call.texts(0)
    return lambda run: all(run.subject.facts.has_list(name) for name in names(run))
