"""How far an account's objects are, as clients of JMAP are told (RFC 8620 §7.1): one sequence for all of its types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from daemon.store import mailboxes
from daemon.store.tx import Tx


class State(NamedTuple):
    """`modseq` grows with every change of anything, `newest` is the last message that came (an id of `email`)."""

    modseq: int
    newest: int


def changed(tx: Tx, account_id: int, *types: str) -> int:
    """Objects of these types are different now; the number of the change. Who listens hears of it after the commit."""
    modseq = mailboxes.next_modseq(tx, account_id)
    for type in types:
        tx.object_touched(account_id, type)
        tx.run(
            "insert into object_state (account_id, type, modseq) values (?, ?, ?)"
            " on conflict (account_id, type) do update set modseq = excluded.modseq",
            account_id, type, modseq,
        )  # fmt: skip
    return modseq


def of_type(tx: Tx, account_id: int, type: str) -> int:
    """The number of the last change of this type; 0 before the first."""
    value: int | None = tx.value("select modseq from object_state where account_id = ? and type = ?", account_id, type)
    return value or 0


def of_types(tx: Tx, account_id: int) -> Mapping[str, int]:
    """The same of all types that were ever changed."""
    return dict(tx.all("select type, modseq from object_state where account_id = ?", account_id))


def of(tx: Tx, account_ids: Iterable[int]) -> Mapping[int, State]:
    """Of each of these accounts that is there."""
    rows = tx.all(
        "select id, modseq, coalesce((select max(e.id) from email e where e.account_id = a.id), 0) from account a"
        " where id in (select value from json_each(?))",
        json.dumps(list(account_ids)),
    )
    return {row[0]: State(row[1], row[2]) for row in rows}


def owners(tx: Tx, mailbox_ids: Iterable[int]) -> set[int]:
    """The accounts of these mailboxes, of those that are there."""
    rows = tx.all(
        "select distinct account_id from mailbox where id in (select value from json_each(?))",
        json.dumps(list(mailbox_ids)),
    )
    return {row[0] for row in rows}
