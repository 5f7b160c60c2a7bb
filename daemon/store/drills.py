"""How the trials of the filter ended: the last of each kind, and since when it ends so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.store.tx import Tx


class Drill(NamedTuple):
    """`failures`: how many in a row, 0 when it passed. `since_at` the first that ended as this one."""

    name: str
    failures: int
    text: str
    at: int
    since_at: int


def note(tx: Tx, ended: Sequence[tuple[str, bool, str]]) -> list[Drill]:
    """Trials that just ended, all there are: name, whether it passed, what was seen. What is not tried any more is
    forgotten."""
    known = {drill.name: drill for drill in everyone(tx)}
    tx.run("delete from drill")
    for name, passed, text in ended:
        before = known.get(name)
        same = before is not None and (before.failures == 0) == passed
        failures = 0 if passed else 1 + (before.failures if before is not None else 0)
        since = before.since_at if before is not None and same else tx.now
        tx.run(
            "insert into drill (name, failures, text, at, since_at) values (?, ?, ?, ?, ?)",
            name, failures, text, tx.now, since,
        )  # fmt: skip
    return everyone(tx)


def everyone(tx: Tx) -> list[Drill]:
    return [Drill(*row) for row in tx.all("select name, failures, text, at, since_at from drill order by name")]
