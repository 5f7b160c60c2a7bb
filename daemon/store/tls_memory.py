"""What is remembered of others' transport security: their MTA-STS policies, the best TLS they spoke, results by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store.tx import Tx

DAY = 86_400_000  # ms
_MEMORY = 30 * DAY  # how long the best is held against a destination that speaks less
_RESULTS = 14 * DAY  # reports of a day are sent on the next one


# -- MTA-STS -----------------------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """A policy (RFC 8461) as it was fetched. `mx` are names and patterns."""

    domain: str
    id: str
    mode: str
    mx: tuple[str, ...]
    max_age: int
    fetched_at: int
    expires_at: int


_POLICY = "domain, policy_id, mode, mx, max_age, fetched_at, expires_at"


def policy(tx: Tx, domain: str) -> Kept | None:
    """The policy of a domain that is in force now."""
    row = tx.one(f"select {_POLICY} from mta_sts where domain = ? and expires_at > ?", domain, tx.now)
    return None if row is None else Kept(row[0], row[1], row[2], tuple(row[3].split()), *row[4:])


def keep_policy(tx: Tx, domain: str, id: str, mode: str, mx: tuple[str, ...], max_age: int) -> None:
    """A policy that was just fetched, in place of the one before."""
    tx.run(
        f"insert into mta_sts ({_POLICY}) values (?, ?, ?, ?, ?, ?, ?)"
        " on conflict (domain) do update set policy_id = excluded.policy_id, mode = excluded.mode, mx = excluded.mx,"
        " max_age = excluded.max_age, fetched_at = excluded.fetched_at, expires_at = excluded.expires_at",
        domain, id, mode, " ".join(mx), max_age, tx.now, tx.now + max_age * 1000,
    )  # fmt: skip
    if tx.value("select count(*) from mta_sts") > LIMITS.sts_policies:
        tx.run("delete from mta_sts where domain = (select domain from mta_sts order by expires_at limit 1)")


def policies_to_refresh(tx: Tx, fetched_before: int, limit: int) -> list[str]:
    """Domains whose policy is in force, and was not fetched anew for long."""
    rows = tx.all(
        "select domain from mta_sts where expires_at > ? and fetched_at < ? order by fetched_at limit ?",
        tx.now, fetched_before, limit,
    )  # fmt: skip
    return [row[0] for row in rows]


# -- the best that was spoken ------------------------------------------------------------------------------------------


class Memory(NamedTuple):
    """`strength` as `trust.tls_policy.STRENGTHS` has it. `told`: its loss was noticed within a day."""

    strength: int = 0
    policy: str = ""
    seen_at: int = 0
    told: bool = False


def best(tx: Tx, destination: str) -> Memory:
    """The best TLS of a destination within a month."""
    row = tx.one(
        "select strength, policy, seen_at, told_at from tls_memory where destination = ? and seen_at > ?",
        destination, tx.now - _MEMORY,
    )  # fmt: skip
    return Memory() if row is None else Memory(row[0], row[1], row[2], row[3] > tx.now - DAY)


def spoken(tx: Tx, destination: str, strength: int, policy: str) -> None:
    """What a destination speaks now; less than the best is only marked as told, until the best is a month old."""
    tx.run(
        "insert into tls_memory (destination, strength, policy, seen_at) values (?1, ?2, ?3, ?4)"
        " on conflict (destination) do update set"
        " told_at = iif(?2 < strength and seen_at > ?5, ?4, 0),"
        " policy = iif(?2 < strength and seen_at > ?5, policy, ?3),"
        " seen_at = iif(?2 < strength and seen_at > ?5, seen_at, ?4),"
        " strength = iif(?2 < strength and seen_at > ?5, strength, ?2)",
        destination, strength, policy, tx.now, tx.now - _MEMORY,
    )  # fmt: skip


# -- results for reports -----------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """One session, or the try of one, as RFC 8460 counts it. `result` is '' for success."""

    policy_domain: str
    policy_type: str
    policy_string: str
    mx_host: str
    result: str
    sending_ip: str
    receiving_host: str


def count_results(tx: Tx, results: Mapping[Result, int]) -> None:
    """Add sessions to those of today. Beyond so many rows a day only known ones grow: a report may be incomplete."""
    day = tx.now // DAY
    room: int | None = None
    for result, count in results.items():
        known = tx.run(
            "update tls_result set count = count + ? where day = ? and policy_domain = ? and policy_type = ?"
            " and policy_string = ? and mx_host = ? and result_type = ? and sending_ip = ? and receiving_host = ?",
            count, day, *result,
        )  # fmt: skip
        if known:
            continue
        if room is None:
            room = LIMITS.tls_results - int(tx.value("select count(*) from tls_result where day = ?", day))
        if room > 0:
            room -= 1
            tx.run("insert into tls_result values (?, ?, ?, ?, ?, ?, ?, ?, ?)", day, *result, count)


# -- housekeeping ------------------------------------------------------------------------------------------------------


def forget(tx: Tx, now: int, limit: int) -> int:
    """Drop up to `limit` of each: policies over their time, memories of more than a month, old results; how many."""
    return _drop(
        tx,
        limit,
        (
            ("mta_sts", "domain", "expires_at", now),
            ("tls_memory", "destination", "seen_at", now - _MEMORY),
            ("tls_result", "(day, policy_domain, policy_type, policy_string, mx_host, result_type, sending_ip,"
             " receiving_host)", "day", (now - _RESULTS) // DAY),
        ),
    )  # fmt: skip


def _drop(tx: Tx, limit: int, what: Iterable[tuple[str, str, str, int]]) -> int:
    return sum(
        tx.run(
            f"delete from {table} where {key} in"
            f" (select {key.strip('()')} from {table} where {column} <= ? order by {column} limit ?)",
            before, limit,
        )
        for table, key, column, before in what
    )  # fmt: skip
