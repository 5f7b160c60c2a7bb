"""The match type `:regex` (draft-murchison-sieve-regex): POSIX extended expressions, found by RE2.

Its time grows with the length of the text times that of the expression and with nothing else: none can hold the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from daemon.limits import LIMITS
from daemon.sieve.comparators import Comparator, Way

if TYPE_CHECKING:
    from daemon.sieve.run import Run


class BadPattern(ValueError):
    """What is no regular expression, or too large a one; the sentence for its author."""


def _compiled(key: str, comparator: Comparator) -> Any:
    """Raises `BadPattern`."""
    import re2  # type: ignore[import-untyped]  # 3 MiB, for those whose script has one

    options = re2.Options()
    options.longest_match = True
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = LIMITS.sieve_regex
    options.case_sensitive = comparator.normal is str
    if len(key) > LIMITS.sieve_pattern:
        raise BadPattern(f"a regular expression may have {LIMITS.sieve_pattern} characters, this one has {len(key)}")
    try:
        return re2.compile(key, options=options)
    except re2.error as error:
        said = error.args[0]
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise BadPattern(f"{key[:60]!r} cannot be used as a regular expression: {why[:100]}") from None


def regex(keys: Sequence[str], way: Way) -> Callable[[Run, Iterable[str]], bool]:
    patterns = [_compiled(key, way.comparator) for key in keys]

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            for pattern in patterns:
                run.spend(1 + len(value) * pattern.programsize // 1000)
                found = pattern.search(value)
                if found is not None:
                    groups = (found.group(0), *found.groups())[: LIMITS.sieve_captures]
                    run.matched = tuple([group or "" for group in groups])
                    return True
        return False

    return ready
