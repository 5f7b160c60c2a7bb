"""Who is logged in, as the server that runs writes it down now and then; and the end of a user's sessions.

A session begins with the number of its user's epoch, and is over as soon as his is another one: so the server that runs
hears of it, whoever ended it, and no login that was under way slips through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from daemon.store import accounts, web_sessions
from daemon.store.tx import Tx


class Row(NamedTuple):
    """One session; `number` is the server's own."""

    number: int
    account_id: int
    protocol: str
    peer: str
    app_password_id: int | None
    since_at: int


class Listed(NamedTuple):
    user: str
    protocol: str
    peer: str
    app_password: str | None
    since_at: int


def note(tx: Tx, came: Sequence[Row], went: Sequence[int], anew: bool = False) -> None:
    """Sessions began and ended; `anew`: there are no others. Who is no more is in none."""
    if anew:
        tx.run("delete from session")
    tx.many("delete from session where id = ?", [(number,) for number in went])
    tx.many(
        "insert or replace into session (id, account_id, protocol, peer, app_password_id, since_at)"
        " select ?1, ?2, ?3, ?4, (select id from app_password where id = ?5), ?6"
        " where exists (select 1 from account where id = ?2)",
        came,
    )


def everyone(tx: Tx, account_id: int | None = None) -> list[Listed]:
    """As it was written down, by user and time."""
    rows = tx.all(
        "select a.local || '@' || d.name, s.protocol, s.peer, p.name, s.since_at from session s"
        " join account a on a.id = s.account_id join domain d on d.id = a.domain_id"
        " left join app_password p on p.id = s.app_password_id where ?1 is null or s.account_id = ?1"
        " order by d.name, a.local_key, s.since_at, s.id",
        account_id,
    )
    return [Listed(*row) for row in rows]


def epochs(tx: Tx, account_ids: Iterable[int]) -> Mapping[int, int]:
    """The epoch of each of these that may be logged in; who is gone or disabled has none."""
    return dict(
        tx.all(
            "select a.id, a.session_epoch from account a join domain d on d.id = a.domain_id"
            " where a.id in (select value from json_each(?)) and a.enabled and d.enabled",
            json.dumps(list(account_ids)),
        )
    )


def end(tx: Tx, account_id: int, *, keep_app_passwords: bool) -> None:
    """All sessions of this user end, and nobody comes in again with an app password of his."""
    tx.run("update account set session_epoch = session_epoch + 1 where id = ?", account_id)
    web_sessions.end(tx, account_id)
    tx.account_touched(account_id)
    if not keep_app_passwords:
        for one in accounts.app_passwords(tx, account_id):
            accounts.remove_app_password(tx, account_id, one.name)
