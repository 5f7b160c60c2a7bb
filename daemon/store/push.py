"""Where clients want to be told of changes while they are not connected, and the key we prove ourselves with there."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx


class Place(NamedTuple):
    """An address of a push service, and the client's key and secret; None: it wants no secrecy."""

    url: str
    p256dh: bytes | None = None
    auth: bytes | None = None


class Maker(NamedTuple):
    """The credentials a subscription is made with: a browser's session, an app password, or neither."""

    session_id: int | None = None
    app_password_id: int | None = None


class Subscription(NamedTuple):
    """`types` None: all. `code` is said back by the client before anything but it is sent."""

    id: int
    account_id: int
    device: str
    place: Place
    types: tuple[str, ...] | None
    code: str
    verified: bool
    expires_at: int


_COLUMNS = "s.id, s.account_id, s.device, s.url, s.p256dh, s.auth, s.types, s.code, s.verified, s.expires_at"
_ALIVE = (
    "from push_subscription s join account a on a.id = s.account_id join domain d on d.id = a.domain_id"
    " where s.expires_at > ?1 and s.epoch = a.session_epoch and a.enabled and d.enabled"
    " and (s.session_id is null or exists (select 1 from web_session w where w.id = s.session_id and w.until_at > ?1"
    " and w.seen_at + w.idle > ?1)) and (s.app_password_id is null or exists (select 1 from app_password p"
    " where p.id = s.app_password_id and coalesce(p.expires_at, ?1 + 1) > ?1))"
)


def everyone(tx: Tx, account_id: int | None = None) -> list[Subscription]:
    """Those that are not over, of one user or of all."""
    rows = tx.all(
        f"select {_COLUMNS} {_ALIVE} and (?2 is null or s.account_id = ?2) order by s.id limit ?3",
        tx.now, account_id, LIMITS.push_in_all,
    )  # fmt: skip
    return [_subscription(row) for row in rows]


def made_by(tx: Tx, account_id: int, maker: Maker) -> list[Subscription]:
    """A user's that were made with the same credentials: others see and change none of them (RFC 8620 §7.2)."""
    rows = tx.all(
        f"select {_COLUMNS} {_ALIVE} and s.account_id = ?2 and s.session_id is ?3 and s.app_password_id is ?4"
        " order by s.id",
        tx.now, account_id, *maker,
    )  # fmt: skip
    return [_subscription(row) for row in rows]


def add(
    tx: Tx,
    account_id: int,
    maker: Maker,
    device: str,
    place: Place,
    types: tuple[str, ...] | None,
    code: str,
    expires_at: int,
) -> int:
    """A new one, not verified; its id. Raises `Invalid`: there are too many."""
    tx.run("delete from push_subscription where account_id = ? and expires_at <= ?", account_id, tx.now)
    if tx.value("select count(*) from push_subscription where account_id = ?", account_id) >= LIMITS.push_subscriptions:
        raise Invalid(f"a user has at most {LIMITS.push_subscriptions} subscriptions")
    tx.account_touched(account_id)
    return tx.insert(
        "insert into push_subscription (account_id, epoch, session_id, app_password_id, device, url, p256dh, auth,"
        " types, code, expires_at, created_at)"
        " values (?1, (select session_epoch from account where id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        account_id, *maker, device, *place, None if types is None else json.dumps(types), code, expires_at, tx.now,
    )  # fmt: skip


def change(
    tx: Tx, account_id: int, number: int, verified: bool, types: tuple[str, ...] | None, expires_at: int
) -> None:
    """Raises `Missing`."""
    if not tx.run(
        "update push_subscription set verified = ?, types = ?, expires_at = ? where id = ? and account_id = ?",
        int(verified), None if types is None else json.dumps(types), expires_at, number, account_id,
    ):  # fmt: skip
        raise Missing("there is no such subscription")
    tx.account_touched(account_id)


def remove(tx: Tx, account_id: int, number: int) -> None:
    """Raises `Missing`."""
    if not tx.run("delete from push_subscription where id = ? and account_id = ?", number, account_id):
        raise Missing("there is no such subscription")
    tx.account_touched(account_id)


def known_key(tx: Tx) -> bytes | None:
    """The secret number of our key (RFC 8292), if there is one yet."""
    number: bytes | None = tx.value("select value from secret where name = 'vapid'")
    return number


def vapid_key(tx: Tx, fresh: bytes) -> bytes:
    """The secret number of our key (RFC 8292); `fresh` when there was none yet."""
    tx.run("insert into secret (name, value) values ('vapid', ?) on conflict do nothing", fresh)
    value: bytes = tx.value("select value from secret where name = 'vapid'")
    return value


def _subscription(row: tuple[Any, ...]) -> Subscription:
    types = None if row[6] is None else tuple(json.loads(row[6]))
    return Subscription(row[0], row[1], row[2], Place(*row[3:6]), types, row[7], bool(row[8]), row[9])
