"""Greylisting: who is told to try again, and who came back. Real servers do, much of what sends spam does not.

A try is of a network, a sender and a recipient: the servers of a sender stand side by side. It passes once it comes
back after the delay and within a day, and then for as long as it goes on; a network that passed some times is let in.
"""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.store.tx import Tx

_DAY = 86_400_000  # ms


def passed(tx: Tx, network: str, sender: str, recipient: str, delay: int) -> bool:
    """Whether this mail may come in, for a delay in seconds. Notes a first try."""
    sender, recipient = sender.lower(), recipient.lower()
    known = tx.one("select passes, at from greylist_network where network = ?", network)
    if known is not None and known[1] > tx.now - LIMITS.greylist_memory * 1000:
        if known[0] >= LIMITS.greylist_passes:
            if known[1] < tx.now - _DAY:
                tx.run("update greylist_network set at = ? where network = ?", tx.now, network)
            return True
    elif known is not None:
        tx.run("delete from greylist_network where network = ?", network)
    key = (network, sender, recipient)
    row = tx.one("select first_at, passed_at from greylist where network = ? and sender = ? and recipient = ?", *key)
    if row is None or _forgotten(row, tx.now):
        tx.run(
            "insert or replace into greylist (network, sender, recipient, first_at) values (?, ?, ?, ?)", *key, tx.now
        )
        return False
    first, before = row
    if before is None and tx.now - first < delay * 1000:
        return False
    now = max(tx.now, first)  # a clock may go back
    tx.run("update greylist set passed_at = ? where network = ? and sender = ? and recipient = ?", now, *key)
    if before is None:  # the recipients of one message are one pass
        tx.run(
            "insert into greylist_network (network, passes, at) values (?1, 1, ?2) on conflict (network)"
            " do update set passes = passes + (at <> ?2), at = ?2",
            network, tx.now,
        )  # fmt: skip
    return True


def _forgotten(row: tuple[int, int | None], now: int) -> bool:
    first, before = row
    return first < now - LIMITS.greylist_row * 1000 if before is None else before < now - LIMITS.greylist_memory * 1000


def remove(tx: Tx, name: str) -> None:
    """No try of a recipient who is no more, or of any at a domain."""
    tx.run("delete from greylist where recipient = ?1 or substr(recipient, -length(?1) - 1) = '@' || ?1", name.lower())


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` tries that nobody came back for, or that are too old, and the oldest beyond
    `LIMITS.greylist_rows`; and so of networks. How many went."""
    old = tx.now - LIMITS.greylist_memory * 1000
    gone = tx.run(
        "delete from greylist where (network, sender, recipient) in (select network, sender, recipient from greylist"
        " where coalesce(passed_at, first_at) < ?1 and (passed_at is null or passed_at < ?2)"
        " order by coalesce(passed_at, first_at) limit ?3)",
        tx.now - LIMITS.greylist_row * 1000, old, limit,
    )  # fmt: skip
    gone += tx.run(
        "delete from greylist_network where network in (select network from greylist_network where at < ? limit ?)",
        old, limit,
    )  # fmt: skip
    for table, key, at in (
        ("greylist", "network, sender, recipient", "coalesce(passed_at, first_at)"),
        ("greylist_network", "network", "at"),
    ):
        many = tx.value(f"select count(*) from {table}") - LIMITS.greylist_rows
        if many > 0:
            gone += tx.run(
                f"delete from {table} where ({key}) in (select {key} from {table} order by {at} limit ?)",
                min(many, limit),
            )
    return gone
