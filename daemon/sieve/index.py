"""One of several fields of a name (RFC 5260 section 6): `:index` and `:last`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from daemon.sieve.words import NUMBER, Call, Option

INDEX = (Option("index", NUMBER, needs="index"), Option("last", needs="index"))
T = TypeVar("T")


def chosen(call: Call) -> Callable[[Sequence[T]], Sequence[T]]:
    """What a test looks at of the fields there are, in their order."""
    number, last = call.option_number("index"), call.has("last")
    if number is None:
        if last:
            call.fault(":last needs :index")
        return lambda found: found
    if number < 1:
        call.fault(":index counts from 1")
    at = -number if last else number - 1

    def pick(found: Sequence[T]) -> Sequence[T]:
        return (found[at],) if len(found) >= number else ()

    return pick
