"""What a row of the table is: who takes part, what is measured, what the target says."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.suite import Server, Suite

Figures = dict[str, float]
DEFAULT_PEERS = ("pd-maildir", "pd-mdbox")


@dataclass(frozen=True)
class Target:
    """`ours / theirs` at least or at most so much; or `ours` below a bound of its own, or from it on."""

    kind: Literal["at least", "at most", "under", "from"]
    bound: float

    def text(self, unit: str) -> str:
        sign = {"under": "<", "from": "≥"}.get(self.kind)
        return f"{sign} {self.bound:g} {unit}" if sign else f"{self.kind} {self.bound:g}×"

    def met(self, ours: float, theirs: float | None) -> bool | None:
        """None: there is nothing to compare with."""
        if self.kind == "under":
            return ours < self.bound
        if self.kind == "from":
            return ours >= self.bound
        if not theirs:
            return None
        return ours / theirs >= self.bound if self.kind == "at least" else ours / theirs <= self.bound


@dataclass(frozen=True)
class Figure:
    """One number of a row."""

    key: str
    title: str
    unit: str
    more: bool  # is better
    target: Target | None = None

    def better(self, values: list[float]) -> float | None:
        """The best of several servers' figures."""
        if not values:
            return None
        return max(values) if self.more else min(values)


@dataclass
class Field:
    """Where a run takes place."""

    suite: Suite
    seconds: float  # a case lasts at least so long
    messages: int  # in the big mailbox; ten times as many in the bigger
    idle: int  # connections to hold open
    counts: dict[tuple[str, str], int] = field(default_factory=dict)  # (row, server) -> what lasted long enough
    mark: Callable[[], None] = lambda: None  # called where the timed part begins and where it ends


@dataclass(frozen=True)
class Row:
    """A line of the issue. `measure` prepares (untimed), measures once, and clears up (untimed)."""

    name: str
    title: str
    measure: Callable[[Field, Server, Row], Figures]
    figures: tuple[Figure, ...]
    peers: tuple[str, ...] = DEFAULT_PEERS
    fresh: bool = False  # our server is started anew for it
    settings: Mapping[str, str] = field(default_factory=dict)  # of ours, which is started anew with them
    note: str = ""


def lasting(
    field: Field, server: Server, row: Row, first: int, run: Callable[[int], float], between: Callable[[], None]
) -> int:
    """Call `run(count)`, which gives the seconds it took, with rising counts until a run lasts `field.seconds`.

    Returns the count of that last run, the only one that counts; the next round begins with it.
    """
    key = (row.name, server["name"])
    count = field.counts.get(key, first)
    for _ in range(6):
        field.mark()
        took = run(count)
        field.mark()
        field.counts[key] = count
        if took >= field.seconds:
            return count
        between()
        count = math.ceil(count * min(20.0, field.seconds * 1.25 / max(took, 0.001)))
    raise RuntimeError(f"no count lasted {field.seconds:g} s")


def repeated(field: Field, once: Callable[[], float], between: Callable[[], None]) -> list[float]:
    """The seconds of each `once()`, called until they sum up to `field.seconds`; `between` is not timed."""
    took: list[float] = []
    field.mark()
    while sum(took) < field.seconds:
        if took:
            between()
        took.append(once())
    field.mark()
    return took


def settle(field: Field, server: Server) -> None:
    """Until the server rests: its own housekeeping after the last case belongs to no case."""
    for _ in range(40):
        before = field.suite.cpu(server)
        time.sleep(0.5)
        if field.suite.cpu(server) - before < 0.03:
            return


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: list[float]) -> float:
    return statistics.median(values)
