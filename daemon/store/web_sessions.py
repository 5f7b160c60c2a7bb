"""Sessions of browsers: who is signed in, from where, until when. Only the digest of what the browser shows is kept.

A session is over when nothing was asked for some time, when its time is up, when its user is disabled or removed, when
all his sessions were ended (`sessions.end`: another epoch), and when somebody takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import states
from daemon.store.tx import Tx

TYPE = "Session"  # in JMAP


@dataclass(frozen=True, slots=True)
class WebSession:
    """`factor` is the last that was shown: password, totp, recovery, passkey."""

    id: int
    account_id: int
    factor: str
    peer: str
    agent: str
    seen_peer: str
    seen_at: int
    created_at: int
    until_at: int


@dataclass(frozen=True, slots=True)
class Guest:
    """Whom a session's token names."""

    session_id: int
    account_id: int
    address: Address
    admin: bool
    epoch: int
    seen_at: int
    seen_peer: str


_COLUMNS = "s.id, s.account_id, s.factor, s.peer, s.agent, s.seen_peer, s.seen_at, s.created_at, s.until_at"
_ALIVE = "s.until_at > ?1 and s.seen_at + s.idle > ?1 and a.enabled and d.enabled and s.epoch = a.session_epoch"
_FROM = "from web_session s join account a on a.id = s.account_id join domain d on d.id = a.domain_id"


def begin(
    tx: Tx, account_id: int, sha256: bytes, factor: str, peer: str, agent: str, *, epoch: int, idle: int, age: int
) -> int | None:
    """A new one, of the epoch its user was let in with; its id, None if all his sessions were ended since, or he is
    gone. `idle` and `age` in seconds. Of too many the one that was used least lately goes."""
    current = tx.value("select session_epoch from account where id = ? and enabled", account_id)
    if current != epoch:
        return None
    tx.run(
        "delete from web_session where id in (select id from web_session where account_id = ?"
        " order by seen_at desc, id desc limit -1 offset ?)",
        account_id,
        LIMITS.web_sessions - 1,
    )
    tx.account_touched(account_id)
    states.changed(tx, account_id, TYPE)
    return tx.insert(
        "insert into web_session (account_id, token_sha256, epoch, factor, peer, agent, seen_peer, seen_at, idle,"
        " created_at, until_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, sha256, epoch, factor, peer, agent[: LIMITS.web_agent], peer, tx.now, idle * 1000, tx.now,
        tx.now + age * 1000,
    )  # fmt: skip


def find(tx: Tx, sha256: bytes) -> Guest | None:
    """Who is signed in with the token of this digest, if the session is not over."""
    row = tx.one(
        "select s.id, s.account_id, a.local, d.name, a.admin, s.epoch, s.seen_at, s.seen_peer"
        f" {_FROM} where s.token_sha256 = ?2 and {_ALIVE}",
        tx.now,
        sha256,
    )
    return None if row is None else Guest(row[0], row[1], Address(row[2], row[3]), bool(row[4]), *row[5:])


def is_alive(tx: Tx, session_id: int) -> bool:
    """Whether it is not over: for answers that last long."""
    return bool(tx.value(f"select 1 {_FROM} where s.id = ?2 and {_ALIVE}", tx.now, session_id))


def seen(tx: Tx, session_id: int, peer: str) -> None:
    """Something was asked, from there."""
    tx.run("update web_session set seen_at = max(seen_at, ?), seen_peer = ? where id = ?", tx.now, peer, session_id)


def everyone(tx: Tx, account_id: int | None = None) -> list[WebSession]:
    """Sessions that are not over, of one user or of all; the newest use first."""
    rows = tx.all(
        f"select {_COLUMNS} {_FROM} where (?2 is null or s.account_id = ?2) and {_ALIVE}"
        " order by s.seen_at desc, s.id desc",
        tx.now,
        account_id,
    )
    return [WebSession(*row) for row in rows]


def remove(tx: Tx, account_id: int, session_id: int) -> bool:
    """End this one; whether there was such a one of this user."""
    gone = tx.run("delete from web_session where id = ? and account_id = ?", session_id, account_id)
    if gone:
        tx.account_touched(account_id)
        states.changed(tx, account_id, TYPE)
    return bool(gone)


def end(tx: Tx, account_id: int, keep: int | None = None) -> int:
    """End all sessions of browsers of this user, but the one that asks for it; how many ended."""
    gone = tx.run("delete from web_session where account_id = ? and id is not ?", account_id, keep)
    if gone:
        tx.account_touched(account_id)
        states.changed(tx, account_id, TYPE)
    return gone


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` that are over; how many went."""
    return tx.run(
        "delete from web_session where id in (select id from web_session"
        " where until_at <= ?1 or seen_at + idle <= ?1 limit ?2)",
        tx.now,
        limit,
    )


def wrong(tx: Tx, limit: int) -> Sequence[tuple[Any, ...]]:
    """What cannot be: sessions of an epoch that their user has not come to, more of one user than there may be."""
    return tx.all(
        "select 'web session ' || s.id, 'is of an epoch that its user has not come to' from web_session s"
        " join account a on a.id = s.account_id where s.epoch > a.session_epoch"
        " union all select 'account ' || account_id, 'has ' || count(*) || ' sessions of browsers, more than it may'"
        " from web_session group by account_id having count(*) > ?1 limit ?2",
        LIMITS.web_sessions,
        limit,
    )
