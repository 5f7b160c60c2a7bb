"""Networks that may not talk to us for a while."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Ban:
    """`until_at` None: until removed."""

    network: str
    reason: str
    created_at: int
    until_at: int | None


def in_force(tx: Tx) -> list[Ban]:
    """Those that have not ended."""
    rows = tx.all(
        "select network, reason, created_at, until_at from ban where until_at is null or until_at > ? order by network",
        tx.now,
    )
    return [Ban(*r) for r in rows]


def add(tx: Tx, network: str, reason: str, until_at: int | None) -> None:
    """A new ban. One that is there and ends later, or never, stays as it is."""
    tx.run(
        "insert into ban (network, reason, created_at, until_at) values (?, ?, ?, ?) on conflict (network)"
        " do update set reason = excluded.reason, until_at = excluded.until_at"
        " where ban.until_at < coalesce(excluded.until_at, 9223372036854775807)",
        network, reason, tx.now, until_at,
    )  # fmt: skip
    tx.settings_touched()


def remove(tx: Tx, network: str) -> None:
    """Raises `Missing`."""
    if not tx.run("delete from ban where network = ?", network):
        raise Missing(f"{network} is not banned")
    tx.settings_touched()


def forget(tx: Tx) -> int:
    """Drop those that ended; how many."""
    return tx.run("delete from ban where until_at <= ?", tx.now)
