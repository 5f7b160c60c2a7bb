"""How much mail moves: each of the last hours, and what was decided about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.store import traffic
from daemon.store.db import Store
from daemon.store.tx import Tx
from daemon.trust.verdict import REASONS


@dataclass(frozen=True, slots=True)
class Hour:
    """`at` is its beginning. `incoming`: messages from other servers; `submitted`: handed in by users; `sent`,
    `deferred`, `failed`: tries for recipients elsewhere; `refused`: messages, recipients and strangers."""

    at: int
    incoming: int
    submitted: int
    sent: int
    deferred: int
    failed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """So many messages for which `action` (accept, junk, refuse, defer) was decided; `text` says the reason."""

    action: str
    reason: str
    text: str
    messages: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Every hour since `since_at`, the current one last."""

    since_at: int
    hours: tuple[Hour, ...]
    verdicts: tuple[Verdict, ...]


_WHAT = ("incoming", "submitted", "sent", "deferred", "failed", "refused")


def traffic_of(store: Store, hours: int = 24) -> Traffic:
    """Of the last `hours`, at most `LIMITS.traffic_hours`."""
    last = store.clock() // traffic.HOUR
    first = last - min(max(hours, 1), LIMITS.traffic_hours) + 1
    since = first * traffic.HOUR

    def work(tx: Tx) -> tuple[list[tuple[int, str, int]], list[tuple[str, str, int]]]:
        return traffic.by_hour(tx, since), traffic.verdicts(tx, since)

    moved, decided = store.read_now(work)
    counted = Counter[tuple[int, str]]()
    for hour, what, count in moved:
        counted[hour, what] += count
    return Traffic(
        since,
        tuple(Hour(h * traffic.HOUR, *(counted[h, what] for what in _WHAT)) for h in range(first, last + 1)),
        tuple(
            Verdict(action or "accept", reason, REASONS.get(reason, reason), count) for action, reason, count in decided
        ),
    )
