"""Reports that wait to be handed in over HTTPS, and when each is tried next (RFC 8460 §5.5).

Each is put off before it is tried: a crash in the middle costs a pause, and can hand a report in twice at most, which
its reader sees by its name. A day after the first try it is given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store.tx import Tx


class HandIn(NamedTuple):
    """A report about a domain's day for one address. `last`: it will not be tried again."""

    day: int
    domain: str
    uri: str
    last: bool


def put(tx: Tx, day: int, domain: str, uris: Iterable[str]) -> None:
    """To be handed in at once."""
    tx.many(
        "insert into report_hand_in (day, domain, uri, due_at, until_at) values (?, ?, ?, ?, ?) on conflict do nothing",
        [(day, domain, uri, tx.now, tx.now + LIMITS.hand_in_end * 1000) for uri in uris],
    )


def take(tx: Tx, limit: int) -> list[HandIn]:
    """Those that are due, each put off twice as long as the last time."""
    tx.run("delete from report_hand_in where until_at < ?", tx.now)
    rows = tx.all(
        "select day, domain, uri, tries, until_at from report_hand_in where due_at <= ? order by due_at limit ?",
        tx.now, limit,
    )  # fmt: skip
    found = []
    for day, domain, uri, tries, until in rows:
        due = tx.now + (LIMITS.hand_in_pause * 1000 << tries)
        tx.run(
            "update report_hand_in set tries = tries + 1, due_at = ? where day = ? and domain = ? and uri = ?",
            due, day, domain, uri,
        )  # fmt: skip
        found.append(HandIn(day, domain, uri, due > until))
    return found


def end(tx: Tx, one: HandIn) -> None:
    """It was taken, or is given up."""
    tx.run("delete from report_hand_in where day = ? and domain = ? and uri = ?", *one[:3])
