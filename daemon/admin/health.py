"""Is the house in order? Checks return findings; the doors print them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from daemon.store.check import Finding, check
from daemon.store.db import Store

__all__ = ["Finding", "store"]


def store(
    opened: Store, progress: Callable[[str, int, int], None] | None = None, *, deep: bool = True
) -> Iterator[Finding]:
    """What does not hold in the store, as it is found; `deep` reads every message's bytes."""
    return check(opened, progress, deep)
