"""What changed of the things that only the web has (identities, submissions), by the account's one sequence."""

from __future__ import annotations

from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store.tx import Tx

KINDS = ("identity", "submission")


class Changed(NamedTuple):
    """Ids by what became of them since a MODSEQ; `until` is how far that goes, `more` that there is more behind."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    until: int
    more: bool


def state(tx: Tx, account_id: int) -> int:
    """The account's MODSEQ."""
    value: int = tx.value("select modseq from account where id = ?", account_id) or 0
    return value


def since(tx: Tx, account_id: int, kind: str, modseq: int, limit: int) -> Changed:
    """At most `limit` changes, the oldest first. What came and went since is told of in no list."""
    assert kind in KINDS
    rows = tx.all(
        f"select modseq, id, created_modseq, 0 from {kind} where account_id = ?1 and modseq > ?3 union all"
        " select modseq, object_id, created_modseq, 1 from web_tombstone where account_id = ?1 and kind = ?2"
        " and modseq > ?3 order by 1 limit ?4",
        account_id, kind, modseq, limit + 1,
    )  # fmt: skip
    more = len(rows) > limit
    rows = rows[:limit]
    until = rows[-1][0] if more else state(tx, account_id)
    return Changed(
        [r[1] for r in rows if not r[3] and r[2] > modseq],
        [r[1] for r in rows if not r[3] and r[2] <= modseq],
        [r[1] for r in rows if r[3] and r[2] <= modseq],
        until,
        more,
    )


def bury(tx: Tx, account_id: int, kind: str, object_id: int, created_modseq: int, modseq: int) -> None:
    """A row of that kind is gone."""
    tx.run(
        "insert into web_tombstone (account_id, kind, object_id, created_modseq, modseq) values (?, ?, ?, ?, ?)",
        account_id, kind, object_id, created_modseq, modseq,
    )  # fmt: skip


def floor(tx: Tx, account_id: int) -> int:
    """Tombstones at or below this MODSEQ may be forgotten: who asks from before must begin anew."""
    value: int | None = tx.value("select web_floor from account where id = ?", account_id)
    return value or 0


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` tombstones of the accounts that have more than `LIMITS.tombstones`; how many went."""
    gone = 0
    for account_id, count in tx.all(
        "select account_id, count(*) from web_tombstone group by account_id having count(*) > ?", LIMITS.tombstones
    ):
        some = tx.all(
            "delete from web_tombstone where (account_id, kind, object_id) in (select account_id, kind, object_id"
            " from web_tombstone where account_id = ? order by modseq limit ?) returning modseq",
            account_id, min(limit - gone, count - LIMITS.tombstones),
        )  # fmt: skip
        gone += len(some)
        highest = max((row[0] for row in some), default=0)
        tx.run("update account set web_floor = max(web_floor, ?) where id = ?", highest, account_id)
        if gone >= limit:
            break
    return gone
