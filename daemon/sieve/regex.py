"""The match type `:regex` (draft-murchison-sieve-regex): POSIX extended expressions, found by RE2.

Its time grows with the length of the text and with nothing else: no expression can hold the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from daemon.limits import LIMITS
from daemon.sieve.comparators import Comparator, casemap

if TYPE_CHECKING:
    from daemon.sieve.run import Run


def _compiled(key: str, comparator: Comparator) -> Any:
    """Raises `ValueError` with what is wrong."""
    import re2  # type: ignore[import-untyped]  # 3 MiB, for those whose script has one

    options = re2.Options()
    options.longest_match = True
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = LIMITS.sieve_regex
    options.case_sensitive = comparator.normal is not casemap
    if len(key) > LIMITS.sieve_pattern:
        raise ValueError(f"a regular expression may have {LIMITS.sieve_pattern} characters")
    try:
        return re2.compile(key, options=options)
    except re2.error as error:
        said = error.args[0]
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None


def wrong(key: str) -> str | None:
    try:
        _compiled(key, Comparator(str))
    except ValueError as error:
        return f"the regular expression {key!r} cannot be used: {error}"
    return None


def regex(keys: Sequence[str], comparator: Comparator, _: str) -> Callable[[Run, Iterable[str]], bool]:
    patterns = []
    for key in keys:
        try:
            patterns.append(_compiled(key, comparator))
        except ValueError:  # made of variables: it was no constant that could be checked
            continue

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            for pattern in patterns:
                run.spend(1 + len(value) // 2000)
                found = pattern.search(value)
                if found is not None:
                    run.matched = tuple([group or "" for group in (found.group(0), *found.groups())])[
                        : LIMITS.sieve_captures
                    ]
                    return True
        return False

    return ready
