"""What rules are called towards clients: by a digest of what they say, or as they were called before they changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from daemon.store.tx import Tx


def of(tx: Tx, account_id: int) -> Mapping[str, str]:
    """Names by digest, of rules that have another one than their digest."""
    return dict(tx.all("select digest, id from rule_id where account_id = ?", account_id))


def keep(tx: Tx, account_id: int, called: Mapping[str, str], there: Collection[str]) -> None:
    """The rules of these digests are called so; those of digests that are not `there` are gone."""
    tx.many(
        "insert into rule_id (account_id, digest, id) values (?, ?, ?)"
        " on conflict (account_id, digest) do update set id = excluded.id",
        [(account_id, digest, name) for digest, name in called.items()],
    )
    gone = [each for each in of(tx, account_id) if each not in there]
    tx.many("delete from rule_id where account_id = ? and digest = ?", [(account_id, each) for each in gone])
